"""Which visits fit into the days of crews: each visit needs a place in a day of a crew that may go there.

In:  the crews' numbers of visits, and for each visit the crews that may make it.
Out: an assignment of as many visits as were accepted; a new visit moves earlier ones to other crews where necessary.
"""

from collections.abc import Iterable, Sequence


class CrewSeats:
    """Accepts visits one by one, as long as all accepted ones fit (a maximum matching by augmenting paths)."""

    def __init__(self, capacity: Sequence[int]) -> None:
        self._free = list(capacity)
        self._crew_of: dict[int, int] = {}
        self._allowed: dict[int, tuple[int, ...]] = {}
        self._visits: list[set[int]] = [set() for _ in capacity]
        self._full: set[frozenset[int]] = set()

    @property
    def n_free(self) -> int:
        """Number of visits that the crews could still make."""
        return sum(self._free)

    def crew_of(self, visit: int) -> int:
        """The crew of an accepted visit. Raises KeyError."""
        return self._crew_of[visit]

    def accept(self, visit: int, crews: Iterable[int]) -> bool:
        """Accept a visit for one of these crews, the first with a free place first; False if it does not fit."""
        crews = tuple(crews)
        if frozenset(crews) in self._full:
            return False
        path = self._path_to_free(crews)
        if path is None:
            self._full.add(frozenset(crews))
            return False
        self._allowed[visit] = crews
        self._move_along(visit, path)
        return True

    def _path_to_free(self, crews: Sequence[int]) -> list[int] | None:
        """The shortest chain of crews, each giving a visit to the next, that ends at a free place."""
        came_from: dict[int, int | None] = dict.fromkeys(crews)
        waiting = list(crews)
        for crew in waiting:
            if self._free[crew]:
                return _chain(crew, came_from)
            for other in sorted({to for visit in self._visits[crew] for to in self._allowed[visit]}):
                if other not in came_from:
                    came_from[other] = crew
                    waiting.append(other)
        return None

    def _move_along(self, visit: int, path: list[int]) -> None:
        """Place the visit at the first crew of the path, which gives one of its own to the next."""
        for crew, following in zip(path, [*path[1:], None], strict=True):
            given = None
            if following is not None:
                given = min(other for other in self._visits[crew] if following in self._allowed[other])
                self._visits[crew].remove(given)
            else:
                self._free[crew] -= 1
            self._visits[crew].add(visit)
            self._crew_of[visit] = crew
            visit = given


def _chain(last: int, came_from: dict[int, int | None]) -> list[int]:
    path, crew = [], last
    while crew is not None:
        path.append(crew)
        crew = came_from[crew]
    return path[::-1]
