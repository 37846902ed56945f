"""Places to visit -> routes by day: near places on one day, and no more than fit into a day.

In:  latitudes and longitudes [degrees, NaN if unknown], visits that fit into a day.
Out: the number of each place's route, 1 for the northernmost; 0 for an unknown place.
"""

import numpy as np

from fairmeter.core.geo import to_kilometres

SEED = 7


def day_routes(latitude: np.ndarray, longitude: np.ndarray, visits_per_day: int) -> np.ndarray:
    """The fewest routes that hold all known places, each place on a near route. [degrees, (n,) -> int64, (n,)]

    k-means gives the centres; an assignment of least total distance then fills the routes. Raises ValueError if a day
    holds no visit.
    """
    if visits_per_day < 1:
        raise ValueError(f"Got {visits_per_day} visits a day; a route needs at least 1.")
    routes = np.zeros(len(latitude), dtype=np.int64)
    known = np.flatnonzero(~np.isnan(latitude) & ~np.isnan(longitude))
    if not len(known):
        return routes
    places = to_kilometres(latitude[known], longitude[known])
    centres = _centres(places, -(-len(known) // visits_per_day))
    centres = centres[np.argsort(-centres[:, 1], kind="stable")]
    routes[known] = _assigned(places, centres, visits_per_day) + 1
    return routes


def _centres(places: np.ndarray, n: int) -> np.ndarray:
    from sklearn.cluster import KMeans

    n_different = len(np.unique(places, axis=0))
    found = KMeans(min(n, n_different), n_init=4, random_state=SEED).fit(places).cluster_centers_
    return np.concatenate([found, np.repeat(found[:1], n - len(found), axis=0)])


def _assigned(places: np.ndarray, centres: np.ndarray, visits_per_day: int) -> np.ndarray:
    """Number of each place's centre: at most visits_per_day a centre, and the least total distance."""
    from scipy.optimize import linear_sum_assignment

    km = np.linalg.norm(places[:, None] - centres[None], axis=2)
    place, seat = linear_sum_assignment(np.repeat(km, visits_per_day, axis=1))
    route = np.empty(len(places), dtype=np.int64)
    route[place] = seat // visits_per_day
    return route
