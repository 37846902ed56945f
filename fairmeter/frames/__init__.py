"""From Python: pandas, Polars or Arrow tables in; scores, reasons, plots and models out."""

from fairmeter.frames.model import ScoringModel, load
from fairmeter.frames.training import train

__all__ = ["ScoringModel", "load", "train"]
