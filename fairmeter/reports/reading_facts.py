"""Facts on smart-meter readings, for report.html and the model card; the page's sections are a template.

In:  metrics["readings"] as training/validation/readings.py makes it, as plain values: "made" is `injected`, `labelled`
     or `without labels`.
Out: sentences and table rows. Injected thefts and labels of real clients come from different runs, and are never in one
     table.
"""

from collections.abc import Mapping
from typing import NamedTuple

from markupsafe import Markup

from fairmeter.evaluation.reading_metrics import ONSET_NEAR, RATES
from fairmeter.reports.rendering import format_value, percents
from fairmeter.training.attacks import HONEST

PLAN_TEXTS = {
    "as published": "Parameters as published, or set by hand where nothing is published.",
    "wider than published": "Wider ranges of parameters, thefts in part and in spells, and thefts beside a harmless "
    "change: the kind of file that the model was trained on.",
}
PLANS = tuple(PLAN_TEXTS)  # keys of the injected form, the main one first
N_WEAKEST = 3  # patterns that the card names
RECALLS = tuple(f"recall_at_{rate:.0%}" for rate in RATES)
FIRST_RATE = format_value(RATES[0], ".0%")
AT_RATES = [f"at {format_value(rate, '.0%')} false alarms" for rate in RATES]
RECALL_OF_RATE = dict(zip(AT_RATES, RECALLS, strict=True))
RECALL_HEADS = [f"recall {words}" for words in AT_RATES]
HEADS = ["clients", "thieves", "ROC-AUC", "PR-AUC", *RECALL_HEADS]
QUARTERS = ("a quarter of all", "half of all", "three quarters of all")
QUARTILE_HEADS = [
    f"{name}: {words}" for name, words in zip(("first quartile", "median", "third quartile"), QUARTERS, strict=True)
]
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
RANKING = (
    "Recall at 5 % false alarms: the share of the thieves suspected at the score that no more than 5 % of the others "
    "reach."
)
RANKING_INJECTED = " Some of the others have a harmless change."
RANKING_METERED = " Transformers measured: the same thefts, and the daily loss of each client's transformer is known."
RANKING_UNKNOWN = (
    " Of unknown kinds: each theft has a part, such as the days that it is on, which no training file has. Many are "
    "small and on few days."
)
RANKING_FUTURE = (
    " The last row: fitted on readings until {} of some households, measured on others whose thefts begin after that "
    "day."
)


class RankingRow(NamedTuple):
    """One row of the ranking table. [words: what was measured; n_thieves: None where unknown]"""

    words: str
    n: int
    n_thieves: int | None
    ranking: Mapping


class HarmlessRow(NamedTuple):
    """Clients with one harmless change. [share: suspected; times: share over that of unchanged clients, or None]"""

    words: str
    n: int
    share: float | None
    times: float | None


def plans(readings: Mapping) -> tuple[str, ...]:
    """Plans of injected thefts in these metrics."""
    return PLANS if readings["made"] == "injected" else ()


def describe_evaluation(readings: Mapping) -> str:
    """What the figures were measured on."""
    text = MADE[readings["made"]].format_map(readings)
    if readings["made"] != "injected":
        return text
    networks, ensemble, held_out = readings["parts"]
    split = f"Of the households {networks:,} served to fit the networks, {ensemble:,} the ensemble"
    after = "The ensemble in model.bin was then fitted on the last two parts together."
    return f"{text} {split}; {held_out:,} were kept back and measured on. {after}"


def ranking_rows(readings: Mapping) -> list[RankingRow]:
    """Rows of the run's ranking table; none without labels."""
    if readings["made"] == "labelled":
        return [RankingRow("clients with labels", readings["n"], readings["n_thieves"], readings["ranking"])]
    if readings["made"] != "injected":
        return []
    rows = [RankingRow(f"attacked {p}", *(readings[p][key] for key in ("n", "n_thieves", "ranking"))) for p in PLANS]
    others = {"the first, transformers measured": "metered", "the second, thefts of unknown kinds": "unknown"}
    for words, key in others.items():
        if found := readings.get(key):
            rows.append(RankingRow(words, found["n"], found["n_thieves"], found["ranking"]))
    later = readings["past_to_future"]
    return [*rows, RankingRow("past to future", later["n"], later.get("n_thieves"), later["ranking"])]


def describe_ranking(readings: Mapping) -> str:
    """How to read the ranking table."""
    if readings["made"] != "injected":
        return RANKING
    others = {"metered": RANKING_METERED, "unknown": RANKING_UNKNOWN}
    more = "".join(text for key, text in others.items() if key in readings)
    return RANKING + RANKING_INJECTED + more + RANKING_FUTURE.format(readings["past_to_future"]["until"])


def describe_plan(plan: Mapping) -> list[str]:
    """Sentences on one plan of thefts: weakest patterns, harmless changes, days to detection, onset."""
    sentences = [_describe_weakest(plan["by_pattern"]), _describe_harmless(plan["harmless"])]
    sentences += [_describe_delay(plan["latency"]), _describe_onset(plan["onset"])]
    return [sentence for sentence in sentences if sentence]


# --- rows of tables ---------------------------------------------------------------------------------------------------


def recalls(ranking: Mapping) -> list[Markup]:
    """Recall at each of RATES with its interval."""
    return percents(ranking[name] for name in RECALLS)


def recall_texts(row: Mapping) -> list[str]:
    return [format_value(row[name], ".1%") for name in RECALLS]


def quartiles(latency: Mapping) -> list[str]:
    """Days until a quarter, half and three quarters of the thefts are found."""
    return list(map(_within, latency["days_quartiles"])) if latency["n"] else ["-"] * len(QUARTERS)


def weakest_first(by_pattern: Mapping) -> list[tuple[str, Mapping]]:
    """Names of patterns and their rows by rising recall."""
    named = [(name.replace("_", " "), row) for name, row in by_pattern.items()]
    return sorted(named, key=lambda pair: [pair[1][recall] or 0.0 for recall in RECALLS])


def by_loss(plan: Mapping) -> list[tuple[str, Mapping]]:
    return [(words.replace("%", "\N{NO-BREAK SPACE}%"), row) for words, row in plan["by_loss"].items()]


def harmless_rows(harmless: Mapping) -> list[HarmlessRow]:
    """Unchanged honest clients, all harmless changes, then each change, the most suspected first."""
    unchanged, kinds = harmless[HONEST]["share"], [kind for kind in harmless if kind not in (HONEST, "all")]
    kinds.sort(key=lambda kind: -(harmless[kind]["share"] or 0.0))
    words = {HONEST: "honest, unchanged", "all": "all harmless changes"}
    rows = []
    for kind in (HONEST, "all", *kinds):
        share = harmless[kind]["share"]
        times = share / unchanged if unchanged and share is not None else None
        rows.append(HarmlessRow(words.get(kind, kind.replace("_", " ")), harmless[kind]["n"], share, times))
    return rows


# --- sentences --------------------------------------------------------------------------------------------------------


def _describe_weakest(by_pattern: Mapping) -> str:
    weakest = [f"{name} {format_value(row[RECALLS[0]], '.1%')}" for name, row in weakest_first(by_pattern)[:N_WEAKEST]]
    return f"Lowest recall {AT_RATES[0]}: {', '.join(weakest)}." if weakest else ""


def _describe_harmless(harmless: Mapping) -> str:
    changed, unchanged = (format_value(harmless[kind]["share"], ".1%") for kind in ("all", HONEST))
    return f"Suspected without theft: {changed} of clients with a harmless change, {unchanged} of unchanged ones."


def _describe_delay(latency: Mapping) -> str:
    if not latency["n"]:
        return ""
    within = ", ".join(f"{q} {_within(d)}" for q, d in zip(QUARTERS, latency["days_quartiles"], strict=True))
    found = format_value(latency["found"]["share"], ".1%")
    return f"Of {latency['n']:,} thefts of half or more of the energy {found} are found: {within}."


def _within(days: float | None) -> str:
    return "not found" if days is None else f"within {days:.0f} days"


def _describe_onset(onset: Mapping) -> str:
    if not onset["n"]:
        return ""
    near = format_value(onset["within"]["share"], ".1%")
    return (
        f"The onset told for {onset['n']:,} suspected thieves is off by {onset['median_days']:.1f} days in the median, "
        f"and within {ONSET_NEAR} days for {near}."
    )
