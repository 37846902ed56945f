"""Invoices -> one row of features a client. Written once; training, the server and Spark call the same function.

In:  clients, invoices (canonical tables, invoices sorted by client; see data/README.md, 'Input tables').
Out: Evidence: float32 features of shape (clients, len(FEATURES)), and the cells each client shares with its neighbours.

A client's row depends on its own rows alone, to the last bit; the order of the input does not matter; nothing depends on
today's date. Missing evidence stays NaN, it is never zero. `after_detection` marks what may be a consequence of an
inspection (a meter exchanged, a code changed): the prospective view leaves it out.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from fraud.invoices import DAYS_PER_MONTH, ENERGIES, LEVELS, Rows, as_float_days
from fraud.records import Cells, Evidence, Table
from fraud.segments import Segments

FALL = "fall in consumption"
LOW = "low or zero use"
IRREGULAR = "irregular use"
DISCREPANCY = "discrepancies of index, remarks and meter status"
TARIFF = "tariff and invoice configuration"
PLACE = "place, category and neighbours"
HISTORY = "account history"
EVIDENCE_GROUPS = (FALL, LOW, IRREGULAR, DISCREPANCY, TARIFF, PLACE, HISTORY)

CHUNK = 2000  # clients at a time: their series fit the processor's cache
THREADS = 2  # NumPy lets go of the interpreter in its loops; more threads wait for memory
YEARS_BACK = 8
SHARES = {"min": 0.0, "q10": 0.1, "q25": 0.25, "median": 0.5, "q75": 0.75, "q90": 0.9, "max": 1.0}
NEAR_ZERO_KWH = 10.0  # a month: below it nobody lives there with a fridge
LARGE_CHANGE = 0.7  # of the log: to half, or to double
SEASONS = {"winter": (11, 0, 1), "spring": (2, 3, 4), "summer": (5, 6, 7), "autumn": (8, 9, 10)}


class Feature(NamedTuple):
    name: str
    group: str
    unit: str
    text: str
    after_detection: bool = False


class Block(NamedTuple):
    """Features that are computed together: `compute` gives one row a feature; for pairs, electricity's and gas's."""

    features: tuple[Feature, ...]
    compute: Callable[[Rows], np.ndarray]
    is_by_pair: bool = True


# --- series and their statistics --------------------------------------------------------------------------------------

SERIES = (
    ("consumption", LOW, "kWh an invoice", "consumption of an invoice", lambda r: r.consumption),
    ("monthly", LOW, "kWh a month", "consumption a month", lambda r: r.consumption / r.months),
    ("level", LOW, "log kWh a month", "log consumption a month", lambda r: r.level),
    ("daily", LOW, "log kWh a month", "log consumption over the days since the previous invoice", lambda r: np.log1p(r.consumption / np.maximum(r.gap, 5.0) * DAYS_PER_MONTH)),
    ("level_1", LOW, "kWh", "consumption at the first price level", lambda r: r.levels[0]),
    ("level_2", LOW, "kWh", "consumption at the second price level", lambda r: r.levels[1]),
    ("level_3", LOW, "kWh", "consumption at the third price level", lambda r: r.levels[2]),
    ("level_4", LOW, "kWh", "consumption at the fourth price level", lambda r: r.levels[3]),
    ("level_1_share", TARIFF, "share", "share billed at the first price level", lambda r: r.levels[0] / np.maximum(r.consumption, 1.0)),
    ("level_2_monthly", LOW, "log kWh a month", "log consumption a month at the second price level", lambda r: np.log1p(r.levels[1] / r.months)),
    ("gap", HISTORY, "days", "time between invoices", lambda r: r.gap),
    ("gap_excess", HISTORY, "days", "time between invoices beyond the months billed", lambda r: r.gap - DAYS_PER_MONTH * r["months"]),
    ("months", TARIFF, "months", "months an invoice covers", lambda r: r.months),
    ("change", FALL, "log ratio", "change from one invoice to the next", lambda r: r.change),
    ("jump", IRREGULAR, "log ratio", "size of the change from one invoice to the next", lambda r: np.abs(r.change)),
    ("off_average", FALL, "log ratio", "deviation from the three invoices before", lambda r: r.off_average),
    ("year_on_year", FALL, "log ratio", "change against the same season a year before", lambda r: r.year_on_year),
)  # fmt: skip
STATISTICS = {"mean": "mean", "std": "standard deviation", "skew": "skewness", "last": "last"} | {
    "min": "lowest", "q10": "10 % quantile", "q25": "25 % quantile", "median": "median", "q75": "75 % quantile", "q90": "90 % quantile", "max": "highest",
}  # fmt: skip


def _series_statistics(rows: Rows) -> np.ndarray:
    series = np.stack([read(rows) for *_, read in SERIES])
    n, mean, deviation, skew = rows.by_pair.moments(series)
    quantiles = rows.by_pair.quantiles(series, tuple(SHARES.values()), n)
    last = rows.by_pair.last(series)
    return np.concatenate([mean[None], deviation[None], skew[None], last[None], quantiles]).reshape(-1, mean.shape[-1])


SERIES_BLOCK = Block(
    tuple(
        Feature(f"{name}_{short}", group, unit, f"{long} of the {text}")
        for short, long in STATISTICS.items()
        for name, group, unit, text, _ in SERIES
    ),
    _series_statistics,
)

# --- invoices of a kind: how many, how long in a row ------------------------------------------------------------------

KINDS = (
    ("zero", LOW, "zero consumption", lambda r: r.consumption == 0),
    ("near_zero", LOW, f"at most {NEAR_ZERO_KWH:.0f} kWh a month", lambda r: r.consumption <= NEAR_ZERO_KWH * r.months),
    ("level_2", TARIFF, "consumption at the second price level", lambda r: r.levels[1] > 0),
    ("level_3", TARIFF, "consumption at the third price level", lambda r: r.levels[2] > 0),
    ("level_4", TARIFF, "consumption at the fourth price level", lambda r: r.levels[3] > 0),
    ("fall", FALL, "less than half of the invoice before", lambda r: r.change < -LARGE_CHANGE),
    ("rise", IRREGULAR, "more than double the invoice before", lambda r: r.change > LARGE_CHANGE),
    ("yearly_fall", FALL, "less than half of a year before", lambda r: r.year_on_year < -LARGE_CHANGE),
    ("same", IRREGULAR, "the consumption of the invoice before, within 2 %", lambda r: np.abs(r.change) < 0.02),
    ("mismatch", DISCREPANCY, "an index difference other than what was billed", lambda r: r.mismatch != 0),
    ("rollback", DISCREPANCY, "an index that runs backwards", lambda r: r["new_index"] < r["old_index"]),
    ("stall", DISCREPANCY, "an index that stands still", lambda r: r["new_index"] == r["old_index"]),
    ("remark_6", DISCREPANCY, "the reader's remark 6", lambda r: r["remark"] == 6),
    ("remark_8", DISCREPANCY, "the reader's remark 8", lambda r: r["remark"] == 8),
    ("remark_9", DISCREPANCY, "the reader's remark 9", lambda r: r["remark"] == 9),
    ("not_4_months", TARIFF, "a period other than four months", lambda r: r["months"] != 4),
    ("off_cycle", HISTORY, "less than 25 days after the invoice before", lambda r: r.gap < 25),
    ("late", HISTORY, "over 60 days more than the months billed since the invoice before", lambda r: r.gap - DAYS_PER_MONTH * r["months"] > 60),
)  # fmt: skip


def _kinds(rows: Rows) -> np.ndarray:
    pairs = rows.by_pair
    is_kind = np.stack([test(rows) for *_, test in KINDS])
    n = pairs.total(is_kind.astype(np.float64))
    return np.concatenate([n, n / pairs.counts, *pairs.runs(is_kind)])


KINDS_BLOCK = Block(
    tuple(
        Feature(f"{name}_{short}", group, unit, f"{long} with {text}")
        for short, unit, long in (
            ("n", "invoices", "number of invoices"),
            ("share", "share", "share of invoices"),
            ("longest", "invoices", "longest run of invoices"),
            ("lately", "invoices", "run of invoices, up to the last one,"),
        )
        for name, group, text, _ in KINDS
    ),
    _kinds,
)

# --- calendar years back from the last invoice, seasons ---------------------------------------------------------------


def _by_mask(rows: Rows, masks: np.ndarray) -> np.ndarray:
    """Mean level, number of invoices, of zero ones, and energy at the upper two price levels, in each part of the time."""
    pairs = rows.by_pair
    upper = np.where(masks, rows.levels[2] + rows.levels[3], 0.0)
    return np.concatenate([
        pairs.mean(np.where(masks, rows.level, np.nan)),
        pairs.total(masks.astype(np.float64)),
        pairs.total((masks & (rows.consumption == 0)).astype(np.float64)),
        pairs.total(np.nan_to_num(upper)),
    ])  # fmt: skip


def _part_features(parts: dict[str, str], group: str) -> tuple[Feature, ...]:
    return tuple(
        Feature(f"{part}_{short}", group, unit, f"{long} {when}")
        for short, unit, long in (
            ("level", "log kWh a month", "mean log consumption a month"),
            ("n", "invoices", "number of invoices"),
            ("n_zero", "invoices", "number of invoices with zero consumption"),
            ("upper", "kWh", "consumption at the third and fourth price level"),
        )
        for part, when in parts.items()
    )


def _years_back(rows: Rows) -> np.ndarray:
    return _by_mask(rows, rows.days_before_last // 365 == np.arange(YEARS_BACK)[:, None])


def _seasons(rows: Rows) -> np.ndarray:
    return _by_mask(rows, np.stack([np.isin(rows.month_of_year, months) for months in SEASONS.values()]))


YEARS_BLOCK = Block(
    _part_features({f"year_{i}": f"in year {i} before the last invoice" for i in range(YEARS_BACK)}, FALL), _years_back
)
SEASONS_BLOCK = Block(_part_features({season: f"in {season}" for season in SEASONS}, IRREGULAR), _seasons)

# --- change point, trend, totals --------------------------------------------------------------------------------------

SPLIT_SERIES = {"level": "log consumption a month", "daily": "log consumption over the days", "monthly": "consumption a month"}


def _change_point(rows: Rows) -> np.ndarray:
    pairs = rows.by_pair
    names = [name for name, *_ in SERIES]
    series = np.stack([SERIES[names.index(name)][-1](rows) for name in SPLIT_SERIES])
    size, explained, row = pairs.best_split(series)
    ago = np.where(row >= 0, rows.days_before_last[np.maximum(row, 0)], np.nan) if pairs.n_rows else size
    return np.concatenate([size, explained, ago])


SPLIT_BLOCK = Block(
    tuple(
        Feature(f"split_{name}_{short}", FALL, unit or ("kWh a month" if name == "monthly" else "log ratio"), f"{long} of the {text}")
        for short, unit, long in (
            ("size", "", "size of the clearest change"),
            ("explained", "share", "how clear the clearest change is"),
            ("ago", "days", "time from the clearest change to the last invoice"),
        )
        for name, text in SPLIT_SERIES.items()
    ),
    _change_point,
)  # fmt: skip


def _trend(rows: Rows) -> np.ndarray:
    pairs = rows.by_pair
    n = pairs.spread(pairs.counts)
    parts = np.stack([pairs.position < n / 2, pairs.position >= n / 2, pairs.position < n - 3, pairs.position >= n - 3])
    early, late, before, lately = pairs.mean(np.where(parts, rows.level, np.nan))
    since_mean, off_mean = np.stack([rows.day, rows.level]) - pairs.spread(pairs.mean(np.stack([rows.day, rows.level])))
    known = ~np.isnan(off_mean)
    products = np.stack([since_mean * off_mean, since_mean * since_mean])
    with_time, of_time = pairs.total(np.where(known, products, 0.0))
    with_former, of_level = pairs.mean(np.stack([off_mean * pairs.lag(off_mean), off_mean * off_mean]))
    return np.stack([late - early, lately - before, with_time / of_time * 365, with_former / of_level])


TREND_BLOCK = Block(
    (
        Feature("halves_change", FALL, "log ratio", "later half of the history against the earlier half"),
        Feature("last_3_change", FALL, "log ratio", "last three invoices against those before"),
        Feature("slope", FALL, "log ratio a year", "trend of consumption"),
        Feature("persistence", IRREGULAR, "correlation", "correlation of an invoice with the one before"),
    ),
    _trend,
)


def _totals(rows: Rows) -> np.ndarray:
    pairs = rows.by_pair
    levels = pairs.total(np.nan_to_num(rows.levels))
    consumption, months = levels.sum(axis=0), pairs.total(np.nan_to_num(rows.months))
    off = np.nan_to_num(rows.mismatch)
    first, last = pairs.first(rows.day), pairs.last(rows.day)
    span = last - first
    return np.concatenate([
        np.stack([pairs.counts.astype(float), consumption, months, first, last, span]),
        np.stack([consumption / months, months * DAYS_PER_MONTH / span]),
        levels / consumption,
        pairs.total(np.stack([off, np.abs(off)])),
        np.stack([pairs.largest(rows.mismatch), pairs.smallest(rows.mismatch)]),
    ])  # fmt: skip


TOTALS_BLOCK = Block(
    (
        Feature("n", HISTORY, "invoices", "number of invoices"),
        Feature("total", LOW, "kWh", "consumption of all invoices"),
        Feature("total_months", HISTORY, "months", "months covered by all invoices"),
        Feature("first_on", HISTORY, "days since 1970", "date of the first invoice"),
        Feature("last_on", HISTORY, "days since 1970", "date of the last invoice"),
        Feature("span", HISTORY, "days", "time from the first to the last invoice"),
        Feature("total_monthly", LOW, "kWh a month", "consumption a month over the whole history"),
        Feature("coverage", HISTORY, "ratio", "months billed against the time from the first to the last invoice"),
        *(Feature(f"total_level_{i}_share", TARIFF, "share", f"share billed at price level {i}") for i in (1, 2, 3, 4)),
        Feature("mismatch_sum", DISCREPANCY, "kWh", "index differences less what was billed"),
        Feature("mismatch_size", DISCREPANCY, "kWh", "size of the index differences less what was billed"),
        Feature("mismatch_max", DISCREPANCY, "kWh", "largest index difference beyond what was billed"),
        Feature("mismatch_min", DISCREPANCY, "kWh", "largest consumption billed beyond the index difference"),
    ),
    _totals,
)

# --- codes ------------------------------------------------------------------------------------------------------------

CODES = (
    ("tariff", TARIFF, "tariff", False),
    ("remark", DISCREPANCY, "reader's remark", False),
    ("meter_code", DISCREPANCY, "meter code", True),
    ("meter_status", DISCREPANCY, "meter status", True),
    ("coefficient", TARIFF, "meter coefficient", True),
    ("meter", DISCREPANCY, "meter", True),
)


def _ranks(codes: np.ndarray) -> np.ndarray:
    """Small numbers in place of long ones, equal and ordered alike: float32 would confuse meter numbers of 13 digits."""
    return np.unique(np.nan_to_num(codes, nan=-1.0), return_inverse=True)[1].astype(np.float64)


def _codes(rows: Rows) -> np.ndarray:
    pairs = rows.by_pair
    codes = np.stack([*(rows[name] for name, *_ in CODES[:-1]), _ranks(rows["meter_id"])])
    distinct, mode, mode_share = pairs.modes(codes)
    is_change = (codes != pairs.lag(codes)) & ~pairs.is_first & ~np.isnan(codes)
    change_on = np.where(is_change, rows.day, np.nan)
    step = np.where(is_change, rows.change, np.nan)
    latest = pairs.largest(change_on)
    _, mean, _, _ = pairs.moments(codes[:-1])
    return np.concatenate([
        np.concatenate([distinct, mode_share, pairs.total(is_change.astype(float))]),
        np.concatenate([latest, pairs.smallest(change_on), pairs.last(rows.day) - latest]),
        np.concatenate([pairs.largest(step), pairs.smallest(step)]),
        np.concatenate([mode[:-1], pairs.last(codes[:-1]), pairs.first(codes[:-1]), mean, pairs.largest(codes[:-1])]),
    ])  # fmt: skip


CODES_BLOCK = Block(
    tuple(
        Feature(f"{name}_{short}", group, unit, long.format(text), after)
        for short, unit, long in (
            ("distinct", "number", "number of different values of the {}"),
            ("mode_share", "share", "share of invoices with the most frequent {}"),
            ("changes", "number", "number of changes of the {}"),
            ("changed_on", "days since 1970", "date of the last change of the {}"),
            ("first_changed_on", "days since 1970", "date of the first change of the {}"),
            ("changed_ago", "days", "time from the last change of the {} to the last invoice"),
            ("step_max", "log ratio", "largest rise of consumption with a change of the {}"),
            ("step_min", "log ratio", "largest fall of consumption with a change of the {}"),
        )
        for name, group, text, after in CODES
    )
    + tuple(
        Feature(f"{name}_{short}", group, "code", f"{long} {text}", after)
        for short, long in (("mode", "most frequent"), ("last", "last"), ("first", "first"), ("mean", "mean"), ("max", "highest"))
        for name, group, text, after in CODES[:-1]
    ),
    _codes,
)  # fmt: skip

# --- the meter: its number, its index from one invoice to the next ----------------------------------------------------

INDEX_SERIES = {"old_index": "old index", "new_index": "new index", "log_index": "log of the new index", "log_meter": "log of the meter number"}
INDEX_STATISTICS = ("mean", "std", "max", "min", "last", "first")


def _index(rows: Rows) -> np.ndarray:
    pairs = rows.by_pair
    series = np.stack([rows["old_index"], rows["new_index"], np.log1p(rows["new_index"]), np.log10(rows["meter_id"])])
    _, mean, deviation, _ = pairs.moments(series)
    ends = (pairs.largest(series), pairs.smallest(series), pairs.last(series), pairs.first(series))
    meter = rows["meter_id"]
    step = rows["old_index"] - pairs.lag(rows["new_index"])
    back_on = pairs.largest(np.where(step < 0, rows.day, np.nan))
    counts = pairs.total(np.stack([np.abs(step) > 0, step < 0, np.isnan(meter)]).astype(np.float64))
    return np.concatenate([
        np.concatenate([mean, deviation, *ends]),
        np.stack([pairs.last(meter), pairs.first(meter)]),
        counts,
        np.stack([pairs.largest(step), pairs.smallest(step), pairs.total(np.nan_to_num(step))]),
        np.stack([back_on, pairs.last(rows.day) - back_on]),
    ])  # fmt: skip


METER_BLOCK = Block(
    tuple(
        Feature(f"{name}_{statistic}", DISCREPANCY, "index", f"{statistic} of the {text}", after_detection=True)
        for statistic in INDEX_STATISTICS
        for name, text in INDEX_SERIES.items()
    )
    + tuple(
        Feature(name, DISCREPANCY, unit, text, after_detection=True)
        for name, unit, text in (
            ("meter_last", "number", "last meter number"),
            ("meter_first", "number", "first meter number"),
            ("gaps_of_index", "invoices", "invoices whose old index is not the new index before"),
            ("index_back", "invoices", "invoices whose old index is below the new index before"),
            ("meter_unknown", "invoices", "invoices without a meter number"),
            ("index_step_max", "index", "largest rise of the index between invoices"),
            ("index_step_min", "index", "largest fall of the index between invoices"),
            ("index_step_sum", "index", "sum of the index steps between invoices"),
            ("index_back_on", "days since 1970", "date of the last fall of the index between invoices"),
            ("index_back_ago", "days", "time from the last fall of the index between invoices to the last invoice"),
        )
    ),
    _index,
)

# --- the client as a whole; the first names are those of older scripts ------------------------------------------------

AGGREGATED = {
    **{name: f"consumption at price level {i}" for i, name in enumerate(LEVELS, start=1)},
    "total_consumption": "consumption of an invoice",
    "months": "months an invoice covers",
}
AGGREGATES = ("mean", "std", "min", "max")


def _client_aggregates(rows: Rows) -> np.ndarray:
    clients = rows.by_client
    series = np.concatenate([rows.levels, rows.consumption[None], rows["months"][None]])
    n, mean, deviation, _ = clients.moments(series)
    sample_deviation = np.where(n > 1, deviation * np.sqrt(n / (n - 1)), np.nan)
    return np.concatenate([mean, sample_deviation, clients.smallest(series), clients.largest(series)])


AGGREGATES_BLOCK = Block(
    tuple(
        Feature(f"{name}_{aggregate}", LOW, "kWh" if name != "months" else "months", f"{aggregate} of the {text}, all energies")
        for aggregate in AGGREGATES
        for name, text in AGGREGATED.items()
    ),
    _client_aggregates,
    is_by_pair=False,
)  # fmt: skip


def _account(rows: Rows) -> np.ndarray:
    clients, table = rows.by_client, rows.clients
    created = as_float_days(table["created_on"])
    first, last = clients.smallest(rows.day), clients.largest(rows.day)
    is_gas = rows["energy"].astype(np.float64)
    distinct, _, _ = clients.modes(np.stack([rows.day, rows["tariff"]]))
    early = clients.total((rows.day < clients.spread(created)).astype(np.float64))
    return np.stack([
        table["category"], table["region"], table["district"], created, (last - created) / DAYS_PER_MONTH, first - created, early,
        clients.counts.astype(float), distinct[0], first, last, clients.mean(is_gas), distinct[1],
    ])  # fmt: skip


ACCOUNT_BLOCK = Block(
    (
        Feature("category", PLACE, "code", "category of the client"),
        Feature("region", PLACE, "code", "region"),
        Feature("district", PLACE, "code", "district"),
        Feature("created_on", HISTORY, "days since 1970", "date the account was created"),
        Feature("age_months", HISTORY, "months", "age of the account at the last invoice"),
        Feature("first_invoice_after", HISTORY, "days", "time from the account's creation to the first invoice"),
        Feature("n_before_creation", HISTORY, "invoices", "invoices dated before the account's creation"),
        Feature("n_invoices", HISTORY, "invoices", "number of invoices, all energies"),
        Feature("n_invoice_dates", HISTORY, "days", "number of different invoice dates"),
        Feature("first_invoice_on", HISTORY, "days since 1970", "date of the first invoice of any energy"),
        Feature("last_invoice_on", HISTORY, "days since 1970", "date of the last invoice of any energy"),
        Feature("gas_share", TARIFF, "share", "share of invoices that are for gas"),
        Feature("n_tariffs", TARIFF, "number", "number of different tariffs, all energies"),
    ),
    _account,
    is_by_pair=False,
)

BLOCKS = (
    SERIES_BLOCK, KINDS_BLOCK, YEARS_BLOCK, SEASONS_BLOCK, SPLIT_BLOCK, TREND_BLOCK, TOTALS_BLOCK, CODES_BLOCK, METER_BLOCK,
    AGGREGATES_BLOCK, ACCOUNT_BLOCK,
)  # fmt: skip


def _named(block: Block) -> tuple[Feature, ...]:
    if not block.is_by_pair:
        return block.features
    words = dict(zip(ENERGIES, ("electricity", "gas"), strict=True))
    return tuple(
        f._replace(name=f"{energy}_{f.name}", text=f"{words[energy]}: {f.text}") for energy in ENERGIES for f in block.features
    )


FEATURES: tuple[Feature, ...] = tuple(feature for block in BLOCKS for feature in _named(block))
FEATURE_NAMES = tuple(feature.name for feature in FEATURES)
N_INVOICES = FEATURE_NAMES.index("n_invoices")


def client_features(clients: Table, invoices: Table) -> Evidence:
    """Features and cells of every client, in the order of `clients`; a client without invoices has none but its account's."""
    n = len(clients["client_id"])
    bounds = np.arange(0, n, CHUNK)
    edges = np.searchsorted(invoices["client"], np.append(bounds, n))
    parts = [
        (_slice(clients, first, first + CHUNK), _slice(invoices, edges[i], edges[i + 1], first))
        for i, first in enumerate(bounds)
    ]
    if len(parts) == 1:
        return _evidence(*parts[0])
    with ThreadPoolExecutor(THREADS) as pool:
        return Evidence.concatenated(list(pool.map(lambda part: _evidence(*part), parts)))


def _slice(table: Table, start: int, stop: int, first_client: int = 0) -> Table:
    part = {name: column[start:stop] for name, column in table.items()}
    return part | {"client": part["client"] - first_client} if "client" in part else part


def _evidence(clients: Table, invoices: Table) -> Evidence:
    with np.errstate(all="ignore"):  # missing evidence is NaN; a division by nothing is missing evidence
        rows = Rows.of(clients, invoices)
        n = len(clients["client_id"])
        columns = [_by_client(block, block.compute(rows), n) for block in BLOCKS]
        matrix = np.concatenate(columns, axis=1).astype(np.float32)
    matrix[~np.isfinite(matrix)] = np.nan
    return Evidence(matrix, rows.by_client.counts, neighbour_cells(rows))


def _by_client(block: Block, values: np.ndarray, n: int) -> np.ndarray:
    if not block.is_by_pair:
        return values.T
    return values.reshape(len(values), n, 2).transpose(1, 2, 0).reshape(n, -1)


# --- cells: what a client shares with its neighbours ------------------------------------------------------------------

CELLS = {
    "place": "the same region, district and category",
    "tariff": "the same region, tariff and energy",
    "route_day": "the same region, invoiced on the same day",
    "route_step": "the same region, invoiced on the same two days in a row",
    "first_day": "the same region, first invoiced on the same day",
    "created_day": "the same region, account created on the same day",
    "created_month": "the same region, account created in the same month",
    "created_year": "the same region, account created in the same year",
}
MIX = np.uint64(0x9E3779B97F4A7C15)  # the golden ratio's bits: spreads neighbouring codes over all 64


def neighbour_cells(rows: Rows) -> dict[str, Cells]:
    """Keys of the cells each client belongs to; the share of frauds in a cell is fitted in training (fraud/neighbours.py)."""
    place = np.nan_to_num(rows.clients["region"], nan=-1.0)
    region = rows.by_client.spread(place)
    created = np.nan_to_num(as_float_days(rows.clients["created_on"]), nan=-1.0)
    one = np.ones(len(place), dtype=np.int64)
    by_row = rows.by_client.counts
    is_later = ~rows.by_pair.is_first
    later = rows.by_client.total(is_later.astype(float)).astype(np.int64)
    first = rows.by_client.filled.astype(np.int64)
    first_day = rows.by_client.smallest(rows.day)[first > 0]
    other = (np.nan_to_num(rows.clients[name], nan=-1.0) for name in ("district", "category"))
    return {
        "place": Cells(one, _key(0, place, *other)),
        "tariff": Cells(by_row, _key(1, region, np.nan_to_num(rows["tariff"], nan=-1.0), rows["energy"])),
        "route_day": Cells(by_row, _key(2, region, rows.day)),
        "route_step": Cells(later, _key(3, region, rows.day, rows.gap)[is_later]),
        "first_day": Cells(first, _key(4, place[first > 0], first_day)),
        "created_day": Cells(one, _key(5, place, created)),
        "created_month": Cells(one, _key(6, place, created // 30)),
        "created_year": Cells(one, _key(7, place, created // 365)),
    }


def _key(kind: int, *codes: np.ndarray) -> np.ndarray:
    """One 64-bit key of several codes."""
    key = np.uint64(kind + 1)
    for code in codes:
        key = (key ^ np.nan_to_num(code).astype(np.int64).view(np.uint64)) * MIX
        key ^= key >> np.uint64(29)
    return key
