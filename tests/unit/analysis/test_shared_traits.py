"""What invoices show that clients may share, worked by hand on a few rows."""

from datetime import date

import numpy as np
import pytest

from fairmeter.analysis.shared_traits import SharedTraits, shared_traits
from fairmeter.data.json_records import tables_from_records
from tests.builders.invoices import invoice
from tests.builders.tables import a_client

WINTER, SPRING, SUMMER, AUTUMN = "2014-01-24", "2014-03-24", "2014-05-24", "2014-07-24"


def day(text):
    return (date.fromisoformat(text) - date(1970, 1, 1)).days


def step(*days):
    return tuple(day(one) for one in days)


def traits_of(*ledgers):
    ids = [f"c-{i}" for i in range(len(ledgers))]
    table = tables_from_records([a_client(id_) for id_ in ids], [list(rows) for rows in ledgers])[1]
    found = shared_traits(ids, table)
    return [found.get(id_) for id_ in ids]


def test_a_route_is_two_invoices_in_a_row_and_the_newest_two_are_kept():
    (found,) = traits_of([invoice(one) for one in (AUTUMN, WINTER, SUMMER, SPRING)])
    assert found.routes == (step(SUMMER, AUTUMN), step(SPRING, SUMMER))


def test_a_single_invoice_is_no_route_and_two_of_one_day_are_one():
    once, twice = traits_of([invoice(WINTER)], [invoice(WINTER), invoice(WINTER, meter_id=8), invoice(SPRING)])
    assert once.routes == ()
    assert twice.routes == (step(WINTER, SPRING),)


def test_gas_makes_a_route_only_where_there_is_no_electricity():
    gas = [invoice(WINTER) | {"energy": "GAZ"}, invoice(SPRING) | {"energy": "GAZ"}]
    both, alone = traits_of([*gas, invoice(SUMMER), invoice(AUTUMN)], gas)
    assert both.routes == (step(SUMMER, AUTUMN),)
    assert alone.routes == (step(WINTER, SPRING),)


def test_the_three_latest_meters_count_and_zero_or_nothing_is_none():
    numbers = {WINTER: 1, SPRING: 2, SUMMER: 3, AUTUMN: 4}
    many, none = traits_of(
        [invoice(one, meter_id=number) for one, number in numbers.items()],
        [invoice(WINTER, meter_id=0), invoice(SPRING, meter_id=None)],
    )
    assert many.meters == ((0, 4.0), (0, 3.0), (0, 2.0))
    assert none.meters == ()


def test_codes_are_those_before_and_after_the_latest_exchange():
    changed, same = traits_of(
        [invoice(WINTER, meter_code=5), invoice(SPRING, meter_code=203), invoice(SUMMER, meter_code=413)],
        [invoice(WINTER, meter_code=5), invoice(SPRING, meter_code=5)],
    )
    assert changed.codes == (203.0, 413.0)
    assert same.codes is None


def test_two_meters_side_by_side_are_no_exchange():
    days = [(WINTER, 5), (WINTER, 203), (SPRING, 5), (SPRING, 203)]
    assert traits_of([invoice(one, meter_code=code) for one, code in days])[0].codes is None


def test_clients_without_invoices_have_no_traits():
    assert traits_of([], [invoice(WINTER)], [])[::2] == [None, None]
    assert traits_of([]) == [None]


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_invoices_and_other_clients_change_nothing(seed):
    draw = np.random.default_rng(seed)
    days = (WINTER, SPRING, SUMMER, AUTUMN)
    ledgers = [
        [invoice(one, meter_id=int(draw.integers(3)), meter_code=int(draw.integers(3))) for one in days]
        for _ in range(5)
    ]
    alone = [traits_of(rows)[0] for rows in ledgers]
    assert traits_of(*([rows[i] for i in draw.permutation(len(rows))] for rows in ledgers)) == alone
    assert all(isinstance(one, SharedTraits) for one in alone)
