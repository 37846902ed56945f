"""What training says of visits, and what it keeps for the promise."""

import json

import numpy as np
import pytest

from fairmeter.evaluation.conformal_selection import SHARES, select
from fairmeter.reports.invoice_facts import training_page
from fairmeter.training.validation.inspections import BY_ENERGY, BY_SCORE, COSTS_KWH


@pytest.fixture(scope="module")
def found(trained):
    return json.loads((trained.report / "metrics.json").read_text())["visits"]


def test_training_counts_visits_in_both_orders_up_to_all_clients_kept_back(found):
    last = [found["curves"][name][-1] for name in (BY_SCORE, BY_ENERGY)]
    assert [row["visits"] for row in last] == [found["n"]] * 2
    assert last[0]["hits"] == last[1]["hits"] > 0
    assert last[0]["brings"] == pytest.approx(last[1]["brings"])


def test_severities_divide_the_clients_among_them(found):
    assert sum(row["n"] for row in found["severities"]) == found["n"]
    for row in found["severities"]:
        assert row["net"]["value"] == pytest.approx(row["brings"] - row["costs"])


def test_dearer_visits_are_fewer(found):
    numbers = [row["visits"] for row in found["best"]]
    assert [row["cost_kwh"] for row in found["best"]] == list(COSTS_KWH)
    assert numbers == sorted(numbers, reverse=True)


def test_the_promise_is_measured_both_ways(found):
    assert [row["promised"] for row in found["promise"]["splits"]] == list(SHARES)
    assert [row["promised"] for row in found["promise"]["others"]] == list(SHARES)


def test_the_model_keeps_a_promise_table_of_honest_training_clients(small_model):
    table, manifest = small_model.manifest["promise"], small_model.manifest
    assert table["n"] == manifest["n_clients"]
    assert table["n_honest"] == round(manifest["n_clients"] * (1 - manifest["fraud_rate"]))
    assert select(np.ones(5), table, 1.0).is_listed.all()


def test_the_report_shows_visits_and_promises(trained, found):
    page = (trained.report / "report.html").read_text()
    assert "What visits bring" in page
    assert "The false-alarm promise" in page
    assert f"{found['n_estimated']:,} of {found['n']:,} clients have an estimate" in page


def test_a_report_without_visits_has_no_section_on_them():
    run = {"version": "1", "trained_at": "2026-01-02"}
    assert "What visits bring" not in training_page({"run": run, "quality": None})
