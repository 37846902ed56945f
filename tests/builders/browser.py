"""A real Chromium, the one of this machine, and what went wrong in it."""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
DESKTOP, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
GRAVE = ("serious", "critical")


@contextmanager
def chromium() -> Iterator:
    """A browser; the test is skipped where this machine has none."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    with api.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


def context(browser, viewport: dict = DESKTOP, theme: str = "light"):
    """Tabs of one window, of one theme; nothing moves in it, as painting takes a browser without a GPU long."""
    return browser.new_context(viewport=viewport, color_scheme=theme, reduced_motion="reduce")


class Visitor:
    """A tab that writes down what its console complains of, and what it asks other hosts for."""

    def __init__(self, context, url: str) -> None:
        self._url, self.complaints, self.elsewhere = url, [], []
        self.context = context
        self.page = self.context.new_page()
        self.page.set_default_timeout(60_000)  # ms; a machine that does other things too is slow
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._asked)

    def _said(self, message) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _asked(self, request) -> None:
        if not request.url.startswith((self._url, "data:", "blob:")):
            self.elsewhere.append(request.url)

    def goto(self, address: str) -> None:
        """Opens a page and waits until its charts are drawn."""
        self.page.goto(self._url + address)
        self.page.wait_for_function("() => !document.querySelector('[data-chart]:not(.drawn)')")

    def grave_violations(self) -> list[str]:
        """What axe-core finds that keeps people out, in words."""
        from axe_playwright_python.sync_playwright import Axe

        # What is in order is not listed one by one: that takes longer than finding it.
        found = Axe().run(self.page, options={"resultTypes": ["violations"]}).response["violations"]
        return [
            f"{violation['id']}: {violation['help']}: {violation['nodes'][0]['html'][:160]}"
            for violation in found
            if violation["impact"] in GRAVE
        ]

    def wider_than_its_window(self) -> int:
        return self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")

    def wrong_with(self, addresses: Iterable[str]) -> list[str]:
        """Goes from page to page; what keeps people out, is too wide, or is asked of another host."""
        wrong = []
        for address in addresses:
            self.goto(address)
            wrong += [f"{address}: {violation}" for violation in self.grave_violations()]
            if self.wider_than_its_window() > 0:
                wrong.append(f"{address} is wider than the window")
        return wrong + self.elsewhere

    def anew(self, theme: str = "light") -> "Visitor":
        """The same tab for somebody else: nothing is left in it but the files that the browser keeps.

        Opening another one, and reading Plotly's there, takes seconds.
        """
        self.page.goto("about:blank")
        self.page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        self.context.clear_cookies()
        self.complaints.clear()
        self.elsewhere.clear()
        return self
