"""68 features per client as a notebook computes them: pandas groupby with lambdas.

In:  invoices (fairmeter/data/tables.py) as a frame.
Out: a frame, one row per client with invoices: the baseline for the time of our own features.
"""

import numpy as np
import pandas as pd

LEVELS = [f"consumption_level_{i}" for i in (1, 2, 3, 4)]
NUMBERS = [*LEVELS, "consumption", "monthly", "index_difference", "old_index", "new_index", "months", "coefficient"]
CODES = ["energy", "tariff", "meter_id", "meter_status", "meter_code", "remark"]
AGGREGATIONS = {
    **{f"{name}_{how}": (name, how) for name in NUMBERS for how in ("mean", "std", "min", "max", "median")},
    **{f"n_{name}": (name, "nunique") for name in CODES},
    "n_invoices": ("consumption", "size"),
    "q90": ("consumption", lambda kwh: kwh.quantile(0.9)),
    "zero_share": ("consumption", lambda kwh: (kwh == 0).mean()),
    "status_share": ("meter_status", lambda status: (status != 0).mean()),
    "last_less_first": ("consumption", lambda kwh: kwh.iloc[-1] - kwh.iloc[0]),
    "last_3_ratio": ("consumption", lambda kwh: kwh.iloc[-3:].mean() / kwh.mean()),
    "gap_max": ("invoice_on", lambda dates: dates.diff().max()),
}


def naive_features(invoices: pd.DataFrame) -> pd.DataFrame:
    consumption = invoices[LEVELS].sum(axis=1)
    invoices = invoices.assign(
        consumption=consumption,
        monthly=consumption / invoices["months"],
        index_difference=invoices["new_index"] - invoices["old_index"],
    )
    with np.errstate(invalid="ignore"):  # a client that used nothing has no ratio
        return invoices.sort_values(["client", "invoice_on"]).groupby("client").agg(**AGGREGATIONS)
