"""Invoices that came twice, were cancelled or credited: what is left is what was used."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairmeter.data.json_records import tables_from_records
from tests.builders.tables import a_client, an_invoice, flags_of, read_back, same

DAYS = ["2014-02-17", "2014-06-17", "2014-10-17", "2015-02-17"]


def billed(kwh, day=DAYS[1], old=500, **changes):
    """An invoice of this consumption, whose index moves as far."""
    levels = {"consumption_level_1": kwh, "consumption_level_2": 0}
    return an_invoice(invoice_on=day, old_index=old, new_index=old + abs(kwh), **levels) | changes


def usual(n=4, **changes):
    """An invoice of 100 units on each day, one index after the other."""
    return [billed(100, day, 100 * i, **changes) for i, day in enumerate(DAYS[:n])]


def cleaned(*invoices):
    """(invoices, {flag: n}) of one client."""
    _, table, [flags] = tables_from_records([a_client()], [list(invoices)])
    return table, {flag.flag: flag.n for flag in flags}


def amounts(table):
    levels = sum(table[f"consumption_level_{i}"] for i in (1, 2, 3, 4))
    return sorted(zip(table["invoice_on"].astype(str).tolist(), levels.tolist(), strict=True))


# --- the same invoice twice -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"remark": 9},
        {"tariff": 12},
        {"meter_code": 5, "meter_status": 1},
        {"consumption_level_1": 90, "consumption_level_2": 10, "tariff": 15},
        {"quality": "estimated"},
    ],
)
def test_an_invoice_of_one_meter_day_and_index_counts_once(changes):
    invoices = [*usual(), *(one | changes for one in usual())]
    table, flags = cleaned(*(one | {"quality": one.get("quality")} for one in invoices))
    assert amounts(table) == [(day, 100.0) for day in DAYS]
    assert flags == {"repeated_invoices": 4}


def test_of_an_estimate_and_an_actual_invoice_of_one_index_the_actual_one_is_kept():
    table, _ = cleaned(*(billed(100, quality=quality) for quality in ("estimated", "actual")))
    assert table["is_estimated"].tolist() == [False]


@pytest.mark.parametrize("changes", [{"meter_id": 4712}, {"new_index": 601}, {"energy": "GAZ"}, {"client_id": "c-2"}])
def test_invoices_that_differ_in_meter_index_energy_or_client_are_two(tmp_path, changes):
    tables = read_back(tmp_path, [a_client(), a_client("c-2")], [an_invoice(remark=8), an_invoice() | changes])
    assert len(tables.invoices["client"]) == 2
    assert "repeated_invoices" not in flags_of(tables)


def test_an_invoice_without_an_index_counts_once_where_its_consumption_is_the_same():
    bare = {"client_id": "c-1", "invoice_on": DAYS[0], "meter_id": 7, "consumption": 100, "months": 4}
    table, flags = cleaned(bare, bare | {"remark": 8})
    assert (table["consumption"].tolist(), flags["repeated_invoices"]) == ([100.0], 1)
    table, flags = cleaned(bare, bare | {"remark": 8, "consumption": 101})
    assert sorted(table["consumption"].tolist()) == [100.0, 101.0]
    assert "repeated_invoices" not in flags


def test_registers_that_both_stood_still_stay_two():
    still = billed(0, consumption_level_1=0)
    table, flags = cleaned(still, still | {"tariff": 12})
    assert (len(table["client"]), flags) == (2, {})


# --- cancellations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("later", [DAYS[1], "2014-06-20", "2014-09-01"])
def test_an_invoice_too_high_is_left_out_with_its_cancellation(later):
    first, second, third, fourth = usual()
    wrong = second | {"consumption_level_1": 500}
    back = wrong | {"consumption_level_1": -500, "invoice_on": later}
    again = second | {"invoice_on": later}
    table, flags = cleaned(first, wrong, back, again, third, fourth)
    assert amounts(table) == [(DAYS[0], 100.0), (later, 100.0), (DAYS[2], 100.0), (DAYS[3], 100.0)]
    assert flags == {"cancelled_invoices": 2}


def test_a_cancellation_of_a_consumption_without_levels_is_netted():
    bare = [{"client_id": "c-1", "invoice_on": day, "consumption": 100, "months": 4} for day in DAYS]
    wrong = bare[1] | {"consumption": 900}
    table, flags = cleaned(bare[0], wrong, wrong | {"consumption": -900}, *bare[1:])
    assert table["consumption"].tolist() == [100.0] * 4
    assert flags["cancelled_invoices"] == 2


def test_a_cancellation_that_two_feeds_state_is_netted_once():
    first, second, *others = usual()
    wrong = second | {"consumption_level_1": 500}
    rows = [first, wrong, wrong | {"consumption_level_1": -500}, second, *others]
    table, flags = cleaned(*rows, *(row | {"remark": 9} for row in rows))
    assert amounts(table) == [(day, 100.0) for day in DAYS]
    assert flags == {"cancelled_invoices": 4, "repeated_invoices": 4}


def test_the_invoice_of_the_cancelled_meter_is_left_out():
    rows = [billed(100, meter_id=meter) for meter in (1, 2)]
    table, _ = cleaned(*rows, billed(-100, day=DAYS[2], meter_id=1))
    assert table["meter_id"].tolist() == [2.0]


def test_an_earlier_negative_invoice_cancels_nothing():
    table, flags = cleaned(billed(-100, day=DAYS[0]), billed(100, day=DAYS[2]))
    assert len(table["client"]) == 2
    assert flags["impossible_quantities"] == 1


# --- credits ----------------------------------------------------------------------------------------------------------


def test_a_partial_credit_is_taken_off_the_invoice_before_it():
    first, second, third, fourth = usual()
    table, flags = cleaned(first, second, billed(-30, day=DAYS[1], old=200, new_index=200), third, fourth)
    assert amounts(table) == [(DAYS[0], 100.0), (DAYS[1], 70.0), (DAYS[2], 100.0), (DAYS[3], 100.0)]
    assert flags == {"credited_invoices": 1}
    assert table["months"].tolist() == [4.0] * 4


def test_a_credit_after_an_estimate_is_a_reading_of_the_time_of_both():
    estimate = billed(300, day=DAYS[1], old=1000, quality="estimated", remark=8)
    credit = billed(-100, day=DAYS[2], old=1300, new_index=1200, quality="actual")
    table, flags = cleaned(estimate, credit)
    assert amounts(table) == [(DAYS[2], 200.0)]
    assert (table["old_index"][0], table["new_index"][0], table["months"][0]) == (1000, 1200, 8)
    assert table["is_estimated"].tolist() == [False]
    assert flags == {"credited_invoices": 1}


def test_a_credit_of_more_than_the_last_invoice_is_taken_off_those_before_too():
    table, _ = cleaned(*usual(3), billed(-150, day="2014-10-20", old=300, new_index=300))
    assert amounts(table) == [(DAYS[0], 100.0), (DAYS[2], 50.0)]
    assert table["months"].tolist() == [4.0, 8.0]


def test_a_credit_is_taken_off_its_own_meter():
    rows = [billed(100, day=day, meter_id=meter) for day, meter in ((DAYS[0], 1), (DAYS[1], 2))]
    table, _ = cleaned(*rows, billed(-40, day=DAYS[2], old=600, new_index=600, meter_id=1))
    assert dict(zip(table["meter_id"].tolist(), table["consumption_level_1"].tolist(), strict=True)) == {1: 60, 2: 100}


def test_a_credit_of_more_than_was_billed_stays_impossible():
    table, flags = cleaned(billed(100), billed(-1000, day=DAYS[2]))
    assert len(table["client"]) == 2
    assert flags["impossible_quantities"] == 1
    assert "credited_invoices" not in flags


# --- laws -------------------------------------------------------------------------------------------------------------

ROWS = st.lists(
    st.builds(
        billed,
        st.sampled_from([-300, -100, -30, 0, 100, 300]),
        st.sampled_from(DAYS),
        st.sampled_from([0, 100, 200]),
        meter_id=st.sampled_from([1, 2]),
        remark=st.sampled_from([6, 9]),
        months=st.sampled_from([2, 4]),
    ),
    max_size=7,
)


def rows_of(table):
    return sorted(zip(*(column.astype(str).tolist() for name, column in sorted(table.items())), strict=True))


@given(ROWS, st.randoms())
def test_the_order_of_the_rows_does_not_matter(rows, random):
    (one, flags), (other, other_flags) = cleaned(*rows), cleaned(*random.sample(rows, len(rows)))
    assert rows_of(one) == rows_of(other)
    assert flags == other_flags


@given(st.lists(ROWS, min_size=2, max_size=3))
def test_a_client_is_corrected_alike_alone_and_among_others(clients):
    _, together, flags = tables_from_records([a_client()] * len(clients), clients)
    for i, rows in enumerate(clients):
        _, alone, [own] = tables_from_records([a_client()], [rows])
        is_own = together["client"] == i
        same(alone, {name: column[is_own] for name, column in together.items()} | {"client": alone["client"]})
        assert own == flags[i]


@given(ROWS)
def test_what_was_corrected_is_corrected_no_further(rows):
    _, once, _ = tables_from_records([a_client()], [rows])
    names = [name for name in once if name != "client"]
    again = [dict(zip(names, map(str, values), strict=True)) for values in zip(*(once[n] for n in names), strict=True)]
    _, twice, [flags] = tables_from_records([a_client()], [again])
    same(twice, once)
    assert not {"cancelled_invoices", "credited_invoices", "duplicate_invoices"} & {flag.flag for flag in flags}


@given(ROWS)
def test_no_energy_is_added(rows):
    table, _ = cleaned(*rows)
    left = np.nansum([table[f"consumption_level_{i}"] for i in (1, 2, 3, 4)])
    assert left <= sum(max(row["consumption_level_1"], 0) for row in rows)


def test_files_and_json_are_corrected_alike(tmp_path):
    first, second, third, fourth = usual()
    wrong = second | {"consumption_level_1": 500}
    rows = [first, wrong, wrong | {"consumption_level_1": -500}, second, third, third | {"remark": 9}, fourth]
    rows.append(billed(-30, day=DAYS[3], old=400, new_index=400))
    tables = read_back(tmp_path, [a_client()], rows)
    _, table, [flags] = tables_from_records([a_client()], [rows])
    same(table, tables.invoices)
    assert list(flags) == tables.flags
