"""Workflow of a case: allowed moves, what each move requires, and the hash chain that makes tampering evident.

In:  the state of a case and the wanted move; or the moves of all cases, in order.
Out: nothing where the move is allowed, else an exception; hashes; the first move that was tampered with.

A case is new, assigned, inspecting or closed. Its outcome is what the crew found; only an inspection sets it.
Moves are rows that are only ever appended. Each row holds its own hash and that of the move before, so that a changed,
removed or inserted row is detected anywhere in the chain.
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
METER_SEEN = frozenset({"confirmed", "fault", "cleared"})  # outcomes of visits at which the crew saw the meter
FIRST_HASH = "0" * 64  # previous_hash of the first move
MAX_WHY_LENGTH = 2000  # characters


class CaseError(Exception):
    """The case does not allow what was asked; the message says why, and what is possible."""


class CaseNotFound(CaseError):
    """No case has this number."""


class ClientNotFound(CaseError):
    """No client has this id."""


class CaseTaken(CaseError):
    """The case has changed since the caller read it.

    case: its current state; assignee: the user that it is assigned to, None without one.
    """

    def __init__(self, message: str, case) -> None:
        super().__init__(message)
        self.case, self.assignee = case, case.assignee


class ClientHasCase(CaseTaken):
    """The client already has an open case."""


class MoveNotAllowed(CaseError):
    """MOVES has no such move, or the move lacks something required."""


def check_move(state: str, to: str, why: str, assignee: str | None) -> None:
    """Raise MoveNotAllowed, with the allowed moves, unless the case may make this move."""
    if to not in MOVES:
        raise MoveNotAllowed(f"Unknown state {to!r}; states are {', '.join(MOVES)}.")
    if to not in MOVES[state]:
        allowed = ", ".join(sorted(MOVES[state])) or "none, open another case"
        raise MoveNotAllowed(f"A case that is {state} cannot become {to}; allowed: {allowed}.")
    if state == INSPECTING:
        raise MoveNotAllowed("Record the inspection with its outcome: that closes the case.")
    if to == ASSIGNED and not assignee:
        raise MoveNotAllowed("Name the user that the case is assigned to.")
    check_why(why)


def check_why(why: str) -> None:
    """Raise MoveNotAllowed unless the reason has 1 to MAX_WHY_LENGTH characters."""
    if not why.strip():
        raise MoveNotAllowed("Give a reason, a few words for later readers of the case.")
    if len(why) > MAX_WHY_LENGTH:
        raise MoveNotAllowed(f"The reason has {len(why)} characters; the limit is {MAX_WHY_LENGTH}.")


def check_outcome(state: str, outcome: str) -> None:
    """Raise MoveNotAllowed unless an inspection with this outcome may be recorded now."""
    if outcome not in OUTCOMES:
        raise MoveNotAllowed(f"Unknown outcome {outcome!r}; outcomes are {', '.join(OUTCOMES)}.")
    if state != INSPECTING:
        raise MoveNotAllowed(f"The case is {state}; it must be inspecting before an inspection is recorded.")


# --- the chain --------------------------------------------------------------------------------------------------------


def move_hash(move: Move) -> str:
    """SHA-256 of a move with the previous hash, without its own. [64 hex digits]"""
    fields = [
        move.seq, move.case_id, move.version, move.from_state, move.to_state, move.user, move.why, move.assignee,
        move.outcome, utc_isoformat(move.at), move.previous_hash,
    ]  # fmt: skip
    return sha256(json.dumps(fields, ensure_ascii=True, separators=(",", ":")).encode()).hexdigest()


def utc_isoformat(moment: datetime) -> str:
    """A moment as UTC text, equal for every database. [microseconds]"""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def find_chain_break(moves: Iterable[Move]) -> ChainBreak | None:
    """The first move, by seq, that differs from what was written; None where the chain is intact."""
    previous_seq, previous_hash = 0, FIRST_HASH
    for move in moves:
        if move.seq != previous_seq + 1:
            return ChainBreak(move.seq, f"Move {move.seq} follows move {previous_seq}: the moves between are missing.")
        if move.previous_hash != previous_hash:
            return ChainBreak(move.seq, f"Move {move.seq} was not written after move {previous_seq} as stored.")
        if move.hash != move_hash(move):
            return ChainBreak(move.seq, f"Move {move.seq} of case {move.case_id} was changed after it was written.")
        previous_seq, previous_hash = move.seq, move.hash
    return None
