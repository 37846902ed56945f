"""What model.bin holds and how it predicts; no training library."""

from fairmeter.models.ensemble import Ensemble
from fairmeter.models.fraud_model import FraudModel
from fairmeter.models.model_file import ModelError, load, save
from fairmeter.models.reading_model import ReadingModel

__all__ = ["Ensemble", "FraudModel", "ModelError", "ReadingModel", "load", "save"]
