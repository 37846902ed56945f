"""Rounded readings: their resolution is found, and their features are near those of readings in Wh."""

from dataclasses import replace

import numpy as np
import pytest

from fairmeter.features.readings.matrix import FEATURE_NAMES, reading_features
from fairmeter.features.readings.resolution import FINE, steps_per_kwh, without_rounding
from tests.builders.readings import days_of

N = 300


def homes(n=4):
    rng = np.random.default_rng(7)
    return np.round(rng.lognormal(2.0, 0.3, (n, N)), 3)


def rounded(kwh, steps):
    return np.rint(kwh * steps) / steps


@pytest.mark.parametrize("steps", [1.0, 10.0, 100.0, FINE])
def test_the_coarsest_step_that_values_have_is_found(steps):
    assert steps_per_kwh(days_of(rounded(homes(), steps))).tolist() == [steps] * 4


def test_each_client_has_its_own_resolution_and_missing_days_none():
    kwh = homes()
    kwh[1], kwh[2, ::2], kwh[3] = np.rint(kwh[1]), np.nan, 0.0
    assert steps_per_kwh(days_of(kwh)).tolist() == [FINE, 1.0, FINE, FINE]


def test_readings_in_wh_stay_as_they_are():
    days = days_of(homes())
    assert without_rounding(days) is days


@pytest.mark.parametrize("steps", [1.0, 10.0, 100.0])
def test_a_value_stays_within_the_step_that_it_stands_for(steps):
    days = days_of(rounded(homes(), steps))
    moved = without_rounding(days).kwh - days.kwh
    assert np.abs(moved).max() <= 0.5 / steps
    assert len(np.unique(moved)) > 250  # days differ


def test_zeros_and_the_days_of_a_stuck_meter_stay_equal():
    kwh = rounded(homes(1), 10.0)
    kwh[0, 50:60], kwh[0, 100:140] = 0.0, 7.3
    found = without_rounding(days_of(kwh)).kwh
    assert (found[50:60] == 0.0).all()
    assert len(np.unique(found[100:140])) == 1


def test_a_client_alone_has_what_it_has_beside_others():
    kwh = homes()
    kwh[:2] = np.rint(kwh[:2])
    together, days = without_rounding(days_of(kwh)), days_of(kwh)
    for client in range(4):
        alone = without_rounding(days.for_clients(np.arange(4) == client))
        np.testing.assert_array_equal(alone.kwh, together.kwh[client * N : (client + 1) * N])


@pytest.mark.parametrize("steps", [10.0, 100.0])
def test_chance_repetitions_of_rounded_values_are_no_evidence(steps):
    fine, coarse = (reading_features(days_of(kwh)) for kwh in (homes(), rounded(homes(), steps)))
    columns = [FEATURE_NAMES.index(name) for name in ("mode_share", "distinct_share")]
    assert np.abs(fine[:, columns] - coarse[:, columns]).max() < 0.02


def test_a_flat_line_is_as_flat_in_whole_kwh():
    kwh = np.rint(homes(1))
    kwh[0, 200:] = 8.0
    [found] = reading_features(days_of(kwh))
    assert found[FEATURE_NAMES.index("mode_share")] >= 100 / N


def test_other_columns_stay():
    days = replace(days_of(np.rint(homes(1))), export_kwh=np.ones(N))
    assert without_rounding(days).export_kwh is days.export_kwh


def test_of_a_client_whose_later_days_are_sums_of_hours_the_rounded_days_alone_move():
    kwh = homes(1)
    kwh[0, :250] = rounded(kwh[0, :250], 100.0)
    kwh[0, 250:] += 0.0003
    moved = without_rounding(days_of(kwh)).kwh != kwh[0]
    assert moved[:250].mean() > 0.9
    assert not moved[250:].any()
