"""A person's work on a client: which moves are allowed, what each must say, and the chain that keeps them honest.

In:  the state of a case and what somebody wants; or the moves of all cases, in order.
Out: nothing where the move is allowed, else an exception in words; hashes; the first move that was tampered with.

A case is new, assigned, inspecting or closed. What the crew found is its outcome; only an inspection gives it one.
Every move is a row that is only ever added. Each holds the hash of itself and of the one before, so that a row that is
changed, left out or put in later shows, wherever it stands.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256

from fairmeter.casework.types import ChainBreak, Move

NEW, ASSIGNED, INSPECTING, CLOSED = "new", "assigned", "inspecting", "closed"
MOVES = {
    NEW: {ASSIGNED, CLOSED},
    ASSIGNED: {INSPECTING, NEW},
    INSPECTING: {CLOSED},
    CLOSED: set(),
}
OUTCOMES = ("confirmed", "fault", "cleared", "no_access", "refused")
SEEN = frozenset({"confirmed", "fault", "cleared"})  # outcomes of visits at which somebody saw the meter
FIRST_HASH = "0" * 64  # what stands before the first move of all
MOST_WORDS = 2000  # characters of a move's why


class CaseError(Exception):
    """What is wanted cannot be done with the case; one sentence that says why, and what can."""


class CaseNotFound(CaseError):
    """No case has this number."""


class ClientNotFound(CaseError):
    """No client has this id."""


class CaseTaken(CaseError):
    """Somebody else was first: the case is not as the caller saw it.

    case: as it is now; assignee: who has it, None where nobody does.
    """

    def __init__(self, message: str, case) -> None:
        super().__init__(message)
        self.case, self.assignee = case, case.assignee


class ClientHasCase(CaseTaken):
    """The client has an open case already."""


class MoveNotAllowed(CaseError):
    """The table of moves has no such move, or the move lacks what it must say."""


def check_move(state: str, to: str, why: str, assignee: str | None) -> None:
    """Raises MoveNotAllowed with what may be done instead."""
    if to not in MOVES:
        raise MoveNotAllowed(f"There is no state {to!r}; states are {', '.join(MOVES)}.")
    if to not in MOVES[state]:
        allowed = ", ".join(sorted(MOVES[state])) or "none: open another case"
        raise MoveNotAllowed(f"A case that is {state} cannot become {to}; allowed: {allowed}.")
    if state == INSPECTING:
        raise MoveNotAllowed("Record the inspection with its outcome: that closes the case.")
    if to == ASSIGNED and not assignee:
        raise MoveNotAllowed("Say to whom the case is assigned.")
    check_why(why)


def check_why(why: str) -> None:
    if not why.strip():
        raise MoveNotAllowed("Say why: a few words, for whoever reads the case later.")
    if len(why) > MOST_WORDS:
        raise MoveNotAllowed(f"The reason has {len(why)} characters; keep it to {MOST_WORDS}.")


def check_outcome(state: str, outcome: str) -> None:
    """Raises MoveNotAllowed unless a visit that ended so may be recorded now."""
    if outcome not in OUTCOMES:
        raise MoveNotAllowed(f"There is no outcome {outcome!r}; outcomes are {', '.join(OUTCOMES)}.")
    if state != INSPECTING:
        raise MoveNotAllowed(f"The case is {state}; it must be inspecting before an inspection is recorded.")


# --- the chain --------------------------------------------------------------------------------------------------------


def hash_of(move: Move) -> str:
    """SHA-256 of a move and of the hash before it; its own hash is left out. [64 hex digits]"""
    told = [
        move.seq, move.case_id, move.version, move.from_state, move.to_state, move.user, move.why, move.assignee,
        move.outcome, stamp(move.at), move.previous_hash,
    ]  # fmt: skip
    return sha256(json.dumps(told, ensure_ascii=True, separators=(",", ":")).encode()).hexdigest()


def stamp(moment: datetime) -> str:
    """A moment as one text, whatever database gave it back."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def first_broken(moves: Iterable[Move]) -> ChainBreak | None:
    """The first move, in order of seq, that is not as it was written; None where the chain holds."""
    previous_seq, previous_hash = 0, FIRST_HASH
    for move in moves:
        if move.seq != previous_seq + 1:
            return ChainBreak(move.seq, f"Move {move.seq} follows move {previous_seq}: what stood between is gone.")
        if move.previous_hash != previous_hash:
            return ChainBreak(
                move.seq, f"Move {move.seq} was not written after the move {previous_seq} that stands here."
            )
        if move.hash != hash_of(move):
            return ChainBreak(move.seq, f"Move {move.seq} of case {move.case_id} was changed after it was written.")
        previous_seq, previous_hash = move.seq, move.hash
    return None
