"""Time until a browser shows the dashboard of a whole utility.

    python -m benchmarks.ui.pages [--clients N] [--url URL]

In:  the service as delivered, with one worker, over a new database filled as by benchmarks/speed/store.py; Chromium.
Out: seconds from the click on "Sign in" until the overview can be used and its charts are drawn; the same of the list
     and of the next page of all clients; the worker's memory at the start, after these pages and after photos.
     Fastest, median, slowest: other load on the machine lengthens them, so the fastest is the most telling.
"""

import argparse
import base64
import json
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from time import perf_counter, sleep

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from rich.console import Console
from rich.table import Table as Grid

from benchmarks.helpers.servers import Connection, Server, machine_now, posted, served
from benchmarks.speed.store import N_CLIENTS, place, written
from benchmarks.ui.screenshots import program
from fairmeter.store import Store
from fairmeter.web.http import sessions
from fairmeter.web.http.auth import INVESTIGATOR
from fairmeter.web.server.worker import TRIM_EVERY

NAME, PASSWORD = "anna", "four words of a poem"
SIZE, N_PHOTOS = (4000, 3000), 3  # pixels: 12 million, as a phone's camera gives
DRAWN = "!document.querySelector('[data-chart]:not(.drawn)')"
WINDOW = {"width": 1440, "height": 900}


def main() -> int:
    options = parsed()
    with place(options.url, stays=False) as url:
        store = Store(url)
        store.migrate()
        written(store, "", argparse.Namespace(clients=options.clients, bare=True))
        store.add_user(NAME, sessions.hash_of_password(PASSWORD), INVESTIGATOR)
        key, key_hash = sessions.new_key()
        store.add_key("benchmark", key_hash, INVESTIGATOR)
        with served("predict:app", DATABASE_URL=url, PHOTOS=str(options.photos), LOG_LEVEL="ERROR") as server:
            memory = {"at the start": server.worker_mb()}
            times = looked_at(server, options.rounds)
            memory["after these pages"] = at_rest(server)
            send_photos(server, store, key)
            memory[f"after {N_PHOTOS} photos of 12 million pixels as JSON"] = at_rest(server)
        store.close()
    memory = {when: round(megabytes, 1) for when, megabytes in memory.items()}
    figures = {"clients": options.clients, "database": url.partition(":")[0], "seconds": times, "megabytes": memory}
    if options.out:
        options.out.write_text(json.dumps({"machine": machine_now(), **figures}, indent=1) + "\n")
    show(figures)
    return 0


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=N_CLIENTS)
    parser.add_argument("--url", help="of PostgreSQL; without it a new SQLite file")
    parser.add_argument("--rounds", type=int, default=5, help="each in a fresh browser window (5)")
    parser.add_argument("--photos", type=Path, default=Path("/tmp/fairmeter-photos"), help="folder of the photos")  # noqa: S108
    parser.add_argument("--out", type=Path, help="the figures as JSON too")
    return parser.parse_args()


# --- a browser --------------------------------------------------------------------------------------------------------


def looked_at(server: Server, rounds: int) -> dict[str, list[float]]:
    """What each page took, round by round. [seconds]"""
    times: dict[str, list[float]] = {}
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program(), args=["--no-sandbox", "--disable-gpu"])
        for _ in range(rounds):
            for what, seconds in one_round(browser, f"http://127.0.0.1:{server.port}"):
                times.setdefault(what, []).append(round(seconds, 3))
        browser.close()
    return times


def one_round(browser: Browser, url: str) -> list[tuple[str, float]]:
    context = browser.new_context(viewport=WINDOW, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{url}/desk/sign-in")
    page.get_by_label("Name").fill(NAME)
    page.get_by_label("Password").fill(PASSWORD)
    found = [
        ("signing in, until the overview is drawn", timed(page, page.get_by_role("button", name="Sign in").click)),
        ("of that, until it can be read and used", page.evaluate(USABLE) / 1000),
        ("the overview again", timed(page, lambda: page.goto(f"{url}/desk/"))),
        ("the list", timed(page, page.get_by_role("link", name="List", exact=True).click)),
        ("all clients", timed(page, page.get_by_role("link", name="All clients").click)),
        ("the next page of them", timed(page, page.get_by_role("link", name="Next").click)),
        ("of that, until the service had answered", page.evaluate(ANSWERED) / 1000),
    ]
    context.close()
    return found


USABLE = "(([one]) => one.domInteractive)(performance.getEntriesByType('navigation'))"  # signing in counted in
ANSWERED = "(([one]) => one.responseEnd - one.requestStart)(performance.getEntriesByType('navigation'))"


def timed(page: Page, go: Callable[[], object]) -> float:
    """Until the page that this leads to is loaded, and its charts are drawn. [seconds]"""
    start = perf_counter()
    with page.expect_navigation(wait_until="load"):
        go()
    page.wait_for_function(DRAWN)
    return perf_counter() - start


def at_rest(server: Server) -> float:
    """Memory after the worker has given back what it does not use. [10^6 bytes]"""
    sleep(2 * TRIM_EVERY)
    return server.worker_mb()


# --- photos -----------------------------------------------------------------------------------------------------------


def send_photos(server: Server, store: Store, key: str) -> None:
    """A visit with its photos in one JSON, as a script sends it."""
    client_id = store.list_profiles(limit=1).rows[0].client_id
    case = store.open_case(client_id, NAME, "On the list.", assignee=NAME)
    store.move_case(case.case_id, "inspecting", NAME, "Going there.")
    noise = np.random.default_rng(1).integers(0, 255, (SIZE[1] // 8, SIZE[0] // 8, 3), np.uint8)
    stream = BytesIO()
    Image.fromarray(noise).resize(SIZE).save(stream, "JPEG", quality=90)
    photo = base64.b64encode(stream.getvalue()).decode()
    body = {"outcome": "cleared", "inspected_on": "2026-03-02", "photos": [photo] * N_PHOTOS}
    with Connection(server.port) as asker:
        asker.ask(posted(f"/cases/{case.case_id}/inspections", json.dumps(body).encode(), key))


# --- output -----------------------------------------------------------------------------------------------------------


def show(figures: dict) -> None:
    grid = Grid(
        "seconds", "fastest", "median", "slowest", title=f"{figures['clients']:,} clients, {figures['database']}"
    )
    for what, taken in figures["seconds"].items():
        grid.add_row(what, *(f"{value:.2f}" for value in (min(taken), np.median(taken), max(taken))))
    Console().print(grid)
    for what, megabytes in figures["megabytes"].items():
        print(f"{megabytes:.0f} MB for the worker {what}")


if __name__ == "__main__":
    sys.exit(main())
