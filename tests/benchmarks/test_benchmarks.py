"""What the figures in the README are made by: fair to both sides, nothing heavy unseen, every input in a family."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from benchmarks.helpers.bodies import bodies_of, posted
from benchmarks.helpers.servers import BadAnswer, Connection, served
from benchmarks.load import load, mixed
from benchmarks.quality import families, levers
from benchmarks.speed import bench
from benchmarks.speed.naive import AGGREGATIONS, naive_features
from fairmeter.data.json_records import tables_from_records
from fairmeter.data.tables import read_tables
from fairmeter.features.invoices.matrix import FEATURE_NAMES, client_features
from fairmeter.simulation.utility import simulate
from fairmeter.training.ensemble_fitting import fit_ensemble
from fairmeter.training.member_fitting import MEMBERS, fit_xgboost
from tests.builders.tables import a_client, an_invoice, in_kaggle_names, same, written

TINY = bench.Size(rounds=2, table_rounds=1, requests=5, clients=200)


@pytest.fixture(scope="module")
def utility():
    clients, invoices, _ = simulate(200, seed=4)
    return clients, invoices


# --- bench.py ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("aggregate", ["mean", "std", "min", "max"])
def test_pandas_does_the_same_work_as_the_features_it_is_timed_beside(utility, aggregate):
    clients, invoices = utility
    theirs = naive_features(pd.DataFrame(invoices))
    assert theirs.shape == (200, len(AGGREGATIONS)) == (200, 68)
    ours = client_features(clients, invoices).features
    for name in ("consumption_level_1", "consumption_level_4", "months"):
        column = ours[:, FEATURE_NAMES.index(f"{name}_{aggregate}")]
        np.testing.assert_allclose(theirs[f"{name}_{aggregate}"], column, rtol=1e-5)


def test_what_is_sent_is_what_was_simulated(utility):
    clients, invoices = utility
    bodies = json.loads(json.dumps(bodies_of(clients, invoices)))
    sent, theirs, _ = tables_from_records([b["client"] for b in bodies], [b["invoices"] for b in bodies])
    assert "label" not in bodies[0]["client"]
    same(sent, {name: column for name, column in clients.items() if name != "label"})
    same(theirs, invoices)


def test_the_service_holds_no_heavy_library_after_it_answered_and_the_one_beside_it_does(trained, utility):
    request = posted("/predict", json.dumps(bodies_of(*utility)[0]).encode())
    with served(bench.SERVICE, MODEL_PATH=str(trained.model)) as ours, served(bench.HELLO_HEAVY) as heavy:
        for server in (ours, heavy):
            with Connection(server.port) as connection:
                assert connection.ask(request)
        assert ours.heavy_libraries() == []
        assert {"catboost", "pandas", "sklearn", "xgboost"} <= set(heavy.heavy_libraries())
        assert 0 < ours.memory_mb() < heavy.memory_mb()


def test_an_answer_that_is_an_error_is_not_timed():
    with served(bench.HELLO) as server, Connection(server.port) as connection, pytest.raises(BadAnswer, match="400"):
        connection.ask(posted("/predict", b"no JSON"))


def test_every_figure_is_printed_and_written(trained, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(bench, "MODEL_PATH", trained.model)
    monkeypatch.setattr(bench, "QUICK", TINY)
    monkeypatch.setattr(bench, "N_SIMULATED", 400)
    monkeypatch.setattr(bench, "N_BATCH", 10)
    assert bench.main(["--quick", "--json", str(tmp_path / "speed.json")]) == 0
    found, printed = json.loads((tmp_path / "speed.json").read_text()), capsys.readouterr().out
    assert found["data"] | {"n_invoices": 0} == {"name": "simulated clients", "n_clients": 200, "n_invoices": 0}
    assert all(figure["what"] in printed for figure in found["figures"])
    pairs = [figure for figure in found["figures"] if figure["ratio"] is not None]
    assert all(figure["ratio"] == figure["ours"] / figure["beside"] > 0 for figure in pairs)
    assert len(pairs) > 10


def test_without_a_model_it_ends_in_one_sentence(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(bench, "MODEL_PATH", tmp_path / "none.bin")
    assert bench.main(["--quick"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


# --- families.py ------------------------------------------------------------------------------------------------------


QUICK = families.parsed(["--quick", "--fits", "1"])
DATES = ["2014-10-02", "2014-05-20", "2014-03-09"]  # by the meter, October comes before May, and May before March


@pytest.fixture(scope="module")
def split(small_dataset):
    return families.splits(small_dataset, "all", 2, 0)[0]


@pytest.fixture(scope="module")
def matrices(small_dataset, split):
    """What a member sees in the view all."""
    plan = replace(families.ensemble_config("all", True), members=("xgboost",))
    return families.matrices(small_dataset.evidence, split, small_dataset.label, plan)


def test_every_input_is_in_a_family_and_every_family_has_inputs(matrices):
    masks = {family: families.columns_of(family, matrices.names) for family in families.FAMILIES}
    assert [family for family, mask in masks.items() if not mask.any()] == []
    assert np.array(matrices.names)[~np.any(list(masks.values()), axis=0)].tolist() == []


def test_the_models_see_what_the_member_of_an_ensemble_sees(small_dataset, split, matrices, monkeypatch):
    seen = []

    def spy(inputs, *rest):
        seen.append(inputs)
        return fit_xgboost(inputs, *rest)

    monkeypatch.setitem(MEMBERS, "xgboost", spy)
    plan = replace(families.ensemble_config("all", True), members=("xgboost",))
    fit_ensemble(small_dataset.evidence.of(split.train), small_dataset.label[split.train], plan, families.SEED)
    np.testing.assert_array_equal(seen[-1], matrices.train)


def test_leaving_out_what_tells_is_seen_and_leaving_out_nothing_loses_nothing():
    label = np.arange(2000) % 4 == 0
    columns = np.column_stack([label, np.zeros(2000)]).astype(np.float32)
    told = families.Matrices(("tells", "says nothing"), columns, columns)

    def measured(*left_out):
        trial = families.Trial("a family", told, np.array(left_out))
        return trial, families.figures_of(label, families.scores(trial, label, QUICK))

    trial, whole = measured(False, False)
    nothing, without = families.lost(trial, whole, whole), families.lost(*measured(True, False), whole)
    assert (nothing.n, without.n) == (0, 1)
    assert not nothing.lost.any()
    assert not nothing.intervals.any()
    assert whole[0] == pytest.approx([1.0, 1.0, 1.0])
    assert without.lost == pytest.approx([0.5, 0.75, 0.75])
    assert (np.abs(without.intervals - without.lost[:, None]) < 0.05).all()


def test_dates_are_as_given_only_while_the_rule_is_left_out(tmp_path):
    rows = [
        an_invoice(invoice_on=day, old_index=i, new_index=i + 100) for i, day in zip((0, 100, 200), DATES, strict=True)
    ]
    folder = written(tmp_path, in_kaggle_names([a_client()]), in_kaggle_names(rows))
    first_on = FEATURE_NAMES.index("first_invoice_on")

    def right():
        tables = read_tables(folder)
        return client_features(tables.clients, tables.invoices)

    before, as_given = right(), families.evidence_without_rule([folder], families.DATES_RULE)
    days = [np.datetime64(int(evidence.features[0, first_on]), "D") for evidence in (before, as_given, right())]
    assert [str(day) for day in days] == ["2014-02-10", "2014-03-09", "2014-02-10"]


def test_a_rule_that_is_not_there_is_not_left_out_in_silence():
    with pytest.raises(ValueError, match="day_and_month_swapped"), families.without_rule("renamed"):
        pass


def test_the_table_has_a_row_for_each_family(small_utility, tmp_path, monkeypatch):
    monkeypatch.setattr(families, "FAMILIES", {name: families.FAMILIES[name] for name in ("gas", "neighbours: meters")})
    out = tmp_path / "families.md"
    asked = [str(small_utility), "--quick", "--fits", "1", "--view", "prospective", "--out", str(out)]
    assert families.main(asked) == 0
    rows = [line.split(" | ")[0] for line in out.read_text().splitlines() if line.startswith("| ")]
    assert rows[:3] == ["| left out", "| dates put right", "| gas"]
    assert len(rows) == 5  # a view that does not see meters has no row for them


# --- levers.py --------------------------------------------------------------------------------------------------------


def test_each_kind_of_evidence_on_single_invoices_has_a_row_with_its_guard(small_utility, tmp_path):
    out = tmp_path / "levers.md"
    assert levers.main([str(small_utility), "--quick", "--out", str(out)]) == 0
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in out.read_text().splitlines() if line[:1] == "|"
    ]
    assert rows[0][2:] == list(levers.FIGURES)
    assert [row[0] for row in rows[2:]] == [*levers.KINDS, levers.TOGETHER, levers.AGAIN, levers.APART]
    n = [int(row[1] or 0) for row in rows[2:]]
    assert n[3] == sum(n[:3])
    assert n[4:] == [0, 0]
    assert all(len(row) == 2 + len(levers.FIGURES) for row in rows)


def test_days_are_apart_only_while_they_are_asked_to_be():
    pair = [an_invoice(meter_id=meter, invoice_on="2014-02-10") for meter in (1, 2)]
    clients, invoices, _ = tables_from_records([a_client()], [pair])
    n = FEATURE_NAMES.index("n_invoices")
    with levers.days_apart():
        before = client_features(clients, invoices).features[0, n]
    assert (before, client_features(clients, invoices).features[0, n]) == (2, 1)


# --- load.py ----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed: apt install wrk")
def test_a_rate_with_a_failed_request_is_none(tmp_path):
    lines = tmp_path / "bodies.ndjson"
    lines.write_text('{"invoices": []}\n')
    with served(bench.HELLO) as server:
        assert load.stormed(server.port, "/predict", 2, 1, lines).requests_s > 0
        with pytest.raises(BadAnswer, match="requests failed"):
            load.stormed(server.port, "/nowhere", 2, 1, lines)


def test_everything_at_once_is_answered_and_its_memory_told(trained, utility, monkeypatch):
    monkeypatch.setattr(mixed, "MODEL_PATH", trained.model)
    monkeypatch.setattr(mixed, "EVERY", 0.2)
    told = mixed.mixed_traffic(bodies_of(*utility), 4)
    assert told.errors == []
    assert 0 < told.n_writes < told.n_requests
    assert 0 < told.p50_ms <= told.p99_ms
    assert 0 < told.first_mb < 1000


def test_the_slope_of_the_memory_is_that_of_a_straight_line():
    hours = np.linspace(0, 1, 20)
    assert mixed.slope_of(hours, 150 + 12 * hours) == pytest.approx((12, 0), abs=1e-9)
