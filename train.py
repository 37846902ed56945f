"""Tables -> features -> members -> stack -> calibrate -> threshold -> report -> model.bin.

    python train.py data/archive.zip              one test part of a fifth, then the model on all clients
    python train.py data/archive.zip --validate   five outer folds of both views; writes the report, no model

In:  clients and invoices (a zip, a folder, or files; see data/README.md), a view.
Out: model.bin with its checksum, report/ with metrics.json, report.html and a model card. Ctrl-C leaves both as they were.
"""

import argparse
import hashlib
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from features import AGGREGATES_BLOCK, CELLS, FEATURE_NAMES, FEATURES, PLACE, client_features
from fraud import baselines, evaluation, model_file
from fraud.ensemble import FraudModel, probability_of
from fraud.files import TableError
from fraud.fitting import STACK_FOLDS, Fitted, Plan, fit_ensemble, stratified_folds
from fraud.members import MEMBERS
from fraud.report import write_report
from fraud.tables import Tables, read_tables

ARCHIVE, SAMPLE = Path("data/archive.zip"), Path("data/sample.zip")
VIEWS = ("prospective", "all")
ACTIVE_YEARS = 7  # the last invoice in this many last calendar years of the data (STEG: 2013 or later): an account to visit
TEST_PARTS = 5  # one part is kept for measuring
SEED = 20261101
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads that spin while they wait take a shared machine's cores
# Precision that out-of-fold scores kept from each cut-off on, with 95 % certainty; below the last one is "low".
PROMISES = {"critical": 0.5, "high": 0.3, "medium": 0.15}
LEAST_FRAUDS = 20  # fewer cannot be split into folds and bins
SHAP_CLIENTS = 2000  # of the test part: enough for a mean
UNUSUAL = "unusual shape"
AGGREGATE_NAMES = (*(f.name for f in AGGREGATES_BLOCK.features), "category", "region", "district", "age_months", "n_invoices")
BY_NAME = {feature.name: feature for feature in FEATURES}
LIBRARIES = ("numpy", "xgboost-cpu", "catboost", "scikit-learn", "onnx", "onnxruntime")
Tell = Callable[[str], None]
console = Console(highlight=False)


class CannotTrain(Exception):
    """Data or a place to write that training cannot work with; the message says what to do."""


def main(arguments: list[str] | None = None) -> int:
    options = parsed(arguments)
    try:
        run(options)
    except (TableError, CannotTrain, model_file.ModelError) as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{error.filename or options.out} cannot be written ({error.strerror}); the model is as it was.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"Stopped; {options.out} is as it was.", file=sys.stderr)
        return 130
    return 0


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="train.py", description="Fits the model and writes model.bin and report/.")
    parser.add_argument("data", nargs="*", type=Path, help=f"a zip, a folder, or files ({ARCHIVE}, else {SAMPLE})")
    parser.add_argument("--view", choices=VIEWS, default=VIEWS[0], help="prospective leaves out what may follow a detection")
    parser.add_argument("--quick", action="store_true", help="small members, for a first look: under a minute on the sample")
    parser.add_argument("--out", type=Path, default=Path("model.bin"))
    parser.add_argument("--report", type=Path, default=Path("report"), help="a folder")
    parser.add_argument("--validate", action="store_true", help="five outer folds of both views; writes the report only")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> None:
    check_writable(options)
    started = time.monotonic()
    case = Case.read(sources(options.data))
    console.print(case.summary(), *(f"  {flag.text}" for flag in case.tables.flags), sep="\n")
    steps = (STACK_FOLDS + 1) * (len(VIEWS) * TEST_PARTS * len(MEMBERS) if options.validate else 2 * (len(MEMBERS) + 1))
    with progress() as bar:
        task = bar.add_task("Fitting", total=steps)

        def tell(what: str) -> None:
            bar.update(task, description=f"Fitting {what}")
            bar.advance(task)

        metrics = validated(case, options, tell) if options.validate else trained(case, options, tell)
    write_report(metrics, options.report)
    say_results(metrics)
    console.print(f"{options.report}/report.html written; {(time.monotonic() - started) / 60:.1f} minutes.")


def check_writable(options: argparse.Namespace) -> None:
    """Before half an hour of fitting, not after."""
    for folder in {options.out.resolve().parent, options.report.resolve().parent}:
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            raise CannotTrain(f"{folder} is no folder that can be written; choose another with --out or --report.")


def sources(given: list[Path]) -> list[Path]:
    if given:
        return given
    if ARCHIVE.exists():
        return [ARCHIVE]
    console.print(f"{ARCHIVE} is not there (data/README.md says where it comes from): training on the simulated {SAMPLE}.")
    return [SAMPLE]


def progress() -> Progress:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console)


# --- the case: what is trained on -------------------------------------------------------------------------------------


class Case:
    """Tables with their features and labels, and who counts as active."""

    def __init__(self, tables: Tables, name: str) -> None:
        self.tables, self.name = tables, name
        if "label" not in tables.clients:
            raise CannotTrain(f"{name} has no label (raw name: target) in its clients, so there is nothing to learn from.")
        self.evidence = client_features(tables.clients, tables.invoices)
        self.label = tables.clients["label"]
        self.last_on = self.of("last_invoice_on")
        self.has_invoices = self.evidence.n_invoices > 0
        if not self.has_invoices.any():
            raise CannotTrain(f"{name} has no invoice of any of its clients.")
        year = np.datetime64(int(np.nanmax(self.last_on)), "D").astype("datetime64[Y]")
        self.active_from = float((year - (ACTIVE_YEARS - 1)).astype("datetime64[D]").astype(np.int64))

    @classmethod
    def read(cls, data: list[Path]) -> "Case":
        with console.status("Reading tables and making features"):
            return cls(read_tables(*data), ", ".join(path.name for path in data))

    def of(self, feature: str) -> np.ndarray:
        return self.evidence.features[:, FEATURE_NAMES.index(feature)]

    def is_active(self) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return self.last_on >= self.active_from

    def clients(self, view: str) -> np.ndarray:
        """Row numbers of the clients this view is about: labelled, with invoices, and for `prospective` active."""
        wanted = self.has_invoices & ~np.isnan(self.label)
        if view == "prospective":
            wanted &= self.is_active()
        if self.label[wanted].sum() < LEAST_FRAUDS or (self.label[wanted] == 0).sum() < LEAST_FRAUDS:
            raise CannotTrain(f"{self.name} has {int(self.label[wanted].sum())} labels 1 among {wanted.sum()} clients to learn from; "
                              f"at least {LEAST_FRAUDS} of each kind are needed.")  # fmt: skip
        return np.flatnonzero(wanted)

    def groups(self, clients: np.ndarray) -> dict[str, np.ndarray]:
        """What the report breaks the figures down by."""
        return {
            "history quintile": evaluation.history_quintile(self.evidence.n_invoices[clients]),
            "region": code_names(self.of("region")[clients]),
            "category": code_names(self.of("category")[clients]),
        }

    def fingerprint(self) -> str:
        """Names the data without telling it."""
        digest = hashlib.sha256(np.ascontiguousarray(self.evidence.features))
        digest.update(np.ascontiguousarray(self.label))
        return digest.hexdigest()

    def summary(self) -> str:
        n, known = len(self.label), ~np.isnan(self.label)
        return (f"{self.name}: {n:,} clients, {len(self.tables.invoices['client']):,} invoices, "
                f"{np.mean(self.label[known]):.2%} labelled; {self.is_active().sum():,} active.")  # fmt: skip


def code_names(codes: np.ndarray) -> np.ndarray:
    return np.array(["unknown" if np.isnan(code) else f"{code:.0f}" for code in codes])


def plan_of(view: str, quick: bool) -> Plan:
    seen = tuple(f.name for f in FEATURES if view == "all" or not f.after_detection)
    return Plan(FEATURE_NAMES, seen, quick=quick)


# --- one test part, then all clients ----------------------------------------------------------------------------------


def trained(case: Case, options: argparse.Namespace, tell: Tell) -> dict:
    """Writes the model of all clients; returns the metrics of one fitted on all but the test part."""
    clients = case.clients(options.view)
    is_test = stratified_folds(case.label[clients], TEST_PARTS, SEED) == 0
    train, test = clients[~is_test], clients[is_test]
    fitted, older = fit_both(case, train, options.view, options.quick, tell)
    metrics = measured(case, fitted, older, train, test, options)
    final, final_older = fit_both(case, clients, options.view, options.quick, tell)
    manifest = manifest_of(case, clients, options, final, metrics["results"][0])
    model_file.save(FraudModel(final.ensemble, final_older.ensemble, manifest), options.out, key())
    return metrics | {"manifest": {name: value for name, value in manifest.items() if name != "features"}}


def fit_both(case: Case, clients: np.ndarray, view: str, quick: bool, tell: Tell) -> tuple[Fitted, Fitted]:
    """The ensemble on invoices, and the one on what older scripts send."""
    evidence, label = case.evidence.of(clients), case.label[clients]
    older = Plan(FEATURE_NAMES, AGGREGATE_NAMES, members=("xgboost",), has_level_0=False, quick=quick, missing_share=0.3)
    return fit_ensemble(evidence, label, plan_of(view, quick), SEED, tell), fit_ensemble(evidence, label, older, SEED, tell)


def measured(case: Case, fitted: Fitted, older: Fitted, train: np.ndarray, test: np.ndarray, options: argparse.Namespace) -> dict:
    """Everything the report shows of the clients kept back."""
    y, threshold = case.label[train], evaluation.best_threshold(case.label[train], fitted.probability)
    cuts = evaluation.severity_cuts(y, fitted.probability, PROMISES)
    score = fitted.ensemble.probability(case.evidence.of(test))
    who = "active clients" if options.view == "prospective" else "all clients"

    def result(clients: np.ndarray, scores: np.ndarray, words: str, at: float = threshold) -> dict:
        figures = evaluation.evaluate(case.label[clients], scores, at, case.groups(clients))
        return {"view": options.view, "clients": words} | figures

    results = [result(test, score, who)]
    if options.view == "prospective":
        # Of the inactive a fifth, as of the others; the model has seen none of them.
        others = np.setdiff1d(case.clients("all"), np.concatenate([train, test]))[::TEST_PARTS]
        if len(others):
            both = np.concatenate([score, fitted.ensemble.probability(case.evidence.of(others))])
            results.append(result(np.concatenate([test, others]), both, "all clients"))
    else:
        active = case.is_active()[test]
        results.append(result(test[active], score[active], "active clients"))
    sent = older.ensemble.probability(case.evidence.of(test))
    at = evaluation.best_threshold(y, older.probability)
    results.append(result(test, sent, f"{who}, from the aggregates that older scripts send", at))
    rivals = rival_scores(case, fitted, train, test)
    return {
        "run": run_facts(case, options),
        "results": results,
        "severities": evaluation.severity_table(case.label[test], score, cuts),
        "models": [{"view": options.view, "clients": who, "rows": table_of_models(case.label[test], rivals | {"stack": score})}],
        "importance": importance(case, fitted, test),
        "quality": case.tables.flags,
    }


def rival_scores(case: Case, fitted: Fitted, train: np.ndarray, test: np.ndarray) -> dict[str, np.ndarray]:
    """Baselines and the members by themselves, on the test clients."""
    features = case.evidence.features
    scores = baselines.scores(features[train], case.label[train], features[test], FEATURE_NAMES, SEED)
    members = fitted.ensemble.member_log_odds(fitted.ensemble.inputs.matrix(case.evidence.of(test)))
    return scores | {name.replace("_", " "): probability_of(column) for name, column in zip(fitted.natives, members.T, strict=True)}


def table_of_models(y: np.ndarray, scores: dict[str, np.ndarray]) -> list[dict]:
    return evaluation.compare(scores, y, probabilities=("majority", "logistic regression", "stack"), reference="stack")


def importance(case: Case, fitted: Fitted, test: np.ndarray) -> list[dict]:
    """Mean size of XGBoost's TreeSHAP contributions [log-odds], the largest first."""
    import xgboost

    inputs = fitted.ensemble.inputs
    some = np.sort(np.random.default_rng(SEED).permutation(test)[:SHAP_CLIENTS])
    booster = fitted.natives["xgboost"].get_booster()
    parts = booster.predict(xgboost.DMatrix(inputs.matrix(case.evidence.of(some))), pred_contribs=True)[:, :-1]
    size = np.abs(parts).mean(axis=0)
    order = np.argsort(-size, kind="stable")
    return [{"feature": inputs.names[i], **described(inputs.names[i]), "value": float(size[i])} for i in order]


def described(name: str) -> dict[str, str]:
    """Evidence group and sentence of a column the members see."""
    if name in BY_NAME:
        return {"group": BY_NAME[name].group, "text": BY_NAME[name].text}
    if name.startswith("neighbours_"):
        cell, _, short = name.removeprefix("neighbours_").rpartition("_")
        return {"group": PLACE, "text": f"share of frauds among clients of {CELLS[cell]} ({short})"}
    if name.endswith("_against_peers"):
        return {"group": PLACE, "text": f"{BY_NAME[name.removesuffix('_against_peers')].text}, against region and category"}
    return {"group": UNUSUAL, "text": f"score of the detector {name.replace('_', ' ')}"}


# --- outer folds ------------------------------------------------------------------------------------------------------


def validated(case: Case, options: argparse.Namespace, tell: Tell) -> dict:
    """Five outer folds of each view: every client is scored once, by a model that has not seen it."""
    results, models = [], []
    for view in VIEWS:
        whole, tables = validated_view(case, view, options.quick, tell)
        results += whole
        models.append({"view": view, "clients": results[-len(whole)]["clients"], "rows": evaluation.pool(tables)})
    return {"run": run_facts(case, options), "results": results, "models": models, "quality": case.tables.flags}


def validated_view(case: Case, view: str, quick: bool, tell: Tell) -> tuple[list[dict], list[list[dict]]]:
    clients = case.clients(view)
    label, active = case.label[clients], case.is_active()[clients]
    folds = stratified_folds(label, TEST_PARTS, SEED)
    score, threshold = np.empty(len(clients)), np.empty(len(clients))
    tables = []
    for fold in range(TEST_PARTS):
        mine = folds == fold
        part = f"outer fold {fold + 1} of {TEST_PARTS}, {view}"
        train, test = clients[~mine], clients[mine]
        fitted = fit_ensemble(
            case.evidence.of(train), case.label[train], plan_of(view, quick), SEED + fold, lambda what, part=part: tell(f"{what}; {part}")
        )  # fmt: skip
        score[mine] = fitted.ensemble.probability(case.evidence.of(test))
        threshold[mine] = evaluation.best_threshold(case.label[train], fitted.probability)
        tables.append(table_of_models(case.label[test], rival_scores(case, fitted, train, test) | {"stack": score[mine]}))

    def result(kept: np.ndarray, words: str) -> dict:
        per_fold = [
            evaluation.evaluate(label[kept & (folds == f)], score[kept & (folds == f)], threshold[kept & (folds == f)])
            for f in range(TEST_PARTS)
        ]
        whole = evaluation.evaluate(label[kept], score[kept], threshold[kept], case.groups(clients[kept]))
        return {"view": view, "clients": words} | whole | evaluation.pool(per_fold)

    if view == "prospective":
        return [result(np.ones(len(clients), dtype=bool), "active clients")], tables
    return [result(np.ones(len(clients), dtype=bool), "all clients"), result(active, "active clients")], tables


# --- what is written down ---------------------------------------------------------------------------------------------


def run_facts(case: Case, options: argparse.Namespace) -> dict:
    known = ~np.isnan(case.label)
    split = (
        f"Split by client, frauds spread evenly: {TEST_PARTS} outer folds, each client scored by a model that has not seen it."
        if options.validate
        else f"Split by client, frauds spread evenly: one part of {TEST_PARTS} was kept back and scored once. "
        "The model in model.bin was then fitted on all clients of the view."
    )
    return {
        "version": next_version(options.out),
        "trained_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "view": "prospective and all" if options.validate else options.view,
        "data": case.name,
        "n_clients": len(case.label),
        "n_invoices": len(case.tables.invoices["client"]),
        "fraud_rate": float(case.label[known].mean()),
        "split": split,
        "how": [
            f"Members XGBoost, CatBoost and a random forest, stacked by a logistic regression on scores out of {STACK_FOLDS} folds, "
            "then calibrated; neighbours' rates, peers and detectors are fitted inside each fold.",
            "No client was resampled; frauds weigh more in the members, and the stacking takes the shift out again.",
            f"Active: last invoice on or after {np.datetime64(int(case.active_from), 'D')}.",
        ],
    }


def manifest_of(case: Case, clients: np.ndarray, options: argparse.Namespace, fitted: Fitted, result: dict) -> dict:
    label = case.label[clients]
    cuts = evaluation.severity_cuts(label, fitted.probability, PROMISES)
    kept = ("roc_auc", "pr_auc", "at_top", "at_threshold", "brier", "calibration_error")
    return {
        "version": next_version(options.out),
        "trained_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "view": options.view,
        "active_from": case.active_from,
        "threshold": float(evaluation.best_threshold(label, fitted.probability)),
        "severities": [{"severity": name} | cut for name, cut in cuts.items()],
        "n_clients": len(clients),
        "fraud_rate": float(label.mean()),
        "data": case.name,
        "data_fingerprint": case.fingerprint(),
        "metrics": {name: result[name] for name in kept},
        "libraries": {name: version(name) for name in LIBRARIES},
        "features": list(FEATURE_NAMES),
    }


def next_version(out: Path) -> str:
    """Year, month, and a number that counts up from the model that is there."""
    month = f"{datetime.now(UTC):%Y.%-m}"
    try:
        former = model_file.load(out).manifest["version"]
    except (model_file.ModelError, KeyError):
        return f"{month}.1"
    head, _, number = former.rpartition(".")
    return f"{month}.{int(number) + 1 if head == month else 1}"


def key() -> bytes | None:
    """The key that signs models, where the utility keeps one."""
    return os.environ.get("MODEL_KEY", "").encode() or None


def say_results(metrics: dict) -> None:
    for result in metrics["results"]:
        top = result["at_top"][0]
        console.print(
            f"{result['view']}, {result['clients']}: ROC-AUC {in_words(result['roc_auc'])}, PR-AUC {in_words(result['pr_auc'])}, "
            f"precision in the top {top['share']:.0%} {in_words(top['precision'])}, calibration error {in_words(result['calibration_error'])}"
        )


def in_words(estimate: dict) -> str:
    low, high = estimate["interval"]
    return f"{estimate['value']:.3f} ({low:.3f} to {high:.3f})"


if __name__ == "__main__":
    sys.exit(main())
