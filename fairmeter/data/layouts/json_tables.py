"""JSON -> raw tables: a list of objects, such a list inside a document, or an object a line (NDJSON).

In:  a TableFile; the path to the list, as "data.items".
Out: RawTables of typed values. Objects inside an object give columns named "outer.inner"; a missing key is None.
"""

import json
from collections.abc import Iterable, Iterator
from itertools import chain, islice

from fairmeter.data.files import DamagedFile, EmptyTable, MissingColumns, TableFile
from fairmeter.data.layouts.encodings import check_encoding, find_encoding, lines_of, said
from fairmeter.data.layouts.headers import MAX_COLUMNS
from fairmeter.data.layouts.raw_table import BLANKS, CodedColumn, Layout, RawTable, addressable, clean_text

BATCH_ROWS = 2**16
MAX_DOCUMENT_CHARS = 2**28  # a document is in memory at once, lines are not
MAX_NUMBER_CHARS = 400  # Python refuses to turn longer texts of digits into a number at once


def json_names(source: TableFile, layout: Layout) -> list[str]:
    """The keys of all objects, in the order of their appearance. Raises DamagedFile, EmptyTable, MissingColumns."""
    names = list(dict.fromkeys(chain.from_iterable(_flat_objects(source, layout))))
    if not names:
        raise EmptyTable(f"{source} has no objects with keys; export it again.")
    if len(names) > MAX_COLUMNS:
        raise DamagedFile(f"{source} has {len(names):,} keys, at most {MAX_COLUMNS:,} are read; split it.")
    return names


def json_batches(
    source: TableFile, layout: Layout, names: list[str], batch_rows: int = BATCH_ROWS
) -> Iterator[RawTable]:
    """Tables of some ten thousand objects each, with all these keys as columns."""
    first_row, notes = 0, said(_encoding(source, layout))
    objects = _flat_objects(source, layout)
    while rows := list(islice(objects, batch_rows)):
        columns = [CodedColumn.of([row.get(name) for row in rows]) for name in names]
        options = {"first_row": first_row, "unit": "row", "notes": notes.copy()}
        yield RawTable(source, addressable(names), len(rows), columns.__getitem__, **options)
        first_row += len(rows)
        notes.clear()


def _encoding(source: TableFile, layout: Layout) -> str:
    return check_encoding(layout.encoding, source) if layout.encoding else find_encoding(source)


def _flat_objects(source: TableFile, layout: Layout) -> Iterator[dict]:
    objects = enumerate(_objects(source, _encoding(source, layout), layout.records))
    return (_flat(source, row, number) for number, row in objects)


def _objects(source: TableFile, encoding: str, records: str | None) -> Iterator[dict]:
    lines = lines_of(source, encoding)
    first = next((line for line in lines if line.strip(BLANKS)), "")
    if records is None and _is_object(first):
        for number, line in enumerate(chain([first], lines), 1):
            if line.strip(BLANKS):
                yield _parsed(line, source, f", object {number:,}")
        return
    yield from _records_of(_document(chain([first], lines), source), source, records)


def _is_object(line: str) -> bool:
    """Whether a line is an object by itself, so that the others are as well; one with lists is a document."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and not _has_list(found)


def _has_list(value: object) -> bool:
    return isinstance(value, list) or (isinstance(value, dict) and any(map(_has_list, value.values())))


def _document(lines: Iterable[str], source: TableFile):
    parts, n_chars = [], 0
    for line in lines:
        parts.append(line)
        n_chars += len(line)
        if n_chars > MAX_DOCUMENT_CHARS:
            raise DamagedFile(
                f"{source} is a JSON document of over {MAX_DOCUMENT_CHARS:,} characters; write an object a line."
            )
    text = "".join(parts)
    return _parsed(text, source, "") if text.strip(BLANKS) else []


def _parsed(text: str, source: TableFile, place: str):
    try:
        return json.loads(text.strip(BLANKS), parse_int=_whole_number)
    except json.JSONDecodeError as error:
        raise DamagedFile(
            f"{source}{place} is not JSON: {error.msg} at line {error.lineno:,}; export it again."
        ) from error
    except RecursionError:
        raise DamagedFile(f"{source}{place} is nested too deeply; write a list of objects.") from None


def _whole_number(digits: str) -> int | str:
    return int(digits) if len(digits) <= MAX_NUMBER_CHARS else digits


def _records_of(document, source: TableFile, records: str | None) -> list[dict]:
    """The list of objects in a document. Raises MissingColumns."""
    found = document
    for key in records.split(".") if records else ():
        if not isinstance(found, dict) or key not in found:
            keys = ", ".join(list(found)[:20]) if isinstance(found, dict) else f"a {type(found).__name__}"
            raise MissingColumns(f"{source} has no {key!r} of records = {records!r}; found {keys}. Correct the path.")
        found = found[key]
    if isinstance(found, dict) and not records:
        lists = [key for key, value in found.items() if isinstance(value, list)]
        if len(lists) != 1:
            raise MissingColumns(
                f"{source} is an object with {', '.join(list(found)[:20]) or 'no keys'}, not a list; state where the "
                'list stands: records = "data.items".'
            )
        found = found[lists[0]]
    if not isinstance(found, list):
        raise MissingColumns(f"{source} holds no list of objects; write one, or state where it stands in records.")
    return found


def _flat(source: TableFile, row: object, number: int, prefix: str = "") -> dict:
    """{name: value} of an object; lists stay JSON."""
    if not isinstance(row, dict):
        raise DamagedFile(f"{source}, object {number + 1:,} is {str(row)[:50]!r}, no object; write {{...}}.")
    flat = {}
    for key, value in row.items():
        if isinstance(value, dict):
            flat |= _flat(source, value, number, f"{prefix}{key}.")
        else:
            flat[prefix + key] = _value(value)
    return flat


def _value(value):
    if isinstance(value, str):
        return clean_text(value)
    return json.dumps(value) if isinstance(value, list) else value
