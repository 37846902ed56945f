"""Training from Python: `train(clients, invoices, view="prospective").save("mine.bin")`.

In:  labelled clients with invoices, readings, or both, as data frames with the columns of data/README.md.
Out: a ScoringModel, the same as train.py fits on the same tables, with the metrics of its report.
"""

from typing import Any

from fairmeter.core.environment import configure_numeric_libraries
from fairmeter.data.exogenous import NO_EXOGENOUS
from fairmeter.data.files import MissingFile, TableFile
from fairmeter.data.readings import read_readings
from fairmeter.data.tables import read_tables
from fairmeter.features.invoices.matrix import FEATURE_NAMES, client_features
from fairmeter.frames.model import ScoringModel
from fairmeter.frames.tables import table_files
from fairmeter.training import invoice_pipeline, reading_pipeline
from fairmeter.training.dataset import PROSPECTIVE, Dataset
from fairmeter.training.invoice_pipeline import TrainingResult
from fairmeter.training.manifest import new_stamp, with_version
from fairmeter.training.options import TrainingOptions


def train(
    clients: Any = None,
    invoices: Any = None,
    readings: Any = None,
    *,
    view: str = PROSPECTIVE,
    quick: bool = False,
    name: str = "tables from Python",
) -> ScoringModel:
    """Fit a model, measured on a held-out fifth of the clients and then fitted on all of them.

    clients, invoices: tables of pandas, Polars or Arrow, given together; readings: with them, or alone.
    view: "prospective" or "all"; quick: small members for a first look; name: of the data, for the report.
    Raises TableError, TrainingError (one sentence each).
    """
    configure_numeric_libraries()
    files = table_files(clients=clients, invoices=invoices, readings=readings)
    if files["invoices"] is None and files["readings"] is None:
        raise MissingFile("Nothing to learn from: give clients with invoices, readings, or both.")
    options = TrainingOptions(view=view, quick=quick, command=f"fairmeter.train(view={view!r}, quick={quick})")
    stamp = new_stamp()
    dataset = None if files["invoices"] is None else _dataset(files, name)
    result = _learn_invoices(dataset, options, stamp)
    if files["readings"] is not None:
        result = _learn_readings(result, dataset, files["readings"], options, stamp)
    metrics, model = with_version(*result)
    return ScoringModel(model, metrics)


def _dataset(files: dict[str, TableFile | None], name: str) -> Dataset:
    tables = read_tables(clients=files["clients"], invoices=files["invoices"])
    return Dataset.from_tables(name, tables, client_features(tables.clients, tables.invoices), FEATURE_NAMES)


def _learn_invoices(dataset: Dataset | None, options: TrainingOptions, stamp: dict) -> TrainingResult:
    if dataset is None:
        return invoice_pipeline.without_invoices(options.view, stamp)
    return invoice_pipeline.train_on_invoices(dataset, options, stamp, lambda _step: None)


def _learn_readings(
    result: TrainingResult, dataset: Dataset | None, file: TableFile, options: TrainingOptions, stamp: dict
) -> TrainingResult:
    tables = read_readings(readings=file)
    training_set = reading_pipeline.prepare_readings(tables, str(file), dataset, None, NO_EXOGENOUS, options)
    return reading_pipeline.train_on_readings(result, training_set, options, stamp, lambda _step: None)
