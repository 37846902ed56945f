"""Options of score.py -> the inspection list: which clients to visit, by score, value, route and exclusions."""

from dataclasses import replace

import numpy as np

from fairmeter.cli.score.options import ScoringOptions
from fairmeter.core.claims import run_ranks_of
from fairmeter.core.types import Score, Table
from fairmeter.data.readings import has_readings
from fairmeter.evaluation.conformal_selection import ConformalSelection, select
from fairmeter.models.fraud_model import FraudModel
from fairmeter.planning.exclusions import Exclusions
from fairmeter.planning.inspection_list import PlannedVisit, inspection_list
from fairmeter.planning.routes import day_routes


class ListError(Exception):
    """The inspection list that is asked for cannot be made; one sentence."""


def check_false_alarms(model: FraudModel, options: ScoringOptions) -> None:
    """Raises ListError where this model or these data cannot bound the share of false alarms."""
    if options.false_alarms is None:
        return
    if "promise" not in model.manifest:
        raise ListError(
            "The model has no calibration table for --false-alarms: train it again, or leave the option out."
        )
    if model.readings is not None and (options.readings or has_readings(*options.sources)):
        raise ListError("--false-alarms bounds scores from invoices only: leave out the readings, or the option.")


def check_ranks(drift: dict, options: ScoringOptions) -> None:
    """Raises ListError where --false-alarms is asked of a run with ranks, of which no share of false alarms is known.

    drift: as run_claims.as_claimed gives it.
    """
    ranks = run_ranks_of(drift)
    if ranks and options.false_alarms is not None:
        raise ListError(f"--false-alarms needs probabilities. {ranks['why']} Leave the option out.")


def check_transformers(options: ScoringOptions, clients: Table, has_days: bool) -> None:
    """Raises ListError where --transformers lacks what a balance is made of."""
    if options.transformers is not None and not (has_days and "transformer_id" in clients):
        raise ListError(
            "--transformers needs readings, and the transformer_id of the clients: name both, or leave it out."
        )


def check_routes(options: ScoringOptions, clients: Table) -> None:
    """Raises ListError where --routes lacks addresses or a number of visits."""
    if options.routes is not None and (options.routes < 1 or not {"latitude", "longitude"} <= clients.keys()):
        raise ListError("--routes needs 1 or more visits a day, and latitude and longitude of the clients.")


def select_by_false_alarms(
    scores: list[Score], model: FraudModel, options: ScoringOptions
) -> ConformalSelection | None:
    """The clients that keep the asked share of false alarms, among clients like those in the training data."""
    if options.false_alarms is None:
        return None
    probability = [np.nan if _is_inactive(s) or s.probability is None else s.probability for s in scores]
    return select(np.array(probability, dtype=np.float64), model.manifest["promise"], options.false_alarms)


def _is_inactive(score: Score) -> bool:
    return any(flag.flag == "inactive" for flag in score.quality)


def plan_inspections(
    scores: list[Score],
    clients: Table,
    options: ScoringOptions,
    exclusions: Exclusions,
    selection: ConformalSelection | None,
) -> list[PlannedVisit] | None:
    """The visits that the options ask for, None where no list is asked for.

    Without a number of visits, all clients that the share of false alarms allows, none of them random.
    """
    if not options.has_list:
        return None
    has_number = options.visits is not None
    visits = inspection_list(
        scores,
        options.visits if has_number else int(selection.is_listed.sum()),
        options.cost,
        options.price,
        by_score=selection is not None,  # the bound holds for the highest scores
        random_share=options.random_share if has_number else 0.0,
        seed=options.seed,
        open_cases=exclusions.open_cases,
        inspected_on=exclusions.inspected_on,
        today=np.datetime64("today"),
        recent_days=options.recent_days,
        regions=clients["region"] if options.spread_regions else None,
        candidates=None if selection is None else selection.is_listed,
    )
    return _with_routes(visits, clients, options.routes)


def _with_routes(visits: list[PlannedVisit], clients: Table, per_day: int | None) -> list[PlannedVisit]:
    """The visits with the number of their day's route, None where the address is not known."""
    if per_day is None or not visits:
        return visits
    rows = [visit.row for visit in visits]
    routes = day_routes(clients["latitude"][rows], clients["longitude"][rows], per_day).tolist()
    return [replace(visit, route=route or None) for visit, route in zip(visits, routes, strict=True)]
