"""How far clients are from a model's training clients, and whether what it claims of them still holds.

    python -m benchmarks.quality.drift_bound FOLDER          writes benchmarks/results/drift_bound.json; 20 minutes
    python -m benchmarks.quality.drift_bound FOLDER --only readings --out FILE

In:  a folder with archive.zip (STEG), london_daily.parquet and sgcc_jan2014.csv.gz; simulated and invented utilities.
Out: by pair of model and clients: the share of shifted features, their middle PSI, the score's PSI, the ROC-AUC of a
     classifier that tells these clients from the training clients, and in the first 5 % by score the hit rate that the
     probabilities claim and the true one, where labels say it. Random subsets give the highest of DRAWS.

Models are quick ones, fitted on four fifths of the clients (subsets are of the last fifth), or the delivered model.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table as Sheet

from benchmarks.helpers.invented_utilities import UTILITIES
from fairmeter.core import paths
from fairmeter.core.environment import configure_numeric_libraries
from fairmeter.core.segments import Segments
from fairmeter.core.types import FeatureMatrix
from fairmeter.data.daily import DailyConsumption
from fairmeter.data.readings import ReadingTables, read_readings
from fairmeter.evaluation import drift
from fairmeter.evaluation.metrics import roc_auc
from fairmeter.features.invoices.matrix import client_features
from fairmeter.features.readings.covariates import Covariates
from fairmeter.models import model_file
from fairmeter.models.ensemble import Ensemble, probability_of
from fairmeter.models.fraud_model import FraudModel
from fairmeter.models.reading_model import MIN_DAYS, ReadingModel, reading_matrix
from fairmeter.scoring.population_drift import monitored_columns
from fairmeter.simulation.utility import simulate_utility
from fairmeter.training.attacks import AttackedHouseholds, HonestHouseholds, attack_households, split
from fairmeter.training.dataset import PROSPECTIVE, Dataset
from fairmeter.training.ensemble_fitting import fit_ensemble
from fairmeter.training.invoice_pipeline import ensemble_config, read_dataset
from fairmeter.training.member_fitting import fit_xgboost
from fairmeter.training.options import SEED
from fairmeter.training.reading_fitting import (
    QUICK_TRAINING_PLANS,
    Sample,
    fit_labelled,
    make_sample,
    make_training_sets,
    representative_clients,
)
from fairmeter.training.validation.invoices import splits

OUT = Path(__file__).resolve().parents[1] / "results" / Path(__file__).with_suffix(".json").name
SUBSETS, DRAWS = (100, 300, 1000), 20  # clients of a random subset; subsets of each size
MIN_REGION = 300  # clients
MAX_COMPARED = 1500  # clients of each side for the classifier
FIRST = 0.05  # share of the clients on a list
SHORT_MONTHS, SAME_MONTHS = (6, 4, 2), (12, 6, 4)  # of readings
THEFT_SHARE = 0.1  # of the simulated and attacked clients
PARTS = {"invoices", "readings"}


class Reference(NamedTuple):
    """A model's ensemble, the clients that it was fitted on, and what makes its log-odds a probability."""

    name: str
    ensemble: Ensemble
    trained_on: FeatureMatrix
    prior: float = 0.0  # log-odds
    min_records: int = 1  # of a client that it scores


class Clients(NamedTuple):
    """Clients that a model scores. [label: 1, 0, NaN unknown]"""

    name: str
    evidence: FeatureMatrix
    label: np.ndarray


def main(arguments: list[str] | None = None) -> int:
    configure_numeric_libraries()
    parser = argparse.ArgumentParser(prog="drift_bound.py", description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", choices=sorted(PARTS))
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(arguments)
    rows, console = [], Console(highlight=False)
    for part, measure in (("readings", of_readings), ("invoices", of_invoices)):
        if options.only in (None, part):
            for row in measure(options.data):
                rows.append({"part": part} | row)
                console.print_json(json.dumps(rows[-1]), indent=None)
                options.out.write_text(json.dumps({"draws": DRAWS, "rows": rows}, indent=1) + "\n")
    console.print(sheet(rows))
    return 0


# --- figures ----------------------------------------------------------------------------------------------------------


def measured(reference: Reference, clients: Clients) -> dict:
    """All figures of a pair, of the clients with enough records."""
    is_scored = clients.evidence.n_records >= reference.min_records
    ensemble, evidence, label = reference.ensemble, clients.evidence.of(is_scored), clients.label[is_scored]
    matrix = ensemble.inputs.matrix(evidence)
    log_odds = ensemble.log_odds(matrix)
    return {
        "model": reference.name,
        "clients": clients.name,
        "n": len(evidence),
        **distance(ensemble, matrix, log_odds),
        "classifier_roc_auc": told_apart(ensemble, ensemble.inputs.matrix(sampled(reference.trained_on)), matrix),
        **promised_and_true(probability_of(log_odds + reference.prior), label),
    }


def distance(ensemble: Ensemble, matrix: np.ndarray, log_odds: np.ndarray) -> dict:
    """Share of shifted features, middle PSI of the features, PSI of the score."""
    found = drift.compare_columns(ensemble.fingerprint, ensemble.fingerprint.counts(matrix, log_odds))
    columns = monitored_columns(ensemble)
    return {
        "shifted_share": float(np.mean(found["level"][columns] == drift.SHIFTED)),
        "median_psi": float(np.median(found["psi"][columns])),
        "score_psi": float(found["psi"][-1]),
    }


def told_apart(ensemble: Ensemble, training: np.ndarray, scored: np.ndarray) -> float:
    """ROC-AUC of a classifier of training clients and these, fitted on one half of both, on the other half."""
    rng, columns = np.random.default_rng(SEED), monitored_columns(ensemble)
    n = min(MAX_COMPARED, len(training), len(scored))
    sides = [side[rng.permutation(len(side))[:n]][:, columns] for side in (training, scored)]
    rows, side = np.concatenate(sides), np.repeat([0, 1], n)
    is_fitted = np.arange(2 * n) % 2 == 0
    member = fit_xgboost(rows[is_fitted], side[is_fitted], SEED, True)
    return float(roc_auc(side[~is_fitted].astype(np.float64), member.serving.values(rows[~is_fitted])))


def promised_and_true(probability: np.ndarray, label: np.ndarray) -> dict:
    """Hit rate of the first clients as the probabilities claim it and as it is, and the ROC-AUC; {} without labels."""
    known = ~np.isnan(label)
    if not 0 < np.nansum(label) < known.sum():
        return {}
    label, probability = label[known], probability[known]
    first = np.argsort(-probability, kind="stable")[: max(round(FIRST * len(label)), 1)]
    return {
        "theft_share": float(label.mean()),
        "roc_auc": float(roc_auc(label, probability)),
        "claimed_hit_rate": float(probability[first].mean()),
        "true_hit_rate": float(label[first].mean()),
    }


def by_chance(reference: Reference, clients: Clients) -> Iterator[dict]:
    """The highest figures of random subsets of the clients, by size."""
    ensemble, rng = reference.ensemble, np.random.default_rng(SEED)
    matrix = ensemble.inputs.matrix(clients.evidence)
    log_odds = ensemble.log_odds(matrix)
    for size in SUBSETS:
        if size < len(matrix):
            draws = [rng.permutation(len(matrix))[:size] for _ in range(DRAWS)]
            found = [distance(ensemble, matrix[rows], log_odds[rows]) for rows in draws]
            highest = {name: max(each[name] for each in found) for name in found[0]}
            yield {"model": reference.name, "clients": f"{clients.name}, {DRAWS} random subsets", "n": size} | highest


def sampled(evidence: FeatureMatrix, n: int = MAX_COMPARED) -> FeatureMatrix:
    """At most n of the clients, drawn at random."""
    if len(evidence) <= n:
        return evidence
    return evidence.of(np.sort(np.random.default_rng(SEED).permutation(len(evidence))[:n]))


# --- invoices ---------------------------------------------------------------------------------------------------------


def of_invoices(folder: Path) -> Iterator[dict]:
    """The public set's own clients, parts of them and of their histories; other utilities by the delivered model."""
    dataset = read_dataset([folder / "archive.zip"])
    part = splits(dataset, PROSPECTIVE, 5, SEED)[0]
    train = dataset.evidence.of(part.train)
    fitted = fit_ensemble(train, dataset.label[part.train], ensemble_config(PROSPECTIVE, quick=True), SEED)
    public = Reference("STEG, four fifths", fitted.ensemble, sampled(train))
    kept_back = Clients("the last fifth", dataset.evidence.of(part.test), dataset.label[part.test])
    yield measured(public, kept_back)
    yield from by_chance(public, kept_back)
    for clients in regions(dataset, part.test):
        yield measured(public, clients)
    for clients in shorter_histories(dataset, part.test):
        yield measured(public, clients)
    delivered = delivered_model()
    given = Reference("delivered", delivered.invoices, sampled(dataset.evidence.of(dataset.clients(PROSPECTIVE))))
    for name, made in UTILITIES.items():
        utility = made(1000, SEED)
        evidence = client_features(utility.clients, utility.invoices, delivered.group_key_names)
        yield measured(given, Clients(f"invented {name} utility", evidence, utility.is_thief.astype(np.float64)))
    utility = simulate_utility(2000, SEED, THEFT_SHARE)
    evidence = client_features(utility.clients, utility.invoices, delivered.group_key_names)
    has_invoices = evidence.n_records > 0
    yield measured(given, Clients("simulated utility", evidence.of(has_invoices), stealing(utility)[has_invoices]))


def regions(dataset: Dataset, test: np.ndarray) -> Iterator[Clients]:
    """Each region of the kept-back clients that is large enough."""
    region = dataset.column("region")[test]
    for code in np.unique(region[~np.isnan(region)]):
        rows = test[region == code]
        if len(rows) >= MIN_REGION:
            yield Clients(f"of these, region {code:g}", dataset.evidence.of(rows), dataset.label[rows])


def shorter_histories(dataset: Dataset, test: np.ndarray) -> Iterator[Clients]:
    """The kept-back clients as they are with a part of their invoices. [those that have any left]"""
    clients, invoices = dataset.select_clients(test)
    day = invoices["invoice_on"].astype("datetime64[D]").astype(np.int64)
    last = int(np.quantile(day, 0.999))
    middle = np.array([np.median(days) if len(days) else 0 for days in np.split(day, starts(invoices, len(test)))])
    parts = {
        "their last five years": day > last - 5 * 365,
        "their last three years": day > last - 3 * 365,
        "their last year": day > last - 365,
        "the later half of each history": day >= middle[invoices["client"]],
        "until two years before the end": day <= last - 2 * 365,
    }
    for name, kept in parts.items():
        evidence = client_features(clients, {column: values[kept] for column, values in invoices.items()})
        has_invoices = evidence.n_records > 0
        yield Clients(f"of these, {name}", evidence.of(has_invoices), dataset.label[test][has_invoices])


def starts(invoices: dict, n: int) -> np.ndarray:
    """Where each client's invoices start, without the first client's."""
    return np.searchsorted(invoices["client"], np.arange(1, n))


# --- readings ---------------------------------------------------------------------------------------------------------


def of_readings(folder: Path) -> Iterator[dict]:
    """London's own homes, homes of SGCC, and two simulated utilities."""
    london = read_readings(folder / "london_daily.parquet")
    base = HonestHouseholds.from_consumption(consumption(london))
    others, kept_back = split(len(base.kwh), SEED, (0.8, 0.2))
    covariates = Covariates.from_consumption(base.days(others))
    files = make_training_sets(base, others, covariates, QUICK_TRAINING_PLANS, SEED)
    sample = make_sample(files, {})
    is_representative = representative_clients(base, files, THEFT_SHARE, SEED)
    model, _ = fit_labelled(sample, {}, covariates, SEED, True, lambda _: None, is_representative)
    homes = prior_of("London, four fifths", model, sample.evidence.of(is_representative))
    honest = Clients("the last fifth, all honest", features(model, base.days(kept_back)), np.zeros(len(kept_back)))
    yield measured(homes, honest)
    yield from by_chance(homes, honest)
    theirs = HonestHouseholds(base.kwh[kept_back], base.first_day)
    attacked = attack_households(theirs, np.arange(len(kept_back)), SEED, covariates, plan=QUICK_TRAINING_PLANS[0])
    stolen, label = features(model, attacked.days), attacked.label.astype(np.float64)
    yield measured(homes, Clients("of these, half of them stealing", stolen, label))
    yield measured(homes, one_in_ten(model, attacked.days, label, "of these, one in ten stealing"))
    for months in SHORT_MONTHS:
        name = f"of these, one in ten stealing, {months} months of each"
        yield measured(homes, one_in_ten(model, last_days(attacked, months), label, name))
    for months in SAME_MONTHS:
        first = theirs.kwh.shape[1] - 30 * months
        late = HonestHouseholds(theirs.kwh[:, first:], theirs.first_day + first)
        attacked = attack_households(late, np.arange(len(kept_back)), SEED, covariates, plan=QUICK_TRAINING_PLANS[0])
        name = f"of these, one in ten stealing, the same {months} months of all"
        yield measured(homes, one_in_ten(model, attacked.days, attacked.label.astype(np.float64), name))
    delivered = delivered_model()
    given = features(delivered.readings, base.days(others))
    yield from elsewhere(folder, homes, model, delivered, given)


def one_in_ten(model: ReadingModel, days: DailyConsumption, label: np.ndarray, name: str) -> Clients:
    """The honest clients and so many thieves that they are THEFT_SHARE of all."""
    kept = label == 0
    kept[np.flatnonzero(label)[: round(THEFT_SHARE * kept.sum() / (1.0 - THEFT_SHARE))]] = True
    return Clients(name, features(model, days).of(kept), label[kept])


def last_days(attacked: AttackedHouseholds, months: int) -> DailyConsumption:
    """Each client's last days."""
    days = attacked.days
    last = days.segments.last(days.day.astype(np.float64))[days.segments.index]
    kept = days.day > last - 30 * months
    counts = np.bincount(days.segments.index[kept], minlength=len(days.segments))
    return DailyConsumption(Segments(counts), days.day[kept], days.kwh[kept])


def elsewhere(
    folder: Path, homes: Reference, model: ReadingModel, delivered: FraudModel, trained_on: FeatureMatrix
) -> Iterator[dict]:
    """SGCC, and simulated utilities, by the quick model, the delivered one, and one of a simulated utility."""
    chinese = read_readings(folder / "sgcc_jan2014.csv.gz")
    is_chosen = np.zeros(len(chinese.client_ids), dtype=bool)
    is_chosen[np.random.default_rng(SEED).permutation(len(is_chosen))[:4000]] = True
    days, label = consumption(chinese).for_clients(is_chosen), np.asarray(chinese.label, np.float64)[is_chosen]
    given = prior_of("delivered", delivered.readings, trained_on)
    yield measured(homes, Clients("SGCC", features(model, days), label))
    there = features(delivered.readings, days)
    yield measured(given, Clients("SGCC", there, label))
    first, second = (simulate_utility(1200, seed, THEFT_SHARE) for seed in (101, 202))
    for reference, each in ((homes, model), (given, delivered.readings)):
        evidence, label = simulated(second, each)
        yield measured(reference, Clients("simulated utility", evidence, label))
    evidence, label = simulated(first, None)
    sample = Sample(evidence, label.astype(np.int64), np.arange(len(label)))
    covariates = Covariates.from_consumption(DailyConsumption.from_readings(first.readings, len(stealing(first))))
    own, _ = fit_labelled(sample, {}, covariates, SEED, True, lambda _: None)
    evidence, label = simulated(second, own)
    yield measured(
        prior_of("simulated utility", own, sample.evidence), Clients("another simulated utility", evidence, label)
    )


def prior_of(name: str, model: ReadingModel, trained_on: FeatureMatrix) -> Reference:
    """The reference of a reading model whose scores are of THEFT_SHARE."""
    there, here = model.theft_share, THEFT_SHARE
    prior = np.log(here / (1.0 - here)) - np.log(there / (1.0 - there))
    return Reference(name, model.ensemble, sampled(trained_on), float(prior), MIN_DAYS)


def features(model: ReadingModel, days: DailyConsumption) -> FeatureMatrix:
    """As score.py makes them for a whole client base."""
    return model.features(days, model.covariates_for(days))


def simulated(utility, model: ReadingModel | None) -> tuple[FeatureMatrix, np.ndarray]:
    """Features and labels of the clients with enough readings. [model: None for one without networks]"""
    days = DailyConsumption.from_readings(utility.readings, len(utility.clients["client_id"]))
    found = reading_matrix(days, {}, Covariates.from_consumption(days)) if model is None else features(model, days)
    is_read = found.n_records >= MIN_DAYS
    return found.of(is_read), stealing(utility)[is_read]


def stealing(utility) -> np.ndarray:
    """Whether each client of a simulated utility steals. [float64]"""
    return np.isin(utility.clients["client_id"], utility.thefts["client_id"]).astype(np.float64)


def consumption(tables: ReadingTables) -> DailyConsumption:
    return DailyConsumption.from_readings(tables.readings, len(tables.client_ids))


def delivered_model() -> FraudModel:
    return model_file.load(paths.PROJECT / "model.bin")


# --- table ------------------------------------------------------------------------------------------------------------

COLUMNS = {
    "shifted_share": "shifted", "median_psi": "middle PSI", "score_psi": "score PSI",
    "classifier_roc_auc": "told apart", "claimed_hit_rate": "claimed", "true_hit_rate": "true", "roc_auc": "ROC-AUC",
}  # fmt: skip


def sheet(rows: list[dict]) -> Sheet:
    made = Sheet(box=None, pad_edge=False)
    for head in ("model", "clients", "n", *COLUMNS.values()):
        made.add_column(head)
    for row in rows:
        figures = ("" if row.get(name) is None else f"{row[name]:.2f}" for name in COLUMNS)
        made.add_row(row["model"], row["clients"], f"{row['n']:,}", *figures)
    return made


if __name__ == "__main__":
    raise SystemExit(main())
