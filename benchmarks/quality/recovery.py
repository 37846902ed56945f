"""Energy at stake and onset of detected simulated thefts, compared with the simulation's truth.

    python -m benchmarks.quality.recovery    writes benchmarks/results/recovery.json; minutes, small members
    python -m benchmarks.quality.recovery --clients 800 --out recovery.json

In:  two utilities of fairmeter/simulation/utility.py without smart meters, and two with them. The first of each pair is
     for training, by its truth. The second is scored as of the day before each thief was caught; its other clients are
     scored on days sampled from the thieves'.
Out: of suspected thieves who still steal on the last day: how often the estimate lies within a factor of two of the
     energy not registered in the billable months, how often the range holds it, and how often the onset lies within 60
     days of the true one.

Figures on simulated clients show that the code works, and nothing about real thieves.
"""

import argparse
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console

from benchmarks.quality import simulated
from fairmeter.core.environment import configure_numeric_libraries
from fairmeter.core.types import RecoveryEstimate, Table
from fairmeter.data.daily import DailyConsumption
from fairmeter.evaluation import model_evaluation
from fairmeter.evaluation.metrics import share_estimate
from fairmeter.features.invoices.matrix import FEATURE_NAMES, client_features
from fairmeter.features.invoices.series import InvoiceSeries
from fairmeter.features.readings.covariates import Covariates
from fairmeter.models.ensemble import probability_of
from fairmeter.models.peer_groups import PeerGroups
from fairmeter.models.reading_model import onset_day, reading_matrix
from fairmeter.planning.recovery import BILLABLE_MONTHS, monthly_from_invoices, recovery_estimates, steps_since_fall
from fairmeter.simulation import thefts as thieves
from fairmeter.simulation import utility
from fairmeter.simulation.billing import FIRST_MONTH, MONTHS
from fairmeter.training.dataset import PROSPECTIVE
from fairmeter.training.ensemble_fitting import fit_ensemble
from fairmeter.training.invoice_pipeline import ensemble_config
from fairmeter.training.options import PROMISED_PRECISION
from fairmeter.training.validation.readings import train_on_labels

OUT = Path(__file__).resolve().parents[1] / "results" / Path(__file__).with_suffix(".json").name
SEEDS, FRAUD_RATE = (101, 202), 0.1
LEAST_KWH = 1.0  # a smaller loss counts as none
NEAR_DAYS = 60


class Thefts(NamedTuple):
    """One row a theft: its client's row, onset, when it is caught [days since 1970, inf: never], kWh lost by month."""

    row: np.ndarray
    onset: np.ndarray
    ended: np.ndarray
    lost: np.ndarray

    def lost_until(self, last: np.ndarray) -> np.ndarray:
        """kWh not registered in the months that may be billed before each client's last day."""
        month = (np.nan_to_num(last[self.row]).astype(np.int64).astype("M8[D]").astype("M8[M]") - FIRST_MONTH).astype(
            int
        )
        back = month[:, None] - MONTHS
        return (self.lost * ((back >= 0) & (back < BILLABLE_MONTHS))).sum(axis=1)


def utility_of(n: int, seed: int, has_readings: bool) -> tuple[list[Table], Thefts]:
    """The tables, and the thefts with the energy of each; the simulation itself returns shares only."""
    taken, original = [], thieves.lost_share

    def recorded(kwh: np.ndarray, registered: np.ndarray, thefts: Table, services: Table) -> np.ndarray:
        of = thefts["service"]
        is_billed = (services["start"][of][:, None] <= MONTHS) & (services["end"][of][:, None] > MONTHS)
        taken.append((kwh - registered)[of] * (thieves.stolen_share(thefts) > 0) * is_billed)
        return original(kwh, registered, thefts, services)

    thieves.lost_share = recorded
    try:
        tables = utility.simulate_blocks(n, seed, FRAUD_RATE, has_readings)
    finally:
        thieves.lost_share = original
    clients, _, thefts = tables[:3]
    row_of = {client_id: row for row, client_id in enumerate(clients["client_id"])}
    ended = thefts["ended_on"].astype("M8[D]")
    return tables, Thefts(
        np.array([row_of[client_id] for client_id in thefts["client_id"]]),
        thefts["onset_on"].astype("M8[D]").astype(np.float64),
        np.where(np.isnat(ended), np.inf, ended.astype(np.float64)),
        np.concatenate(taken),
    )


# --- invoices alone ---------------------------------------------------------------------------------------------------


def as_of_the_catch(tables: list[Table], thefts: Thefts, seed: int) -> tuple[Table, Table, np.ndarray]:
    """Clients, invoices until each one's day, and a mask of the thieves."""
    clients, invoices = tables[:2]
    rng, n = np.random.default_rng(seed), len(clients["client_id"])
    until = rng.choice(thefts.ended, n)
    until[thefts.row] = thefts.ended
    is_before = invoices["invoice_on"].astype("M8[D]").astype(np.float64) <= until[invoices["client"]]
    steals = np.zeros(n)
    steals[thefts.row] = 1.0
    return clients, {name: column[is_before] for name, column in invoices.items()}, steals


def of_invoices(n: int) -> dict:
    (training, training_thefts), (scored, thefts) = (utility_of(n, seed, has_readings=False) for seed in SEEDS)
    clients, invoices, steals = as_of_the_catch(training, training_thefts, SEEDS[0])
    evidence = client_features(clients, invoices)
    known = evidence.n_records > 0
    fitted = fit_ensemble(evidence.of(known), steals[known], ensemble_config(PROSPECTIVE, quick=True), SEEDS[0])
    threshold = model_evaluation.best_threshold(steals[known], fitted.probability)
    clients, invoices, steals = as_of_the_catch(scored, thefts, SEEDS[1])
    evidence = client_features(clients, invoices)
    suspected = (evidence.n_records > 0) & (fitted.ensemble.probability(evidence) >= threshold)
    found = recovery_estimates(clients, invoices, fitted.ensemble.inputs.peers)
    course, period = monthly_from_invoices(InvoiceSeries.from_tables(clients, invoices))
    onset = course.day_of(steps_since_fall(course) + period / 4)
    first = course.day_of((~np.isnan(course.kwh)).sum(axis=1))
    return compared(thefts, suspected, found, onset, first, course.last_day)


# --- readings ---------------------------------------------------------------------------------------------------------


def of_readings(n: int) -> dict:
    training, scored = (utility_of(n, seed, has_readings=True) for seed in SEEDS)
    truth = simulated.truth_of(utility.Utility(*training[0]))
    kinds = np.isin(truth.kind, [simulated.BEFORE, simulated.ELSE])
    label = np.where(kinds, np.nan, truth.kind != simulated.HONEST).astype(float)
    theft_share = float(np.nanmean(label))
    outcome = train_on_labels(truth.days, label, theft_share, PROMISED_PRECISION, 1, SEEDS[0], True, lambda _: None)
    (clients, invoices, _, readings, *_), thefts = scored
    days = DailyConsumption.from_readings(readings, len(clients["client_id"]))
    evidence = reading_matrix(days, outcome.model.networks, Covariates.from_consumption(days))
    score = probability_of(outcome.model.log_ratio(evidence) + np.log(theft_share / (1.0 - theft_share)))
    onset = onset_day(evidence)
    peers = PeerGroups.fit(client_features(*training[0][:2]).features, FEATURE_NAMES)
    found = recovery_estimates(clients, invoices, peers, days, onset)
    first, last = (pick(days.day.astype(np.float64)) for pick in (days.segments.first, days.segments.last))
    return compared(thefts, score >= outcome.thresholds["threshold"], found, onset, first, last)


# --- the comparison ---------------------------------------------------------------------------------------------------


def compared(
    thefts: Thefts,
    suspected: np.ndarray,
    found: list[RecoveryEstimate | None],
    onset: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
) -> dict:
    """Estimates and onsets of the detected thieves against the truth. [first, last: days known of each client]"""
    true = thefts.lost_until(last)
    goes_on = (thefts.ended >= last[thefts.row]) & (thefts.onset < last[thefts.row]) & (true >= LEAST_KWH)
    is_found = goes_on & suspected[thefts.row]
    rows, true = thefts.row[is_found], true[is_found]
    estimates = np.array(
        [(np.nan,) * 3 if found[r] is None else (found[r].low_kwh, found[r].kwh, found[r].high_kwh) for r in rows]
    )
    low, middle, high = estimates.T
    begins = thefts.onset[is_found] > first[rows]
    near = np.abs(onset[rows] - thefts.onset[is_found]) <= NEAR_DAYS
    return {
        "thieves": int(goes_on.sum()),
        "detected": len(rows),
        "without_estimate": int(np.isnan(middle).sum()),
        "within_factor_of_two": share_estimate(((middle >= true / 2) & (middle <= true * 2)).sum(), len(rows)),
        "in_range": share_estimate(((low <= true) & (true <= high)).sum(), len(rows)),
        "estimated_of_all_energy": float(np.nansum(middle) / true.sum()),
        "began_within_the_data": int(begins.sum()),
        "onset_within_60_days": share_estimate((near & begins).sum(), begins.sum()),
        "onset_within_60_days_of_all": share_estimate(near.sum(), len(rows)),
    }


def main() -> None:
    configure_numeric_libraries()
    parser = argparse.ArgumentParser(prog="recovery.py", description="Estimated energy and onset against the truth.")
    parser.add_argument("--clients", type=int, default=8000, help="of each utility (8,000)")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    console = Console(highlight=False)
    with console.status("Invoices") as status:
        figures = {"clients": options.clients, "seeds": SEEDS, "invoices": of_invoices(options.clients)}
        status.update("Readings")
        figures["readings"] = of_readings(options.clients)
    options.out.write_text(json.dumps(figures, indent=1) + "\n")
    console.print_json(json.dumps(figures))


if __name__ == "__main__":
    main()
