"""Rows to fill a store with."""

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np

from fairmeter.casework.alert_rules import AlertRules, read_rules
from fairmeter.core.types import (
    INSUFFICIENT_HISTORY,
    EnergyBalance,
    HarmlessCause,
    QualityFlag,
    Reason,
    RecoveryEstimate,
    Score,
)
from fairmeter.store import Store

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)  # a Monday


def score_of(client_id: str = "c-1", probability: float | None = 0.7, severity: str = "high", **given) -> Score:
    """A score with something in every field; what is given instead."""
    whole = {
        "client_id": client_id, "probability": probability, "threshold": 0.5, "typical": 0.05,
        "severity": INSUFFICIENT_HISTORY if probability is None else severity, "onset_on": "2026-03-01",
        "reasons": (
            Reason("fall in consumption", 0.2, "Electricity fell 62 % after March 2026."),
            Reason("tariff", -0.1, "One tariff, as usual."),
        ),
        "quality": (QualityFlag("short_history", 1, "Less than a year: 1."),),
        "explanations": (HarmlessCause("vacant home", "does not fit", "Consumption went on."),),
        "recovery": RecoveryEstimate(1000.0, 500.0, 2000.0, 12.0, "Own level of the year before."),
        "recommendation": "next round",
    }  # fmt: skip
    return Score(**whole | given)


UNJUDGED = {"lost_share": None, "low_share": None, "high_share": None, "before_share": None, "since_on": None}


def a_balance(transformer_id="t-1", lost_kwh=90.0, **changes):
    """A tenth of a thousand kWh lost, half of it in the second week."""
    whole = {
        "transformer_id": transformer_id, "until_on": date(2026, 10, 31), "n_clients": 20, "n_read": 19, "n_days": 88,
        "delivered_kwh": 900.0, "losses_kwh": 30.0, "registered_kwh": 770.0, "estimated_kwh": 10.0,
        "lost_kwh": lost_kwh, "lost_share": lost_kwh / 900.0, "low_share": 0.08, "high_share": 0.12,
        "before_share": 0.01, "since_on": date(2026, 9, 7), "region": 101.0, "latitude": 36.5, "longitude": 10.5,
        "weeks_from": date(2026, 8, 31), "delivered_weeks": (70.0, 80.5, None), "lost_weeks": (0.0, 7.5, None),
    }  # fmt: skip
    return EnergyBalance(**whole | changes)


def shipped_rules() -> AlertRules:
    return read_rules(ROOT / "data" / "alerts.toml")


def write(store: Store, *scores: Score, **given):
    """A run of these scores by the rules that are delivered."""
    given = {"rules": shipped_rules(), "scored_at": NOW} | given
    return store.write_run(scores or [score_of()], "2026.11.1", **given)


def clients_of(**columns) -> dict:
    """A table of clients from lists."""
    types = {"client_id": object, "created_on": "datetime64[D]", "transformer_id": object}
    return {name: np.array(values, dtype=types.get(name, np.float64)) for name, values in columns.items()}
