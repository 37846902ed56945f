"""Twelve weeks of work at the demonstration's desk, so that every page of it has something to show.

In:  a store; the scores of the simulated utility with what is kept of its clients; who steals there, by the simulation.
Out: a run a week, each of clients that were not scored before; visits from the list and at random with the outcome that
     the simulation knows; cases of this week, with nobody there yet.

Simulated visits to simulated clients: their hit rate says that the machinery works, nothing about real crews. The moves
are all of the day on which they were played, as of a crew that writes down later where it was.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from fairmeter.casework.workflow import INSPECTING
from fairmeter.core.types import Score
from fairmeter.desk.service import DeskService, ProfileUpdate
from fairmeter.web.http.auth import UNNAMED

N_WEEKS, N_LISTED, N_RANDOM = 12, 5, 4  # visits a week
NOBODY_THERE = 0.06  # the share of visits at which no door opens
OURS = "demo-"  # the four clients of the page Demo, whom nobody visits
PLANNER, CREW = "anna", "otto"
LISTED, DRAWN = "On the week's list (simulated).", "Drawn at random (simulated)."
SEED = 1


class SimulatedVisit(NamedTuple):
    """Whom somebody went to see, and when."""

    score: Score
    on: date
    is_random: bool


def play(
    keeping: DeskService, scores: Sequence[Score], kept: ProfileUpdate, thieves: Collection[str], zone: ZoneInfo
) -> None:
    """Plays the weeks until today. [kept: of the scores, in order; thieves: ids] Raises StoreError."""
    now, draw = datetime.now(UTC), np.random.default_rng(SEED)
    today = now.astimezone(zone).date()
    monday = today - timedelta(days=today.weekday())
    highest = sorted(range(len(scores)), key=lambda i: -(scores[i].probability or 0.0))
    for week in range(N_WEEKS):
        on = monday - timedelta(weeks=N_WEEKS - 1 - week)
        some = highest[week::N_WEEKS]
        theirs, facts = ([of_all[i] for i in some] for of_all in (scores, kept.facts))
        at = min(datetime.combine(on, time(7), zone).astimezone(UTC), now)
        # What else is kept of them comes with the run of all.
        keeping.write(theirs, ProfileUpdate(kept.clients, facts, {}), is_run=True, scored_at=at)
        for visit in visits_of(theirs, on, draw):
            if visit.on < today:
                record(keeping, visit, outcome_of(visit.score, thieves, draw))


def visits_of(scores: Sequence[Score], monday: date, draw: np.random.Generator) -> list[SimulatedVisit]:
    """A week's: every other one of the highest, which leaves as many to the reader, and some of all the others."""
    open_to = [score for score in scores if not score.client_id.startswith(OURS)]
    listed, others = open_to[: 2 * N_LISTED : 2], open_to[2 * N_LISTED :]
    drawn = draw.choice(len(others), min(N_RANDOM, len(others)), replace=False)
    return [SimulatedVisit(score, monday + timedelta(days=2), False) for score in listed] + [
        SimulatedVisit(others[i], monday + timedelta(days=3), True) for i in sorted(drawn.tolist())
    ]


def outcome_of(score: Score, thieves: Collection[str], draw: np.random.Generator) -> str:
    if draw.random() < NOBODY_THERE:
        return "no_access"
    return "confirmed" if score.client_id in thieves else "cleared"


def record(keeping: DeskService, visit: SimulatedVisit, outcome: str) -> None:
    """The case of a visit, from its first move to what was found; a theft is billed as it was estimated."""
    store, score = keeping.store, visit.score
    why = DRAWN if visit.is_random else LISTED
    case = store.open_case(score.client_id, PLANNER, why, assignee=CREW, is_random=visit.is_random)
    case = store.move_case(case.case_id, INSPECTING, CREW, "Going there (simulated).", version=case.version)
    billed = score.recovery if outcome == "confirmed" else None
    store.record_inspection(
        case.case_id, outcome, visit.on, CREW, version=case.version, note="A simulated visit.",
        recovered_kwh=billed and round(billed.kwh), recovered_value=billed and billed.value and round(billed.value),
    )  # fmt: skip


def plan_this_week(keeping: DeskService, n: int = 9) -> None:
    """Cases of some of the highest alerts, in every state that is open: a third each new, assigned, inspecting."""
    store = keeping.store
    waiting = [alert.client_id for alert in store.list_alerts(limit=4 * n).rows]
    waiting = [id_ for id_ in waiting if not id_.startswith(OURS)][1::3][:n]
    for i, client_id in enumerate(waiting):
        has_it = (None, UNNAMED.name, CREW)[i % 3]
        case = store.open_case(client_id, PLANNER, LISTED, assignee=has_it)
        if has_it == CREW:
            store.move_case(case.case_id, INSPECTING, CREW, "Going there (simulated).", version=case.version)


def thieves_of(rows: Iterable[Mapping[str, str]], last_on: date) -> set[str]:
    """Whom a visit would find stealing: whose theft had begun by then and goes on. [rows: of thefts.csv]"""
    return {
        row["client_id"]
        for row in rows
        if date.fromisoformat(row["onset_on"]) <= last_on
        and (not row["ended_on"] or date.fromisoformat(row["ended_on"]) > last_on)
    }
