"""Group keys: which clients share one, and how it is computed."""

import pytest

from fairmeter.features.invoices.matrix import GROUP_KEYS, METER_GROUP_KEYS, client_features
from tests.builders.features import GAS, monthly, tables_of

NEIGHBOURS = {
    "nothing": ({}, {}, set()),
    "category": ({"category": 51}, {}, {"place"}),
    "district": ({"district": 70}, {}, {"place"}),
    "a day in one month": ({"created_on": "2003-08-13"}, {}, {"created_day"}),
    "tariff": ({}, {"tariff": 40}, {"tariff"}),
    "energy": ({}, {"energy": GAS}, {"tariff"}),
    "day of the invoices": ({}, {"invoice_on": "2014-02-01"}, {"route_day", "route_step", "first_day"}),
    "region": ({"region": 104}, {}, GROUP_KEYS.keys() - METER_GROUP_KEYS.keys()),
}


@pytest.mark.parametrize(("account", "changes", "unshared"), NEIGHBOURS.values(), ids=NEIGHBOURS)
def test_neighbours_share_a_group_key_unless_its_codes_differ(account, changes, unshared):
    mine = client_features(*tables_of(monthly(1, 2))).group_keys
    theirs = client_features(*tables_of([row | changes for row in monthly(3, 4)], **account)).group_keys
    shared = {name for name in GROUP_KEYS if set(mine[name].keys) == set(theirs[name].keys)}
    assert GROUP_KEYS.keys() - METER_GROUP_KEYS.keys() - shared == unshared


@pytest.mark.parametrize(
    ("cell", "kind", "codes"),
    [
        ("place", 1, (103, 69, 11)),
        ("created_day", 6, (103, 15340)),
        ("created_month", 7, (103, 15340 // 30)),
        ("created_year", 8, (103, 15340 // 365)),
    ],
)
def test_a_key_is_the_mix_of_its_codes(cell, kind, codes):
    # A model stores keys: with another hash, no client would be in any group of the model.
    key = kind
    for code in codes:
        key = ((key ^ code) * 0x9E3779B97F4A7C15) % 2**64
        key ^= key >> 29
    assert client_features(*tables_of([], created_on="2012-01-01")).group_keys[cell].keys.tolist() == [key]
