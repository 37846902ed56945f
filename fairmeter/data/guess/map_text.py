"""Files of a utility -> the text of a map to be looked at: each line with its reason and how many values fit.

In:  paths of files, folders and zips.
Out: TOML; what is not sure is marked "# ?". A shipped map whose columns are all there comes first.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

from fairmeter.data.files import DamagedFile, MissingFile, TableError, TableFile, find_files
from fairmeter.data.formats import detect
from fairmeter.data.guess.columns import TableColumns
from fairmeter.data.guess.table_lines import GuessLine, TableGuess, table_lines
from fairmeter.data.guess.vocabulary import expected_names
from fairmeter.data.layouts import Layout, read_raw
from fairmeter.data.layouts.raw_table import RawTable
from fairmeter.data.maps.fields import FIELDS
from fairmeter.data.maps.map_file import read_map, shipped_maps
from fairmeter.data.maps.spec import DataMap, TableSpec

MAX_FILES = 2_000  # whose headers are read
FEW_ROWS = 2
HEAD = '# Guessed from the headers and a look at the values. Correct it, above all the lines with "# ?"; then --check.'


class FileGroup(NamedTuple):
    """Files with one header, and the first rows of the first of them."""

    files: list[TableFile]
    table: RawTable


def guess_map(paths: Sequence[Path]) -> str:
    """The text of a map for these files. Raises TableError where no file can be read."""
    sources = find_files(None, tuple(paths))[:MAX_FILES]
    if not sources:
        raise MissingFile(f"No table in {', '.join(map(str, paths)) or 'nothing'}; name files, a folder or a zip.")
    with_reader = [(source, reader) for source in sources if (reader := detect(source))]
    if len(with_reader) == len(sources):
        return _reader_text(with_reader)
    groups = list(_groups([source for source in sources if not detect(source)]))
    shipped = _shipped_text(groups)
    return shipped if shipped else _guessed_text(groups)


def _reader_text(found: list[tuple[TableFile, str]]) -> str:
    lines = [HEAD, ""]
    for reader in dict.fromkeys(reader for _, reader in found):
        n = sum(one == reader for _, one in found)
        lines += ["[readings]", f'reader = "{reader}"  # the first lines of {n:,} files are those of this format', ""]
    return "\n".join(lines)


def _groups(sources: Sequence[TableFile]) -> Iterator[FileGroup]:
    """The files by their headers, those of the most files first. Raises TableError where none can be read."""
    groups: dict[tuple[str, ...], FileGroup] = {}
    problem = None
    layout = Layout(expected=expected_names())
    for source in sources:
        try:
            table = _first_rows(source, layout)
        except TableError as error:
            problem = problem or error
            continue
        if table is not None:
            groups.setdefault(tuple(table.header), FileGroup([], table)).files.append(source)
    if not groups and problem:
        raise problem
    yield from sorted(groups.values(), key=lambda group: -len(group.files))


def _first_rows(source: TableFile, layout: Layout) -> RawTable | None:
    """The first rows of a file. A header with hardly a row of its own is that of a small table above the real one.

    Raises TableError.
    """
    problem = table = None
    try:
        table = next(iter(read_raw(source, layout)), None)
    except DamagedFile as error:  # the real table's rows do not fit the header above it
        problem = error
    if problem is None and (table is None or table.n_rows > FEW_ROWS):
        return table
    of_readings = Layout(expected=expected_names(("read_at", "consumption_kwh")))
    with suppress(TableError):
        other = next(iter(read_raw(source, of_readings)), None)
        if other is not None and (table is None or other.n_rows > table.n_rows):
            return other
    if problem is not None:
        raise problem
    return table


# --- shipped maps -----------------------------------------------------------------------------------------------------


def _shipped_text(groups: Sequence[FileGroup]) -> str:
    for name in shipped_maps():
        data_map = read_map(name)
        fitting = [group for group in groups if _fits(data_map, group)]
        if fitting and len(fitting) == len(groups):
            n = sum(len(group.files) for group in fitting)
            return f'{HEAD}\n\nlike = "{name}"  # a shipped map; all of its columns are in the {n:,} files\n'
    return ""


def _fits(data_map: DataMap, group: FileGroup) -> bool:
    """Whether a table of the map has all of its columns in the group, and at least three."""
    specs = [spec for of_kind in data_map.tables.values() for spec in of_kind if spec.reader is None]
    return any(_has_all(spec, group.table.has) for spec in specs)


def _has_all(spec: TableSpec, has: Callable[[str], bool]) -> bool:
    choices = [
        tuple(value.columns)
        for value in spec.values()
        if value.source == "any" and not value.place.endswith("export_kwh")
    ]
    named = {name for value in spec.values() if value.source != "any" for name in value.named_columns()}
    named |= {name for name, _ in (*spec.keep, *spec.drop)} | set(spec.series)
    is_there = all(map(has, named)) and all(any(map(has, names)) for names in choices)
    return is_there and len(named) + len(choices) >= MIN_SHIPPED_COLUMNS


MIN_SHIPPED_COLUMNS = 3  # fewer names are no sign of a layout

# --- guesses ----------------------------------------------------------------------------------------------------------


def _guessed_text(groups: Sequence[FileGroup]) -> str:
    tables = [(group, list(_needed(group.table, table_lines(TableColumns(group.table))))) for group in groups]
    if not any(guesses for _, guesses in tables):
        return f"{HEAD}\n\n# No map is needed: the columns have canonical names, or those of the public set.\n"
    files = _common_lines([group for group, _ in tables])
    out = [HEAD, ""]
    if files:
        out += ["[files]", *map(str, files), ""]
    kinds = [guess.kind for _, guesses in tables for guess in guesses]
    for group, guesses in tables:
        for guess in guesses:
            head = f"[[{guess.kind}]]" if kinds.count(guess.kind) > 1 else f"[{guess.kind}]"
            out.append(head)
            if len(groups) > 1:
                out.append(f'files = "{_glob_of(group, groups)}"')
            out += [*map(str, guess.lines), ""]
    return "\n".join(out)


def _needed(table: RawTable, guesses: Sequence[TableGuess]) -> Iterator[TableGuess]:
    """The tables without lines for columns under their canonical or Kaggle names, which need no map."""
    for guess in guesses:
        known = {name for name, field in FIELDS[guess.kind].items() if any(map(table.has, filter(None, field[:3:2])))}
        lines = [line for line in guess.lines if line.text.partition(" = ")[0] not in known]
        if any(line.text.partition(" = ")[0] in FIELDS[guess.kind] or "wide" in line.text for line in lines):
            yield guess._replace(lines=lines)


def _common_lines(groups: Sequence[FileGroup]) -> list[GuessLine]:
    """Lines of [files]: the marks of numbers, by most of the columns that show one."""
    marks: list[tuple[str, str | None]] = []
    for group in groups:
        columns = TableColumns(group.table)
        for column in group.table.header:
            values = columns.values(column) if column else None
            if values and values.number_share >= 0.9 and values.shows_decimals:
                marks.append((values.decimal, values.thousands))
    n_commas = sum(decimal == "," for decimal, _ in marks)
    if not n_commas:
        return []
    lines = [
        GuessLine(
            'decimal = ","', f"of {len(marks)} columns with decimals {n_commas} have commas", n_commas == len(marks)
        )
    ]
    if any(thousands == "." for _, thousands in marks):
        lines.append(GuessLine('thousands = "."', "points stand between thousands"))
    return lines


def _glob_of(group: FileGroup, groups: Sequence[FileGroup]) -> str:
    """A pattern that fits the names of these files and of no others; a file's own name where it is alone."""
    names = [Path(source.file_name).name for source in group.files]
    if len(names) == 1:
        return names[0]
    others = [Path(source.file_name).name for other in groups if other is not group for source in other.files]
    start, end = _common_start(names), _common_start([name[::-1] for name in names])[::-1]
    pattern = f"{start}*{end}"
    return pattern if not any(fnmatch(other, pattern) for other in others) else f"{start}*"


def _common_start(names: Sequence[str]) -> str:
    """The signs with which all names begin."""
    first, last = min(names), max(names)
    return first[: next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))]
