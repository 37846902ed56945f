"""Pictures of every page, light and dark, at a desk and on a phone: `python benchmarks/screenshots.py [--out FOLDER]`.

In:  the service as it is delivered, over a database of its own with the simulated utility; a Chromium of this machine.
Out: FOLDER/PAGE-THEME-WINDOW.png, and with --readme the four of the README. Ends with 1 where a page complained in the
     browser's console, asked another host, or is wider than its window.

So that there is something to see, twelve weeks are played: some visits a week from the list and some at random, with
the outcome that the simulation knows. Simulated clients, simulated thefts, simulated visits.
"""

import argparse
import csv
import io
import os
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zipfile import ZipFile
from zoneinfo import ZoneInfo

import numpy as np
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # else Python looks for rooms in benchmarks/ only

from benchmarks.servers import served
from desk_demo import Meter, bring
from fraud.alerts import read_rules
from fraud.bands import bands_of
from fraud.records import Score
from fraud.store import Around, Profile, Store

ROOT = Path(__file__).resolve().parents[1]
PAGES = {
    "overview": "/desk/",
    "list": "/desk/list?visits=40&cost=15",
    "clients": "/desk/list?show=all",
    "client": "/desk/client/{client}",
    "model": "/desk/model",
    "cases": "/desk/cases",
    "case": "/desk/cases/1",
    "field": "/desk/field?of=otto",
    "map": "/desk/map",
    "transformer": "/desk/transformer/{transformer}",
    "live": "/desk/live",
    "demo": "/desk/demo",
    "nothing": "/desk/nothing",
}
OUTSIDE = {"sign-in": "/desk/sign-in"}  # where the desk is not open
WINDOWS = {"desk": {"width": 1440, "height": 900}, "phone": {"width": 390, "height": 844}}
THEMES = ("light", "dark")
ZONE = "Africa/Tunis"
README = ("overview-light-desk", "list-dark-desk", "client-light-desk", "model-light-desk")
SHOWN_CLIENT, SHOWN_TRANSFORMER = "demo-gradual-theft", "t-00001"  # of the simulated utility
N_WEEKS, N_CHOSEN, N_RANDOM = 12, 10, 4  # visits a week
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def main() -> int:
    options = parsed()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        loaded, played = (f"sqlite:///{folder}/{name}.db" for name in ("loaded", "played"))
        command = [sys.executable, "-m", "flask", "--app", "predict", "demo"]
        subprocess.run(command, cwd=ROOT, env=os.environ | {"DATABASE_URL": loaded}, check=True)  # noqa: S603
        play(Store(loaded), Store(played))
        settings = {"DATABASE_URL": played, "TIME_ZONE": ZONE, "CURRENCY": "TND"}
        with served("predict:app", OPEN="1", **settings) as desk, served("predict:app", **settings) as closed:
            wrong = taken(f"http://127.0.0.1:{desk.port}", PAGES, options.out)
            wrong += taken(f"http://127.0.0.1:{closed.port}", OUTSIDE, options.out)
    for name in README if options.readme else ():
        shutil.copy(options.out / f"{name}.png", ROOT / "docs" / f"{name}.png")
    print(*(wrong or ["No page complained."]), sep="\n")
    return 1 if wrong else 0


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "screenshots")
    parser.add_argument("--readme", action="store_true", help="copy the four of the README into docs/")
    return parser.parse_args()


# --- what there is to see ---------------------------------------------------------------------------------------------


def play(loaded: Store, played: Store) -> None:
    """Twelve weeks: each brings clients that were not scored before, of whom some are visited."""
    truth, rules = thieves(), read_rules(ROOT / "data" / "alerts.toml")
    version = loaded.list_runs(1)[0].model_version
    scores = loaded.stored_scores(limit=5000)
    monday = date.today() - timedelta(days=date.today().weekday())
    played.migrate()
    measured = [loaded.find_balance(balance.transformer_id) for balance in loaded.worst_transformers(1000)]
    everybody = kept([loaded.find_profile(score.client_id) for score in scores])
    bands = bands_of(everybody["clients"], everybody["series"])
    around = Around(bands, loaded.temperatures(date.min, date.max))
    for week in range(N_WEEKS):
        day = monday - timedelta(weeks=N_WEEKS - 1 - week)
        some = scores[week::N_WEEKS]
        at = min(datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=7), datetime.now(UTC))
        played.write_run(
            some,
            version,
            rules,
            scored_at=at,
            balances=measured,
            around=around,
            drift=loaded.last_drift().found,
            **kept([loaded.find_profile(s.client_id) for s in some]),
        )
        for score in some[:N_CHOSEN]:
            visit(played, score, truth, day + timedelta(days=2), is_random=False)
        for score in some[60 + week :: 7][:N_RANDOM]:
            visit(played, score, truth, day + timedelta(days=3), is_random=True)
    for score in played.stored_scores(limit=60)[30:60:4]:
        if played.open_case_of(score.client_id) is None:
            played.open_case(score.client_id, "anna", "On this week's list.", assignee="otto")
    bring(played, meters(loaded, [score.client_id for score in scores]), datetime.now(UTC), ZoneInfo(ZONE))
    played.count_refused("readings.3.read_at: input should be a valid datetime.")


def meters(loaded: Store, client_ids: list[str]) -> list[Meter]:
    """Those whose readings the demonstration brought."""
    known = loaded.readings_of(client_ids)
    owner = known["client_id"]
    return [
        Meter(client_id, known["read_at"][own], known["consumption_kwh"][own])
        for client_id in dict.fromkeys(owner.tolist())
        for own in [np.flatnonzero(owner == client_id)]
    ]


def kept(profiles: list[Profile]) -> dict:
    """What a run writes beside the scores."""
    clients = {name: np.array([p.client[name] for p in profiles], dtype=object) for name in profiles[0].client}
    for name in set(clients) - {"client_id", "transformer_id", "created_on"}:
        clients[name] = clients[name].astype(np.float64)
    series = {p.score.client_id: p.series for p in profiles if p.series is not None}
    ledgers = {p.score.client_id: p.ledger for p in profiles if p.ledger is not None}
    return {"clients": clients, "facts": [p.facts for p in profiles], "series": series, "ledgers": ledgers}


def thieves() -> set[str]:
    """Who steals in the simulated utility."""
    with ZipFile(ROOT / "data" / "sample.zip") as archive:
        return {row["client_id"] for row in csv.DictReader(io.TextIOWrapper(archive.open("thefts.csv"), "utf-8"))}


def visit(store: Store, score: Score, truth: set[str], day: date, is_random: bool) -> None:
    if score.client_id == SHOWN_CLIENT or store.open_case_of(score.client_id) is not None or day > date.today():
        return
    outcome = "confirmed" if score.client_id in truth else "cleared"
    case = store.open_case(score.client_id, "anna", "On the list.", assignee="otto", is_random=is_random)
    case = store.move_case(case.case_id, "inspecting", "otto", "Going there.", version=case.version)
    found = score.recovery if outcome == "confirmed" else None
    store.record_inspection(
        case.case_id, outcome, day, "otto", version=case.version,
        recovered_kwh=found and round(found.kwh), recovered_value=found and found.value and round(found.value),
    )  # fmt: skip


# --- pictures ---------------------------------------------------------------------------------------------------------


def taken(url: str, pages: dict[str, str], out: Path) -> list[str]:
    """Takes every picture; what a page complained of."""
    wrong = []
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program(), args=["--no-sandbox", "--disable-gpu"])
        for theme in THEMES:
            for window, size in WINDOWS.items():
                context = browser.new_context(viewport=size, color_scheme=theme)
                for name, address in pages.items():
                    place = out / f"{name}-{theme}-{window}.png"
                    wrong += picture(
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


def picture(context, url: str, address: str, place: Path) -> list[str]:
    """One picture, unless there is no such page; what it complained of."""
    page, wrong = context.new_page(), []
    page.set_default_timeout(60_000)
    page.on("console", lambda said: wrong.append(f"{address}: {said.text}") if said.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(f"{address}: {error}"))
    page.on("request", lambda asked: None if asked.url.startswith((url, "data:", "blob:")) else wrong.append(asked.url))
    answer = page.goto(url + address)
    is_there = answer.status == 200 or address.endswith("nothing")
    if is_there:
        page.wait_for_function("!document.querySelector('[data-chart]:not(.drawn)')")
        page.wait_for_timeout(400)
        if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
            wrong.append(f"{address} is wider than {page.viewport_size['width']} pixels")
        page.screenshot(path=place, full_page=place.stem not in README)
    page.close()
    return wrong if answer.status == 200 else []


if __name__ == "__main__":
    sys.exit(main())
