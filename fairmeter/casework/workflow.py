"""Workflow of a case: allowed moves, what each move requires, and the hash chain that makes tampering evident.

In:  the state of a case and the wanted move; or the moves of all cases, in order.
Out: nothing where the move is allowed, else an exception; hashes; the first move that was tampered with.

A case is new, assigned, inspecting or closed. Its outcome is what the crew found; only an inspection sets it. A visit
without access leaves the case open, with a day to come back. A closed case can be opened again, an outcome corrected.
Moves are rows that are only ever appended. Each row holds its own hash and that of the move before, so that a changed,
removed or inserted row is detected anywhere in the chain.
"""

import json
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256

from fairmeter.casework.types import ChainBreak, Move

NEW, ASSIGNED, INSPECTING, CLOSED = "new", "assigned", "inspecting", "closed"
MOVES = {
    NEW: {ASSIGNED, CLOSED},
    ASSIGNED: {INSPECTING, NEW, ASSIGNED},  # to another user, crew or day
    INSPECTING: {CLOSED, ASSIGNED},  # closed by an inspection alone; assigned where the visit did not take place
    CLOSED: {NEW, ASSIGNED},  # opened again
}
NO_ACCESS = "no_access"
OUTCOMES = ("confirmed", "fault", "cleared", NO_ACCESS, "refused")
FRAUD_TYPES = ("bypass", "tampered_meter", "direct_connection", "wrong_connection", "replaced_meter", "something_else")
SEALS = ("intact", "broken", "missing", "replaced")
METER_SEEN = frozenset({"confirmed", "fault", "cleared"})  # outcomes of visits at which the crew saw the meter
EARLIEST_VISIT = date(1950, 1, 1)
A_DAY = timedelta(days=1)  # by which the utility's time zone may be ahead of UTC
REVISIT_DAYS = 14  # after a visit without access, where no other day is given
MAX_AHEAD_DAYS = 366  # of a planned visit, a day to come back or a snoozed alert
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


class FourEyesNeeded(CaseError):
    """One user alone may not close a case."""


def check_move(state: str, to: str, why: str, assignee: str | None) -> None:
    """Raise MoveNotAllowed, with the allowed moves, unless the case may make this move."""
    if to not in MOVES:
        raise MoveNotAllowed(f"Unknown state {to!r}; states are {', '.join(MOVES)}.")
    if to not in MOVES[state]:
        allowed = ", ".join(sorted(MOVES[state])) or "none, open another case"
        raise MoveNotAllowed(f"A case that is {state} cannot become {to}; allowed: {allowed}.")
    if state == INSPECTING and to == CLOSED:
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


def state_after(outcome: str, revisit_on: date | None = None) -> str:
    """The state that a visit leaves its case in: open after one without access, and after a refusal with a day to
    come back; closed after all others.
    """
    stays_open = outcome == NO_ACCESS or (outcome not in METER_SEEN and revisit_on is not None)
    return ASSIGNED if stays_open else CLOSED


class BadDay(CaseError):
    """A day that cannot be meant: long ago, in the future, or too far ahead. The message names the field."""


def check_visit_day(day: date, today: date | None = None) -> None:
    """Raise BadDay for the day of a visit in the future, or long before there were any."""
    today = today or datetime.now(UTC).date()
    if not EARLIEST_VISIT <= day <= today + A_DAY:
        raise BadDay(f"inspected_on is {day}; write the day of the visit, from {EARLIEST_VISIT} to today.")


def check_day_ahead(name: str, day: date, today: date | None = None) -> None:
    """Raise BadDay unless the day is from today to MAX_AHEAD_DAYS ahead. [name: of the field]"""
    today = today or datetime.now(UTC).date()
    if not today - A_DAY <= day <= today + timedelta(days=MAX_AHEAD_DAYS):
        raise BadDay(f"{name} is {day}; write a day from today to {MAX_AHEAD_DAYS} days ahead.")


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
