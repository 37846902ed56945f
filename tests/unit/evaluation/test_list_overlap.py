"""How much of a list stays: worked by hand."""

import pytest

from fairmeter.evaluation.stability import LONGEST, TOPS, stability

MANY = [f"c-{i}" for i in range(2 * LONGEST)]


def test_the_same_list_stays_whole_at_every_length():
    assert stability(MANY, MANY) == [{"k": k, "n_both": k, "jaccard": 1.0} for k in TOPS]


def test_another_list_has_nothing_in_common():
    assert {row["jaccard"] for row in stability(MANY, MANY[::-1])} == {0.0}


def test_half_of_fifty_new_is_a_third_by_jaccard():
    now = MANY[:25] + MANY[1000:]
    (first, *_) = stability(now, MANY)
    assert (first["n_both"], first["jaccard"]) == (25, pytest.approx(25 / 75))


def test_order_within_the_first_k_does_not_matter():
    assert stability(MANY[:50][::-1], MANY[:50])[0]["jaccard"] == 1.0


def test_short_lists_are_compared_by_the_shorter_one_and_nothing_with_nothing():
    assert stability(["a", "b", "c"], ["a", "x"]) == [{"k": 2, "n_both": 1, "jaccard": pytest.approx(1 / 3)}]
    assert stability([], ["a"]) == []
