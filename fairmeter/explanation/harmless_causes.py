"""Harmless causes of what looks suspicious: which fit a client, which do not, of which the tables cannot tell.

In:  a client's invoices by energy (fairmeter/explanation/billed.py) and its days with readings.
Out: an Explanation for each of CAUSES, in that order, with its evidence in words.

Rules, not a model: each asks what must be seen if the cause is true. Invoices and readings are asked alike; what fits
by one of them fits. No source gives figures; those below are set by hand, near the ranges of harmless.py.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fairmeter.core.calendar import DAYS_PER_MONTH
from fairmeter.core.formatting import counted, figure, join_names, month, sentence, share
from fairmeter.core.types import CANNOT_TELL, DOES_NOT_FIT, FITS, HarmlessCause
from fairmeter.explanation.billed import BillingHistory
from fairmeter.explanation.courses import ConsumptionPeriods, course_of_days, course_of_invoices

EMPTY_KWH = 10.0  # a month: below it nobody lives there with a refrigerator
EMPTY_SHARE, STANDBY_KWH = 0.15, 30.0  # of the usual level, as harmless.py leaves a vacant home; a month at most
RECENT_MONTHS = 24.0  # before the end: a home that was vacant earlier explains nothing that is seen now
EMPTY_MONTHS = 1.0  # at least: a shorter absence is a holiday
CHANGED = 0.2  # of the level, up or down: less happens in any household
EXCHANGE = 0.1  # of the level: meters differ by so much at most (harmless.py, wide range of meter_exchange)
LOW, HIGH = 0.5, 1.5  # of the usual level: an estimate too low, and the invoice that catches up
EVENED = 0.25  # how far the two together may lie from the usual level
SEASONAL = 2.0  # times: a home that is lived in for a part of the year shows at least this
SEASONAL_YEARS, SEASONAL_SHARE = 2, 0.8  # years at least, and the share of them that must show it
SUMMER_FALL = 0.2  # of the level: panels that cover less do not show
SUN = 0.5  # the fall of the dark half year over that of the bright one, at most (swing of solar_panels in harmless.py)
BRIGHT = (3, 4, 5, 6, 7, 8)  # April to September
SHORT_INVOICES, SHORT_DAYS = 4, 60  # as the model's own quality flags

Verdict = tuple[str, str]  # and its evidence in words
NO_HISTORY = (CANNOT_TELL, "There are too few invoices or readings to tell.")


class CauseInputs(NamedTuple):
    """What is known of one client. [day: days since 1970; kwh: NaN where missing; hours: (days, 24) or None]"""

    billed: dict[str, BillingHistory]
    day: np.ndarray
    kwh: np.ndarray
    hours: np.ndarray | None

    @property
    def courses(self) -> list[ConsumptionPeriods]:
        """Of electricity, or of gas where there is no other; and of the readings."""
        energy = next(iter(self.billed), None)  # electricity comes first
        made = [course_of_invoices(self.billed[energy], energy)] if energy else []
        return made + ([course_of_days(self.day, self.kwh)] if len(self.day) else [])


# --- what several causes ask ------------------------------------------------------------------------------------------


def _empty(course: ConsumptionPeriods) -> np.ndarray:
    """Periods in which nobody seems to live there. [mask]"""
    usual = np.median(course.rate) if len(course) else 0.0
    return course.rate <= max(EMPTY_KWH, min(EMPTY_SHARE * usual, STANDBY_KWH))


def _longest(is_so: np.ndarray) -> slice:
    """The longest run, the later of equally long ones; an empty slice where there is none."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], is_so.astype(int), [0]])))
    runs = list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
    return slice(*max(runs, key=lambda run: (run[1] - run[0], run[1]))) if runs else slice(0, 0)


def _span(course: ConsumptionPeriods, run: slice) -> str:
    return f"from {month(course.start[run][0])} to {month(course.end[run][-1])}"


def _levels(course: ConsumptionPeriods) -> tuple[float, float, str]:
    """Before and after the clearest change, and when it was. [kWh a month; NaN where there is none]"""
    at = course.change()
    if not at:
        return float("nan"), float("nan"), ""
    is_after = np.arange(len(course)) >= at
    return course.mean(~is_after), course.mean(is_after), month(course.start[at])


def _is_changed(before: float, after: float) -> bool:
    return abs(after - before) > CHANGED * before


# --- the causes -------------------------------------------------------------------------------------------------------


def _vacancy(course: ConsumptionPeriods, seen: CauseInputs) -> tuple[slice, float]:
    """The longest time of late in which nobody seems to live there, empty where too short; gas used meanwhile.

    [m3 a month]
    """
    is_late = course.end > course.end[-1:] - RECENT_MONTHS * DAYS_PER_MONTH
    run = _longest(_empty(course) & is_late)
    if course.months[run].sum() < EMPTY_MONTHS:
        return slice(0, 0), 0.0
    gas = seen.billed.get("gas")
    if gas is None or course.unit != "kWh":
        return run, 0.0
    other = course_of_invoices(gas, "gas")
    middle = (other.start + other.end) / 2.0
    meanwhile = other.mean((middle > course.start[run][0]) & (middle < course.end[run][-1]))
    return run, 0.0 if np.isnan(meanwhile) else meanwhile


def _vacant(course: ConsumptionPeriods, seen: CauseInputs) -> Verdict:
    run, gas = _vacancy(course, seen)
    if run.stop == 0:
        return DOES_NOT_FIT, sentence(
            f"the {course.source} of two years show no month in which next to nothing was used"
        )
    span = _span(course, run)
    if gas > EMPTY_KWH:
        text = f"next to no electricity is used {span}, but gas goes on at {figure(gas)} m³ a month"
        return DOES_NOT_FIT, sentence(text)
    return FITS, sentence(f"next to nothing is used {span}, by the {course.source}")


def _tenant(course: ConsumptionPeriods, seen: CauseInputs) -> Verdict:
    run, gas = _vacancy(course, seen)
    if run.stop == 0 or gas > EMPTY_KWH:
        return _moved_in_at_once(course)
    place, words = np.arange(len(course)), f"next to nothing is used {_span(course, run)}"
    before, after = course.mean(place < run.start), course.mean(place >= run.stop)
    if np.isnan(after):
        return CANNOT_TELL, sentence(f"{words}, up to the last of the {course.source}", "nobody has moved in since")
    if np.isnan(before):
        return CANNOT_TELL, sentence(f"{words}, from the first of the {course.source} on")
    words += f", then consumption goes {course.step(before, after)}"
    if _is_changed(before, after):
        return FITS, sentence(f"{words}, as when others move in")
    return DOES_NOT_FIT, sentence(f"{words}, much as before")


def _moved_in_at_once(course: ConsumptionPeriods) -> Verdict:
    before, after, since = _levels(course)
    if np.isnan(before):
        return NO_HISTORY
    if not _is_changed(before, after):
        return DOES_NOT_FIT, sentence(f"the level hardly changed, {course.step(before, after)}")
    text = f"consumption goes {course.step(before, after)} in {since} without a vacant time before"
    return CANNOT_TELL, sentence(text, "who lives there is not in the tables")


def _exchange(course: ConsumptionPeriods, seen: CauseInputs) -> Verdict:
    if course.source == "readings":
        return _gap_at_change(course, seen)
    billed = next(iter(seen.billed.values()))
    if np.isnan(billed.meter_id).all():
        return CANNOT_TELL, "The invoices name no meter."
    days = _exchanges(billed)
    if not len(days):
        return DOES_NOT_FIT, "The invoices show no meter that took the place of another."
    before, after, since = _levels(course)
    named = f"the meter was exchanged by {join_names(dict.fromkeys(month(day) for day in days[-3:]))}"
    if np.isnan(before):
        return CANNOT_TELL, sentence(named)
    at = course.end[course.change()]
    around = billed.day[max(np.searchsorted(billed.day, at) - 1, 0) :][:3]
    if not np.isin(days, around).any():
        return DOES_NOT_FIT, sentence(named, f"the clearest change is of {since}")
    return _by_size(f"{named}, where consumption goes {course.step(before, after)}", before, after)


def _exchanges(billed: BillingHistory) -> np.ndarray:
    """Days on which a meter is named first, after another was named last. [days since 1970, ascending]

    Meters side by side come and go on every day: they are no exchange.
    """
    meters = [billed.day[billed.meter_id == meter] for meter in np.unique(billed.meter_id[~np.isnan(billed.meter_id)])]
    first, last = np.array([days[0] for days in meters]), np.array([days[-1] for days in meters])
    return np.unique([day for day in first if day > first.min() and (last <= day).any()])


def _gap_at_change(course: ConsumptionPeriods, seen: CauseInputs) -> Verdict:
    at = course.change()
    if not at:
        return NO_HISTORY
    before, after, since = _levels(course)
    near = np.abs(seen.day - course.start[at]) <= 1.5 * (course.end[1] - course.end[0])
    n_missing = int(np.isnan(seen.kwh[near]).sum())
    if not n_missing:
        return DOES_NOT_FIT, sentence(f"no reading is missing around the clearest change in {since}")
    words = f"{counted(n_missing, 'day')} without readings around the clearest change in {since}"
    return _by_size(f"{words}, where consumption goes {course.step(before, after)}", before, after)


def _by_size(words: str, before: float, after: float) -> Verdict:
    if abs(after - before) <= EXCHANGE * before:
        return FITS, sentence(words)
    return CANNOT_TELL, sentence(words, f"an exchange alone explains {share(EXCHANGE)} at most: compare both meters")


def _catch_up(course: ConsumptionPeriods, _seen: CauseInputs) -> Verdict:
    """A period well below the usual level, then one as far above it."""
    if len(course) < 4:
        return NO_HISTORY
    usual = np.median(course.rate)
    low = course.rate < LOW * usual
    if usual <= 0 or not low.any():
        return DOES_NOT_FIT, sentence(f"no period of the {course.source} is below half of the usual level")
    used = course.rate * course.months
    together = (used[:-1] + used[1:]) / (course.months[:-1] + course.months[1:])
    fits = low[:-1] & (course.rate[1:] > HIGH * usual) & (np.abs(together - usual) <= EVENED * usual)
    if fits.any():
        i = int(np.flatnonzero(fits)[-1])
        text = f"{course.a_month(course.rate[i])} up to {month(course.end[i])}, then {figure(course.rate[i + 1])}"
        return FITS, sentence(text, f"together {figure(together[i])}, as usual")
    if low[-1] and not low[:-1].any():
        return CANNOT_TELL, sentence(
            f"only the last period is low, {figure(course.rate[-1])} against {course.a_month(usual)}",
            "the next may catch up",
        )
    return DOES_NOT_FIT, sentence(
        f"{counted(int(low.sum()), 'period')} below half of the usual level, none made up for by the next"
    )


def _seasonal(course: ConsumptionPeriods, _seen: CauseInputs) -> Verdict:
    """In nearly every year the same part of the year is the empty one."""
    year = course.end.astype("datetime64[D]").astype("datetime64[Y]").astype(int)
    is_bright = np.isin(course.middle, BRIGHT)
    halves = [(course.mean((year == y) & is_bright), course.mean((year == y) & ~is_bright)) for y in np.unique(year)]
    ratios = np.array([(bright + 1.0) / (dark + 1.0) for bright, dark in halves if not np.isnan(bright + dark)])
    if len(ratios) < SEASONAL_YEARS:
        years = counted(len(ratios), "year")
        return CANNOT_TELL, sentence(f"the {course.source} cover {years} with both halves of the year")
    n_summer, n_winter = int((ratios >= SEASONAL).sum()), int((ratios <= 1.0 / SEASONAL).sum())
    for which, n in (("summer", n_summer), ("winter", n_winter)):
        if n >= SEASONAL_SHARE * len(ratios):
            return FITS, sentence(f"in {n} of {len(ratios)} years the {which} half shows twice the other half or more")
    text = f"the summer half shows twice the winter half or more in {n_summer or 'none'} of {len(ratios)} years"
    return DOES_NOT_FIT, sentence(text, f"half of it or less in {n_winter or 'none'}")


def _solar(course: ConsumptionPeriods, seen: CauseInputs) -> Verdict:
    """Panels take from the bright half of the year, and from the middle of the day."""
    if seen.hours is not None and course.source == "readings":
        return _solar_by_hour(course, seen)
    at = course.change()
    if not at:
        return NO_HISTORY
    is_after, is_bright = np.arange(len(course)) >= at, np.isin(course.middle, BRIGHT)
    means = [[course.mean(after & half) for after in (~is_after, is_after)] for half in (is_bright, ~is_bright)]
    if np.isnan(means).any() or min(means[0][0], means[1][0]) <= 0:
        return CANNOT_TELL, "Summer and winter are not both known before and after the clearest change."
    bright, dark = (1.0 - after / before for before, after in means)
    return _sunny(bright, dark, "summer half year", "winter half", month(course.start[at]))


def _solar_by_hour(course: ConsumptionPeriods, seen: CauseInputs) -> Verdict:
    at = course.change()
    is_after = seen.day >= (course.start[at] if at else np.inf)
    with np.errstate(all="ignore"):
        noon, night = (
            [_mean_of_known(seen.hours[rows][:, hours]) for rows in (~is_after, is_after)]
            for hours in (slice(10, 16), slice(0, 5))
        )
    if np.isnan([*noon, *night]).any() or min(noon[0], night[0]) <= 0:
        return NO_HISTORY
    bright, dark = 1.0 - noon[1] / noon[0], 1.0 - night[1] / night[0]
    return _sunny(bright, dark, "hours from 10 to 16", "hours from 0 to 5", month(course.start[at]))


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


def _short(seen: CauseInputs) -> Verdict:
    n, n_days = sum(len(billed) for billed in seen.billed.values()), int((~np.isnan(seen.kwh)).sum())
    words = join_names([counted(n, "invoice"), counted(n_days, "day") + " with readings"])
    is_short = n < SHORT_INVOICES and n_days < SHORT_DAYS
    return FITS if is_short else DOES_NOT_FIT, sentence(f"there {'is' if n == 1 else 'are'} {words}")


Rule = Callable[[ConsumptionPeriods, CauseInputs], Verdict]
RULES: dict[str, Rule] = {
    "vacant home": _vacant, "new tenant": _tenant, "meter exchange": _exchange,
    "estimated invoice, then catch-up": _catch_up, "seasonal home": _seasonal, "solar panels": _solar,
}  # fmt: skip
SHORT_HISTORY = "short history"
CAUSES = (*RULES, SHORT_HISTORY)
STRONGEST = (FITS, DOES_NOT_FIT, CANNOT_TELL)  # where invoices and readings answer differently


def explanations_of(seen: CauseInputs) -> tuple[HarmlessCause, ...]:
    """Each of CAUSES with its verdict."""
    courses = [course for course in seen.courses if len(course)]
    verdicts = {cause: _by_any(rule, courses, seen) for cause, rule in RULES.items()} | {SHORT_HISTORY: _short(seen)}
    return tuple(HarmlessCause(cause, *verdict) for cause, verdict in verdicts.items())


def _by_any(rule: Rule, courses: list[ConsumptionPeriods], seen: CauseInputs) -> Verdict:
    verdicts = [rule(course, seen) for course in courses]
    return min(verdicts, key=lambda verdict: STRONGEST.index(verdict[0]), default=NO_HISTORY)
