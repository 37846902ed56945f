"""What only many clients' invoices show together: ids that do not join, units, and rows of totals.

In:  the cleaned clients and invoices of a part of a client base, and how they join.
Out: a BaseSummary, which adds up over parts, so that files, --memory and --spark are judged alike; a TableError where
     the whole is surely wrong. A single client cannot show it.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from functools import reduce
from typing import NamedTuple

import numpy as np

from fairmeter.core.consumption import billed_consumption
from fairmeter.core.segments import Segments
from fairmeter.core.types import TOTAL_ROW, QualityFlag, Table
from fairmeter.data.client_joins import Join, join_of, refuse_failed_join, with_examples
from fairmeter.data.files import TableError

LIKELY_KWH = (6.0, 15_000.0)  # of electricity a month, of the client in the middle; the public set's is about 100
MIN_INVOICES, MIN_USUAL = 3, 3  # of a client, and clients: a large client alone is no wrong unit
THOUSAND, UNIT_SPREAD = np.log(1000.0), np.log(2.5)  # a change of unit, and how far the level may differ besides
MIN_STEPS, MIN_STEP_SHARE = 2, 0.1  # clients that change alike, and their share: no client uses a thousandfold
MIN_SUMMED = 3  # clients whose sum one may be
SUM_TOLERANCE = 1e-3  # of the sum
UNKNOWN_CLIENTS = ("invoices_of_unknown_clients", "Invoices of clients that are not in the clients' table, left out")


class UnusableInvoices(TableError):
    """Invoices that are surely no consumption in kWh."""


class UnitStep(NamedTuple):
    """One client's change by a thousand: after the first day, at the latest on the last. [days since 1970]"""

    after: int
    until: int
    is_up: bool


@dataclass(frozen=True)
class BaseSummary:
    """Counts of a part of a client base.

    n_usual: clients with enough invoices of electricity; n_above, n_below: those of them beyond LIKELY_KWH.
    kwh, n_with_kwh, largest_kwh, largest: consumption of all, of whom, and of the largest client, with its id.
    """

    join: Join
    n_usual: int
    n_above: int
    n_below: int
    steps: tuple[UnitStep, ...]
    kwh: float
    n_with_kwh: int
    largest_kwh: float
    largest: str

    def merged(self, other: "BaseSummary") -> "BaseSummary":
        """The summary of two parts."""
        of_largest = max(self, other, key=lambda part: (part.largest_kwh, part.largest))
        return BaseSummary(
            self.join.merged(other.join),
            self.n_usual + other.n_usual,
            self.n_above + other.n_above,
            self.n_below + other.n_below,
            self.steps + other.steps,
            self.kwh + other.kwh,
            self.n_with_kwh + other.n_with_kwh,
            of_largest.largest_kwh,
            of_largest.largest,
        )

    def to_json(self) -> list:
        """Plain values for `from_json`."""
        return [list(self.join), *(getattr(self, name) for name in list(self.__dataclass_fields__)[1:])]

    @classmethod
    def from_json(cls, values: list) -> "BaseSummary":
        """The summary of such values."""
        join, n_usual, n_above, n_below, steps, *rest = values
        samples = tuple(map(tuple, join[6:]))
        return cls(Join(*join[:6], *samples), n_usual, n_above, n_below, tuple(UnitStep(*one) for one in steps), *rest)

    @property
    def total_row(self) -> str | None:
        """The id of the client that uses what all others do together, if there is one."""
        others = self.kwh - self.largest_kwh
        is_sum = self.n_with_kwh > MIN_SUMMED and abs(self.largest_kwh - others) <= SUM_TOLERANCE * others
        return self.largest if is_sum else None


def summarise(
    clients: Table, invoices: Table, client: np.ndarray, unknown_ids: Collection[str], is_part: bool
) -> BaseSummary:
    """The summary of cleaned tables. [client: of each row as it came, -1 unknown; unknown_ids: distinct]"""
    ids = clients["client_id"]
    join = join_of("invoices", client, unknown_ids, ids, is_part)
    kwh = billed_consumption(invoices)
    known = np.flatnonzero((invoices["energy"] == 0) & (kwh > 0) & (invoices["months"] > 0))
    owner, kwh, months = invoices["client"][known], kwh[known], invoices["months"][known]
    n, total = np.bincount(owner, minlength=len(ids)), np.bincount(owner, kwh, len(ids))
    is_usual = n >= MIN_INVOICES
    a_month = total[is_usual] / np.bincount(owner, months, len(ids))[is_usual]
    largest = int(np.argmax(total)) if len(ids) else -1
    return BaseSummary(
        join,
        len(a_month),
        int(np.count_nonzero(a_month > LIKELY_KWH[1])),
        int(np.count_nonzero(a_month < LIKELY_KWH[0])),
        _unit_steps(owner, invoices["invoice_on"][known], kwh / months),
        float(total.sum()),
        int(np.count_nonzero(total)),
        float(total[largest]) if len(ids) else 0.0,
        str(ids[largest]) if len(ids) else "",
    )


def merge_summaries(parts: Iterable[BaseSummary | None]) -> BaseSummary | None:
    """The summary of all parts; None where no part has invoices."""
    given = [part for part in parts if part is not None]
    return reduce(BaseSummary.merged, given) if given else None


# --- a change of unit -------------------------------------------------------------------------------------------------


def _unit_steps(owner: np.ndarray, on: np.ndarray, a_month: np.ndarray) -> tuple[UnitStep, ...]:
    """Of each client that uses a thousand times as much on one side of some day as on the other. [owner: ascending]"""
    if not len(owner):
        return ()
    starts = np.flatnonzero(np.append(True, owner[1:] != owner[:-1]))
    spread = np.maximum.reduceat(a_month, starts) / np.minimum.reduceat(a_month, starts)
    is_wide = spread >= np.exp(THOUSAND - 2 * UNIT_SPREAD)
    rows = np.flatnonzero(np.repeat(is_wide, np.diff(np.append(starts, len(owner)))))
    day, level = on[rows].astype("datetime64[D]").astype(np.int64), np.log(a_month[rows])
    order = np.lexsort((level, day, owner[rows]))
    day, level = day[order], level[order]
    segments = Segments(np.diff(np.append(starts, len(owner)))[is_wide])
    change = _changes(segments, level)
    largest = segments.spread(segments.largest(np.abs(change)))
    splits = np.flatnonzero((np.abs(change) == largest) & (np.abs(np.abs(change) - THOUSAND) <= UNIT_SPREAD))
    _, first = np.unique(segments.index[splits], return_index=True)
    found = (_step_at(int(at), segments, day, level, change) for at in splits[first])
    return tuple(step for step in found if step is not None)


def _changes(segments: Segments, level: np.ndarray) -> np.ndarray:
    """Mean of the rows from each one on less that of the rows before it, 0 at the first. [segments: of clients]"""
    start, end = segments.spread(segments.starts), segments.spread(segments.ends)
    sums, at = np.append(0.0, np.cumsum(level)), np.arange(len(level))
    before = (sums[at] - sums[start]) / np.maximum(at - start, 1)
    return np.where(at > start, (sums[end] - sums[at]) / (end - at) - before, 0.0)


def _step_at(at: int, segments: Segments, day: np.ndarray, level: np.ndarray, change: np.ndarray) -> UnitStep | None:
    """The step at a row, if it is a single one and no odd invoice."""
    client = segments.index[at]
    start, end = int(segments.starts[client]), int(segments.ends[client])
    within = max(np.ptp(level[start:at]), np.ptp(level[at:end]))
    if within >= THOUSAND / 2 or day[at - 1] == day[at]:
        return None
    return UnitStep(int(day[at - 1]), int(day[at]), bool(change[at] > 0))


def _common_step(steps: tuple[UnitStep, ...]) -> tuple[int, list[UnitStep]]:
    """(day, steps) of the most steps in one direction that one day can be the first of."""
    best: tuple[int, list[UnitStep]] = (0, [])
    for is_up in (True, False):
        alike = [step for step in steps if step.is_up == is_up]
        for on in sorted({step.until for step in alike}):
            fitting = [step for step in alike if step.after < on <= step.until]
            if len(fitting) > len(best[1]):
                best = on, fitting
    return best


# --- judgement --------------------------------------------------------------------------------------------------------


def check_client_base(
    summary: BaseSummary, flags: list[QualityFlag], place: object, is_scored: bool = False
) -> list[QualityFlag]:
    """The flags of a whole client base, with examples of unknown ids and what looks like a row of totals.

    place: of the invoices, for messages; is_scored: the clients have scores already, so that a row of totals cannot be
    held back any more and is refused. Raises UnjoinedRows, UnusableInvoices.
    """
    refuse_failed_join(summary.join, place)
    _refuse_unlikely_unit(summary, place)
    _refuse_unit_steps(summary, place)
    flags = with_examples(flags, UNKNOWN_CLIENTS[0], summary.join)
    if summary.total_row is None or any(flag.flag == TOTAL_ROW for flag in flags):
        return flags
    if is_scored:
        raise UnusableInvoices(f"{place}: {sum_flag(summary.total_row).text} Leave it out.")
    return [*flags, sum_flag(summary.total_row)]


def sum_flag(client_id: str) -> QualityFlag:
    """The flag of a client that is the sum of the others."""
    return QualityFlag(TOTAL_ROW, 1, f"Client {client_id!r} uses what all others do together, a row of totals: 1.")


def _refuse_unlikely_unit(summary: BaseSummary, place: object) -> None:
    if summary.n_usual < MIN_USUAL:
        return
    for n, bound, than, unit in (
        (summary.n_above, LIKELY_KWH[1], "over", "Wh"),
        (summary.n_below, LIKELY_KWH[0], "under", "MWh"),
    ):
        if 2 * n > summary.n_usual:
            raise UnusableInvoices(
                f"{place}: {n:,} of {summary.n_usual:,} clients would use {than} {bound:,.0f} kWh of electricity a "
                f"month, which looks like {unit}. Convert the consumption to kWh, or write in a map, below [invoices]: "
                f'consumption = {{column = "consumption", unit = "{unit}"}}; where kWh is right, unit = "kWh".'
            )


def _refuse_unit_steps(summary: BaseSummary, place: object) -> None:
    on, steps = _common_step(summary.steps)
    if len(steps) < max(MIN_STEPS, MIN_STEP_SHARE * summary.n_usual):
        return
    raise UnusableInvoices(
        f"{place}: from {np.datetime64(on, 'D')} on {len(steps):,} clients use about a thousand times as "
        f"{'much' if steps[0].is_up else 'little'} as before, as if Wh and kWh were mixed. Write one unit throughout."
    )


def without_unit_check(summary: BaseSummary) -> BaseSummary:
    """The summary of invoices whose unit a map states."""
    return replace(summary, n_above=0, n_below=0)
