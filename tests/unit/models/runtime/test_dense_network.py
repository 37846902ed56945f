"""Scaled input of a dense network: informative columns around 0, bounded outliers, and masks of missing values."""

import numpy as np
import pytest

from fairmeter.models.runtime.dense_network import BEND, DenseNetwork, InputScaler

N = 1_000


@pytest.fixture(scope="module")
def inputs():
    """Usual; the same for all but one; missing to a tenth; to nine in ten; to all; a flag of one in fifty."""
    rng = np.random.default_rng(1)
    columns = rng.normal(50.0, 4.0, (N, 6)).astype(np.float32)
    columns[:, 1], columns[0, 1] = 3.0, 9.0
    columns[: N // 10, 2], columns[N // 10 :, 3], columns[:, 4] = np.nan, np.nan, np.nan
    columns[:, 5] = np.arange(N) % 50 == 0
    return columns


@pytest.fixture(scope="module")
def scaling(inputs):
    return InputScaler.fit(inputs)


def test_columns_that_few_clients_have_or_that_hardly_vary_are_left_out(scaling):
    np.testing.assert_array_equal(scaling.columns, [0, 2, 5])
    np.testing.assert_array_equal(scaling.columns[scaling.masked], [2])


def test_the_usual_client_is_0_and_a_quartile_has_the_same_scale_in_every_column(inputs, scaling):
    first, middle, third = np.nanquantile(inputs[:, 0], (0.25, 0.5, 0.75))
    row = np.array([[middle, 0, np.nan, 0, 0, 0], [third, 0, np.nan, 0, 0, 1]], np.float32)
    seen = scaling.transform(row)
    off = (third - middle) / (third - first)
    np.testing.assert_allclose(seen[:, 0], [0.0, off / (1.0 + off / BEND)], rtol=1e-5)
    np.testing.assert_array_equal(seen[:, 1:], [[0.0, 0.0, 1.0], [0.0, np.float32(6.0 / (1.0 + 6.0 / BEND)), 1.0]])


def test_no_value_is_squashed_beyond_the_bound_and_more_stays_more(scaling):
    largest = np.finfo(np.float32).max
    values = np.array([-largest, -1e9, 0.0, 49.0, 51.0, 1e2, 1e4, largest], np.float32)
    seen = scaling.transform(np.repeat(values[:, None], 6, axis=1))
    assert np.isfinite(seen).all()
    assert (np.abs(seen) <= BEND).all()
    assert (np.diff(seen[1:-1, 0]) > 0).all()


def test_a_network_runs_on_the_scaled_input(inputs, scaling):
    """One layer that adds the scaled third column and the mask of the second."""
    kernel = np.array([[0.0], [0.0], [1.0], [10.0]], np.float32)
    network = DenseNetwork.from_fits(scaling, [[(kernel, np.array([2.0], np.float32))]])
    seen = scaling.transform(inputs)
    np.testing.assert_allclose(network.values(inputs), seen[:, 2] + 10.0 * np.isnan(inputs[:, 2]) + 2.0, rtol=1e-6)
