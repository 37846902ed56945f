"""score.py and train.py on Spark: two executors of their own give what this process gives."""

import os
import re
import shutil
import socket
import subprocess
import sys
import zipfile
from contextlib import closing, nullcontext
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

import score
from fairmeter.cli.train_inputs import build_dataset_on_spark
from fairmeter.data.files import TableError
from fairmeter.data.guess import guess_map
from fairmeter.data.maps import parse_map
from fairmeter.data.maps.mapped_base import read_mapped_base
from fairmeter.data.partitioned import spark
from fairmeter.data.partitioned.disk import partition_on_disk
from fairmeter.data.partitioned.evidence_tables import from_arrow
from fairmeter.data.partitioned.partitions import find_table_files
from fairmeter.data.partitioned.spark import SparkError, spark_jobs
from fairmeter.data.tables import read_tables
from fairmeter.features.invoices.matrix import client_features
from fairmeter.models import model_file
from fairmeter.scoring import partitioned
from fairmeter.simulation.foreign_export import write_export
from fairmeter.simulation.utility import simulate, write_zip
from fairmeter.store import Store
from fairmeter.training.invoice_pipeline import label_dataset, read_dataset
from fairmeter.training.spark_dataset import partition_features
from tests.builders.spark_jobs import OnceKilled, digest
from tests.builders.tables import a_client, an_invoice, csv_text, written

ROOT = Path(__file__).resolve().parents[2]
MISSING = "java" if shutil.which("java") is None else "pyspark" if find_spec("pyspark") is None else None
pytestmark = pytest.mark.skipif(MISSING is not None, reason=f"{MISSING} is not installed")
TWO_EXECUTORS = "local-cluster[2,1,1024]"
N_CLIENTS = 300
# Compiling for speed what runs a few seconds, and pages that nobody opens, would take most of the processor.
SHORT_LIVED = {
    "JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "PYSPARK_SUBMIT_ARGS": "--conf spark.ui.enabled=false pyspark-shell",
}


def zipped_jobs(folder):
    """tests/builders/spark_jobs.py under its full name, as executors import it."""
    with zipfile.ZipFile(folder / "jobs.zip", "w") as archive:
        for name in ("tests/__init__.py", "tests/builders/__init__.py"):
            archive.writestr(name, "")
        archive.write(ROOT / "tests" / "builders" / "spark_jobs.py", "tests/builders/spark_jobs.py")
    return str(folder / "jobs.zip")


@pytest.fixture(scope="module")
def machines(tmp_path_factory):
    """One session for all tests: two executors, each a Java process with a Python worker."""
    folder = str(tmp_path_factory.mktemp("workers"))  # else beside pyspark itself
    settings = SHORT_LIVED | {"PYSPARK_PYTHON": sys.executable, "SPARK_WORKER_DIR": folder}
    with patch.dict(os.environ, settings), spark_jobs(TWO_EXECUTORS) as machines:
        machines._spark.sparkContext.addPyFile(zipped_jobs(tmp_path_factory.mktemp("jobs")))
        yield machines


@pytest.fixture(scope="module")
def utility(tmp_path_factory):
    """Other clients than those trained on, in files of several folders: clients as CSV, invoices as Parquet."""
    folder = tmp_path_factory.mktemp("base")
    write_zip(folder / "utility.zip", *simulate(N_CLIENTS, 8, 0.2))
    with zipfile.ZipFile(folder / "utility.zip") as archive:
        for name in ("clients", "invoices"):
            header, *rows = archive.read(f"{name}.csv").decode().splitlines()
            (folder / name).mkdir()
            for i in range(3):
                lines = [header, *rows[i * len(rows) // 3 : (i + 1) * len(rows) // 3]]
                (folder / name / f"part-{i:05d}.csv").write_text("\n".join(lines) + "\n")
    return folder


def silent(*_):
    """Hears what goes on and says nothing."""


# --- the same ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("machines")
def test_the_list_is_that_of_one_machine_to_the_last_bit(tmp_path, utility, trained, monkeypatch, capsys):
    monkeypatch.setenv("MODEL_PATH", str(trained.model))
    said = []
    for sources, more, out in (
        ([utility / "utility.zip"], [], "whole.parquet"),
        (["--clients", utility / "clients", "--invoices", utility / "invoices"], ["--spark", "-"], "spark.parquet"),
    ):
        assert score.main([str(word) for word in (*sources, *more, "--out", tmp_path / out)]) == 0
        said.append(
            [line for line in capsys.readouterr().out.splitlines() if "insufficient" in line or "kept:" in line]
        )
    whole, by_spark = (parquet.read_table(tmp_path / name) for name in ("whole.parquet", "spark.parquet"))
    assert by_spark.equals(whole)
    assert whole["reason_1"].null_count < whole.num_rows
    assert said[0] == said[1]


@pytest.mark.nightly
@pytest.mark.usefixtures("machines")
def test_the_desk_is_told_of_the_same_part_of_the_base(tmp_path, utility, trained, monkeypatch):
    monkeypatch.setenv("MODEL_PATH", str(trained.model))
    told = []
    for way in (["--memory", "1GB"], ["--spark", "-"]):
        url = f"sqlite:///{tmp_path}/{way[0][2:]}.db"
        monkeypatch.setenv("DATABASE_URL", str(url))
        asked = ["--clients", utility / "clients", "--invoices", utility / "invoices", *way, "--store", "--keep", 20]
        assert score.main([str(word) for word in (*asked, "--out", tmp_path / "list.csv")]) == 0
        with closing(Store(url)) as store:
            ids = [row.client_id for row in store.list_profiles(limit=1000).rows]
            profiles = [store.find_profile(client_id) for client_id in ids]
            told.append([(p.client, p.score, p.facts, p.series, p.invoices) for p in profiles])
            assert store.list_runs()[0].n_clients == N_CLIENTS
    assert 20 < len(told[0]) < N_CLIENTS
    assert repr(told[0]) == repr(told[1])


@pytest.mark.nightly
@pytest.mark.usefixtures("machines")
def test_a_study_made_there_is_the_one_made_here_to_the_last_bit(utility):
    here = read_dataset([utility / "utility.zip"])
    there = build_dataset_on_spark("-", (utility / "utility.zip",))
    assert there.fingerprint() == here.fingerprint()
    assert (there.summary(), there.tables.flags) == (here.summary(), here.tables.flags)
    some = np.array([3, 50, 211])
    for one, other in zip(here.select_clients(some), there.select_clients(some), strict=True):
        assert {n: sorted(c.astype(str)) for n, c in one.items()} == {
            n: sorted(c.astype(str)) for n, c in other.items()
        }


@pytest.mark.nightly
@pytest.mark.usefixtures("machines")
def test_a_study_of_mapped_files_is_the_one_made_here_to_the_last_bit(tmp_path):
    write_export(tmp_path, 300, 7)
    data_map = parse_map(guess_map([tmp_path]))
    base = read_mapped_base(data_map, (tmp_path,))
    here = label_dataset(base.tables, (tmp_path,), None, False)
    there = build_dataset_on_spark("-", (tmp_path,), data_map=data_map)
    assert there.fingerprint() == here.fingerprint()
    assert {flag.text for flag in there.tables.flags} == {flag.text for flag in here.tables.flags}


def test_evidence_travels_to_the_last_bit(tmp_path, utility):
    tables = read_tables(utility / "utility.zip")
    evidence = client_features(tables.clients, tables.invoices)
    pieces = find_table_files((utility / "utility.zip",))
    parts = [partition_features(*part.open()) for part in partition_on_disk(pieces, tmp_path, 3_000_000, silent)]
    assert len(parts) > 2
    joined, found = from_arrow(parts)
    clients, flags = joined.clients, joined.flags
    np.testing.assert_array_equal(found.features.view(np.int32), evidence.features.view(np.int32))
    np.testing.assert_array_equal(found.n_records, evidence.n_records)
    for name, cells in evidence.group_keys.items():
        np.testing.assert_array_equal(found.group_keys[name].counts, cells.counts)
        np.testing.assert_array_equal(found.group_keys[name].keys, cells.keys)
    for mine, theirs in zip(evidence.invoices, found.invoices, strict=True):
        np.testing.assert_array_equal(theirs.view(f"u{theirs.itemsize}"), mine.view(f"u{mine.itemsize}"))
    assert clients["client_id"].tolist() == tables.clients["client_id"].tolist()
    assert flags == tables.flags


# --- what happens on clusters -----------------------------------------------------------------------------------------


def digests(machines, pieces, work):
    """By row number, whatever part it was in."""
    parts = [part.to_pylist() for part in machines.map_partitions(pieces, work, silent)]
    return {row["row"]: row["sum"] for part in parts for row in part}, len(parts)


def test_an_executor_that_is_killed_in_the_middle_changes_nothing(tmp_path, machines, utility, trained):
    judge = partitioned.PartitionScorer(model_file.load(trained.model), 12)
    pieces = find_table_files((utility / "utility.zip",))
    killed = tmp_path / "killed"
    found = list(machines.map_partitions(pieces, OnceKilled(judge, killed), silent))
    expected = [judge(*part.open()) for part in partition_on_disk(pieces, tmp_path / "parts", 10**9, silent)]
    assert killed.exists()
    one, other = (
        pa.concat_tables([t.replace_schema_metadata() for t in all_]).sort_by("row") for all_ in (found, expected)
    )
    assert one.equals(other)


@pytest.mark.nightly
def test_one_client_with_most_of_the_invoices_and_parts_without_any_are_no_matter(tmp_path, machines, monkeypatch):
    monkeypatch.setattr(spark, "PART_BYTES", 2**17)
    clients = [a_client(f"c-{i}") for i in range(5)]
    many = pa.table(
        {name: pa.array([value] * 100_000) for name, value in an_invoice("c-1").items() if name != "old_index"}
    ).append_column("old_index", pa.array(np.arange(100_000)))
    (tmp_path / "invoices").mkdir()
    parquet.write_table(many, tmp_path / "invoices" / "many.parquet")
    (tmp_path / "invoices" / "few.csv").write_text(csv_text([an_invoice("c-2"), an_invoice("nobody")]))
    (tmp_path / "clients.csv").write_text(csv_text(clients))
    found, n_parts = digests(machines, find_table_files((tmp_path,)), digest)
    assert found == {0: 0.0, 1: 600.0 * 100_000, 2: 600.0, 3: 0.0, 4: 0.0}
    assert n_parts <= 6  # the others are empty


@pytest.mark.nightly
def test_a_damaged_file_is_named_by_the_executor_that_read_it(tmp_path, machines):
    (tmp_path / "clients.csv").write_text(csv_text([a_client("c-1")]))
    (tmp_path / "invoices").mkdir()
    for name in "ab":
        parquet.write_table(pa.Table.from_pylist([an_invoice("c-1")]), tmp_path / "invoices" / f"{name}.parquet")
    damaged = tmp_path / "invoices" / "b.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-20] + b"x" * 20)
    with pytest.raises(TableError, match=f"{damaged} cannot be read .*; export or copy it again.$"):
        list(machines.map_partitions(find_table_files((tmp_path,)), digest, silent))


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("clients", "invoices", "words"),
    [
        ([a_client("a"), a_client("a")], [an_invoice("a")], "2 rows for client 'a'; keep one row a client.$"),
        ([a_client("a")], [an_invoice("a", invoice_on="soon")], "line 2: invoice_on is 'soon'"),
        ([a_client("a")], None, "invoices.csv has a header and no rows"),
    ],
)
def test_bad_tables_end_in_the_sentence_that_they_have_here(tmp_path, machines, clients, invoices, words):
    written(tmp_path, clients, invoices or csv_text([an_invoice()]).splitlines()[0] + "\n")
    with pytest.raises(TableError, match=words):
        list(machines.map_partitions(find_table_files((tmp_path,)), digest, silent))


# --- what is missing --------------------------------------------------------------------------------------------------


def test_without_pyspark_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    with pytest.raises(SparkError, match="make install"), spark_jobs("local[1]"):
        pass


def test_a_master_that_nobody_answers_for_is_told_at_once():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]  # bound and not listening: refused
        with pytest.raises(SparkError, match=f"127.0.0.1:{port}: Connection refused"):
            spark.check_master(f"spark://127.0.0.1:{port}")
    for address in ("spark://127.0.0.1", "spark://127.0.0.1:port", "spark://127.0.0.1:99999"):
        with pytest.raises(SparkError, match="does not answer"):
            spark.check_master(address)


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConnectionRefusedError(111, "Connection refused"), r"\[Errno 111\] Connection refused"),
        (EOFError(), "EOFError"),
    ],
    ids=["before it is asked", "in the middle of its answer"],
)
def test_a_session_whose_java_is_gone_ends_in_one_sentence_of_spark(
    tmp_path, trained, monkeypatch, capsys, error, said
):
    def gone(*_):
        raise error

    session = SimpleNamespace(sparkContext=SimpleNamespace(defaultParallelism=2, broadcast=gone), conf=Settings())
    monkeypatch.setenv("MODEL_PATH", str(trained.model))
    monkeypatch.setattr(partitioned, "spark_jobs", lambda _master: nullcontext(spark.SparkJobs(session)))
    folder = written(tmp_path, [a_client("a")], [an_invoice("a")])
    assert score.main([str(folder), "--spark", "local[1]", "--out", str(tmp_path / "s.csv")]) == 2
    assert re.search(f"The Spark job failed: {said}.", capsys.readouterr().err)


class Settings(dict):
    """A session's settings."""

    set = dict.__setitem__


@pytest.mark.nightly
def test_a_cluster_without_executors_is_not_waited_for_longer_than_a_minute(monkeypatch):
    stopped = []
    status = SimpleNamespace(getExecutorMemoryStatus=lambda: SimpleNamespace(size=lambda: 1))  # the driver alone
    session = SimpleNamespace(
        sparkContext=SimpleNamespace(_jsc=SimpleNamespace(sc=lambda: status)), stop=lambda: stopped.append(True)
    )
    monkeypatch.setattr(spark, "START_SECONDS", 1)
    with pytest.raises(SparkError, match="provided no executor within 1 seconds: start workers"):
        spark._wait_for_executors(session, "spark://127.0.0.1:7077")
    assert stopped
    spark._wait_for_executors(None, "local[*]")  # here the driver works itself


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("master", "more", "words"),
    [
        ("local[1]", {"JAVA_HOME": "/nowhere"}, "it needs Java 17 or newer"),
        ("nonsense", {}, "'nonsense' is not a Spark master"),
    ],
)
def test_a_session_that_does_not_start_ends_in_one_sentence(tmp_path, master, more, words):
    folder = written(tmp_path, [a_client("a")], [an_invoice("a")])
    asked = [sys.executable, "score.py", str(folder), "--spark", master, "--out", str(tmp_path / "s.csv")]
    ended = subprocess.run(asked, capture_output=True, text=True, cwd=ROOT, env=os.environ | more, check=False)
    assert ended.returncode == 2
    assert words in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr


def test_memory_and_spark_are_two_ways(tmp_path, capsys):
    assert score.main([str(tmp_path), "--spark", "local[1]", "--memory", "1GB"]) == 2
    assert "leave one out" in capsys.readouterr().err


@pytest.mark.nightly
def test_the_archive_for_executors_is_enough_to_score_there(tmp_path):
    """The zip alone, without the working folder: what it lacks would be missing on every machine but this one."""
    with zipfile.ZipFile(spark.package_archive()[0]) as archive:
        archive.extractall(tmp_path / "there")
    code = "import fairmeter.data.partitioned.spark, fairmeter.scoring.partitioned as p; print(p.PartitionScorer)"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path / "there", check=True, env={"PATH": os.environ["PATH"]})
