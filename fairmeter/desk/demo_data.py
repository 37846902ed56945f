"""The demonstration at the desk: `flask --app predict demo` scores a simulated utility into an empty store.

In:  data/sample.zip (docs/data-dictionary.md, "What sample.zip holds"); a scorer; the zone of the clocks.
Out: twelve weeks of work (desk_weeks.py); a run of all its clients, kept as by score.py --store but judged as the desk
     does it, beside no neighbours, with drift where the scorer tells it; four weeks of readings as if they had come
     until now, for what the page Live shows.
"""

import csv
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from io import BytesIO, TextIOWrapper
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple
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
from fairmeter.desk.rescoring import Rescorer, StoredContext
from fairmeter.desk.service import DeskService, ProfileUpdate
from fairmeter.features.readings.covariates import TransformerLosses
from fairmeter.scoring.batches import Scorer, chunks
from fairmeter.scoring.client_tables import read_client_tables
from fairmeter.scoring.payloads import RequestLimits
from fairmeter.scoring.uploads import read_upload
from fairmeter.store import ReferenceData, Store

NO_LIMITS = RequestLimits(*[sys.maxsize] * 4)
N_HOURLY, N_DAILY = 60, 60  # meters whose readings came of late
CAME = timedelta(weeks=4)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
HOURLY_AFTER, DAILY_AFTER = (0.0, 1.0), (1.0, 4.0)  # hours after what was counted, until it comes: days come by night
SELDOM, LATEST = 1 / 40, 5 * HOUR  # the share of readings that come later, and how much at most
SEED = 1
Came = tuple[datetime, str, datetime, float]  # when it came (UTC); client, when it was read (clock there), kWh


class DriftHooks(NamedTuple):
    """How far clients are from those that the model learnt from. [add: tables of some clients; told: of all of them]"""

    add: Callable[[Any], None]
    told: Callable[[], Mapping]


def load_demo(
    keeping: DeskService, scorer: Scorer, path: Path, zone: ZoneInfo, drifting: DriftHooks | None = None
) -> int:
    """Scores the simulated utility into a store that holds no client; how many clients. Raises OSError, StoreError.

    Some 25 s and 0.6 GB, so in a process of its own: a worker would not give the memory back.
    """
    if keeping.store.count_profiles():
        return 0
    with ZipFile(path) as archive:
        files = {name: BytesIO(archive.read(f"{name}.csv")) for name in ("clients", "invoices", "readings")}
        measured = transformers_from_records(
            *(_rows_of(archive, name) for name in ("transformer_totals", "transformers"))
        )
        weather, thefts = _weather_of(_rows_of(archive, "weather")), _rows_of(archive, "thefts")
    rows, _ = read_upload(files, NO_LIMITS)
    everybody = [StoredContext(*read_client_tables(*map(list, zip(*chunk, strict=True)))) for chunk in chunks(rows)]
    clients, invoices, days = all_of(everybody)
    balances = energy_balances(measured, clients["transformer_id"], days, invoices)
    science, scores, parts, meters = Rescorer(scorer), [], [], []
    for known in beside(everybody, balances.losses):
        of_part, kept = science.judged_together(known)
        scores += of_part
        parts.append(kept)
        meters += meters_of(known)
        if drifting:
            drifting.add(known[:4])
    kept = joined(clients, parts)
    of_others = context_facts(clients, days, balances)
    kept = kept._replace(
        facts=[own | told for own, told in zip(kept.facts, of_others, strict=True)],
        balances=balances.rows,
        reference=ReferenceData(consumption_bands(kept.clients, kept.series), weather),
    )
    thieves = demo_history.thieves_of(thefts, np.datetime64(int(days.day.max()), "D").item())
    demo_history.play(keeping, scores, kept, thieves, zone)
    keeping.write(scores, kept, is_run=True, drift=drifting and drifting.told())
    demo_history.plan_this_week(keeping)
    bring(keeping.store, meters, datetime.now(UTC), zone)
    return len(scores)


def _rows_of(archive: ZipFile, name: str) -> list[dict[str, str]]:
    with archive.open(f"{name}.csv") as stream, TextIOWrapper(stream, "utf-8-sig", newline="") as text:
        return list(csv.DictReader(text))


def _weather_of(rows: list[dict[str, str]]) -> list[tuple[date, float]]:
    """The mean of all regions, by day."""
    by_day: dict[str, list[float]] = {}
    for row in rows:
        by_day.setdefault(row["measured_on"], []).append(float(row["temperature_c"]))
    return [(date.fromisoformat(day), fmean(degrees)) for day, degrees in by_day.items()]


def joined(clients: Table, parts: Sequence[ProfileUpdate]) -> ProfileUpdate:
    series, histories = (
        {id_: one for part in parts for id_, one in (getattr(part, of) or {}).items()}
        for of in ("series", "invoice_histories")
    )
    facts = [facts for part in parts for facts in part.facts]
    return ProfileUpdate(clients, facts, series, invoice_histories=histories)


def all_of(parts: Sequence[StoredContext]) -> tuple[Table, Table, DailyConsumption]:
    """Clients, invoices and days of all parts, in their order. Without hours, which would take a hundred megabytes."""
    clients, invoices = concatenate_tables([(part.clients, part.invoices) for part in parts])
    days = [DailyConsumption.from_readings(part.readings, len(part.quality)) for part in parts]
    counts, day, kwh = zip(*((of_part.segments.counts, of_part.day, of_part.kwh) for of_part in days), strict=True)
    whole = DailyConsumption(Segments(np.concatenate(counts)), np.concatenate(day), np.concatenate(kwh))
    return clients, invoices, whole


def firsts_of(parts: Sequence[StoredContext]) -> list[int]:
    """The place among all clients of each part's first."""
    sizes = [len(part.quality) for part in parts]
    return (np.cumsum(sizes) - sizes).tolist()


def beside(parts: Sequence[StoredContext], losses: TransformerLosses | None) -> Iterator[StoredContext]:
    """Each part beside what its clients' transformers lost. [losses: of all clients]"""
    for part, first in zip(parts, firsts_of(parts), strict=True):
        yield part._replace(losses=losses and losses.for_clients(slice(first, first + len(part.quality))))


# --- readings as they come --------------------------------------------------------------------------------------------


class SimulatedMeter(NamedTuple):
    """What a smart meter counted in its last weeks. [read_at: datetime64[m], by its clock; kwh: (n,)]"""

    client_id: str
    read_at: np.ndarray
    kwh: np.ndarray

    @property
    def is_hourly(self) -> bool:
        return len(self.read_at) > 1 and bool(np.diff(self.read_at).min() < DAY)


def meters_of(known: StoredContext) -> list[SimulatedMeter]:
    """The clients' meters, as far as they were read in the last weeks before the newest reading among them."""
    owner, read_at, kwh = (known.readings[name] for name in ("client", "read_at", "consumption_kwh"))
    is_late = read_at >= read_at.max(initial=np.datetime64(0, "m")) - CAME
    owner, read_at, kwh = owner[is_late], read_at[is_late], kwh[is_late]
    firsts = np.searchsorted(owner, np.arange(len(known.quality) + 1)).tolist()
    parts = zip(known.clients["client_id"].tolist(), firsts, firsts[1:], strict=False)
    return [SimulatedMeter(client_id, read_at[a:b], kwh[a:b]) for client_id, a, b in parts if b > a]


def bring(store: Store, meters: Sequence[SimulatedMeter], now: datetime, zone: ZoneInfo) -> None:
    """Keeps the readings of some meters as they would have come until now, moved to the weeks before today.

    Nothing is judged by them: between what the clients were scored by and today lie years without a reading.
    """
    hourly, daily = ([m for m in meters if m.is_hourly is kind] for kind in (True, False))
    last_on = max((meter.read_at[-1] for meter in meters), default=None)
    if last_on is None:
        return
    today = np.datetime64(now.astimezone(zone).date(), "D")
    shift, draw = today - last_on.astype("datetime64[D]"), np.random.default_rng(SEED)
    came: list[Came] = []
    for chosen, step, wait in ((hourly[:N_HOURLY], HOUR, HOURLY_AFTER), (daily[:N_DAILY], DAY, DAILY_AFTER)):
        for meter in chosen:
            came += as_they_came(
                meter._replace(read_at=meter.read_at + shift), step + draw.uniform(*wait) * HOUR, zone, draw
            )
    for _, some in groupby(
        sorted(one for one in came if now - CAME < one[0] <= now), lambda one: together(one[0], now)
    ):
        rows = list(some)
        store.add_readings([row[1:] for row in rows], rows[-1][0])


def as_they_came(meter: SimulatedMeter, after: timedelta, zone: ZoneInfo, draw: np.random.Generator) -> list[Came]:
    """Each reading so long after what it counts began, and now and then hours later."""
    late = np.where(draw.random(len(meter.kwh)) < SELDOM, draw.random(len(meter.kwh)), 0.0).tolist()
    return [
        ((read_at + after + share * LATEST).replace(tzinfo=zone).astimezone(UTC), meter.client_id, read_at, kwh)
        for read_at, kwh, share in zip(meter.read_at.tolist(), meter.kwh.tolist(), late, strict=True)
    ]


def together(at: datetime, now: datetime) -> datetime:
    """The moment that stands for all that are kept at once: those of an hour, of the last hour those of a minute."""
    return at.replace(second=0, microsecond=0) if now - at < HOUR else at.replace(minute=0, second=0, microsecond=0)
