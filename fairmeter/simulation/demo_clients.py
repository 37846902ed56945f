"""Four demo clients, the first of a simulated utility: one honest, three with a scenario.

In:  simulated clients, services and thefts.
Out: the same tables with the demo clients as the first ones. They were not inspected, so they have no label.
"""

import numpy as np

from fairmeter.core.types import Table
from fairmeter.simulation.billing import ELEC, FIRST_MONTH, N_MONTHS
from fairmeter.simulation.clients import DISTRICT
from fairmeter.simulation.thefts import month_of, month_start

# By id: pattern, and days from its onset to the last reading.
PARTS = {
    "demo-normal": None,
    "demo-sudden-spike": ("spike", 10),
    "demo-gradual-theft": ("gradual", 240),
    "demo-meter-tampering": ("rollback", 120),
}
CLIENT_IDS = np.array(list(PARTS), object)
N_PARTS = len(PARTS)
MILD = 20.0  # degrees C
START, TARIFF, LEVELS = 24, 11, np.log([210.0, 180.0, 260.0, 230.0])  # month; code; log of kWh per month
END = month_start(N_MONTHS)


def cast_clients(clients: Table) -> Table:
    """Replace the first clients by households of the first region with long, open accounts."""
    part = {"region_row": 0, "category_row": 0, "district": DISTRICT[0], "start": START, "end": N_MONTHS}
    part["created_on"] = (FIRST_MONTH + START).astype("datetime64[D]") - 40
    cast = {name: np.full(N_PARTS, value, clients[name].dtype) for name, value in part.items()}
    return clients | {name: np.concatenate([cast[name], clients[name][N_PARTS:]]) for name in part}


def cast_services(services: Table, clients: Table) -> Table:
    """Replace the services of the demo clients: electricity, no gas."""
    own = {name: clients[name][:N_PARTS] for name in ("region_row", "category_row", "route", "start", "end")}
    own |= {"client": np.arange(N_PARTS), "energy": np.full(N_PARTS, ELEC), "tariff": np.full(N_PARTS, TARIFF)}
    own |= {"tariff_11_from": np.full(N_PARTS, N_MONTHS), "coefficient": np.ones(N_PARTS, int), "level": LEVELS}
    others = services["client"] >= N_PARTS
    return {name: np.concatenate([own[name], column[others]]) for name, column in services.items()}


def cast_thefts(thefts: Table) -> Table:
    """Replace the thefts of the demo clients by their patterns. thefts: dated to the day (thefts.draw_days)."""
    acts = [(service, *part) for service, part in enumerate(PARTS.values()) if part]
    service, pattern, days = (np.array(column) for column in zip(*acts, strict=True))
    own = {"service": service, "pattern": pattern.astype(object), "onset_on": END - days}
    own |= {"onset": month_of(own["onset_on"]), "ended": np.full(len(acts), N_MONTHS)}
    own |= {"ended_on": np.full(len(acts), END), "caught": np.zeros(len(acts), bool)}
    others = thefts["service"] >= N_PARTS
    return {name: np.concatenate([own[name], column[others]]) for name, column in thefts.items()}
