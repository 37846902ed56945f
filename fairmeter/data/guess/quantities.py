"""What the numbers of a table look like: what was used, or what a meter showed; how much a client has a day.

In:  TableColumns with a quantity, and a client and a moment where it has them.
Out: whether it is a register; the mean of a client's day.
"""

import numpy as np

from fairmeter.data.guess.columns import FieldGuess, TableColumns
from fairmeter.data.parsing import parse_number

MAX_CLIENTS = 5  # whose rows are looked at
MIN_ROWS = 8
MIN_RISING = 0.3  # share of the steps that rise
# kWh a day of a client: no utility's typical client lies outside.
FEWEST_KWH, MOST_KWH = 0.2, 500.0


def looks_like_register(columns: TableColumns) -> bool:
    """Whether the values of most clients that are looked at never fall in the order of the file, or never rise."""
    found = columns.by_field
    quantity = found.get("consumption_kwh") or found.get("consumption")
    if quantity is None or "client_id" not in found:
        return False
    owner, numbers = columns.table.column(found["client_id"].column).codes, _numbers(columns, quantity)
    clients = np.unique(owner)[:MAX_CLIENTS]
    verdicts = [_is_monotonic(numbers[owner == client]) for client in clients]
    known = [verdict for verdict in verdicts if verdict is not None]
    return bool(known) and sum(known) > len(known) / 2


def daily_mean(columns: TableColumns, guess: FieldGuess) -> float:
    """Mean of a client's day in the unit of the column; 0 where the rows have no dates. [guess: of the quantity]"""
    found = columns.by_field
    if "read_at" not in found:
        return 0.0
    n_clients = max(found["client_id"].values.n_distinct, 1) if "client_id" in found else 1
    n_days = found["read_at"].values.span_days + 1
    return float(np.nansum(_numbers(columns, guess)) / n_clients / n_days)


def _numbers(columns: TableColumns, guess: FieldGuess) -> np.ndarray:
    column = columns.table.column(guess.column)
    return np.array([*(_number(value, guess.values.decimal) for value in column.values), np.nan])[column.codes]


def _number(value: object, decimal: str) -> float:
    if isinstance(value, str):
        value = value.replace(".", "").replace(",", ".") if decimal == "," else value.replace(",", "")
    try:
        return parse_number(value)
    except ValueError:
        return np.nan


def _is_monotonic(values: np.ndarray) -> bool | None:
    """None where there are too few values to see it."""
    steps = np.diff(values[~np.isnan(values)])
    if len(steps) < MIN_ROWS:
        return None
    rising, falling = (steps > 0).mean(), (steps < 0).mean()
    return bool((falling == 0 and rising >= MIN_RISING) or (rising == 0 and falling >= MIN_RISING))
