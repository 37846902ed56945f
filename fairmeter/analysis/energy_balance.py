"""Energy that a transformer delivered and nobody's meter registered: the oldest evidence of theft.

In:  TransformerTables; the transformer of each client, its Days and its invoices, in one order of clients.
Out: Balances: a Balance for each transformer that was measured, and for each client its transformer's loss and how
     well that loss fits the client's own course.

    lost = delivered - technical losses - registered - estimated                                          [kWh a day]

Balances are held to want a meter at every client and to know which client hangs where; what unmetered clients use is
otherwise a guess that makes the result worthless. So a client whose meter was not read is estimated, by its own
readings of the weeks around or else by its invoices, and a day is judged only where estimates are a small part of what
was delivered. A client with gaps, or without a smart meter, is never taken for a loss.
"""

from dataclasses import dataclass, replace
from datetime import date
from typing import NamedTuple

import numpy as np

from fairmeter.analysis.account_periods import Accounts
from fairmeter.core.change_points import ChangePoints
from fairmeter.core.segments import Segments
from fairmeter.core.types import EnergyBalance, Table
from fairmeter.data.daily import DailyConsumption
from fairmeter.data.transformers import TransformerTables
from fairmeter.features.readings.covariates import TransformerLosses

RECENT, YEAR, WEEK = 90, 365, 7  # days
MOST_WEEKS = 104  # that a course goes back
LEAST_DAYS = 60  # judged, of the last 90: with fewer nothing is said
LEAST_OF_WEEK, LEAST_WEEKS = 4, 26  # days of a week, weeks: with fewer nothing is compared
MOST_ESTIMATED = 0.2  # of what a day delivered: above it the day is not judged
LEAST_READ = 0.5  # of the clients: below it a transformer is not even tried
# Where no engineer computed them: iron, copper and low-voltage lines of a usual network. Set by hand.
LOSSES_SHARE = 0.04
# Standard deviations, set by hand: of a client's estimate, of computed losses, of assumed ones [of themselves], and of
# the transformer's meter and its current transformers [of what was delivered]. The clients' meters err independently.
ESTIMATE_SD, LOSSES_SD, ASSUMED_SD, METER_SD = 0.35, 0.25, 0.5, 0.005
NORMAL_95 = 1.96
LEAST_EXPLAINED = 0.3  # of the variance of weeks, by the step that a loss is said to have begun with
WRITTEN = (
    "transformer_id", "region", "until_on", "n_clients", "n_read", "n_days", "delivered_kwh", "losses_kwh",
    "registered_kwh", "estimated_kwh", "lost_kwh", "lost_share", "low_share", "high_share", "before_share", "since_on",
)  # fmt: skip
LEAST_SPREAD = 0.01  # of delivered: a loss that hardly varies fits everybody and nobody


@dataclass(frozen=True)
class EnergyBalances:
    """By transformer, and by client: the loss share of its transformer, and its fit [-1..1]; NaN where untold.

    losses: of each judged day, for the clients' scores; None where no transformer was measured.
    """

    rows: list[EnergyBalance]
    share: np.ndarray
    fit: np.ndarray
    losses: TransformerLosses | None


class SupplyGrid(NamedTuple):
    """A transformer's days. [all kWh; (day,), the last three (client, day), NaN where there is none]

    doubtful: of accounts that were most likely closed; not taken off, but nobody knows.
    """

    delivered: np.ndarray
    losses: np.ndarray
    is_assumed: np.ndarray
    read: np.ndarray
    estimated: np.ndarray
    doubtful: np.ndarray

    @property
    def registered(self) -> np.ndarray:
        return np.nansum(self.read, axis=0)

    @property
    def is_judged(self) -> np.ndarray:
        unknown = np.nansum(self.estimated, axis=0) + np.nansum(self.doubtful, axis=0)
        with np.errstate(invalid="ignore"):
            is_sure = (self.delivered > 0) & (unknown <= MOST_ESTIMATED * self.delivered)
        return is_sure & (~np.isnan(self.read)).any(axis=0)

    @property
    def lost(self) -> np.ndarray:
        """NaN on days that are not judged."""
        lost = self.delivered - self.losses - self.registered - np.nansum(self.estimated, axis=0)
        return np.where(self.is_judged, lost, np.nan)


def balances_of(
    tables: TransformerTables, transformer_id: np.ndarray, days: DailyConsumption, invoices: Table
) -> EnergyBalances:
    """[transformer_id: of each client, empty where none is known]"""
    share, fit = np.full((2, len(transformer_id)), np.nan)
    span = _span(tables)
    if span is None:
        return EnergyBalances([], share, fit, None)
    first, last = span
    accounts = Accounts.of(days, invoices, len(transformer_id), last)
    n_transformers = len(tables.transformers["transformer_id"])
    losses = TransformerLosses(
        first, np.full((n_transformers, last - first + 1), np.nan), np.full(len(transformer_id), -1)
    )
    rows, courses = [], []
    for row, clients in enumerate(_clients_of(tables.transformers["transformer_id"], transformer_id)):
        grid = _grid(_totals_of(tables.totals, row, first, last), accounts, clients, first, last)
        balance = _balance(grid, tables.transformers, row, first)
        rows.append(balance)
        losses.kwh[row], losses.transformer[clients] = grid.lost, row
        courses.append(_weekly(np.array([grid.delivered, grid.lost]), grid.is_judged))
        is_here = accounts.is_active(clients, last - RECENT + 1, last)
        share[clients[is_here]] = np.nan if balance.lost_share is None else balance.lost_share
        fit[clients[is_here]] = _fits(grid)[is_here]
    return EnergyBalances(_with_courses(rows, courses, losses), share, fit, losses)


def _span(tables: TransformerTables) -> tuple[int, int] | None:
    """The first and the last day, whole weeks apart; None where nothing was measured."""
    if not len(tables.totals["day"]):
        return None
    last = int(tables.totals["day"].max())
    first = max(int(tables.totals["day"].min()), last - MOST_WEEKS * WEEK + 1)
    return first + (last - first + 1) % WEEK, last


def _clients_of(ids: np.ndarray, transformer_id: np.ndarray) -> list[np.ndarray]:
    """Rows of the clients of each transformer."""
    row_of = {id_: row for row, id_ in enumerate(ids)}
    of = np.array([row_of.get(id_, -1) for id_ in transformer_id], np.int64)
    order = np.argsort(of, kind="stable")
    return np.split(order, np.searchsorted(of[order], np.arange(len(ids) + 1)))[1 : len(ids) + 1]


def _totals_of(totals: Table, row: int, first: int, last: int) -> np.ndarray:
    """delivered and losses of a transformer on each day. [(2, day)]"""
    start, end = np.searchsorted(totals["transformer"], (row, row + 1))
    day = totals["day"][start:end]
    grid, is_inside = np.full((2, last - first + 1), np.nan), (day >= first) & (day <= last)
    for series, name in zip(grid, ("delivered_kwh", "losses_kwh"), strict=True):
        series[day[is_inside] - first] = totals[name][start:end][is_inside]
    return grid


def _grid(totals: np.ndarray, accounts: Accounts, clients: np.ndarray, first: int, last: int) -> SupplyGrid:
    delivered, losses = totals
    is_assumed = np.isnan(losses)
    losses = np.where(is_assumed, LOSSES_SHARE * delivered, losses)
    read = accounts.read(clients, first, last)
    n_active = np.count_nonzero(accounts.is_active(clients, first, last))
    n_read = np.count_nonzero((~np.isnan(read)).any(axis=1))
    if n_read < LEAST_READ * n_active:
        nothing = np.full(read.shape, np.nan)
        return SupplyGrid(delivered, losses, is_assumed, *[nothing] * 3)  # no day is judged
    return SupplyGrid(delivered, losses, is_assumed, read, *accounts.estimated(clients, read, first))


# --- a transformer ----------------------------------------------------------------------------------------------------


def _balance(grid: SupplyGrid, transformers: Table, row: int, first: int) -> EnergyBalance:
    """Of the last 90 days; its course comes later."""
    n = len(grid.delivered)
    recent = slice(max(n - RECENT, 0), n)
    sums, share, sd = _sums(grid, recent)
    before = _sums(grid, slice(max(n - RECENT - YEAR, 0), max(n - YEAR, 0)))[1]
    place = {name: _known(transformers[name][row]) for name in ("region", "latitude", "longitude")}
    is_told = share is not None
    return EnergyBalance(
        str(transformers["transformer_id"][row]),
        _date(first + n - 1),
        n_clients=int((~np.isnan(grid.read[:, recent]) | ~np.isnan(grid.estimated[:, recent])).any(axis=1).sum()),
        n_read=int((~np.isnan(grid.read[:, recent])).any(axis=1).sum()),
        **sums,
        lost_share=share,
        low_share=share - NORMAL_95 * sd if is_told else None,
        high_share=share + NORMAL_95 * sd if is_told else None,
        before_share=before,
        **place,
    )


def _sums(grid: SupplyGrid, span: slice) -> tuple[dict, float | None, float]:
    """Energies of the judged days of a span, the share lost, None where they are too few, and its deviation."""
    judged = np.flatnonzero(grid.is_judged[span]) + span.start
    delivered, losses = float(grid.delivered[judged].sum()), float(grid.losses[judged].sum())
    by_client, doubtful = (np.nansum(kwh[:, judged], axis=1) for kwh in (grid.estimated, grid.doubtful))
    sums = {
        "n_days": len(judged), "delivered_kwh": delivered, "losses_kwh": losses,
        "registered_kwh": float(grid.registered[judged].sum()), "estimated_kwh": float(by_client.sum()),
        "lost_kwh": float(np.nansum(grid.lost[judged])),
    }  # fmt: skip
    if len(judged) < LEAST_DAYS or not delivered:
        return sums, None, 0.0
    losses_sd = np.where(grid.is_assumed, ASSUMED_SD, LOSSES_SD)[judged] @ grid.losses[judged]
    variance = ((ESTIMATE_SD * by_client) ** 2).sum() + (doubtful**2).sum()
    variance += losses_sd**2 + (METER_SD * delivered) ** 2
    return sums, sums["lost_kwh"] / delivered, float(np.sqrt(variance)) / delivered


def _weekly(kwh: np.ndarray, is_judged: np.ndarray) -> np.ndarray:
    """Sums of the judged days of each week, NaN where they are too few. [(..., day) -> (..., week)]"""
    weeks = np.where(is_judged, kwh, 0.0).reshape(*kwh.shape[:-1], -1, WEEK).sum(axis=-1)
    return np.where(is_judged.reshape(-1, WEEK).sum(axis=-1) >= LEAST_OF_WEEK, weeks, np.nan)


def _with_courses(
    rows: list[EnergyBalance], courses: list[np.ndarray], losses: TransformerLosses
) -> list[EnergyBalance]:
    """Each with its weeks and days, and since when its loss is there."""
    first, n_weeks = losses.first_day, courses[0].shape[1]
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.concatenate([lost / delivered for delivered, lost in courses])[None]
        step = ChangePoints(Segments(np.full(len(rows), n_weeks)), share, np.zeros(share.shape)).best((1,), (1,))[0]
    is_clear = step.explained[0] >= LEAST_EXPLAINED
    begins = np.where(is_clear, step.row[0] - np.arange(len(rows)) * n_weeks, 0)
    found = []
    for balance, (delivered, lost), days, week in zip(rows, courses, losses.kwh, begins.tolist(), strict=True):
        is_sure = balance.low_share is not None and balance.low_share > 0
        since = _date(first + week * WEEK) if is_sure else None
        course = {"delivered_weeks": _told(delivered), "lost_weeks": _told(lost), "lost_days": days.astype(np.float32)}
        found.append(replace(balance, weeks_from=_date(first), since_on=since, **course))
    return found


def _told(kwh: np.ndarray) -> tuple[float | None, ...]:
    return tuple(None if value != value else round(value, 3) for value in kwh.tolist())


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _date(day: int) -> date:
    return np.datetime64(day, "D").astype(date)


def columns_of_balances(rows: list[EnergyBalance]) -> dict[str, list]:
    """The columns of a file, most energy lost first, those last that could not be judged."""
    ordered = sorted(rows, key=lambda row: (row.lost_share is None, -row.lost_kwh, row.transformer_id))
    return {name: [_written(getattr(row, name)) for row in ordered] for name in WRITTEN}


def _written(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value


# --- a client ---------------------------------------------------------------------------------------------------------


def _fits(grid: SupplyGrid) -> np.ndarray:
    """How well each client's part of what was delivered falls where the part that is lost rises. [-1..1, 1: wholly]

    Parts of the delivered energy, because weather and season move everybody at once.
    """
    delivered, lost = _weekly(np.array([grid.delivered, grid.lost]), grid.is_judged)
    own = np.array([_weekly(kwh, grid.is_judged & ~np.isnan(kwh)) for kwh in grid.read]).reshape(-1, len(lost))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.array([_fit(part / delivered, lost / delivered) for part in own], np.float64)


def _fit(part: np.ndarray, lost: np.ndarray) -> float:
    is_known = ~np.isnan(part) & ~np.isnan(lost)
    if is_known.sum() < LEAST_WEEKS:
        return np.nan
    part, lost = part[is_known], lost[is_known]
    if lost.std() < LEAST_SPREAD or not part.std() > 0:
        return np.nan
    return -float(np.corrcoef(part, lost)[0, 1])
