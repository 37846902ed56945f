"""Places of one day -> the order in which to visit them, and the length of the way.

In:  latitudes and longitudes [degrees, NaN if unknown]; if known, the districts of the places, and the crews' bases.
Out: distances [km], a short order, its length [km].

Behind n places, a matrix of distances has one place for each crew, where its ways begin and end: its base. Without a
base it has distance 0 to all places, so that a way begins at its first visit and ends at its last one.
"""

from collections.abc import Sequence

import numpy as np

from fairmeter.core.geo import to_kilometres

# Between clients of which one has no coordinates. Only their order counts: neighbours stay together.
SAME_DISTRICT_KM, OTHER_DISTRICT_KM = 3.0, 30.0
MIN_GAIN_KM = 1e-9  # smaller gains are rounding
NO_BASE = np.full((1, 2), np.nan)  # one crew without a base


def distances(
    latitude: np.ndarray, longitude: np.ndarray, district: np.ndarray | None = None, bases: np.ndarray = NO_BASE
) -> np.ndarray:
    """Distances between places, and to each crew's base. [degrees, (n,) and (crews, 2) -> km, (n + crews, n + crews)]

    Without coordinates a distance is assumed by district; NaN districts differ from all others.
    """
    n, n_crews = len(latitude), len(bases)
    district = np.full(n, np.nan) if district is None else district
    out = np.zeros((n + n_crews, n + n_crews))
    out[:n, :n] = np.where(district[:, None] == district, SAME_DISTRICT_KM, OTHER_DISTRICT_KM)
    all_places = np.concatenate([latitude, bases[:, 0]]), np.concatenate([longitude, bases[:, 1]])
    known = np.flatnonzero(is_known(*all_places))
    places = to_kilometres(all_places[0][known], all_places[1][known])
    out[np.ix_(known, known)] = np.linalg.norm(places[:, None] - places, axis=2)
    np.fill_diagonal(out, 0.0)
    return out


def is_known(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Mask of the places with coordinates. [bool, (n,)]"""
    return ~np.isnan(latitude) & ~np.isnan(longitude)


def route_length(route: Sequence[int], km: np.ndarray, base: int = -1) -> float:
    """Length of the way from the base through places in this order and back. [km; base: its row]"""
    way = [base, *route, base]
    return float(km[way[:-1], way[1:]].sum())


def nearest_neighbours(places: Sequence[int], km: np.ndarray, base: int = -1) -> list[int]:
    """The order that always goes on to the nearest place left, from the base."""
    route, left = [base], list(places)
    while left:
        route.append(left.pop(int(km[route[-1], left].argmin())))
    return route[1:]


def short_route(places: Sequence[int], km: np.ndarray, base: int = -1) -> list[int]:
    """A short order of the places: nearest neighbours, improved by 2-opt and Or-opt until neither gains."""
    tour = np.array([base, *nearest_neighbours(places, km, base)])
    while len(tour) > 2:
        improved = _reversed_once(tour, km)
        improved = _shifted_once(tour, km) if improved is None else improved
        if improved is None:
            break
        tour = improved
    return tour[1:].tolist()


def visiting_order(latitude: Sequence[float], longitude: Sequence[float]) -> list[int]:
    """Indices of places in a short order; those without coordinates last. [degrees, NaN if unknown]"""
    where = np.asarray(latitude, float), np.asarray(longitude, float)
    known = is_known(*where)
    route = short_route(np.flatnonzero(known).tolist(), distances(*where))
    return [*route, *np.flatnonzero(~known).tolist()]


def _reversed_once(tour: np.ndarray, km: np.ndarray) -> np.ndarray | None:
    """The tour with the one part reversed that shortens it most (2-opt); None if none does."""
    following = np.roll(tour, -1)
    edges = km[tour, following]
    # Edges i and j are replaced by the connections of their first and of their last ends.
    gain = edges[:, None] + edges - km[np.ix_(tour, tour)] - km[np.ix_(following, following)]
    first, last = np.unravel_index(np.triu(gain, 2).argmax(), gain.shape)
    if gain[first, last] <= MIN_GAIN_KM or last - first < 2:
        return None
    return np.concatenate([tour[: first + 1], tour[first + 1 : last + 1][::-1], tour[last + 1 :]])


def _shifted_once(tour: np.ndarray, km: np.ndarray) -> np.ndarray | None:
    """The tour with the one place moved that shortens it most (Or-opt); None if none does."""
    before, following = np.roll(tour, 1), np.roll(tour, -1)
    freed = km[before, tour] + km[tour, following] - km[before, following]
    # Place i between tour[j] and its next one.
    added = km[np.ix_(tour, tour)] + km[np.ix_(tour, following)] - km[tour, following]
    gain = freed[:, None] - added
    n = np.arange(len(tour))
    gain[0] = gain[n, n] = gain[n, n - 1] = -np.inf
    place, after = np.unravel_index(gain.argmax(), gain.shape)
    if gain[place, after] <= MIN_GAIN_KM:
        return None
    rest = np.delete(tour, place)
    at = after - (after > place) + 1
    return np.insert(rest, at, tour[place])
