"""Energy at stake, recommendations, inspection lists, routes."""

from fairmeter.planning.crew_plan import Clients, CrewRoute, plan_crews
from fairmeter.planning.exclusions import Exclusions
from fairmeter.planning.inspection_list import (
    RANDOM_SHARE,
    PlannedVisit,
    estimate_recoveries,
    inspection_list,
    recommendation,
)
from fairmeter.planning.recovery import BILLABLE_MONTHS
from fairmeter.planning.routes import day_routes

__all__ = [
    "BILLABLE_MONTHS",
    "RANDOM_SHARE",
    "Clients",
    "CrewRoute",
    "Exclusions",
    "PlannedVisit",
    "day_routes",
    "estimate_recoveries",
    "inspection_list",
    "plan_crews",
    "recommendation",
]
