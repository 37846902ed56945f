"""Whether readings whose unit the map leaves open look like kWh.

In:  settled readings of the tables of a map, at once or in parts.
Out: nothing, or a MapError with the line that states the unit. A map that states a unit is believed.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

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


@dataclass
class UnitChecks:
    """What the units of a map's tables look like, added part by part. [each part: all rows of its clients]"""

    _means: dict[int, list[np.ndarray]] = field(default_factory=lambda: defaultdict(list))
    _lengths: dict[int, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    _middles: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, number: int, table: TableSpec, readings: Table) -> None:
        """Add readings of a table. [number: of the table in its map; readings: settled]"""
        known = ~np.isnan(readings["consumption_kwh"])
        if not _is_open(table) or not known.any():
            return
        values = readings["consumption_kwh"][known]
        self._means[number].append(_means(readings["client"][known], values))
        self._middles[number].append(float(np.median(values)))
        self._lengths[number].update(_lengths(readings))

    def check(self, tables: Sequence[TableSpec]) -> None:
        """Raise MapError where the middle client's day cannot be kWh and no unit is stated."""
        for number, means in sorted(self._means.items()):
            lengths = self._lengths[number]
            if not lengths:
                continue
            most = max(lengths.values())
            length = min(length for length, n in lengths.items() if n == most)
            a_day = float(np.median(np.concatenate(means))) * DAY / length
            if a_day != 0 and not LIKELY_KWH[0] <= a_day <= LIKELY_KWH[1]:
                raise _unlikely(tables[number], length, a_day, float(np.median(self._middles[number])))


def _is_open(table: TableSpec) -> bool:
    spec = table.fields.get("consumption_kwh")
    return spec is not None and spec.unit is None and not spec.factors


def _unlikely(table: TableSpec, length: int, a_day: float, middle: float) -> MapError:
    spec = table.fields["consumption_kwh"]
    unit = min(CANDIDATES, key=lambda unit: abs(np.log(_kwh_a_day(a_day, unit, length) / USUAL_KWH)))
    minutes = f", minutes = {length}" if UNITS[unit].is_power else ""
    column = spec.columns[0] if spec.columns else None
    source = f'column = "{column}", ' if column is not None and spec.source == "column" else ""
    source = "..., " if spec.source not in ("column", "none") else source
    name = NAMES.get(length, f"{length}-minute")
    return MapError(
        f"readings: {name} values of {middle:g} in the middle look like {unit}. Write: "
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


def _lengths(readings: Table) -> Counter[int]:
    """Lengths of intervals, stated or from one moment to the next, with their numbers. [minutes]"""
    if "minutes" in readings and not np.isnan(readings["minutes"]).all():
        steps = readings["minutes"][~np.isnan(readings["minutes"])].astype(np.int64)
    else:
        order = np.lexsort((readings["read_at"], readings["client"]))
        client, minute = readings["client"][order], readings["read_at"].view(np.int64)[order]
        steps = np.diff(minute)[(client[1:] == client[:-1]) & (np.diff(minute) > 0)]
    lengths, counts = np.unique(steps, return_counts=True)
    return Counter(dict(zip(lengths.tolist(), counts.tolist(), strict=True)))
