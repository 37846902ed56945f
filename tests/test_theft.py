"""The theft patterns on short series, by hand where a pattern has no draws, by its bounds where it has."""

import numpy as np
import pytest

from fraud.theft import PATTERNS

N_SERIES, N_MONTHS = 200, 48


def honest_kwh():
    return np.random.default_rng(1).uniform(50, 150, (N_SERIES, N_MONTHS))


def months_since(onset=0):
    return np.maximum(np.arange(N_MONTHS) - onset, 0) * np.ones((N_SERIES, 1), int)


def registered(pattern, kwh=None, since=None):
    kwh = honest_kwh() if kwh is None else kwh
    since = months_since() if since is None else since
    return PATTERNS[pattern](kwh, since, np.random.default_rng(2))


@pytest.mark.parametrize("pattern", PATTERNS)
class TestEveryPattern:
    def test_it_keeps_the_shape_and_stays_finite_and_not_negative(self, pattern):
        kwh = registered(pattern)
        assert kwh.shape == (N_SERIES, N_MONTHS)
        assert np.isfinite(kwh).all()
        assert (kwh >= 0).all()

    def test_it_registers_less_in_total_than_was_used(self, pattern):
        assert (registered(pattern).sum(axis=1) < honest_kwh().sum(axis=1)).all()

    def test_the_same_generator_gives_the_same_series(self, pattern):
        np.testing.assert_array_equal(registered(pattern), registered(pattern))

    def test_it_leaves_what_it_was_given_as_it_was(self, pattern):
        kwh = honest_kwh()
        registered(pattern, kwh)
        np.testing.assert_array_equal(kwh, honest_kwh())

    def test_nothing_used_is_nothing_registered(self, pattern):
        assert not registered(pattern, np.zeros((N_SERIES, N_MONTHS))).any()


@pytest.mark.parametrize(
    ("pattern", "least", "most"), [("constant_scale", 0.1, 0.8), ("rollback", 0.3, 0.8), ("meter_change", 0.2, 0.7)]
)
def test_a_scale_is_one_share_for_each_series_within_its_published_range(pattern, least, most):
    share = registered(pattern) / honest_kwh()
    np.testing.assert_allclose(share, share[:, :1] * np.ones(N_MONTHS))
    assert least <= share.min() < least + 0.1
    assert most - 0.1 < share.max() <= most


def test_a_total_by_pass_registers_nothing():
    assert not registered("zero").any()


def test_a_gradual_theft_starts_honest_and_grows_to_a_loss_that_stays():
    share = registered("gradual", since=months_since(onset=12)) / honest_kwh()
    np.testing.assert_allclose(share[:, :13], 1.0)
    assert (np.diff(share, axis=1) <= 1e-12).all()
    np.testing.assert_allclose(share[:, -12:], share[:, -1:] * np.ones(12))
    assert (share[:, -1] <= 0.7).all()


def test_an_intermittent_by_pass_registers_a_spell_of_four_months_whole_or_not_at_all():
    share = (registered("intermittent_zero") / honest_kwh()).reshape(N_SERIES, -1, 4)
    assert set(np.unique(share)) == {0.0, 1.0}
    assert (share == share[:, :, :1]).all()


def test_a_cut_off_registers_all_below_a_limit_among_the_lower_months_and_the_limit_above():
    kwh, limited = honest_kwh(), registered("cut_off")
    limit = limited.max(axis=1, keepdims=True)
    np.testing.assert_array_equal(limited, np.minimum(kwh, limit))
    assert (limit[:, 0] <= np.quantile(kwh, 0.42, axis=1)).all()


def test_a_stalled_index_stands_still_for_6_to_10_months_a_year_and_catches_up_with_half_at_most():
    kwh = registered("stall", np.full((N_SERIES, N_MONTHS), 100.0))
    stalled = (kwh[:, :12] == 0).sum(axis=1)
    assert set(stalled) == {6, 7, 8, 9, 10}
    caught_up = kwh[np.arange(N_SERIES), stalled] - 100.0
    assert (caught_up >= 0).all()
    assert (caught_up <= 50.0 * stalled).all()
    np.testing.assert_allclose(kwh[:, 12:24], kwh[:, :12])
