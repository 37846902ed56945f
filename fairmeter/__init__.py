"""Fairmeter finds electricity clients worth an inspection: client base -> scores with reasons -> inspection list.

The packages are the steps of the work; each imports only those below it (tests/architecture/test_imports.py).

    cli            Options, environment and terminal of the commands.
    web            HTTP: scoring API, desk API, pages, exports; the only Flask.
    desk           Scores, readings, photos and notifications meet the database.
    frames         Pandas, Polars and Arrow tables in; scores, reasons, plots and models out.
    reports        Training report, model card and scoring report.
    training       Datasets -> fitted, calibrated and measured models.
    checks         What is in a utility's files, before anything is judged.
    scoring        A fitted model applied to one client, a batch, a client base, partitions.
    planning       Energy at stake, recommendations, inspection lists, routes.
    explanation    Scores -> reasons and harmless causes in sentences.
    store          The only SQL.
    models         What model.bin holds and how it predicts.
    analysis       Facts about clients and transformers without a model.
    features       Tables -> feature matrices.
    simulation     A simulated utility with thefts and their truth.
    data           Files and JSON -> clean canonical tables.
    evaluation     Metrics with intervals, conformal selection, drift.
    casework       Rules of alerts, cases and inspections.
    core           Types, segment reductions, formatting, geometry.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairmeter.frames import ClientFrames, ScoringModel, check, guess_map, load, read, train

__all__ = ["ClientFrames", "ScoringModel", "check", "guess_map", "load", "read", "train"]


def __getattr__(name: str) -> Any:
    # Loaded on first use: the service and gunicorn's master process import this package and need none of it.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("fairmeter.frames"), name)
