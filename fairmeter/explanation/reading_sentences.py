"""Sentences on the topics of a client's readings: its own figures, and those of the typical client.

In:  ReadingContext (fairmeter/explanation/sentence_inputs.py): a client's days and its features.
Out: a Sentence for each topic of topics.READING_TOPICS; None if the client's figures do not support one.
"""

from collections.abc import Callable

import numpy as np

from fairmeter.explanation.sentence_inputs import ReadingContext, Sentence, direction
from fairmeter.explanation.topics import Topic
from fairmeter.features.base import FALL, HISTORY, IRREGULAR, LOW, PLACE, UNUSUAL
from fairmeter.wording.phrases import Phrase, sentence

UNCHANGED = 0.05  # of the level: a smaller change counts as none
RECENT, CEILING, SEASON, YEAR = 30, 60, 91, 364  # days
LAST_WEEKS = 13
HIGHER = 1.01  # times: the margin by which a day must exceed others, as in the features

SentenceRule = Callable[[ReadingContext], Sentence | None]


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
    kind = "kept" if abs(ratio) < UNCHANGED else "fell" if ratio < 0 else "rose"
    text = Phrase(f"reading.change.{kind}", part=abs(ratio), since=onset, before=before, after=after)
    has_neighbours = not np.isnan(it.value("neighbours_slope"))
    relative = Phrase("reading.change.beside", ratio=np.expm1(size)) if has_neighbours else ""
    usual = it.usual_clause("off_usual_step_size", "typical.clearest_change", np.expm1)
    return Sentence(sentence(text, relative, usual), 0 if abs(size) < UNCHANGED else 1 if size < 0 else -1)


def _last(it: ReadingContext) -> Sentence | None:
    is_last = it.day > it.day[-1] - RECENT
    now, before = it.mean(is_last), it.mean(~is_last)
    if np.isnan(now + before):
        return None
    usual = it.usual_clause(f"ratio_last_{RECENT}", "typical.last", np.expm1)
    text = Phrase("reading.last", n=RECENT, now=now, before=before)
    suspicion = 0 if abs(now - before) < UNCHANGED * before else 1 if now < before else -1
    return Sentence(sentence(text, usual), suspicion)


def _year_on_year(it: ReadingContext) -> Sentence | None:
    end = it.day[-1]
    now, then = it.mean(it.day > end - SEASON), it.mean((it.day > end - YEAR - SEASON) & (it.day <= end - YEAR))
    if np.isnan(now + then) or then <= 0:
        return None
    text = Phrase("reading.year_on_year", now=now, then=then)
    usual = it.usual_clause(f"adjusted_year_on_year_{SEASON}", "typical.shows", np.expm1)
    return Sentence(sentence(text, usual), 0 if abs(now - then) < UNCHANGED * then else 1 if now < then else -1)


def _trend(it: ReadingContext) -> Sentence | None:
    slope = it.value("off_usual_slope_180")
    if np.isnan(slope):
        return None
    text = Phrase("reading.trend", ratio=np.expm1(slope))
    usual = it.usual_clause("off_usual_slope_180", "typical.change", np.expm1)
    return Sentence(sentence(text, usual), 0 if abs(slope) < UNCHANGED else 1 if slope < 0 else -1)


# --- low or zero use --------------------------------------------------------------------------------------------------


def _level(it: ReadingContext) -> Sentence | None:
    mean = it.mean(np.ones(len(it.day), bool))
    if np.isnan(mean):
        return None
    usual = it.usual_clause("mean_kwh", "typical.average_kwh")
    lately = it.mean(it.day > it.day[-1] - RECENT)
    text = Phrase("reading.level", mean=mean, lately=lately)
    return Sentence(sentence(text, usual), direction(mean, it.typical("mean_kwh"), -1))


def _zero(it: ReadingContext) -> Sentence | None:
    part, longest = it.value("near_zero_share"), it.value("near_zero_longest")
    if np.isnan(part + longest):
        return None
    n = round(part * len(it.day))
    text = Phrase("reading.zero.some", n=n, of=len(it.day))
    if longest > 1:
        text = Phrase("reading.zero.run", n=n, of=len(it.day), run=longest)
    usual = it.usual_clause("near_zero_share", "typical.days_do")
    return Sentence(sentence(text, usual), -1 if n == 0 else direction(part, it.typical("near_zero_share")))


def _zero_hours(it: ReadingContext) -> Sentence | None:
    part = it.value("zero_hours_mean")
    if np.isnan(part):
        return None
    usual = it.usual_clause("zero_hours_mean", "typical.of_its")
    text = Phrase("reading.zero_hours", part=part)
    return Sentence(sentence(text, usual), direction(part, it.typical("zero_hours_mean")))


# --- irregular use, and use at irregular times ------------------------------------------------------------------------


def _hours(it: ReadingContext) -> Sentence | None:
    part, last = it.value("night_share_mean"), it.value("night_share_last_30")
    if np.isnan(part + last):
        return None
    text = Phrase("reading.night", last=last, part=part)
    return Sentence(sentence(text, it.usual_clause("night_share_mean", "typical.night")))


def _season(it: ReadingContext) -> Sentence | None:
    own = _beside_mean({name: it.value(name) for name in ("winter", "summer")})
    if not own:
        return None
    typical = _beside_mean({name: it.typical(name) for name in ("winter", "summer")})
    beside = Phrase("typical.seasons", parts=typical) if typical else ""
    return Sentence(sentence(Phrase("reading.seasons", parts=own), beside))


def _beside_mean(log_ratios: dict[str, float]) -> list[Phrase]:
    known = {name: np.expm1(value) for name, value in log_ratios.items() if not np.isnan(value)}
    return [Phrase("reading.season_part", season=name, ratio=ratio) for name, ratio in known.items()]


def _week(it: ReadingContext) -> Sentence | None:
    off = it.value("weekend")
    if np.isnan(off):
        return None
    text = Phrase("reading.weekend", ratio=np.expm1(off))
    usual = it.usual_clause("weekend", "typical.weekend", np.expm1)
    moved = it.value(f"weekend_off_{LAST_WEEKS}w")
    if np.isnan(moved) or abs(moved) < UNCHANGED:
        return Sentence(sentence(text, usual))
    against = Phrase("reading.weekend_moved", ratio=np.expm1(moved), n=LAST_WEEKS)
    return Sentence(sentence(text, usual, against), 1 if moved < 0 else -1)


def _levels(it: ReadingContext) -> Sentence | None:
    """Weeks far below the others: their share, in how many runs, and how far the two levels are apart."""
    part, runs, apart = (it.value(name) for name in ("low_weeks_70", "low_weeks_runs", "levels_distance_7"))
    if np.isnan(part + runs):
        return None
    usual = it.usual_clause("low_weeks_70", "typical.weeks_do")
    if not runs:
        return Sentence(sentence(Phrase("reading.low_weeks.none"), usual), -1)
    text = Phrase("reading.low_weeks.some", part=part, n=int(runs))
    apart_by = "" if np.isnan(apart) else Phrase("reading.two_levels", ratio=np.expm1(-apart))
    return Sentence(sentence(text, apart_by, usual), direction(part, it.typical("low_weeks_70")))


def _high(it: ReadingContext) -> Sentence | None:
    part = it.value("high_share")
    if np.isnan(part):
        return None
    text = Phrase("reading.high", part=part)
    usual = it.usual_clause("high_share", "typical.of_its")
    return Sentence(sentence(text, usual), direction(part, it.typical("high_share")))


def _spread(it: ReadingContext) -> Sentence | None:
    part, last = it.value("cv"), it.value("cv_30")
    if np.isnan(part):
        return None
    text = Phrase("reading.spread.all", part=part)
    if not np.isnan(last):
        text = Phrase("reading.spread.lately", part=part, last=last)
    return Sentence(sentence(text, it.usual_clause("cv", "typical.by")))


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
    text = Phrase("reading.ceiling", height=height, n=held, part=len(over) / before)
    usual = it.usual_clause("ceiling_60_held", "typical.ceiling")
    return Sentence(sentence(text, usual), direction(held, it.typical("ceiling_60_held")))


def _flat(it: ReadingContext) -> Sentence | None:
    part, longest = it.value("flat_share_90"), it.value("flat_longest")
    if np.isnan(part + longest):
        return None
    text = Phrase("reading.flat", part=part, n=longest)
    usual = it.usual_clause("flat_share_90", "typical.of_its_do")
    return Sentence(sentence(text, usual), direction(part, it.typical("flat_share_90")))


def _repeat(it: ReadingContext) -> Sentence | None:
    part = it.value("repeat_60_same")
    if np.isnan(part):
        return None
    text = Phrase("reading.repeat", part=part)
    usual = it.usual_clause("repeat_60_same", "typical.of_its_are")
    return Sentence(sentence(text, usual), direction(part, it.typical("repeat_60_same")))


def _peak(it: ReadingContext) -> Sentence | None:
    part = it.value("peak_share_mean")
    if np.isnan(part):
        return None
    return Sentence(sentence(Phrase("reading.peak", part=part), it.usual_clause("peak_share_mean", "typical.share")))


def _forecast(it: ReadingContext) -> Sentence | None:
    off = it.value("month_ahead_error_30")
    if np.isnan(off):
        return None
    text = Phrase(f"reading.forecast.{'more' if off > 0 else 'less'}", errors=abs(off))
    usual = it.usual_clause("month_ahead_error_30", "typical.error")
    return Sentence(sentence(text, usual), 1 if off < 0 else -1)


def _weeks(it: ReadingContext) -> Sentence | None:
    error, typical = it.value("weeks_error_recent"), it.typical("weeks_error_recent")
    if np.isnan(error + typical):
        return None
    text = Phrase(f"reading.weeks.{'less' if error > typical else 'no_less'}")
    figures = Phrase("reading.weeks.figures", error=error, typical=typical)
    return Sentence(sentence(text, figures), direction(error, typical))


def _deviation(it: ReadingContext) -> Sentence | None:
    value, typical = it.value("z_score"), it.typical("z_score")
    if np.isnan(value + typical):
        return None
    text = Phrase("shape.deviation", value=value)
    return Sentence(sentence(text, Phrase("typical.deviation", typical=typical)), direction(value, typical))


def _form(it: ReadingContext) -> Sentence | None:
    high, low = it.value("q90_change_step"), it.value("q10_change_step")
    if np.isnan(high + low):
        return None
    text = Phrase("reading.form", high=np.expm1(high), low=np.expm1(low))
    both = [it.typical(f"{q}_change_step") for q in ("q90", "q10")]
    usual = "" if np.isnan(sum(both)) else Phrase("typical.form", high=np.expm1(both[0]), low=np.expm1(both[1]))
    return Sentence(sentence(text, usual), direction(abs(high - low), abs(both[0] - both[1])))


# --- neighbours, history ----------------------------------------------------------------------------------------------


def _neighbours(it: ReadingContext) -> Sentence | None:
    now, before = it.value("neighbours_correlation_60"), it.value("neighbours_correlation")
    if np.isnan(before):
        return None
    text = Phrase("reading.neighbours.all", before=before)
    if not np.isnan(now):
        text = Phrase("reading.neighbours.lately", before=before, now=now)
    usual = it.usual_clause("neighbours_correlation", "typical.correlation")
    return Sentence(sentence(text, usual), direction(before, it.typical("neighbours_correlation"), -1))


def _transformer(it: ReadingContext) -> Sentence | None:
    """Energy that no meter behind the client's transformer registered, and its correlation with the client's use."""
    day = np.exp(it.value("level"))  # kWh: the features of the loss are shares of it
    lost, rise, tie = (it.value(f"transformer_{name}") for name in ("lost_90", "rise_90", "moves_180"))
    if np.isnan(lost):
        return None
    text = Phrase("reading.transformer.now", lost=max(lost, 0.0) * day)
    if not np.isnan(rise):
        values = {"lost": max(lost, 0.0) * day, "before": max(lost - rise, 0.0) * day}
        text = Phrase("reading.transformer.since", **values)
    relative = "" if np.isnan(tie) else Phrase("reading.transformer.tie", tie=tie)
    return Sentence(
        sentence(text, relative), 1 if rise > UNCHANGED or lost > 2.0 * UNCHANGED else -1 if lost < UNCHANGED else 0
    )


def _missing(it: ReadingContext) -> Sentence | None:
    n_known = int((~np.isnan(it.kwh)).sum())
    missing = 1.0 - n_known / len(it.kwh)
    text = Phrase("reading.days.gaps", n=n_known, part=missing) if missing else Phrase("reading.days.all", n=n_known)
    return Sentence(sentence(text, it.usual_clause("n_days", "typical.days")))


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
