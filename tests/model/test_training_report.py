"""The report's three files from made-up labels and scores."""

import json
import re

import numpy as np
import pytest

from fairmeter.core.types import QualityFlag
from fairmeter.evaluation import model_evaluation as ev
from fairmeter.evaluation import reading_metrics
from fairmeter.reports import figures, reading_facts
from fairmeter.reports.invoice_facts import training_page
from fairmeter.reports.model_card import model_card
from fairmeter.reports.training_report import write_training_report
from fairmeter.training import attacks
from fairmeter.training.validation import readings as reading_validation
from tests.builders.reports import NASTY, Page


def measured(n=3000, seed=0):
    """(labels, scores they were drawn with, evaluation), with one region scored far too high."""
    rng = np.random.default_rng(seed)
    region = rng.choice([101.0, 103.0, 310.0], n)
    truth = 1 / (1 + np.exp(-(rng.normal(size=n) * 1.3 - 3)))
    y = (rng.random(n) < truth).astype(int)
    score = np.where(region == 310, rng.permutation(truth) + 0.2, truth).clip(0, 1)
    groups = {"region": region, "history quintile": ev.history_quintile(rng.integers(1, 80, n))}
    return y, score, ev.evaluate(y, score, 0.2, groups)


@pytest.fixture(scope="module")
def metrics():
    y, score, result = measured()
    cuts = ev.severity_thresholds(*measured(seed=1)[:2], {"critical": 0.9, "high": 0.2})
    models = {"majority": np.zeros(y.size), "stack": score}
    return {
        "run": {
            "version": "1.2.3",
            "trained_at": "2026-01-02T03:04:05Z",
            "view": "prospective",
            "data": NASTY,
            "n_clients": np.int64(12_345),
            "n_invoices": 456_789,
            "fraud_rate": np.float64(0.0561),
            "split": "A fifth was kept back.",
            "how": ["Members are stacked out of fold."],
        },
        "results": [
            {"view": "prospective", "clients": "active clients"} | result,
            {"view": "all", "clients": "all clients"} | ev.pool([result, measured(seed=2)[2]]),
        ],
        "severities": ev.severity_table(y, score, cuts),
        "models": [{"view": "prospective", "clients": "active", "rows": ev.compare(models, y, ["stack"], "stack")}],
        "importance": [
            {"feature": NASTY, "group": "fall", "text": NASTY, "value": 0.5},
            {"feature": "b", "group": "level", "text": "Level. [kWh]", "value": 0.25},
            {"feature": "c", "group": "fall", "text": "Fall.", "value": 0.125},
        ],
        "quality": [QualityFlag("duplicates", 11, NASTY)],
        "manifest": {"version": "1.2.3", "features": [f"feature_{i}" for i in range(300)], "note": NASTY},
    }


def of_readings(seed=0, n=400):
    """One way to attack as measure_plan gives it: ten clients a kind and more, but one of three."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(["constant_scale", "zero", "holiday", attacks.HONEST], n)
    kind[:3] = "cut_off"
    label = np.isin(kind, ["constant_scale", "zero", "cut_off"]).astype(int)
    score = rng.normal(size=n) + 2 * label + 2 * (kind == "constant_scale")
    done = reading_metrics.AttackOutcome(kind, label * rng.random(n), np.arange(n) // 2)
    growing = np.cumsum(rng.random((20, len(reading_metrics.DELAYS))), axis=1)
    return reading_metrics.figures(label, score, done, attacks.HONEST) | {
        "models": reading_metrics.compare(label, {NASTY: -score, "ensemble": score}, done.household),
        "latency": reading_metrics.latency(growing, 6.0),
        "onset": reading_metrics.onset_error(np.full(20, 100), 100.0 + np.arange(20)),
    }


@pytest.fixture(scope="module")
def injected():
    plans = {words: of_readings(seed) for seed, words in enumerate(reading_facts.PLANS)}
    later = {"until": "2013-04-02", "n": 103, "ranking": of_readings(2)["ranking"]}
    unknown = {"n": 104, "n_thieves": 51, "ranking": of_readings(4)["ranking"]}
    return {"made": "injected", "parts": [40, 120, 60], **plans, "unknown": unknown, "past_to_future": later}


@pytest.fixture(scope="module")
def labelled():
    found = of_readings(3)
    return {"made": "labelled", "n": 1234, "n_thieves": 56, "ranking": found["ranking"], "models": found["models"]}


WITHOUT_LABELS = {"made": "without labels", "n": 4321}
ALONE = {"version": "1", "trained_at": "2026-01-02T03:04:05Z", "readings": {"data": NASTY, "n_clients": 200}}


@pytest.fixture(scope="module")
def folder(metrics, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out") / "report"
    write_training_report(metrics, folder)
    return folder


@pytest.fixture(scope="module")
def page(folder):
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def test_the_folder_holds_the_three_files_and_nothing_half_written(folder):
    assert sorted(path.name for path in folder.iterdir()) == ["metrics.json", "model_card.md", "report.html"]


def test_metrics_json_holds_what_was_given_as_plain_values(metrics, folder):
    read = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    assert read["results"] == metrics["results"]
    assert read["run"]["n_clients"] == 12_345
    assert read["quality"][0] == {"flag": "duplicates", "n": 11, "text": NASTY}


def test_the_page_has_every_section(page):
    assert page.headings == [
        "Limits",
        "Views side by side",
        "ROC and precision-recall",
        "Precision against number of visits",
        "At the threshold",
        "Calibration",
        "Severities",
        "Models: prospective, active",
        "By region",
        "By history quintile",
        "Importance",
        "Data quality",
        "Manifest",
    ]


def test_the_page_has_every_plot_once(page):
    expected = {"roc", "pr", "visits", "confusion", "calibration", "group-0", "group-1", "by-group", "by-feature"}
    assert set(page.ids) == expected
    drawn = "".join(page.scripts[1:])
    assert all(drawn.count(f'Plotly.newPlot(                        "{name}"') == 1 for name in expected)


def test_the_page_fetches_nothing_and_carries_plotly_once(page):
    assert page.fetched == []
    assert sum("plotly.js v" in script for script in page.scripts) == 1
    assert not page.open


def test_text_from_outside_stays_text(page):
    assert "alert('x')" in page.text
    assert not any("alert('x')" in script for script in page.scripts)


def test_every_headline_figure_stands_on_the_page_with_its_interval(metrics, page):
    main = metrics["results"][0]
    figures_ = [main["roc_auc"], main["pr_auc"], *(top["lift"] for top in main["at_top"])]
    for figure, form in zip(figures_, (".3f", ".3f", ".2f", ".2f", ".2f"), strict=True):
        low, high = (format(end, form) for end in figure["interval"])
        assert re.search(rf"{figure['value']:{form}}\s+\[{low}, {high}\]", page.text)


def test_the_page_says_what_cannot_be_known(page):
    assert "A label of 0 means not caught, not honest" in page.text
    assert "no date, kind or amount of fraud" in page.text


def test_the_page_names_the_groups_where_the_model_is_weaker(page):
    assert "Clearly weaker than all clients together" in page.text
    assert re.search(r"310: ROC-AUC 0\.\d+ against 0\.\d+", page.text)
    assert "310: scores too high" in page.text


def test_the_page_is_light_and_dark(folder):
    assert "prefers-color-scheme:dark" in (folder / "report.html").read_text(encoding="utf-8")


def test_what_was_not_measured_has_no_section(metrics):
    few = {"run": metrics["run"] | {"n_clients": 1, "fraud_rate": 0.1}, "results": metrics["results"][:1]}
    headings = Page(training_page(few)).headings
    assert not {"Severities", "Importance", "Data quality", "Manifest"} & set(headings)
    assert not any(heading.startswith("Models") for heading in headings)


def test_outer_folds_make_a_report_with_the_curves_of_all_their_scores(metrics, tmp_path):
    parts = [measured(seed=seed) for seed in range(3)]
    y, score = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    result = ev.evaluate(y, score, 0.2) | ev.pool([part[2] for part in parts])
    write_training_report(metrics | {"results": [{"view": "all", "clients": "all clients"} | result]}, tmp_path)
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert f"{np.mean([part[2]['roc_auc']['value'] for part in parts]):.3f}" in page.text
    assert {"roc", "visits", "calibration"} <= set(page.ids)


def test_labels_of_one_class_still_make_a_report(metrics, tmp_path):
    groups = {"half": np.arange(500) < 250}
    result = ev.evaluate(np.zeros(500), np.linspace(0.1, 0.9, 500), 0.5, groups)
    write_training_report(metrics | {"results": [{"view": "all", "clients": "all clients"} | result]}, tmp_path)
    assert "unknown" in Page((tmp_path / "report.html").read_text(encoding="utf-8")).text


def test_scores_that_are_ranks_make_a_report_without_calibration(metrics, tmp_path):
    y, score, _ = measured()
    result = ev.evaluate(y, 50 * score, 10, probability=False)
    write_training_report(metrics | {"results": [{"view": "all", "clients": "all clients"} | result]}, tmp_path)
    assert "Calibration" not in Page((tmp_path / "report.html").read_text(encoding="utf-8")).headings


HEADINGS = [
    "Model details", "Intended use", "Not for", "Factors", "Metrics", "Evaluation data", "Training data",
    "Quantitative analyses", "Ethical considerations", "Caveats and recommendations",
]  # fmt: skip


def test_the_card_says_data_figures_weak_groups_and_what_it_is_not_for(metrics, folder):
    card = (folder / "model_card.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)", card, re.MULTILINE) == HEADINGS
    auc = metrics["results"][0]["roc_auc"]
    assert f"{auc['value']:.3f} [{auc['interval'][0]:.3f}, {auc['interval'][1]:.3f}]" in card
    assert "region 310: ROC-AUC" in card
    assert "cutting off supply" in card
    assert "Members are stacked out of fold." in card


def test_the_card_keeps_its_shape_whatever_the_data_are_called(metrics, folder):
    card = (folder / "model_card.md").read_text(encoding="utf-8")
    assert r"\<script\>alert('x')\</script\> & \| `b` \# " in card
    assert "\n<" not in card
    figures, severities, *groups = tables_of(card)
    assert len(figures) == 2 + len(metrics["results"])
    assert len(severities) == 2 + len(metrics["severities"])
    assert len(groups) == len(metrics["results"][0]["groups"])


def tables_of(card):
    """The lines of each table; all of one table have as many cells."""
    tables = [lines.splitlines() for lines in re.findall(r"(?:^\|.*\n)+", card, re.MULTILINE)]
    assert all(len({line.count("|") - line.count("\\|") for line in table}) == 1 for table in tables)
    return tables


def test_the_card_gives_every_group_with_its_interval_and_what_false_suspicion_costs(metrics, folder):
    card = (folder / "model_card.md").read_text(encoding="utf-8")
    for name, rows in metrics["results"][0]["groups"].items():
        assert f"| {name} | clients |" in card
        for row in rows:
            rate, (low, high) = row["base_rate"]["value"], row["base_rate"]["interval"]
            cell = f"{100 * rate:.1f}\N{NO-BREAK SPACE}% [{100 * low:.1f}, {100 * high:.1f}]"
            assert f"| {row['value']} | {row['n']:,} | {cell} |" in card
    wrong = 1 - metrics["results"][0]["at_threshold"]["precision"]["value"]
    assert f"at the threshold, {100 * wrong:.1f} % (" in card


def test_the_card_tells_how_it_was_trained_and_what_drift_is_measured_from(metrics):
    told = {"command": "python train.py `x`"}
    kept = {"invoices": {"n": 93_058, "n_features": 950, "n_constant": 3}}
    card = model_card({"run": metrics["run"], **told, "fingerprints": kept, "manifest": {"threshold": 0.166}})
    assert "`python train.py 'x'`" in card
    assert "950 features of 93,058 clients" in card
    assert "3 of the features never vary" in card
    assert "0.25" in card
    assert "Suspected from a score of 0.1660 on" in card
    assert "never vary" not in model_card({"run": metrics["run"], "fingerprints": {}})


def test_a_group_pooled_from_few_clients_is_not_called_weak():
    result = measured()[2]
    assert "region" in {grouping for grouping, _ in ev.weaknesses(result)}
    for row in result["groups"]["region"]:
        row["n"] = ev.MIN_GROUP - 1
    assert "region" not in {grouping for grouping, _ in ev.weaknesses(result)}


def test_importance_is_summed_by_evidence_group(metrics):
    assert ev.group_importance(metrics["importance"]) == {"fall": 0.625, "level": 0.25}


def test_reasons_stand_beside_tree_shap_with_how_far_they_agree(metrics):
    rows = [{"group": "low", "reason": 0.01, "tree_shap": 0.5}, {"group": "fall", "reason": 0.02, "tree_shap": 0.25}]
    agreement = {"clients": 300, "rows": rows, "rank_correlation": -1.0, "same_first": 0.25, "one_of_two": 0.5}
    shown = Page(training_page({"run": metrics["run"], "agreement": agreement}))
    assert "Reasons beside TreeSHAP" in shown.headings
    assert "correlation of -1.00" in shown.text
    assert shown.text.index("0.0200") < shown.text.index("0.0100")  # the largest reason first


def test_an_old_report_is_replaced(metrics, tmp_path):
    (tmp_path / "model_card.md").write_text("old", encoding="utf-8")
    write_training_report(metrics, tmp_path)
    assert (tmp_path / "model_card.md").read_text(encoding="utf-8").startswith("# Model card: Fairmeter 1.2.3")


@pytest.mark.parametrize(("value", "error"), [(float("nan"), ValueError), (object(), TypeError)])
def test_what_json_cannot_hold_is_refused_before_a_file_is_touched(metrics, tmp_path, value, error):
    with pytest.raises(error):
        write_training_report(metrics | {"manifest": {"threshold": value}}, tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_the_card_needs_no_plots(metrics):
    plain = metrics | {"run": metrics["run"] | {"n_clients": 5}, "quality": [{"text": "Copies: 11."}]}
    assert "5 clients (5.61\N{NO-BREAK SPACE}% labelled fraud)" in model_card(plain)
    assert "- Copies: 11." in model_card(plain)


def test_names_in_plots_are_not_read_as_markup():
    figure = figures.importance({"<b>bold</b>": 1.0, "plain": 2.0}, "unit")
    assert list(figure.data[0].y) == ["&lt;b&gt;bold&lt;/b&gt;", "plain"]


# --- smart-meter readings ---------------------------------------------------------------------------------------------


def said(readings, metrics=None, run=ALONE):
    """(the page, the card) of a model trained on readings, beside invoices where `metrics` are given."""
    given = {"run": run} | (metrics or {}) | {"readings": readings, "quality": None}
    return Page(training_page(given)), model_card(given)


def test_the_page_shows_readings_after_invoices(metrics, injected):
    readings = ["Smart-meter readings", "Readings, attacked as published", "Readings, attacked wider than published"]
    headings = said(injected, metrics)[0].headings
    assert headings[headings.index("By history quintile") + 1 :][:4] == [*readings, "Importance"]
    assert {"recall-0", "recall-1"} <= set(said(injected)[0].ids)


@pytest.mark.parametrize("results", [{}, {"results": []}])
def test_a_model_of_readings_alone_has_a_whole_page_and_card(injected, labelled, results):
    for readings in (injected, labelled, WITHOUT_LABELS):
        page, card = said(readings, results)
        assert page.headings[0] == "Smart-meter readings"
        assert not page.open
        assert "Views side by side" not in page.headings
        assert "200 clients" in page.text
        found = re.findall(r"^## (.*)", card, re.MULTILINE)
        assert found == [name for name in HEADINGS if name not in ("Metrics", "Factors") or name in found]
        assert "Metrics" not in found
        assert "### Smart-meter readings" in card
        assert "from their smart-meter readings" in card
        assert "labelled fraud" not in card


def test_readings_are_added_to_an_older_model_of_which_little_is_known(metrics, injected):
    page, card = said(injected, {"results": metrics["results"][:1]})
    assert "Views side by side" in page.headings
    assert "Smart-meter readings" in page.headings
    assert "from their invoices and smart-meter readings" in card
    assert "None" not in page.text + card


def test_injected_thefts_are_called_injected_and_stand_apart_from_real_labels(metrics, injected):
    page, card = said(injected, metrics)
    for text in (page.text, " ".join(card.split())):
        assert "attacked here by published patterns of theft: none of these thefts is real" in text
        assert "known only after inspections" in text
    *before, last = re.findall(r"(?:^\|.*\n)+", card, re.MULTILINE)
    assert "attacked" in last
    assert not [table for table in before if "attacked" in table]
    assert len(re.findall(r"^\| attacked|^\| past to future", last, re.MULTILINE)) == 3


def test_what_was_measured_on_readings_stands_on_the_page_with_its_interval(injected):
    page, card = said(injected)
    text = page.text.replace("\N{NO-BREAK SPACE}", " ")
    for part in (*(injected[words] for words in reading_facts.PLANS), injected["past_to_future"]):
        auc, recall = part["ranking"]["roc_auc"], part["ranking"]["recall_at_1%"]
        ends = [f"{end:.3f}" for end in auc["interval"]]
        assert re.search(rf"{auc['value']:.3f}\s+\[{ends[0]}, {ends[1]}\]", text)
        assert f"{auc['value']:.3f} [{ends[0]}, {ends[1]}]" in card
        assert re.search(rf"{100 * recall['value']:.1f} %\s+\[{100 * recall['interval'][0]:.1f}, ", text)
    assert "until 2013-04-02" in text
    assert "2013-04-02" in card
    assert "of some households, measured on others" in text


def test_recall_by_pattern_begins_with_the_weakest_and_leaves_out_what_few_did(injected):
    page, card = said(injected)
    assert page.text.index(" zero ") < page.text.index("constant scale")
    assert "cut off" not in page.text
    assert re.search(r"Lowest recall at 5 % false alarms: zero \d+\.\d %, constant scale", card)


def test_harmless_changes_stand_beside_the_unchanged_honest(injected):
    harmless = {
        "all": {"n": 30, "share": 0.15},
        "honest": {"n": 100, "share": 0.05},
        "holiday": {"n": 30, "share": 0.15},
    }
    page, card = said(injected | {"as published": injected["as published"] | {"harmless": harmless}})
    text = " ".join(page.text.replace("\N{NO-BREAK SPACE}", " ").split())
    assert "honest, unchanged 100 5.0 % 1.0 all harmless changes 30 15.0 % 3.0 holiday 30 15.0 % 3.0" in text
    assert "15.0 % of clients with a harmless change, 5.0 % of unchanged ones" in card


def test_days_to_detection_say_when_a_quarter_was_never_found(injected):
    latency = {"n": 8, "found": {"n": 8, "share": 0.625}, "days_quartiles": [5.0, 21.0, None]}
    page, card = said(injected | {"as published": injected["as published"] | {"latency": latency}})
    sentence = "62.5 % are found: a quarter of all within 5 days, half of all within 21 days, three quarters of all"
    assert f"{sentence} not found." in card
    text = " ".join(page.text.replace("\N{NO-BREAK SPACE}", " ").split())
    assert "attacked as published 8 62.5 % within 5 days within 21 days not found" in text
    assert reading_validation.LARGE_LOSS == 0.5, "the report says: half or more"


def test_few_households_without_a_large_theft_or_a_common_pattern_still_make_a_report(injected):
    none = {
        "by_pattern": {},
        "by_loss": {"0% to 20%": {"n": 0, "recall_at_5%": None, "recall_at_1%": None}},
        "latency": reading_metrics.latency(np.empty((0, len(reading_metrics.DELAYS))), 0.0),
        "onset": reading_metrics.onset_error(np.empty(0), np.empty(0)),
        "harmless": {"all": {"n": 0, "share": None}, "honest": {"n": 5, "share": 0.0}},
    }
    page, card = said(injected | {"as published": injected["as published"] | none})
    assert not page.open
    assert "recall-0" not in page.ids
    assert "None" not in page.text + card


def test_labels_of_real_clients_are_not_called_injected(labelled):
    page, card = said(labelled)
    for text in (page.text, card):
        assert "1,234, of them 56 labelled as thieves" in text
        assert "attacked" not in text
        assert "not caught, not honest" in text
    assert "alert('x')" in page.text, "models side by side, named by whoever"


def test_without_labels_no_figure_is_shown_and_no_rank_is_called_a_probability():
    page, card = said(WITHOUT_LABELS)
    for text in (page.text, card):
        assert "4,321 clients came without labels" in text
        assert "no probability" in text
        assert "ROC-AUC" not in text


def test_the_form_of_the_readings_metrics_is_the_one_that_training_writes(injected):
    plan = injected["as published"]
    assert set(plan) == {
        *("n", "n_thieves", "n_households", "ranking", "by_pattern", "by_loss", "harmless"),
        *("models", "latency", "onset"),
    }
    assert set(reading_facts.RECALLS) < set(plan["ranking"])
    assert json.dumps(injected)
