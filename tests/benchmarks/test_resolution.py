"""The benchmark of rounding: values are rounded as a meter would, and the rule is left out only meanwhile."""

import numpy as np

from benchmarks.quality import resolution
from fairmeter.features.readings import matrix
from tests.builders.readings import days_of


def test_days_are_rounded_to_whole_steps():
    days = days_of([[1.234, 5.678, np.nan]])
    np.testing.assert_allclose(resolution.rounded(days, 10.0).kwh, [1.2, 5.7, np.nan])


def test_values_stand_as_they_are_only_meanwhile():
    rule, days = matrix.without_rounding, days_of([[1.0, 2.0, 4.0, 3.0]])
    with resolution.as_they_stand():
        assert matrix.without_rounding(days) is days
    assert matrix.without_rounding is rule
