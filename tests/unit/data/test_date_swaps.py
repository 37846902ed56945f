"""Detection and correction of invoice dates with day and month swapped."""

from collections import Counter
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.quality import date_check
from fairmeter.core.calendar import DAYS_PER_MONTH
from fairmeter.data.date_swaps import INVOICE_YEARS, gap_errors, index_links, swap_day_and_month
from fairmeter.data.json_records import tables_from_records
from fairmeter.data.tables import read_tables
from tests.builders.tables import a_client, an_invoice, flags_of, in_kaggle_names, same, written

FLAG = "day_and_month_swapped"
RIGHT = ["2014-02-10", "2014-05-20", "2014-09-03"]
EXPORTED = ["2014-10-02", "2014-05-20", "2014-03-09"]  # by the index, October comes before May, and May before March
NAMES = pytest.mark.parametrize("names", [list, in_kaggle_names])


def meter(dates, **changes):
    """One invoice per date, 100 units each, with consecutive indices of one meter."""
    return [
        an_invoice(invoice_on=day, old_index=i * 100, new_index=i * 100 + 100, **changes) for i, day in enumerate(dates)
    ]


def read(folder, rows, names=list, ending=".csv"):
    return read_tables(written(folder, names([a_client()]), names(rows), ending))


def dates_of(tables):
    return tables.invoices["invoice_on"].astype(str).tolist()


def day_first(dates):
    return ["/".join(reversed(day.split("-"))) for day in dates]


# --- one date ---------------------------------------------------------------------------------------------------------


def test_day_and_month_are_exchanged_where_that_gives_a_date():
    days = np.array(
        ["2014-03-04", "2014-03-24", "2014-05-05", "2016-12-02", "1950-01-12", "2100-12-11"], "datetime64[D]"
    )
    other = ["2014-04-03", "2014-03-24", "2014-05-05", "2016-02-12", "1950-12-01", "2100-11-12"]
    assert swap_day_and_month(days).astype(str).tolist() == other


def test_swapping_twice_changes_no_date():
    days = np.arange(f"{INVOICE_YEARS[0]}-01-01", f"{INVOICE_YEARS[1] + 1}-01-01", dtype="datetime64[D]")
    np.testing.assert_array_equal(swap_day_and_month(swap_day_and_month(days)), days)
    assert len(np.unique(swap_day_and_month(days))) == len(days)


# --- one client -------------------------------------------------------------------------------------------------------


@NAMES
@pytest.mark.parametrize("ending", [".csv", ".parquet"])
@pytest.mark.parametrize("written_as", [list, day_first])
def test_dates_against_the_order_of_the_index_are_corrected_under_any_column_name(tmp_path, names, ending, written_as):
    tables = read(tmp_path, meter(written_as(EXPORTED)), names, ending)
    assert dates_of(tables) == RIGHT
    assert flags_of(tables) == {FLAG: 2}


@NAMES
@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_dates_in_the_order_of_the_index_are_unchanged_under_any_column_name(tmp_path, names, ending):
    tables = read(tmp_path, meter(RIGHT), names, ending)
    assert (dates_of(tables), tables.flags) == (RIGHT, [])


@pytest.mark.parametrize(
    ("names", "ending", "text", "becomes"),
    [
        (in_kaggle_names, ".csv", "2014-03-04", "2014-04-03"),
        (in_kaggle_names, ".csv", "2014/03/04", "2014-04-03"),
        (in_kaggle_names, ".csv", "2014-03-04 00:00:00", "2014-04-03"),
        (in_kaggle_names, ".parquet", "2014-03-04", "2014-04-03"),
        (in_kaggle_names, ".csv", "04/03/2014", "2014-03-04"),
        (in_kaggle_names, ".csv", "4/12/2014", "2014-12-04"),
        (list, ".csv", "2014-03-04", "2014-03-04"),
        (list, ".parquet", "2014-03-04", "2014-03-04"),
        (list, ".csv", "04/03/2014", "2014-03-04"),
    ],
)
def test_without_links_the_column_name_and_date_format_decide(tmp_path, names, ending, text, becomes):
    tables = read(tmp_path, [an_invoice(invoice_on=text)], names, ending)
    assert dates_of(tables) == [becomes]
    assert (FLAG in flags_of(tables)) == (becomes == "2014-04-03")
    if ending == ".csv":
        _, invoices, flags = tables_from_records(names([a_client()]), [names([an_invoice(invoice_on=text)])])
        same(invoices, tables.invoices)
        assert list(flags[0]) == tables.flags


@pytest.mark.parametrize(
    "changes",
    [
        [{}, {"meter_id": 4712}],
        [{}, {"energy": "GAZ"}],
        [{"new_index": 99}, {}],
        [{"old_index": 100}, {}],
        [{"old_index": None}, {}],
        [{}, {"client_id": "c-2"}],
    ],
)
def test_these_two_invoices_are_not_linked(tmp_path, changes):
    rows = [row | change for row, change in zip(meter(EXPORTED[:2]), changes, strict=True)]
    tables = read_tables(written(tmp_path, [a_client(), a_client("c-2")], rows))
    assert (dates_of(tables), FLAG in flags_of(tables)) == (EXPORTED[:2], False)


def test_invoices_that_end_at_the_same_index_are_not_linked(tmp_path):
    first, second, third = meter(EXPORTED)
    tables = read(tmp_path, [first, second, second | {"old_index": 120}, third])
    assert FLAG not in flags_of(tables)


def test_invoices_without_a_meter_number_count_as_one_meter(tmp_path):
    first, second, third = meter(EXPORTED, meter_id=None)
    tables = read(tmp_path, [first, second | {"meter_id": 0}, third])
    assert flags_of(tables) == {FLAG: 2, "meter_number_zero": 1}


def test_an_invoice_before_its_clients_creation_is_found_by_the_corrected_date(tmp_path):
    tables = read_tables(written(tmp_path, [a_client(created_on="2014-03-01")], meter(EXPORTED)))
    assert flags_of(tables) == {FLAG: 2, "invoices_before_creation": 1}


def test_links_equal_those_worked_by_hand():
    columns = {"client": [0, 0, 0, 0, 1], "energy": [0, 0, 0, 1, 0], "meter_id": [7.0, 7, 7, 7, 7]}
    columns |= {"old_index": [5.0, 0, 9, 9, 9], "new_index": [9.0, 5, 12, 12, 12]}
    earlier, later = index_links({name: np.array(values) for name, values in columns.items()})
    assert list(zip(earlier.tolist(), later.tolist(), strict=True)) == [(1, 0), (0, 2)]


# --- billed months and regular gaps -----------------------------------------------------------------------------------


def fixed_day(months, day=5, n=24):
    """ISO dates of invoices every so many months, always on one day of the month."""
    first = np.datetime64("2014-01", "M")
    return [f"{first + months * i}-{day:02d}" for i in range(n)]


def month_first(dates):
    return ["{1}/{2}/{0}".format(*day.split("-")) for day in dates]


def regular(dates, **changes):
    """Invoices of one meter in the order of time, 100 units each."""
    ordered = sorted(range(len(dates)), key=lambda i: dates[i])
    index = {i: place for place, i in enumerate(ordered)}
    return [
        an_invoice(invoice_on=day, old_index=100 * index[i], new_index=100 * index[i] + 100, **changes)
        for i, day in enumerate(dates)
    ]


EVERY = pytest.mark.parametrize(("months", "day"), [(1, 5), (1, 1), (1, 12), (2, 7), (3, 5), (4, 2), (6, 3)])


@EVERY
@pytest.mark.parametrize("has_months", [True, False])
def test_american_dates_are_put_right_by_the_gaps(tmp_path, months, day, has_months):
    right = fixed_day(months, day)
    changes = {"months": months if has_months else None}
    rows = [row | {"invoice_on": text} for row, text in zip(regular(right, **changes), month_first(right), strict=True)]
    tables = read(tmp_path, rows)
    assert dates_of(tables) == right
    _, invoices, _ = tables_from_records([a_client()], [rows])
    same(invoices, tables.invoices)


@EVERY
@pytest.mark.parametrize("has_months", [True, False])
def test_right_dates_named_as_the_public_set_names_them_stay(tmp_path, months, day, has_months):
    right = fixed_day(months, day)
    rows = regular(right, months=months if has_months else None)
    tables = read(tmp_path, rows, in_kaggle_names)
    assert dates_of(tables) == right
    assert FLAG not in flags_of(tables)


def test_swapped_dates_as_in_the_public_set_are_put_right_by_the_gaps(tmp_path):
    right = fixed_day(1)
    rows = [
        row | {"invoice_on": "{0}-{2}-{1}".format(*row["invoice_on"].split("-"))} for row in regular(right, months=1)
    ]
    assert dates_of(read(tmp_path, rows, in_kaggle_names)) == right


def test_gaps_do_not_keep_dates_before_the_creation_of_the_client(tmp_path):
    given = ["2014-03-02", "2014-07-02", "2014-11-02"]
    rows = in_kaggle_names([an_invoice(invoice_on=day, old_index=None) for day in given])
    clients = in_kaggle_names([a_client(created_on="2014-02-20"), a_client("c-2")])
    assert dates_of(read_tables(written(tmp_path, clients, rows))) == given
    (tmp_path / "late").mkdir()
    rows[0]["invoice_date"], clients[0]["creation_date"] = "2014-02-03", "2014-02-06"
    assert dates_of(read_tables(written(tmp_path / "late", clients, rows)))[0] == "2014-03-02"


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_dates_written_year_first_under_the_canonical_name_stay_whatever_the_gaps(tmp_path, ending):
    stated = ["{0}-{2}-{1}".format(*day.split("-")) for day in fixed_day(1)]
    rows = [an_invoice(invoice_on=day, months=1, old_index=None) for day in stated]
    tables = read(tmp_path, rows, ending=ending)
    assert (dates_of(tables), FLAG in flags_of(tables)) == (stated, False)
    _, invoices, _ = tables_from_records([a_client()], [rows])
    same(invoices, tables.invoices)


def test_two_gaps_alone_swap_nothing(tmp_path):
    rows = [an_invoice(invoice_on=day, months=4, old_index=None) for day in ("2014-01-05", "2014-05-01")]
    assert dates_of(read(tmp_path, rows)) == ["2014-01-05", "2014-05-01"]


def test_gap_errors_equal_those_worked_by_hand():
    columns = {"client": [0, 0, 0, 1, 1], "energy": [0, 0, 0, 0, 1], "months": [1.0, 1, np.nan, 2, 2]}
    table = {name: np.array(values) for name, values in columns.items()}
    days = np.array(["2014-01-01", "2014-01-31", "2014-03-31", "2014-01-01", "2014-02-01"], "datetime64[D]")
    error, n = gap_errors(table, days, 2)
    # 30 days for a month of 30.4; 59 for no months, where the client's median gap is 30.
    assert error.tolist() == pytest.approx([(DAYS_PER_MONTH - 30 + 29) / 2, 0.0])
    assert n.tolist() == [2, 0]


# --- laws -------------------------------------------------------------------------------------------------------------

DAYS = st.sampled_from([*RIGHT, *EXPORTED, "2014-07-07", "2015-01-02"])
INDICES = st.integers(0, 4).map(lambda step: step * 100)
INVOICE = st.builds(
    lambda day, old, new, **changes: an_invoice(invoice_on=day, old_index=old, new_index=new, **changes),
    day=DAYS,
    old=INDICES,
    new=INDICES,
    meter_id=st.sampled_from([0, 1]),
    energy=st.sampled_from(["ELEC", "ELEC", "GAZ"]),
)
INVOICES = st.tuples(st.sampled_from([list, in_kaggle_names]), st.lists(INVOICE, max_size=8)).map(
    lambda of: of[0](of[1])
)


def from_json(*clients):
    return tables_from_records([a_client() for _ in clients], list(clients))


def sorted_rows(invoices):
    return sorted(zip(*(column.astype(str).tolist() for column in invoices.values()), strict=True))


@given(st.lists(INVOICES, min_size=2, max_size=5))
def test_a_client_gets_the_same_dates_alone_and_among_others(clients):
    _, together, flags = from_json(*clients)
    for i, of_client in enumerate(clients):
        _, alone, [own_flags] = from_json(of_client)
        part = together["client"] == i
        same(alone, {name: column[part] for name, column in together.items()} | {"client": alone["client"]})
        assert own_flags == flags[i]


@given(INVOICES, st.randoms())
def test_the_order_of_the_invoices_does_not_matter(rows, random):
    shuffled = random.sample(rows, len(rows))
    assert sorted_rows(from_json(rows)[1]) == sorted_rows(from_json(shuffled)[1])


def rows_of(invoices):
    columns = {name: column.astype(str).tolist() for name, column in invoices.items() if name != "client"}
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return [row | {"client_id": f"c-{client}"} for row, client in zip(rows, invoices["client"].tolist(), strict=True)]


@given(INVOICES)
def test_cleaning_is_idempotent(rows):
    _, once, _ = from_json(rows)
    _, twice, [flags] = from_json(rows_of(once))
    same(twice, once)
    assert FLAG not in [flag.flag for flag in flags]


@NAMES
def test_files_and_json_agree_and_read_back_unchanged(tmp_path, names):
    histories = [meter(EXPORTED), meter(RIGHT), meter(EXPORTED[:1]), meter(day_first(EXPORTED)), meter(RIGHT[:1])]
    owned = [[row | {"client_id": f"c-{i}"} for row in rows] for i, rows in enumerate(histories)]
    clients = [a_client(f"c-{i}") for i in range(len(owned))]
    tables = read_tables(written(tmp_path, names(clients), names([*chain.from_iterable(owned)])))
    _, invoices, flags = tables_from_records(names(clients), [names(rows) for rows in owned])
    same(invoices, tables.invoices)
    assert Counter(flag.flag for of_client in flags for flag in of_client for _ in range(flag.n)) == flags_of(tables)
    again = read_tables(written(tmp_path, clients, rows_of(tables.invoices)))
    same(again.invoices, tables.invoices)
    assert again.flags == []


# --- the figures of docs/cleaning.md ----------------------------------------------------------------------------------


def test_the_check_shows_the_shares_as_given_and_swapped(tmp_path, capsys, monkeypatch):
    data = written(tmp_path, [a_client()], meter(EXPORTED, months=3))
    monkeypatch.setattr("sys.argv", ["date_check", str(data)])
    date_check.main()
    head, as_given, other = capsys.readouterr().out.splitlines()
    assert head.startswith("2 pairs")
    assert as_given.split()[2:] == ["100.000%", "100.000%", "0.0%"]
    assert other.split()[1:] == ["0.000%", "0.000%", "100.0%"]
