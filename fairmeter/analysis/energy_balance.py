"""Energy balance of transformers: energy that was delivered and not registered by any client's meter.

In:  TransformerTables; the transformer, DailyConsumption and invoices of each client, in one order of clients.
Out: EnergyBalances: an EnergyBalance per measured transformer; per client its transformer's loss, and how well this
     loss fits the client's own consumption.

    lost = delivered - technical losses - registered - estimated                                        [kWh per day]

A balance needs a meter at every client and the transformer of every client; unknown consumption of unmetered clients
would make it worthless. A client that was not read is therefore estimated from its own readings of the weeks around,
else from its invoices, and a day is balanced only where estimates are a small part of the delivered energy. A client
with gaps or without a smart meter never counts as a loss.
"""

from dataclasses import dataclass, replace
from datetime import date
from typing import NamedTuple

import numpy as np

from fairmeter.analysis.account_periods import AccountPeriods
from fairmeter.core.change_points import ChangePoints
from fairmeter.core.segments import Segments
from fairmeter.core.types import EnergyBalance, Table
from fairmeter.data.daily import DailyConsumption
from fairmeter.data.files import TableError
from fairmeter.data.transformers import TransformerTables
from fairmeter.features.readings.covariates import TransformerLosses

RECENT, YEAR, WEEK = 90, 365, 7  # days
MAX_WEEKS = 104  # length of the weekly series
MIN_DAYS = 60  # balanced days of the last 90, for a share
MIN_DAYS_OF_WEEK, MIN_WEEKS = 4, 26  # balanced days of a week, weeks of a comparison
MAX_ESTIMATED = 0.2  # of the energy delivered on a balanced day
MIN_READ = 0.5  # of the clients of a balanced transformer
# Technical losses where none were given: iron, copper and low-voltage lines of a usual network. Set by hand.
LOSSES_SHARE = 0.04
# Relative standard deviations, set by hand: of a client's estimate, of given and of assumed losses, and of the
# transformer's meter with its current transformers. Errors of the clients' meters are independent.
ESTIMATE_SD, LOSSES_SD, ASSUMED_SD, METER_SD = 0.35, 0.25, 0.5, 0.005
NORMAL_95 = 1.96
MIN_EXPLAINED = 0.3  # of the variance of weeks, by the step at which a loss began
FILE_COLUMNS = (
    "transformer_id", "region", "until_on", "n_clients", "n_read", "n_days", "delivered_kwh", "losses_kwh",
    "registered_kwh", "estimated_kwh", "lost_kwh", "lost_share", "low_share", "high_share", "before_share", "since_on",
)  # fmt: skip
# Delivered over read, of the transformer in the middle: few of its clients may have smart meters, and many may steal.
LIKELY_RATIO = (0.03, 300.0)
MIN_LOSS_SD = 0.01  # of delivered: the fit of a constant loss is meaningless


class UnlikelyTotals(TableError):
    """Totals of transformers in another unit than the readings of their clients."""


@dataclass(frozen=True)
class EnergyBalances:
    """Balances per transformer; per client the loss share of its transformer and its fit [-1..1], NaN if missing.

    losses: of each balanced day, a feature of the clients; None where no transformer was measured.
    """

    rows: list[EnergyBalance]
    share: np.ndarray
    fit: np.ndarray
    losses: TransformerLosses | None


class SupplyGrid(NamedTuple):
    """Daily energies of a transformer. [kWh; (day,), the last three (client, day), NaN where missing]

    doubtful: estimates of accounts that were probably closed; they widen the interval and are not subtracted.
    """

    delivered: np.ndarray
    losses: np.ndarray
    is_assumed: np.ndarray
    read: np.ndarray
    estimated: np.ndarray
    doubtful: np.ndarray

    @property
    def registered(self) -> np.ndarray:
        """Sum of the readings. [kWh, (day,)]"""
        return np.nansum(self.read, axis=0)

    @property
    def is_balanced(self) -> np.ndarray:
        """Days with readings on which estimates are a small part of the delivered energy. [(day,)]"""
        estimated = np.nansum(self.estimated, axis=0) + np.nansum(self.doubtful, axis=0)
        with np.errstate(invalid="ignore"):
            is_sure = (self.delivered > 0) & (estimated <= MAX_ESTIMATED * self.delivered)
        return is_sure & (~np.isnan(self.read)).any(axis=0)

    @property
    def lost(self) -> np.ndarray:
        """Energy lost, NaN on days without a balance. [kWh, (day,)]"""
        lost = self.delivered - self.losses - self.registered - np.nansum(self.estimated, axis=0)
        return np.where(self.is_balanced, lost, np.nan)


def energy_balances(
    tables: TransformerTables, transformer_id: np.ndarray, days: DailyConsumption, invoices: Table
) -> EnergyBalances:
    """Balance all measured transformers. [transformer_id: of each client, empty where unknown]

    Raises UnlikelyTotals where these are in another unit than the readings.
    """
    share, fit = np.full((2, len(transformer_id)), np.nan)
    span = _span(tables)
    if span is None:
        return EnergyBalances([], share, fit, None)
    first, last = span
    accounts = AccountPeriods.from_tables(days, invoices, len(transformer_id), last)
    n_transformers = len(tables.transformers["transformer_id"])
    losses = TransformerLosses(
        first, np.full((n_transformers, last - first + 1), np.nan), np.full(len(transformer_id), -1)
    )
    rows, weekly, ratios = [], [], []
    for row, clients in enumerate(_clients_of(tables.transformers["transformer_id"], transformer_id)):
        grid = _grid(_totals_of(tables.totals, row, first, last), accounts, clients, first, last)
        ratios.append(_delivered_over_read(grid))
        balance = _balance(grid, tables.transformers, row, first)
        rows.append(balance)
        losses.kwh[row], losses.transformer[clients] = grid.lost, row
        weekly.append(_weekly(np.array([grid.delivered, grid.lost]), grid.is_balanced))
        is_here = accounts.is_active(clients, last - RECENT + 1, last)
        share[clients[is_here]] = np.nan if balance.lost_share is None else balance.lost_share
        fit[clients[is_here]] = _fits(grid)[is_here]
    _refuse_other_units(np.array(ratios))
    return EnergyBalances(_with_weeks(rows, weekly, losses), share, fit, losses)


def _delivered_over_read(grid: SupplyGrid) -> float:
    """Delivered energy over that of the clients' readings on a usual day, NaN without such a day."""
    registered = grid.registered
    is_usable = (registered > 0) & (grid.delivered > 0)
    return float(np.median(grid.delivered[is_usable] / registered[is_usable])) if is_usable.any() else np.nan


def _refuse_other_units(ratios: np.ndarray) -> None:
    """Raise where most transformers deliver a thousand times what their clients use, or a thousandth."""
    ratios = ratios[~np.isnan(ratios)]
    if not len(ratios):
        return
    middle = float(np.median(ratios))
    if LIKELY_RATIO[0] <= middle <= LIKELY_RATIO[1]:
        return
    unit = "Wh" if middle > LIKELY_RATIO[1] else "MWh"
    raise UnlikelyTotals(
        f"The transformer in the middle delivers {middle:,.3g} times what the readings of its clients add up "
        f"to, so that its totals look like {unit}. Convert delivered_kwh to kWh, and losses_kwh with it."
    )


def _span(tables: TransformerTables) -> tuple[int, int] | None:
    """First and last day of whole weeks with totals; None where nothing was measured."""
    if not len(tables.totals["day"]):
        return None
    last = int(tables.totals["day"].max())
    first = max(int(tables.totals["day"].min()), last - MAX_WEEKS * WEEK + 1)
    return first + (last - first + 1) % WEEK, last


def _clients_of(ids: np.ndarray, transformer_id: np.ndarray) -> list[np.ndarray]:
    """Rows of the clients that each transformer supplies."""
    row_of = {id_: row for row, id_ in enumerate(ids)}
    of = np.array([row_of.get(id_, -1) for id_ in transformer_id], np.int64)
    order = np.argsort(of, kind="stable")
    return np.split(order, np.searchsorted(of[order], np.arange(len(ids) + 1)))[1 : len(ids) + 1]


def _totals_of(totals: Table, row: int, first: int, last: int) -> np.ndarray:
    """Delivered energy and technical losses of a transformer per day. [kWh, (2, day)]"""
    start, end = np.searchsorted(totals["transformer"], (row, row + 1))
    day = totals["day"][start:end]
    grid, is_inside = np.full((2, last - first + 1), np.nan), (day >= first) & (day <= last)
    for series, name in zip(grid, ("delivered_kwh", "losses_kwh"), strict=True):
        series[day[is_inside] - first] = totals[name][start:end][is_inside]
    return grid


def _grid(totals: np.ndarray, accounts: AccountPeriods, clients: np.ndarray, first: int, last: int) -> SupplyGrid:
    delivered, losses = totals
    is_assumed = np.isnan(losses)
    losses = np.where(is_assumed, LOSSES_SHARE * delivered, losses)
    read = accounts.read(clients, first, last)
    n_active = np.count_nonzero(accounts.is_active(clients, first, last))
    n_read = np.count_nonzero((~np.isnan(read)).any(axis=1))
    if n_read < MIN_READ * n_active:
        nothing = np.full(read.shape, np.nan)
        return SupplyGrid(delivered, losses, is_assumed, *[nothing] * 3)  # no day is balanced
    return SupplyGrid(delivered, losses, is_assumed, read, *accounts.estimated(clients, read, first))


# --- a transformer ----------------------------------------------------------------------------------------------------


def _balance(grid: SupplyGrid, transformers: Table, row: int, first: int) -> EnergyBalance:
    """Balance of the last 90 days, without its weekly series."""
    n = len(grid.delivered)
    recent = slice(max(n - RECENT, 0), n)
    sums, share, sd = _sums(grid, recent)
    before = _sums(grid, slice(max(n - RECENT - YEAR, 0), max(n - YEAR, 0)))[1]
    place = {name: _float_or_none(transformers[name][row]) for name in ("region", "latitude", "longitude")}
    has_share = share is not None
    return EnergyBalance(
        str(transformers["transformer_id"][row]),
        _date(first + n - 1),
        n_clients=int((~np.isnan(grid.read[:, recent]) | ~np.isnan(grid.estimated[:, recent])).any(axis=1).sum()),
        n_read=int((~np.isnan(grid.read[:, recent])).any(axis=1).sum()),
        **sums,
        lost_share=share,
        low_share=share - NORMAL_95 * sd if has_share else None,
        high_share=share + NORMAL_95 * sd if has_share else None,
        before_share=before,
        **place,
    )


def _sums(grid: SupplyGrid, span: slice) -> tuple[dict, float | None, float]:
    """Energies of the balanced days of a span, the lost share (None with too few), and its standard deviation."""
    balanced = np.flatnonzero(grid.is_balanced[span]) + span.start
    delivered, losses = float(grid.delivered[balanced].sum()), float(grid.losses[balanced].sum())
    by_client, doubtful = (np.nansum(kwh[:, balanced], axis=1) for kwh in (grid.estimated, grid.doubtful))
    sums = {
        "n_days": len(balanced), "delivered_kwh": delivered, "losses_kwh": losses,
        "registered_kwh": float(grid.registered[balanced].sum()), "estimated_kwh": float(by_client.sum()),
        "lost_kwh": float(np.nansum(grid.lost[balanced])),
    }  # fmt: skip
    if len(balanced) < MIN_DAYS or not delivered:
        return sums, None, 0.0
    losses_sd = np.where(grid.is_assumed, ASSUMED_SD, LOSSES_SD)[balanced] @ grid.losses[balanced]
    variance = ((ESTIMATE_SD * by_client) ** 2).sum() + (doubtful**2).sum()
    variance += losses_sd**2 + (METER_SD * delivered) ** 2
    return sums, sums["lost_kwh"] / delivered, float(np.sqrt(variance)) / delivered


def _weekly(kwh: np.ndarray, is_balanced: np.ndarray) -> np.ndarray:
    """Sums over the balanced days of each week, NaN with too few. [(..., day) -> (..., week)]"""
    weeks = np.where(is_balanced, kwh, 0.0).reshape(*kwh.shape[:-1], -1, WEEK).sum(axis=-1)
    return np.where(is_balanced.reshape(-1, WEEK).sum(axis=-1) >= MIN_DAYS_OF_WEEK, weeks, np.nan)


def _with_weeks(rows: list[EnergyBalance], weekly: list[np.ndarray], losses: TransformerLosses) -> list[EnergyBalance]:
    """Add weekly and daily losses, and the week in which the loss began, to each balance."""
    first, n_weeks = losses.first_day, weekly[0].shape[1]
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.concatenate([lost / delivered for delivered, lost in weekly])[None]
        step = ChangePoints(Segments(np.full(len(rows), n_weeks)), share, np.zeros(share.shape)).best((1,), (1,))[0]
    is_clear = step.explained[0] >= MIN_EXPLAINED
    begins = np.where(is_clear, step.row[0] - np.arange(len(rows)) * n_weeks, 0)
    found = []
    for balance, (delivered, lost), days, week in zip(rows, weekly, losses.kwh, begins.tolist(), strict=True):
        is_significant = balance.low_share is not None and balance.low_share > 0
        since = _date(first + week * WEEK) if is_significant else None
        series = {
            "delivered_weeks": _rounded_or_none(delivered),
            "lost_weeks": _rounded_or_none(lost),
            "lost_days": days.astype(np.float32),
        }
        found.append(replace(balance, weeks_from=_date(first), since_on=since, **series))
    return found


def _rounded_or_none(kwh: np.ndarray) -> tuple[float | None, ...]:
    return tuple(None if value != value else round(value, 3) for value in kwh.tolist())


def _float_or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _date(day: int) -> date:
    return np.datetime64(day, "D").astype(date)


def balance_columns(rows: list[EnergyBalance]) -> dict[str, list]:
    """Columns of the file of balances: the largest loss first, transformers without a balance last."""
    ordered = sorted(rows, key=lambda row: (row.lost_share is None, -row.lost_kwh, row.transformer_id))
    return {name: [_file_value(getattr(row, name)) for row in ordered] for name in FILE_COLUMNS}


def _file_value(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value


# --- a client ---------------------------------------------------------------------------------------------------------


def _fits(grid: SupplyGrid) -> np.ndarray:
    """Negative correlation of each client's weekly share of the delivered energy with the lost share. [-1..1]

    Shares, because weather and season change the consumption of all clients together.
    """
    delivered, lost = _weekly(np.array([grid.delivered, grid.lost]), grid.is_balanced)
    own = np.array([_weekly(kwh, grid.is_balanced & ~np.isnan(kwh)) for kwh in grid.read]).reshape(-1, len(lost))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.array([_fit(part / delivered, lost / delivered) for part in own], np.float64)


def _fit(part: np.ndarray, lost: np.ndarray) -> float:
    is_present = ~np.isnan(part) & ~np.isnan(lost)
    if is_present.sum() < MIN_WEEKS:
        return np.nan
    part, lost = part[is_present], lost[is_present]
    if lost.std() < MIN_LOSS_SD or not part.std() > 0:
        return np.nan
    return -float(np.corrcoef(part, lost)[0, 1])
