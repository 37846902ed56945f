"""Deviations from peers, worked by hand: small groups use the median of all clients, missing values stay missing."""

import numpy as np
import pytest

from fairmeter.models.peer_groups import MIN_PEERS, PEER_FEATURES, PeerGroups

NAMES = ("region", "category", *PEER_FEATURES)
LEVEL = NAMES.index("elec_level_mean")


def clients(levels, region=103.0, category=11.0):
    """Clients of one region and category with these mean levels and no other feature."""
    features = np.full((len(levels), len(NAMES)), np.nan, dtype=np.float32)
    features[:, :2] = region, category
    features[:, LEVEL] = levels
    return features


def deviations(peers, features):
    """Deviations of the mean level."""
    return peers.deviations(features)[:, PEER_FEATURES.index("elec_level_mean")].tolist()


def test_a_client_is_compared_with_the_median_of_its_region_and_category():
    here, there = clients(np.arange(1, 32)), clients(np.arange(101, 132), region=104.0)
    peers = PeerGroups.fit(np.concatenate([here, there]), NAMES)
    assert deviations(peers, clients([20, 10])) == [4, -6]  # the median of 1..31 is 16
    assert deviations(peers, clients([120], region=104.0)) == [4]


def test_categories_of_one_region_are_separate_groups():
    homes, works = clients(np.arange(1, 32)), clients(np.arange(101, 132), category=51.0)
    peers = PeerGroups.fit(np.concatenate([homes, works]), NAMES)
    assert deviations(peers, clients([116], category=51.0)) == [0]


@pytest.mark.parametrize("region", [104.0, 999.0, np.nan], ids=["few peers", "never seen", "not known"])
def test_a_client_with_too_few_peers_is_compared_with_all_clients(region):
    few = clients(np.full(MIN_PEERS - 1, 1000.0), region=104.0)
    peers = PeerGroups.fit(np.concatenate([clients(np.full(41, 50.0)), few]), NAMES)
    assert deviations(peers, clients([60], region=region)) == [10]


def test_clients_without_a_region_are_peers_of_each_other():
    lost = clients(np.full(MIN_PEERS, 7.0), region=np.nan)
    peers = PeerGroups.fit(np.concatenate([clients(np.full(99, 50.0)), lost]), NAMES)
    assert deviations(peers, clients([9], region=np.nan)) == [2]


def test_without_a_large_enough_group_all_clients_are_compared_with_all():
    peers = PeerGroups.fit(clients(np.arange(1, MIN_PEERS)), NAMES)
    assert deviations(peers, clients([20])) == [20 - MIN_PEERS / 2]


def test_missing_values_stay_missing_and_do_not_change_the_median():
    peers = PeerGroups.fit(clients([*np.arange(1, 32), *[np.nan] * 9]), NAMES)
    assert deviations(peers, clients([17])) == [1]
    assert np.isnan(deviations(peers, clients([np.nan]))).all()


def test_a_feature_that_no_peer_has_is_its_own_deviation():
    peers = PeerGroups.fit(clients(np.full(MIN_PEERS, np.nan)), NAMES)
    assert deviations(peers, clients([3])) == [3]


def test_deviations_do_not_depend_on_other_clients_or_their_order():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, len(NAMES))).astype(np.float32)
    features[:, 0], features[:, 1] = rng.integers(100, 103, 200), rng.integers(11, 13, 200)
    shuffled = rng.permutation(200)
    together = PeerGroups.fit(features, NAMES).deviations(features)
    peers = PeerGroups.fit(features[shuffled], NAMES)
    np.testing.assert_array_equal(peers.deviations(features), together)
    np.testing.assert_array_equal(peers.deviations(features[5:6])[0], together[5])
