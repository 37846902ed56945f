"""Places -> clusters, where many lie near each other: DBSCAN (Ester, Kriegel, Sander and Xu, KDD 1996).

In:  latitudes and longitudes; a radius; how many places must lie within it, the place itself among them.
Out: the number of each place's cluster, the largest cluster being 0; NOISE of a place that belongs to none.
"""

import numpy as np

NOISE = -1
METRES_A_DEGREE = 111_195.0  # of latitude


def clusters(latitude: np.ndarray, longitude: np.ndarray, radius: float, least: int) -> np.ndarray:
    """The cluster of each place. [degrees, (n,); metres; -> int, (n,)]

    Distances are those on a plane, so the places should lie within some hundred kilometres of each other.
    """
    order = np.argsort(latitude, kind="stable")
    north, east = on_a_plane(latitude[order], longitude[order])
    first, last = np.searchsorted(north, north - radius), np.searchsorted(north, north + radius, "right")

    def near(place: int) -> np.ndarray:
        part = slice(first[place], last[place])
        apart = (north[part] - north[place]) ** 2 + (east[part] - east[place]) ** 2
        return first[place] + np.flatnonzero(apart <= radius**2)

    cluster, n_found = np.full(len(order), NOISE), 0
    for start in range(len(order)):
        if cluster[start] != NOISE or len(near(start)) < least:
            continue
        cluster[start], waiting = n_found, [start]
        while waiting:
            reached = near(waiting.pop())
            if len(reached) >= least:  # else it lies at the edge: the cluster ends there
                new = reached[cluster[reached] == NOISE]
                cluster[new] = n_found
                waiting += new.tolist()
        n_found += 1
    return by_size(cluster[np.argsort(order)])


def on_a_plane(latitude: np.ndarray, longitude: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Metres to the north and to the east of the equator and the first meridian, at the places' mean latitude."""
    shrunk = np.cos(np.radians(latitude.mean())) if len(latitude) else 1.0
    return latitude * METRES_A_DEGREE, longitude * METRES_A_DEGREE * shrunk


def by_size(cluster: np.ndarray) -> np.ndarray:
    """The same clusters, numbered from the largest one on."""
    sizes = np.bincount(cluster[cluster != NOISE])
    number = np.empty(len(sizes) + 1, int)
    number[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    number[-1] = NOISE  # where NOISE, being -1, looks
    return number[cluster]
