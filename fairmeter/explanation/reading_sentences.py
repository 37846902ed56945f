"""Sentences on the topics of a client's readings: its own figures, and those of the typical client.

In:  ReadingContext (fairmeter/explanation/sentence_inputs.py): a client's days and its features.
Out: a Sentence for each topic of topics.READING_TOPICS; None if the client's figures do not support one.
"""

from collections.abc import Callable

import numpy as np

from fairmeter.core.formatting import change, compared, counted, date, figure, sentence, share
from fairmeter.explanation.sentence_inputs import ReadingContext, Sentence, direction
from fairmeter.explanation.topics import Topic
from fairmeter.features.base import FALL, HISTORY, IRREGULAR, LOW, PLACE, UNUSUAL

UNCHANGED = 0.05  # of the level: a smaller change counts as none
NEAR_ZERO = 0.1  # of the median day
RECENT, CEILING, SEASON, YEAR = 30, 60, 91, 364  # days
LAST_WEEKS = 13
HIGHER = 1.01  # times: the margin by which a day must exceed others, as in the features

SentenceRule = Callable[[ReadingContext], Sentence | None]


def _compared(log_ratio: float) -> str:
    return compared(np.expm1(log_ratio))


def _ratio(log_ratio: float) -> str:
    return change(np.expm1(log_ratio))


# --- fall in consumption ----------------------------------------------------------------------------------------------


def _change(it: ReadingContext) -> Sentence | None:
    """Level before and after the clearest step, and that step relative to the neighbours if they are known."""
    ago, size = it.value("off_usual_step_ago"), it.value("off_usual_step_size")
    if np.isnan(ago + size):
        return None
    onset = it.day[-1] + 1.0 - ago
    before, after = it.mean(it.day < onset), it.mean(it.day >= onset)
    if np.isnan(before + after) or before <= 0:
        return None
    ratio = after / before - 1.0
    relative = "" if np.isnan(it.value("neighbours_slope")) else f"set against its neighbours this is {_ratio(size)}"
    usual = it.usual_clause("off_usual_step_size", "the typical client's clearest change is {usual}", _ratio)
    if abs(ratio) < UNCHANGED:
        text = f"consumption kept its level, {figure(before)} kWh a day until {date(onset)} and {figure(after)} after"
    else:
        way = "fell" if ratio < 0 else "rose"
        text = f"consumption {way} {share(abs(ratio))} from {date(onset)} on"
        text += f", from {figure(before)} to {figure(after)} kWh a day"
    return Sentence(sentence(text, relative, usual), 0 if abs(size) < UNCHANGED else 1 if size < 0 else -1)


def _last(it: ReadingContext) -> Sentence | None:
    is_last = it.day > it.day[-1] - RECENT
    now, before = it.mean(is_last), it.mean(~is_last)
    if np.isnan(now + before):
        return None
    usual = it.usual_clause(f"ratio_last_{RECENT}", "the typical client's are {usual} against those before", _ratio)
    text = f"the last {RECENT} days average {figure(now)} kWh a day, those before {figure(before)}"
    suspicion = 0 if abs(now - before) < UNCHANGED * before else 1 if now < before else -1
    return Sentence(sentence(text, usual), suspicion)


def _year_on_year(it: ReadingContext) -> Sentence | None:
    end = it.day[-1]
    now, then = it.mean(it.day > end - SEASON), it.mean((it.day > end - YEAR - SEASON) & (it.day <= end - YEAR))
    if np.isnan(now + then) or then <= 0:
        return None
    text = f"the last three months average {figure(now)} kWh a day, the same a year before {figure(then)}"
    usual = it.usual_clause(f"adjusted_year_on_year_{SEASON}", "the typical client's show {usual}", _ratio)
    return Sentence(sentence(text, usual), 0 if abs(now - then) < UNCHANGED * then else 1 if now < then else -1)


def _trend(it: ReadingContext) -> Sentence | None:
    slope = it.value("off_usual_slope_180")
    if np.isnan(slope):
        return None
    text = f"over the last 180 days, season and neighbours taken out, the trend is {_ratio(slope)} in 100 days"
    usual = it.usual_clause("off_usual_slope_180", "the typical client's is {usual}", _ratio)
    return Sentence(sentence(text, usual), 0 if abs(slope) < UNCHANGED else 1 if slope < 0 else -1)


# --- low or zero use --------------------------------------------------------------------------------------------------


def _level(it: ReadingContext) -> Sentence | None:
    mean = it.mean(np.ones(len(it.day), bool))
    if np.isnan(mean):
        return None
    usual = it.usual_clause("mean_kwh", "the typical client averages {usual}", figure)
    text = f"consumption averages {figure(mean)} kWh a day, {figure(it.mean(it.day > it.day[-1] - RECENT))} lately"
    return Sentence(sentence(text, usual), direction(mean, it.typical("mean_kwh"), -1))


def _zero(it: ReadingContext) -> Sentence | None:
    part, longest = it.value("near_zero_share"), it.value("near_zero_longest")
    if np.isnan(part + longest):
        return None
    n = round(part * len(it.day))
    text = f"{counted(n, 'day')} of {len(it.day)} {'shows' if n < 2 else 'show'} less than a tenth of the usual day"
    text += f", {longest:.0f} in a row" if longest > 1 else ""
    usual = it.usual_clause("near_zero_share", "of the typical client's days {usual} do", share)
    return Sentence(sentence(text, usual), -1 if n == 0 else direction(part, it.typical("near_zero_share")))


def _zero_hours(it: ReadingContext) -> Sentence | None:
    part = it.value("zero_hours_mean")
    text = f"{share(part)} of the hours read zero"
    usual = it.usual_clause("zero_hours_mean", "of the typical client's {usual}", share)
    return None if np.isnan(part) else Sentence(sentence(text, usual), direction(part, it.typical("zero_hours_mean")))


# --- irregular use, and use at irregular times ------------------------------------------------------------------------


def _hours(it: ReadingContext) -> Sentence | None:
    part, last = it.value("night_share_mean"), it.value("night_share_last_30")
    if np.isnan(part + last):
        return None
    text = f"{share(last)} of the energy of the last 30 days is used from 0 to 6 o'clock, {share(part)} of all days'"
    return Sentence(sentence(text, it.usual_clause("night_share_mean", "the typical client uses {usual} then", share)))


def _season(it: ReadingContext) -> Sentence | None:
    winter, summer = it.value("winter"), it.value("summer")
    names = {"winter": winter, "summer": summer}
    known = [f"in {name} {_compared(x)}" for name, x in names.items() if not np.isnan(x)]
    if not known:
        return None
    text = f"consumption is {' and '.join(known)} the mean of all days"
    typical = [f"in {name} {_compared(it.typical(name))}" for name in names if not np.isnan(it.typical(name))]
    return Sentence(sentence(text, f"the typical client's is {' and '.join(typical)} its mean" if typical else ""))


def _week(it: ReadingContext) -> Sentence | None:
    off = it.value("weekend")
    if np.isnan(off):
        return None
    text = f"at weekends consumption is {_compared(off)} on weekdays"
    usual = it.usual_clause("weekend", "the typical client's is {usual} on weekdays", _compared)
    moved = it.value(f"weekend_off_{LAST_WEEKS}w")
    if np.isnan(moved) or abs(moved) < UNCHANGED:
        return Sentence(sentence(text, usual))
    against = f"against weekdays, weekends show {_ratio(moved)} in the last {LAST_WEEKS} weeks"
    return Sentence(sentence(text, usual, against), 1 if moved < 0 else -1)


def _levels(it: ReadingContext) -> Sentence | None:
    """Weeks far below the others: their share, in how many runs, and how far the two levels are apart."""
    part, runs, apart = (it.value(name) for name in ("low_weeks_70", "low_weeks_runs", "levels_distance_7"))
    if np.isnan(part + runs):
        return None
    usual = it.usual_clause("low_weeks_70", "of the typical client's {usual} do", share)
    if not runs:
        return Sentence(sentence("no week lies far below the others", usual), -1)
    text = f"{share(part)} of the weeks lie far below the others, in {counted(int(runs), 'run')}"
    apart_by = "" if np.isnan(apart) else f"set into two levels, the lower weeks are {_compared(-apart)} the higher"
    return Sentence(sentence(text, apart_by, usual), direction(part, it.typical("low_weeks_70")))


def _high(it: ReadingContext) -> Sentence | None:
    part = it.value("high_share")
    if np.isnan(part):
        return None
    text = f"{share(part)} of the days show more than double the median day"
    usual = it.usual_clause("high_share", "of the typical client's {usual}", share)
    return Sentence(sentence(text, usual), direction(part, it.typical("high_share")))


def _spread(it: ReadingContext) -> Sentence | None:
    part, last = it.value("cv"), it.value("cv_30")
    if np.isnan(part):
        return None
    text = f"days differ from the mean by {share(part)} in standard deviation"
    text += "" if np.isnan(last) else f", those of the last 30 days by {share(last)} from theirs"
    return Sentence(sentence(text, it.usual_clause("cv", "the typical client's by {usual}", share)))


# --- unusual shape ----------------------------------------------------------------------------------------------------


def _ceiling(it: ReadingContext) -> Sentence | None:
    """Time since the highest of the last 60 days was exceeded, and the share of earlier days that exceeded it."""
    recent = it.kwh[it.day > it.day[-1] - CEILING]
    if np.isnan(recent).all():
        return None
    height, known = np.nanmax(recent), ~np.isnan(it.kwh)
    over = np.flatnonzero(it.kwh > HIGHER * height)
    if not len(over):
        return None
    held, before = len(it.kwh) - 1 - over[-1], known[: over[-1] + 1].sum()
    text = (
        f"no day has exceeded {figure(height)} kWh for {counted(held, 'day')}, before {share(len(over) / before)} did"
    )
    usual = it.usual_clause("ceiling_60_held", "the typical client's highest of 60 days holds for {usual} days", figure)
    return Sentence(sentence(text, usual), direction(held, it.typical("ceiling_60_held")))


def _flat(it: ReadingContext) -> Sentence | None:
    part, longest = it.value("flat_share_90"), it.value("flat_longest")
    if np.isnan(part + longest):
        return None
    text = (
        f"{share(part)} of the last 90 days repeat the day before to 0.5 %, at most {counted(longest, 'day')} in a row"
    )
    usual = it.usual_clause("flat_share_90", "of the typical client's {usual} do", share)
    return Sentence(sentence(text, usual), direction(part, it.typical("flat_share_90")))


def _repeat(it: ReadingContext) -> Sentence | None:
    part = it.value("repeat_60_same")
    if np.isnan(part):
        return None
    text = f"{share(part)} of the last 60 days are in one fixed ratio to days one to five weeks before"
    usual = it.usual_clause("repeat_60_same", "of the typical client's {usual} are", share)
    return Sentence(sentence(text, usual), direction(part, it.typical("repeat_60_same")))


def _peak(it: ReadingContext) -> Sentence | None:
    part = it.value("peak_share_mean")
    if np.isnan(part):
        return None
    text = f"the highest hour takes {share(part)} of a day's energy"
    return Sentence(sentence(text, it.usual_clause("peak_share_mean", "the typical client's {usual}", share)))


def _forecast(it: ReadingContext) -> Sentence | None:
    off = it.value("month_ahead_error_30")
    if np.isnan(off):
        return None
    way = "more" if off > 0 else "less"
    text = f"the last 30 days show {way} than was foretold a month ahead, by {abs(off):.1f} usual errors"
    usual = it.usual_clause("month_ahead_error_30", "the typical client's error is {usual}", lambda x: f"{x:+.1f}")
    return Sentence(sentence(text, usual), 1 if off < 0 else -1)


def _weeks(it: ReadingContext) -> Sentence | None:
    error, typical = it.value("weeks_error_recent"), it.typical("weeks_error_recent")
    if np.isnan(error + typical):
        return None
    way = "less" if error > typical else "no less"
    text = f"its recent weeks are {way} like those of honest clients than the typical client's are"
    figures = f"an error of {error:.1f} deviations where the typical client has {typical:.1f}"
    return Sentence(sentence(text, figures), direction(error, typical))


def _deviation(it: ReadingContext) -> Sentence | None:
    value, typical = it.value("z_score"), it.typical("z_score")
    if np.isnan(value + typical):
        return None
    text = f"taken together its figures lie {value:.1f} standard deviations from the mean of all clients"
    return Sentence(sentence(text, f"those of the typical client {typical:.1f}"), direction(value, typical))


def _form(it: ReadingContext) -> Sentence | None:
    high, low = it.value("q90_change_step"), it.value("q10_change_step")
    if np.isnan(high + low):
        return None
    text = f"at the clearest change high days show {_ratio(high)} and low days {_ratio(low)}"
    both = [it.typical(f"{q}_change_step") for q in ("q90", "q10")]
    usual = "" if np.isnan(sum(both)) else f"the typical client's {_ratio(both[0])} and {_ratio(both[1])}"
    return Sentence(sentence(text, usual), direction(abs(high - low), abs(both[0] - both[1])))


# --- neighbours, history ----------------------------------------------------------------------------------------------


def _neighbours(it: ReadingContext) -> Sentence | None:
    now, before = it.value("neighbours_correlation_60"), it.value("neighbours_correlation")
    if np.isnan(before):
        return None
    text = f"its days go with its neighbours' by a correlation of {before:.2f}"
    text += "" if np.isnan(now) else f", in the last 60 days {now:.2f}"
    usual = it.usual_clause("neighbours_correlation", "the typical client's is {usual}", lambda x: f"{x:.2f}")
    return Sentence(sentence(text, usual), direction(before, it.typical("neighbours_correlation"), -1))


def _transformer(it: ReadingContext) -> Sentence | None:
    """Energy that no meter behind the client's transformer registered, and its correlation with the client's use."""
    day = np.exp(it.value("level"))  # kWh: the features of the loss are shares of it
    lost, rise, tie = (it.value(f"transformer_{name}") for name in ("lost_90", "rise_90", "moves_180"))
    if np.isnan(lost):
        return None
    text = f"of its transformer's energy no meter registered {figure(max(lost, 0.0) * day)} kWh a day in the last 90"
    text += "" if np.isnan(rise) else f", {figure(max(lost - rise, 0.0) * day)} before"
    relative = (
        "" if np.isnan(tie) else f"from day to day this goes with its own consumption by a correlation of {tie:.2f}"
    )
    return Sentence(
        sentence(text, relative), 1 if rise > UNCHANGED or lost > 2.0 * UNCHANGED else -1 if lost < UNCHANGED else 0
    )


def _missing(it: ReadingContext) -> Sentence | None:
    n_known = int((~np.isnan(it.kwh)).sum())
    missing = 1.0 - n_known / len(it.kwh)
    gaps = f"{share(missing)} of the days between are missing" if missing else "no day between is missing"
    text = f"{counted(n_known, 'day')} have readings, {gaps}"
    typical = it.usual_clause("n_days", "the typical client has {usual} days", figure)
    return Sentence(sentence(text, typical))


SENTENCES: dict[tuple[str, str], SentenceRule] = {
    (FALL, "change"): _change, (FALL, "last"): _last, (FALL, "year_on_year"): _year_on_year, (FALL, "trend"): _trend,
    (LOW, "level"): _level, (LOW, "zero"): _zero, (LOW, "hours"): _zero_hours,
    (IRREGULAR, "hours"): _hours, (IRREGULAR, "season"): _season, (IRREGULAR, "week"): _week,
    (LOW, "levels"): _levels, (IRREGULAR, "levels"): _levels,
    (IRREGULAR, "high"): _high, (IRREGULAR, "spread"): _spread,
    (UNUSUAL, "ceiling"): _ceiling, (UNUSUAL, "flat"): _flat, (UNUSUAL, "repeat"): _repeat, (UNUSUAL, "hours"): _peak,
    (UNUSUAL, "forecast"): _forecast, (UNUSUAL, "weeks"): _weeks, (UNUSUAL, "deviation"): _deviation,
    (UNUSUAL, "form"): _form,
    (PLACE, "transformer"): _transformer, (PLACE, "neighbours"): _neighbours, (HISTORY, "missing"): _missing,
}  # fmt: skip


def reading_sentence(it: ReadingContext, topic: Topic) -> Sentence | None:
    """The sentence on a topic; None if the client's figures do not support one."""
    return SENTENCES[topic.group, topic.name](it) if len(it.day) else None
