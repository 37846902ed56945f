"""The ways of crews: their length, and the shortest order of their visits.

In:  a crew with its base, the places of its visits.
Out: kilometres; client ids in order.
"""

from collections.abc import Sequence
from math import nan

import numpy as np

from fairmeter.casework.types import Crew
from fairmeter.planning.route_order import distances, route_length, short_route
from fairmeter.store.fieldwork.sites import ClientSite


def way_km(crew: Crew, sites: Sequence[ClientSite]) -> float:
    """Length of a crew's way from its base through the places in this order, and back. [km]

    Places without coordinates are left out; without a base the way leads from the first place to the last.
    """
    known = [site for site in sites if site.has_place]
    return route_length(range(len(known)), _distances(crew, known))


def in_short_order(crew: Crew, sites: Sequence[ClientSite]) -> list[str]:
    """The clients in a short order; those without a place last."""
    known = [site for site in sites if site.has_place]
    order = short_route(range(len(known)), _distances(crew, known))
    return [known[i].client_id for i in order] + [site.client_id for site in sites if not site.has_place]


def _distances(crew: Crew, sites: Sequence[ClientSite]) -> np.ndarray:
    latitude, longitude = ([getattr(site, name) for site in sites] for name in ("latitude", "longitude"))
    base = [(nan if crew.latitude is None else crew.latitude, nan if crew.longitude is None else crew.longitude)]
    return distances(np.array(latitude, float), np.array(longitude, float), bases=np.array(base))
