"""Facts about invoices: dates and gaps, lengths of periods, consumption, indices, estimates.

In:  canonical invoices, cleaned (fairmeter/data/tables.py).
Out: InvoiceChecks; findings where a figure looks wrong.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fairmeter.checks.findings import CheckFinding, CheckLevel
from fairmeter.core.calendar import DAYS_PER_MONTH
from fairmeter.core.types import Table
from fairmeter.wording.phrases import Phrase

LEVELS = tuple(f"consumption_level_{i}" for i in (1, 2, 3, 4))
ENERGY_NAMES = ("electricity", "gas")
# Medians of a month's electricity: below and above no utility's typical household lies; a unit by a thousand does.
FEWEST_KWH, MOST_KWH = 6.0, 15_000.0
MIN_INDEXED = 100  # invoices with both indices: fewer do not show whether they fit
MIN_FITTING_SHARE = 0.5


@dataclass(frozen=True)
class InvoiceChecks:
    """Facts about the invoices.

    by_year, months, gaps: number of invoices by value; kwh: electricity a month, by client.
    """

    n: int
    n_clients: int
    first_on: str
    last_on: str
    by_energy: dict[str, int]
    by_year: dict[int, int]
    months: dict[float, int]
    gaps: dict[int, int]
    kwh: np.ndarray
    n_indexed: int
    n_fitting: int
    n_estimated: int

    @classmethod
    def of(cls, invoices: Table) -> "InvoiceChecks | None":
        """The facts; None without an invoice."""
        if not len(invoices["client"]):
            return None
        consumption = consumption_of(invoices)
        step = invoices["new_index"] - invoices["old_index"]
        indexed = ~np.isnan(step) & ~np.isnan(consumption)
        coefficient = np.where(np.isnan(invoices["coefficient"]), 1.0, invoices["coefficient"])
        fitting = indexed & (np.abs(step * coefficient - consumption) <= 1.0)
        years = invoices["invoice_on"].astype("datetime64[Y]").astype(int) + 1970
        months = invoices["months"]
        estimated = invoices.get("is_estimated")
        return cls(
            len(years),
            len(np.unique(invoices["client"])),
            str(invoices["invoice_on"].min()),
            str(invoices["invoice_on"].max()),
            {name: int((invoices["energy"] == i).sum()) for i, name in enumerate(ENERGY_NAMES)},
            dict(sorted(Counter(years.tolist()).items())),
            dict(Counter(months[~np.isnan(months)].tolist()).most_common()),
            gaps_between(invoices),
            monthly_by_client(invoices, consumption),
            int(indexed.sum()),
            int(fitting.sum()),
            0 if estimated is None else int(estimated.sum()),
        )

    @property
    def median_kwh(self) -> float:
        """Median over clients of the electricity of a month. [kWh, NaN if unknown]"""
        return float(np.nanmedian(self.kwh)) if np.isfinite(self.kwh).any() else float("nan")

    def findings(self) -> Iterator[CheckFinding]:
        """What looks wrong, each with the line of the map that mends it."""
        if self.median_kwh > MOST_KWH:
            yield _look(Phrase("check.wh", kwh=self.median_kwh), 'consumption = {column = "...", unit = "Wh"}')
        if self.median_kwh < FEWEST_KWH:
            yield _look(Phrase("check.mwh", kwh=self.median_kwh), 'consumption = {column = "...", unit = "MWh"}')
        if self.n_indexed >= MIN_INDEXED and self.n_fitting < MIN_FITTING_SHARE * self.n_indexed:
            text = Phrase("check.indices", indexed=self.n_indexed, fitting=self.n_fitting)
            yield _look(text, 'coefficient = "..."')
        typical = next(iter(self.months), 1.0)
        if typical > 24:
            yield _look(Phrase("check.days", months=typical), 'months = {unit = "days", column = "..."}')


def _look(text: Phrase, line: str) -> CheckFinding:
    return CheckFinding(CheckLevel.LOOK, "invoices", text, line)


def consumption_of(invoices: Table) -> np.ndarray:
    """Billed consumption of each invoice: the sum of levels, or the whole where there are none. [kWh, m3 for gas]"""
    levels = sum(invoices[name] for name in LEVELS)
    whole = invoices.get("consumption")
    return levels if whole is None else np.where(np.isnan(levels), whole, levels)


def gaps_between(invoices: Table) -> dict[int, int]:
    """Number of steps between a client's invoices of one energy by their whole months, the most frequent first."""
    order = np.lexsort((invoices["invoice_on"], invoices["energy"], invoices["client"]))
    client, energy, day = (invoices[name][order] for name in ("client", "energy", "invoice_on"))
    is_same = (client[1:] == client[:-1]) & (energy[1:] == energy[:-1])
    days = np.diff(day.astype(np.int64))[is_same]
    return dict(Counter(np.rint(days / DAYS_PER_MONTH).astype(int).tolist()).most_common())


def monthly_by_client(invoices: Table, consumption: np.ndarray) -> np.ndarray:
    """Electricity a month of each client with known periods. [kWh, float64 (clients with invoices,)]"""
    months = invoices["months"]
    known = (invoices["energy"] == 0) & ~np.isnan(consumption) & (months > 0)
    client = invoices["client"][known]
    if not len(client):
        return np.array([])
    total, length = np.bincount(client, consumption[known]), np.bincount(client, months[known])
    return (total / np.where(length > 0, length, np.nan))[length > 0]
