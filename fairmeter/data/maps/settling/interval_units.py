"""Whether readings whose unit the map leaves open look like kWh.

In:  settled readings of one table of a map.
Out: nothing, or a MapError with the line that states the unit. A map that states a unit is believed.
"""

import numpy as np

from fairmeter.core.types import Table
from fairmeter.data.maps.spec import TableSpec
from fairmeter.data.maps.toml_text import MapError
from fairmeter.data.maps.values.quantities import HOUR, UNITS

DAY = 24 * HOUR
LIKELY_KWH = (0.2, 500.0)  # a day, of the client in the middle
USUAL_KWH = 10.0  # a day, of a household
NAMES = {5: "five-minute", 10: "ten-minute", 15: "quarter-hourly", 30: "half-hourly", 60: "hourly", DAY: "daily"}
CANDIDATES = ("W", "Wh", "kW", "MWh")


def check_units(table: TableSpec, readings: Table) -> None:
    """Raise MapError where the middle client's day cannot be kWh and no unit is stated."""
    spec = table.fields.get("consumption_kwh")
    if spec is None or spec.unit is not None or spec.factors or not len(readings["client"]):
        return
    values, length = readings["consumption_kwh"], _usual_length(readings)
    known = ~np.isnan(values)
    if not known.any() or length is None:
        return
    by_client = _means(readings["client"][known], values[known])
    a_day = float(np.median(by_client)) * DAY / length
    if a_day == 0 or LIKELY_KWH[0] <= a_day <= LIKELY_KWH[1]:
        return
    unit = min(CANDIDATES, key=lambda unit: abs(np.log(_kwh_a_day(a_day, unit, length) / USUAL_KWH)))
    minutes = f", minutes = {length}" if UNITS[unit].is_power else ""
    column = spec.columns[0] if spec.columns else None
    source = f'column = "{column}", ' if column is not None and spec.source == "column" else ""
    source = "..., " if spec.source not in ("column", "none") else source
    name = NAMES.get(length, f"{length}-minute")
    raise MapError(
        f"readings: {name} values of {np.median(values[known]):g} in the middle look like {unit}. Write: "
        f'consumption_kwh = {{{source}unit = "{unit}"{minutes}}}'
    )


def _kwh_a_day(a_day: float, unit: str, length: int) -> float:
    """kWh a day if the numbers, which add up to `a_day`, are of a unit."""
    found = UNITS[unit]
    return a_day * found.multiplier / found.divisor * (length / HOUR if found.is_power else 1.0)


def _means(client: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The mean of each client."""
    _, number = np.unique(client, return_inverse=True)
    return np.bincount(number, values) / np.bincount(number)


def _usual_length(readings: Table) -> int | None:
    """The most common length of intervals, stated or from one moment to the next. [minutes]"""
    if "minutes" in readings and not np.isnan(readings["minutes"]).all():
        steps = readings["minutes"][~np.isnan(readings["minutes"])].astype(np.int64)
    else:
        order = np.lexsort((readings["read_at"], readings["client"]))
        client, minute = readings["client"][order], readings["read_at"].view(np.int64)[order]
        steps = np.diff(minute)[(client[1:] == client[:-1]) & (np.diff(minute) > 0)]
    if not len(steps):
        return None
    lengths, counts = np.unique(steps, return_counts=True)
    return int(lengths[counts.argmax()])
