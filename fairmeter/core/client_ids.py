"""Client ids that are addresses too: a page is found by the client's id in its path.

In:  an id.
Out: a clause on why it cannot be one, or None.
"""

SLASHES = "begins with / or holds //, so that its page would be another client's; leave the additional / out"
RELATED = "ends with /relations, so that its page would be that of another client's relations; leave this part out"
DOTS = "has . or .. between slashes, so that browsers would ask for another client's page; leave that part out"


def problem_with_id(client_id: str) -> str | None:
    """Why an address cannot hold this id: browsers and servers merge slashes and drop parts that are dots."""
    if client_id.startswith("/") or "//" in client_id:
        return SLASHES
    if client_id.endswith("/relations"):
        return RELATED
    return DOTS if {".", ".."} & set(client_id.split("/")) else None
