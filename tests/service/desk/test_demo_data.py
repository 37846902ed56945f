"""What the demonstration brings beside its run: readings as they would have come until now, and drift."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from fairmeter.desk import demo_data, runs
from fairmeter.desk.demo_data import DriftHooks, SimulatedMeter, add_recent_readings, meters_of
from fairmeter.desk.service import DeskService
from fairmeter.scoring.client_tables import ClientTables
from fairmeter.scoring.predictor import Predictor
from fairmeter.simulation.utility import write_zip
from tests.builders.desk import ForDesk
from tests.builders.pages import open_desk, seen
from tests.builders.store import shipped_rules

NOW, ZONE = datetime(2026, 11, 21, 12, 30, tzinfo=UTC), ZoneInfo("Africa/Tunis")
LAST_ON = np.datetime64("2019-08-31T00:00", "m")


def meter(client_id, step, n):
    read_at = LAST_ON + np.arange(1 - n, 1) * np.timedelta64(step, "m")
    return SimulatedMeter(client_id, read_at, np.arange(1.0, n + 1))


HOURLY = meter("h", 60, 24 * 28)._replace(read_at=LAST_ON - 24 * 60 * 27 + np.arange(24 * 28) * np.timedelta64(60, "m"))


def test_a_meter_says_whether_it_counts_hours_or_days():
    assert (HOURLY.is_hourly, meter("d", 1440, 28).is_hourly, meter("one", 1440, 1).is_hourly) == (True, False, False)


def test_readings_are_moved_to_the_weeks_before_now_and_come_after_what_they_count(store):
    add_recent_readings(store, [HOURLY, meter("d", 1440, 28)], NOW, ZONE)
    found = store.readings_of(["h", "d"])
    there = NOW.astimezone(ZONE).replace(tzinfo=None)
    read_at = found["read_at"].tolist()
    assert there - timedelta(weeks=4, days=2) < min(read_at) < max(read_at) < there
    hours = np.unique(found["read_at"][found["client_id"] == "h"].astype("datetime64[h]"))
    assert 27 * 24 <= len(hours) <= 28 * 24
    for batch in store.newest_batches(50):
        lag = batch.received_at.astimezone(ZONE).replace(tzinfo=None) - batch.last_at
        assert timedelta(hours=1) <= lag <= timedelta(hours=35)
        assert NOW - timedelta(weeks=4) < batch.received_at <= NOW


def test_nothing_is_brought_where_nobody_has_a_meter(store):
    add_recent_readings(store, [], NOW, ZONE)
    assert store.count_readings() == 0


def test_of_every_client_the_last_weeks_are_taken():
    read_at = np.array(["2019-01-01", "2019-08-30", "2019-08-31", "2019-08-31"], "datetime64[m]")
    readings = {"client": np.array([0, 0, 0, 2]), "read_at": read_at, "consumption_kwh": np.array([1.0, 2.0, 3.0, 4.0])}
    clients = {"client_id": np.array(["a", "b", "c"], object)}
    found = meters_of(ClientTables(clients, {}, readings, [()] * 3))
    assert [(one.client_id, one.kwh.tolist()) for one in found] == [("a", [2.0, 3.0]), ("c", [4.0])]


@pytest.fixture
def loaded(store, metered_utility, tmp_path):
    """A desk with the demonstration of a small utility."""

    def load(scorer, drifting=None):
        write_zip(tmp_path / "utility.zip", *metered_utility)
        service = DeskService(store, shipped_rules(), runs.Rescorer(scorer), runs.plan_visits)
        assert demo_data.load_demo(service, scorer, tmp_path / "utility.zip", ZONE, drifting)
        return store

    return load


@pytest.mark.nightly
def test_the_live_page_of_the_demonstration_shows_readings_with_scores(loaded):
    store = loaded(ForDesk())
    assert store.newest_batches(1)
    live = seen(open_desk(store).get("/desk/live"))
    assert "No readings have come yet" not in live.text
    assert "at most" in live.text


@pytest.mark.nightly
def test_the_demonstration_measures_drift_by_the_model_that_serves(loaded, metered_model):
    scorer = Predictor(metered_model)
    watch = scorer.drift_monitor()
    store = loaded(scorer, DriftHooks(lambda tables: watch.add(scorer.context(tables)), watch.drift))
    found = store.last_drift().found
    assert set(found["parts"]) == {"invoices", "readings"}
    assert found["parts"]["invoices"]["n_now"] > 100
