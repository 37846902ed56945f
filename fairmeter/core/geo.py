"""Distances, plane coordinates, and clusters of places by DBSCAN (Ester, Kriegel, Sander and Xu, KDD 1996).

In:  latitudes and longitudes [degrees].
Out: distances [m], coordinates on a plane [m or km], the cluster of each place.

Plane coordinates are accurate within some hundred kilometres of the places' mean latitude.
"""

from math import asin, cos, radians, sin, sqrt

import numpy as np

NOISE = -1  # the cluster of a place that belongs to none
EARTH_RADIUS = 6_371_000.0  # mean radius [m]
METRES_PER_DEGREE = 111_195.0  # of latitude
# Rounded, for routes. One factor for all distances does not change a route, but the exact one would change the last
# digits of the k-means centres, and with them routes of equal length.
KM_PER_DEGREE = 111.2
MIN_SHRINK = 0.01  # of a degree of longitude; keeps areas at the poles finite


def distance(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """Great-circle distance by the haversine formula. [degrees -> m]"""
    high, wide = radians(other_latitude - latitude), radians(other_longitude - longitude)
    share = sin(high / 2) ** 2 + cos(radians(latitude)) * cos(radians(other_latitude)) * sin(wide / 2) ** 2
    return 2 * EARTH_RADIUS * asin(min(sqrt(share), 1.0))


def longitude_span(latitude_span: float, latitude: float) -> float:
    """Degrees of longitude that are as long as so many degrees of latitude, at a latitude. [degrees]"""
    return latitude_span / max(cos(radians(latitude)), MIN_SHRINK)


def to_metres(latitude: np.ndarray, longitude: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Plane coordinates north of the equator and east of the prime meridian. [degrees -> m]"""
    return latitude * METRES_PER_DEGREE, longitude * METRES_PER_DEGREE * _shrink(latitude)


def to_kilometres(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Plane coordinates (east, north), with the rounded length of a degree. [degrees, (n,) -> km, (n, 2)]"""
    return KM_PER_DEGREE * np.stack([longitude * _shrink(latitude), latitude], axis=1)


def _shrink(latitude: np.ndarray) -> float:
    """Length of a degree of longitude over that of a degree of latitude, at the mean latitude. [0..1]"""
    return np.cos(np.radians(latitude.mean())) if len(latitude) else 1.0


def dbscan(latitude: np.ndarray, longitude: np.ndarray, radius: float, min_places: int) -> np.ndarray:
    """The cluster of each place, 0 being the largest; NOISE where it has none. [degrees, (n,); m; -> int, (n,)]

    A place is a core where at least min_places, itself included, lie within the radius.
    """
    order = np.argsort(latitude, kind="stable")
    north, east = to_metres(latitude[order], longitude[order])
    first, last = np.searchsorted(north, north - radius), np.searchsorted(north, north + radius, "right")

    def near(place: int) -> np.ndarray:
        part = slice(first[place], last[place])
        apart = (north[part] - north[place]) ** 2 + (east[part] - east[place]) ** 2
        return first[place] + np.flatnonzero(apart <= radius**2)

    cluster, n_found = np.full(len(order), NOISE), 0
    for start in range(len(order)):
        if cluster[start] != NOISE or len(near(start)) < min_places:
            continue
        cluster[start], waiting = n_found, [start]
        while waiting:
            reached = near(waiting.pop())
            if len(reached) >= min_places:  # else the place is at the edge, where the cluster ends
                new = reached[cluster[reached] == NOISE]
                cluster[new] = n_found
                waiting += new.tolist()
        n_found += 1
    return _numbered_by_size(cluster[np.argsort(order)])


def _numbered_by_size(cluster: np.ndarray) -> np.ndarray:
    """The same clusters, numbered from the largest to the smallest."""
    sizes = np.bincount(cluster[cluster != NOISE])
    number = np.empty(len(sizes) + 1, int)
    number[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    number[-1] = NOISE  # NOISE is -1, the last place
    return number[cluster]
