"""Values of every single invoice, for models that look at invoices one by one.

In:  InvoiceSeries (fairmeter/features/invoices/series.py).
Out: InvoiceRows (fairmeter/core/types.py): ROW_COLUMNS of each invoice, and the key of its mates.

The mates of an invoice are the clients of its region whose same energy is invoiced on the same day: they are read on
one route. As in the view `prospective`, there is nothing of the meter, its code, status, coefficient and index level.
"""

import numpy as np

from fairmeter.core.segments import Segments
from fairmeter.core.types import InvoiceRows, Table
from fairmeter.features.invoices.group_keys import mate_keys
from fairmeter.features.invoices.series import InvoiceSeries, as_float_days

INVOICE_ROWS = "invoice_rows"  # asked for beside the group keys
COMPARED = ("level", "months", "gap", "zero", "change")  # with the mates; the first of ROW_COLUMNS, in their order
AHEAD = (1, 2, 3)  # invoices
BACK = (1, 2, 4)  # places among LAGS of fairmeter/features/invoices/series.py: 2, 3 and 6 invoices
ROW_COLUMNS = (
    *COMPARED, "day", "season", "energy", "gap_excess", "gap_after", "tariff", "tariff_before", "remark",
    "remark_before", "remark_after", "level_1", "level_2", "level_3", "level_4", "mismatch", "off_mean", "off_2",
    "off_3", "off_6", "off_next", "off_second", "off_third", "level_before", "level_after", "region", "district",
    "category", "age",
)  # fmt: skip
DAYS_PER_YEAR = 365.25


def invoice_rows(rows: InvoiceSeries) -> InvoiceRows:
    """Every invoice of each client, by energy and day. [values: float32, (invoices, len(ROW_COLUMNS))]"""
    values = np.array([*_own(rows), *_around(rows), *_account(rows)], dtype=np.float32).T
    values[~np.isfinite(values)] = np.nan
    return InvoiceRows(rows.by_client.counts, mate_keys(rows), np.ascontiguousarray(values))


def no_invoice_rows(clients: Table) -> InvoiceRows:
    """The rows of clients without any invoice."""
    counts = np.zeros(len(clients["client_id"]), np.int64)
    return InvoiceRows(counts, np.empty(0, np.uint64), np.empty((0, len(ROW_COLUMNS)), np.float32))


def _own(rows: InvoiceSeries) -> list[np.ndarray]:
    """Columns up to `gap_excess`."""
    is_zero = np.where(np.isnan(rows.consumption), np.nan, rows.consumption == 0)
    season = rows.day % DAYS_PER_YEAR
    return [rows.level, rows.months, rows.gap, is_zero, rows.change, rows.day, season, rows["energy"], rows.gap_excess]


def _around(rows: InvoiceSeries) -> list[np.ndarray]:
    """Columns from `gap_after` to `level_after`: the invoice beside those before and after it."""
    pairs, level = rows.by_pair, rows.level
    ahead = following(pairs, level, AHEAD)
    return [
        following(pairs, rows.gap, (1,))[0],
        rows["tariff"], pairs.lag(rows["tariff"]),
        rows["remark"], pairs.lag(rows["remark"]), following(pairs, rows["remark"], (1,))[0],
        *rows.levels, rows.mismatch, level - pairs.spread(pairs.mean(level)),
        *(level - rows.levels_back[list(BACK)]), *(level - ahead), rows.levels_back[0], ahead[0],
    ]  # fmt: skip


def _account(rows: InvoiceSeries) -> list[np.ndarray]:
    """Columns from `region` on: of the client."""
    codes = [rows.clients[name] for name in ("region", "district", "category")]
    spread = rows.by_client.spread(np.array([*codes, as_float_days(rows.clients["created_on"])], dtype=np.float64))
    return [*spread[:3], rows.day - spread[3]]


def following(segments: Segments, series: np.ndarray, steps: tuple[int, ...]) -> np.ndarray:
    """Values some rows later in the same segment, NaN after its last. [(rows,) -> (len(steps), rows)]"""
    ahead = np.array(steps)[:, None]
    source = np.where(segments.rows_left > ahead, np.arange(segments.n_rows) + ahead, segments.n_rows)
    return np.append(series, np.nan).take(source)
