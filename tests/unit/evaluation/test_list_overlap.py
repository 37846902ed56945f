"""Overlap of two lists, worked by hand."""

import pytest

from fairmeter.evaluation.drift import MAX_OVERLAP_LENGTH, OVERLAP_LENGTHS, list_overlap

MANY = [f"c-{i}" for i in range(2 * MAX_OVERLAP_LENGTH)]


def test_equal_lists_overlap_fully_at_every_length():
    assert list_overlap(MANY, MANY) == [{"k": k, "n_both": k, "jaccard": 1.0} for k in OVERLAP_LENGTHS]


def test_disjoint_lists_do_not_overlap():
    assert {row["jaccard"] for row in list_overlap(MANY, MANY[::-1])} == {0.0}


def test_half_of_fifty_in_both_is_a_third_by_jaccard():
    now = MANY[:25] + MANY[1000:]
    (first, *_) = list_overlap(now, MANY)
    assert (first["n_both"], first["jaccard"]) == (25, pytest.approx(25 / 75))


def test_order_within_the_first_k_does_not_matter():
    assert list_overlap(MANY[:50][::-1], MANY[:50])[0]["jaccard"] == 1.0


def test_short_lists_are_compared_up_to_the_shorter_one():
    assert list_overlap(["a", "b", "c"], ["a", "x"]) == [{"k": 2, "n_both": 1, "jaccard": pytest.approx(1 / 3)}]
    assert list_overlap([], ["a"]) == []
