"""Readings as they come in: once each, however late, often and mixed."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from fairmeter.store import FormerReading, Sender
from fairmeter.store.readings import BadReading, IngestionResult
from tests.builders.examples import fewer

DAY = datetime(2026, 11, 1)
NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def day(number: int, client_id: str = "c-1", kwh: float = 1.0) -> tuple:
    return client_id, DAY + timedelta(days=number), kwh


def test_readings_are_kept_by_client_and_time(store):
    arrived = store.add_readings([day(0, "b", 2.5), day(0, "a"), day(-1, "a", 0.5)], NOW)
    assert arrived == IngestionResult(3, 0, 0, 1, 1, ("a", "b"))
    kept = store.readings_of(["a", "b", "nobody"])
    assert kept["client_id"].tolist() == ["a", "a", "b"]
    assert kept["consumption_kwh"].tolist() == [0.5, 1.0, 2.5]
    assert kept["read_at"].tolist() == [DAY - timedelta(days=1), DAY, DAY]
    assert kept["read_at"].dtype == np.dtype("datetime64[s]")
    assert store.readings_of(["a"], since=DAY)["consumption_kwh"].tolist() == [1.0]
    assert store.readings_of(["nobody"])["read_at"].dtype == np.dtype("datetime64[s]")


def test_what_comes_twice_is_counted_and_kept_once(store):
    rows = [day(0), day(0), day(1)]
    assert store.add_readings(rows, NOW) == IngestionResult(2, 1, 0, 0, 0, ("c-1",))
    assert store.add_readings(rows, NOW) == IngestionResult(0, 3, 0, 0, 0, ())
    assert store.count_readings() == 2


def test_a_later_value_of_a_moment_replaces_the_former_which_is_kept_with_who_sent_the_later_one(store):
    store.add_readings([day(0, kwh=0.0), day(1, kwh=5.0), day(2)], NOW)
    rows = [day(0, kwh=9.0), day(1, kwh=6.0), day(1, kwh=5.0), day(2), day(3), day(3, kwh=3.0)]
    arrived = store.add_readings(rows, LATER, Sender("anna", "MQTT"))
    assert arrived == IngestionResult(1, 1, 4, 0, 0, ("c-1",))
    assert store.readings_of(["c-1"])["consumption_kwh"].tolist() == [9.0, 5.0, 1.0, 3.0]
    assert store.former_readings_of("c-1") == [FormerReading(DAY, 0.0, NOW, LATER, "anna", "MQTT")]


def test_what_a_reading_states_besides_its_consumption_is_kept_and_a_later_version_keeps_the_former(store):
    rows = [
        (*day(0), 15.0, 0.25, "estimated"),
        (*day(1, kwh=7.0), 60, None, "missing"),
        (*day(2), None, None, "actual"),
    ]
    store.add_readings(rows, NOW)
    kept = store.readings_of(["c-1"])
    assert repr(kept["consumption_kwh"].tolist()) == "[1.0, nan, 1.0]"
    assert repr(kept["minutes"].tolist()) == "[15.0, 60.0, nan]"
    assert repr(kept["export_kwh"].tolist()) == "[0.25, nan, nan]"
    assert kept["is_estimated"].tolist() == [True, False, False]
    assert store.add_readings([*rows, day(2)], NOW).n_duplicate == 4
    assert store.add_readings([day(0, kwh=2.0)], LATER, Sender("anna", "MQTT")).n_differing == 1
    former = FormerReading(DAY, 1.0, NOW, LATER, "anna", "MQTT", 15.0, 0.25, "estimated")
    assert store.former_readings_of("c-1") == [former]
    store.delete_readings("c-1", DAY + timedelta(days=1), DAY + timedelta(days=2), "anna", "a test", LATER)
    assert store.former_readings_of("c-1")[0][-3:] == (60.0, None, "missing")


def test_an_estimate_replaces_no_actual_reading_in_whichever_order_they_come(store):
    actual, estimated = [day(0, kwh=5.0)], [(*day(0, kwh=9.0), None, None, "estimated")]
    store.add_readings(actual, NOW)
    assert store.add_readings(estimated, LATER) == IngestionResult(0, 0, 1, 0, 0, ())
    store.add_readings([*estimated, (*day(1), None, None, "estimated"), day(1, kwh=3.0)], LATER)
    assert store.readings_of(["c-1"])["consumption_kwh"].tolist() == [5.0, 3.0]


def test_late_and_out_of_order_readings_are_counted(store):
    assert store.add_readings([day(0), day(-1), day(-2)], NOW) == IngestionResult(3, 0, 0, 2, 2, ("c-1",))
    assert store.add_readings([day(-3), day(1)], NOW) == IngestionResult(2, 0, 0, 1, 1, ("c-1",))
    assert store.add_readings([], NOW) == IngestionResult(0, 0, 0, 0, 0, ())


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (("", DAY, 1.0), "client_id is ''"),
        (("a\0", DAY, 1.0), "without NUL"),
        (("a", DAY, float("nan")), "leave out missing readings"),
        (("a", DAY.replace(tzinfo=UTC), 1.0), "without a zone"),
        (("a", DAY, None), "call their quality missing"),
        (("a", DAY, 1.0, 0.0), "length of the interval"),
        (("a", DAY, 1.0, None, -1.0), "what was fed in"),
        (("a", DAY, 1.0, None, None, "guessed"), "write actual, estimated or missing"),
    ],
)
def test_a_bad_reading_is_named_and_nothing_is_kept(store, row, told):
    with pytest.raises(BadReading, match=told) as raised:
        store.add_readings([day(0), row], NOW)
    assert raised.value.index == 1
    assert store.count_readings() == 0


@fewer(10, suppress_health_check=list(HealthCheck))  # an example is several transactions
@given(st.data())
def test_the_order_and_the_parts_they_come_in_do_not_matter(store, data):
    client_id = str(uuid4())  # of this example alone
    rows = [day(i, client_id, i / 4) for i in range(12)]
    shuffled, cut = data.draw(st.permutations(rows)), data.draw(st.integers(0, 12))
    counts = [store.add_readings(part, NOW) for part in (shuffled[:cut], shuffled[cut:], rows)]
    assert sum(arrived.n_new for arrived in counts) == 12
    assert counts[2].n_duplicate == 12
    kept = store.readings_of([client_id])
    assert list(zip(kept["client_id"], kept["read_at"].tolist(), kept["consumption_kwh"], strict=True)) == rows
