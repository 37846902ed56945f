"""Values below 0: a meter that nets what was fed into the grid, or an error.

In:  readings as a Table, in any order.
Out: the Table in which the consumption of net-metered days is missing and what was fed in stands in `export_kwh`.
"""

import numpy as np

from fairmeter.core.types import Table
from fairmeter.data.reading_rules.intervals import DAY

MIN_DAYS, MIN_SHARE = 5, 0.02  # of a client's days with a value below 0: fewer are errors


def separate_exports(readings: Table) -> tuple[Table, np.ndarray, np.ndarray]:
    """Move values below 0 of net-metered clients to `export_kwh`; returns the clients of these days, and of errors.

    A day with such a value has its consumption missing: what was used and what was fed in are not known apart.
    """
    client, kwh = readings["client"], readings["consumption_kwh"]
    with np.errstate(invalid="ignore"):
        is_below = kwh < 0
    if not is_below.any():
        return readings, client[:0], client[:0]
    key = client * 2**32 + readings["read_at"].view(np.int64) // DAY
    is_finite = is_below & np.isfinite(kwh)
    days, below = np.unique(key), np.unique(key[is_finite])
    n_clients = int(client.max()) + 1
    n_days, n_below = (np.bincount(some // 2**32, minlength=n_clients) for some in (days, below))
    is_netted = (n_below >= MIN_DAYS) & (n_below >= MIN_SHARE * n_days)
    own = below[is_netted[below // 2**32]]
    is_export = is_finite & is_netted[client]
    changed = readings | {"consumption_kwh": np.where(is_below | np.isin(key, own), np.nan, kwh)}
    if is_export.any():
        before = readings.get("export_kwh", np.full(len(kwh), np.nan))
        changed["export_kwh"] = np.where(is_export, -kwh + np.nan_to_num(before), before)
    return changed, own // 2**32, client[is_below & ~is_export]
