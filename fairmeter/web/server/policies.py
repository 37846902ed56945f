"""How a route's requests are received, and in which place they are computed.

In:  the policies of endpoints, set beside their routes; a method, a path, a query and the size of a body.
Out: the policy of a request, and its place. An endpoint without a policy has the default.
"""

from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import parse_qsl

HEALTH, READINESS, DESK_READINESS = "health", "readiness", "desk readiness"
CLIENTS, SCORING, DESK = "clients", "scoring", "desk"
BATCHES, FILES, UPLOADS, REFUSALS = "batches", "files", "uploads", "refusals"

SMALL_BODY = 2**20  # bytes; a form of the desk takes a few thousand
LIGHT_BODY = 2**16  # bytes; as JSON at most eight clients with 35 invoices, a tenth of a second with reasons


class RoutePolicy(NamedTuple):
    """Limits and place of a route.

    place: where it is computed; heavy_place: where it is computed once the body has over light_bytes, or the query one
    of heavy_queries with another value than those given (None: without a limit).
    max_bytes: of a body; is_streamed: the route reads the body as it arrives, as it would not fit anywhere else.
    """

    place: str = DESK
    max_bytes: int = SMALL_BODY
    light_bytes: int = SMALL_BODY
    heavy_place: str = FILES
    heavy_queries: tuple[tuple[str, tuple[str, ...]], ...] = ()
    is_streamed: bool = False

    def place_of(self, query: str, n_bytes: int) -> str:
        """The place of a request with this query and a body of this size."""
        is_heavy = n_bytes > self.light_bytes or (self.heavy_queries and self._asks_for_much(query))
        return self.heavy_place if is_heavy else self.place

    def _asks_for_much(self, query: str) -> bool:
        light = dict(self.heavy_queries)
        return any(name in light and value not in light[name] for name, value in _pairs(query))


def _pairs(query: str) -> Iterable[tuple[str, str]]:
    try:
        return parse_qsl(query, keep_blank_values=True, max_num_fields=100)
    except ValueError:  # more fields than any route has
        return []


EXPORTS = (("format", ("", "json")),)  # files hold all rows, JSON a page of them
PROMISE = (("false_alarms", ("",)),)  # of a list, which is then planned from all clients
