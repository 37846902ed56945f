"""Files of a client base -> canonical tables and daily consumption, as score.py reads them.

In:  paths of clients, invoices, readings and transformers' totals, each optional as far as the others allow.
Out: Tables and DailyConsumption with the quality flags of both; energy balances where transformers were measured.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fairmeter.analysis.energy_balance import EnergyBalances, energy_balances
from fairmeter.data.daily import DailyConsumption
from fairmeter.data.files import has_file
from fairmeter.data.json_records import tables_from_records
from fairmeter.data.maps import DataMap
from fairmeter.data.maps.mapped_base import read_mapped_base, read_mapped_transformers
from fairmeter.data.partitioned.reading_parts import DailyReadings, DiskSpace, readings_on_disk
from fairmeter.data.readings import ReadingTables, has_readings, read_readings
from fairmeter.data.tables import Tables, read_clients, read_tables
from fairmeter.data.transformers import flags_of_join, has_transformers, read_transformers


def read_client_base(
    sources: Sequence[Path],
    clients: Path | None,
    invoices: Path | None,
    readings: Path | None,
    data_map: DataMap | None = None,
    space: DiskSpace | None = None,
) -> tuple[Tables, DailyConsumption | None]:
    """Clients and invoices, and the daily consumption of clients with readings. Raises TableError.

    The arguments are those of `read_base_tables`.
    """
    tables, found = read_base_tables(sources, clients, invoices, readings, data_map, space)
    return tables, found and found.daily()


def read_base_tables(
    sources: Sequence[Path],
    clients: Path | None,
    invoices: Path | None,
    readings: Path | None,
    data_map: DataMap | None = None,
    space: DiskSpace | None = None,
) -> tuple[Tables, ReadingTables | DailyReadings | None]:
    """Clients and invoices, and the readings of the same clients in their order. Raises TableError.

    data_map: what the files' columns mean; None or an empty one where they have canonical or Kaggle names. Without
    clients and invoices, the clients are those of the readings; without invoices, all are judged by readings.
    space: where readings larger than memory are totalled to days in parts, with the same result.
    """
    if data_map is not None and not data_map.is_empty:
        base = read_mapped_base(data_map, tuple(sources), clients, invoices, readings, space)
        return base.with_reading_flags(), base.readings
    if readings is None and space is None and not has_readings(*sources):
        return read_tables(*sources, clients=clients, invoices=invoices), None
    if space is None:
        found = read_readings(*sources, readings=readings)
    else:
        found = readings_on_disk(sources, readings, data_map, space).daily()
    has_clients = clients is not None or has_file("client", sources)
    has_invoices = invoices is not None or has_file("invoice", sources)
    if not has_clients and not has_invoices:
        tables = _clients_without_invoices(found)
    elif not has_invoices:
        tables = read_clients(*sources, clients=clients)
        found = found.for_clients(tables.clients["client_id"])
    else:
        tables = read_tables(*sources, clients=clients, invoices=invoices)
        found = found.for_clients(tables.clients["client_id"])
    quality = [
        of_invoices + of_readings for of_invoices, of_readings in zip(tables.quality, found.quality, strict=True)
    ]
    tables = replace(tables, quality=quality, flags=[*tables.flags, *found.flags], incidents=found.incidents)
    return tables, found


def _clients_without_invoices(readings: ReadingTables | DailyReadings) -> Tables:
    n = len(readings.client_ids)
    clients, invoices, _ = tables_from_records([{"client_id": i} for i in readings.client_ids], [[]] * n)
    return Tables(clients, invoices, [], [()] * n)


def read_balances(
    sources: Sequence[Path],
    transformers: Path | None,
    tables: Tables,
    days: DailyConsumption | None,
    data_map: DataMap | None = None,
) -> EnergyBalances | None:
    """Balances of the named transformers, else of those among the sources; None where there are none.

    Adds the flags of the totals to those of the tables. Raises TableError.
    """
    can_balance = days is not None and "transformer_id" in tables.clients
    is_mapped = data_map is not None and bool(data_map.of("transformers"))
    if transformers is None and not (can_balance and (is_mapped or has_transformers(*sources))):
        return None
    measured = read_mapped_transformers(data_map, tuple(sources), transformers)
    measured = measured or read_transformers(*sources, transformers=transformers)
    tables.flags.extend(flags_of_join(measured, tables.clients["transformer_id"]))
    tables.flags.extend(measured.flags)
    return energy_balances(measured, tables.clients["transformer_id"], days, tables.invoices)
