"""Codes that are texts keep their names, whatever brings them in, and names change no number."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairmeter.core.code_names import MAX_NAME, NO_CODE_NAMES, CodeNames
from fairmeter.data.json_records import names_from_records, tables_from_records
from fairmeter.data.tables import code_names, parse_code
from tests.builders.tables import a_client, an_invoice, flags_of, in_kaggle_names, read_back

TEXTS = {"category": "RESIDENCIAL", "region": "Feira de Santana", "district": "Centro"}
INVOICE_TEXTS = {"tariff": "B1", "meter_id": "AB-1234", "meter_status": "LOCKED", "meter_code": "A1", "remark": "DOG"}
# Two texts with one crc32.
SAME_CODE = ("plumless", "buckeroo")


def test_a_text_keeps_its_name_and_a_number_is_shown_as_it_is():
    names = code_names("region", ["Feira de Santana", " 103 ", "region_104", None, "", "NaN", 105.0])
    assert names.name("region", parse_code("Feira de Santana")) == "Feira de Santana"
    assert [names.name("region", code) for code in (103, 104.0, 1.5)] == ["103", "104", "1.5"]
    assert names.name("category", parse_code("Feira de Santana")) != "Feira de Santana"
    assert list(names.codes("region")) == [parse_code("Feira de Santana")]


def test_a_name_is_found_by_a_feature_that_rounds_its_code():
    code = parse_code("RESIDENCIAL")
    assert float(np.float32(code)) != code
    assert code_names("category", ["RESIDENCIAL"]).name("category", np.float32(code)) == "RESIDENCIAL"


def test_two_texts_of_one_code_have_both_names_and_are_reported():
    assert parse_code(SAME_CODE[0]) == parse_code(SAME_CODE[1])
    names = code_names("tariff", SAME_CODE)
    assert names.name("tariff", parse_code("plumless")) == "buckeroo or plumless"
    assert names.indistinct() == [("tariff", "buckeroo", "plumless")]
    apart = code_names("tariff", SAME_CODE[:1]) | code_names("tariff", SAME_CODE[1:])
    assert apart.indistinct() == [("tariff", "plumless", "buckeroo")]
    assert (apart | apart).indistinct() == apart.indistinct()


def test_a_number_that_is_the_code_of_a_text_is_reported():
    code = f"{parse_code('RESIDENCIAL'):.0f}"
    assert code_names("category", ["RESIDENCIAL", code]).indistinct() == [("category", "RESIDENCIAL", code)]


def test_a_shared_code_is_a_flag_of_the_tables(tmp_path):
    clients = [a_client("c-1", category=SAME_CODE[0]), a_client("c-2", category=SAME_CODE[1])]
    tables = read_back(tmp_path, clients, [an_invoice()])
    assert flags_of(tables)["texts_of_one_code"] == 1
    assert "'buckeroo'" in tables.flags[-1].text


@given(st.dictionaries(st.sampled_from(sorted(TEXTS)), st.lists(st.text(min_size=1), max_size=5)))
def test_names_survive_a_manifest(texts):
    names = NO_CODE_NAMES
    for column, values in texts.items():
        names |= code_names(column, values)
    again = CodeNames.from_json(names.to_json())
    assert again.by_column == names.by_column
    assert all(len(name) <= MAX_NAME for of in again.by_column.values() for name in of.values() if " or " not in name)


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_files_and_json_keep_the_same_names(tmp_path, ending):
    client, invoice = a_client(**TEXTS), an_invoice(**INVOICE_TEXTS)
    tables = read_back(tmp_path, [client], [invoice], ending)
    expected = {column: {parse_code(text): text} for column, text in (TEXTS | INVOICE_TEXTS).items()}
    assert tables.code_names.by_column == expected
    assert names_from_records([client], [invoice]).by_column == expected
    assert tables.flags == []
    assert [tables.invoices[name][0] for name in ("meter_status", "remark")] == [
        parse_code("LOCKED"),
        parse_code("DOG"),
    ]


def test_a_status_that_is_a_text_is_an_error_under_the_names_of_the_public_set(tmp_path):
    rows = in_kaggle_names([an_invoice(meter_status="A", remark="B")])
    tables = read_back(tmp_path, in_kaggle_names([a_client()]), rows)
    assert flags_of(tables) == {"unknown_meter_status": 1, "unknown_remark": 1}
    _, invoices, _ = tables_from_records(in_kaggle_names([a_client()]), [rows])
    for table in (tables.invoices, invoices):
        assert np.isnan([table["meter_status"][0], table["remark"][0]]).all()


def test_numbers_beside_texts_are_codes_too(tmp_path):
    rows = [an_invoice(meter_status="LOCKED"), an_invoice(meter_status=46, invoice_on="2014-07-24")]
    rows.append(an_invoice(meter_status="046", invoice_on="2014-11-24"))
    tables = read_back(tmp_path, [a_client()], rows)
    assert flags_of(tables) == {}
    assert tables.invoices["meter_status"].tolist() == [parse_code("LOCKED"), 46, 46]
    assert tables.code_names.by_column["meter_status"] == {parse_code("LOCKED"): "LOCKED", 46.0: "46"}
