"""Labels and hit rates from inspections."""

from datetime import UTC, date, datetime

import pytest

from fairmeter.casework import hit_rates as outcomes
from fairmeter.casework.hit_rates import hit_rates, hit_rates_by_pattern, inspection_labels
from fairmeter.casework.types import Inspection

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)


def visit(number: int, outcome: str, client_id: str = "c-1", day: int = 2, **given) -> Inspection:
    return Inspection(
        number, number, client_id, date(2026, 11, day), outcome, "ana", recorded_at=NOW, **{"is_random": False, **given}
    )


def test_only_confirmed_and_cleared_give_labels():
    visits = [
        visit(i, outcome, f"c-{i}")
        for i, outcome in enumerate(("confirmed", "cleared", "fault", "no_access", "refused"))
    ]
    assert [(label.client_id, label.label) for label in inspection_labels(visits)] == [("c-0", 1), ("c-1", 0)]


def test_the_newest_conclusive_visit_gives_the_label():
    newer = visit(2, "confirmed", day=5, is_random=True, probability=0.4)
    visits = [visit(3, "no_access", day=9), newer, visit(1, "cleared", day=2)]
    assert inspection_labels(visits) == [("c-1", 1, date(2026, 11, 5), True, 0.4)]


def test_hit_rates_count_visits_with_the_meter_seen_and_keep_random_ones_apart():
    visits = [visit(1, "confirmed"), visit(2, "cleared"), visit(3, "no_access"), visit(4, "cleared", is_random=True)]
    chosen, random = hit_rates(visits, outcomes.overall)
    assert chosen[:6] == ("all", False, 3, 2, 1, 1 / 2)
    assert random[:6] == ("all", True, 1, 1, 0, 0.0)
    # (k + z²/2 ± z √(k (n - k)/n + z²/4)) / (n + z²) with z = 1.96 and n = 2, by hand
    assert (chosen.low, chosen.high) == pytest.approx((0.0945, 0.9055), abs=1e-4)


def test_a_week_begins_on_its_monday():
    visits = [visit(1, "confirmed", day=1), visit(2, "cleared", day=2), visit(3, "cleared", day=8)]
    assert [(rate.group, rate.n_inspected) for rate in hit_rates(visits, outcomes.week)] == [
        (date(2026, 10, 26), 1),
        (date(2026, 11, 2), 2),
    ]


def test_groups_are_sorted_and_none_is_last():
    visits = [visit(i, "cleared", region=code) for i, code in enumerate((None, 103.0, 101.0))]
    assert [rate.group for rate in hit_rates(visits, outcomes.region)] == [101.0, 103.0, None]
    named = [visit(i, "cleared", reason_group=group) for i, group in enumerate(("tariff", None, "fall"))]
    assert [rate.group for rate in hit_rates(named, outcomes.reason_group)] == ["fall", "tariff", None]


def test_where_no_meter_was_seen_there_is_no_hit_rate():
    (rate,) = hit_rates([visit(1, "no_access"), visit(2, "refused")], outcomes.overall)
    assert rate == ("all", False, 2, 0, 0, None, None, None)


def test_a_visit_counts_for_its_crew_and_for_each_of_its_patterns():
    visits = [
        visit(1, "confirmed", crew="North", patterns=("gradual change", "sudden spike")),
        visit(2, "cleared", patterns=("sudden spike",)),
    ]
    assert [rate.group for rate in hit_rates(visits, outcomes.crew)] == ["North", "ana"]
    assert [(rate.group, rate.hit_rate) for rate in hit_rates_by_pattern(visits)] == [
        ("gradual change", 1.0),
        ("sudden spike", 0.5),
    ]
