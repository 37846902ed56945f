"""Files and JSON -> clean canonical tables; the only readers with pyarrow and pyspark."""

from fairmeter.data.daily import DailyConsumption
from fairmeter.data.exogenous import Exogenous, read_exogenous
from fairmeter.data.files import MissingColumns, MissingFile, TableError
from fairmeter.data.json_records import FieldError, tables_from_records
from fairmeter.data.readings import ReadingTables, read_readings, readings_from_records
from fairmeter.data.tables import Tables, read_tables
from fairmeter.data.transformers import TransformerTables, read_transformers

__all__ = [
    "DailyConsumption",
    "Exogenous",
    "FieldError",
    "MissingColumns",
    "MissingFile",
    "ReadingTables",
    "TableError",
    "Tables",
    "TransformerTables",
    "read_exogenous",
    "read_readings",
    "read_tables",
    "read_transformers",
    "readings_from_records",
    "tables_from_records",
]
