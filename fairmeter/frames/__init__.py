"""From Python: pandas, Polars or Arrow tables in; scores, reasons, plots and models out."""

from fairmeter.frames.model import ScoringModel, load
from fairmeter.frames.reading import ClientFrames, check, guess_map, read
from fairmeter.frames.training import train

__all__ = ["ClientFrames", "ScoringModel", "check", "guess_map", "load", "read", "train"]
