"""Distances by hand; DBSCAN on a few places by hand and on many against scikit-learn."""

import numpy as np
import pytest
from sklearn.cluster import DBSCAN

from fairmeter.core.geo import METRES_PER_DEGREE, NOISE, dbscan, distance, to_metres

STEP = 100 / METRES_PER_DEGREE  # 100 m in degrees of latitude
HERE = 36.0, 10.0


def along(*hundreds):
    """Places on a line to the north of HERE. [hundreds of metres]"""
    return HERE[0] + np.array(hundreds, float) * STEP, np.full(len(hundreds), HERE[1])


@pytest.mark.parametrize(
    ("hundreds", "found"),
    [
        ((), []),
        ((0,), [NOISE]),
        ((0, 1, 2), [0, 0, 0]),  # only the middle one is a core; the others are its edge
        ((0, 2, 4), [NOISE] * 3),
        ((5, 5, 5), [0, 0, 0]),
        ((9, 0, 1, 2, 3, 20, 21, 22), [NOISE, 0, 0, 0, 0, 1, 1, 1]),
        ((20, 21, 22, 0, 1, 2, 3), [1, 1, 1, 0, 0, 0, 0]),
    ],
)
def test_clusters_of_a_few_places(hundreds, found):
    assert dbscan(*along(*hundreds), 101.0, 3).tolist() == found


def test_distances_are_great_circles():
    assert distance(0, 0, 0, 1) == pytest.approx(METRES_PER_DEGREE, rel=1e-3)
    assert distance(36, 10, 36, 10) == 0


def test_degrees_of_longitude_are_shorter_to_the_north():
    latitude, longitude = np.full(2, 60.0), np.array([10.0, 10.0 + 1.9 * STEP])
    assert dbscan(latitude, longitude, 100.0, 2).tolist() == [0, 0]
    assert dbscan(np.zeros(2), longitude, 100.0, 2).tolist() == [NOISE, NOISE]


@pytest.mark.parametrize("radius", [60.0, 150.0, 400.0])
@pytest.mark.parametrize("min_places", [2, 4, 9])
def test_clusters_equal_those_of_scikit_learn(radius, min_places):
    draw = np.random.default_rng(7)
    middles = draw.uniform(0, 40, (12, 2))
    places = (
        HERE
        + STEP
        * np.r_[draw.uniform(0, 40, (150, 2)), (middles[:, None] + draw.normal(0, 0.7, (12, 25, 2))).reshape(-1, 2)]
    )
    model = DBSCAN(eps=radius, min_samples=min_places).fit(np.c_[to_metres(*places.T)])
    found = dbscan(*places.T, radius, min_places)
    # A place at the edge of two clusters belongs to the one found first, so only cores are compared.
    core = model.core_sample_indices_
    pairs = {(a, b) for a, b in zip(model.labels_[core], found[core], strict=True)}
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs}) > 0
    assert ((found == NOISE) == (model.labels_ == NOISE)).all()


def test_clusters_do_not_depend_on_the_order_of_the_places():
    draw = np.random.default_rng(3)
    places = HERE + STEP * draw.normal(0, 8, (300, 2))
    shuffled = draw.permutation(300)
    found, again = dbscan(*places.T, 120.0, 4), dbscan(*places[shuffled].T, 120.0, 4)
    assert ((found == NOISE)[shuffled] == (again == NOISE)).all()
    assert sorted(np.bincount(found + 1)) == sorted(np.bincount(again + 1))
