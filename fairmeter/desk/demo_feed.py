"""Readings of the demonstration that keep coming, so that the data feed has something to show.

In:  a store with the demonstration's recent readings; what says that it is over.
Out: a reading of one meter every few seconds, as if a quarter of an hour had just ended.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from fairmeter.store import Store

SLOT = timedelta(minutes=15)
EVERY = 7.0  # seconds; 120 meters then take a quarter of an hour
N_METERS = 120
SEED = 1
HOURS_A_DAY = 24


def feed(store: Store, zone: ZoneInfo, is_over: Callable[[], bool], wait: Callable[[float], object]) -> int:
    """Store a reading every few seconds until it is over; the number stored. Raises StoreError."""
    hourly = usual_hours(store)
    rng, n = np.random.default_rng(SEED), 0
    while hourly and not is_over():
        client_id = list(hourly)[n % len(hourly)]
        now = datetime.now(UTC)
        kwh = round(hourly[client_id] * rng.uniform(0.1, 0.4), 3)
        store.add_readings([(client_id, slot_before(now.astimezone(zone).replace(tzinfo=None)), kwh)], now)
        n += 1
        wait(EVERY)
    return n


def usual_hours(store: Store) -> dict[str, float]:
    """The use in an hour of meters that sent lately, by client id. [kWh; a reading of a day counts as 24 hours]"""
    found = {}
    for batch in store.newest_batches(N_METERS):
        is_daily = batch.last_at.hour == 0 and batch.first_at.hour == 0
        found.setdefault(batch.client_id, batch.kwh / max(batch.n_readings, 1) / (HOURS_A_DAY if is_daily else 1))
    return found


def slot_before(local: datetime) -> datetime:
    """The beginning of the last whole quarter of an hour. [local time]"""
    return local.replace(minute=local.minute // 15 * 15, second=0, microsecond=0) - SLOT
