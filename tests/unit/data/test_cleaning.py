"""Rules that clean invoices and clients: what is corrected, counted, or unchanged."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairmeter.data import cleaning
from fairmeter.data.json_records import tables_from_records
from tests.builders.tables import (
    CLEANED,
    CLIENTS,
    KAGGLE,
    ODD_CODES,
    SPLIT,
    USUAL,
    a_client,
    an_invoice,
    flags_of,
    read_back,
)


@pytest.mark.parametrize(("changes", "flag", "after"), CLEANED)
def test_a_cleaned_invoice_is_flagged(tmp_path, changes, flag, after):
    invoices = [an_invoice(), an_invoice(**changes), an_invoice(months=6)]
    for day, row in enumerate(invoices):
        row["invoice_on"] = changes.get("invoice_on", f"2014-03-{22 + day}") if day == 1 else f"2014-03-{22 + day}"
    tables = read_back(tmp_path, [a_client()], invoices)
    assert flags_of(tables)[flag] == 1
    assert set(flags_of(tables)) <= {flag, "impossible_quantities"}
    for name, value in after.items():
        np.testing.assert_array_equal(tables.invoices[name][1], value, err_msg=name)
    for row in (0, 2):
        assert tables.invoices["meter_id"][row] == 4711
    assert all(str(found.n) in found.text for found in tables.flags)


def tables_of(folder, invoices):
    """As read from files and as sent in JSON: invoices, and the flags with their counts."""
    tables = read_back(folder, [a_client()], invoices)
    yield tables.invoices, flags_of(tables)
    _, sent, [quality] = tables_from_records([a_client()], [invoices])
    yield sent, {flag.flag: flag.n for flag in quality}


@pytest.mark.parametrize(("changes", "flag"), ODD_CODES)
def test_a_number_that_is_no_code_is_missing_as_the_public_set_names_it_and_another_utilitys_code_otherwise(
    tmp_path, changes, flag
):
    [(name, code)] = changes.items()
    for invoices, flags in tables_of(tmp_path, [an_invoice(**changes)]):
        assert (invoices[name].tolist(), flags) == ([code], {})
    as_published = {KAGGLE[name] if column == name else column: v for column, v in an_invoice(**changes).items()}
    for invoices, flags in tables_of(tmp_path, [as_published]):
        assert (np.isnan(invoices[name]).tolist(), flags) == ([True], {flag: 1})


@pytest.mark.parametrize("changes", USUAL)
def test_valid_invoices_get_no_flag(tmp_path, changes):
    assert read_back(tmp_path, [a_client()], [an_invoice(**changes)]).flags == []


def test_a_long_period_with_consistent_index_is_not_mistaken_for_shifted_columns(tmp_path):
    usual = an_invoice(months=26, old_index=0, new_index=26, consumption_level_1=26, consumption_level_2=0)
    assert flags_of(read_back(tmp_path, [a_client()], [usual])) == {"long_period": 1}


@pytest.mark.parametrize("name", cleaning.QUANTITIES)
@pytest.mark.parametrize("value", ["1e13", "1e300", "1.7e308", "inf"])
def test_an_impossible_quantity_is_missing_and_flagged(tmp_path, name, value):
    rows = [an_invoice(**{name: value}), an_invoice(invoice_on="2014-07-24", **{name: an_invoice().get(name, 100)})]
    tables = read_back(tmp_path, [a_client()], rows)
    assert flags_of(tables) == {"impossible_quantities": 1}
    # The levels say how much was used where the figure for all of them cannot be.
    expected = [False, False] if name == "consumption" else [True, False]
    assert np.isnan(tables.invoices[name]).tolist() == expected


def test_the_largest_possible_quantity_is_kept(tmp_path):
    tables = read_back(tmp_path, [a_client()], [an_invoice(new_index=cleaning.MAX_QUANTITY)])
    assert flags_of(tables) == {"index_not_sum_of_levels": 1}
    assert tables.invoices["new_index"] == cleaning.MAX_QUANTITY


def test_impossible_months_are_not_mistaken_for_an_index(tmp_path):
    tables = read_back(tmp_path, [a_client()], [an_invoice(**SPLIT | {"coefficient": 1e12, "months": 1e300})])
    assert flags_of(tables) == {"impossible_months": 1, "index_not_sum_of_levels": 1}


NUMBERS = st.none() | st.floats() | st.floats(min_value=0, max_value=1e13) | st.integers(-(10**308), 10**308)


@given(st.fixed_dictionaries(dict.fromkeys((*cleaning.QUANTITIES, "months", "tariff", "meter_id", "remark"), NUMBERS)))
def test_no_number_makes_cleaning_overflow(changes):
    _, invoices, _ = tables_from_records([{}], [[{"invoice_on": "2014-03-24", **changes}]])
    for name in (name for name in cleaning.QUANTITIES if name in invoices):
        assert np.isnan(invoices[name]) | (invoices[name] >= 0) & (invoices[name] <= cleaning.MAX_QUANTITY)


def test_exact_duplicates_are_dropped_and_near_ones_kept(tmp_path):
    invoices = [
        an_invoice("c-2"),
        an_invoice(),
        an_invoice("c-2"),
        an_invoice(meter_id=4712, remark=8),
        an_invoice("c-2"),
        an_invoice(),
    ]
    tables = read_back(tmp_path, CLIENTS, invoices)
    assert flags_of(tables) == {"duplicate_invoices": 3}
    assert tables.invoices["client"].tolist() == [0, 0, 1]
    assert tables.invoices["remark"].tolist() == [6, 8, 6]


def test_no_client_is_lost_and_unknown_ones_are_left_out(tmp_path):
    clients = [a_client("c-1"), a_client("c-2"), a_client("c-3")]
    invoices = [
        an_invoice("c-9"),
        an_invoice("c-3"),
        an_invoice("c-1"),
        an_invoice(""),
        an_invoice("c-1", meter_id=2, months=2),
    ]
    tables = read_back(tmp_path, clients, invoices)
    assert tables.clients["client_id"].tolist() == ["c-1", "c-2", "c-3"]
    assert tables.invoices["client"].tolist() == [0, 0, 2]
    assert tables.invoices["months"].tolist() == [4, 2, 4]
    assert flags_of(tables) == {"invoices_of_unknown_clients": 2, "no_invoices": 1}
    assert [[flag.flag for flag in of_client] for of_client in tables.quality] == [[], ["no_invoices"], []]


@pytest.mark.parametrize(
    ("changes", "flag", "name"),
    [
        ({"created_on": None}, "no_creation_date", "created_on"),
        ({"created_on": "1900-01-01"}, "impossible_creation_date", "created_on"),
        ({"created_on": "01/01/2101"}, "impossible_creation_date", "created_on"),
        ({"latitude": 91}, "impossible_client_values", "latitude"),
        ({"tariff_price": "inf"}, "impossible_client_values", "tariff_price"),
    ],
)
def test_a_cleaned_client_is_flagged(tmp_path, changes, flag, name):
    tables = read_back(tmp_path, [a_client(**changes)], [an_invoice()])
    assert flags_of(tables)[flag] == 1
    assert tables.clients[name] != tables.clients[name]  # NaN and NaT alone differ from themselves


# --- meters that roll over or are exchanged ---------------------------------------------------------------------------


def test_a_meter_that_rolls_over_keeps_the_consumption_of_its_levels(tmp_path):
    tables = read_back(tmp_path, [a_client()], [an_invoice(old_index=99_950, new_index=50)])
    assert flags_of(tables) == {"index_not_sum_of_levels": 1, "index_runs_backwards": 1}
    levels = [tables.invoices[f"consumption_level_{i}"].tolist() for i in (1, 2, 3, 4)]
    assert levels == [[90.0], [10.0], [0.0], [0.0]]


def test_both_invoices_of_a_meter_exchange_are_kept_as_they_are(tmp_path):
    rows = [an_invoice(meter_id=1), an_invoice(meter_id=2, old_index=0, new_index=100)]
    tables = read_back(tmp_path, [a_client()], rows)
    assert tables.flags == []
    assert sorted(tables.invoices["meter_id"].tolist()) == [1.0, 2.0]


# --- days for months --------------------------------------------------------------------------------------------------


def every(n_days, *, months, n=6):
    first = np.datetime64("2014-01-17")
    return [
        an_invoice(invoice_on=str(first + n_days * i), old_index=100 * i, new_index=100 * i + 100, months=months)
        for i in range(n)
    ]


@pytest.mark.parametrize(("n_days", "months"), [(122, 4), (61, 2), (30, 1), (91, 3), (183, 6), (365, 12)])
def test_days_in_the_column_of_months_are_converted(tmp_path, n_days, months):
    rows = every(n_days, months=n_days)
    tables = read_back(tmp_path, [a_client()], rows)
    assert tables.invoices["months"].tolist() == [months] * 6
    assert flags_of(tables) == {"days_in_months": 6}
    _, invoices, _ = tables_from_records([a_client()], [rows])
    assert invoices["months"].tolist() == [months] * 6


def test_long_periods_that_are_not_the_days_between_are_no_days(tmp_path):
    tables = read_back(tmp_path, [a_client()], every(122, months=30))
    assert flags_of(tables) == {"long_period": 6}


def test_one_period_that_happens_to_be_the_days_between_is_no_proof(tmp_path):
    rows = every(122, months=4)
    rows[3]["months"] = 120
    assert flags_of(read_back(tmp_path, [a_client()], rows)) == {"long_period": 1}
