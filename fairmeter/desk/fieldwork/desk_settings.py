"""Settings of the desk that plans, campaigns and pages share: the environment's, else the desk's own.

In:  the store, the values of the environment.
Out: DeskSettings.
"""

from typing import Any, NamedTuple

from fairmeter.planning.inspection_list import RANDOM_SHARE
from fairmeter.store import Store


class DeskSettings(NamedTuple):
    """Values with their defaults. [price_per_kwh, cost_per_visit: in the currency; None: not known]

    time_zone: a name; language: a tag; map_tiles, map_credit: of the base map. Empty: none is set at the desk.
    """

    currency: str = ""
    price_per_kwh: float | None = None
    cost_per_visit: float | None = None
    random_share: float = RANDOM_SHARE
    time_zone: str = ""
    language: str = ""
    map_tiles: str = ""
    map_credit: str = ""


def desk_settings(store: Store, given: dict[str, Any] | None = None) -> DeskSettings:
    """The settings that hold now. [given: what the environment sets, which holds before the desk's own]"""
    stored = {name: found.value for name, found in store.desk_values().items() if name in DeskSettings._fields}
    return DeskSettings(**stored | (given or {}))
