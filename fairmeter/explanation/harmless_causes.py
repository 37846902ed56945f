"""Harmless causes of what looks suspicious: which of them fit a client, which do not, and which remain open.

In:  a client's invoices by energy (fairmeter/explanation/billing_history.py) and its days with readings.
Out: a HarmlessCause for each of CAUSES, in that order, with its evidence in a sentence.

These are rules, not a model: each asks for what must be visible if the cause is true. Invoices and readings are checked
alike, and a cause that fits one of them fits. A cause of the past explains nothing: it has to touch the onset, the last
clear change of the level (ConsumptionPeriods.onset). No publication gives the limits below; they are set by hand, near
the ranges of fairmeter/simulation/harmless_patterns.py.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fairmeter.core.calendar import DAYS_PER_MONTH
from fairmeter.core.formatting import counted, figure, join_names, month, sentence, share
from fairmeter.core.types import CANNOT_TELL, DOES_NOT_FIT, FITS, HarmlessCause
from fairmeter.explanation.billing_history import (
    MIN_PERIODS,
    BillingHistory,
    ConsumptionPeriods,
    periods_from_invoices,
    periods_from_readings,
)

EMPTY_KWH = 10.0  # a month: an inhabited home with a refrigerator uses more
# Of the usual level, as harmless_patterns.py leaves a vacant home; and a month at most.
EMPTY_SHARE, STANDBY_KWH = 0.15, 30.0
RECENT_MONTHS = 24.0  # before the end: an earlier vacancy does not explain the present consumption
EMPTY_MONTHS = 1.0  # at least: a shorter absence is a holiday
CHANGED = 0.2  # of the level, up or down: smaller changes happen in any household
EXCHANGE = 0.1  # of the level: the largest difference between two meters (meter_exchange in harmless_patterns.py)
LOW, HIGH = 0.5, 1.5  # of the usual level: an estimate that is too low, and the invoice that makes up for it
EVENED = 0.25  # of the usual level: how far the mean of these two may lie from it
SEASONAL = 2.0  # times: the least ratio between the halves of the year in a seasonal home
SEASONAL_YEARS, SEASONAL_SHARE = 2, 0.8  # years at least, and the share of them with that ratio
SUMMER_FALL = 0.2  # of the level: smaller solar panels are not visible
# The largest ratio of the fall in the dark half of the year to that in the bright half (solar_panels, same file).
SUN = 0.5
GAP_DAYS = 2  # in a row without a reading
EXPORT_DAYS = 3  # with energy fed into the grid
BRIGHT = (3, 4, 5, 6, 7, 8)  # April to September
SHORT_INVOICES, SHORT_DAYS = 4, 60  # as the quality flags of the model

Verdict = tuple[str, str]  # the verdict and its evidence
NO_HISTORY = (CANNOT_TELL, "There are too few invoices or readings to tell.")


class CauseInputs(NamedTuple):
    """Data of one client. [day: days since 1970; kwh: NaN if missing; hours: (days, 24) or None]

    export_kwh: fed into the grid; is_spread: days whose energy came with that of others. [(days,) or None]
    """

    histories: dict[str, BillingHistory]
    day: np.ndarray
    kwh: np.ndarray
    hours: np.ndarray | None
    export_kwh: np.ndarray | None = None
    is_spread: np.ndarray | None = None

    @property
    def periods(self) -> list[ConsumptionPeriods]:
        """Periods of the invoices for electricity, or for gas if there are no others; and those of the readings."""
        energy = next(iter(self.histories), None)  # electricity comes first
        made = [periods_from_invoices(self.histories[energy], energy)] if energy else []
        return made + ([periods_from_readings(self.day, self.kwh)] if len(self.day) else [])


# --- shared by several causes -----------------------------------------------------------------------------------------


def _empty(periods: ConsumptionPeriods) -> np.ndarray:
    """Mask of the periods in which the home seems vacant."""
    usual = np.median(periods.rate) if len(periods) else 0.0
    return periods.rate <= max(EMPTY_KWH, min(EMPTY_SHARE * usual, STANDBY_KWH))


def _longest(is_so: np.ndarray) -> slice:
    """The longest run, the later one of equally long runs; an empty slice if there is none."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], is_so.astype(int), [0]])))
    runs = list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
    return slice(*max(runs, key=lambda run: (run[1] - run[0], run[1]))) if runs else slice(0, 0)


def _span(periods: ConsumptionPeriods, run: slice) -> str:
    return f"from {month(periods.start[run][0])} to {month(periods.end[run][-1])}"


def _levels(periods: ConsumptionPeriods) -> tuple[float, float, str]:
    """Level before and after the onset, and its month. [kWh a month; NaN with too few periods]"""
    at = periods.onset()
    if not at:
        level = periods.mean(np.ones(len(periods), bool)) if len(periods) >= MIN_PERIODS else float("nan")
        return level, level, ""
    is_after = np.arange(len(periods)) >= at
    return periods.mean(~is_after), periods.mean(is_after), month(periods.start[at])


def _touches(periods: ConsumptionPeriods, run: slice) -> bool:
    """Whether the onset lies in a run of periods or beside it; True where there is no onset, for want of another."""
    at = periods.onset()
    return at == 0 or run.start - 1 <= at <= run.stop + 1


def _elsewhere(periods: ConsumptionPeriods, words: str) -> Verdict:
    since = month(periods.start[periods.onset()])
    return DOES_NOT_FIT, sentence(words, f"but the last clear change of consumption is of {since}")


def _unchanged(periods: ConsumptionPeriods) -> Verdict:
    if len(periods) < MIN_PERIODS:
        return NO_HISTORY
    return DOES_NOT_FIT, sentence(f"the level of the {periods.source} never changed clearly")


def _is_changed(before: float, after: float) -> bool:
    return abs(after - before) > CHANGED * before


# --- the causes -------------------------------------------------------------------------------------------------------


def _vacancy(periods: ConsumptionPeriods, inputs: CauseInputs) -> tuple[slice, float]:
    """The longest recent vacancy, empty if too short; and the gas used during it. [m3 a month]"""
    is_recent = periods.end > periods.end[-1:] - RECENT_MONTHS * DAYS_PER_MONTH
    run = _longest(_empty(periods) & is_recent)
    if periods.months[run].sum() < EMPTY_MONTHS:
        return slice(0, 0), 0.0
    gas = inputs.histories.get("gas")
    if gas is None or periods.unit != "kWh":
        return run, 0.0
    other = periods_from_invoices(gas, "gas")
    middle = (other.start + other.end) / 2.0
    meanwhile = other.mean((middle > periods.start[run][0]) & (middle < periods.end[run][-1]))
    return run, 0.0 if np.isnan(meanwhile) else meanwhile


def _vacant(periods: ConsumptionPeriods, inputs: CauseInputs) -> Verdict:
    run, gas = _vacancy(periods, inputs)
    if run.stop == 0:
        return DOES_NOT_FIT, sentence(
            f"the {periods.source} of two years show no month in which next to nothing was used"
        )
    span = _span(periods, run)
    if gas > EMPTY_KWH:
        text = f"next to no electricity is used {span}, but gas goes on at {figure(gas)} m³ a month"
        return DOES_NOT_FIT, sentence(text)
    words = f"next to nothing is used {span}, by the {periods.source}"
    return (FITS, sentence(words)) if _touches(periods, run) else _elsewhere(periods, words)


def _tenant(periods: ConsumptionPeriods, inputs: CauseInputs) -> Verdict:
    run, gas = _vacancy(periods, inputs)
    if run.stop == 0 or gas > EMPTY_KWH:
        return _moved_in_at_once(periods)
    place, words = np.arange(len(periods)), f"next to nothing is used {_span(periods, run)}"
    before, after = periods.mean(place < run.start), periods.mean(place >= run.stop)
    if np.isnan(after):
        return CANNOT_TELL, sentence(f"{words}, up to the last of the {periods.source}", "nobody has moved in since")
    if np.isnan(before):
        return CANNOT_TELL, sentence(f"{words}, from the first of the {periods.source} on")
    words += f", then consumption goes {periods.step(before, after)}"
    if _is_changed(before, after):
        words = f"{words}, as when others move in"
        return (FITS, sentence(words)) if _touches(periods, run) else _elsewhere(periods, words)
    return DOES_NOT_FIT, sentence(f"{words}, much as before")


def _moved_in_at_once(periods: ConsumptionPeriods) -> Verdict:
    before, after, since = _levels(periods)
    if np.isnan(before):
        return NO_HISTORY
    if not _is_changed(before, after):
        return DOES_NOT_FIT, sentence(f"the level hardly changed, {periods.step(before, after)}")
    text = f"consumption goes {periods.step(before, after)} in {since} without a vacant time before"
    return CANNOT_TELL, sentence(text, "who lives there is not in the tables")


def _exchange(periods: ConsumptionPeriods, inputs: CauseInputs) -> Verdict:
    if periods.source == "readings":
        return _gap_at_change(periods, inputs)
    history = next(iter(inputs.histories.values()))
    if np.isnan(history.meter_id).all():
        return CANNOT_TELL, "The invoices name no meter."
    days = _exchanges(history)
    if not len(days):
        return DOES_NOT_FIT, "The invoices show no meter that took the place of another."
    before, after, since = _levels(periods)
    named = f"the meter was exchanged by {join_names(dict.fromkeys(month(day) for day in days[-3:]))}"
    if np.isnan(before):
        return CANNOT_TELL, sentence(named)
    if not since:
        return DOES_NOT_FIT, sentence(named, "but the level of consumption never changed clearly")
    at = periods.end[periods.onset()]
    around = history.day[max(np.searchsorted(history.day, at) - 1, 0) :][:3]
    if not np.isin(days, around).any():
        return _elsewhere(periods, named)
    return _by_size(periods, f"{named}, where consumption goes {periods.step(before, after)}", before, after)


def _exchanges(history: BillingHistory) -> np.ndarray:
    """Days on which a meter appears first, after another one appeared last. [days since 1970, ascending]

    Meters side by side appear on the same days, which is no exchange.
    """
    meters = [
        history.day[history.meter_id == meter] for meter in np.unique(history.meter_id[~np.isnan(history.meter_id)])
    ]
    first, last = np.array([days[0] for days in meters]), np.array([days[-1] for days in meters])
    return np.unique([day for day in first if day > first.min() and (last <= day).any()])


def _gap_at_change(periods: ConsumptionPeriods, inputs: CauseInputs) -> Verdict:
    at = periods.onset()
    if not at:
        return _unchanged(periods)
    before, after, since = _levels(periods)
    near = np.abs(inputs.day - periods.start[at]) <= 1.5 * (periods.end[1] - periods.end[0])
    n_missing = int(np.isnan(inputs.kwh[near]).sum())
    if not n_missing:
        return DOES_NOT_FIT, sentence(f"no reading is missing around the last clear change in {since}")
    words = f"{counted(n_missing, 'day')} without readings around the last clear change in {since}"
    return _by_size(periods, f"{words}, where consumption goes {periods.step(before, after)}", before, after)


def _by_size(periods: ConsumptionPeriods, words: str, before: float, after: float) -> Verdict:
    """What two meters can differ by fits, unless consumption changed by more at another time."""
    ends = [*periods.changes(), len(periods)]
    place = np.arange(len(periods))
    levels = np.array([periods.mean((place >= a) & (place < b)) for a, b in zip([0, *ends[:-1]], ends, strict=True)])
    if abs(after - before) <= EXCHANGE * before:
        if (np.abs(np.diff(levels)) > EXCHANGE * levels[:-1]).any():
            return DOES_NOT_FIT, sentence(words, "consumption changed by more at another time")
        return FITS, sentence(words)
    return CANNOT_TELL, sentence(words, f"an exchange alone explains {share(EXCHANGE)} at most: compare both meters")


def _catch_up(periods: ConsumptionPeriods, _inputs: CauseInputs) -> Verdict:
    """A period far below the usual level, then one as far above it."""
    if len(periods) < 4:
        return NO_HISTORY
    usual = np.median(periods.rate)
    low = periods.rate < LOW * usual
    if usual <= 0 or not low.any():
        return DOES_NOT_FIT, sentence(f"no period of the {periods.source} is below half of the usual level")
    used = periods.rate * periods.months
    together = (used[:-1] + used[1:]) / (periods.months[:-1] + periods.months[1:])
    fits = low[:-1] & (periods.rate[1:] > HIGH * usual) & (np.abs(together - usual) <= EVENED * usual)
    if fits.any():
        i = int(np.flatnonzero(fits)[-1])
        text = f"{periods.per_month(periods.rate[i])} up to {month(periods.end[i])}, then {figure(periods.rate[i + 1])}"
        text += f", together {figure(together[i])}, as usual"
        return (FITS, sentence(text)) if _touches(periods, slice(i, i + 2)) else _elsewhere(periods, text)
    if low[-1] and not low[:-1].any():
        return CANNOT_TELL, sentence(
            f"only the last period is low, {figure(periods.rate[-1])} against {periods.per_month(usual)}",
            "the next may catch up",
        )
    return DOES_NOT_FIT, sentence(
        f"{counted(int(low.sum()), 'period')} below half of the usual level, none made up for by the next"
    )


def _seasonal(periods: ConsumptionPeriods, _inputs: CauseInputs) -> Verdict:
    """The same half of the year is nearly empty in most years."""
    year = periods.end.astype("datetime64[D]").astype("datetime64[Y]").astype(int)
    is_bright = np.isin(periods.middle, BRIGHT)
    halves = [(periods.mean((year == y) & is_bright), periods.mean((year == y) & ~is_bright)) for y in np.unique(year)]
    ratios = np.array([(bright + 1.0) / (dark + 1.0) for bright, dark in halves if not np.isnan(bright + dark)])
    if len(ratios) < SEASONAL_YEARS:
        years = counted(len(ratios), "year")
        return CANNOT_TELL, sentence(f"the {periods.source} cover {years} with both halves of the year")
    n_summer, n_winter = int((ratios >= SEASONAL).sum()), int((ratios <= 1.0 / SEASONAL).sum())
    for which, n in (("summer", n_summer), ("winter", n_winter)):
        if n >= SEASONAL_SHARE * len(ratios):
            return FITS, sentence(f"in {n} of {len(ratios)} years the {which} half shows twice the other half or more")
    text = f"the summer half shows twice the winter half or more in {n_summer or 'none'} of {len(ratios)} years"
    return DOES_NOT_FIT, sentence(text, f"half of it or less in {n_winter or 'none'}")


def _solar(periods: ConsumptionPeriods, inputs: CauseInputs) -> Verdict:
    """Solar panels reduce consumption in the bright half of the year, and in the middle of the day.

    With panels each autumn is a change too: they fit if they do so since any clear change, up to the last period.
    """
    if inputs.export_kwh is not None and np.count_nonzero(inputs.export_kwh) >= EXPORT_DAYS:
        n_days = counted(int(np.count_nonzero(inputs.export_kwh)), "day")
        return FITS, sentence(f"on {n_days} energy was fed into the grid, {figure(inputs.export_kwh.sum())} kWh in all")
    changes = periods.changes()
    if not changes:
        return _unchanged(periods)
    is_hourly = inputs.hours is not None and periods.source == "readings"
    verdict = _solar_by_hour if is_hourly else _solar_by_season
    found = [verdict(periods, inputs, at) for at in reversed(changes)]
    return next((each for each in found if each[0] == FITS), found[0])


def _solar_by_season(periods: ConsumptionPeriods, _inputs: CauseInputs, at: int) -> Verdict:
    is_after, is_bright = np.arange(len(periods)) >= at, np.isin(periods.middle, BRIGHT)
    means = [[periods.mean(after & half) for after in (~is_after, is_after)] for half in (is_bright, ~is_bright)]
    if np.isnan(means).any() or min(means[0][0], means[1][0]) <= 0:
        return CANNOT_TELL, "Summer and winter are not both known before and after the last clear change."
    bright, dark = (1.0 - after / before for before, after in means)
    return _sunny(bright, dark, "summer half year", "winter half", month(periods.start[at]))


def _solar_by_hour(periods: ConsumptionPeriods, inputs: CauseInputs, at: int) -> Verdict:
    is_after = inputs.day >= periods.start[at]
    with np.errstate(all="ignore"):
        noon, night = (
            [_mean_of_known(inputs.hours[rows][:, hours]) for rows in (~is_after, is_after)]
            for hours in (slice(10, 16), slice(0, 5))
        )
    if np.isnan([*noon, *night]).any() or min(noon[0], night[0]) <= 0:
        return NO_HISTORY
    bright, dark = 1.0 - noon[1] / noon[0], 1.0 - night[1] / night[0]
    return _sunny(bright, dark, "hours from 10 to 16", "hours from 0 to 5", month(periods.start[at]))


def _mean_of_known(kwh: np.ndarray) -> float:
    known = kwh[~np.isnan(kwh)]
    return float(known.mean()) if known.size else np.nan


def _sunny(bright: float, dark: float, when: str, otherwise: str, since: str) -> Verdict:
    words = f"since {since} the {when} shows {_fall(bright)}, the {otherwise} {_fall(dark)}"
    if bright < SUMMER_FALL:
        return DOES_NOT_FIT, sentence(words, "panels would show in the sun")
    if dark <= SUN * bright:
        return FITS, sentence(words)
    return DOES_NOT_FIT, sentence(words, "panels would take less without sun")


def _fall(part: float) -> str:
    return f"{share(abs(part))} {'less' if part >= 0 else 'more'}"


def _communication_gap(periods: ConsumptionPeriods, inputs: CauseInputs) -> Verdict:
    """Nothing came through for days, and then all of it in one reading."""
    if periods.source != "readings":
        return CANNOT_TELL, "Invoices do not show whether a meter was reached."
    run = slice(0, 0) if inputs.is_spread is None else _longest(inputs.is_spread)
    if run.stop:
        n_days, last = counted(run.stop - run.start, "day"), month(inputs.day[run][-1])
        return FITS, sentence(f"{n_days} up to {last} came through in one reading, which makes up for them")
    missing = _longest(np.isnan(inputs.kwh))
    if missing.stop - missing.start >= GAP_DAYS:
        n_days = counted(missing.stop - missing.start, "day")
        return CANNOT_TELL, sentence(f"{n_days} up to {month(inputs.day[missing][-1])} have no reading")
    return DOES_NOT_FIT, sentence(f"no {counted(GAP_DAYS, 'day')} in a row came through late or not at all")


def _short(inputs: CauseInputs) -> Verdict:
    n, n_days = sum(len(history) for history in inputs.histories.values()), int((~np.isnan(inputs.kwh)).sum())
    words = join_names([counted(n, "invoice"), counted(n_days, "day") + " with readings"])
    is_short = n < SHORT_INVOICES and n_days < SHORT_DAYS
    return FITS if is_short else DOES_NOT_FIT, sentence(f"there {'is' if n == 1 else 'are'} {words}")


CauseRule = Callable[[ConsumptionPeriods, CauseInputs], Verdict]
RULES: dict[str, CauseRule] = {
    "vacant home": _vacant, "new tenant": _tenant, "meter exchange": _exchange,
    "estimated invoice, then catch-up": _catch_up, "seasonal home": _seasonal, "solar panels": _solar,
    "communication gap": _communication_gap,
}  # fmt: skip
SHORT_HISTORY = "short history"
CAUSES = (*RULES, SHORT_HISTORY)
PRECEDENCE = (FITS, DOES_NOT_FIT, CANNOT_TELL)  # if invoices and readings differ


def harmless_causes(inputs: CauseInputs) -> tuple[HarmlessCause, ...]:
    """Verdict on each of CAUSES."""
    all_periods = [periods for periods in inputs.periods if len(periods)]
    verdicts = {cause: _by_any(rule, all_periods, inputs) for cause, rule in RULES.items()} | {
        SHORT_HISTORY: _short(inputs)
    }
    return tuple(HarmlessCause(cause, *verdict) for cause, verdict in verdicts.items())


def _by_any(rule: CauseRule, all_periods: list[ConsumptionPeriods], inputs: CauseInputs) -> Verdict:
    verdicts = [rule(periods, inputs) for periods in all_periods]
    return min(verdicts, key=lambda verdict: PRECEDENCE.index(verdict[0]), default=NO_HISTORY)
