"""Time the store with a whole utility in it.

    python -m benchmarks.speed.store                            a new SQLite file, 135,000 simulated clients
    python -m benchmarks.speed.store --url postgresql://USER@HOST/NAME    PostgreSQL, in a schema that is dropped
    python -m benchmarks.speed.store --clients 20000 --pages 50           smaller
    python -m benchmarks.speed.store --bare                     without invoices and the consumption of peers
    python -m benchmarks.speed.store --clients 20000 --readings 1000000   the queries of the live page, too
    python -m benchmarks.speed.store --clients 200000 --copies 24 --bare --once --url ...
                                                                five million clients, copied inside PostgreSQL

In:  nothing: scores, reasons and consumption are random, of realistic size.
Out: a table: seconds to load, with the processor seconds of our own process; milliseconds (fastest, median, slowest)
     of list pages, a profile, the dashboard's counts, and pages served by gunicorn. Other load on the machine
     lengthens them, so the fastest is the most telling.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from time import perf_counter, process_time
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy import text

from benchmarks.helpers.servers import LONGEST_START, Connection, got, served
from fairmeter.analysis.peer_consumption import consumption_bands
from fairmeter.analysis.shared_traits import shared_traits
from fairmeter.casework.alert_rules import read_rules
from fairmeter.core.types import SEVERITIES, HarmlessCause, QualityFlag, Reason, RecoveryEstimate, Score, Table
from fairmeter.store import ReferenceData, Series, Store, invoice_histories
from fairmeter.store.engine import schema
from fairmeter.web.http import sessions
from fairmeter.web.http.auth import VIEWER
from fairmeter.web.pages.live import live_context

ROOT = Path(__file__).resolve().parents[2]
N_CLIENTS, N_REGIONS, N_MONTHS, N_INVOICES = 135_000, 24, 60, 20
THRESHOLD, BEHIND = 0.2, 40  # of the score: one client in fifteen is suspected; clients of a transformer
EXPLAINED = 0.4  # score from which a client of --bare has reasons: few do, as in a list of score.py
LINE = "{:<55}{:>12}{:>12}{:>24}"
DIGITS, NEW = 8, "new_"  # of a client's number in its id; how ids begin of those that are written beside copies
SEED = 1
SHARES = (0.002, 0.01, 0.05, 0.938)  # of clients, by severity, the gravest first
SCHEMA = "fairmeter_benchmark"
FILTERS = ({}, {"region": 101.0}, {"category": 12.0}, {"severity": "high"}, {"id_prefix": "client_00001"})
Row = tuple[str, str, str, str]  # what; fastest, median, slowest
ADDRESSES = ("/desk/", "/desk/list", "/desk/list?visits=200", "/desk/list?show=all", "/desk/list?show=all&region=101")
ADDRESSES += ("/desk/list?false_alarms=0.5", "/desk/map", "/desk/map?region=101", "/desk/map?near=1&lat=36.2&lon=10.2")
ADDRESSES += ("/desk/map?onset_since=2026-06-01", "/desk/list?show=all&sort=scored&reason_group=the+meter")
ADDRESSES += ("/desk/client/client_00000007", "/desk/cases", "/desk/live", "/desk/model", "/dashboard")
ADDRESSES += ("/clients?sort=recovery",)
FILTERS += ({"reason_group": "the meter"}, {"onset_since": date(2026, 6, 1)})


def main() -> int:
    options = parsed()
    with place(options.url, options.stay) as url:
        store = Store(url)
        store.migrate()
        print(LINE.format("what", "fastest", "median", "slowest"))
        for row in measured(store, options):
            print(LINE.format(*row), flush=True)  # a long night's figures are not lost with its end
        print(f"{store.count_profiles():,} clients, {store.url.get_backend_name()}")
        store.close()
    return 0


def measured(store: Store, options: argparse.Namespace) -> Iterator[Row]:
    if not store.count_profiles():
        yield from loads(store, options)
    yield from pages(store, options.pages)
    yield from single(store, options.pages)
    if options.readings:
        yield from live(store, options.clients, options.readings)
    yield from seen(store, options.pages)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", help="of PostgreSQL; without it a new SQLite file")
    parser.add_argument("--clients", type=int, default=N_CLIENTS)
    parser.add_argument("--pages", type=int, default=100, help="of each kind")
    parser.add_argument("--readings", type=int, default=0, help="hourly ones, over the last four weeks")
    parser.add_argument("--bare", action="store_true", help="no invoices, peers, and reasons of the first alone")
    parser.add_argument("--once", action="store_true", help="load once; the second time writes over what is there")
    parser.add_argument("--copies", type=int, default=0, help="PostgreSQL makes of all that was loaded (0)")
    parser.add_argument(
        "--stay", action="store_true", help="leave what is loaded (with --url), or measure what is left"
    )
    return parser.parse_args()


@contextmanager
def place(url: str | None, stays: bool) -> Iterator[str]:
    """An empty database: a file in a folder that is removed, or a schema that is dropped unless it stays."""
    if url is None:
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{folder}/store.db"
        return
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        if not stays:
            connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
    try:
        yield f"{url}?options=-csearch_path%3D{SCHEMA}"
    finally:
        if not stays:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(f"DROP SCHEMA {SCHEMA} CASCADE")


# --- what is measured -------------------------------------------------------------------------------------------------


def loads(store: Store, options: argparse.Namespace) -> Iterator[Row]:
    """The first run, and the same clients scored again: with invoices, and what clients of a place use, or without.

    With copies also as many new clients, beside all of them.
    """
    yield written(store, "write_run, first", options)
    if not options.once:
        yield written(store, "write_run, again", options)
    if options.copies:
        yield copied(store, options.clients, options.copies)
        yield written(store, "write_run, as many more", options, NEW)


def written(store: Store, what: str, options: argparse.Namespace, prefix: str = "client_") -> Row:
    """What it takes, without drawing them."""
    clients, scores, facts, series = utility(options.clients, options.bare, prefix)
    invoices, start, busy = None if options.bare else invoices_of(options.clients), perf_counter(), process_time()
    tables = {"clients": clients, "facts": facts, "series": series}
    if invoices is not None:
        tables |= {
            "invoice_histories": invoice_histories(clients["client_id"], invoices),
            "reference": ReferenceData(consumption_bands(clients, series)),
            "traits": shared_traits(clients["client_id"], invoices),
        }
    store.write_run(scores, "2026.11.1", read_rules(ROOT / "data" / "alerts.toml"), **tables)
    return what, f"{perf_counter() - start:.1f} s", "", f"{process_time() - busy:.1f} s of a processor"


def copied(store: Store, n: int, times: int) -> Row:
    """Rows of all clients once more under other ids, so many times: far faster than writing them from here."""
    start = perf_counter()
    id_ = f"'client_' || lpad((substr(client_id, 8)::int + {n} * i)::text, {DIGITS}, '0')"
    lot = f"('x' || substr(md5({id_}), 1, 8))::bit(32)::bigint >> 1"
    other = {"client_id": id_, "lot": lot, "transformer_id": "transformer_id || '-' || i"}
    for table in (schema.clients, schema.profiles, schema.findings, schema.scores, schema.alerts):
        columns = (one for one in table.columns if one.name != "alert_id" and one.computed is None)
        made = {one.name: one.name for one in columns}
        made |= {name: value for name, value in other.items() if name in made}
        made = f"""INSERT INTO {table.name} ({", ".join(made)}) SELECT {", ".join(made.values())}
            FROM {table.name}, generate_series(1, {times}) AS i"""  # noqa: S608  names of our own
        with store.writing() as connection:
            connection.execute(text(made))
    with store.writing() as connection:
        connection.execute(text("ANALYZE"))
    return "copied by the database", f"{perf_counter() - start:.1f} s", "", ""


def pages(store: Store, n: int) -> Iterator[Row]:
    """Pages of 50 rows, each after the one before."""
    lists = {
        f"clients by {sort}{''.join(f', {name} {value}' for name, value in filters.items())}": (sort, filters)
        for sort in ("score", "severity", "recovery", "scored", "id")
        for filters in FILTERS
    }
    lists["clients by recovery, a small region"] = ("recovery", {"region": 999.0})
    for what, (sort, filters) in lists.items():
        yield timed(what, n, walk(lambda after, s=sort, f=filters: store.list_profiles(sort=s, after=after, **f)))
    for sort in ("severity", "raised", "id"):
        yield timed(f"alerts by {sort}", n, walk(lambda after, s=sort: store.list_alerts(sort=s, after=after)))


def single(store: Store, n: int) -> Iterator[Row]:
    ids, today = iter(store.sample_clients(3 * min(n, 10), "profiles")), datetime.now(UTC).date()
    whats = {
        "one profile": lambda: store.find_profile(next(ids)),
        "neighbours of a client": lambda: store.neighbours_of(next(ids)),
        "relations of a client": lambda: store.relations_of(next(ids), today),
        "clients in a region, counted": lambda: store.count_profiles(region=101.0),
        "clients by severity, counted": store.count_severities,
        "hot spots": store.count_by_region,
        "alerts by severity, counted": store.count_alerts,
        "the 5,000 highest scores": store.stored_scores,
        "codes to filter by": store.list_codes,
        "two clients drawn at random": lambda: store.sample_clients(2, "a week"),
        "scores from each of 700 steps, counted": lambda: store.count_at_least(np.linspace(1, 0, 700)),
        "scores by steps, counted": lambda: store.count_scores(100),
    }
    for what, do in whats.items():
        yield timed(what, min(n, 10), do)


def live(store: Store, n_clients: int, n_readings: int) -> Iterator[Row]:
    """Readings kept an hour of some meters at a time, and the queries of a page that shows what came."""
    now, n_hours = datetime.now(UTC).replace(minute=0, second=0, microsecond=0), 28 * 24
    n_meters, start, busy = min(-(-n_readings // n_hours), n_clients), perf_counter(), process_time()
    for hour in reversed(range(n_hours)):
        at = now - timedelta(hours=hour)
        store.add_readings([(f"client_{i}", at.replace(tzinfo=None), 0.5) for i in range(n_meters)], at)
    row = (f"{perf_counter() - start:.1f} s", "", f"{process_time() - busy:.1f} s of a processor")
    day, past = now - timedelta(days=1), now - timedelta(days=28)
    whats = {
        "newest batches": store.newest_batches,
        "readings by minute, an hour": lambda: store.new_readings_by_minute(now - timedelta(hours=1)),
        "readings by hour, four weeks": lambda: store.new_readings_by_hour(past),
        "alerts by hour, four weeks": lambda: store.alerts_by_hour(past),
        "what became of a day's readings": lambda: store.ingestion_totals(day),
        "the last refusal": lambda: store.last_rejection(past),
        "all that the live page shows": lambda: live_context(store, ZoneInfo("Africa/Tunis"), ""),
    }
    yield f"{store.count_readings():,} readings kept", *row
    for what, do in whats.items():
        yield timed(what, 20, do)


def seen(store: Store, n: int) -> Iterator[Row]:
    """Pages as a browser gets them, from one gunicorn worker."""
    key, key_hash = sessions.new_key()
    store.add_key(f"benchmark {datetime.now(UTC)}", key_hash, VIEWER)
    url = store.url.set(drivername=store.url.get_backend_name()).render_as_string(hide_password=False)
    with served("predict:app", DATABASE_URL=url, LOG_LEVEL="ERROR") as server:
        for path in ADDRESSES:
            with Connection(server.port) as asker:
                try:
                    yield timed(f"page {path}", min(n, 10), lambda p=path, a=asker: a.ask(got(p, key)))
                except TimeoutError:
                    yield f"page {path}", "", "", f"no answer within {LONGEST_START:.0f} s"


def walk(page: Callable) -> Callable[[], None]:
    """One page more at each call, from the first again after the last."""
    after = [None]

    def step() -> None:
        after[0] = page(after[0]).next

    return step


def timed(what: str, n: int, do: Callable[[], object]) -> Row:
    taken = []
    for _ in range(n):
        start = perf_counter()
        do()
        taken.append(1000 * (perf_counter() - start))
    return what, *(f"{taken_ms:.1f} ms" for taken_ms in (min(taken), np.median(taken), max(taken)))


# --- a utility --------------------------------------------------------------------------------------------------------


def utility(n: int, is_bare: bool, prefix: str) -> tuple[Table, list[Score], list[dict], dict[str, Series]]:
    """Clients, scores as large as real ones, facts and five years of months."""
    draw = np.random.default_rng(SEED)
    ids = [f"{prefix}{i:0{DIGITS}}" for i in range(n)]
    region = 100.0 + draw.integers(1, N_REGIONS + 1, n)
    region[:20] = 999.0
    clients = {
        "client_id": np.array(ids, dtype=object), "category": draw.choice([11.0, 12.0, 51.0], n, p=[0.9, 0.05, 0.05]),
        "region": region, "district": draw.choice([60.0, 62.0, 63.0, 69.0], n),
        "created_on": np.datetime64("1990-01-01") + draw.integers(0, 9000, n),
        "latitude": draw.uniform(36.0, 36.5, n), "longitude": draw.uniform(10.0, 10.5, n),
        "transformer_id": np.array([f"{prefix}{i // BEHIND}" for i in range(n)], dtype=object),
    }  # fmt: skip
    severities = draw.choice(SEVERITIES, n, p=SHARES).tolist()
    probability, kwh = draw.beta(1, 12, n).tolist(), draw.gamma(2, 400, n).tolist()
    scores = [score(*of_client) for of_client in zip(ids, probability, severities, kwh, strict=True)]
    if is_bare:
        scores = [one if one.probability >= EXPLAINED else replace(one, reasons=()) for one in scores]
    facts = [{"fall_90_days_share": p, "spike_ratio": 1 + p} for p in probability]
    months = draw.gamma(4, 60, (n, N_MONTHS)).astype(np.float32)
    series = {id_: Series("month", date(2021, 11, 1), kwh) for id_, kwh in zip(ids, months, strict=True)}
    return clients, scores, facts, series


def invoices_of(n: int) -> Table:
    """Twenty invoices of each client, one every four months; half of a district is read a day later."""
    draw, rows = np.random.default_rng(SEED), n * N_INVOICES
    visits, is_later = np.datetime64("2020-01-24") + 122 * np.arange(N_INVOICES), np.arange(n) // BEHIND % 2
    columns = {
        "client": np.repeat(np.arange(n), N_INVOICES), "energy": np.zeros(rows, np.int8),
        "invoice_on": np.tile(visits, n) + np.repeat(is_later, N_INVOICES),
        "months": np.full(rows, 4.0), "coefficient": np.ones(rows),
        "meter_id": np.repeat(np.arange(n) + 1e6, N_INVOICES), "meter_code": np.full(rows, 203.0),
        "new_index": draw.integers(500, 99_999, rows).astype(np.float64),
    }  # fmt: skip
    levels = {f"consumption_level_{i}": draw.gamma(2, 200, rows) for i in (1, 2, 3, 4)}
    return columns | levels | {"old_index": columns["new_index"] - 500.0}


def score(client_id: str, probability: float, severity: str, kwh: float) -> Score:
    text = f"Electricity fell 62 % after March 2014, from {kwh:.0f} to 156 kWh a month; clients like it fell 4 %."
    first = int(kwh) % 7
    onset_on = f"2026-{1 + int(kwh) % 12:02d}-05" if probability >= THRESHOLD else None
    groups = ("fall in consumption", "level of consumption", "the meter", "reader's remarks", "place", "tariff", "age")
    return Score(
        client_id, probability, severity, THRESHOLD,
        tuple(Reason(group, probability / 7, text) for group in groups[first:] + groups[:first]),
        (QualityFlag("short_history", 1, "Invoices of less than a year: 1."),), onset_on, 0.05,
        (HarmlessCause("vacant home", "does not fit", "Consumption went on at a lower level."),),
        RecoveryEstimate(kwh, kwh / 2, kwh * 2, 24.0, "Own level of the year before, over 24 months."), "watch",
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
