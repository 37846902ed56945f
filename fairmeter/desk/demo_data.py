"""The demonstration: `flask --app predict demo` scores a simulated utility into an empty store.

In:  data/sample.zip (docs/data-dictionary.md, "What sample.zip holds"); a scorer; the time zone.
Out: twelve weeks of simulated work (demo_history.py); a run of all clients, stored as by score.py --store, but scored
     as the desk does, without neighbours, and with drift if a monitor is given; four weeks of readings up to now.
"""

import csv
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from io import BytesIO, TextIOWrapper
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import NamedTuple
from zipfile import ZipFile
from zoneinfo import ZoneInfo

import numpy as np

from fairmeter.analysis.client_facts import context_facts
from fairmeter.analysis.energy_balance import energy_balances
from fairmeter.analysis.peer_consumption import consumption_bands
from fairmeter.core.segments import Segments
from fairmeter.core.types import Table
from fairmeter.data.daily import DailyConsumption
from fairmeter.data.tables import concatenate_tables
from fairmeter.data.transformers import transformers_from_records
from fairmeter.desk import demo_history
from fairmeter.desk.rescoring import Rescorer, ScoringInputs
from fairmeter.desk.service import DeskService, ProfileUpdate
from fairmeter.features.readings.covariates import TransformerLosses
from fairmeter.scoring.batches import Scorer, chunks
from fairmeter.scoring.client_tables import ClientTables, read_client_tables
from fairmeter.scoring.payloads import RequestLimits
from fairmeter.scoring.run_claims import as_claimed
from fairmeter.scoring.uploads import read_upload
from fairmeter.store import ReferenceData, Store

NO_LIMITS = RequestLimits(*[sys.maxsize] * 5)
N_HOURLY, N_DAILY = 60, 60  # meters with recent readings
RECENT = timedelta(weeks=4)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
HOURLY_DELAY, DAILY_DELAY = (0.0, 1.0), (1.0, 4.0)  # hours between the end of an interval and its receipt
LATE_SHARE, MAX_DELAY = 1 / 40, 5 * HOUR  # of readings that are late, and the longest additional delay
SEED = 1
SLOT = timedelta(minutes=15)
EVERY = 7.0  # seconds; 120 meters then take a quarter of an hour
N_METERS = 120
HOURS_A_DAY = 24
ReceivedReading = tuple[datetime, str, datetime, float]  # received at (UTC), client, read at (local time), kWh


class DriftHooks(NamedTuple):
    """A drift monitor. [add: counts the tables of some clients; measured: the drift of all of them]"""

    add: Callable[[ClientTables], None]
    measured: Callable[[], Mapping]


def load_demo(service: DeskService, scorer: Scorer, path: Path, zone: ZoneInfo, drift: DriftHooks | None = None) -> int:
    """Score the simulated utility into a store without clients; the number of clients. Raises OSError, StoreError.

    It takes about 25 s and 0.6 GB: run it in a process of its own, as a worker would not release the memory.
    """
    if service.store.count_profiles():
        return 0
    with ZipFile(path) as archive:
        files = {name: BytesIO(archive.read(f"{name}.csv")) for name in ("clients", "invoices", "readings")}
        measured = transformers_from_records(
            *(_rows_of(archive, name) for name in ("transformer_totals", "transformers"))
        )
        weather, thefts = _weather_of(_rows_of(archive, "weather")), _rows_of(archive, "thefts")
    rows, _ = read_upload(files, NO_LIMITS)
    parts = [read_client_tables(*map(list, zip(*chunk, strict=True))) for chunk in chunks(rows)]
    clients, invoices, days = concatenate(parts)
    balances = energy_balances(measured, clients["transformer_id"], days, invoices)
    rescorer, scores, updates, meters = Rescorer(scorer), [], [], []
    for inputs in with_losses(parts, balances.losses):
        of_part, update = rescorer.score_new(inputs)
        scores += of_part
        updates.append(update)
        meters += meters_of(inputs.tables)
        if drift:
            drift.add(inputs.tables)
    measured_drift = None
    if drift:
        scores, measured_drift = as_claimed(scores, drift.measured())
    update = concatenate_updates(clients, updates)
    context = context_facts(clients, days, balances)
    update = update._replace(
        facts=[own | from_context for own, from_context in zip(update.facts, context, strict=True)],
        balances=balances.rows,
        reference=ReferenceData(consumption_bands(update.clients, update.series), weather),
    )
    thieves = demo_history.thieves_of(thefts, np.datetime64(int(days.day.max()), "D").item())
    demo_history.play(service, scores, update, thieves, zone)
    service.save_scores(scores, update, is_run=True, drift=measured_drift)
    demo_history.plan_this_week(service)
    add_recent_readings(service.store, meters, datetime.now(UTC), zone)
    return len(scores)


def _rows_of(archive: ZipFile, name: str) -> list[dict[str, str]]:
    with archive.open(f"{name}.csv") as stream, TextIOWrapper(stream, "utf-8-sig", newline="") as text:
        return list(csv.DictReader(text))


def _weather_of(rows: list[dict[str, str]]) -> list[tuple[date, float]]:
    """The mean temperature over all regions, by day. [degrees C]"""
    by_day: dict[str, list[float]] = {}
    for row in rows:
        by_day.setdefault(row["measured_on"], []).append(float(row["temperature_c"]))
    return [(date.fromisoformat(day), fmean(degrees)) for day, degrees in by_day.items()]


def concatenate_updates(clients: Table, parts: Sequence[ProfileUpdate]) -> ProfileUpdate:
    """One update of all parts. [clients: of all parts]"""
    series, histories, traits = (
        {id_: one for part in parts for id_, one in (getattr(part, field) or {}).items()}
        for field in ("series", "invoice_histories", "traits")
    )
    facts = [facts for part in parts for facts in part.facts]
    return ProfileUpdate(clients, facts, series, invoice_histories=histories, traits=traits)


def concatenate(parts: Sequence[ClientTables]) -> tuple[Table, Table, DailyConsumption]:
    """Clients, invoices and days of all parts, in order; without hours, which would take a hundred megabytes."""
    clients, invoices = concatenate_tables([(part.clients, part.invoices) for part in parts])
    days = [DailyConsumption.from_readings(part.readings, len(part.quality)) for part in parts]
    counts, day, kwh = zip(*((of_part.segments.counts, of_part.day, of_part.kwh) for of_part in days), strict=True)
    all_days = DailyConsumption(Segments(np.concatenate(counts)), np.concatenate(day), np.concatenate(kwh))
    return clients, invoices, all_days


def with_losses(parts: Sequence[ClientTables], losses: TransformerLosses | None) -> Iterator[ScoringInputs]:
    """Each part with the losses of its clients' transformers. [losses: of the clients of all parts]"""
    first = 0
    for part in parts:
        rows = slice(first, first + len(part.quality))
        yield ScoringInputs(part, losses=losses and losses.for_clients(rows))
        first = rows.stop


# --- recent readings --------------------------------------------------------------------------------------------------


class SimulatedMeter(NamedTuple):
    """The readings of a smart meter in its last weeks. [read_at: datetime64[m], local time; kwh: (n,)]"""

    client_id: str
    read_at: np.ndarray
    kwh: np.ndarray

    @property
    def is_hourly(self) -> bool:
        return len(self.read_at) > 1 and bool(np.diff(self.read_at).min() < DAY)


def meters_of(tables: ClientTables) -> list[SimulatedMeter]:
    """The clients' meters with their readings of the last weeks before the newest reading of all."""
    owner, read_at, kwh = (tables.readings[name] for name in ("client", "read_at", "consumption_kwh"))
    is_recent = read_at >= read_at.max(initial=np.datetime64(0, "m")) - RECENT
    owner, read_at, kwh = owner[is_recent], read_at[is_recent], kwh[is_recent]
    firsts = np.searchsorted(owner, np.arange(len(tables.quality) + 1)).tolist()
    parts = zip(tables.clients["client_id"].tolist(), firsts, firsts[1:], strict=False)
    return [SimulatedMeter(client_id, read_at[a:b], kwh[a:b]) for client_id, a, b in parts if b > a]


def add_recent_readings(store: Store, meters: Sequence[SimulatedMeter], now: datetime, zone: ZoneInfo) -> None:
    """Store readings of some meters as if received until now, shifted to the weeks before today.

    No client is rescored by them: between its scored data and today lie years without readings.
    """
    hourly, daily = ([m for m in meters if m.is_hourly is kind] for kind in (True, False))
    last_on = max((meter.read_at[-1] for meter in meters), default=None)
    if last_on is None:
        return
    today = np.datetime64(now.astimezone(zone).date(), "D")
    shift, rng = today - last_on.astype("datetime64[D]"), np.random.default_rng(SEED)
    received: list[ReceivedReading] = []
    for some, step, delay in ((hourly[:N_HOURLY], HOUR, HOURLY_DELAY), (daily[:N_DAILY], DAY, DAILY_DELAY)):
        for meter in some:
            shifted = meter._replace(read_at=meter.read_at + shift)
            received += simulate_receipt(shifted, step + rng.uniform(*delay) * HOUR, zone, rng)
    recent = sorted(reading for reading in received if now - RECENT < reading[0] <= now)
    for _, batch in groupby(recent, lambda reading: batch_time(reading[0], now)):
        rows = list(batch)
        store.add_readings([row[1:] for row in rows], rows[-1][0])


def simulate_receipt(
    meter: SimulatedMeter, delay: timedelta, zone: ZoneInfo, rng: np.random.Generator
) -> list[ReceivedReading]:
    """Each reading with its moment of receipt: `delay` after its interval began, for a few up to hours later."""
    late = np.where(rng.random(len(meter.kwh)) < LATE_SHARE, rng.random(len(meter.kwh)), 0.0).tolist()
    return [
        ((read_at + delay + share * MAX_DELAY).replace(tzinfo=zone).astimezone(UTC), meter.client_id, read_at, kwh)
        for read_at, kwh, share in zip(meter.read_at.tolist(), meter.kwh.tolist(), late, strict=True)
    ]


def batch_time(at: datetime, now: datetime) -> datetime:
    """The start of a moment's batch: its minute within the last hour, else its hour."""
    return at.replace(second=0, microsecond=0) if now - at < HOUR else at.replace(minute=0, second=0, microsecond=0)


# --- readings that keep coming ----------------------------------------------------------------------------------------


def feed(store: Store, zone: ZoneInfo, is_over: Callable[[], bool], wait: Callable[[float], object]) -> int:
    """Store a reading every few seconds until it is over; the number stored. Raises StoreError."""
    hourly = usual_hours(store)
    rng, n = np.random.default_rng(SEED), 0
    while hourly and not is_over():
        client_id = list(hourly)[n % len(hourly)]
        now = datetime.now(UTC)
        kwh = round(hourly[client_id] * rng.uniform(0.1, 0.4), 3)
        store.add_readings([(client_id, slot_before(now.astimezone(zone).replace(tzinfo=None)), kwh)], now)
        n += 1
        wait(EVERY)
    return n


def usual_hours(store: Store) -> dict[str, float]:
    """The use in an hour of meters that sent lately, by client id. [kWh; a reading of a day counts as 24 hours]"""
    found = {}
    for batch in store.newest_batches(N_METERS):
        is_daily = batch.last_at.hour == 0 and batch.first_at.hour == 0
        found.setdefault(batch.client_id, batch.kwh / max(batch.n_readings, 1) / (HOURS_A_DAY if is_daily else 1))
    return found


def slot_before(local: datetime) -> datetime:
    """The beginning of the last whole quarter of an hour. [local time]"""
    return local.replace(minute=local.minute // 15 * 15, second=0, microsecond=0) - SLOT
