"""Files that nobody would write: read, or refused in one sentence that ends in a full stop; nothing is written."""

import csv
import io
import zipfile

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from pyarrow import parquet

from fairmeter.data.files import TableError
from fairmeter.data.tables import read_tables
from tests.builders.examples import fewer
from tests.builders.tables import a_client, an_invoice, csv_text, read_back, same

# An example writes files and reads them.
FEW = fewer(2, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
HUGE = ["1e308", "-1e308", "1e999", "inf", "-inf", "NaN", "9" * 400, "0x10", "1_000", "٣", "1e-320", "--1", "+"]
CELLS = st.one_of(st.sampled_from([*HUGE, "", "0001-01-01", "9999-12-31", "31/02/2014", "\0", '"', "=1+1"]), st.text())
HIDDEN = "..\\clients.csv"  # on Linux a name that begins with a dot
OUTSIDE = ("../clients.csv", "/clients.csv", "a/../../clients.csv", "C:\\clients.csv", HIDDEN)


def reads_or_says_why(place):
    """The tables of a folder or a zip, or None; what is wrong with it is one sentence."""
    try:
        return read_tables(place)
    except TableError as error:
        said = str(error)
    assert "\n" not in said, said
    assert said.endswith("."), said
    return None


def quoted(rows) -> str:
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows([rows[0].keys(), *(row.values() for row in rows)])
    return stream.getvalue()


@FEW
@given(st.data())
def test_any_text_in_any_cell_is_read_or_refused(tmp_path, data):
    client, invoice = (
        row | {name: data.draw(CELLS) for name in data.draw(st.sets(st.sampled_from(sorted(row)), max_size=3))}
        for row in (a_client(), an_invoice())
    )
    for name, rows in (("clients", [client, a_client("c-2")]), ("invoices", [invoice, an_invoice("c-2")])):
        (tmp_path / f"{name}.csv").write_bytes(quoted(rows).encode("utf-8", "replace"))
    reads_or_says_why(tmp_path)


@FEW
@given(lacking=st.sets(st.sampled_from(sorted(an_invoice())), min_size=1), extra=st.text(max_size=5))
def test_columns_may_be_missing_and_unknown(tmp_path, lacking, extra):
    rows = [{name: value for name, value in an_invoice().items() if name not in lacking} | {extra: 1}]
    (tmp_path / "clients.csv").write_text(csv_text([a_client()]))
    (tmp_path / "invoices.csv").write_bytes(quoted(rows).encode("utf-8", "replace"))
    reads_or_says_why(tmp_path)


@FEW
@given(st.binary(max_size=400), st.sampled_from([".csv", ".csv.gz", ".parquet", ".zip"]))
def test_any_bytes_are_read_or_refused(tmp_path, content, ending):
    (tmp_path / "clients.csv").write_text(csv_text([a_client()]))
    path = tmp_path / f"invoices{ending}"
    path.write_bytes(content)
    reads_or_says_why(tmp_path)
    path.unlink()


@pytest.mark.parametrize(
    "column",
    [
        pa.array([[1, 2]]),
        pa.array([{"a": 1}]),
        pa.array([b"\xff\xfe"]),
        pa.array([True]),
        pa.array([None], pa.null()),
        pa.array([float("inf")]),
        pa.array([2**63], pa.uint64()),
        pa.array([10**30], pa.decimal128(38)),
        pa.array([1], pa.duration("s")),
        pa.DictionaryArray.from_arrays(pa.array([0]), pa.array(["x"])),
    ],
    ids=lambda column: str(column.type),
)
@pytest.mark.parametrize("name", ["client_id", "invoice_on", "months", "energy", "new_index"])
def test_a_parquet_column_of_any_type_is_read_or_refused(tmp_path, name, column):
    (tmp_path / "clients.csv").write_text(csv_text([a_client()]))
    table = pa.table({key: pa.array([value]) for key, value in an_invoice().items()} | {name: column})
    parquet.write_table(table, tmp_path / "invoices.parquet")
    reads_or_says_why(tmp_path)


def test_ten_megabytes_in_one_cell_are_read_or_refused(tmp_path):
    (tmp_path / "clients.csv").write_text(csv_text([a_client("c" * 10**7), a_client("c-2", region="9" * 10**7)]))
    (tmp_path / "invoices.csv").write_text(csv_text([an_invoice("c" * 10**7), an_invoice("c-2")]))
    reads_or_says_why(tmp_path)


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_zip_whose_names_lead_outside_writes_nothing_there(tmp_path, name):
    (tmp_path / "plain").mkdir()
    expected = read_back(tmp_path / "plain", [a_client()], [an_invoice()])
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "archive.zip", "w") as archive:
        archive.writestr(name, csv_text([a_client()]))
        archive.writestr(name.replace("clients", "invoices"), csv_text([an_invoice()]))
    before = sorted(tmp_path.rglob("*"))
    tables = reads_or_says_why(folder / "archive.zip")
    assert (tables is None) is (name == HIDDEN)
    if tables is not None:
        same(tables.clients, expected.clients)
    assert sorted(tmp_path.rglob("*")) == before
