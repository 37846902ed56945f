"""How long the store takes with a whole utility in it.

    python benchmarks/store.py                                        a new SQLite file, 135,000 simulated clients
    python benchmarks/store.py --url postgresql://user@host/name      PostgreSQL, in a schema of its own that is dropped
    python benchmarks/store.py --clients 20000 --pages 50             smaller
    python benchmarks/store.py --bare                                 without invoices and what clients of a place use
    python benchmarks/store.py --clients 20000 --readings 1000000     and what the live page asks for, of so many

In:  nothing: scores, reasons and consumption are drawn at random, as large as real ones.
Out: a table: seconds to load, milliseconds of list pages (median and slowest), of one profile, of the counts of the
     dashboard. The seconds are this machine's; beside those to load stands what our own process worked in them, which
     other work on the machine does not lengthen.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from time import perf_counter, process_time
from zoneinfo import ZoneInfo

import numpy as np
from rich.console import Console
from rich.table import Table as Grid

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # else Python looks for rooms in benchmarks/ only

from fraud.alerts import read_rules
from fraud.bands import bands_of
from fraud.records import SEVERITIES, Explanation, QualityFlag, Reason, Recovery, Score, Table
from fraud.store import Around, Series, Store, ledgers_of
from fraud.web.pages.live import shown

ROOT = Path(__file__).resolve().parents[1]
N_CLIENTS, N_REGIONS, N_MONTHS, N_INVOICES = 135_000, 24, 60, 20
SEED = 1
SHARES = (0.002, 0.01, 0.05, 0.938)  # of clients, by severity, the gravest first
SCHEMA = "fairmeter_benchmark"
FILTERS = ({}, {"region": 101.0}, {"category": 12.0}, {"severity": "high"}, {"id_prefix": "client_9"})
FILTERS += ({"reason_group": "the meter"}, {"onset_since": date(2026, 6, 1)})


def main() -> int:
    options = parsed()
    with place(options.url) as url:
        store = Store(url)
        store.migrate()
        rows = [
            *loads(store, options.clients, options.bare),
            *pages(store, options.pages),
            *single(store, options.pages),
        ]
        if options.readings:
            rows += live(store, options.clients, options.readings)
        store.close()
    grid = Grid("what", "median", "slowest", title=f"{options.clients:,} clients, {store.url.get_backend_name()}")
    for row in rows:
        grid.add_row(*row)
    Console().print(grid)
    return 0


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", help="of PostgreSQL; without it a new SQLite file")
    parser.add_argument("--clients", type=int, default=N_CLIENTS)
    parser.add_argument("--pages", type=int, default=100, help="of each kind")
    parser.add_argument("--readings", type=int, default=0, help="hourly ones, over the last four weeks")
    parser.add_argument("--bare", action="store_true", help="neither invoices nor what clients of a place use")
    return parser.parse_args()


@contextmanager
def place(url: str | None) -> Iterator[str]:
    """An empty database: a file in a folder that is removed, or a schema that is dropped."""
    if url is None:
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{folder}/store.db"
        return
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        connection.execute(f"CREATE SCHEMA {SCHEMA}")
        try:
            yield f"{url}?options=-csearch_path%3D{SCHEMA}"
        finally:
            connection.execute(f"DROP SCHEMA {SCHEMA} CASCADE")


# --- what is measured -------------------------------------------------------------------------------------------------


def loads(store: Store, n_clients: int, is_bare: bool) -> list[tuple[str, str, str]]:
    """The first run, and the same clients scored again: with invoices, and what clients of a place use, or without."""
    rules = read_rules(ROOT / "data" / "alerts.toml")
    clients, scores, facts, series = utility(n_clients)
    invoices, taken = invoices_of(n_clients), []
    for _ in range(2):
        start, busy = perf_counter(), process_time()
        told = {"clients": clients, "facts": facts, "series": series}
        if not is_bare:
            told |= {"ledgers": ledgers_of(clients["client_id"], invoices), "around": Around(bands_of(clients, series))}
        store.write_run(scores, "2026.11.1", rules, **told)
        taken.append((f"{perf_counter() - start:.1f} s", f"{process_time() - busy:.1f} s of a processor"))
    return [("write_run, first", *taken[0]), ("write_run, again", *taken[1])]


def pages(store: Store, n: int) -> list[tuple[str, str, str]]:
    """Pages of 50 rows, each after the one before."""
    lists = {
        f"clients by {sort}{''.join(f', {name} {value}' for name, value in filters.items())}": (sort, filters)
        for sort in ("score", "severity", "recovery", "scored", "id")
        for filters in FILTERS
    }
    lists["clients by recovery, a small region"] = ("recovery", {"region": 999.0})
    rows = [
        timed(what, n, walk(lambda after, s=sort, f=filters: store.list_profiles(sort=s, after=after, **f)))
        for what, (sort, filters) in lists.items()
    ]
    for sort in ("severity", "raised", "id"):
        rows.append(timed(f"alerts by {sort}", n, walk(lambda after, s=sort: store.list_alerts(sort=s, after=after))))
    return rows


def single(store: Store, n: int) -> list[tuple[str, str, str]]:
    ids = iter(np.random.default_rng(SEED).permutation(store.count_profiles()).tolist())
    whats = {
        "one profile": lambda: store.find_profile(f"client_{next(ids)}"),
        "neighbours of a client": lambda: store.neighbours_of(f"client_{next(ids)}"),
        "clients in a region, counted": lambda: store.count_profiles(region=101.0),
        "clients by severity, counted": store.count_severities,
        "hot spots": store.hot_spots,
        "alerts by severity, counted": store.count_alerts,
        "the 5,000 highest scores": store.stored_scores,
    }
    return [timed(what, min(n, 10), do) for what, do in whats.items()]


def live(store: Store, n_clients: int, n_readings: int) -> list[tuple[str, str, str]]:
    """Readings kept an hour of some meters at a time, and the queries of a page that shows what came."""
    now, n_hours = datetime.now(UTC).replace(minute=0, second=0, microsecond=0), 28 * 24
    n_meters, start, busy = min(-(-n_readings // n_hours), n_clients), perf_counter(), process_time()
    for hour in reversed(range(n_hours)):
        at = now - timedelta(hours=hour)
        store.add_readings([(f"client_{i}", at.replace(tzinfo=None), 0.5) for i in range(n_meters)], at)
    told = (f"{perf_counter() - start:.1f} s", f"{process_time() - busy:.1f} s of a processor")
    day, past = now - timedelta(days=1), now - timedelta(days=28)
    whats = {
        "newest batches": store.newest_batches,
        "readings by minute, an hour": lambda: store.came_by_minute(now - timedelta(hours=1)),
        "readings by hour, four weeks": lambda: store.came_by_hour(past),
        "alerts by hour, four weeks": lambda: store.raised_by_hour(past),
        "what became of a day's readings": lambda: store.tally(day),
        "the last refusal": lambda: store.last_refusal(past),
        "all that the live page shows": lambda: shown(store, ZoneInfo("Africa/Tunis"), ""),
    }
    return [(f"{store.count_readings():,} readings kept", *told), *(timed(what, 20, do) for what, do in whats.items())]


def walk(page: Callable) -> Callable[[], None]:
    """One page more at each call, from the first again after the last."""
    after = [None]

    def step() -> None:
        after[0] = page(after[0]).next

    return step


def timed(what: str, n: int, do: Callable[[], object]) -> tuple[str, str, str]:
    taken = []
    for _ in range(n):
        start = perf_counter()
        do()
        taken.append(1000 * (perf_counter() - start))
    return what, f"{np.median(taken):.1f} ms", f"{max(taken):.1f} ms"


# --- a utility --------------------------------------------------------------------------------------------------------


def utility(n: int) -> tuple[Table, list[Score], list[dict], dict[str, Series]]:
    """Clients, scores as large as real ones, facts and five years of months."""
    draw = np.random.default_rng(SEED)
    ids = [f"client_{i}" for i in range(n)]
    region = 100.0 + draw.integers(1, N_REGIONS + 1, n)
    region[:20] = 999.0
    clients = {
        "client_id": np.array(ids, dtype=object), "category": draw.choice([11.0, 12.0, 51.0], n, p=[0.9, 0.05, 0.05]),
        "region": region, "district": draw.choice([60.0, 62.0, 63.0, 69.0], n),
        "created_on": np.datetime64("1990-01-01") + draw.integers(0, 9000, n),
        "latitude": draw.uniform(36.0, 36.5, n), "longitude": draw.uniform(10.0, 10.5, n),
    }  # fmt: skip
    severities = draw.choice(SEVERITIES, n, p=SHARES).tolist()
    probability, kwh = draw.beta(1, 12, n).tolist(), draw.gamma(2, 400, n).tolist()
    scores = [score(*of_client) for of_client in zip(ids, probability, severities, kwh, strict=True)]
    facts = [{"fall_90_days_share": p, "spike_ratio": 1 + p} for p in probability]
    months = draw.gamma(4, 60, (n, N_MONTHS)).astype(np.float32)
    series = {id_: Series("month", date(2021, 11, 1), kwh) for id_, kwh in zip(ids, months, strict=True)}
    return clients, scores, facts, series


def invoices_of(n: int) -> Table:
    """Twenty invoices of each client, one every four months."""
    draw, rows = np.random.default_rng(SEED), n * N_INVOICES
    columns = {
        "client": np.repeat(np.arange(n), N_INVOICES), "energy": np.zeros(rows, np.int8),
        "invoice_on": np.tile(np.datetime64("2020-01-24") + 122 * np.arange(N_INVOICES), n),
        "months": np.full(rows, 4.0), "coefficient": np.ones(rows),
        "meter_id": np.repeat(np.arange(n) + 1e6, N_INVOICES),
        "new_index": draw.integers(500, 99_999, rows).astype(np.float64),
    }  # fmt: skip
    levels = {f"consumption_level_{i}": draw.gamma(2, 200, rows) for i in (1, 2, 3, 4)}
    return columns | levels | {"old_index": columns["new_index"] - 500.0}


def score(client_id: str, probability: float, severity: str, kwh: float) -> Score:
    text = f"Electricity fell 62 % after March 2014, from {kwh:.0f} to 156 kWh a month; clients like it fell 4 %."
    first = int(kwh) % 7
    onset_on = f"2026-{1 + int(kwh) % 12:02d}-05" if first < 2 else None
    groups = ("fall in consumption", "level of consumption", "the meter", "reader's remarks", "place", "tariff", "age")
    return Score(
        client_id, probability, severity, 0.5,
        tuple(Reason(group, probability / 7, text) for group in groups[first:] + groups[:first]),
        (QualityFlag("short_history", 1, "Invoices of less than a year: 1."),), onset_on, 0.05,
        (Explanation("vacant home", "does not fit", "Consumption went on at a lower level."),),
        Recovery(kwh, kwh / 2, kwh * 2, 24.0, "Own level of the year before, over 24 months."), "watch",
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
