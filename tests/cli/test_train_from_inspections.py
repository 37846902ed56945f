"""train.py --store: what the desk's visits found is learnt from, on SQLite and PostgreSQL."""

import json
from datetime import date, datetime

import numpy as np
import pytest

import train
from fairmeter.cli import train_inputs
from fairmeter.cli.settings import CommandSettings
from fairmeter.cli.train_options import command_of, parse_options
from fairmeter.data.readings import read_readings
from fairmeter.data.tables import read_tables
from fairmeter.desk import training_labels
from fairmeter.models import model_file
from fairmeter.store import Store
from fairmeter.training import reading_pipeline
from fairmeter.training.dataset import TrainingError
from fairmeter.training.invoice_pipeline import read_dataset
from tests.builders.store import ROOT, score_of, shipped_rules
from tests.builders.tables import a_client, an_invoice, written

SAMPLE = ROOT / "data" / "sample.zip"
VISITED_ON = date(2019, 6, 1)
N_CHOSEN, N_DRAWN = 150, 160


def visit(store, client_id, outcome, on=VISITED_ON, is_random=False):
    """A case from its opening to what the visit found."""
    case = store.open_case_of(client_id) or store.open_case(
        client_id, "anna", "listed", assignee="anna", is_random=is_random
    )
    case = store.move_case(case.case_id, "inspecting", "anna", "on the way")
    store.record_inspection(case.case_id, outcome, on, "anna")


def scored(store, **scores):
    store.write_run([score_of(name.replace("_", "-"), score) for name, score in scores.items()], "1", shipped_rules())


def learnt(folder, *arguments):
    """The model that train.py fits quickly and the metrics of its report, ended well."""
    asked = [*arguments, "--quick", "--out", folder / "model.bin", "--report", folder / "report"]
    assert train.main([str(word) for word in asked]) == 0
    return model_file.load(folder / "model.bin"), json.loads((folder / "report" / "metrics.json").read_text())


def refused(capsys, *arguments):
    """The one sentence that train.py ends with."""
    assert train.main([str(word) for word in arguments]) == 2
    said = capsys.readouterr().err.strip()
    assert "\n" not in said
    assert said.endswith(".")
    return said


# --- what the desk tells ----------------------------------------------------------------------------------------------


def test_the_newest_visit_that_tells_is_the_label_of_a_client(store, database_url):
    scored(store, c_1=0.8, c_2=0.6, c_3=0.4, c_4=0.2)
    for client_id, outcome, day in [
        ("c-1", "confirmed", 1), ("c-1", "cleared", 9), ("c-1", "no_access", 12), ("c-2", "confirmed", 3),
        ("c-3", "refused", 4), ("c-4", "fault", 5),
    ]:  # fmt: skip
        visit(store, client_id, outcome, date(2019, 6, day), is_random=client_id == "c-2")
    visits, words = training_labels.labels_at(database_url)
    assert visits.client_ids.tolist() == ["c-1", "c-2"]
    assert visits.label.tolist() == [0.0, 1.0]
    assert visits.inspected_on.astype(str).tolist() == ["2019-06-09", "2019-06-03"]
    assert visits.is_random.tolist() == [False, True]
    assert visits.score.tolist() == [0.8, 0.6]
    assert visits.scores == {"c-1": 0.8, "c-2": 0.6, "c-3": 0.4, "c-4": 0.2}
    assert words == [
        "Visits to clients chosen: 5, with the meter seen at 3, of which 1 found theft, 33 % (6 % to 79 %).",
        "Visits to clients drawn at random: 1, with the meter seen at 1, of which 1 found theft, 100 % "
        "(21 % to 100 %).",
    ]


def test_the_readings_of_visited_clients_come_along(store, database_url):
    scored(store, c_1=0.8, c_2=0.6)
    visit(store, "c-1", "confirmed")
    store.add_readings([(name, datetime(2019, 5, 1), 4.0) for name in ("c-1", "c-2")])
    visits, _ = training_labels.labels_at(database_url)
    assert visits.readings["client_id"].tolist() == ["c-1"]


@pytest.mark.parametrize("outcomes", [(), ("no_access", "refused", "fault")])
def test_a_desk_whose_visits_tell_nothing_is_told_in_a_sentence(store, database_url, outcomes, capsys):
    scored(store, c_1=0.8)
    for outcome in outcomes:
        visit(store, "c-1", outcome)
    said = refused(capsys, SAMPLE, "--store", database_url, "--quick")
    assert ("none of which confirmed theft or cleared a client" in said) == bool(outcomes)
    assert "so there are no labels" in said


def test_too_few_visits_of_a_kind_are_told_in_a_sentence_and_no_model_is_made(store, database_url, tmp_path, capsys):
    ids = [f"c-{i}" for i in range(60)]
    data = written(tmp_path, [a_client(id_) for id_ in ids], [an_invoice(id_) for id_ in ids])
    store.write_run([score_of(id_, 0.5) for id_ in ids], "1", shipped_rules())
    for i in range(24):
        visit(store, ids[i], "confirmed" if i < 4 else "cleared")
    out = tmp_path / "model.bin"
    said = refused(capsys, data, "--store", database_url, "--quick", "--out", out, "--report", tmp_path / "report")
    assert "the desk's visits has 4 clients labelled 1 and 20 labelled 0" in said
    assert not out.exists()


@pytest.mark.parametrize(
    "url", ["sqlite:////nowhere/at/all.db", "mysql://host/db", "postgresql://nobody@127.0.0.1:1/x"]
)
def test_a_database_that_is_not_there_is_told_in_a_sentence_and_none_is_made(url, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert "." in refused(capsys, SAMPLE, "--store", url, "--quick")
    assert not list(tmp_path.iterdir())


def test_the_setting_names_the_database_where_the_command_does_not(store, database_url, monkeypatch):
    scored(store, c_1=0.8)
    visit(store, "c-1", "cleared")
    monkeypatch.setenv("DATABASE_URL", database_url)
    visits, _ = train_inputs.read_inspections(
        parse_options([str(SAMPLE), "--store"]), CommandSettings.from_environment()
    )
    assert visits.client_ids.tolist() == ["c-1"]


BAD_USES = {
    "visits of nowhere": (["data.zip", "--only-visits"], "--only-visits needs --store"),
    "visits and attacks": (["--readings", "r.csv", "--attack", "--store"], "cannot be combined with --attack"),
    "visits and a cluster": (["data.zip", "--spark", "local[2]", "--store"], "nor with --spark"),
    "readings alone": (["--readings", "r.csv", "--store"], "give no share of thieves"),
}


@pytest.mark.parametrize(("arguments", "words"), BAD_USES.values(), ids=BAD_USES)
def test_bad_uses_end_in_a_sentence(arguments, words, capsys):
    with pytest.raises(SystemExit) as ended:
        train.main(arguments)
    assert ended.value.code == 2
    assert words in capsys.readouterr().err.splitlines()[-1]


def test_the_model_card_tells_no_password():
    told = command_of(["data/x.zip", "--store", "postgresql://ana:secret@host/desk?password=other", "--quick"])
    assert told == "python train.py x.zip --store URL --quick"
    assert "secret" not in command_of(["--store=postgresql://ana:secret@host"])


# --- from visit to model ----------------------------------------------------------------------------------------------


def closed_cases(store, tables, seed=5):
    """Visits to the highest of some rough scores, and to clients drawn at random, with what the data knows of them."""
    rng, clients = np.random.default_rng(seed), tables.clients
    ids, is_thief = clients["client_id"], clients["label"] == 1
    score = np.clip(rng.beta(0.6, 8.0, len(ids)) + 0.5 * is_thief * rng.random(len(ids)), 0.0, 0.99)
    store.write_run([score_of(str(i), float(s)) for i, s in zip(ids, score, strict=True)], "1", shipped_rules())
    known = np.flatnonzero(~np.isnan(clients["label"]))
    chosen = known[np.argsort(-score[known])[:N_CHOSEN]]
    drawn = rng.choice(np.setdiff1d(known, chosen), N_DRAWN, replace=False)
    for row in chosen:
        visit(store, str(ids[row]), "confirmed" if is_thief[row] else "cleared")
    for row in drawn:
        visit(store, str(ids[row]), "confirmed" if is_thief[row] else "cleared", is_random=True)
    return chosen, drawn, is_thief


@pytest.mark.nightly
def test_visits_of_closed_cases_train_a_model_whose_level_is_that_of_all_clients(store, database_url, tmp_path):
    chosen, drawn, is_thief = closed_cases(store, read_tables(SAMPLE))
    visited = np.concatenate([chosen, drawn])
    model, metrics = learnt(tmp_path, SAMPLE, "--store", database_url, "--only-visits")
    dataset, manifest = read_dataset([SAMPLE]), model.manifest
    true = dataset.label[dataset.clients("prospective")].mean()
    assert is_thief[visited].mean() > 3 * true, "or the weights have nothing to put right"
    assert manifest["fraud_rate"] == pytest.approx(true, abs=0.03), "160 drawn of 1,850 tell it no nearer"
    assert "promise" not in manifest
    assert manifest["data"] == "sample.zip and the desk's visits"
    assert manifest["n_clients"] <= len(visited)
    flags = {flag["flag"]: flag["n"] for flag in metrics["quality"]}
    assert flags["labels_of_visits"] == len(visited)
    assert flags["invoices_after_visits"] > 0
    said = " ".join(metrics["run"]["how"])
    assert f"Visits to clients chosen: {N_CHOSEN}, with the meter seen at" in said
    assert f"Visits to clients drawn at random: {N_DRAWN}, with the meter seen at" in said
    assert "A visited client stands for as many" in said
    assert metrics["command"].endswith("--quick --out model.bin --report report")


def test_labels_of_the_data_and_of_visits_are_learnt_together(store, database_url, small_utility):
    tables = read_tables(small_utility)
    ids, label = tables.clients["client_id"], tables.clients["label"]
    thief = str(ids[np.flatnonzero(label == 0)[0]])
    scored(store)
    store.write_run([score_of(thief, 0.5)], "1", shipped_rules())
    visit(store, thief, "confirmed", date(2018, 1, 1))
    options = parse_options([str(small_utility), "--store", database_url])
    visits, _ = train_inputs.read_inspections(options, CommandSettings.from_environment())
    dataset, plain = read_dataset([small_utility], visits), read_dataset([small_utility])
    assert dataset.weight is None, "everybody has a label and stands for itself"
    assert (dataset.label != plain.label).sum() - np.isnan(plain.label).sum() == 1
    row = ids.tolist().index(thief)
    assert dataset.label[row] == 1.0
    last = dataset.column("last_invoice_on")[row]
    assert last < np.datetime64("2018-01-01", "D").astype(np.int64)
    others = np.arange(len(ids)) != row
    np.testing.assert_array_equal(dataset.evidence.features[others], plain.evidence.features[others])


def test_readings_at_hand_end_before_the_visit_and_those_of_the_desk_come_in(store, database_url, metered, monkeypatch):
    tables = read_readings(metered.readings)
    first = str(tables.client_ids[0])
    own = tables.readings["read_at"][tables.readings["client"] == 0].astype("datetime64[D]")
    middle = own[len(own) // 2].astype(date)
    store.write_run([score_of(first, 0.5)], "1", shipped_rules())
    visit(store, first, "confirmed", middle)
    before = own[0].astype(date).toordinal() - 10
    store.add_readings([(first, datetime.fromordinal(before), 4.0)])
    given = []
    monkeypatch.setattr(
        reading_pipeline, "train_on_labels", lambda days, label, *_: given.append((days, label)) or 1 / 0
    )
    with pytest.raises(ZeroDivisionError):
        learnt(metered.model.parent, "--onto", metered.model, "--readings", metered.readings, "--store", database_url)
    ((days, label),) = given
    of_first = days.day[days.segments.index == 0]
    assert of_first.min() == before - date(1970, 1, 1).toordinal()
    assert of_first.max() < np.datetime64(middle, "D").astype(np.int64)
    assert label[0] == 1.0
    np.testing.assert_array_equal(label[1:], tables.label[1:])


def test_opening_a_desk_to_learn_from_changes_nothing(store, database_url):
    scored(store, c_1=0.8)
    visit(store, "c-1", "cleared")
    before = store.list_profiles().rows, store.list_runs()
    training_labels.labels_at(database_url)
    assert (store.list_profiles().rows, store.list_runs()) == before
    with pytest.raises(TrainingError, match="There is no desk at"):
        training_labels.check_exists(Store("sqlite:////nowhere/desk.db"))
