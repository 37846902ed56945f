"""The limits of anomalies are those that the benchmark wrote, and what it plants is what its names say."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.quality import anomalies
from benchmarks.quality.anomaly_seeds import INVOICE_SEEDS, SEEDS, days_to_newest, planted, scaled_invoices
from fairmeter.analysis.anomalies.limits import LIMITS
from fairmeter.data.json_records import tables_from_records
from tests.builders.tables import a_client, an_invoice

RESULTS = Path(anomalies.OUT)


def test_the_limits_are_those_of_the_committed_figures():
    written = json.loads(RESULTS.read_text())["limits"]
    assert {basis: {kind: list(values) for kind, values in kinds.items()} for basis, kinds in LIMITS.items()} == written


def test_the_committed_figures_hold_the_aims():
    report = json.loads(RESULTS.read_text())["readings"]["neighbours"]
    assert report["honest_as_of_the_last_day"]["any"]["value"] < 0.1
    assert report["honest_as_of_a_drawn_day"]["any"]["value"] < 0.1
    for name in ("times 3 for 20 days", "zero for 30 days", "down 70 % over 120 days", "flat for 60 days"):
        assert report["planted"][name]["found"]["value"] >= 0.92


def test_limits_are_the_values_that_their_share_reaches():
    limits = anomalies.fit_limits({"flat_line": np.arange(1000.0)})["flat_line"]
    assert limits == [999.0, 999.0, 999.0, 999.0]
    limits = anomalies.fit_limits({"spike": np.arange(10_000.0), "stall": np.full(9, np.nan)})
    assert limits["spike"][0] == pytest.approx(10_000 * (1 - anomalies.SHARES["spike"]), rel=1e-3)
    assert limits["stall"] == [anomalies.FLOORS["stall"]] * 4


def test_a_planted_pattern_begins_on_its_day():
    kwh, last = np.full((5, 400), 10.0), np.full(5, 16_000)
    for name in ("times 3 for 20 days", "zero for 30 days", "down 70 % over 120 days"):
        changed, onset = planted(kwh, last, SEEDS[name], np.random.default_rng(0))
        first = (changed != kwh).argmax(axis=1) + last - 399
        assert (np.abs(first - onset) <= 1).all()
    assert changed[:, -1] == pytest.approx(3.0)


def test_invoices_are_scaled_by_their_age():
    days = ("2010-01-20", "2013-01-20", "2013-12-20", "2014-03-20")
    rows = [an_invoice(invoice_on=day, consumption_level_1=100, consumption_level_2=0) for day in days]
    table = tables_from_records([a_client()], [rows])[1]
    share = INVOICE_SEEDS["last year at a fifth"][1](days_to_newest(table, 1))
    assert scaled_invoices(table, share)["consumption_level_1"].tolist() == [100, 100, 20, 20]
