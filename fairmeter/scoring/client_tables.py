"""JSON objects of clients -> the canonical tables that a model scores.

In:  for each client its object, its invoices and its readings, as /predict takes them.
Out: ClientTables; InvalidRow for the first bad value.
"""

from typing import NamedTuple

from fairmeter.core.code_names import NO_CODE_NAMES, CodeNames
from fairmeter.core.types import QualityFlag, Table
from fairmeter.data.json_records import FieldError, named_tables_from_records
from fairmeter.data.readings import readings_from_records
from fairmeter.scoring.problems import InvalidRow


class ClientTables(NamedTuple):
    """Canonical tables of some clients. [quality: the flags of each client; code_names: of codes that are texts]"""

    clients: Table
    invoices: Table
    readings: Table
    quality: list[tuple[QualityFlag, ...]]
    code_names: CodeNames = NO_CODE_NAMES


def read_client_tables(clients: list[dict], invoices: list[list[dict]], readings: list[list[dict]]) -> ClientTables:
    """The tables of these clients, cleaned and flagged. Raises InvalidRow."""
    try:
        client_table, invoice_table, invoice_flags, names = named_tables_from_records(clients, invoices)
        reading_table, reading_flags = readings_from_records(readings)
    except FieldError as error:
        raise InvalidRow(error.index, error.path, error.message) from None
    quality = [of_invoices + of_readings for of_invoices, of_readings in zip(invoice_flags, reading_flags, strict=True)]
    return ClientTables(client_table, invoice_table, reading_table, quality, names)
