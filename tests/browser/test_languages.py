"""Pages of setup and campaigns in French and Arabic: nobody is kept out, nothing is wider than the window."""

from datetime import date, timedelta

import pytest

from fairmeter.web.http.auth import THIS_MACHINE
from fairmeter.web.http.i18n import COOKIE
from tests.builders.browser import PHONE, Visitor, context
from tests.builders.desk import desk_app
from tests.builders.pages import filled, inspected

PAGES = ("/desk/campaigns", "/desk/crews", "/desk/rules", "/desk/settings", "/desk/changes", "/desk/model")
TODAY = date.today()


@pytest.fixture
def worked(store):
    """A desk with something on each of the pages."""
    filled(store)
    for n, outcome in enumerate(("confirmed", "cleared", "no_access")):
        inspected(store, f"c-00{n}", outcome, recovered_kwh=120.0 if outcome == "confirmed" else None)
    store.add_user("ben", "hash", "investigator")
    store.add_crew("North", "anna", capacity=8, members=["ben"], base_place="Ariana")
    store.add_campaign("Spring", TODAY - timedelta(days=30), TODAY, "anna")
    store.add_key("loader", "hash of a key", "viewer")
    return store


@pytest.mark.nightly  # a minute
@pytest.mark.parametrize("language", ["fr", "ar"])
@pytest.mark.parametrize(("window", "theme"), [(None, "light"), (PHONE, "dark")], ids=["desktop", "phone"])
def test_pages_in_another_language_keep_nobody_out(browser, front, worked, language, window, theme):
    with front.serving(desk_app(worked, THIS_MACHINE)) as served:
        tabs = context(browser, *([window] if window else []), theme=theme)
        tabs.add_cookies([{"name": COOKIE, "value": language, "url": served.url}])
        visitor = Visitor(tabs, served.url)
        campaign = worked.list_campaigns()[0].campaign_id
        assert visitor.wrong_with((*PAGES, f"/desk/campaigns/{campaign}")) == []
        assert visitor.page.get_attribute("html", "lang").startswith(language)
        assert visitor.complaints == []
        tabs.close()
