"""Screenshots of every page, light and dark, on a desktop and on a phone.

    python -m benchmarks.ui.screenshots [--out FOLDER] [--readme] [--language fr]

In:  the service as delivered, over a new database with the simulated utility; Chromium.
Out: FOLDER/PAGE-THEME-WINDOW.png, and with --readme those of the documentation in docs/images. Exit code 1 where a page
     wrote to the browser's console, requested another host, or is wider than its window.

The content is the demonstration's: simulated clients, thefts and inspections.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from benchmarks.helpers.servers import served
from fairmeter.store import Store

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    "today": "/desk/today",
    "changes": "/desk/changes",
    "suspects": "/desk/suspects",
    "alerts": "/desk/alerts",
    "client": "/desk/client/{client}",
    "relations": "/desk/client/{client}/relations",
    "plan": "/desk/plan",
    "cases": "/desk/cases",
    "case": "/desk/cases/101",
    "field": "/desk/field?of=otto",
    "map": "/desk/map",
    "transformers": "/desk/transformers",
    "transformer": "/desk/transformer/{transformer}",
    "live": "/desk/live",
    "campaigns": "/desk/campaigns",
    "model": "/desk/model",
    "import": "/desk/import",
    "crews": "/desk/crews",
    "rules": "/desk/rules",
    "settings": "/desk/settings",
    "search": "/desk/search?q=s-01",
    "me": "/desk/me",
    "demo": "/desk/demo",
    "nothing": "/desk/nothing",
}
OUTSIDE = {"sign-in": "/desk/sign-in"}  # where the desk is not open
WINDOWS = {"desk": {"width": 1440, "height": 900}, "phone": {"width": 390, "height": 844}}
THEMES = ("light", "dark")
ZONE = "Africa/Tunis"
DOCUMENTED = (
    "today-light-desk",
    "suspects-light-desk",
    "suspects-dark-desk",
    "client-light-desk",
    "cases-light-desk",
    "field-light-phone",
)
DOCUMENTED += ("map-light-desk", "transformer-light-desk", "live-light-desk", "demo-light-desk", "model-light-desk")
SHOWN_CLIENT, SHOWN_TRANSFORMER = "demo-gradual-theft", "t-00001"  # of the simulated utility
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def main() -> int:
    options = parsed()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        settings = {"DATABASE_URL": f"sqlite:///{folder}/demo.db", "TIME_ZONE": ZONE, "CURRENCY": "TND"}
        command = [sys.executable, "-m", "flask", "--app", "predict", "demo"]
        subprocess.run(command, cwd=ROOT, env=os.environ | settings, check=True)  # noqa: S603
        Store(settings["DATABASE_URL"]).count_rejected("readings.3.read_at: input should be a valid datetime.")
        with served("predict:app", OPEN="1", **settings) as desk, served("predict:app", **settings) as closed:
            wrong = take_pictures(f"http://127.0.0.1:{desk.port}", PAGES, options.out, options.language)
            wrong += take_pictures(f"http://127.0.0.1:{closed.port}", OUTSIDE, options.out, options.language)
    for name in DOCUMENTED if options.readme else ():
        shutil.copy(options.out / f"{name}.png", ROOT / "docs" / "images" / f"{name}.png")
    print(*(wrong or ["No page complained."]), sep="\n")
    return 1 if wrong else 0


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "screenshots")
    parser.add_argument("--readme", action="store_true", help="copy those of the documentation into docs/images")
    parser.add_argument("--language", default="en", help="of the browser: en, fr or ar")
    return parser.parse_args()


# --- pictures ---------------------------------------------------------------------------------------------------------


def take_pictures(url: str, pages: dict[str, str], out: Path, language: str) -> list[str]:
    """Takes every picture; what a page complained of."""
    wrong = []
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program(), args=["--no-sandbox", "--disable-gpu"])
        for theme in THEMES:
            for window, size in WINDOWS.items():
                context = browser.new_context(viewport=size, color_scheme=theme, locale=language)
                for name, address in pages.items():
                    place = out / f"{name}-{theme}-{window}.png"
                    wrong += take_picture(
                        context, url, address.format(client=SHOWN_CLIENT, transformer=SHOWN_TRANSFORMER), place
                    )
                context.close()
        browser.close()
    return wrong


def program() -> str:
    """The Chromium of this machine; ends where there is none."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        sys.exit("There is no Chromium here: apt-get install chromium.")
    return found


def take_picture(context, url: str, address: str, place: Path) -> list[str]:
    """One picture, unless there is no such page; what it complained of."""
    page, wrong = context.new_page(), []
    page.set_default_timeout(60_000)
    page.on("console", lambda message: wrong.append(f"{address}: {message.text}") if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(f"{address}: {error}"))
    page.on("request", lambda asked: None if asked.url.startswith((url, "data:", "blob:")) else wrong.append(asked.url))
    answer = page.goto(url + address)
    is_there = answer.status == 200 or address.endswith("nothing")
    if is_there:
        page.wait_for_function("!document.querySelector('[data-chart]:not(.drawn)')")
        page.wait_for_timeout(400)
        if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
            wrong.append(f"{address} is wider than {page.viewport_size['width']} pixels")
        page.screenshot(path=place, full_page=place.stem not in DOCUMENTED)
    page.close()
    return wrong if answer.status == 200 else []


if __name__ == "__main__":
    sys.exit(main())
