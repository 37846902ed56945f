"""report.html: one page with all figures, their intervals and what they mean; works offline, light and dark.

In:  metrics as described in report.py, already plain.
Out: the page as text. Every text that comes from outside is escaped by Markup.
"""

import json
from collections.abc import Iterable, Mapping

from markupsafe import Markup

from fairmeter.evaluation.model_evaluation import group_importance, weaknesses
from fairmeter.reports import figures
from fairmeter.reports.html import (
    NOTHING,
    PAIR,
    SECTION,
    bracketed,
    interval,
    joined,
    list_of,
    number_cell,
    share_cell,
    shown,
    table_of,
)
from fairmeter.reports.inspection_sections import visits_sections
from fairmeter.reports.reading_sections import readings_sections

N_FEATURES = 25  # shown; metrics.json holds all
LONGEST = 600  # characters of one manifest entry on the page
AGREEMENT_HEADS = ("mean |effect|, probability", "mean |TreeSHAP|, log-odds")
BRACKETS = "Brackets hold 95 % intervals."
LIMITS = (
    "A label of 0 means not caught, not honest: some of those counted as wrongly suspected may be undetected fraud.",
    "The labels carry no date, kind or amount of fraud: nothing here says how early a fraud is found, or how much "
    "energy or money comes back. In the view 'all', evidence may have come after detection.",
    "Who was caught depends on who was inspected. Clients with long histories were caught more often, so part of every "
    "score is how long a client has been observed.",
    "The figures hold for clients like those kept back, of the same utility and the same years. Elsewhere the model "
    "has to be trained and measured anew.",
)
SAID = {
    "views": "The same figures for each view and set of clients. The view 'prospective' leaves out what may be a "
    "consequence of being caught, so it says what a crew would find; the view 'all' is for comparison with "
    "published figures.",
    "curves": "Each threshold is a point. ROC: how many of the frauds are found, at the price of how many other "
    "clients suspected. Precision-recall: how many of the suspected are fraud, as more of the frauds are "
    "found.",
    "visits": "Crews visit from the top of the list. The line is the share of visits that find a fraud, the band "
    "its 95 % interval; visits at random find the fraud rate.",
    "threshold": "Suspected means a score of at least {:.4f}: the highest F1 on out-of-fold scores of the training "
    "clients, without the clients counted here.",
    "calibration": "Where scores say 20 %, about 20 of 100 clients should be labelled fraud: bins of equal size, each "
    "a point on the line.",
    "slope": " The slope of outcomes on scores is {:.2f} {}: 1 is right, below 1 the scores are too far apart.",
    "severities": "A severity starts at the score from which out-of-fold precision surely kept the promise. The last "
    "two columns say how it held on clients that took no part in that.",
    "models": "All models on the same clients. The last column compares each in pairs with the served model: an "
    "interval above 0 means that the served model ranks better. Brier only where the score is a "
    "probability.",
    "groups": "How well scores rank within each {0}, and how much of its fraud the top 10 % of all clients hold.",
    "importance": "Mean absolute TreeSHAP contribution: how far a feature moves scores, up or down; no cause.",
    "agreement": "Reasons are Shapley values of evidence groups, of the whole calibrated model against the typical "
    "client; TreeSHAP is of XGBoost alone against the mean of all clients, summed by group. Over {clients:,} test "
    "clients their mean sizes rank the groups with a correlation of {rank_correlation:.2f}; the first group is the "
    "same for {same_first:.0%} of the clients, and among TreeSHAP's first two for {one_of_two:.0%}.",
    "quality": "Problems found while reading, with their number of rows, and what was done about them.",
    "manifest": "What stands in the model file beside the model.",
}
CSS = """
:root{color-scheme:light dark;--page:#f4f6f9;--card:#fff;--ink:#1d2733;--soft:#5c6877;--line:#dde3ea;--mark:#2563a8}
@media(prefers-color-scheme:dark){
:root{--page:#12171d;--card:#1a2129;--ink:#e4e9ef;--soft:#9aa7b5;--line:#303a46;--mark:#78b0f0}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.55 system-ui,sans-serif}
main{max-width:1120px;margin:0 auto;padding:24px 16px 64px}
h1{font-size:1.7rem;margin:.4em 0 .1em}h2{font-size:1.2rem;margin:0 0 .3em}h3{font-size:1rem;margin:1em 0 .2em}
ul{margin:.3em 0;padding-left:1.3em}p{margin:.3em 0 .8em;max-width:80ch}li{margin:.25em 0;max-width:80ch}
section,.tile{background:var(--card);border:1px solid var(--line);border-radius:10px}
section{padding:18px 20px;margin:16px 0}
.soft,.interval{color:var(--soft)}.soft{margin:.2em 0}.interval{font-size:.82em;white-space:nowrap}
.pair,.tiles{display:grid;gap:16px}.pair>*{min-width:0}
.pair{grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr))}
.tiles{grid-template-columns:repeat(auto-fit,minmax(230px,1fr));margin:16px 0}
.tile{padding:14px 16px}.tile p{font-size:.88rem;margin:.4em 0 0;color:var(--soft)}
.tile b{font-size:1.6rem;line-height:1.25;color:var(--mark);margin-right:.3em}.tile div{margin:.1em 0}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{padding:5px 7px;border-bottom:1px solid var(--line);text-align:right;vertical-align:top}
th{color:var(--soft);font-weight:600;vertical-align:bottom}td .interval{display:block}
th:first-child,td:first-child,.prose :is(th,td):last-child{text-align:left}.prose td:last-child{min-width:240px}
pre{white-space:pre-wrap;overflow-wrap:anywhere;font-size:.82rem;margin:0}
.xtick text,.ytick text,.xtitle,.ytitle,.legendtext,.textpoint text{fill:var(--ink)!important}
.gridlayer path{stroke:var(--line)!important}.modebar-btn path{fill:var(--soft)!important}
"""
PAGE = Markup(
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{}</title>'
    '<meta name="viewport" content="width=device-width, initial-scale=1"><style>{}</style>{}</head>\n'
    "<body><main>{}</main></body></html>\n"
)
TILE = Markup('<div class="tile">{}<div><b>{}</b>{}</div><p>{}</p></div>')


def report_html(metrics: Mapping) -> str:
    """The whole page. What is missing from metrics has no section."""
    title = metrics.get("title", "Fairmeter: training report")
    parts = [
        Markup("<h1>{}</h1>").format(title),
        joined('<p class="soft">{}</p>', head_facts(metrics)),
        _of_invoices(metrics),
        readings_sections(metrics.get("readings")),
        _importance(metrics.get("importance")),
        _agreement(metrics.get("agreement")),
        _quality(metrics.get("quality")),
        _manifest(metrics.get("manifest")),
    ]
    return page_of(title, parts, figures.plotly_script())


def page_of(title: str, parts: Iterable[Markup], script: Markup = NOTHING) -> str:
    """A whole page in one file."""
    return str(PAGE.format(title, Markup(CSS), script, NOTHING.join(parts)))  # noqa: S704  our own CSS


def name_of(result: Mapping) -> str:
    """What a result is shown under."""
    return f"{result['view']}, {result['clients']}"


def head_facts(metrics: Mapping) -> list[str]:
    """Sentences on the run, the data and who was measured, as far as they are known."""
    run, results = metrics["run"], metrics.get("results")
    stamp = f"Version {run['version']}, trained {run['trained_at']}."
    facts = [f"View {name_of(results[0])}. {stamp}" if results else stamp, *data_facts(run)]
    if results:
        n, n_fraud = results[0]["n"], results[0]["n_fraud"]
        measured = f"Measured on {n:,} clients, {n_fraud:,} of them labelled fraud."
        facts.append(" ".join(filter(None, (measured, run.get("split"), BRACKETS))))
    return facts


def data_facts(run: Mapping) -> list[str]:
    """What the model was trained on, invoices and readings, by name and size as far as the run tells."""
    sizes = [
        shown(run.get("n_clients"), ",") + " clients" if "n_clients" in run else "",
        f"({shown(run['fraud_rate'], '.2%')} labelled fraud)" if "fraud_rate" in run else "",
        f"with {run['n_invoices']:,} invoices" if "n_invoices" in run else "",
    ]
    invoices = ", ".join(filter(None, (run.get("data"), " ".join(filter(None, sizes)))))
    readings = run.get("readings")
    facts = [f"Data: {invoices}."] if invoices else []
    return facts + ([f"Readings: {readings['data']}, {readings['n_clients']:,} clients."] if readings else [])


# Sections


def _of_invoices(metrics: Mapping) -> Markup:
    """What was measured on invoices; nothing where the model was trained on readings alone."""
    results = metrics.get("results")
    if not results:
        return NOTHING
    main = results[0]
    parts = [
        _tiles(main),
        SECTION.format("Limits", "What these figures cannot say.", list_of(LIMITS)),
        _side_by_side(results),
        _curves(results),
        _visits(main),
        _threshold(main),
        _calibration(main),
        _severities(metrics.get("severities")),
        visits_sections(metrics.get("visits")),
        *(_models(table) for table in metrics.get("models", ())),
        *(_group(number, name, main) for number, name in enumerate(main["groups"])),
    ]
    return NOTHING.join(parts)


def _tiles(main: Mapping) -> Markup:
    tiles = [
        _tile("ROC-AUC", main["roc_auc"], ".3f", _says_roc(main["roc_auc"])),
        _tile("PR-AUC", main["pr_auc"], ".3f", _says_pr(main)),
        *(
            _tile(f"Precision, top {shown(top['share'], '.0%')}", top["precision"], ".1%", _says_top(top))
            for top in main["at_top"]
        ),
    ]
    if main["calibration_error"]:
        chance, rate_only = f"{main['calibration_noise']:.4f}", f"{main['brier_base']:.4f}"
        said = f"Mean distance of scores and fraud rate over bins; exact scores would show {chance} by chance."
        tiles.append(_tile("Calibration error", main["calibration_error"], ".4f", said))
        said = f"Mean squared distance of score and outcome; knowing the fraud rate only gives {rate_only}."
        tiles.append(_tile("Brier score", main["brier"], ".4f", said))
    return Markup('<div class="tiles">{}</div>').format(NOTHING.join(tiles))


def _tile(name: str, figure: Mapping | None, form: str, said: str) -> Markup:
    value = shown(figure["value"], form) if figure else "unknown"
    return TILE.format(name, value, bracketed(figure, form), said)


def _says_roc(auc: Mapping | None) -> str:
    chance = shown(auc["value"], ".1%") if auc else "an unknown share"
    return (
        f"Of a fraud and another client drawn at random, the fraud scores higher in {chance} of draws; chance is 50 %."
    )


def _says_pr(main: Mapping) -> str:
    rate = main["base_rate"]["value"]
    return f"Precision where each fraud is found, averaged; a list in random order has {rate:.3f}."


def _says_top(top: Mapping) -> str:
    times = (
        f"{top['lift']['value']:.1f} {interval(top['lift'], '.1f')} times" if top["lift"] else "an unknown multiple of"
    )
    return f"The first {top['visits']:,} visits find {times} the frauds of as many random visits."


def _side_by_side(results: Iterable[Mapping]) -> Markup:
    heads = ["view", "clients", "fraud", "ROC-AUC", "PR-AUC", "precision, top 1 %", "top 5 %", "top 10 %"]
    rows = [
        [
            name_of(result),
            f"{result['n']:,}",
            share_cell(result["base_rate"], 2),
            number_cell(result["roc_auc"]),
            number_cell(result["pr_auc"]),
            *(share_cell(top["precision"]) for top in result["at_top"]),
            share_cell(result["at_threshold"]["precision"]),
            share_cell(result["at_threshold"]["recall"]),
            number_cell(result["calibration_error"], 4),
        ]
        for result in results
    ]
    heads += ["precision at threshold", "recall", "calibration error"]
    return SECTION.format("Views side by side", SAID["views"], table_of(heads, rows))


def _curves(results: Iterable[Mapping]) -> Markup:
    curves = {name_of(result): result["curves"] for result in results if result.get("curves")}
    roc = figures.roc({name: drawn["roc"] for name, drawn in curves.items()})
    pr = figures.pr({name: drawn["pr"] for name, drawn in curves.items()})
    drawn = PAIR.format(figures.inline(roc, "roc"), figures.inline(pr, "pr"))
    return SECTION.format("ROC and precision-recall", SAID["curves"], drawn)


def _visits(main: Mapping) -> Markup:
    figure = figures.visits(main["curves"]["visits"], main["base_rate"]["value"], main["at_top"])
    rows = [
        [shown(top["share"], ".0%"), f"{top['visits']:,}", share_cell(top["precision"]), number_cell(top["lift"], 2)]
        for top in main["at_top"]
    ]
    drawn = figures.inline(figure, "visits") + table_of(["share of clients", "visits", "precision", "lift"], rows)
    return SECTION.format("Precision against number of visits", SAID["visits"], drawn)


def _threshold(main: Mapping) -> Markup:
    found = main["at_threshold"]
    rows = [
        ["precision", share_cell(found["precision"]), "of the suspected clients are labelled fraud"],
        ["recall", share_cell(found["recall"]), "of the labelled frauds are suspected"],
        ["F1", number_cell(found["f1"]), "harmonic mean of precision and recall"],
        ["false-positive rate", share_cell(found["false_positive_rate"]), "of the clients not labelled are suspected"],
        ["suspected", share_cell(found["suspected_share"]), "of all clients"],
    ]
    drawn = PAIR.format(
        figures.inline(figures.confusion(found["confusion"]), "confusion"), table_of(["", "", "meaning"], rows, "prose")
    )
    return SECTION.format("At the threshold", SAID["threshold"].format(found["threshold"]), drawn)


def _calibration(main: Mapping) -> Markup:
    if not main["calibration"]:
        return NOTHING
    rows = [
        [
            "{:.4f} to {:.4f}".format(*row["score"]),
            f"{row['n']:,}",
            shown(row["mean_score"], ".2%"),
            share_cell(row["fraud_share"], 2),
        ]
        for row in main["calibration"]
    ]
    binned = table_of(["scores", "clients", "mean score", "labelled fraud"], rows)
    slope, said = main["calibration_slope"], SAID["calibration"]
    said += SAID["slope"].format(slope["value"], interval(slope, ".2f")) if slope else ""
    drawn = PAIR.format(figures.inline(figures.calibration(main["calibration"]), "calibration"), binned)
    return SECTION.format("Calibration", said, drawn)


def _severities(rows: list | None) -> Markup:
    if not rows:
        return NOTHING
    cells = [
        [
            row["severity"],
            shown(row["score"], ".4f"),
            shown(row["promised"], ".0%"),
            f"{row['n']:,}",
            share_cell(row["precision"]),
            share_cell(row["precision_from_here_up"]),
        ]
        for row in rows
    ]
    heads = ["severity", "from score", "promised precision", "clients", "precision of these", "precision from here up"]
    return SECTION.format("Severities", SAID["severities"], table_of(heads, cells))


def _models(table: Mapping) -> Markup:
    rows = [
        [
            row["model"],
            number_cell(row["roc_auc"]),
            number_cell(row["pr_auc"]),
            *(share_cell(top["precision"]) for top in row["at_top"]),
            number_cell(row["brier"], 4),
            number_cell(row["pr_auc_behind"]),
        ]
        for row in table["rows"]
    ]
    heads = ["model", "ROC-AUC", "PR-AUC", "precision, top 1 %", "top 5 %", "top 10 %", "Brier", "PR-AUC behind"]
    return SECTION.format(f"Models: {name_of(table)}", SAID["models"], table_of(heads, rows))


def _group(number: int, name: str, main: Mapping) -> Markup:
    cells = [
        [
            row["value"],
            f"{row['n']:,}",
            share_cell(row["base_rate"]),
            shown(row["mean_score"], ".1%"),
            number_cell(row["roc_auc"]),
            share_cell(row["precision_at_top"]),
            share_cell(row["recall_in_list"]),
            f"{row['suspected']:,}",
            share_cell(row["recall"]),
        ]
        for row in main["groups"][name]
    ]
    heads = [name, "clients", "fraud", "mean score", "ROC-AUC", "precision, its own top 10 %"]
    heads += ["its frauds in the top 10 % of all", "suspected", "recall at threshold"]
    figure = figures.groups(main["groups"][name], main["roc_auc"] and main["roc_auc"]["value"])
    weak = [said for grouping, said in weaknesses(main) if grouping == name]
    found = Markup("<h3>Clearly weaker than all clients together</h3>{}").format(list_of(weak))
    drawn = figures.inline(figure, f"group-{number}") + table_of(heads, cells) + (found if weak else NOTHING)
    return SECTION.format(f"By {name}", SAID["groups"].format(name), drawn)


def _importance(rows: list | None) -> Markup:
    if not rows:
        return NOTHING
    ranked = sorted(rows, key=lambda row: -row["value"])[:N_FEATURES]
    by_group = figures.importance(group_importance(rows), "by evidence group, summed")
    by_feature = figures.importance({row["feature"]: row["value"] for row in ranked}, "by feature, the strongest")
    drawn = PAIR.format(figures.inline(by_group, "by-group"), figures.inline(by_feature, "by-feature"))
    cells = [[row["feature"], f"{row['value']:.4f}", row["group"], row["text"]] for row in ranked]
    drawn += table_of(["feature", "mean |contribution|", "evidence group", "meaning"], cells, "prose")
    return SECTION.format("Importance", SAID["importance"], drawn)


def _agreement(found: Mapping | None) -> Markup:
    if not found:
        return NOTHING
    cells = [
        [row["group"], f"{row['reason']:.4f}", f"{row['tree_shap']:.4f}"]
        for row in sorted(found["rows"], key=lambda row: -row["reason"])
    ]
    said = SAID["agreement"].format(**{name: found[name] for name in found if name != "rows"})
    return SECTION.format("Reasons beside TreeSHAP", said, table_of(["evidence group", *AGREEMENT_HEADS], cells))


def _quality(flags: list | None) -> Markup:
    if flags is None:
        return NOTHING
    rows = [[flag["flag"], f"{flag['n']:,}", flag["text"]] for flag in flags]
    drawn = (
        table_of(["flag", "rows", "what was found and done"], rows, "prose") if rows else Markup("<p>None found.</p>")
    )
    return SECTION.format("Data quality", SAID["quality"], drawn)


def _manifest(manifest: Mapping | None) -> Markup:
    if not manifest:
        return NOTHING
    rows = [[key, Markup("<pre>{}</pre>").format(_short(value))] for key, value in manifest.items()]
    return SECTION.format("Manifest", SAID["manifest"], table_of(["entry", "value"], rows, "prose"))


def _short(value) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ... ({len(text):,} characters, whole in metrics.json)"
