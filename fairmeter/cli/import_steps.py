"""The steps of an import, by the functions that score.py uses: guess the map, check, score, confirm.

In:  a claimed step; the files and the map of its import; the model.
Out: what the step found, as columns of the import. Only `confirm` changes what the desk shows.
"""

import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fairmeter.analysis.energy_balance import EnergyBalances
from fairmeter.checks.findings import CheckFinding
from fairmeter.core.types import DataIncident, QualityFlag, Score
from fairmeter.data.exogenous import Exogenous
from fairmeter.data.files import TableError
from fairmeter.desk import runs
from fairmeter.desk.import_files import ImportFiles
from fairmeter.features.invoices.matrix import FEATURE_NAMES
from fairmeter.models import model_file
from fairmeter.models.fraud_model import FraudModel
from fairmeter.scoring.incidents import counted_incidents
from fairmeter.scoring.population import ClientBase
from fairmeter.scoring.population_drift import DriftMonitor, describe_drift, describe_unlike
from fairmeter.scoring.ranking import ranked_rows, rows_with_reasons
from fairmeter.scoring.run_claims import as_claimed
from fairmeter.store import Import, StepClaim, Store
from fairmeter.store.imports import CHECK, CONFIRM, GUESS, SCORE

N_FIRST = 10  # clients that a trial shows
MAX_TABLES, MAX_COLUMNS = 200, 2000  # whose names the form offers
MAX_SHOWN = 100  # findings and flags on the page; the report has all
MAX_CELL = 200  # characters of a value on the page
Tell = Callable[..., None]  # what is done, how many of how many


class ScoredBase(NamedTuple):
    """A client base with its scores, as score.py --store has it."""

    base: ClientBase
    scores: list[Score]
    balances: EnergyBalances | None
    exogenous: Exogenous
    drift: dict
    incidents: tuple[DataIncident, ...]


class ImportSteps:
    """The steps of one service's imports."""

    def __init__(
        self, store: Store, files: ImportFiles, model_path: Path, key: bytes | None, rules: Path, billable_months: int
    ) -> None:
        self._store, self._files, self._model_path, self._key = store, files, model_path, key
        self._rules, self._billable_months = rules, billable_months

    def run(self, claim: StepClaim, tell: Tell) -> dict[str, Any]:
        """Do one step. Raises TableError, ModelError, StoreError, BadRules."""
        step = {GUESS: self.guess, CHECK: self.check, SCORE: self.score, CONFIRM: self.confirm}[claim.step]
        folder = self._folder(claim.found)
        try:
            return without_folder(step(claim, tell), folder)
        except runs.FewerClients as error:
            raise runs.FewerClients(str(error).replace("add --accept-fewer", "confirm with accept_fewer")) from None
        except TableError as error:
            raise type(error)(without_folder(str(error), folder)) from None

    def guess(self, claim: StepClaim, tell: Tell) -> dict[str, Any]:
        """The map that was confirmed for such files, else one guessed from headers and values."""
        from fairmeter.data.guess import guess_map

        tell("guessing")
        sources = self._sources(claim.found)
        tables = tables_of(sources)
        headers = {"hash": hash_of_headers(tables), "tables": tables}
        guess, kept = guess_map(sources), self._store.kept_map(headers["hash"])
        by = kept and {"by": kept.kept_by, "at": kept.kept_at.isoformat()}
        return {"headers": headers, "guess": guess, "map_text": kept.map_text if kept else guess, "kept": by}

    def check(self, claim: StepClaim, tell: Tell) -> dict[str, Any]:
        """What is in the files, and what looks wrong; the whole report as a page."""
        from fairmeter.checks.check_files import check_files
        from fairmeter.reports.check_report import check_page

        tell("checking")
        found = claim.found
        result = check_files(self._sources(found), parse(found), None, None, None)
        title = ", ".join(file["name"] for file in found.files[:3])
        page = without_folder(check_page(result, title), self._folder(found))
        write_private(self._files.report(found.folder), page)
        return {"checked": check_summary(result)}

    def score(self, claim: StepClaim, tell: Tell) -> dict[str, Any]:
        """A trial: scored as it would be stored, nothing replaced."""
        run = self._scored(claim.found, tell)
        return {"trial": trial_summary(run) | {"n_at_desk": self._store.count_profiles()}}

    def confirm(self, claim: StepClaim, tell: Tell) -> dict[str, Any]:
        """Write the run of the trial, and keep the map for files with such headers. Raises TableError, StoreError."""
        found = claim.found
        run = self._scored(found, tell)
        if digest_of(run) != found.trial["digest"]:
            raise TableError(
                "The scores are not those of the trial: the model or the files changed. Score again, then confirm."
            )
        tell("storing")
        if not self._store.beat_step(claim):
            raise TableError("The import was cancelled; nothing was stored.")
        base = run.base
        accept_fewer = bool((found.options or {}).get("accept_fewer"))
        summary = runs.save_run(
            self._store,
            self._rules,
            run.scores,
            str(base.model.manifest["version"]),
            base.tables,
            base.days,
            base.invoice_scores(run.scores),
            balances=run.balances,
            drift=run.drift,
            weather=run.exogenous.weather,
            incidents=run.incidents,
            accept_fewer=accept_fewer,
        )
        self._store.keep_map(found.headers["hash"], found.map_text, found.owner)
        if not found.is_named:
            self._files.remove(found.folder)
        return {"outcome": summary._asdict()}

    def _sources(self, found: Import) -> tuple[Path, ...]:
        return self._files.sources(found.folder, [file["name"] for file in found.files], found.is_named)

    def _folder(self, found: Import) -> str:
        return f"{self._sources(found)[0].parent}{os.sep}"

    def _scored(self, found: Import, tell: Tell) -> ScoredBase:
        model = model_file.load(self._model_path, self._key)
        model_file.check_features(model, FEATURE_NAMES, self._model_path)
        return scored_base(model, self._sources(found), parse(found), self._billable_months, tell)


def parse(found: Import):
    """The map of an import. Raises MapError."""
    from fairmeter.data.maps import parse_map

    return parse_map(found.map_text or "", "the map")


def scored_base(model: FraudModel, sources: tuple[Path, ...], data_map, billable_months: int, tell: Tell) -> ScoredBase:
    """Read, score and explain a client base. Raises TableError."""
    from fairmeter.data.maps.mapped_base import read_mapped_exogenous
    from fairmeter.scoring.inputs import read_balances, read_client_base

    tell("reading")
    exogenous = read_mapped_exogenous(data_map, sources, None, None)
    tables, days = read_client_base(sources, None, None, None, data_map)
    balances = read_balances(sources, None, tables, days, data_map)
    base = ClientBase.from_tables(model, tables, days, exogenous, balances and balances.losses)
    monitor, scores = DriftMonitor(model), []
    for part in base.scored(billable_months, monitor.add):
        scores += part
        tell("scoring", len(scores), len(tables.quality))
    scores, drift = as_claimed(scores, monitor.drift())
    tell("explaining")
    scores = base.with_reasons(scores, np.sort(rows_with_reasons(scores)))
    incidents = counted_incidents(tables.incidents, scores)
    return ScoredBase(base, scores, balances, exogenous, drift, incidents)


def without_folder(found: Any, folder: str) -> Any:
    """Texts, also in lists and dicts, without the folder of the files: places on the server are no one's business."""
    match found:
        case str():
            return found.replace(folder, "")
        case dict():
            return {name: without_folder(value, folder) for name, value in found.items()}
        case list():
            return [without_folder(value, folder) for value in found]
    return found


# --- headers ----------------------------------------------------------------------------------------------------------


def tables_of(sources: Sequence[Path]) -> list[dict]:
    """The columns of each file, {"file", "columns"}; files with the same columns as one before them are left out."""
    from fairmeter.data.files import find_files
    from fairmeter.data.formats import detect
    from fairmeter.data.guess.vocabulary import expected_names
    from fairmeter.data.layouts import Layout, read_raw

    layout, seen, tables = Layout(expected=expected_names()), set(), []
    for source in find_files(None, tuple(sources)):
        reader = detect(source)
        try:
            table = None if reader else next(iter(read_raw(source, layout)), None)
        except TableError:
            continue  # the guess and the check say what is wrong with it
        columns = tuple(table.header) if table is not None else (f"reader {reader}",) if reader else ()
        if columns and columns not in seen:
            seen.add(columns)
            tables.append({"file": Path(source.path_text or source.file_name).name, "columns": list(columns)})
    return [table | {"columns": table["columns"][:MAX_COLUMNS]} for table in tables[:MAX_TABLES]]


def hash_of_headers(tables: Sequence[Mapping]) -> str:
    """The same for files with the same columns, in any order; numbers in names do not count: months have them."""
    names = {re.sub(r"\d+", "0", column.strip().casefold()) for table in tables for column in table["columns"]}
    return sha256("\n".join(sorted(names)).encode(errors="replace")).hexdigest()


# --- what pages and the API show --------------------------------------------------------------------------------------


def check_summary(result) -> dict[str, Any]:
    """A CheckResult as JSON, without its figures: those are in the report."""
    return {
        "exit_code": result.exit_code,
        "findings": [_finding(one) for one in sorted(result.findings, key=lambda f: -f.level)[:MAX_SHOWN]],
        "tables": [
            {
                "name": table.name,
                "files": [Path(name).name for name in table.files[:5]],
                "n_files": len(table.files),
                "unused": list(table.unused)[:MAX_SHOWN],
                "samples": [
                    {
                        "place": row.place.rpartition(os.sep)[2],
                        "found": _cells(row.found),
                        "understood": _cells(row.understood),
                    }
                    for row in table.samples
                ],
            }
            for table in result.tables
        ],
        "missing": [{"columns": columns, "loss": loss} for columns, loss in result.lost],
        "left_out": _flags(result.left_out),
        "n_clients": result.clients.n if result.clients else 0,
        "n_invoices": result.invoices.n if result.invoices else 0,
        "n_readings": result.readings.n if result.readings else 0,
    }


def _finding(one: CheckFinding) -> dict[str, Any]:
    flag = one.flag and _flags([one.flag])[0]
    return {"level": one.level.name.lower(), "table": one.table, "text": one.text, "line": one.line, "flag": flag}


def _flags(flags: Sequence[QualityFlag]) -> list[dict]:
    return [{"flag": flag.flag, "n": flag.n, "text": flag.text} for flag in flags[:MAX_SHOWN]]


def _cells(row: Mapping[str, str]) -> dict[str, str]:
    return {str(name): str(value)[:MAX_CELL] for name, value in list(row.items())[:MAX_SHOWN]}


def trial_summary(run: ScoredBase) -> dict[str, Any]:
    """What a run would bring to the desk."""
    scores, tables = run.scores, run.base.tables
    first = [scores[row] for row in ranked_rows(scores)[:N_FIRST]]
    return {
        "digest": digest_of(run),
        "model_version": str(run.base.model.manifest["version"]),
        "n_clients": len(scores),
        "n_by_severity": Counter(score.severity for score in scores),
        "n_suspected": sum(score.is_suspected for score in scores),
        "first": [
            {
                "client_id": score.client_id,
                "severity": score.severity,
                "probability": score.probability,
                "percentile": score.percentile,
                "reason": score.main_reason.text if score.main_reason else None,
            }
            for score in first
            if score.value is not None
        ],
        "flags": _flags(tables.flags),
        "incidents": [{"flag": one.kind, "n": one.n_clients, "text": one.text} for one in run.incidents],
        "warning": describe_unlike(run.drift),
        "drift": describe_drift(run.drift),
    }


def digest_of(run: ScoredBase) -> str:
    """The same for runs with the same scores by the same model."""
    digest = sha256(str(run.base.model.manifest["version"]).encode())
    for score in run.scores:
        digest.update(repr((score.client_id, score.value, score.severity, score.threshold)).encode())
    return digest.hexdigest()


def write_private(path: Path, text: str) -> None:
    """Write a file that only this user reads."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
