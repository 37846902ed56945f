"""The report's sections on smart-meter readings, and the sentences on them that the model card repeats.

In:  metrics["readings"] as reading_validation.py makes it, already plain: "made" is `injected`, `labelled` or
     `without labels`.
Out: Markup for the page; plain sentences and rows for the card. Thefts injected here and labels of real clients come
     from different runs, and are never in one table.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup

from fairmeter.evaluation.reading_metrics import ONSET_NEAR, RATES
from fairmeter.reports import figures
from fairmeter.reports.html import HEADED, NOTHING, PAIR, SECTION, list_of, number_cell, share_cell, shown, table_of
from fairmeter.training.attacks import HONEST

PLANS = ("as published", "wider than published")  # keys of the injected form, the main one first
N_WEAKEST = 3  # patterns that the card names
RECALLS = tuple(f"recall_at_{rate:.0%}" for rate in RATES)
AT_RATES = tuple(f"at {shown(rate, '.0%')} false alarms" for rate in RATES)
HEADS = ("clients", "thieves", "ROC-AUC", "PR-AUC", *(f"recall {words}" for words in AT_RATES))
QUARTERS = ("a quarter of all", "half of all", "three quarters of all")
MADE = {
    "injected": "Real households, taken for honest, that nothing was fitted on. Half of the clients made of them are "
    "attacked here by published patterns of theft: none of these thefts is real. Brackets hold 95 % intervals, from "
    "drawing households anew.",
    "labelled": "Real clients with labels of inspections: {n:,}, of them {n_thieves:,} labelled as thieves. Each was "
    "scored by a model that had not seen it, one of several outer folds. Brackets hold 95 % intervals.",
    "without labels": "The readings of {n:,} clients came without labels: the model ranks clients by how unlike the "
    "others their readings are. Nothing could be measured, and a place in this ranking is no probability of theft.",
}
LIMITS = {
    "injected": (
        "How well the model finds real thieves is known only after inspections: they may do what no published pattern "
        "does, and detectors that were nearly perfect on injected thefts have ranked real ones far worse.",
        "Nobody inspected the households: a theft among those taken for honest would count as a false alarm.",
        "Half of the clients steal here, among a utility's clients few do: recall and false alarms carry over, "
        "PR-AUC does not.",
    ),
    "labelled": (
        "A label of 0 means not caught, not honest: some of those counted as false alarms may be undetected thieves.",
        "The labels carry no date and no kind of theft: nothing here says how early a theft is found.",
    ),
    "without labels": (
        "Unlike the others is not dishonest: whether the list is worth visits is known only after some of them.",
    ),
}
SAID = {
    "ranking": "Recall at 5 % false alarms: the share of the thieves suspected at the score that no more than 5 % of "
    "the others reach.",
    "injected": " Some of the others have a harmless change.",
    "metered": " Transformers measured: the same thefts, and the daily loss of each client's transformer is known.",
    "future": " The last row: fitted on readings until {} of some households, measured on others whose thefts begin "
    "after that day.",
    "delay": "Thefts of half or more of the energy, judged anew as their series grow. Found: the score reaches what "
    f"{shown(RATES[0], '.0%')} of those who do not steal reach. Who is not found before the series ends is later than "
    "all.",
    "onset": "How far the day on which consumption changed, as told for suspected thieves, lies from the true one.",
    "as published": "Parameters as published, or set by hand where nothing is published.",
    "wider than published": "Wider ranges of parameters, thefts in part and in spells, and thefts beside a harmless "
    "change: the kind of file that the model was trained on.",
    "models": "The ensemble, its members, and each detector and network by itself, on the same clients. What a model "
    "cannot judge it takes for unsuspicious.",
    "recall": "Share of the thieves suspected at a score that so many of the others reach; the weakest first.",
    "harmless": "Who is suspected although nothing was stolen, at the score that "
    f"{shown(RATES[0], '.0%')} of the unchanged honest reach.",
}


class SectionRow(NamedTuple):
    """One row of the ranking: whom it is of, and the figures. [n_thieves: None where not told]"""

    words: str
    n: int
    n_thieves: int | None
    ranking: Mapping


def readings_sections(readings: Mapping | None) -> Markup:
    """All that was measured on readings; nothing where there were none."""
    if not readings:
        return NOTHING
    made, ranked = readings["made"], ranking_rows(readings)
    parts = [list_of(LIMITS[made])]
    if ranked:
        parts.append(HEADED.format("Ranking", _ranking(readings, ranked)))
    if made == "labelled":
        parts.append(HEADED.format("Models side by side", _models(readings["models"])))
    if made == "injected":
        parts += [HEADED.format("Days to detection", _delays(readings)), HEADED.format("Onset", _onsets(readings))]
    first = SECTION.format("Smart-meter readings", made_said(readings), NOTHING.join(parts))
    plans = PLANS if made == "injected" else ()
    return NOTHING.join([first, *(_plan(readings[words], words, i) for i, words in enumerate(plans))])


def made_said(readings: Mapping) -> str:
    """What the figures are figures of."""
    said = MADE[readings["made"]].format_map(readings)
    if readings["made"] != "injected":
        return said
    networks, ensemble, kept = readings["parts"]
    split = f"Of the households {networks:,} served to fit the networks, {ensemble:,} the ensemble"
    after = "The ensemble in model.bin was then fitted on the last two parts together."
    return f"{said} {split}; {kept:,} were kept back and measured on. {after}"


def ranking_rows(readings: Mapping) -> list[SectionRow]:
    """Rows of the one ranking table of this run; none without labels."""
    if readings["made"] == "labelled":
        return [SectionRow("clients with labels", readings["n"], readings["n_thieves"], readings["ranking"])]
    if readings["made"] != "injected":
        return []
    rows = [SectionRow(f"attacked {p}", *(readings[p][key] for key in ("n", "n_thieves", "ranking"))) for p in PLANS]
    metered, later = readings.get("metered"), readings["past_to_future"]
    if metered:
        rows.append(
            SectionRow("the first, transformers measured", metered["n"], metered["n_thieves"], metered["ranking"])
        )
    return [*rows, SectionRow("past to future", later["n"], later.get("n_thieves"), later["ranking"])]


def ranking_said(readings: Mapping) -> str:
    """How to read the ranking table."""
    if readings["made"] != "injected":
        return SAID["ranking"]
    metered = SAID["metered"] if "metered" in readings else ""
    return SAID["ranking"] + SAID["injected"] + metered + SAID["future"].format(readings["past_to_future"]["until"])


def plan_said(plan: Mapping) -> list[str]:
    """One way to attack in sentences: its weakest patterns, harmless changes, days to detection, onset."""
    said = [_weakest_said(plan["by_pattern"]), _harmless_said(plan["harmless"])]
    said += [_delay_said(plan["latency"]), _onset_said(plan["onset"])]
    return [sentence for sentence in said if sentence]


# Sentences


def _weakest_said(by_pattern: Mapping) -> str:
    weakest = [f"{name} {shown(row[RECALLS[0]], '.1%')}" for name, row in _weakest_first(by_pattern)[:N_WEAKEST]]
    return f"Lowest recall {AT_RATES[0]}: {', '.join(weakest)}." if weakest else ""


def _harmless_said(harmless: Mapping) -> str:
    changed, plain = (shown(harmless[kind]["share"], ".1%") for kind in ("all", HONEST))
    return f"Suspected without theft: {changed} of clients with a harmless change, {plain} of unchanged ones."


def _delay_said(latency: Mapping) -> str:
    if not latency["n"]:
        return ""
    within = ", ".join(f"{q} {_within(d)}" for q, d in zip(QUARTERS, latency["days_quartiles"], strict=True))
    found = shown(latency["found"]["share"], ".1%")
    return f"Of {latency['n']:,} thefts of half or more of the energy {found} are found: {within}."


def _within(days: float | None) -> str:
    return "not found" if days is None else f"within {days:.0f} days"


def _onset_said(onset: Mapping) -> str:
    if not onset["n"]:
        return ""
    near = shown(onset["within"]["share"], ".1%")
    return (
        f"The onset told for {onset['n']:,} suspected thieves is off by {onset['median_days']:.1f} days in the median, "
        f"and within {ONSET_NEAR} days for {near}."
    )


# Tables


def _ranking(readings: Mapping, rows: Sequence[SectionRow]) -> Markup:
    cells = [
        [row.words, f"{row.n:,}", "-" if row.n_thieves is None else f"{row.n_thieves:,}", *_ranked(row.ranking)]
        for row in rows
    ]
    return _text(ranking_said(readings)) + table_of(["", *HEADS], cells)


def _ranked(ranking: Mapping) -> list[Markup]:
    return [number_cell(ranking["roc_auc"]), number_cell(ranking["pr_auc"]), *(share_cell(ranking[n]) for n in RECALLS)]


def _models(rows: Sequence[Mapping]) -> Markup:
    return _text(SAID["models"]) + table_of(["model", *HEADS[2:]], [[row["model"], *_ranked(row)] for row in rows])


def _delays(readings: Mapping) -> Markup:
    of = {words: readings[words]["latency"] for words in PLANS}
    rows = [
        [
            f"attacked {words}",
            f"{latency['n']:,}",
            shown(latency["found"]["share"], ".1%"),
            *(map(_within, latency["days_quartiles"]) if latency["n"] else "---"),
        ]
        for words, latency in of.items()
    ]
    first, half, third = QUARTERS
    heads = ["", "such thieves", "found", f"first quartile: {first}", f"median: {half}", f"third quartile: {third}"]
    return _text(SAID["delay"]) + table_of(heads, rows)


def _onsets(readings: Mapping) -> Markup:
    of = {words: readings[words]["onset"] for words in PLANS}
    rows = [
        [f"attacked {words}", f"{o['n']:,}", shown(o["median_days"], ".1f"), shown(o["within"]["share"], ".1%")]
        for words, o in of.items()
    ]
    heads = ["", "suspected thieves", "median error in days", f"within {ONSET_NEAR} days"]
    return _text(SAID["onset"]) + table_of(heads, rows)


def _plan(plan: Mapping, words: str, number: int) -> Markup:
    """A section of its own for one way to attack."""
    parts = [HEADED.format("Models side by side", _models(plan["models"]))]
    if plan["by_pattern"]:
        rows = _weakest_first(plan["by_pattern"])
        drawn = figures.inline(
            figures.recalls(dict(rows), dict(zip(AT_RATES, RECALLS, strict=True))), f"recall-{number}"
        )
        parts.append(HEADED.format("Recall by pattern", _text(SAID["recall"]) + drawn + _recalls("pattern", rows)))
    losses = [(words.replace("%", "\N{NO-BREAK SPACE}%"), row) for words, row in plan["by_loss"].items()]
    by_loss = HEADED.format("Recall by loss", _recalls("energy lost since the onset", losses))
    harmless = HEADED.format("Harmless changes", _text(SAID["harmless"]) + _harmless(plan["harmless"]))
    parts.append(PAIR.format(by_loss, harmless))
    return SECTION.format(f"Readings, attacked {words}", SAID[words], NOTHING.join(parts))


def _recalls(what: str, rows: Sequence[tuple[str, Mapping]]) -> Markup:
    cells = [[name, f"{row['n']:,}", *(shown(row[recall], ".1%") for recall in RECALLS)] for name, row in rows]
    return table_of([what, "thieves", *AT_RATES], cells)


def _weakest_first(by_pattern: Mapping) -> list[tuple[str, Mapping]]:
    named = [(name.replace("_", " "), row) for name, row in by_pattern.items()]
    return sorted(named, key=lambda pair: [pair[1][recall] or 0.0 for recall in RECALLS])


def _harmless(harmless: Mapping) -> Markup:
    """Each harmless change beside the unchanged honest, the most suspected first."""
    plain, kinds = harmless[HONEST], [kind for kind in harmless if kind not in (HONEST, "all")]
    kinds.sort(key=lambda kind: -(harmless[kind]["share"] or 0.0))
    words = {HONEST: "honest, unchanged", "all": "all harmless changes"}
    cells = [
        [
            words.get(kind, kind.replace("_", " ")),
            f"{harmless[kind]['n']:,}",
            shown(harmless[kind]["share"], ".1%"),
            _times(harmless[kind]["share"], plain["share"]),
        ]
        for kind in (HONEST, "all", *kinds)
    ]
    return table_of(["", "clients", "suspected", "times the honest"], cells)


def _times(share: float | None, plain: float | None) -> str:
    return f"{share / plain:.1f}" if plain and share is not None else "-"


def _text(said: str) -> Markup:
    return Markup("<p>{}</p>").format(said)
