"""Blocks on codes, the meter and its index, the account, and the aggregates that older scripts send.

In:  InvoiceSeries (fairmeter/features/invoices/series.py).
Out: BLOCKS; codes and meter compute float64 of shape (features, pairs with invoices), the others (features, clients).

A meter is often exchanged after a fraud was detected: features from its number, code, status, coefficient or index
level are marked `after_detection`. They alone see the two invoices of the day of an exchange apart.
"""

import numpy as np

from fairmeter.core.calendar import DAYS_PER_MONTH
from fairmeter.features.base import DISCREPANCY, HISTORY, LOW, PLACE, TARIFF, Block, Feature
from fairmeter.features.invoices.series import LEVELS, InvoiceSeries, as_float_days, fill_missing

# --- codes: how many, which, when they changed ------------------------------------------------------------------------

CODES = (
    ("tariff", TARIFF, "tariff", False),
    ("remark", DISCREPANCY, "reader's remark", False),
    ("meter_code", DISCREPANCY, "meter code", True),
    ("meter_status", DISCREPANCY, "meter status", True),
    ("coefficient", TARIFF, "meter coefficient", True),
    ("meter", DISCREPANCY, "meter", True),
)
CODE_STATISTICS = (
    ("distinct", "number", "number of different values of the {}"),
    ("mode_share", "share", "share of invoices with the most frequent {}"),
    ("changes", "number", "number of changes of the {}"),
    ("changed_on", "days since 1970", "date of the last change of the {}"),
    ("first_changed_on", "days since 1970", "date of the first change of the {}"),
    ("changed_ago", "days", "time from the last change of the {} to the last invoice"),
    ("step_max", "log ratio", "largest rise of consumption with a change of the {}"),
    ("step_min", "log ratio", "largest fall of consumption with a change of the {}"),
)
CODE_VALUES = (
    ("mode", "most frequent"), ("last", "last"), ("first", "first"), ("mean", "mean"), ("max", "highest"),
)  # fmt: skip


def _ranks(codes: np.ndarray) -> np.ndarray:
    """Ranks of codes, because float32 cannot distinguish meter numbers of 13 digits."""
    return np.unique(fill_missing(codes, -1.0), return_inverse=True)[1]


def _codes(rows: InvoiceSeries) -> np.ndarray:
    features = _all_codes(rows)
    return features if rows.apart is None else np.where(OF_METERS, _all_codes(rows.apart), features)


def _all_codes(rows: InvoiceSeries) -> np.ndarray:
    pairs = rows.by_pair
    codes = np.array([*(rows[name] for name, *_ in CODES[:-1]), _ranks(rows["meter_id"])])
    values = codes[:-1]  # the rank of a meter has no meaning as a value
    n_distinct, mode, mode_share = pairs.modes(codes)
    is_change = (codes != pairs.lag(codes)) & ~(pairs.is_first | np.isnan(codes))
    changed_on = np.where(is_change, rows.day, np.nan)
    step = np.where(is_change, rows.change, np.nan)
    latest = pairs.largest(changed_on)
    return np.concatenate([
        n_distinct, mode_share, pairs.total(is_change.astype(np.float64)),
        latest, pairs.smallest(changed_on), rows.last_day - latest, pairs.largest(step), pairs.smallest(step),
        mode[:-1], pairs.last(values), pairs.first(values), pairs.mean(values), pairs.largest(values),
    ])  # fmt: skip


CODES_BLOCK = Block(
    tuple(
        Feature(f"{name}_{short}", group, unit, long.format(text), after)
        for short, unit, long in CODE_STATISTICS
        for name, group, text, after in CODES
    )
    + tuple(
        Feature(f"{name}_{short}", group, "code", f"{long} {text}", after)
        for short, long in CODE_VALUES
        for name, group, text, after in CODES[:-1]
    ),
    _codes,
    is_by_pair=True,
)
OF_METERS = np.array([[feature.after_detection] for feature in CODES_BLOCK.features])

# --- the meter: its number, its index from one invoice to the next ----------------------------------------------------

INDEX_SERIES = {
    "old_index": "old index",
    "new_index": "new index",
    "log_index": "log of the new index",
    "log_meter": "log of the meter number",
}
INDEX_STATISTICS = ("mean", "std", "max", "min", "last", "first")
METER_FEATURES = (
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


def _index(rows: InvoiceSeries) -> np.ndarray:
    rows = rows.of_meters
    pairs, meter, new_index = rows.by_pair, rows["meter_id"], rows["new_index"]
    series = np.array([rows["old_index"], new_index, np.log1p(new_index), np.log10(meter), meter])
    _, mean, deviation = pairs.moments(series[:-1])
    last, first = pairs.last(series), pairs.first(series)
    step = rows["old_index"] - pairs.lag(new_index)
    back_on = pairs.largest(np.where(step < 0, rows.day, np.nan))
    sums = pairs.total(np.array([np.abs(step) > 0, step < 0, np.isnan(meter), fill_missing(step, 0.0)]))
    return np.concatenate([
        mean, deviation, pairs.largest(series[:-1]), pairs.smallest(series[:-1]), last[:-1], first[:-1],
        last[-1:], first[-1:], sums[:3],
        [pairs.largest(step), pairs.smallest(step), sums[3], back_on, rows.last_day - back_on],
    ])  # fmt: skip


METER_BLOCK = Block(
    tuple(
        Feature(f"{name}_{statistic}", DISCREPANCY, "index", f"{statistic} of the {text}", after_detection=True)
        for statistic in INDEX_STATISTICS
        for name, text in INDEX_SERIES.items()
    )
    + tuple(Feature(name, DISCREPANCY, unit, text, after_detection=True) for name, unit, text in METER_FEATURES),
    _index,
    is_by_pair=True,
)

# --- the client in total; the aggregates have the names that older scripts send ---------------------------------------

AGGREGATED = {
    **{name: f"consumption at price level {i}" for i, name in enumerate(LEVELS, start=1)},
    "total_consumption": "consumption of an invoice",
    "months": "months an invoice covers",
}
AGGREGATES = ("mean", "std", "min", "max")


def _client_aggregates(rows: InvoiceSeries) -> np.ndarray:
    """Aggregates as in pandas' groupby: the sample standard deviation, which is NaN for a single invoice."""
    clients = rows.by_client
    series = np.concatenate([rows.levels, [rows.consumption, rows["months"]]])
    n, mean, deviation = clients.moments(series)
    sample_deviation = np.where(n > 1, deviation * np.sqrt(n / (n - 1)), np.nan)
    return np.concatenate([mean, sample_deviation, clients.smallest(series), clients.largest(series)])


AGGREGATES_BLOCK = Block(
    tuple(
        Feature(
            f"{name}_{aggregate}",
            LOW,
            "kWh" if name != "months" else "months",
            f"{aggregate} of the {text}, all energies",
        )
        for aggregate in AGGREGATES
        for name, text in AGGREGATED.items()
    ),
    _client_aggregates,
)


def _account(rows: InvoiceSeries) -> np.ndarray:
    clients, table = rows.by_client, rows.clients
    created = as_float_days(table["created_on"])
    first, last = clients.smallest(rows.day), clients.largest(rows.day)
    n_dates, n_tariffs = clients.distinct(np.array([rows.day, rows["tariff"]]))
    n_early = clients.total((rows.day < clients.spread(created)).astype(np.float64))
    gas_share = clients.mean(rows["energy"].astype(np.float64))
    return np.array([
        table["category"], table["region"], table["district"], created,
        (last - created) / DAYS_PER_MONTH, first - created, n_early,
        clients.counts, n_dates, first, last, gas_share, n_tariffs,
    ])  # fmt: skip


ACCOUNT_BLOCK = Block(
    (
        Feature("category", PLACE, "code", "category of the client"),
        Feature("region", PLACE, "code", "region of the client"),
        Feature("district", PLACE, "code", "district of the client"),
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
)

BLOCKS = (CODES_BLOCK, METER_BLOCK, AGGREGATES_BLOCK, ACCOUNT_BLOCK)
