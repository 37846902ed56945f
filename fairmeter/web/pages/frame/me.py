"""The page of the user: name and role, theme, and the links that a phone's tabs leave out.

In:  the identity of the request.
Out: the page at /desk/me.
"""

from fairmeter.web.pages.site import Site, render


def register(site: Site) -> None:
    @site.page("/me")
    def me():
        return render("me.html")
