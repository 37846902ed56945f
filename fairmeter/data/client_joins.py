"""How the rows of a table join the clients: whether the ids of both are written alike, and the likely cause if not.

In:  the ids of rows that no client has, the ids of the clients, and numbers of rows.
Out: a Join, which adds up over the parts of a client base; a refusal where nearly nothing joins; examples for a flag.
"""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from heapq import nsmallest
from typing import NamedTuple
from zlib import crc32

import numpy as np

from fairmeter.core.types import QualityFlag
from fairmeter.data.files import TableError

MIN_JOINED_SHARE = 0.05  # of the rows, or of the clients; with less of both, the ids do not belong together
MAX_SAMPLE = 2_000  # ids of each side that are compared for the likely cause
N_EXAMPLES = 3
DIFFERENCES: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("the .0 at the end", lambda text: re.sub(r"[.,]0+$", "", text)),
    ("blanks, dashes or other signs", lambda text: re.sub(r"[\W_]+", "", text)),
    ("capital letters", str.casefold),
    ("leading zeros", lambda text: text.lstrip("0") or text),
)


class UnjoinedRows(TableError):
    """Nearly no row of a table belongs to a client of the clients' table."""


class Join(NamedTuple):
    """How rows join clients. [unknown, clients: samples of the ids that no client has, and of the clients' ids]"""

    what: str  # "invoices"
    n_rows: int
    n_joined: int
    n_clients: int
    n_with_rows: int
    n_unknown_ids: int
    unknown: tuple[str, ...] = ()
    clients: tuple[str, ...] = ()

    @property
    def is_failed(self) -> bool:
        """Whether next to no row has a client, and next to no client a row."""
        return self.n_joined < MIN_JOINED_SHARE * self.n_rows and self.n_with_rows < MIN_JOINED_SHARE * self.n_clients

    def merged(self, other: "Join") -> "Join":
        """The join of two parts of a client base, none of whose clients is in both."""
        counts = (one + two for one, two in zip(self[1:6], other[1:6], strict=True))
        unknown, clients = self.unknown + other.unknown, self.clients + other.clients
        return Join(self.what, *counts, sample(unknown), sample(clients))


def join_of(
    what: str, client: np.ndarray, unknown_ids: Collection[str], client_ids: Collection[str], is_part: bool = False
) -> Join:
    """The join of rows with clients. [client: row of each row's client, -1 unknown; unknown_ids: distinct]

    is_part: whether other parts may have unknown ids, so that the ids of the clients are sampled in any case.
    """
    n_rows = np.bincount(client[client >= 0], minlength=len(client_ids))
    has_samples = is_part or len(unknown_ids) > 0
    return Join(
        what,
        len(client),
        int(n_rows.sum()),
        len(client_ids),
        int(np.count_nonzero(n_rows)),
        len(unknown_ids),
        sample(unknown_ids) if has_samples else (),
        sample(client_ids) if has_samples else (),
    )


def join_of_ids(what: str, ids: Iterable[str], client_ids: Collection[str]) -> Join:
    """The join of a table with a row an id."""
    row_of = {client_id: row for row, client_id in enumerate(client_ids)}
    ids = list(ids)
    client = np.array([row_of.get(each, -1) for each in ids], np.int64)
    return join_of(what, client, dict.fromkeys(each for each in ids if each not in row_of), client_ids)


def refuse_failed_join(join: Join, place: object) -> None:
    """Raise UnjoinedRows where nearly nothing joins, with the likely cause. [place: of the rows, for the message]"""
    if join.is_failed:
        raise UnjoinedRows(f"{place}: {explain_failure(join)}")


def explain_failure(join: Join, name: str = "client_id") -> str:
    """What does not join, an example, the likely cause and what to write. [name: of the column of ids]"""
    share = f"{join.n_joined:,} of {join.n_rows:,} {join.what} have the {name} of one of the {join.n_clients:,} clients"
    pairs = alike_ids(join)
    if pairs:
        unknown, client_id, difference = pairs[0]
        return (
            f"{share}. The id {unknown!r} here and {client_id!r} of the clients differ in {difference}. "
            "Write the ids alike in both tables, as text."
        )
    if not join.unknown or not join.clients:
        return f"{share}. Name the clients of these {join.what}."
    return (
        f"{share}. The ids look like {join.unknown[0]!r} here and like {join.clients[0]!r} among the clients. Name the "
        f"column with the same ids {name} in both tables, or state it in a map."
    )


def with_examples(flags: Iterable[QualityFlag], flag_name: str, join: Join) -> list[QualityFlag]:
    """The flags, that of unknown clients with examples of their ids, and of ids that are nearly a client's."""
    return [replace(flag, text=flag.text + _examples(join)) if flag.flag == flag_name else flag for flag in flags]


def _examples(join: Join) -> str:
    if pairs := alike_ids(join):
        unknown, client_id, difference = pairs[0]
        return f" For example {unknown!r}, which differs from the client {client_id!r} in {difference}."
    named = [each for each in join.unknown[:N_EXAMPLES] if each]
    return f" For example {', '.join(map(repr, named))}." if named else ""


def alike_ids(join: Join) -> list[tuple[str, str, str]]:
    """(unknown id, id of a client, what they differ in) of ids in the samples that are alike but for their writing."""
    client_of = {simplified(client_id): client_id for client_id in reversed(join.clients)}
    pairs = ((unknown, client_of.get(simplified(unknown))) for unknown in join.unknown if simplified(unknown))
    return [(unknown, client_id, _difference(unknown, client_id)) for unknown, client_id in pairs if client_id]


def _difference(one: str, other: str) -> str:
    """The names of the changes without which the two ids stay different."""
    needed = []
    for name, _ in DIFFERENCES:
        changes = [change for each, change in DIFFERENCES if each != name]
        if _changed(one, changes) != _changed(other, changes):
            needed.append(name)
    return " and ".join(needed) or "their writing"


def simplified(client_id: str) -> str:
    """An id without what spreadsheets and exports add or lose."""
    return _changed(client_id, [change for _, change in DIFFERENCES])


def _changed(text: str, changes: Sequence[Callable[[str], str]]) -> str:
    for change in changes:
        text = change(text)
    return text


def sample(ids: Iterable[str]) -> tuple[str, ...]:
    """At most MAX_SAMPLE ids. Ids that are alike are in the samples of two tables or in none."""
    return tuple(nsmallest(MAX_SAMPLE, ids, key=lambda each: (crc32(simplified(each).encode()), each)))
