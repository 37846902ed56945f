"""Time features of readings against pandas, and one client from its JSON to the score.

In:  a FraudModel with an ensemble on readings; simulated households with as many days as real ones.
Out: the seconds shown by bench.py.
"""

import numpy as np
import pandas as pd

from benchmarks.helpers.bodies import records
from fairmeter.core.types import Table
from fairmeter.data.daily import DailyConsumption
from fairmeter.data.json_records import tables_from_records
from fairmeter.data.readings import readings_from_records
from fairmeter.features.invoices.matrix import client_features
from fairmeter.features.readings.matrix import FEATURE_NAMES, reading_features
from fairmeter.models.fraud_model import FraudModel
from fairmeter.simulation.utility import simulate_utility

__all__ = ["AGGREGATIONS", "FEATURE_NAMES", "bodies_of", "features_of", "households", "judged", "naive_features"]

N_DAYS = 540
N_CLIENTS = 1000
LAST = (7, 30)  # days
AGGREGATIONS = {
    "mean": "mean", "std": "std", "min": "min", "max": "max", "median": "median", "skew": "skew",
    "q10": lambda kwh: kwh.quantile(0.1),
    "q90": lambda kwh: kwh.quantile(0.9),
    "zero_share": lambda kwh: (kwh == 0).mean(),
    "day_to_day": lambda kwh: kwh.diff().abs().mean(),
    "autocorrelation": lambda kwh: kwh.autocorr(7),
    "year_on_year": lambda kwh: kwh.iloc[-28:].mean() / kwh.iloc[-392:-364].mean(),
    **{f"mean_{n}": lambda kwh, n=n: kwh.iloc[-n:].mean() for n in LAST},
    **{f"std_{n}": lambda kwh, n=n: kwh.iloc[-n:].std() for n in LAST},
    **{f"ratio_{n}": lambda kwh, n=n: kwh.iloc[-n:].mean() / kwh.iloc[:-n].mean() for n in LAST},
}  # fmt: skip


def households(seed: int) -> Table:
    """Readings of N_CLIENTS clients with N_DAYS days each: of fewer simulated homes, again and again."""
    readings = simulate_utility(800, seed).readings
    days = DailyConsumption.from_readings(readings, int(readings["client"].max()) + 1)
    long = np.flatnonzero(days.segments.counts >= N_DAYS)
    chosen = np.resize(long, N_CLIENTS)
    rows = np.concatenate([np.arange(end - N_DAYS, end) for end in days.segments.ends[chosen]])
    return {
        "client": np.repeat(np.arange(N_CLIENTS), N_DAYS),
        "read_at": days.day[rows].astype("datetime64[D]").astype("datetime64[m]"),
        "consumption_kwh": days.kwh[rows],
    }


def features_of(readings: Table) -> np.ndarray:
    return reading_features(DailyConsumption.from_readings(readings, N_CLIENTS))


def naive_features(frame: pd.DataFrame) -> pd.DataFrame:
    """18 features a client as a notebook makes them: pandas groupby with lambdas."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return frame.sort_values(["client", "read_at"]).groupby("client")["consumption_kwh"].agg(**AGGREGATIONS)


def bodies_of(readings: Table, n: int) -> list[dict]:
    """What /predict takes, of the first n clients: readings alone."""
    rows = records(
        {"read_at": readings["read_at"].astype("datetime64[D]"), "consumption_kwh": readings["consumption_kwh"]}
    )
    return [{"client_id": f"c-{i}", "readings": rows[i * N_DAYS : (i + 1) * N_DAYS]} for i in range(n)]


def judged(model: FraudModel, body: dict) -> float | None:
    """The score of one client from its parsed JSON."""
    clients, invoices, _ = tables_from_records([{"client_id": body["client_id"]}], [[]])
    readings, quality = readings_from_records([body["readings"]])
    billed, metered = (
        client_features(clients, invoices, model.group_key_names),
        model.features_from_readings(readings, 1),
    )
    return model.score_clients(billed, clients["client_id"], quality, metered)[0].probability
