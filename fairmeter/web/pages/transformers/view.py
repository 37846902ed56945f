"""The page of all transformers by what they lose, and the page of each.

In:  the store's energy balances.
Out: the page at /desk/transformers.
"""

from fairmeter.web.pages.site import Site, render

N_ROWS = 200


def register(site: Site) -> None:
    store = site.desk.store

    @site.page("/transformers")
    def transformers():
        return render("transformers.html", transformers=store.worst_transformers(N_ROWS), most=N_ROWS)
