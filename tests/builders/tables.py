"""Clients and invoices for the tests of tables, and the files that hold them; every row is made up."""

import gzip
import zipfile

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from fairmeter.data.tables import read_tables

KAGGLE = {
    "category": "client_catg",
    "district": "disrict",
    "created_on": "creation_date",
    "label": "target",
    "invoice_on": "invoice_date",
    "tariff": "tarif_type",
    "meter_id": "counter_number",
    "meter_status": "counter_statue",
    "meter_code": "counter_code",
    "remark": "reading_remarque",
    "coefficient": "counter_coefficient",
    "consumption_level_1": "consommation_level_1",
    "consumption_level_2": "consommation_level_2",
    "consumption_level_3": "consommation_level_3",
    "consumption_level_4": "consommation_level_4",
    "months": "months_number",
    "energy": "counter_type",
}


def a_client(client_id="c-1", **changes):
    client = {"client_id": client_id, "category": 11, "region": 103, "district": 69, "created_on": "2003-08-12"}
    return client | changes


def an_invoice(client_id="c-1", **changes):
    """100 units over four months, nothing wrong with it."""
    invoice = {"client_id": client_id, "invoice_on": "2014-03-24", "energy": "ELEC", "tariff": 11, "meter_id": 4711}
    invoice |= {"meter_status": 0, "meter_code": 203, "remark": 6, "coefficient": 1, "old_index": 500, "new_index": 600}
    invoice |= {"consumption_level_1": 90, "consumption_level_2": 10, "consumption_level_3": 0}
    return invoice | {"consumption_level_4": 0, "months": 4} | changes


def in_kaggle_names(rows):
    return [{KAGGLE.get(name, name): value for name, value in row.items()} for row in rows]


def csv_text(rows):
    lines = [",".join("" if value is None else str(value) for value in row.values()) for row in rows]
    return "\n".join([",".join(rows[0]), *lines]) + "\n"


def written(folder, clients, invoices, ending=".csv"):
    """clients and invoices as files of that ending in the folder."""
    for name, rows in (("clients", clients), ("invoices", invoices)):
        text = rows if isinstance(rows, str) else csv_text(rows)
        if ending == ".parquet":
            parquet.write_table(arrow_csv.read_csv(pa.py_buffer(text.encode())), folder / (name + ending))
        else:
            data = text.encode()
            (folder / (name + ending)).write_bytes(gzip.compress(data) if ending.endswith(".gz") else data)
    return folder


def zipped(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(f"{name}.csv", text)
    return path


def same(one, other):
    """Equal names, types and values."""
    assert {name: column.dtype for name, column in one.items()} == {name: c.dtype for name, c in other.items()}
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def flags_of(tables):
    return {flag.flag: flag.n for flag in tables.flags}


def read_back(folder, clients, invoices, ending=".csv"):
    return read_tables(written(folder, clients, invoices, ending))


CLIENTS = [a_client("c-1", label=1), a_client("c-2", created_on="1999-01-31", label=0)]
INVOICES = [an_invoice("c-2"), an_invoice("c-1", energy="GAZ"), an_invoice("c-2", invoice_on="2015-07-21")]

NAN = float("nan")
SPLIT = {"coefficient": 1, "consumption_level_1": 3, "consumption_level_2": 500, "consumption_level_3": 20}
SPLIT |= {"consumption_level_4": 0, "old_index": 0, "new_index": 4000, "months": 4400}
MOVED_BACK = {"coefficient": 1.3, "consumption_level_1": 500, "consumption_level_2": 20, "consumption_level_3": 0}
MOVED_BACK |= {"consumption_level_4": 0, "old_index": 4000, "new_index": 4400, "months": NAN}

# No codes of the public set: taken as missing under its names.
ODD_CODES = [({"meter_status": code}, "unknown_meter_status") for code in (46, 269, 420, 618, 769, 2.5, -1)]
ODD_CODES += [({"remark": code}, "unknown_remark") for code in (5, 203, 207, 413)]

CLEANED = [
    ({"meter_id": 0}, "meter_number_zero", {"meter_id": NAN}),
    ({"months": 0}, "impossible_months", {"months": NAN}),
    ({"months": -4}, "impossible_months", {"months": NAN}),
    ({"months": "inf"}, "impossible_months", {"months": NAN}),
    ({"months": 636624}, "impossible_months", {"months": NAN}),
    ({"months": 25}, "long_period", {"months": 24}),
    ({"months": 120}, "long_period", {"months": 24}),
    ({"consumption_level_4": -5}, "impossible_quantities", {"consumption_level_4": NAN, "consumption_level_1": 90}),
    ({"old_index": "-inf"}, "impossible_quantities", {"old_index": NAN}),
    ({"coefficient": "Infinity"}, "impossible_quantities", {"coefficient": NAN}),
    ({"energy": None}, "unknown_energy", {"energy": 0}),
    ({"invoice_on": "2003-08-11"}, "invoices_before_creation", {"invoice_on": np.datetime64("2003-08-11")}),
    ({"consumption_level_1": 88}, "index_not_sum_of_levels", {"consumption_level_1": 88}),
    (
        {"old_index": 700, "consumption_level_1": -1},
        "index_runs_backwards",
        {"old_index": 700, "new_index": 600},
    ),
    (SPLIT, "shifted_columns", MOVED_BACK),
]

USUAL = [
    {"months": 1},
    {"months": 24},
    {"meter_status": 5},
    {"remark": 9},
    {"consumption_level_1": 89},  # rounding
    {"coefficient": 40, "consumption_level_1": 3990},
    {"coefficient": 1.3, "consumption_level_1": 120},
    {"old_index": None},
    {"consumption_level_3": None},
    {"coefficient": 0, "consumption_level_1": 0, "consumption_level_2": 0},
    {"invoice_on": "2003-08-12"},
]
