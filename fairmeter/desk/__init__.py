"""Scores, readings, photos and notifications meet the database."""

from fairmeter.desk.photos import Photos
from fairmeter.desk.rescoring import Rescorer
from fairmeter.desk.runs import open_store, save_run
from fairmeter.desk.service import DeskService

__all__ = ["DeskService", "Photos", "Rescorer", "open_store", "save_run"]
