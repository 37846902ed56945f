"""Harmless causes of what looks suspicious: which of them fit a client, which do not, and which remain open.

In:  a client's invoices by energy (fairmeter/explanation/billing_history.py) and its days with readings.
Out: a HarmlessCause for each of CAUSES, in that order, with its evidence in a sentence.

These are rules, not a model: each asks for what must be visible if the cause is true. Invoices and readings are checked
alike, and a cause that fits one of them fits. A cause of the past explains nothing: it has to touch the onset, the day
from which the client is suspected, else the last clear change of its level. What is older is history. No publication
gives the limits below; they are set by hand, near the ranges of fairmeter/simulation/harmless_patterns.py.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fairmeter.core.calendar import DAYS_PER_MONTH
from fairmeter.core.types import CANNOT_TELL, DOES_NOT_FIT, FITS, HarmlessCause
from fairmeter.explanation.billing_history import (
    MIN_PERIODS,
    OF_READINGS,
    BillingHistory,
    ConsumptionPeriods,
    periods_from_invoices,
    periods_from_readings,
)
from fairmeter.wording.phrases import Phrase, clauses_of, sentence

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
PAST_MONTHS = 12.0  # before the end: older causes are history where there is no onset
PANEL_DAYS = 366  # after panels were fitted, the first autumn may look like another change
GAP_DAYS = 2  # in a row without a reading
EXPORT_DAYS = 3  # with energy fed into the grid
BRIGHT = (3, 4, 5, 6, 7, 8)  # April to September
SHORT_INVOICES, SHORT_DAYS = 4, 60  # as the quality flags of the model

Verdict = tuple[str, Phrase]  # the verdict and its evidence
NO_HISTORY = (CANNOT_TELL, sentence(Phrase("cause.no_history")))


class CauseInputs(NamedTuple):
    """Data of one client. [day: days since 1970; kwh: NaN if missing; hours: (days, 24) or None]

    export_kwh: fed into the grid; is_spread: days whose energy came with that of others. [(days,) or None]
    onset: the day from which the client is suspected, None where the score names none.
    """

    histories: dict[str, BillingHistory]
    day: np.ndarray
    kwh: np.ndarray
    hours: np.ndarray | None
    export_kwh: np.ndarray | None = None
    is_spread: np.ndarray | None = None
    onset: float | None = None

    @property
    def periods(self) -> list[ConsumptionPeriods]:
        """Periods of the invoices for electricity, or for gas if there are no others; and those of the readings."""
        energy = next(iter(self.histories), None)  # electricity comes first
        made = [periods_from_invoices(self.histories[energy], energy)] if energy else []
        made += [periods_from_readings(self.day, self.kwh)] if len(self.day) else []
        onsets = [day for periods in made for day in _recent_onset(periods)]
        since = max(onsets, default=float("nan")) if self.onset is None else self.onset
        return [periods.suspected_from(since) for periods in made]


def _recent_onset(periods: ConsumptionPeriods) -> list[float]:
    """The first day after the last clear change; none where that is long past."""
    at = periods.onset()
    is_recent = at and periods.start[at] >= periods.end[-1] - RECENT_MONTHS * DAYS_PER_MONTH
    return [float(periods.start[at])] if is_recent else []


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


def _span(periods: ConsumptionPeriods, run: slice) -> dict[str, float]:
    """The first and the last day of a run, by name."""
    return {"first": periods.start[run][0], "last": periods.end[run][-1]}


def _levels(periods: ConsumptionPeriods) -> tuple[float, float, float]:
    """Level before and after the onset, and its day. [kWh a month; NaN with too few periods, without an onset]"""
    at = periods.onset()
    if not at:
        level = periods.mean(np.ones(len(periods), bool)) if len(periods) >= MIN_PERIODS else float("nan")
        return level, level, float("nan")
    is_after = np.arange(len(periods)) >= at
    return periods.mean(~is_after), periods.mean(is_after), float(periods.start[at])


def _touches(periods: ConsumptionPeriods, run: slice) -> bool:
    """Whether the onset lies in a run of periods or one period beside it."""
    return _is_near(periods, periods.start[run][0], periods.end[run][-1])


def _is_near(periods: ConsumptionPeriods, first: float, last: float) -> bool:
    """Whether the onset lies in these days or one period beside them; without an onset, whether they are late."""
    beside, since = np.median(periods.months) * DAYS_PER_MONTH, periods.suspected_since
    if np.isnan(since):
        return last >= periods.end[-1] - PAST_MONTHS * DAYS_PER_MONTH
    return first - beside <= since <= last + beside


def _elsewhere(periods: ConsumptionPeriods, *words: str) -> Verdict:
    since = periods.suspected_since
    clause = Phrase("cause.past") if np.isnan(since) else Phrase("cause.elsewhere", since=since)
    return DOES_NOT_FIT, sentence(*words, clause)


def _step(before: float, after: float, periods: ConsumptionPeriods) -> Phrase:
    return Phrase("cause.step", before=before, after=after, unit=periods.unit)


def _unchanged(periods: ConsumptionPeriods) -> Verdict:
    if len(periods) < MIN_PERIODS:
        return NO_HISTORY
    return DOES_NOT_FIT, sentence(Phrase("cause.unchanged", source=periods.source))


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
        return DOES_NOT_FIT, sentence(Phrase("cause.vacant.never", source=periods.source))
    span = _span(periods, run)
    if gas > EMPTY_KWH:
        return DOES_NOT_FIT, sentence(Phrase("cause.vacant.gas", **span, gas=gas))
    words = Phrase("cause.vacant.span", **span, source=periods.source)
    return (FITS, sentence(words)) if _touches(periods, run) else _elsewhere(periods, words)


def _tenant(periods: ConsumptionPeriods, inputs: CauseInputs) -> Verdict:
    run, gas = _vacancy(periods, inputs)
    if run.stop == 0 or gas > EMPTY_KWH:
        return _moved_in_at_once(periods)
    place, span = np.arange(len(periods)), _span(periods, run)
    before, after = periods.mean(place < run.start), periods.mean(place >= run.stop)
    if np.isnan(after):
        words = Phrase("cause.tenant.until_last", **span, source=periods.source)
        return CANNOT_TELL, sentence(words, Phrase("cause.tenant.nobody"))
    if np.isnan(before):
        return CANNOT_TELL, sentence(Phrase("cause.tenant.from_first", **span, source=periods.source))
    step = _step(before, after, periods)
    if _is_changed(before, after):
        words = Phrase("cause.tenant.moved_in", **span, step=step)
        return (FITS, sentence(words)) if _touches(periods, run) else _elsewhere(periods, words)
    return DOES_NOT_FIT, sentence(Phrase("cause.tenant.as_before", **span, step=step))


def _moved_in_at_once(periods: ConsumptionPeriods) -> Verdict:
    before, after, since = _levels(periods)
    if np.isnan(before):
        return NO_HISTORY
    if not _is_changed(before, after):
        return DOES_NOT_FIT, sentence(Phrase("cause.tenant.hardly", step=_step(before, after, periods)))
    text = Phrase("cause.tenant.at_once", step=_step(before, after, periods), since=since)
    return CANNOT_TELL, sentence(text, Phrase("cause.tenant.not_in_tables"))


def _exchange(periods: ConsumptionPeriods, inputs: CauseInputs) -> Verdict:
    if periods.source == OF_READINGS:
        return _gap_at_change(periods, inputs)
    history = next(iter(inputs.histories.values()))
    if np.isnan(history.meter_id).all():
        return CANNOT_TELL, sentence(Phrase("cause.exchange.no_meter"))
    days = _exchanges(history)
    if not len(days):
        return DOES_NOT_FIT, sentence(Phrase("cause.exchange.none"))
    before, after, since = _levels(periods)
    named = Phrase("cause.exchange.days", days=_first_of_each_month(days[-3:]))
    if np.isnan(before):
        return CANNOT_TELL, sentence(named)
    if np.isnan(since):
        return DOES_NOT_FIT, sentence(named, Phrase("cause.exchange.unchanged"))
    at = periods.end[periods.onset()]
    around = history.day[max(np.searchsorted(history.day, at) - 1, 0) :][:3]
    if not any(_is_near(periods, day, day) for day in days[np.isin(days, around)]):
        return _elsewhere(periods, named)
    words = Phrase("cause.exchange.step", named=named, step=_step(before, after, periods))
    return _by_size(periods, words, before, after)


def _first_of_each_month(days: np.ndarray) -> list[int]:
    months = np.asarray(days).astype("datetime64[D]").astype("datetime64[M]")
    return [int(days[i]) for i in np.sort(np.unique(months, return_index=True)[1])]


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
        return DOES_NOT_FIT, sentence(Phrase("cause.gap.none", since=since))
    words = Phrase("cause.gap.step", n=n_missing, since=since, step=_step(before, after, periods))
    return _by_size(periods, words, before, after)


def _by_size(periods: ConsumptionPeriods, words: Phrase, before: float, after: float) -> Verdict:
    """What two meters can differ by fits, unless consumption changed by more at another time."""
    ends = [*periods.changes, len(periods)]
    place = np.arange(len(periods))
    levels = np.array([periods.mean((place >= a) & (place < b)) for a, b in zip([0, *ends[:-1]], ends, strict=True)])
    if abs(after - before) <= EXCHANGE * before:
        if (np.abs(np.diff(levels)) > EXCHANGE * levels[:-1]).any():
            return DOES_NOT_FIT, sentence(words, Phrase("cause.exchange.more_elsewhere"))
        return FITS, sentence(words)
    return CANNOT_TELL, sentence(words, Phrase("cause.exchange.compare", part=EXCHANGE))


def _catch_up(periods: ConsumptionPeriods, _inputs: CauseInputs) -> Verdict:
    """A period far below the usual level, then one as far above it."""
    if len(periods) < 4:
        return NO_HISTORY
    usual = np.median(periods.rate)
    low = periods.rate < LOW * usual
    if usual <= 0 or not low.any():
        return DOES_NOT_FIT, sentence(Phrase("cause.catch_up.none", source=periods.source))
    used = periods.rate * periods.months
    together = (used[:-1] + used[1:]) / (periods.months[:-1] + periods.months[1:])
    fits = low[:-1] & (periods.rate[1:] > HIGH * usual) & (np.abs(together - usual) <= EVENED * usual)
    if fits.any():
        i = int(np.flatnonzero(fits)[-1])
        values = {"low": periods.rate[i], "unit": periods.unit, "until": periods.end[i], "high": periods.rate[i + 1]}
        text = Phrase("cause.catch_up.pair", **values, together=together[i])
        return (FITS, sentence(text)) if _touches(periods, slice(i, i + 2)) else _elsewhere(periods, text)
    if low[-1] and not low[:-1].any():
        last = Phrase("cause.catch_up.last", low=periods.rate[-1], usual=usual, unit=periods.unit)
        return CANNOT_TELL, sentence(last, Phrase("cause.catch_up.next"))
    return DOES_NOT_FIT, sentence(Phrase("cause.catch_up.alone", n=int(low.sum())))


def _seasonal(periods: ConsumptionPeriods, _inputs: CauseInputs) -> Verdict:
    """The same half of the year is nearly empty in most years."""
    year = periods.end.astype("datetime64[D]").astype("datetime64[Y]").astype(int)
    is_bright = np.isin(periods.middle, BRIGHT)
    halves = [(periods.mean((year == y) & is_bright), periods.mean((year == y) & ~is_bright)) for y in np.unique(year)]
    ratios = np.array([(bright + 1.0) / (dark + 1.0) for bright, dark in halves if not np.isnan(bright + dark)])
    if len(ratios) < SEASONAL_YEARS:
        return CANNOT_TELL, sentence(Phrase("cause.seasonal.short", source=periods.source, n=len(ratios)))
    n_summer, n_winter = int((ratios >= SEASONAL).sum()), int((ratios <= 1.0 / SEASONAL).sum())
    for which, n in (("summer", n_summer), ("winter", n_winter)):
        if n >= SEASONAL_SHARE * len(ratios):
            return FITS, sentence(Phrase("cause.seasonal.half", n=n, of=len(ratios), half=which))
    text = Phrase("cause.seasonal.summer", n=n_summer, of=len(ratios))
    return DOES_NOT_FIT, sentence(text, Phrase("cause.seasonal.winter", n=n_winter))


def _solar(periods: ConsumptionPeriods, inputs: CauseInputs) -> Verdict:
    """Solar panels reduce consumption in the bright half of the year, and in the middle of the day.

    With panels each autumn is a change too: they fit if they do so since any clear change, up to the last period.
    """
    if inputs.export_kwh is not None and np.count_nonzero(inputs.export_kwh) >= EXPORT_DAYS:
        n = int(np.count_nonzero(inputs.export_kwh))
        return FITS, sentence(Phrase("cause.solar.export", n=n, kwh=inputs.export_kwh.sum()))
    changes = periods.changes
    if not changes:
        return _unchanged(periods)
    is_hourly = inputs.hours is not None and periods.source == OF_READINGS
    verdict = _solar_by_hour if is_hourly else _solar_by_season
    found = [(at, verdict(periods, inputs, at)) for at in reversed(changes)]
    at, (fits, words) = next((each for each in found if each[1][0] == FITS), found[0])
    if fits == FITS and not _is_near(periods, periods.start[at], periods.start[at] + PANEL_DAYS):
        return _elsewhere(periods, *clauses_of(words))
    return fits, words


def _solar_by_season(periods: ConsumptionPeriods, _inputs: CauseInputs, at: int) -> Verdict:
    is_after, is_bright = np.arange(len(periods)) >= at, np.isin(periods.middle, BRIGHT)
    means = [[periods.mean(after & half) for after in (~is_after, is_after)] for half in (is_bright, ~is_bright)]
    if np.isnan(means).any() or min(means[0][0], means[1][0]) <= 0:
        return CANNOT_TELL, sentence(Phrase("cause.solar.unknown"))
    bright, dark = (1.0 - after / before for before, after in means)
    return _sunny(bright, dark, "season", periods.start[at])


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
    return _sunny(bright, dark, "hours", periods.start[at])


def _mean_of_known(kwh: np.ndarray) -> float:
    known = kwh[~np.isnan(kwh)]
    return float(known.mean()) if known.size else np.nan


def _sunny(bright: float, dark: float, kind: str, since: float) -> Verdict:
    words = Phrase(f"cause.solar.{kind}", since=since, bright=_fall(bright), dark=_fall(dark))
    if bright < SUMMER_FALL:
        return DOES_NOT_FIT, sentence(words, Phrase("cause.solar.in_sun"))
    if dark <= SUN * bright:
        return FITS, sentence(words)
    return DOES_NOT_FIT, sentence(words, Phrase("cause.solar.without_sun"))


def _fall(part: float) -> Phrase:
    return Phrase(f"cause.solar.{'less' if part >= 0 else 'more'}", part=abs(part))


def _communication_gap(periods: ConsumptionPeriods, inputs: CauseInputs) -> Verdict:
    """Nothing came through for days, and then all of it in one reading."""
    if periods.source != OF_READINGS:
        return CANNOT_TELL, sentence(Phrase("cause.communication.invoices"))
    run = slice(0, 0) if inputs.is_spread is None else _longest(inputs.is_spread)
    if run.stop:
        text = Phrase("cause.communication.late", n=run.stop - run.start, last=inputs.day[run][-1])
        is_near = _is_near(periods, inputs.day[run][0], inputs.day[run][-1])
        return (FITS, sentence(text)) if is_near else _elsewhere(periods, text)
    missing = _longest(np.isnan(inputs.kwh))
    if missing.stop - missing.start >= GAP_DAYS:
        text = Phrase("cause.communication.missing", n=missing.stop - missing.start, last=inputs.day[missing][-1])
        return CANNOT_TELL, sentence(text)
    return DOES_NOT_FIT, sentence(Phrase("cause.communication.none", n=GAP_DAYS))


def _short(inputs: CauseInputs) -> Verdict:
    n, n_days = sum(len(history) for history in inputs.histories.values()), int((~np.isnan(inputs.kwh)).sum())
    is_short = n < SHORT_INVOICES and n_days < SHORT_DAYS
    return FITS if is_short else DOES_NOT_FIT, sentence(Phrase("cause.short", n=n, n_days=n_days))


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
