"""`score.py --guess-map`: a map from headers and values, which reads the files and says what it is not sure of."""

import numpy as np
import pytest

from benchmarks.helpers import exports
from fairmeter.data.files import MissingFile
from fairmeter.data.guess import guess_map
from fairmeter.data.guess.above import id_above, unit_above
from fairmeter.data.guess.values import find_format
from fairmeter.data.guess.vocabulary import fit_of, unit_in
from fairmeter.data.guess.wide import guess_wide
from fairmeter.data.maps.map_file import parse_map
from fairmeter.data.maps.mapped_base import read_mapped_base
from tests.builders.tables import a_client, an_invoice, in_kaggle_names, written

EXPORTS = {export.__name__: export for export in (exports.brazilian, exports.indian, exports.european, exports.french)}


AT_NIGHT = {"french"}  # three hundred files


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=[pytest.mark.nightly] * (name in AT_NIGHT)) for name in EXPORTS],
)
def export(request, tmp_path_factory):
    return request.param, EXPORTS[request.param](tmp_path_factory.mktemp(request.param))


def read(text, files):
    return read_mapped_base(parse_map(text, "guessed.toml"), (files,))


def test_an_id_above_the_header_is_found_in_long_files_too(tmp_path):
    made = exports.french(tmp_path, n=2, n_days=30)  # so many rows that do not fit the first header are damage
    assert read(guess_map([made.files]), made.files).tables.clients["client_id"].tolist() == [
        "10000000000000", "10000000000001",
    ]  # fmt: skip


def test_a_guessed_map_reads_the_invented_exports_as_their_own_map_does(export):
    name, made = export
    guessed, stated = (read(text, made.files) for text in (guess_map([made.files]), made.map.read_text("utf-8")))
    assert guessed.tables.clients["client_id"].tolist() == stated.tables.clients["client_id"].tolist()
    if stated.has_invoices:
        for column in ("invoice_on", "consumption_level_1", "months"):
            assert np.array_equal(
                guessed.tables.invoices[column], stated.tables.invoices[column], equal_nan=column != "invoice_on"
            ), column
    if stated.readings is not None:
        kwh = [base.readings.readings["consumption_kwh"] for base in (guessed, stated)]
        assert len(kwh[0]) == len(kwh[1])
        assert np.allclose(np.sort(kwh[0]), np.sort(kwh[1])), name


def test_each_line_has_a_reason_and_what_is_not_sure_is_marked(export):
    _, made = export
    lines = [line for line in guess_map([made.files]).splitlines() if " = " in line and not line.startswith("files")]
    assert lines
    assert all("  # " in line for line in lines)


def test_an_energy_that_no_column_states_is_marked_as_unsure(tmp_path):
    made = exports.indian(tmp_path)
    assert 'energy = {constant = "ELEC"}  # ? no column says electricity or gas' in guess_map([made.files])


def test_a_shipped_map_whose_columns_are_all_there_comes_first(tmp_path):
    header = "MålepunktsID;Fra_dato;Til_dato;Mængde;Måleenhed;Kvalitet;Type"
    row = "570000000000000017;01-01-2023 00:00:00;01-01-2023 01:00:00;0,11;KWH;Målt;Tidsserie"
    (tmp_path / "Meterdata.csv").write_text(f"\ufeff{header}\n{row}\n", encoding="utf-8")
    assert 'like = "eloverblik"' in guess_map([tmp_path])


def test_canonical_and_kaggle_names_need_no_map(tmp_path):
    (tmp_path / "canonical").mkdir()
    (tmp_path / "kaggle").mkdir()
    written(tmp_path / "canonical", [a_client()], [an_invoice()])
    assert "No map is needed" in guess_map([tmp_path / "canonical"])
    written(tmp_path / "kaggle", in_kaggle_names([a_client()]), in_kaggle_names([an_invoice()]))
    assert "No map is needed" in guess_map([tmp_path / "kaggle"])


def test_files_of_a_format_are_given_to_its_reader(tmp_path):
    lines = ["100,NEM12,200506081149,A,B", "200,NEM1201009,E1E2,1,E1,N1,01009,kWh,30,20050610"]
    day = ",".join(["0.5"] * 48)
    lines += [f"300,20050301,{day},A,,,20050310121004,20050310182204", "900"]
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    assert 'reader = "nem12"' in guess_map([tmp_path])


def test_a_folder_without_tables_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(MissingFile, match="No table in"):
        guess_map([tmp_path])


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("client_id", "CONSUMER_NO"),
        ("client_id", "Identifiant PRM"),
        ("client_id", "Zählpunkt"),
        ("client_id", "EAN-code"),
        ("client_id", "رقم المشترك"),
        ("read_at", "Horodate"),
        ("read_at", "Messzeitpunkt"),
        ("consumption_kwh", "Verbrauch (kWh)"),
        ("consumption", "Consumo"),
        ("invoice_on", "Data leitura"),
        ("months", "number of months"),
        ("new_index", "Leitura atual"),
        ("export_kwh", "Injectie"),
    ],
)
def test_names_of_several_languages_fit_their_field(field, name):
    assert fit_of(field, name) > 0.6


@pytest.mark.parametrize(
    ("texts", "form", "locale", "is_open"),
    [
        (["24/03/2014", "01/04/2014"], "%d/%m/%Y", None, False),
        (["03/24/2014", "04/01/2014"], "%m/%d/%Y", None, False),
        (["01/04/2014", "02/05/2014"], "%d/%m/%Y", None, True),
        (["5-Mar-09", "17-DEC-10"], "%d-%b-%y", "en", False),
        (["MAI/2021", "DEZ/2021"], "%b/%Y", "pt", False),
        (["janv. 2021", "août 2021"], "%b %Y", "fr", False),
        (["12/31/2020 11:45 PM", "01/01/2021 12:00 AM"], "%m/%d/%Y %I:%M %p", None, False),
        (["1:00", "2:00"], None, None, False),
    ],
)
def test_the_format_is_the_one_that_fits_all_values(texts, form, locale, is_open):
    assert find_format(texts) == (form, locale, is_open)


@pytest.mark.parametrize(
    ("header", "step"),
    [
        (["id", *(f"2014/1/{day}" for day in range(1, 20))], "day"),
        (["id", *(f"{month:02d}/2020" for month in range(1, 13))], "month"),
        (["id", "day", *(f"{i // 2}:{i % 2 * 30:02d}" for i in range(48))], "time"),
        (["id", "day", *(f"V{i}" for i in range(1, 97))], "time"),
        (["id", *(f"ENE_{i:02d}" for i in range(1, 13))], "month"),
    ],
)
def test_wide_tables_are_seen_by_their_names(header, step):
    assert guess_wide(header).step == step


def test_a_table_with_few_dates_in_its_names_is_not_wide():
    assert guess_wide(["id", "2014/1/1", "2014/1/2", "kwh"]) is None


def test_the_id_and_the_unit_may_stand_above_the_header():
    above = "Identifiant PRM;Type;Unite\n00000000000017;Courbe;W"
    assert id_above(above) == 'Identifiant\\ PRM[^\\n]*\\n"?(\\w+)'
    assert unit_above(above) == "W"
    assert id_above('Account Number,"1234567"') is not None
    assert id_above("Report of 2020") is None


def test_the_unit_in_a_name_is_found():
    assert unit_in("USAGE (kWh)") == "kWh"
    assert unit_in("Leistung kW") == "kW"
    assert unit_in("Valeur") is None
