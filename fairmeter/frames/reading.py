"""Files of a utility -> data frames that a ScoringModel scores: `clients, invoices, readings = fairmeter.read(...)`.

In:  files, folders or zips; a map, or none for canonical and Kaggle names.
Out: pandas tables under canonical names, before cleaning: scoring cleans them as it cleans files.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fairmeter.checks.check_files import check_files
from fairmeter.checks.result import CheckResult
from fairmeter.core.code_names import CodeNames
from fairmeter.core.types import Table
from fairmeter.data.files import TableFile, file_errors, find_file, has_file
from fairmeter.data.layouts import Layout, open_file
from fairmeter.data.maps import map_of_files
from fairmeter.data.maps.fields import FIELDS
from fairmeter.data.maps.map_reader import FILE_KINDS, MapReader
from fairmeter.data.maps.mapped_tables import (
    CODE_FIELDS,
    read_mapped_clients,
    read_mapped_invoices,
    read_uncleaned_readings,
)
from fairmeter.data.parsing import QUALITIES

ENERGY_NAMES = {0: "ELEC", 1: "GAZ"}


class ClientFrames(NamedTuple):
    """Pandas tables of one client base; None for what no file has."""

    clients: Any
    invoices: Any
    readings: Any


def read(*sources: Path | str, map: Path | str | None = None, **named: Path | str) -> ClientFrames:  # noqa: A002
    """The tables in these files, as `ScoringModel.score` takes them.

    map: a .toml file, or the name of a shipped map; without it columns have canonical or Kaggle names. named: clients,
    invoices or readings, each a file of any name. Raises TableError (one sentence).
    """
    paths = tuple(Path(source) for source in sources)
    files = {kind: Path(path) for kind, path in named.items()}
    data_map = map_of_files(map, paths, files.get("readings"))
    if data_map is None or data_map.is_empty:
        return ClientFrames(*(_as_they_stand(kind, paths, files.get(kind)) for kind in ClientFrames._fields))
    reader = MapReader(data_map, paths, files)
    readers = {"clients": _clients, "invoices": _invoices, "readings": _readings}
    return ClientFrames(*(
        readers[kind](reader) if data_map.of(kind) else _as_they_stand(kind, paths, files.get(kind))
        for kind in ClientFrames._fields
    ))  # fmt: skip


def guess_map(*sources: Path | str) -> str:
    """The text of a map for these files, guessed and to be corrected. Raises TableError."""
    from fairmeter.data.guess import guess_map as guessed

    return guessed([Path(source) for source in sources])


def check(*sources: Path | str, map: Path | str | None = None, **named: Path | str) -> CheckResult:  # noqa: A002
    """What is in these files and what looks wrong; nothing is judged. [arguments as of `read`]"""
    paths, files = [Path(source) for source in sources], {kind: Path(path) for kind, path in named.items()}
    return check_files(paths, map_of_files(map, paths, files.get("readings")), **files)


# --- without a map ----------------------------------------------------------------------------------------------------


def _as_they_stand(kind: str, sources: tuple[Path, ...], named: Path | None):
    """The values of a file as they are; None where no file has the kind in its name."""
    if named is None and not has_file(FILE_KINDS[kind], sources):
        return None
    return _frame_of(find_file(FILE_KINDS[kind], sources, named), kind)


def _frame_of(source: TableFile, kind: str):
    import pandas as pd

    names = frozenset(name for field in FIELDS[kind].values() for name in (field.name, field.alias) if name)
    with file_errors(source):
        raw = open_file(source, Layout(expected=names)).table(None, ())
        columns = {name: raw.column(name) for name in raw.header}
    return pd.DataFrame({
        name: np.array([*column.values, None], object)[:-1][column.codes] for name, column in columns.items()
    })  # fmt: skip


# --- by a map ---------------------------------------------------------------------------------------------------------


def _clients(reader: MapReader):
    found = read_mapped_clients(reader)
    return _frame(found.table, found.names)


def _invoices(reader: MapReader):
    found = read_mapped_invoices(reader)
    ids = np.array([*found.ids, None], object)[:-1]
    return _frame({"client_id": ids[found.client]} | found.columns, found.names)


def _readings(reader: MapReader):
    found = read_uncleaned_readings(reader)
    client = found.table["client"]
    columns = {"client_id": found.ids[client]} | {n: c for n, c in found.table.items() if n != "client"}
    if found.label is not None:
        columns["label"] = found.label[client]
    return _frame(columns, CodeNames())


def _frame(columns: Table, names: CodeNames):
    """A pandas table; codes that were texts under their names, energies and qualities in words."""
    import pandas as pd

    return pd.DataFrame({_name(name): _values(name, column, names) for name, column in columns.items()})


def _name(column: str) -> str:
    return "quality" if column == "is_estimated" else column


def _values(name: str, column: np.ndarray, names: CodeNames) -> np.ndarray:
    if name in CODE_FIELDS:
        return np.array([None if np.isnan(code) else names.name(name, code) for code in column], object)
    if name == "energy":
        return np.array([ENERGY_NAMES.get(int(energy)) for energy in column], object)
    if name == "quality":
        return np.array(QUALITIES, object)[column]
    if name == "is_estimated":
        return np.where(column.astype(bool), "estimated", "actual").astype(object)
    return column.astype("datetime64[s]") if column.dtype.kind == "M" else column
