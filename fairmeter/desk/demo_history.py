"""Twelve weeks of simulated work for the demonstration, so that every page of the desk has something to show.

In:  a store; scores of the simulated utility with the profile data; the clients that steal, by the simulation.
Out: a weekly run of clients that were not scored before; listed and random visits with the outcome that the simulation
     determines; cases of this week without an outcome.

The visits and clients are simulated: their hit rate shows that the software works, and nothing about real crews. All
moves carry the day on which they were simulated, as if the crew recorded its visits later.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from fairmeter.casework.workflow import INSPECTING
from fairmeter.core.types import Score
from fairmeter.desk.service import DeskService, ProfileUpdate

N_WEEKS, N_LISTED, N_RANDOM = 12, 5, 4  # visits a week
NO_ACCESS_SHARE = 0.06  # of visits
DEMO_PREFIX = "demo-"  # of the ids of the four clients on the page Demo, which get no visits
PLANNER, CREW = "anna", "otto"
OPEN_USER = "open"  # the name under which a user acts at a desk that needs no sign-in
LISTED, SAMPLED = "On the week's list (simulated).", "Drawn at random (simulated)."
SEED = 1


class SimulatedVisit(NamedTuple):
    """A visit: its client and day, and whether the client was sampled at random."""

    score: Score
    on: date
    is_random: bool


def play(
    service: DeskService, scores: Sequence[Score], update: ProfileUpdate, thieves: Collection[str], zone: ZoneInfo
) -> None:
    """Simulate the weeks until today. [update: of the scores, in order; thieves: client ids] Raises StoreError."""
    now, rng = datetime.now(UTC), np.random.default_rng(SEED)
    if CREW not in service.store.assignees():
        service.store.add_crew(CREW, PLANNER)
    today = now.astimezone(zone).date()
    monday = today - timedelta(days=today.weekday())
    highest = sorted(range(len(scores)), key=lambda i: -(scores[i].value or 0.0))
    for week in range(N_WEEKS):
        on = monday - timedelta(weeks=N_WEEKS - 1 - week)
        rows = highest[week::N_WEEKS]
        of_week, facts = ([of_all[i] for i in rows] for of_all in (scores, update.facts))
        at = min(datetime.combine(on, time(7), zone).astimezone(UTC), now)
        # The other profile data are stored with the run of all clients.
        service.save_scores(of_week, ProfileUpdate(update.clients, facts, {}), is_run=True, scored_at=at)
        for visit in visits_of(of_week, on, rng):
            if visit.on < today:
                record(service, visit, outcome_of(visit.score, thieves, rng))


def visits_of(scores: Sequence[Score], monday: date, rng: np.random.Generator) -> list[SimulatedVisit]:
    """The visits of a week: every other one of the highest scores, so that some are left, and a sample of the rest."""
    candidates = [score for score in scores if not score.client_id.startswith(DEMO_PREFIX)]
    listed, others = candidates[: 2 * N_LISTED : 2], candidates[2 * N_LISTED :]
    sampled = rng.choice(len(others), min(N_RANDOM, len(others)), replace=False)
    return [SimulatedVisit(score, monday + timedelta(days=2), False) for score in listed] + [
        SimulatedVisit(others[i], monday + timedelta(days=3), True) for i in sorted(sampled.tolist())
    ]


def outcome_of(score: Score, thieves: Collection[str], rng: np.random.Generator) -> str:
    """The outcome of a visit to this client."""
    if rng.random() < NO_ACCESS_SHARE:
        return "no_access"
    return "confirmed" if score.client_id in thieves else "cleared"


def record(service: DeskService, visit: SimulatedVisit, outcome: str) -> None:
    """Record the case of a visit, from its first move to its outcome; a theft is billed as estimated."""
    store, score = service.store, visit.score
    why = SAMPLED if visit.is_random else LISTED
    case = store.open_case(score.client_id, PLANNER, why, assignee=CREW, is_random=visit.is_random)
    case = store.move_case(case.case_id, INSPECTING, CREW, "Going there (simulated).", version=case.version)
    billed = score.recovery if outcome == "confirmed" else None
    store.record_inspection(
        case.case_id, outcome, visit.on, CREW, version=case.version, note="A simulated visit.",
        recovered_kwh=billed and round(billed.kwh), recovered_value=billed and billed.value and round(billed.value),
    )  # fmt: skip


def plan_this_week(service: DeskService, n: int = 9) -> None:
    """Open cases of some of the highest alerts, a third each in the states new, assigned and inspecting."""
    store = service.store
    alerted = [alert.client_id for alert in store.list_alerts(limit=4 * n).rows]
    alerted = [id_ for id_ in alerted if not id_.startswith(DEMO_PREFIX)][1::3][:n]
    for i, client_id in enumerate(alerted):
        assignee = (None, OPEN_USER, CREW)[i % 3]
        case = store.open_case(client_id, assignee or PLANNER, LISTED, assignee=assignee)
        if assignee == CREW:
            store.move_case(case.case_id, INSPECTING, CREW, "Going there (simulated).", version=case.version)


def thieves_of(rows: Iterable[Mapping[str, str]], last_on: date) -> set[str]:
    """Clients whose theft had begun by a day and goes on. [rows: of thefts.csv]"""
    return {
        row["client_id"]
        for row in rows
        if date.fromisoformat(row["onset_on"]) <= last_on
        and (not row["ended_on"] or date.fromisoformat(row["ended_on"]) > last_on)
    }
