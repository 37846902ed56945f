"""Drift: nothing of what is alike, what was worked by hand for what is not, and a word where nothing can be said."""

import dataclasses
import pickle
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairmeter.evaluation import drift
from fairmeter.evaluation.drift import (
    MISSING,
    N_BINS,
    SHIFTED,
    SHIFTING,
    STABLE,
    TOO_FEW,
    ReferenceDistribution,
    chance_limit,
    compare_columns,
    psi,
    share_above_top_decile,
)
from fairmeter.explanation.topics import FITTED_ON_OTHERS
from fairmeter.models import model_file
from fairmeter.training.ensemble_fitting import stratified_folds

rng = np.random.default_rng(7)


# --- builders ---------------------------------------------------------------------------------------------------------


def fingerprint_of(*columns):
    """Of columns of equal length, the last of them the score."""
    table = np.array(columns, dtype=np.float32).T
    return ReferenceDistribution.from_clients(table[:, :-1], table[:, -1].astype(np.float64))


def counts_of(fingerprint, *columns):
    table = np.array(columns, dtype=np.float32).T
    return fingerprint.counts(table[:, :-1], table[:, -1].astype(np.float64))


def in_bins(*shares, n=1_000_000):
    """A fingerprint of one column, the score, with such shares in its first bins."""
    edges = np.full((1, drift.N_EDGES), np.inf, dtype=np.float32)
    return ReferenceDistribution(edges, np.array([list(shares) + [0.0] * (N_BINS - len(shares))], dtype=np.float32), n)


def counted(*counts):
    return np.array([list(counts) + [0] * (N_BINS - len(counts))])


# --- bins -------------------------------------------------------------------------------------------------------------


def test_ten_bins_hold_a_tenth_each_of_values_that_all_differ():
    fingerprint = fingerprint_of(np.arange(1000.0), np.arange(1000.0))
    np.testing.assert_allclose(fingerprint.shares, [[0.1] * 10 + [0.0]] * 2)
    assert fingerprint.n == 1000


def test_what_is_missing_is_in_a_bin_of_its_own_and_takes_no_part_in_the_deciles():
    column = np.arange(1000.0)
    column[::4] = np.nan
    fingerprint = fingerprint_of(column, column)
    assert fingerprint.shares[0, MISSING] == pytest.approx(0.25)
    np.testing.assert_allclose(fingerprint.shares[0, :MISSING], 0.075, atol=2e-3)


def test_a_value_that_most_clients_share_has_a_bin_of_its_own():
    column = np.concatenate([np.zeros(700), np.arange(1.0, 301.0), [-1.0] * 5])
    fingerprint = fingerprint_of(column, column)
    assert np.isclose(fingerprint.shares[0], 700 / 1005).sum() == 1
    assert fingerprint.shares[0, 0] == pytest.approx(5 / 1005)


@pytest.mark.parametrize("value", [0.0, 3.5, -1e30])
def test_whoever_is_above_or_below_a_constant_is_told_from_it(value):
    fingerprint = fingerprint_of(np.full(100, value), np.arange(100.0))
    now = np.concatenate([np.full(60, value), np.full(20, value - abs(value) - 1), np.full(20, value + abs(value) + 1)])
    assert sorted(counts_of(fingerprint, now, np.arange(100.0))[0].tolist())[-3:] == [20, 20, 60]


def test_a_column_that_is_missing_everywhere_and_a_fingerprint_of_nobody_are_no_error():
    nothing = np.full(100, np.nan)
    fingerprint = fingerprint_of(nothing, np.arange(100.0))
    assert fingerprint.shares[0, MISSING] == 1.0
    now = compare_columns(fingerprint, counts_of(fingerprint, np.arange(100.0), np.arange(100.0)))
    assert now["level"].tolist() == [SHIFTED, STABLE]
    nobody = ReferenceDistribution.from_clients(np.empty((0, 1), np.float32), np.empty(0))
    assert np.isfinite(psi(nobody, nobody.counts(np.ones((3, 1), np.float32), np.ones(3)))).all()


def test_counts_of_parts_add_up_to_those_of_all():
    columns = rng.normal(size=(3, 500))
    columns[0, ::7] = np.nan
    fingerprint = fingerprint_of(*columns)
    parts = counts_of(fingerprint, *columns[:, :123]) + counts_of(fingerprint, *columns[:, 123:])
    np.testing.assert_array_equal(parts, counts_of(fingerprint, *columns))
    np.testing.assert_array_equal(parts.sum(axis=1), 500)
    np.testing.assert_allclose(parts / 500, fingerprint.shares, atol=1e-6)


def test_more_columns_than_are_turned_at_a_time_are_counted_each_by_itself():
    matrix = rng.normal(size=(300, 2 * drift.BLOCK + 3)).astype(np.float32) * np.arange(1, 2 * drift.BLOCK + 4)
    fingerprint = ReferenceDistribution.from_clients(matrix, matrix[:, 0])
    for place in (0, drift.BLOCK, 2 * drift.BLOCK + 2):
        alone = ReferenceDistribution.from_clients(matrix[:, [place]], matrix[:, 0])
        np.testing.assert_array_equal(fingerprint.edges[place], alone.edges[0])


def test_some_of_the_clients_may_stand_for_all():
    column = np.arange(1000.0, dtype=np.float32)
    chosen = column < 100
    assert ReferenceDistribution.from_clients(column[:, None], column, chosen).edges.max() < 100
    assert ReferenceDistribution.from_clients(column[:, None], column, chosen).n == 100


# --- the index --------------------------------------------------------------------------------------------------------

BY_HAND = [
    # shares then, clients now of a million, the index
    ((0.5, 0.5), (500_000, 500_000), 0.0),
    ((0.5, 0.5), (600_000, 400_000), 0.1 * np.log(0.6 / 0.4)),
    ((0.2, 0.8), (400_000, 600_000), 0.2 * np.log(2.0) - 0.2 * np.log(0.75)),
    ((0.25, 0.25, 0.5), (500_000, 250_000, 250_000), 0.25 * np.log(2.0) + 0.25 * np.log(2.0)),
]


@pytest.mark.parametrize(("then", "now", "by_hand"), BY_HAND)
def test_the_index_is_what_was_worked_by_hand(then, now, by_hand):
    assert psi(in_bins(*then), counted(*now))[0] == pytest.approx(by_hand, abs=1e-5)


def test_a_bin_that_was_empty_counts_and_does_not_make_the_index_infinite():
    index = psi(in_bins(1.0, 0.0), counted(950_000, 50_000))[0]
    assert 0.25 < index < 2


def test_bins_that_nobody_ever_was_in_count_nothing_however_few_the_clients():
    assert psi(in_bins(0.5, 0.5), counted(5, 5))[0] == pytest.approx(0.0, abs=1e-6)


@given(st.lists(st.integers(0, 10_000), min_size=N_BINS, max_size=N_BINS), st.integers(1, 10**6))
def test_the_index_is_never_below_zero_nor_anything_but_a_number(counts, n):
    fingerprint = in_bins(*[0.1] * 10, n=n)
    index = psi(fingerprint, np.array([counts]))[0]
    assert np.isfinite(index)
    assert index >= 0
    assert np.isfinite(chance_limit(fingerprint, np.array([counts]))[0])


@given(st.floats(0.5, 20.0), st.floats(-100.0, 100.0))
def test_the_unit_of_a_feature_does_not_matter(factor, shift):
    then, now = np.arange(400.0), np.arange(400.0) ** 1.1
    scaled = fingerprint_of(then * factor + shift, then)
    there = psi(scaled, counts_of(scaled, now * factor + shift, now))[0]
    plain = fingerprint_of(then, then)
    assert there == pytest.approx(psi(plain, counts_of(plain, now, now))[0], abs=0.02)


@pytest.mark.parametrize("n", [60, 300, 3000])
def test_of_clients_drawn_alike_about_one_column_in_a_thousand_is_above_chance(n):
    then, now = rng.normal(size=(5000, 2000)), rng.normal(size=(n, 2000))
    fingerprint = ReferenceDistribution.from_clients(then.astype(np.float32), then[:, 0])
    counts = fingerprint.counts(now.astype(np.float32), now[:, 0])
    assert np.mean(psi(fingerprint, counts) > chance_limit(fingerprint, counts)) < 0.005
    assert np.mean(psi(fingerprint, counts) > chance_limit(fingerprint, counts) / 2) > 0.01


# --- what is said -----------------------------------------------------------------------------------------------------

SAID = [
    ("of alike ones nothing", 0.0, 5000, STABLE),
    ("a third of a deviation", 0.35, 5000, SHIFTING),
    ("a deviation", 1.0, 5000, SHIFTED),
    ("a deviation, of too few to say", 1.0, 40, TOO_FEW),
]


@pytest.mark.parametrize(("shift", "n", "level"), [row[1:] for row in SAID], ids=[row[0] for row in SAID])
def test_levels_follow_how_far_clients_moved(shift, n, level):
    then, now = rng.normal(size=5000), rng.normal(size=n) + shift
    fingerprint = fingerprint_of(then, then)
    assert compare_columns(fingerprint, counts_of(fingerprint, now, now))["level"].tolist() == [level] * 2


def test_few_clients_that_are_off_by_chance_are_not_called_shifted():
    then = rng.normal(size=5000)
    fingerprint = fingerprint_of(then, then)
    levels = [
        compare_columns(fingerprint, counts_of(fingerprint, *[rng.normal(size=60)] * 2))["level"][0] for _ in range(200)
    ]
    indices = [psi(fingerprint, counts_of(fingerprint, *[rng.normal(size=60)] * 2))[0] for _ in range(200)]
    assert max(indices) > drift.MIN_SHIFTED_PSI
    assert levels.count(STABLE) >= 198


def test_a_constant_feature_is_called_so_and_is_stable_while_it_stays():
    fingerprint = fingerprint_of(np.ones(500), np.full(500, np.nan), np.arange(500.0))
    alike = compare_columns(fingerprint, counts_of(fingerprint, np.ones(500), np.full(500, np.nan), np.arange(500.0)))
    assert alike["is_constant"].tolist() == [True, True, False]
    assert alike["level"].tolist() == [STABLE] * 3
    assert drift.is_missing(fingerprint).tolist() == [False, True, False]
    other = compare_columns(fingerprint, counts_of(fingerprint, np.zeros(500), np.ones(500), np.arange(500.0)))
    assert other["level"].tolist() == [SHIFTED, SHIFTED, STABLE]
    assert (other["missing_then"][1], other["missing_now"][1]) == (1.0, 0.0)


def test_the_share_above_the_highest_decile_tells_which_way_scores_went():
    fingerprint = fingerprint_of(np.arange(1000.0), np.arange(1000.0))
    assert share_above_top_decile(fingerprint, counts_of(fingerprint, *[np.arange(1000.0) + 100] * 2)) == pytest.approx(
        (0.1, 0.2)
    )
    assert share_above_top_decile(fingerprint, counts_of(fingerprint, *[np.arange(1000.0) - 100] * 2)) == pytest.approx(
        (0.1, 0.0)
    )


# --- in the model -----------------------------------------------------------------------------------------------------


def part_of(model, evidence):
    """ReferenceDistribution, and the counts of clients as they are judged."""
    fingerprint = model.fingerprint
    matrix = model.inputs.matrix(evidence)
    return fingerprint, fingerprint.counts(matrix, model.log_odds(matrix))


def test_the_model_keeps_a_fingerprint_of_the_clients_it_was_trained_on(small_model, small_dataset):
    clients = small_dataset.clients("prospective")
    fingerprint = small_model.invoices.fingerprint
    assert fingerprint.n == len(clients)
    assert fingerprint.edges.shape == (len(small_model.invoices.inputs.names) + 1, drift.N_EDGES)
    place = small_model.invoices.inputs.names.index("elec_gap_mean")
    values = small_dataset.column("elec_gap_mean")[clients]
    assert fingerprint.shares[place, MISSING] == pytest.approx(np.isnan(values).mean(), abs=1e-6)
    assert fingerprint.edges[place, 4] == pytest.approx(np.nanquantile(values, 0.5, method="inverted_cdf"))
    assert small_model.aggregates.fingerprint is None


def test_halves_of_one_utility_are_alike_and_one_whose_clients_use_half_is_not(small_model, small_dataset):
    clients = small_dataset.clients("prospective")
    half = np.sort(clients[stratified_folds(small_dataset.label[clients], 2, 5) == 0])
    evidence = small_dataset.evidence.of(half)
    as_it_is = compare_columns(*part_of(small_model.invoices, evidence))
    names = [*small_model.invoices.inputs.names, "score"]
    # Columns from labels hold those of the clients that were trained on themselves: they are not alike.
    features = [i for i, name in enumerate(names[:-1]) if not name.startswith(FITTED_ON_OTHERS)]
    assert set(as_it_is["level"][features]) <= {STABLE}
    halved = dataclasses.replace(evidence, features=evidence.features.copy())
    place = small_dataset.feature_names.index("elec_level_mean")
    halved.features[:, place] /= 2
    moved = compare_columns(*part_of(small_model.invoices, halved))
    assert moved["level"][names.index("elec_level_mean")] == SHIFTED
    assert moved["level"][names.index("elec_gap_mean")] == STABLE


def test_readings_have_a_fingerprint_of_their_own_and_that_of_the_invoices_stays(metered_model, small_model):
    for name in ("edges", "shares"):
        there = getattr(small_model.invoices.fingerprint, name)
        np.testing.assert_array_equal(getattr(metered_model.invoices.fingerprint, name), there)
    fingerprint, ensemble = metered_model.readings.ensemble.fingerprint, metered_model.readings.ensemble
    assert len(fingerprint.edges) == len(ensemble.inputs.names) + 1
    assert 100 < fingerprint.n <= 300
    np.testing.assert_allclose(fingerprint.shares.sum(axis=1), 1.0, atol=1e-5)


def test_the_file_gives_the_fingerprint_back_and_grows_by_little(small_model, tmp_path):
    model_file.save(small_model, tmp_path / "with.bin")
    without = dataclasses.replace(small_model.invoices, fingerprint=None)
    model_file.save(dataclasses.replace(small_model, invoices=without), tmp_path / "without.bin")
    assert (tmp_path / "with.bin").stat().st_size - (tmp_path / "without.bin").stat().st_size < 100_000
    again = model_file.load(tmp_path / "with.bin").invoices.fingerprint
    np.testing.assert_array_equal(again.edges, small_model.invoices.fingerprint.edges)
    np.testing.assert_array_equal(again.shares, small_model.invoices.fingerprint.shares)
    assert again.n == small_model.invoices.fingerprint.n


@pytest.mark.parametrize("number", model_file.OLDER)
def test_a_file_of_before_there_were_fingerprints_still_judges_and_has_none(
    small_model, small_dataset, tmp_path, number
):
    path = tmp_path / "model.bin"
    model_file.save(small_model, path)
    content = pickle.loads(path.read_bytes())  # noqa: S301  (made by this test)
    body = pickle.loads(zlib.decompress(content["body"]))  # noqa: S301
    for part in ("invoices", "aggregates"):
        del body[part]["fields"]["fingerprint"]
    older = pickle.dumps(content | {"format": number, "body": zlib.compress(pickle.dumps(body))})
    model = model_file._opened(older, path)
    assert model.invoices.fingerprint is None
    np.testing.assert_array_equal(
        model.probability(small_dataset.evidence), small_model.probability(small_dataset.evidence)
    )
