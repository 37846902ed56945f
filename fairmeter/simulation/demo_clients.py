"""Four clients for demonstrations, the first of a simulated utility: one honest, three with something to see.

In:  drawn clients, services and thefts.
Out: the same tables, in which the first clients play their parts; nobody has inspected them, so they have no label.
"""

import numpy as np

from fairmeter.core.types import Table
from fairmeter.simulation.billing import ELEC, FIRST_MONTH, N_MONTHS
from fairmeter.simulation.clients import DISTRICT
from fairmeter.simulation.thefts import month_of, month_start

# By id: what they do, and how many days before the last reading it begins.
PARTS = {
    "demo-normal": None,
    "demo-sudden-spike": ("spike", 10),
    "demo-gradual-theft": ("gradual", 240),
    "demo-meter-tampering": ("rollback", 120),
}
CLIENT_IDS = np.array(list(PARTS), object)
N_PARTS = len(PARTS)
MILD = 20.0  # degrees C
START, TARIFF, LEVELS = 24, 11, np.log([210.0, 180.0, 260.0, 230.0])  # month; code; log of kWh a month
END = month_start(N_MONTHS)


def cast_clients(clients: Table) -> Table:
    """The first clients live in the first region, since long ago, and still do; they are households."""
    part = {"region_row": 0, "category_row": 0, "district": DISTRICT[0], "start": START, "end": N_MONTHS}
    part["created_on"] = (FIRST_MONTH + START).astype("datetime64[D]") - 40
    cast = {name: np.full(N_PARTS, value, clients[name].dtype) for name, value in part.items()}
    return clients | {name: np.concatenate([cast[name], clients[name][N_PARTS:]]) for name in part}


def cast_services(services: Table, clients: Table) -> Table:
    """They have electricity and no gas."""
    own = {name: clients[name][:N_PARTS] for name in ("region_row", "category_row", "route", "start", "end")}
    own |= {"client": np.arange(N_PARTS), "energy": np.full(N_PARTS, ELEC), "tariff": np.full(N_PARTS, TARIFF)}
    own |= {"tariff_11_from": np.full(N_PARTS, N_MONTHS), "coefficient": np.ones(N_PARTS, int), "level": LEVELS}
    others = services["client"] >= N_PARTS
    return {name: np.concatenate([own[name], column[others]]) for name, column in services.items()}


def cast_thefts(thefts: Table) -> Table:
    """They do what their part says, from its day until the end. Thefts have their days (thieves.draw_days)."""
    acts = [(service, *part) for service, part in enumerate(PARTS.values()) if part]
    service, pattern, days = (np.array(column) for column in zip(*acts, strict=True))
    own = {"service": service, "pattern": pattern.astype(object), "onset_on": END - days}
    own |= {"onset": month_of(own["onset_on"]), "ended": np.full(len(acts), N_MONTHS)}
    own |= {"ended_on": np.full(len(acts), END), "caught": np.zeros(len(acts), bool)}
    others = thefts["service"] >= N_PARTS
    return {name: np.concatenate([own[name], column[others]]) for name, column in thefts.items()}
