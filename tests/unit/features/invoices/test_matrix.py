"""Features of invoices: the registry, the laws of client_features, and missing evidence."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairmeter.core.types import FeatureMatrix
from fairmeter.features.invoices import matrix
from fairmeter.features.invoices.matrix import (
    BLOCKS,
    EVIDENCE_GROUPS,
    FEATURE_NAMES,
    FEATURES,
    GROUP_KEYS,
    METER_GROUP_KEYS,
    N_INVOICES,
    client_features,
)
from fairmeter.features.invoices.series import LEVELS
from tests.builders.examples import fewer
from tests.builders.features import (
    ELEC,
    GAS,
    LN10,
    NAN,
    TABLES,
    UNKNOWN,
    an_invoice,
    client_table,
    cut,
    features_of,
    invoice_table,
    monthly,
    one_by_one,
    simulated,
    tables_of,
)

CALENDAR = 146_097  # days of 400 years: weekdays, months and leap years repeat
SEEDS = st.integers(0, 2**32 - 1)
ALL = np.full(len(FEATURES), True)
PROSPECTIVE = np.array([not feature.after_detection for feature in FEATURES])


def assert_same(one, other, only=ALL):
    """Equal to the last bit; NaN equals NaN."""
    is_same = (one.features == other.features) | (np.isnan(one.features) & np.isnan(other.features))
    assert [FEATURE_NAMES[i] for i in np.flatnonzero(~is_same.all(axis=0) & only)] == []


def assert_same_cells(one, other, only=tuple(GROUP_KEYS)):
    for name in only:
        assert one.group_keys[name].counts.tolist() == other.group_keys[name].counts.tolist()
        assert one.group_keys[name].keys.tolist() == other.group_keys[name].keys.tolist()


# --- the registry -----------------------------------------------------------------------------------------------------


def test_every_feature_is_registered_once_with_group_unit_and_sentence():
    assert len(FEATURES) >= 200
    assert len(set(FEATURE_NAMES)) == len(FEATURES)
    for feature in FEATURES:
        assert feature.group in EVIDENCE_GROUPS, feature
        assert feature.name.isidentifier(), feature
        assert feature.unit, feature
        assert " " in feature.text, feature
        assert isinstance(feature.after_detection, bool), feature


def test_sentences_are_not_shared():
    assert len({feature.text for feature in FEATURES}) == len(FEATURES)


def test_the_aggregates_of_older_scripts_have_their_names():
    older = {"age_months", "total_consumption_max", "category", "region", "district"}
    older |= {f"consumption_level_{i}_{short}" for i in (1, 2, 3, 4) for short in ("mean", "std", "min", "max")}
    assert older <= set(FEATURE_NAMES)
    assert FEATURE_NAMES[N_INVOICES] == "n_invoices"


def test_features_with_meter_in_their_names_are_marked_as_after_detection():
    seen = ("meter", "log_meter", "coefficient", "old_index", "new_index", "log_index", "index_", "gaps_of_index")
    for feature in FEATURES:
        name = feature.name.removeprefix("elec_").removeprefix("gas_")
        assert feature.after_detection == name.startswith(seen), name


# --- laws -------------------------------------------------------------------------------------------------------------


def assert_alone_as_among_others(tables):
    together = client_features(*tables)
    alone = FeatureMatrix.concatenated(one_by_one(tables))
    assert_same(together, alone)
    assert_same_cells(together, alone)
    assert together.n_records.tolist() == alone.n_records.tolist()


@fewer(2)  # an example computes all features of several clients
@given(TABLES)
def test_features_of_one_client_do_not_depend_on_the_others(tables):
    assert_alone_as_among_others(tables)


def test_features_of_a_simulated_client_do_not_depend_on_the_others():
    assert_alone_as_among_others(simulated())


def test_clients_on_both_sides_of_a_chunk_boundary_get_their_own_features(monkeypatch):
    monkeypatch.setattr(matrix, "CHUNK", 12)
    tables = cut(simulated(), 0, 2 * matrix.CHUNK + 1)
    assert_alone_as_among_others(tables)


def shuffled(invoices, seed):
    """Rows in another order, still sorted by client."""
    order = np.random.default_rng(seed).permutation(len(invoices["client"]))
    order = order[np.argsort(invoices["client"][order], kind="stable")]
    return {name: column[order] for name, column in invoices.items()}


@fewer(2)  # an example computes all features of several clients
@given(TABLES, SEEDS)
def test_the_order_of_a_clients_invoices_does_not_matter(tables, seed):
    clients, invoices = tables
    expected, got = client_features(clients, invoices), client_features(clients, shuffled(invoices, seed))
    assert_same(expected, got)
    assert_same_cells(expected, got)


def test_the_order_of_a_simulated_clients_invoices_does_not_matter():
    clients, invoices = simulated()
    assert_same(client_features(clients, invoices), client_features(clients, shuffled(invoices, 1)))


def test_a_history_four_centuries_later_has_the_same_features():
    clients, invoices = simulated()
    later = [
        {n: c + np.timedelta64(CALENDAR, "D") if c.dtype.kind == "M" else c for n, c in table.items()}
        for table in (clients, invoices)
    ]
    before, after = client_features(clients, invoices).features, client_features(*later).features
    is_date = np.array([feature.unit == "days since 1970" for feature in FEATURES])
    # A slope is rounded at the scale of its dates.
    np.testing.assert_allclose(after, before + CALENDAR * is_date, rtol=1e-5, atol=1e-6)


@fewer(4)  # an example computes all features of several clients
@given(TABLES)
def test_input_tables_are_not_changed(tables):
    copies = [{name: column.copy() for name, column in table.items()} for table in tables]
    client_features(*tables)
    for table, copy in zip(tables, copies, strict=True):
        for name, column in copy.items():
            np.testing.assert_array_equal(table[name], column)


@fewer(2)  # an example computes all features of several clients
@given(TABLES)
def test_features_are_finite_or_missing(tables):
    evidence = client_features(*tables)
    assert evidence.features.dtype == np.float32
    assert evidence.features.shape == (len(tables[0]["client_id"]), len(FEATURES))
    assert not np.isinf(evidence.features).any()


# --- the prospective view ---------------------------------------------------------------------------------------------


def with_other_meters(invoices, seed):
    """Replace numbers, codes, statuses and coefficients of meters, and shift each invoice's index by a constant."""
    rng = np.random.default_rng(seed)
    n = len(invoices["client"])
    values = {"meter_id": (NAN, 17, 4711, 10**12), "meter_code": (NAN, 40, 203), "meter_status": (NAN, 0, 5)}
    values |= {"coefficient": (NAN, 1, 40)}
    moved = rng.integers(0, 10**6, n)
    index = {name: invoices[name] + moved for name in ("old_index", "new_index")}
    return invoices | index | {name: rng.choice(np.array(v, dtype=float), n) for name, v in values.items()}


def one_a_day(tables):
    """Keep one invoice per client, energy and day."""
    clients, invoices = tables
    key = np.stack([invoices["client"], invoices["energy"], invoices["invoice_on"].astype(np.int64)])
    first = np.sort(np.unique(key, axis=1, return_index=True)[1])
    return clients, {name: column[first] for name, column in invoices.items()}


def assert_blind_to_meters(tables, seed):
    clients, invoices = tables
    before, after = client_features(clients, invoices), client_features(clients, with_other_meters(invoices, seed))
    assert_same(before, after, PROSPECTIVE)
    assert_same_cells(before, after, only=GROUP_KEYS.keys() - METER_GROUP_KEYS.keys())


@fewer(2)  # an example computes all features of several clients
@given(TABLES.map(one_a_day), SEEDS)
def test_features_not_marked_as_after_detection_do_not_depend_on_the_meter(tables, seed):
    assert_blind_to_meters(tables, seed)


def test_features_not_marked_as_after_detection_do_not_depend_on_a_simulated_meter():
    assert_blind_to_meters(one_a_day(simulated()), 1)


def test_the_order_of_one_days_invoices_does_not_reveal_the_meter():
    same_day = [an_invoice("2014-01-01", 9, meter_id=1), an_invoice("2014-01-01", 99, meter_id=2)]
    other = [same_day[0] | {"meter_id": 3}, same_day[1]]
    assert features_of(same_day)["elec_level_last"] == features_of(other)["elec_level_last"]


def test_a_meter_exchange_changes_the_marked_features():
    clients, invoices = simulated()
    before, after = client_features(clients, invoices), client_features(clients, with_other_meters(invoices, 1))
    changed = (before.features != after.features) & ~np.isnan(before.features) & ~np.isnan(after.features)
    assert changed.any(axis=0)[~PROSPECTIVE].mean() > 0.5


# --- missing evidence, little evidence --------------------------------------------------------------------------------

COUNTED = {"invoices", "number"}  # units: an empty count is 0
SUMMED = ("total", "total_months", "upper", "mismatch_sum", "mismatch_size", "index_step_sum", "n_invoice_dates")


def is_missing(feature, value):
    """Whether a feature has no evidence: NaN, or 0 for a count or sum."""
    return np.isnan(value) or (value == 0 and (feature.unit in COUNTED or feature.name.endswith(SUMMED)))


@pytest.mark.parametrize("energy", [ELEC, GAS])
def test_an_energy_without_invoices_is_missing_and_not_zero(energy):
    prefix = ("elec_", "gas_")[1 - energy]
    found = features_of([an_invoice(energy=energy)])
    columns = [feature for block in BLOCKS if block.is_by_pair for feature in block.columns]
    assert [f.name for f in columns if f.name.startswith(prefix) and not is_missing(f, found[f.name])] == []
    assert found[f"{prefix}n"] == 0
    assert np.isnan(found[f"{prefix}total_monthly"])
    assert np.isnan(found[f"{prefix}meter_last"])


def test_a_client_without_invoices_has_its_account_and_counts_of_zero():
    evidence = client_features(*tables_of([], []))
    found = dict(zip(FEATURE_NAMES, evidence.features[1].tolist(), strict=True))
    known = {"category": 11, "region": 103, "district": 69, "created_on": np.datetime64("2003-08-12").astype(int)}
    assert {
        feature.name: found[feature.name] for feature in FEATURES if not is_missing(feature, found[feature.name])
    } == known
    assert evidence.n_records.tolist() == [0, 0]
    counts = {name: cell.counts.tolist() for name, cell in evidence.group_keys.items()}
    by_account = {"place", "created_day", "created_month", "created_year"}
    assert counts == {name: [1, 1] if name in by_account else [0, 0] for name in GROUP_KEYS}


def test_no_clients_give_a_matrix_of_length_zero():
    evidence = client_features(client_table([]), invoice_table([]))
    assert evidence.features.shape == (0, len(FEATURES))
    assert evidence.n_records.shape == (0,)
    for cell in evidence.group_keys.values():
        assert (cell.counts.shape, cell.keys.shape) == ((0,), (0,))


@pytest.mark.parametrize(
    ("column", "missing"),
    [
        ("tariff", ["elec_tariff_mode", "elec_tariff_last", "elec_tariff_mean", "elec_tariff_mode_share"]),
        ("remark", ["elec_remark_first", "elec_remark_max", "elec_remark_changed_on"]),
        ("meter_code", ["elec_meter_code_mode", "elec_meter_code_changed_ago"]),
        ("meter_id", ["elec_meter_last", "elec_meter_first", "elec_log_meter_mean"]),
        ("coefficient", ["elec_coefficient_last", "elec_coefficient_step_max"]),
        ("old_index", ["elec_old_index_mean", "elec_mismatch_max", "elec_index_step_max", "elec_index_back_on"]),
        ("new_index", ["elec_new_index_last", "elec_log_index_std", "elec_mismatch_min"]),
        ("months", ["elec_gap_excess_mean", "months_mean", "months_max"]),
        (LEVELS[1], ["elec_level_2_mean", "consumption_level_2_mean", "elec_level_2_monthly_last"]),
    ],
)
def test_a_column_that_is_missing_leaves_its_features_missing(column, missing):
    found = features_of(monthly(10, 20, 30, **{column: NAN}))
    assert {name: found[name] for name in missing} == pytest.approx(dict.fromkeys(missing, NAN), nan_ok=True)


def test_unknown_consumption_does_not_count_as_low():
    found = features_of(monthly(10, 20, 30, **UNKNOWN))
    for name in (
        "consumption_mean",
        "level_last",
        "daily_min",
        "change_max",
        "split_level_size",
        "slope",
        "year_0_level",
    ):
        assert np.isnan(found[f"elec_{name}"]), name
    assert (found["elec_zero_n"], found["elec_near_zero_n"]) == (0, 0)


def test_an_invoice_with_unknown_consumption_stays_out_of_the_mean():
    history = monthly(10, 0, 30)
    history[1] |= UNKNOWN
    found = features_of(history)
    assert found["elec_consumption_mean"] == 20
    assert found["elec_zero_n"] == 0


def test_one_invoice_has_a_level_and_no_change():
    found = features_of([an_invoice(kwh=99)])
    assert found["elec_level_mean"] == pytest.approx(2 * LN10)
    for name in (
        "gap_mean",
        "change_mean",
        "off_average_last",
        "year_on_year_max",
        "halves_change",
        "slope",
        "coverage",
    ):
        assert np.isnan(found[f"elec_{name}"]), name
    assert np.isnan(found["consumption_level_1_std"])


def test_gas_and_electricity_have_separate_features():
    found = features_of([*monthly(10, 20), *monthly(1, energy=GAS)])
    assert (found["elec_consumption_mean"], found["gas_consumption_mean"]) == (15, 1)
    assert (found["elec_n"], found["gas_n"], found["n_invoices"]) == (2, 1, 3)
    assert found["gas_share"] == pytest.approx(1 / 3)
