"""What the invoices of many clients show together is looked for where a map is read, too."""

import pytest

from benchmarks.helpers.files import write_files
from fairmeter.data.client_joins import UnjoinedRows
from fairmeter.data.files import TableError
from tests.builders.maps import base_of

MAP = """
[clients]
files = "*owners*"
client_id = "Conta"
[invoices]
files = "*bills*"
client_id = "Conta"
invoice_on = {column = "Dia", format = "%Y-%m-%d"}
consumption = CONSUMPTION
months = {constant = 1}
"""
PLAIN, IN_KWH, IN_WH = '"Valor"', '{column = "Valor", unit = "kWh"}', '{column = "Valor", unit = "Wh"}'


def base(folder, consumption, factor=1.0, change=str):
    ids = [f"0{i}" for i in range(1, 9)]
    rows = [(change(i), f"2014-{m:02d}-17", factor * (80 + 3 * int(i) + m)) for i in ids for m in range(1, 13)]
    bills = "Conta;Dia;Valor\n" + "".join(f"{i};{day};{kwh}\n" for i, day, kwh in rows)
    files = {"owners.csv": "Conta\n" + "".join(f"{i}\n" for i in ids), "bills.csv": bills}
    return base_of(MAP.replace("CONSUMPTION", consumption), write_files(folder, files)).tables


def test_wh_are_refused_where_the_map_states_no_unit(tmp_path):
    with pytest.raises(TableError, match=r"mine.toml: 8 of 8 clients .* looks like Wh.* unit = \"Wh\""):
        base(tmp_path, PLAIN, 1000)


def test_a_map_that_states_the_unit_is_believed(tmp_path):
    assert len(base(tmp_path / "a", IN_KWH, 1000).clients["client_id"]) == 8
    assert base(tmp_path / "b", IN_WH, 1000).invoices["consumption"][0] == pytest.approx(84)


def test_ids_that_do_not_join_are_refused(tmp_path):
    with pytest.raises(UnjoinedRows, match=r"mine.toml: 0 of 96 invoices .* leading zeros"):
        base(tmp_path, PLAIN, change=lambda i: i.lstrip("0"))


def test_a_file_that_joins_gets_no_flag(tmp_path):
    assert {flag.flag for flag in base(tmp_path, PLAIN).flags} <= {"missing_columns"}
