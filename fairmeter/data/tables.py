"""Raw tables -> canonical tables. The only module with raw column names of clients and invoices.

In:  files (zip, folder, CSV, CSV.gz, Parquet) with Kaggle or canonical names, day-first or ISO dates; for JSON see
     fairmeter/data/json_records.py.
Out: clients and invoices as dicts of NumPy columns, cleaned, with quality flags. NaN and NaT are missing.
     clients, a row per client: client_id (object: str), category, region, district (float64), created_on
         (datetime64[D]); if given: latitude, longitude, tariff_price, label (float64), labelled_on (datetime64[D]),
         transformer_id (object: str).
     invoices, sorted by client: client (int64: row in clients), invoice_on (datetime64[D], never NaT), energy (int8:
         0 ELEC, 1 GAZ), and float64: tariff, meter_id, meter_status, meter_code, remark, coefficient,
         consumption_level_1..4, old_index, new_index, months; where levels do not say it: consumption (float64);
         if given: is_estimated (bool).
     Names of codes that are texts stand beside them, in code_names.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from zlib import crc32

import numpy as np

from fairmeter.core.code_names import NO_CODE_NAMES, CodeNames, shown
from fairmeter.core.consumption import LEVELS, billed_consumption
from fairmeter.core.types import TOTAL_ROW, DataIncident, QualityFlag, Table
from fairmeter.data.arrow_reader import ParsedTable, parse_table
from fairmeter.data.cleaning import FINDINGS, STEG_CODES, CleaningFinding, clean, is_foreign
from fairmeter.data.date_swaps import DATE_FORM, DateForm
from fairmeter.data.files import (
    NULLS,
    Column,
    MissingColumns,
    TableError,
    UnreadableDate,
    find_file,
    has_file,
)
from fairmeter.data.invoice_rules.client_base import (
    UNKNOWN_CLIENTS,
    BaseSummary,
    check_client_base,
    sum_flag,
    summarise,
)
from fairmeter.data.layouts.text_rows import EMPTY_LINES
from fairmeter.data.parsing import (
    is_slashed_date,
    parse_day,
    parse_energy,
    parse_id,
    parse_invoice_day,
    parse_key,
    parse_label,
    parse_number,
    parse_quality,
    parse_text,
)

MAX_EXACT_INTEGER = 2**53 - 1  # float64 cannot distinguish larger integers
MISSING_COLUMNS, SHARED_CODES, FILE_LAYOUT = "missing_columns", "texts_of_one_code", "file_layout"
OF_ALL = {MISSING_COLUMNS, SHARED_CODES}  # flags on a table as a whole


FLAG_ORDER = (*FINDINGS, UNKNOWN_CLIENTS[0])


class DuplicateClient(TableError):
    """A client has more than one row."""


@dataclass(frozen=True)
class Tables:
    """Canonical clients and invoices, with quality flags in total and per client, and incidents of the whole base.

    code_names: names of codes that are texts; missing: columns that were not given; incidents: what is
    the data's fault at many clients; summary: what many clients show together, None without invoices.
    """

    clients: Table
    invoices: Table
    flags: list[QualityFlag]
    quality: list[tuple[QualityFlag, ...]]
    code_names: CodeNames = NO_CODE_NAMES
    missing: tuple[str, ...] = ()
    incidents: tuple[DataIncident, ...] = ()
    summary: BaseSummary | None = None


# --- columns ----------------------------------------------------------------------------------------------------------


def parse_code(value) -> float:
    """A code as a number: "region_103" is 103, any other text is hashed. NaN if missing. Raises ValueError.

    `code_names` keeps the names of such texts.
    """
    if isinstance(value, bool):
        raise ValueError("not a code; write a number or a text")
    text = parse_text(value)
    return np.nan if text in NULLS else _code_of(text)[0]


def code_names(column: str, values: Iterable) -> CodeNames:
    """The names of the codes that `parse_code` makes of a column's distinct values, as found in a file or in JSON.

    A number that is no code of the public set has a name too, the number: it is a code of another utility.
    """
    codes = {text: _code_of(text) for text in set(map(parse_text, values)).difference(NULLS)}
    texts = {(code, text) for text, (code, is_named) in codes.items() if is_named}
    numbers = {code for code, is_named in codes.values() if not is_named and column in STEG_CODES}
    named = sorted(texts | {(code, shown(code)) for code in numbers if is_foreign(column, code)})
    return CodeNames.of_column(column, named, (code for code, is_named in codes.values() if not is_named))


def _code_of(text: str) -> tuple[float, bool]:
    """(code, whether it is the hash of a text)."""
    try:
        number = float(text)
    except ValueError:
        named = NAMED_CODE.fullmatch(text)
        number = float(named[1]) if named else np.inf
    return (number, False) if abs(number) <= MAX_EXACT_INTEGER else (float(crc32(text.encode())), True)


def _code(name: str, raw: str) -> Column:
    limited = name in STEG_CODES
    return Column(
        name, raw, parse_code, np.float64, is_filled=True, names_of=partial(code_names, name), is_limited=limited
    )


def _number(name: str, raw: str, **options) -> Column:
    return Column(
        name, raw, parse_number, np.float64, is_number=True, is_filled=options.get("is_required", True), **options
    )


CLIENT_ID = Column("client_id", "client_id", parse_id, object)
CLIENT_FIELDS = (
    CLIENT_ID,
    _code("category", "client_catg"),
    _code("region", "region"),
    _code("district", "disrict"),
    Column("created_on", "creation_date", parse_day, "datetime64[D]", error=UnreadableDate, is_filled=True),
    _number("latitude", "latitude", is_required=False),
    _number("longitude", "longitude", is_required=False),
    _number("tariff_price", "tariff_price", is_required=False),
    Column("transformer_id", "transformer_id", parse_text, object, is_required=False),
    Column("label", "target", parse_label, np.float64, is_required=False),
    Column("labelled_on", "labelled_on", parse_day, "datetime64[D]", error=UnreadableDate, is_required=False),
)


def parse_date_form(value) -> int:
    """A DateForm by its number; missing is PLAIN. Raises ValueError."""
    text = parse_text(value)
    return DateForm.PLAIN if text in NULLS else DateForm(int(text))


def date_forms(is_slashed: np.ndarray, is_raw: bool) -> np.ndarray:
    """The form of each date. [is_raw: the column has the name of the public export, whose dates are year first]"""
    year_first = DateForm.EXPORT if is_raw else DateForm.PLAIN
    return np.where(is_slashed, DateForm.SLASHED, year_first).astype(np.int8)


INVOICE_ON = Column("invoice_on", "invoice_date", parse_invoice_day, "datetime64[D]", error=UnreadableDate)
SLASHED = INVOICE_ON._replace(convert=is_slashed_date, dtype=bool)
INVOICE_FIELDS = (
    INVOICE_ON,
    Column("energy", "counter_type", parse_energy, np.int8, is_filled=True),
    _code("tariff", "tarif_type"),
    _code("meter_id", "counter_number"),
    _code("meter_status", "counter_statue"),
    _code("meter_code", "counter_code"),
    _code("remark", "reading_remarque"),
    _number("coefficient", "counter_coefficient"),
    *(_number(f"consumption_level_{i}", f"consommation_level_{i}") for i in (1, 2, 3, 4)),
    _number("old_index", "old_index"),
    _number("new_index", "new_index"),
    _number("months", "months_number"),
    _number("consumption", "consumption", is_required=False),
    Column("quality", "quality", parse_quality, np.int8, is_required=False),
    # How a date was written where another reader has parsed it, as fairmeter.read does.
    Column(DATE_FORM, DATE_FORM, parse_date_form, np.int8, is_required=False),
)
NO_INVOICES = {"client": np.array([], np.int64)} | {
    field.name: np.array([], field.dtype) for field in INVOICE_FIELDS if field.is_required
}
# Each of them says how much was used; one must be there.
CONSUMPTION = {"consumption", "new_index", *LEVELS}
FLAG_OF_ABSENT = {"created_on": "no_creation_date"}  # which each client would have
CODE_COLUMNS = {name for field in CLIENT_FIELDS + INVOICE_FIELDS if field.convert is parse_code for name in field[:2]}
NAMED_CODE = re.compile(rf"(?:{'|'.join(sorted(CODE_COLUMNS))})_(\d+)")


# --- quality flags ----------------------------------------------------------------------------------------------------


def quality_flag(finding: CleaningFinding, n: int) -> QualityFlag:
    """The quality flag of a finding in n rows."""
    return QualityFlag(finding.flag, n, f"{finding.text}: {n:,}.")


def sum_flags(flags: Iterable[QualityFlag]) -> list[QualityFlag]:
    """Add up the flags of several partitions of a client base, in the order of a single table's flags."""
    counts: Counter[tuple[str, str]] = Counter()
    alike: dict[tuple[str, str], QualityFlag] = {}
    for flag in flags:
        if flag.flag in OF_ALL:
            alike[flag.flag, flag.text] = flag
            continue
        counts[flag.flag, flag.text.removesuffix(f": {flag.n:,}.")] += flag.n
    places = {flag: place for place, flag in enumerate(FLAG_ORDER)}
    found = sorted(counts.items(), key=lambda item: (places.get(item[0][0], len(places)), item[0][0]))
    return [QualityFlag(flag, n, f"{text}: {n:,}.") for (flag, text), n in found] + list(alike.values())


def _flags_of_all(names: CodeNames, missing: tuple[str, ...]) -> list[QualityFlag]:
    """Flags on columns that are missing, and on texts that count as one."""
    flags = []
    if missing:
        text = f"Columns that are not given, so that what they would show is not seen: {', '.join(missing)}."
        flags.append(QualityFlag(MISSING_COLUMNS, len(missing), text))
    if pairs := names.indistinct():
        column, one, other = pairs[0]
        text = f"Texts that share a code, so that they count as one: {one!r} and {other!r} ({column})"
        more = f", and {len(pairs) - 1:,} more" if len(pairs) > 1 else ""
        flags.append(QualityFlag(SHARED_CODES, len(pairs), f"{text}{more}. Rename one."))
    return flags


def flags_by_client(findings: list[CleaningFinding], n_clients: int) -> list[tuple[QualityFlag, ...]]:
    """The flags of each client; equal flags are shared objects, so that 100,000 clients cost little memory."""
    return flags_by_count(
        [(finding, np.bincount(finding.clients, minlength=n_clients)) for finding in findings], n_clients
    )


def flags_by_count(
    counted: Iterable[tuple[CleaningFinding, np.ndarray]], n_clients: int
) -> list[tuple[QualityFlag, ...]]:
    """The flags of each client by the number of its rows in each finding."""
    flags = [()] * n_clients
    for finding, counts in counted:
        clients = np.flatnonzero(counts)
        shared = {}
        for client, n in zip(clients.tolist(), counts[clients].tolist(), strict=True):
            before = flags[client]
            if (before, n) not in shared:
                shared[before, n] = (*before, quality_flag(finding, n))
            flags[client] = shared[before, n]
    return flags


# --- from files -------------------------------------------------------------------------------------------------------


def read_tables(*sources, clients=None, invoices=None) -> Tables:
    """Read and clean the clients and the invoices.

    sources: a zip, a folder, or files with "client" and "invoice" in their names; of train and test, train is read.
    clients, invoices: a file of any name each, used instead of the sources. Without a file of clients, the clients are
    those of the invoices. Raises TableError (one sentence). Invoices of unknown clients are left out; all clients are
    kept.
    """
    invoice_source = find_file("invoice", sources, invoices)
    if clients is None and not has_file("client", sources):
        sheet = parse_table(invoice_source, (CLIENT_ID, *INVOICE_FIELDS))
        require_consumption(sheet.names, invoice_source)
        ids, client = _numbered(sheet.take(CLIENT_ID))
        tables = _cleaned({CLIENT_ID.name: ids}, client, sheet)
        return judge_base(_with_flags(tables, layout_flags(sheet.file_name, sheet.notes)), invoice_source)
    client_source = find_file("client", sources, clients)
    sheet = parse_table(client_source, CLIENT_FIELDS)
    clients = client_columns(sheet)
    names, flags = sheet.code_names, layout_flags(sheet.file_name, sheet.notes)
    row_of = rows_by_id(clients["client_id"], client_source)
    unknown_ids: dict[str, None] = {}
    owner = CLIENT_ID._replace(convert=partial(_row_of_client, row_of, unknown_ids), dtype=np.int64)
    sheet = parse_table(invoice_source, (owner, *INVOICE_FIELDS))
    require_consumption(sheet.names, invoice_source)
    tables = _cleaned(clients, sheet.take(owner), sheet, names, unknown_ids)
    flags += layout_flags(sheet.file_name, sheet.notes)
    return judge_base(_with_flags(tables, flags), invoice_source)


def read_clients(*sources, clients=None) -> Tables:
    """Read and clean clients without invoices, which are judged by their readings. Raises TableError."""
    source = find_file("client", sources, clients)
    sheet = parse_table(source, CLIENT_FIELDS)
    table = client_columns(sheet)
    rows_by_id(table["client_id"], source)
    no_invoices = ((name, column) for name, column in NO_INVOICES.items() if name != "client")
    return clean_tables(table, NO_INVOICES["client"], no_invoices, lambda: sheet.code_names)


def layout_flags(file_name: str, notes: Counter[str]) -> list[QualityFlag]:
    """What was left out or put right while a file was read; empty lines mean nothing."""
    noted = ((what, n) for what, n in notes.items() if n and what != EMPTY_LINES)
    return [QualityFlag(FILE_LAYOUT, n, f"{file_name}, {what}: {n:,}.") for what, n in noted]


def _with_flags(tables: Tables, flags: list[QualityFlag]) -> Tables:
    return replace(tables, flags=[*tables.flags, *flags])


def _cleaned(
    clients: Table,
    client: np.ndarray,
    sheet: ParsedTable,
    names: CodeNames = NO_CODE_NAMES,
    unknown_ids: Collection[str] = (),
) -> Tables:
    return clean_tables(clients, client, invoice_columns(sheet), lambda: names | sheet.code_names, unknown_ids)


def judge_base(tables: Tables, place: object) -> Tables:
    """The tables with the flags of what many clients show together. [place: of the invoices, for messages]

    A client that uses what all others do together is flagged as a row of totals. Raises TableError.
    """
    if tables.summary is None:
        return tables
    flags, total = check_client_base(tables.summary, tables.flags, place), tables.summary.total_row
    if total is None or not tables.quality:
        return replace(tables, flags=flags)
    row = int(np.flatnonzero(tables.clients["client_id"] == total)[0])
    quality = list(tables.quality)
    if all(flag.flag != TOTAL_ROW for flag in quality[row]):
        quality[row] = (*quality[row], sum_flag(total))
    return replace(tables, flags=flags, quality=quality)


def _numbered(client_ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(distinct ids in the order of their first rows, the number of each row's id)."""
    row_of: dict[str, int] = {}
    client = np.array([row_of.setdefault(client_id, len(row_of)) for client_id in client_ids], np.int64)
    return np.array(list(row_of), object), client


def require_consumption(columns: Collection[str], place: object) -> None:
    """Raise MissingColumns where nothing says how much was used. [columns: canonical names]"""
    if not CONSUMPTION & set(columns):
        raise MissingColumns(
            f"{place} has no column of consumption; name one consumption (kWh), or consumption_level_1 to "
            f"consumption_level_4, or old_index and new_index. See data/README.md, 'Input tables'."
        )


def client_columns(sheet: ParsedTable) -> Table:
    """The columns of clients that a table has, as parsed."""
    return {field.name: sheet.take(field) for field in CLIENT_FIELDS if field in sheet}


def invoice_columns(sheet: ParsedTable) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, column) of invoices as parsed, so that only one column at a time is in memory in two forms."""
    if DATE_FORM not in sheet.names:  # first, before the column of dates is released
        yield DATE_FORM, date_forms(sheet.peek(SLASHED), sheet.is_raw(INVOICE_ON))
    for field in INVOICE_FIELDS:
        if field in sheet:
            yield field.name, sheet.take(field)


def missing_column(field: Column, n: int) -> np.ndarray:
    """The values of a column that a file lacks."""
    if field.dtype is object:
        return np.full(n, "", object)
    if field.dtype is np.int8:
        return np.full(n, field.convert(None), np.int8)
    return np.full(n, "NaT" if str(field.dtype).startswith("datetime64") else np.nan, field.dtype)


def _filled(table: Table, fields: Sequence[Column], n: int) -> tuple[Table, list[str]]:
    """The table with all columns that canonical tables have, and the names of those that were not given."""
    absent = {field.name: field for field in fields if field.is_filled and field.name not in table}
    columns = {name: missing_column(field, n) for name, field in absent.items()}
    if "energy" in columns:
        columns["energy"] = np.zeros(n, np.int8)  # electricity, without a flag at each client
    if not set(LEVELS) <= columns.keys():
        columns |= {name: np.zeros(n) for name in LEVELS if name in columns}  # billed by fewer price levels
    return table | columns, list(absent)


def clean_tables(
    clients: Table,
    client: np.ndarray,
    invoices: Iterable[tuple[str, np.ndarray]],
    find_names: Callable[[], CodeNames] = lambda: NO_CODE_NAMES,
    unknown_ids: Collection[str] = (),
    is_part: bool = False,
) -> Tables:
    """Clean parsed columns. [client: each invoice's row in clients, -1 unknown; invoices: (name, column)]

    find_names: called when the columns have been parsed. Columns that are not given are filled with missing values, and
    named in one flag. unknown_ids: distinct ids of invoices without a client; is_part: of a larger client base.
    """
    with_client = np.flatnonzero(client >= 0)
    order = with_client[np.argsort(client[with_client], kind="stable")]
    if np.array_equal(order, np.arange(len(client))):
        order = slice(None)  # avoids a copy of every column
    invoice_table = {"client": client[order]} | {name: column[order] for name, column in invoices}
    names = find_names()
    clients, no_client_column = _filled(clients, CLIENT_FIELDS, len(clients["client_id"]))
    invoice_table, no_invoice_column = _filled(invoice_table, INVOICE_FIELDS, len(invoice_table["client"]))
    missing = (*no_client_column, *no_invoice_column)
    client_table, invoice_table, findings = clean(clients, invoice_table, names)
    findings = [finding for finding in findings if finding.flag not in {FLAG_OF_ABSENT.get(name) for name in missing}]
    quality = flags_by_client(findings, len(client_table["client_id"]))
    n_unknown = len(client) - len(with_client)
    if n_unknown:
        findings.append(CleaningFinding(*UNKNOWN_CLIENTS, np.full(n_unknown, -1)))
    flags = [quality_flag(finding, len(finding.clients)) for finding in findings]
    flags += _flags_of_all(names, missing)
    summary = summarise(client_table, invoice_table, client, unknown_ids, is_part) if len(client) else None
    return Tables(client_table, invoice_table, flags, quality, names, missing, summary=summary)


def rows_by_id(client_ids: np.ndarray, source: object) -> dict[str, int]:
    """{client id: its row}. Raises DuplicateClient."""
    row_of = {client_id: row for row, client_id in enumerate(client_ids)}
    if len(row_of) < len(client_ids):
        client_id, n = Counter(client_ids).most_common(1)[0]
        raise DuplicateClient(f"{source} has {n} rows for client {client_id!r}; keep one row a client.")
    return row_of


def _row_of_client(row_of: dict[str, int], unknown_ids: dict[str, None], value) -> int:
    client_id = parse_key(value)
    row = row_of.get(client_id, -1)
    if row < 0:
        unknown_ids[client_id] = None
    return row


def concatenate_tables(parts: Sequence[tuple[Table, Table]]) -> tuple[Table, Table]:
    """Concatenate (clients, invoices) of several parts, of which some may state consumption or estimates."""
    more = {name for _, invoices in parts for name in invoices} & {"consumption", "is_estimated"}
    parts = [(clients, _with(more, invoices)) for clients, invoices in parts]
    firsts = np.cumsum([0, *(len(clients["client_id"]) for clients, _ in parts[:-1])]).tolist()
    owned = [bills | {"client": bills["client"] + first} for (_, bills), first in zip(parts, firsts, strict=True)]
    return tuple(
        {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
        for tables in ([clients for clients, _ in parts], owned)
    )


def _with(more: Collection[str], invoices: Table) -> Table:
    """The invoices with these columns, made of the others where they are not given."""
    made = {
        "consumption": billed_consumption,
        "is_estimated": lambda table: np.zeros(len(table["client"]), bool),
    }
    return invoices | {name: made[name](invoices) for name in more if name not in invoices}


def select_clients(rows: np.ndarray, clients: Table, invoices: Table) -> tuple[Table, Table]:
    """Some clients and their invoices. [rows: row numbers, ascending]"""
    first, last = np.searchsorted(invoices["client"], rows), np.searchsorted(invoices["client"], rows, side="right")
    n = last - first
    of = np.repeat(first - np.cumsum(n) + n, n) + np.arange(n.sum())
    selected = {name: column[of] for name, column in invoices.items()} | {"client": np.repeat(np.arange(len(rows)), n)}
    return {name: column[rows] for name, column in clients.items()}, selected
