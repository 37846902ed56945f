"""The sentences of a map's errors: where, what is there, and the line to write."""

# ruff: noqa: E501, RUF001  values and quotes as people write them
import re

import pytest

from benchmarks.helpers.files import write_files
from fairmeter.data.files import TableError
from fairmeter.data.maps import MapError, parse_map, read_map
from fairmeter.data.maps.map_reader import MapReader
from fairmeter.data.maps.mapped_base import read_mapped_base
from fairmeter.data.maps.mapped_tables import read_mapped_readings


def error_of(text, folder=None, files=None):
    """What is said of a map, or of files that do not fit it."""
    try:
        data_map = parse_map(text, "mine.toml")
        read_mapped_readings(MapReader(data_map, (write_files(folder, files),)))
    except TableError as error:
        return str(error)
    return "nothing"


# --- the seven sentences of the contract ------------------------------------------------------------------------------


def test_a_backslash_in_double_quotes():
    text = "\n" * 10 + '[readings]\nkeep = {obis = "1-0:1\\.8\\.0"}\n'
    assert error_of(text) == (
        "mine.toml, line 12: a backslash inside \"double quotes\". Write the pattern in 'single quotes': "
        "keep = {obis = '1-0:1\\.8\\.0'}"
    )


def test_an_unknown_key_and_an_unknown_table():
    text = '[readings]\nread_at = {column = "A", formt = "%d"}\n' + "\n" * 12 + "[redings]\n"
    assert error_of(text) == (
        'mine.toml, [readings] read_at: there is no key "formt". Meant: format. (line 15: "[redings]" likewise)'
    )


CURVE = '[readings]\nclient_id = {filename = \'(\\d+)\'}\nread_at = {column = "Horodate", stamp = "end"}\nconsumption_kwh = "Valeur"\n'


def test_a_column_that_is_not_there(tmp_path):
    files = {f"courbe_{2024 + i}.csv": "Horodatage,Valeur,Statut\n2024-01-01,1,A\n" for i in range(12)}
    assert error_of(CURVE, tmp_path, files) == (
        'mine.toml, [readings] read_at: no column "Horodate" in courbe_2024.csv, nor in 11 others. It has: Horodatage, '
        'Valeur, Statut. Write: read_at = {column = "Horodatage", ...}'
    )


def test_a_format_that_does_not_fit(tmp_path):
    days = [f"{month:02d}/{day:02d}/2024" for month in range(1, 13) for day in range(1, 29)]
    rows = "".join(f"17,{day},1\n" for day in sorted(days, key=lambda day: int(day[3:5])))
    text = '[readings]\nclient_id = "id"\nread_at = {column = "day", format = "%d/%m/%Y"}\nconsumption_kwh = "kwh"\n'
    assert error_of(text, tmp_path, {"courbe_2024.csv": "id,day,kwh\n" + rows}) == (
        'courbe_2024.csv, line 146: "01/13/2024" does not fit "%d/%m/%Y"; of 336 values 192 do not, all of them fit '
        '"%m/%d/%Y". Write: format = "%m/%d/%Y"'
    )


def test_a_pattern_that_keeps_no_row(tmp_path):
    text = '[readings]\nclient_id = "id"\nkeep = {Register = \'Afname\'}\nread_at = "day"\nconsumption_kwh = "kwh"\n'
    rows = "".join(f"17,2024-01-0{i},1,{register} Dag\n" for i in (1, 2, 3) for register in ("Afname", "Injectie"))
    assert error_of(text, tmp_path, {"readings.csv": "id,day,kwh,Register\n" + rows}) == (
        'mine.toml, [readings] keep: no row is left of 6. Register holds "Afname Dag" (3), "Injectie Dag" (3); the '
        "pattern is 'Afname'. Write: keep = {Register = 'Afname.*'}"
    )


def test_a_join_that_joins_nothing(tmp_path):
    text = (
        '[readings]\nclient_id = {join = "installations.csv", on = "METER", column = "CONTRACT"}\n'
        'read_at = "day"\nconsumption_kwh = "kwh"\n'
    )
    files = {
        "readings.csv": "METER,day,kwh\n" + "".join(f"{i:07d},2024-01-01,1\n" for i in range(12345, 12348)),
        "installations.csv": "METER,CONTRACT\n12345,A\n12346,B\n",
    }
    assert error_of(text, tmp_path, files) == (
        'mine.toml, [readings] client_id: 0 of 3 meters join installations.csv ("0012345" here, "12345" there). Write: '
        'client_id = {join = "installations.csv", ..., width = 7}'
    )


def test_values_that_look_like_another_unit(tmp_path):
    text = '[readings]\nclient_id = "id"\nread_at = "at"\nconsumption_kwh = "VALUE"\n'
    rows = "".join(f"17,2024-01-0{1 + i // 48} {i % 48 // 2:02d}:{i % 2 * 30:02d},412\n" for i in range(96))
    assert error_of(text, tmp_path, {"readings.csv": "id,at,VALUE\n" + rows}) == (
        "readings: half-hourly values of 412 in the middle look like W. Write: consumption_kwh = "
        '{column = "VALUE", unit = "W", minutes = 30}'
    )


# --- writing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("client_id = CONS NO", 'CONS NO has no quotes. Write: client_id = "CONS NO"'),
        ('Cons No = "a"', 'the name Cons No has a blank or an accent and needs quotes. Write: "Cons No" = "a"'),
        ("keep = {Grandeur métier = 'CONS'}", "the name Grandeur métier has a blank, a dot or an accent"),
        ('client_id = {column = "a",', "the {...} of client_id is not closed on its line"),
        ("register = True", "True has no quotes. Write: register = true"),
        ('client_id = "a', 'the " of client_id is not closed. Write: client_id = "a"'),
        ("client_id =", "nothing stands after client_id ="),
        ('client_id = "a"\nclient_id = "b"', "stands in this table before"),
        ("just words", "just words is not written as key ="),
    ],
)
def test_what_is_no_toml_is_said_with_its_line(line, words):
    text = error_of(f"[readings]\n{line}\n")
    assert re.match(r"mine\.toml, line [234]: ", text)
    assert words in text


WRONG = [
    ('client_id = {column = "a", any = ["b"]}', "one source is needed, there is column and any"),
    ('client_id = {pattern = "(a)"}', "one source is needed, there is none"),
    ('consumption_kwh = {column = "a", unit = "kwhh"}', 'there is no unit "kwhh"'),
    ('client_id = {column = "a", unit = "kWh"}', "unit does not belong to this field"),
    ("keep = {a = '['}", "is no pattern"),
    ('read_at = {column = "a", format = "%Q"}', '"%Q" is no part of a format'),
    ('read_at = {column = "a", format = "%b", locale = "xx"}', 'there is no locale "xx"'),
    ('read_at = {column = "a", zone = "Europe/Berln"}', 'Write: zone = "Europe/Berlin"'),
    ('read_at = {column = "a", clock = "MEZ"}', "is no clock"),
    ('read_at = {column = "a", stamp = "middle"}', 'Write: stamp = "start"'),
    ('reader = "nem21"', "there is no reader"),
    ('several = "mean"', 'Write: several = "sum"'),
    ("register_digits = 60", "is no number of digits"),
    ('register = "yes"', "does not fit. Write: register = true"),
    ('client_id = {join = "b.csv", column = "c"}', "join needs on"),
    ("client_id = {filename = 'abc'}", "has no part in brackets"),
    ("wide = {columns = 'a'}", "columns and to are needed"),
    ("client_id = 12", "is no value"),
]


@pytest.mark.parametrize(("line", "words"), WRONG)
def test_what_a_map_cannot_mean_is_said(line, words):
    assert words in error_of(f"[readings]\n{line}\n")


def test_all_errors_come_at_once_and_at_most_five_of_a_kind():
    lines = [line for line, _ in WRONG if not line.startswith(("client_id", "read_at", "keep"))]
    unknown = [f'x{i} = "a"' for i in range(9)]
    said = error_of("\n".join(["[readings]", *lines, *unknown])).split("\n")
    assert len(said) == 1 + 5 + 1
    assert said[0].count("likewise") == 4
    assert said[-1] == "mine.toml: 1 more like these."


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_map_of_any_editor_is_read(encoding, tmp_path):
    text = "[readings]\r\nclient_id = “MålepunktsID”\r\nkeep = {a = ‘1-0:1\\.8’}\r\n"
    (tmp_path / "mine.toml").write_bytes(text.encode(encoding))
    table = read_map(tmp_path / "mine.toml").of("readings")[0]
    assert table.fields["client_id"].columns == ("MålepunktsID",)
    assert table.keep == (("a", r"1-0:1\.8"),)


def test_a_map_like_a_shipped_one_changes_single_keys():
    text = 'like = "fluvius"\n[files]\nzone = "Europe/Paris"\n[readings]\nclient_id = "Meter"\n'
    found = parse_map(text, "mine.toml")
    tables = found.of("readings")
    assert [table.fields["client_id"].columns for table in tables] == [("Meter",), ("Meter",)]
    assert {table.zone for table in tables} == {"Europe/Paris"}
    assert tables[0].keep == read_map("fluvius").of("readings")[0].keep
    with pytest.raises(MapError, match="there is no shipped map 'fluvus'"):
        parse_map('like = "fluvus"\n')


# --- values that do not fit -------------------------------------------------------------------------------------------

PLAIN = '[readings]\nclient_id = "id"\nread_at = "at"\nconsumption_kwh = {column = "kwh", unit = "kWh"}\n'


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ('17,2024-01-01,"0,5"\n', 'readings.csv, line 2: "0,5" is no number with decimal = "."; of 1 values 1 are none, all of them fit decimal = ",". Write: decimal = ","'),
        ("17,01-24-2024,1\n", 'fit "%m-%d-%Y"'),
        ("17,nonsense,1\n", '"nonsense" does not fit a date as data/README.md has them; of 1 values 1 do not.'),
        ("123.0,2024-01-01,1\n", 'line 2: [readings] client_id is "123.0", an id that was turned into a number'),
        ("1.2E+11,2024-01-01,1\n", "an id that was turned into a number"),
        ("17,,1\n", "each reading needs its moment"),
        (",2024-01-01,1\n", "each row needs its id"),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_named_with_its_line(rows, words, tmp_path):
    assert words in error_of(PLAIN, tmp_path, {"readings.csv": "id,at,kwh\n" + rows})


def test_qualities_and_labels_without_a_meaning_are_refused_with_their_counts(tmp_path):
    text = PLAIN + 'quality = {column = "q", values = {A = "actual"}}\n'
    files = {"readings.csv": "id,at,kwh,q\n" + "17,2024-01-01,1,A\n17,2024-01-02,1,X\n17,2024-01-03,1,X\n"}
    assert error_of(text, tmp_path, files) == (
        'mine.toml, [readings] quality: values has no "X" (2). Write: values = {..., "X" = "actual"}'
    )


def test_two_rows_of_another_table_that_fit_are_refused(tmp_path):
    text = PLAIN.replace('"id"', '{join = "b.csv", on = "id", column = "c"}')
    files = {"readings.csv": "id,at,kwh\n17,2024-01-01,1\n", "b.csv": "id,c\n17,A\n17,B\n"}
    assert "id '17' has 2 rows in b.csv that fit, with 'A', 'B'" in error_of(text, tmp_path, files)


def test_a_map_without_any_table_of_use_is_refused(tmp_path):
    files = write_files(tmp_path, {"a.csv": "x\n1\n"})
    with pytest.raises(TableError, match=r"states neither \[invoices\] nor \[readings\]"):
        read_mapped_base(parse_map('[clients]\nclient_id = "x"\n', "mine.toml"), (files,))
