"""Places to visit -> days' routes: near addresses on one day, never more than a day holds.

In:  latitudes and longitudes [degrees, NaN unknown], visits that fit into a day.
Out: each place's route, 1 the northernmost; 0 where the place is not known.
"""

import numpy as np

from fairmeter.core.geo import to_kilometres

SEED = 7


def day_routes(latitude: np.ndarray, longitude: np.ndarray, a_day: int) -> np.ndarray:
    """As few routes as hold all known places, each place on a near one. [int64]

    Centres by k-means, then the assignment of least total distance to places on the routes. Raises ValueError for days
    that hold nothing.
    """
    if a_day < 1:
        raise ValueError(f"Got {a_day} visits a day; a route needs at least 1.")
    routes = np.zeros(len(latitude), dtype=np.int64)
    known = np.flatnonzero(~np.isnan(latitude) & ~np.isnan(longitude))
    if not len(known):
        return routes
    places = to_kilometres(latitude[known], longitude[known])
    centres = _centres(places, -(-len(known) // a_day))
    centres = centres[np.argsort(-centres[:, 1], kind="stable")]
    routes[known] = _assigned(places, centres, a_day) + 1
    return routes


def _centres(places: np.ndarray, n: int) -> np.ndarray:
    from sklearn.cluster import KMeans

    n_different = len(np.unique(places, axis=0))
    found = KMeans(min(n, n_different), n_init=4, random_state=SEED).fit(places).cluster_centers_
    return np.concatenate([found, np.repeat(found[:1], n - len(found), axis=0)])


def _assigned(places: np.ndarray, centres: np.ndarray, a_day: int) -> np.ndarray:
    """Each place's centre, no centre with more than a day holds, the total distance as small as can be."""
    from scipy.optimize import linear_sum_assignment

    km = np.linalg.norm(places[:, None] - centres[None], axis=2)
    place, seat = linear_sum_assignment(np.repeat(km, a_day, axis=1))
    route = np.empty(len(places), dtype=np.int64)
    route[place] = seat // a_day
    return route
