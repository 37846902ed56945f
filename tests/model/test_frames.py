"""`import fairmeter`: data frames in, what score.py and train.py give out."""

import zipfile

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import fairmeter
import score
from benchmarks.helpers import exports
from fairmeter.data.files import DamagedFile, MissingColumns, MissingFile
from fairmeter.frames.model import UnknownClient
from fairmeter.models.model_file import to_plain

KINDS = {"pandas": lambda table: table, "Polars": pl.from_pandas, "Arrow": pa.Table.from_pandas}


def listed_by(model, folder, *arguments) -> pd.DataFrame:
    """The list that score.py writes with a model."""
    out = folder / "scores.parquet"
    assert score.main([*map(str, arguments), "--model", str(model), "--out", str(out)]) == 0
    found = pd.read_parquet(out)
    return found.assign(anomalies=[list(records) for records in found["anomalies"]])  # arrays have no truth


@pytest.fixture(scope="module")
def frames(small_utility) -> dict[str, pd.DataFrame]:
    with zipfile.ZipFile(small_utility) as archive:
        return {name: pd.read_csv(archive.open(f"{name}.csv")) for name in ("clients", "invoices")}


@pytest.fixture(scope="module")
def scored(trained, frames) -> pd.DataFrame:
    return fairmeter.load(trained.model).score(**frames)


@pytest.fixture(scope="module")
def listed(trained, small_utility, tmp_path_factory) -> pd.DataFrame:
    """What score.py writes of the same clients."""
    return listed_by(trained.model, tmp_path_factory.mktemp("listed"), small_utility)


def is_missing(value) -> bool:
    return not isinstance(value, list) and pd.isna(value)


def same_values(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Equal to the last bit, missing values included."""
    return list(one) == list(other) and all(
        [
            (a, b)
            for a, b in zip(one[name], other[name], strict=True)
            if a != b and not (is_missing(a) and is_missing(b))
        ]
        == []
        for name in one
    )


def test_it_scores_as_score_py_does_to_the_last_bit(scored, listed):
    assert len(scored) == 500
    assert same_values(scored, listed)
    assert {"pattern", "severity", "since", "until", "strength", "text"} == set(max(scored["anomalies"], key=len)[0])


@pytest.mark.parametrize("kind", ["Polars", "Arrow"])
def test_the_library_of_the_tables_makes_no_difference(kind, trained, frames, scored):
    given = {name: KINDS[kind](table) for name, table in frames.items()}
    assert same_values(fairmeter.load(trained.model).score(**given), scored)


def test_readings_are_scored_as_score_py_does(metered, tmp_path):
    model = fairmeter.load(metered.model)
    found = listed_by(metered.model, tmp_path, "--readings", metered.readings)
    assert same_values(model.score(readings=pd.read_parquet(metered.readings)), found)


@pytest.mark.parametrize("export", [exports.brazilian, exports.indian])
def test_tables_read_by_a_map_score_as_score_py_does_with_it(export, trained, tmp_path):
    made = export(tmp_path)
    listed_by_map = listed_by(trained.model, tmp_path, made.files, "--map", made.map)
    tables = fairmeter.read(made.files, map=made.map)
    assert tables.readings is None
    assert same_values(fairmeter.load(trained.model).score(*tables), listed_by_map)


def test_tables_read_without_a_map_score_as_score_py_does(trained, small_utility, scored):
    clients, invoices, _ = fairmeter.read(small_utility)
    assert same_values(fairmeter.load(trained.model).score(clients, invoices), scored)


def test_readings_read_by_a_map_are_those_of_the_map(metered, tmp_path):
    made = exports.european(tmp_path)
    listed_by_map = listed_by(metered.model, tmp_path, made.files, "--map", made.map)
    tables = fairmeter.read(made.files, map=made.map)
    assert tables.clients is None
    assert same_values(fairmeter.load(metered.model).score(*tables), listed_by_map)


def test_files_of_a_format_are_read_without_a_map(tmp_path):
    day = ",".join(["0.5"] * 48)
    lines = ["100,NEM12,200506081149,A,B", "200,NEM1201009,E1,1,E1,N1,01009,kWh,30,20050610"]
    lines += [f"300,20050301,{day},A,,,20050310121004,20050310182204", "900"]
    (tmp_path / "nem12.csv").write_text("\n".join(lines) + "\n")
    readings = fairmeter.read(tmp_path / "nem12.csv").readings
    assert set(readings["client_id"]) == {"NEM1201009"}
    assert readings["consumption_kwh"].sum() == 24.0
    assert fairmeter.check(tmp_path / "nem12.csv").readings.n == 48


def test_reasons_of_some_clients_are_those_of_the_list(trained, frames, scored):
    first = scored["client_id"][0]
    reasons = fairmeter.load(trained.model).explain(**frames, client_ids=[first])
    assert set(reasons["client_id"]) == {first}
    assert list(reasons["text"][:3]) == list(scored.loc[0, ["reason_1", "reason_2", "reason_3"]])
    assert reasons["effect"].abs().is_monotonic_decreasing


def test_a_plot_shows_the_consumption_that_was_invoiced(trained, frames, scored):
    model, first = fairmeter.load(trained.model), scored["client_id"][0]
    model.score(**frames)
    figure = model.plot(first)
    assert f"Client {first}: score {scored['score'][0]:.2f}" in figure.layout.title.text
    days = pd.to_datetime(frames["invoices"].query("client_id == @first")["invoice_on"])
    drawn = [day for trace in figure.data for day in trace.x]
    assert drawn
    assert set(pd.to_datetime(drawn)) <= set(days)
    with pytest.raises(UnknownClient, match="'nobody' is not among the 500"):
        model.plot("nobody")


def test_training_fits_the_model_that_train_py_fits(small_model, frames, tmp_path):
    fitted = fairmeter.train(**frames, quick=True)
    fitted.save(tmp_path / "mine.bin")
    again = fairmeter.load(tmp_path / "mine.bin")
    assert again.manifest["data_fingerprint"] == small_model.manifest["data_fingerprint"]
    assert fitted.metrics["results"][0]["roc_auc"] == fitted.manifest["metrics"]["roc_auc"]
    parts = [getattr(again._model, part) for part in ("invoices", "aggregates")]
    assert [to_plain(part) for part in parts] == [to_plain(small_model.invoices), to_plain(small_model.aggregates)]


def test_what_is_no_table_is_refused_in_a_sentence(trained, frames):
    model = fairmeter.load(trained.model)
    with pytest.raises(DamagedFile, match=r"clients is no table \(str"):
        model.score("clients.csv", frames["invoices"])
    with pytest.raises(DamagedFile, match="values of one type in each column"):
        model.score(frames["clients"].assign(region=[1, *["north"] * 499]), frames["invoices"])
    with pytest.raises(MissingColumns, match="the table invoices lacks"):
        model.score(frames["clients"], frames["invoices"].drop(columns="invoice_on"))
    with pytest.raises(MissingFile, match="Nothing to learn from"):
        fairmeter.train(frames["clients"])
