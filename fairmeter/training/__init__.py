"""Datasets -> fitted, calibrated and measured models."""

from fairmeter.training.dataset import Dataset, TrainingError
from fairmeter.training.inspection_labels import InspectionLabels
from fairmeter.training.invoice_pipeline import TrainingResult, cross_validate, fit_and_measure, train_on_invoices
from fairmeter.training.options import TrainingOptions
from fairmeter.training.reading_pipeline import train_on_readings

__all__ = [
    "Dataset",
    "InspectionLabels",
    "TrainingError",
    "TrainingOptions",
    "TrainingResult",
    "cross_validate",
    "fit_and_measure",
    "train_on_invoices",
    "train_on_readings",
]
