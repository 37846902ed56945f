"""The four simulated clients of the demonstration: their data up to any day, and with an added theft.

In:  the simulated utility's zip (docs/data-dictionary.md, "What sample.zip holds").
Out: Scenario; RawClient as in /predict, up to a day, or with a share of the consumption not registered.
"""

import csv
import io
from collections.abc import Iterator
from datetime import date, timedelta
from functools import lru_cache
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile

from fairmeter.core.calendar import EXACT_DAYS_PER_MONTH
from fairmeter.core.paths import SAMPLE
from fairmeter.scoring.payloads import RawClient

CLIENT_IDS = ("demo-normal", "demo-sudden-spike", "demo-gradual-theft", "demo-meter-tampering")
PREFIX = "demo-"  # of the first clients of every file; rows after them are not read
N_WEEKS, N_DAYS = 50, 14  # steps of a week, then of a day at the end, where the spike is
LEVELS = tuple(f"consumption_level_{n}" for n in (1, 2, 3, 4))


class Scenario(NamedTuple):
    """A client with all its invoices and readings. [onset_on: first day of its change, None for the honest client]"""

    client: dict[str, str]
    invoices: list[dict[str, str]]
    readings: list[dict[str, str]]
    onset_on: date | None

    @property
    def last_on(self) -> date:
        return date.fromisoformat(self.readings[-1]["read_at"][:10])


@lru_cache(maxsize=2)  # the one shown and the honest one; a scenario takes a megabyte
def load_scenario(client_id: str, path: Path = SAMPLE) -> Scenario:
    """Read a scenario from the sample. Raises OSError, KeyError for an unknown client."""
    if client_id not in CLIENT_IDS:
        raise KeyError(client_id)
    with ZipFile(path) as archive:
        client, *_ = _rows_of(archive, "clients", client_id)
        invoices = list(_rows_of(archive, "invoices", client_id))
        readings = list(_rows_of(archive, "readings", client_id))
        onsets = [date.fromisoformat(theft["onset_on"]) for theft in _rows_of(archive, "thefts", client_id)]
    del client["label"]
    return Scenario(client, invoices, readings, next(iter(onsets), None))


def _rows_of(archive: ZipFile, name: str, client_id: str) -> Iterator[dict[str, str]]:
    """Yield a client's rows of a table, reading no further than the demonstration's clients."""
    with io.TextIOWrapper(archive.open(f"{name}.csv"), "utf-8", newline="") as lines:
        of_demo = takewhile(lambda row: row["client_id"].startswith(PREFIX), csv.DictReader(lines))
        yield from (row for row in of_demo if row["client_id"] == client_id)


def shown_days(last_on: date) -> list[date]:
    """The days on which a scenario is shown, in order."""
    weeks = [last_on - timedelta(days=N_DAYS, weeks=n) for n in reversed(range(N_WEEKS))]
    return weeks + [last_on - timedelta(days=n) for n in reversed(range(N_DAYS))]


def client_until(scenario: Scenario, day: date) -> RawClient:
    """The client with its invoices and readings up to the end of a day."""
    last = day.isoformat()
    invoices = [row for row in scenario.invoices if row["invoice_on"] <= last]
    return RawClient(scenario.client, invoices, [row for row in scenario.readings if row["read_at"][:10] <= last])


def daily_consumption(scenario: Scenario) -> dict[str, float]:
    """Consumption by day, summed over readings. [kWh]"""
    kwh: dict[str, float] = {}
    for row in scenario.readings:
        day = row["read_at"][:10]
        kwh[day] = kwh.get(day, 0.0) + float(row["consumption_kwh"])
    return {day: round(value, 3) for day, value in kwh.items()}


# --- a theft ----------------------------------------------------------------------------------------------------------


def with_theft(scenario: Scenario, share: float, since: date) -> RawClient:
    """The same client with a share of its consumption not registered from a day on, in readings and invoices."""
    first = since.isoformat()
    readings = [
        row | {"consumption_kwh": round(float(row["consumption_kwh"]) * (1 - share), 3)}
        if row["read_at"] >= first
        else row
        for row in scenario.readings
    ]
    return RawClient(scenario.client, _underregistered(scenario.invoices, share, since), readings)


def _underregistered(invoices: list[dict], share: float, since: date) -> list[dict]:
    """Invoices of a meter that misses a share: lower consumption levels and a lagging index."""
    missed, registered = 0.0, []
    for row in invoices:
        period = float(row["months"]) * EXACT_DAYS_PER_MONTH
        after = (date.fromisoformat(row["invoice_on"]) - since).days
        lost = share * min(max(after / period, 0.0), 1.0)
        levels = {name: round(float(row[name]) * (1 - lost)) for name in LEVELS}
        less = sum(float(row[name]) - levels[name] for name in LEVELS) / float(row["coefficient"])
        index = {"old_index": round(float(row["old_index"]) - missed)}
        missed += less
        registered.append(row | levels | index | {"new_index": round(float(row["new_index"]) - missed)})
    return registered
