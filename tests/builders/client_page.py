"""A store around one client with all there is, as its page shows it."""

import math
from datetime import date, timedelta

import numpy as np

from fairmeter.analysis.peer_consumption import consumption_bands
from fairmeter.store import ReferenceData, Series, Store
from tests.builders.invoices import BEFORE, invoice, ledger
from tests.builders.pages import HOSTILE
from tests.builders.store import clients_of, score_of, write

FIRST, N_DAYS = date(2025, 11, 1), 180
N_PEERS = 30
ALONE = "far away"  # in another region, with nobody else
MONTHLY = "by month"
NOTHING = "nothing known"


def filled(store: Store) -> None:
    """A crowd on one transformer; among it a client with all there is, and ids that somebody made up to do harm."""
    ids = ["c-0", HOSTILE, *(f"c-{n}" for n in range(1, N_PEERS - 1)), ALONE, MONTHLY, NOTHING]
    n = len(ids)
    places = [36.0 + 0.0001 * i for i in range(n - 3)] + [37.0, math.nan, math.nan]
    clients = clients_of(
        client_id=ids, category=[11.0] * (n - 1) + [math.nan], region=[101.0] * (n - 3) + [102.0, 101.0, math.nan],
        district=[60.0] * n, latitude=places, longitude=[10.0] * (n - 2) + [math.nan] * 2,
        transformer_id=["T-<1>"] * (n - 3) + ["", "T-<1>", ""], tariff_price=[0.2] * n, created_on=["2003-08-12"] * n,
    )  # fmt: skip
    days = {id_: Series("day", FIRST, np.full(N_DAYS, 3.0 + i / 10)) for i, id_ in enumerate(ids[:-2])}
    series = days | {MONTHLY: Series("month", FIRST, np.full(8, 300.0))}
    degrees = [(FIRST + timedelta(days=i), 10.0 + i / 10) for i in range(N_DAYS)]
    back = invoice(old_index=250, new_index=370)
    ledgers = {"c-0": ledger(BEFORE, back), MONTHLY: ledger(BEFORE, invoice() | {"energy": "GAZ"})}
    scores = [score_of(id_, 0.9 - i / 100, onset_on="2026-03-01") for i, id_ in enumerate(ids)]
    around = ReferenceData(consumption_bands(clients, series), degrees)
    write(store, *scores, clients=clients, series=series, invoice_histories=ledgers, reference=around)
