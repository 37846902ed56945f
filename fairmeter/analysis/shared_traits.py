"""What invoices show that clients may share: days of reading, numbers of meters, codes of an exchanged meter.

In:  canonical invoices in any order; the ids of their clients.
Out: SharedTraits by client id, of clients that have any. What is missing is in no trait: 0 is no number of a meter.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fairmeter.core.types import Table

N_ROUTES, N_METERS = 2, 3  # of a client, the newest first


class SharedTraits(NamedTuple):
    """What a client may share with others.

    routes: days of two successive invoices, of electricity where it has any [since 1970]. meters: energy and number.
    codes: of the meter before and after the latest exchange, None without one.
    """

    routes: tuple[tuple[int, int], ...] = ()
    meters: tuple[tuple[int, float], ...] = ()
    codes: tuple[float, float] | None = None


NO_TRAITS = SharedTraits()


def shared_traits(client_ids: Sequence[str], invoices: Table) -> dict[str, SharedTraits]:
    """The traits of each client that has any. [client_ids: by row, as the invoices' column `client` counts]"""
    rows = {name: invoices[name] for name in ("client", "energy", "meter_id", "meter_code")}
    rows["day"] = invoices["invoice_on"].astype("datetime64[D]").astype(np.int64)
    n = len(client_ids)
    parts = zip(client_ids, _routes(rows, n), _meters(rows, n), _codes(rows, n), strict=True)
    found = ((str(id_), SharedTraits(tuple(routes), tuple(meters), codes)) for id_, routes, meters, codes in parts)
    return {id_: traits for id_, traits in found if traits != NO_TRAITS}


def _routes(rows: Table, n_clients: int) -> list[list[tuple[int, int]]]:
    order = np.lexsort((rows["day"], rows["energy"], rows["client"]))
    client, energy, day = (rows[name][order] for name in ("client", "energy", "day"))
    is_new = _changes(client)
    first = energy[is_new][np.cumsum(is_new) - 1] if len(client) else energy
    kept = (energy == first) & (is_new | _changes(day))
    client, day = client[kept], day[kept]
    pairs = np.flatnonzero(~_changes(client))
    steps = list(zip(day[pairs - 1].tolist(), day[pairs].tolist(), strict=True))
    return _newest(client[pairs], steps, n_clients, N_ROUTES)


def _meters(rows: Table, n_clients: int) -> list[list[tuple[int, float]]]:
    known = np.flatnonzero(np.isfinite(rows["meter_id"]) & (rows["meter_id"] != 0))
    names = ("day", "meter_id", "energy", "client")
    order = known[np.lexsort([rows[name][known] for name in names])]
    is_new = np.any([_changes(rows[name][order]) for name in names[1:]], axis=0)
    last = order[np.append(is_new[1:], True)] if len(order) else order
    last = last[np.lexsort([rows[name][last] for name in names])]
    last = last[np.lexsort((rows["day"][last], rows["client"][last]))]
    meters = zip(rows["energy"][last].tolist(), rows["meter_id"][last].tolist(), strict=True)
    return _newest(rows["client"][last], list(meters), n_clients, N_METERS)


def _codes(rows: Table, n_clients: int) -> list[tuple[float, float] | None]:
    """Codes before and after the latest exchange. Of meters side by side the highest code of a day counts."""
    known = np.flatnonzero(np.isfinite(rows["meter_code"]))
    names = ("meter_code", "day", "energy", "client")
    order = known[np.lexsort([rows[name][known] for name in names])]
    code, day, energy, client = (rows[name][order] for name in names)
    is_new_meter = _changes(client) | _changes(energy)
    highest = np.append((is_new_meter | _changes(day))[1:], True)[: len(order)]
    code, day, client, starts = code[highest], day[highest], client[highest], _starts(is_new_meter, highest)
    at = np.flatnonzero(_changes(code) & ~starts)
    at = at[np.lexsort((day[at], client[at]))]
    pairs = list(zip(code[at - 1].tolist(), code[at].tolist(), strict=True))
    return [newest[0] if newest else None for newest in _newest(client[at], pairs, n_clients, 1)]


def _starts(is_new: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Which of the kept rows are the first ones of a run. [is_new: where a run starts among all rows]"""
    return _changes(np.cumsum(is_new)[kept])


def _changes(values: np.ndarray) -> np.ndarray:
    """Whether each value differs from the one before; the first one does."""
    return np.append(True, values[1:] != values[:-1])[: len(values)]


def _newest(client: np.ndarray, values: list, n_clients: int, n: int) -> list[list]:
    """The last n values of each client, the newest first. [client: ascending]"""
    ends = np.cumsum(np.bincount(client, minlength=n_clients)).tolist()
    starts = [0, *ends[:-1]]
    return [values[max(start, end - n) : end][::-1] for start, end in zip(starts, ends, strict=True)]
