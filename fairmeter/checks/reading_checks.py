"""Facts about readings: dates, interval lengths, the day's shape, units as they look, registers, estimates.

In:  canonical readings, cleaned (fairmeter/data/readings.py), part by part; each part holds all rows of its clients.
Out: ReadingChecks, equal for any division into parts; findings where a figure looks wrong.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from fairmeter.checks.findings import CheckFinding, CheckLevel
from fairmeter.core.types import Table
from fairmeter.wording.phrases import Phrase

DAY, HOUR = 24 * 60, 60  # minutes
NIGHT = range(7)  # hours among which the least use of homes lies
# Medians of a client's day: no utility's typical client lies outside; kWh that are Wh or MWh do.
FEWEST_KWH, MOST_KWH = 0.2, 500.0
MIN_CLIENTS = 20  # fewer do not show the hour of least use
MIN_PARTS = 12  # readings of a day that show its shape
MIN_READINGS = 24  # of a client, before it can look like a register
REGISTER_SHARE = 0.8  # of the clients
MANY_ESTIMATED = 0.5


@dataclass
class ReadingChecks:
    """Facts about readings, added up over parts.

    lengths: readings by minutes to the next of their client; hours: kWh by hour of day; daily_kwh: mean kWh a day by
    client with known readings.
    """

    n: int = 0
    n_missing: int = 0
    n_estimated: int = 0
    n_registers: int = 0
    export_kwh: float = 0.0
    first_at: str | None = None
    last_at: str | None = None
    lengths: Counter = field(default_factory=Counter)
    hours: np.ndarray = field(default_factory=lambda: np.zeros(24))
    daily_kwh: list[float] = field(default_factory=list)

    def add(self, readings: Table) -> None:
        """Add a part. [readings: sorted by client, then time]"""
        client, kwh = readings["client"], readings["consumption_kwh"]
        if not len(client):
            return
        minute = readings["read_at"].astype("datetime64[m]").astype(np.int64)
        known = ~np.isnan(kwh)
        self.n += len(client)
        self.n_missing += int((~known).sum())
        self.n_estimated += int(np.sum(readings.get("is_estimated", 0)))
        self.export_kwh += float(np.nansum(readings.get("export_kwh", 0.0)))
        self._add_range(readings["read_at"])
        is_same = client[1:] == client[:-1]
        self.lengths.update(np.diff(minute)[is_same].tolist())
        in_parts = known & _of_days_in_parts(client, minute // DAY)
        self.hours += np.bincount((minute[in_parts] % DAY) // HOUR, kwh[in_parts], minlength=24)
        self._add_clients(client[known], minute[known] // DAY, kwh[known])

    def _add_range(self, moments: np.ndarray) -> None:
        first, last = str(moments.min()), str(moments.max())
        self.first_at = first if self.first_at is None else min(self.first_at, first)
        self.last_at = last if self.last_at is None else max(self.last_at, last)

    def _add_clients(self, client: np.ndarray, day: np.ndarray, kwh: np.ndarray) -> None:
        if not len(client):
            return
        n = np.bincount(client)
        is_new_day = np.append(True, (np.diff(client) != 0) | (np.diff(day) != 0))
        n_days = np.bincount(client[is_new_day], minlength=len(n))
        total = np.bincount(client, kwh, minlength=len(n))
        self.daily_kwh += (total[n > 0] / n_days[n > 0]).tolist()
        falls = (np.diff(kwh) < 0) & (client[1:] == client[:-1])
        n_falls = np.bincount(client[1:][falls], minlength=len(n))
        rises = (np.diff(kwh) > 0) & (client[1:] == client[:-1])
        n_rises = np.bincount(client[1:][rises], minlength=len(n))
        self.n_registers += int(((n >= MIN_READINGS) & (n_falls == 0) & (n_rises > n // 2)).sum())

    @property
    def n_clients(self) -> int:
        """Clients with a known reading."""
        return len(self.daily_kwh)

    @property
    def median_kwh(self) -> float:
        """Median over clients of their mean day. [kWh, NaN if unknown]"""
        return float(np.median(self.daily_kwh)) if self.daily_kwh else float("nan")

    @property
    def least_hour(self) -> int | None:
        """The hour of the day with the least consumption of all clients; None for daily readings."""
        return int(np.argmin(self.hours)) if self.hours.any() else None

    def findings(self) -> Iterator[CheckFinding]:
        """What looks wrong, each with the line of the map that mends it."""
        median = self.median_kwh
        if self.n_registers > REGISTER_SHARE * max(self.n_clients, 1):
            text = Phrase("check.registers", rising=self.n_registers, clients=self.n_clients)
            yield CheckFinding(CheckLevel.UNUSABLE, "readings", text, "register = true")
        elif median > MOST_KWH:
            text = Phrase("check.day_wh", kwh=median)
            yield CheckFinding(CheckLevel.UNUSABLE, "readings", text, 'consumption_kwh = {column = "...", unit = "Wh"}')
        if median < FEWEST_KWH:
            text = Phrase("check.day_mwh", kwh=median)
            yield CheckFinding(
                CheckLevel.UNUSABLE, "readings", text, 'consumption_kwh = {column = "...", unit = "MWh"}'
            )
        hour = self.least_hour
        if hour is not None and self.n_clients >= MIN_CLIENTS and hour not in NIGHT:
            text = Phrase("check.clock", hour=hour, next=hour + 1)
            yield CheckFinding(CheckLevel.LOOK, "readings", text, 'read_at = {column = "...", clock = "UTC"}')
        if self.n_estimated > MANY_ESTIMATED * self.n:
            text = Phrase("check.estimates", estimated=self.n_estimated, readings=self.n)
            yield CheckFinding(CheckLevel.LOOK, "readings", text)


def _of_days_in_parts(client: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Mark readings of days with so many of them that they show the day's shape."""
    starts = np.flatnonzero(np.append(True, (np.diff(client) != 0) | (np.diff(day) != 0)))
    n = np.diff(np.append(starts, len(client)))
    return np.repeat(n >= MIN_PARTS, n)
