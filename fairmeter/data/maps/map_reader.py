"""The files of a map -> canonical rows, file by file and batch by batch, with the errors of a map in its own words.

In:  a DataMap and the paths of a client base.
Out: CanonicalRows of each kind of table, and counts of what was read, kept and left out.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path

import numpy as np

from fairmeter.data.files import EmptyTable, MissingFile, TableFile, file_errors, find_files, is_visible
from fairmeter.data.formats import READERS
from fairmeter.data.layouts import RawTable, open_file
from fairmeter.data.maps import diagnosis
from fairmeter.data.maps.rows.canonical_rows import CanonicalRows
from fairmeter.data.maps.rows.joins import Joins
from fairmeter.data.maps.rows.table_rows import KEPT, NOT_KEPT, READ, canonical_rows, with_default_fields
from fairmeter.data.maps.rows.wide_tables import wide_columns
from fairmeter.data.maps.spec import KINDS, DataMap, TableSpec
from fairmeter.data.maps.values.columns import Batch, Misfit, path_of
from fairmeter.data.maps.values.date_formats import fits_all
from fairmeter.data.parsing import parse_text

FILE_KINDS = {kind: kind.removesuffix("s") for kind in ("clients", "invoices", "readings", "transformers")}
MAX_VALUES = 1_000  # distinct values of a keep column that are remembered, to name them where no row is left

OnRows = Callable[[int], None]


@dataclass
class MapReader:
    """Reads the tables of a map. [named: a path by kind, used instead of the sources]

    counts: of rows by table; notes: what readers of files skipped. Both fill as rows are read.
    """

    data_map: DataMap
    sources: tuple[Path | TableFile, ...]
    named: dict[str, Path] = field(default_factory=dict)
    on_rows: OnRows = lambda _n: None
    counts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    notes: Counter[str] = field(default_factory=Counter)
    joins: Joins = None

    def __post_init__(self) -> None:
        self.joins = Joins(self.data_map.other, self._joined_batches)

    # --- which files --------------------------------------------------------------------------------------------------

    def files(self, table: TableSpec) -> list[TableFile]:
        """The files of a table, by its pattern or as their names say. Raises MissingFile."""
        named = self.named.get(table.kind)
        everything = self._all_files(named)
        if table.files is not None and named is None:
            found = [source for source in self._all_files(is_of_any_name=True) if matches(source, table.files)]
            if not found:
                there = ", ".join(path_of(source) for source in everything[:5]) or "none"
                raise MissingFile(
                    f"{self.data_map.name}, {table.place} files: no file fits '{table.files}'; found {there}. "
                    "Correct the pattern: * stands for any part of a name."
                )
            return found
        candidates = self._not_of_others(table, everything)
        if not candidates:
            raise MissingFile(f"{self.data_map.name}, {table.place}: no files were named. Name a file or a folder.")
        if named is not None:
            return candidates
        kind = FILE_KINDS.get(table.kind, table.kind)
        if self.is_only_table(table.kind):
            words = [word for word in FILE_KINDS.values() if word != kind]
            found = [s for s in candidates if kind in s.file_name or not any(word in s.file_name for word in words)]
        else:
            found = [source for source in candidates if kind in source.file_name]
        return found or candidates

    def _not_of_others(self, table: TableSpec, everything: list[TableFile]) -> list[TableFile]:
        """All files but those that other tables and joins name by a pattern."""
        patterns = self._joined_patterns()
        patterns |= {
            each.files for kind in KINDS for each in self.data_map.of(kind) if each.files and kind != table.kind
        }
        return [source for source in everything if not any(matches(source, pattern) for pattern in patterns)]

    def _joined_patterns(self) -> set[str]:
        """The files that joins name."""
        tables = [table for kind in KINDS for table in self.data_map.of(kind)]
        named = {value.join.table for table in tables for one in table.values() for value in one.joins()}
        return {self.data_map.other(name).files or name for name in named}

    def mapped_files(self) -> list[TableFile]:
        """All files that tables of the map take, those of joins among them."""
        tables = [table for kind in KINDS for table in self.data_map.of(kind)]
        patterns = self._joined_patterns()
        joined = [source for source in self._all_files() if any(matches(source, pattern) for pattern in patterns)]
        return [source for table in tables for source in self.files(table)] + joined

    def files_of_kind(self, kind: str) -> list[TableFile]:
        """The files with the word of a kind in their names."""
        return find_files(FILE_KINDS[kind], tuple(path for path in self.sources if not isinstance(path, TableFile)))

    def is_only_table(self, kind: str) -> bool:
        """Whether the map has tables of this kind alone."""
        return [each for each in KINDS if self.data_map.of(each)] == [kind]

    def _all_files(self, named: Path | None = None, is_of_any_name: bool = False) -> list[TableFile]:
        """Files of tables, or all visible files: a pattern of the map may name any."""
        places = (named,) if named is not None else self.sources
        files = [place for place in places if isinstance(place, TableFile)]
        paths = tuple(place for place in places if not isinstance(place, TableFile))
        return files + find_files(None, paths, is_deep=True, accepts=is_visible if is_of_any_name else None)

    # --- rows ---------------------------------------------------------------------------------------------------------

    def rows(self, kind: str) -> Iterator[CanonicalRows]:
        """The canonical rows of all tables of a kind. Raises TableError."""
        for number, table in enumerate(self.data_map.of(kind)):
            yield from self.table_rows(table, number)

    def table_rows(self, table: TableSpec, number: int = 0) -> Iterator[CanonicalRows]:
        """The canonical rows of one table. Raises TableError."""
        files = self.files(table)
        seen: dict[str, Counter[str]] = {name: Counter() for name, _ in table.keep}
        total: Counter[str] = Counter()
        for source in files:
            for rows in self.file_rows(table, number, source, files, seen):
                total.update(rows.counts)
                self.counts[table.kind].update(rows.counts)
                yield rows
        if not total[READ]:
            raise EmptyTable(f"{path_of(files[0])} has a header and no rows; export it again.")
        gives_only_exports = "export_kwh" in table.fields and "consumption_kwh" not in table.fields
        if not total[KEPT] and total[NOT_KEPT] and not gives_only_exports:
            raise diagnosis.nothing_kept(self.data_map.name, table, total[READ], seen)
        self._check_joins(table)

    def file_rows(
        self,
        table: TableSpec,
        number: int,
        source: TableFile,
        files: Collection[TableFile] = (),
        seen: dict[str, Counter[str]] | None = None,
    ) -> Iterator[CanonicalRows]:
        """The canonical rows of one file of a table. Raises TableError."""
        is_checked = False
        formats: dict[str, str] = {}
        with file_errors(source):
            for raw in self.raw_batches(table, source):
                if not is_checked:
                    self._check_columns(table, raw, files)
                    formats = self._formats(table, source, raw)
                    is_checked = True
                _remember(raw, seen or {})
                self.notes.update(raw.notes)
                self.on_rows(raw.n_rows)
                with self._explained(table, source, raw):
                    yield from canonical_rows(table, number, raw, self.joins, formats)

    def rows_of(self, table: TableSpec, raw: RawTable) -> Iterator[CanonicalRows]:
        """The canonical rows of one batch. Raises TableError."""
        self._check_columns(table, raw, ())
        formats = self._formats(table, raw.source, raw)
        with self._explained(table, raw.source, raw):
            yield from canonical_rows(table, 0, raw, self.joins, formats)

    def raw_batches(
        self, table: TableSpec, source: TableFile, wanted: Collection[str] | None = None
    ) -> Iterator[RawTable]:
        """The batches of a file as they stand there. [wanted: names of columns; None: those that the table needs]"""
        if table.reader in READERS:
            yield from READERS[table.reader](source)
            return
        opened = open_file(source, table.layout._replace(expected=table.columns()))
        if wanted is None:
            full = with_default_fields(table, lambda name: name in opened.header)
            wanted = None if table.wide and not opened.header else full.columns()
            for wide in table.wide:
                wanted |= set(wide_columns(wide, opened.header))
        yield from opened.batches(wanted, ())

    def _joined_batches(self, table: TableSpec, wanted: frozenset[str]) -> Iterator[RawTable]:
        pattern = table.files or table.place.partition(".")[2].rstrip("]")
        files = [source for source in self._all_files(is_of_any_name=True) if matches(source, pattern)]
        if not files:
            files = [source for path in self.named.values() for source in beside(path, pattern)]
        if not files:
            raise MissingFile(
                f"{self.data_map.name}: there is no file {pattern}, which a join names. Name it or its folder with the "
                "other files."
            )
        named = replace(table, layout=table.layout._replace(expected=wanted))
        for source in files:
            with file_errors(source):
                for raw in open_file(source, named.layout).batches(None, ()):
                    missing = [name for name in wanted if not raw.has(name)]
                    if missing:
                        raise diagnosis.missing_in_join(self.data_map.name, missing, raw)
                    yield raw

    def _formats(self, table: TableSpec, source: TableFile, raw: RawTable) -> dict[str, str]:
        """Of values with a list of formats, the first that fits all values of the file."""
        found = {}
        for value in with_default_fields(table, raw.has).values():
            if len(value.formats) > 1:
                texts: set[str] = set()
                for batch in self.raw_batches(table, source):
                    texts |= set(diagnosis.value_counts(value, self._whole(table, batch)))
                form = next((form for form in value.formats if fits_all(texts, form, value.locale)), None)
                if form is None:
                    raise diagnosis.no_format_fits(value, source, texts)
                found[value.place] = form
        return found

    def _whole(self, table: TableSpec, raw: RawTable) -> Batch:
        return Batch(with_default_fields(table, raw.has), raw, np.arange(raw.n_rows), self.joins.column)

    # --- errors -------------------------------------------------------------------------------------------------------

    @contextmanager
    def _explained(self, table: TableSpec, source: TableFile, raw: RawTable) -> Iterator[None]:
        """Turn a Misfit into the sentence that counts the values of its file and gives the line to write."""
        try:
            yield
        except Misfit as misfit:
            batches = (self._whole(table, batch) for batch in self.raw_batches(table, source))
            raise diagnosis.explain(self.data_map.name, misfit, raw, batches) from None

    def _check_columns(self, table: TableSpec, raw: RawTable, files: Collection[TableFile]) -> None:
        def others(names: list[str]) -> int:
            """How many of the other files lack the columns too."""
            n = 0
            for source in files:
                if source != raw.source:
                    with file_errors(source):
                        other = next(iter(self.raw_batches(table, source)), None)
                    n += other is not None and not any(map(other.has, names))
            return n

        full = with_default_fields(table, raw.has)
        problems = diagnosis.missing_columns_of(self.data_map.name, full, raw, others)
        if problems:
            raise diagnosis.MapError.of(problems)

    def _check_joins(self, table: TableSpec) -> None:
        for value in table.fields.values():
            for spec in value.joins():
                seen = self.joins.seen.get(spec.place, {})
                if seen and not any(seen.values()) and spec.join.present is None:
                    key = (spec.join, spec.columns, spec.width)
                    there = self.joins.tables[key].rows_of if key in self.joins.tables else {}
                    raise diagnosis.nothing_joins(self.data_map.name, spec, seen, there)


def matches(source: TableFile, pattern: str) -> bool:
    """Whether a file's name, or its path in a zip or folder, fits a pattern with *."""
    path = path_of(source).lower()
    pattern = pattern.replace("\\", "/").lower()
    return fnmatch(path.rpartition("/")[2], pattern) or fnmatch(path, pattern) or fnmatch(path, f"*/{pattern}")


def beside(path: Path | TableFile, pattern: str) -> list[TableFile]:
    """Files that fit a pattern in the folder of a file."""
    if isinstance(path, TableFile):
        return []
    folder = Path(path) if Path(path).is_dir() else Path(path).parent
    return [source for source in find_files(None, (folder,)) if matches(source, pattern)]


def _remember(raw: RawTable, seen: dict[str, Counter[str]]) -> None:
    """Count the values of the columns of keep."""
    for name, counter in seen.items():
        column = raw.column(name)
        counts = np.bincount(column.codes, minlength=len(column.values))
        for value, n in zip(column.values, counts.tolist(), strict=True):
            text = parse_text(value)
            if n and (text in counter or len(counter) < MAX_VALUES):
                counter[text] += n
