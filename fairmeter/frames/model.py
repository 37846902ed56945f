"""A model from Python: `load("model.bin").score(clients, invoices)` gives the table that score.py writes.

In:  a model file; clients, invoices and readings as data frames, with the columns of data/README.md, 'Input tables'.
Out: pandas tables of scores and reasons, Plotly figures.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from fairmeter.core.types import Score
from fairmeter.data.exogenous import read_exogenous
from fairmeter.data.files import TableError
from fairmeter.features.invoices.matrix import FEATURE_NAMES
from fairmeter.frames.tables import table_files
from fairmeter.models import model_file
from fairmeter.models.fraud_model import FraudModel
from fairmeter.planning.list_files import COLUMN_TYPES, score_columns
from fairmeter.scoring.inputs import read_client_base
from fairmeter.scoring.population import ClientBase
from fairmeter.scoring.population_drift import DriftMonitor
from fairmeter.scoring.ranking import ranked_rows, rows_with_reasons
from fairmeter.scoring.run_claims import as_claimed


class UnknownClient(TableError):
    """A client that is not among those that were scored."""


class ScoringModel:
    """A fitted model that scores data frames.

    manifest: version, view, threshold, severities and metrics, as in model.bin. metrics: the training report of a model
    that `train` fitted; None for a loaded one.
    """

    def __init__(self, model: FraudModel, metrics: dict | None = None) -> None:
        self._model, self.metrics = model, metrics
        self._base: ClientBase | None = None
        self._scores: list[Score] = []

    @property
    def manifest(self) -> dict:
        return self._model.manifest

    def score(
        self,
        clients: Any = None,
        invoices: Any = None,
        readings: Any = None,
        *,
        weather: Path | str | None = None,
        holidays: str | None = None,
    ):
        """The ranked list that score.py writes, as a pandas table: a row a client, the highest score first.

        clients, invoices, readings: tables of pandas, Polars or Arrow; readings alone, clients with invoices, or all.
        weather: a file with a date and a temperature in each row; holidays: a file or a country's code.
        Raises TableError (one sentence).
        """
        self._read(clients, invoices, readings, weather, holidays)
        self._scores = self._base.with_reasons(self._scores, np.sort(rows_with_reasons(self._scores)))
        return _frame(score_columns([self._scores[row] for row in ranked_rows(self._scores)]))

    def explain(
        self, clients: Any = None, invoices: Any = None, readings: Any = None, client_ids: Collection[str] | None = None
    ):
        """The reasons behind the scores, as a pandas table: client_id, group, effect [probability], text.

        client_ids: the clients to explain; all by default, which takes ten times as long as the scores.
        Raises TableError (one sentence).
        """
        self._read(clients, invoices, readings, None, None)
        wanted = None if client_ids is None else set(map(str, client_ids))
        rows = [i for i, score in enumerate(self._scores) if wanted is None or score.client_id in wanted]
        self._scores = self._base.with_reasons(self._scores, np.array(rows, dtype=np.int64))
        found = [(self._scores[row].client_id, reason) for row in rows for reason in self._scores[row].reasons]
        return _frame({
            "client_id": [client_id for client_id, _ in found],
            "group": [reason.group for _, reason in found],
            "effect": [reason.effect for _, reason in found],
            "text": [reason.text for _, reason in found],
        })  # fmt: skip

    def plot(self, client_id: str):
        """A Plotly figure of a client of the last `score` or `explain`: its consumption, score and main reason.

        Raises UnknownClient.
        """
        from fairmeter.frames.figures import client_figure

        row = next((i for i, score in enumerate(self._scores) if score.client_id == str(client_id)), None)
        if row is None:
            raise UnknownClient(f"Client {client_id!r} is not among the {len(self._scores):,} that were scored last.")
        return client_figure(
            self._base.with_reasons(self._scores, np.array([row]))[row], self._base.context(np.array([row]))
        )

    def save(self, path: Path | str, key: bytes | None = None) -> None:
        """Write model.bin and its checksum; with a key also its signature. Raises OSError."""
        model_file.save(self._model, path, key)

    def _read(
        self, clients: Any, invoices: Any, readings: Any, weather: Path | str | None, holidays: str | None
    ) -> None:
        files = table_files(clients=clients, invoices=invoices, readings=readings)
        exogenous = read_exogenous(weather and Path(weather), holidays)
        tables, days = read_client_base((), **files)
        self._base = ClientBase.from_tables(self._model, tables, days, exogenous)
        monitor = DriftMonitor(self._model, len(tables.quality))
        scores = [score for part in self._base.scored(on_chunk=monitor.add) for score in part]
        self._scores, _ = as_claimed(scores, monitor.drift())


def load(path: Path | str = "model.bin", key: bytes | None = None) -> ScoringModel:
    """The model of a file, its checksum and with a key its signature verified. Raises ModelError (one sentence)."""
    model = model_file.load(path, key)
    model_file.check_features(model, FEATURE_NAMES, path)
    return ScoringModel(model)


def _frame(columns: dict[str, list]):
    import pandas as pd

    kinds = {int: "Int64", float: "float64", bool: "boolean"}
    typed = {name: kinds[kind] for name, kind in COLUMN_TYPES.items() if isinstance(kind, type)}
    return pd.DataFrame({name: pd.Series(values, dtype=typed.get(name, object)) for name, values in columns.items()})
