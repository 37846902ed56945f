"""Kinds of evidence: the pattern that each is of, and its sentence in plain English.

In:  an Occurrence with its figures.
Out: KINDS, by the kind of the Evidence.
"""

from collections.abc import Callable
from typing import NamedTuple

from fairmeter.analysis.anomalies.evidence import Occurrence
from fairmeter.core.formatting import counted, date, figure, month, share
from fairmeter.core.types import (
    GRADUAL_CHANGE,
    IRREGULAR_HOURS,
    LOW_USE,
    NEIGHBOUR_DEVIATION,
    OWN_HISTORY,
    SUDDEN_SPIKE,
    TAMPERING,
)


class AnomalyKind(NamedTuple):
    """The pattern of a kind of evidence, and what makes its sentence."""

    pattern: str
    sentence: Callable[[Occurrence], str]


def _days(found: Occurrence) -> str:
    return f"from {date(found.since)} to {date(found.until)}"


def _months(found: Occurrence) -> str:
    return f"from {month(found.since)} to {month(found.until)}"


def _times(found: Occurrence) -> str:
    before = found.figures["before"]
    return f"{found.figures['during'] / before:.1f} times" if before > 0 else "far above"


# --- readings ---------------------------------------------------------------------------------------------------------


def _spike(found: Occurrence) -> str:
    during, before = (figure(found.figures[name]) for name in ("during", "before"))
    return f"{_times(found).capitalize()} the usual consumption {_days(found)}: {during} kWh a day instead of {before}."


def _peak(found: Occurrence) -> str:
    during, before = (figure(found.figures[name]) for name in ("during", "before"))
    return f"More than on any day of the year before, {_days(found)}: {during} kWh a day instead of {before}."


def _low_use(found: Occurrence) -> str:
    during, before = found.figures["during"], found.figures["before"]
    usual = f", {figure(before)} on usual ones" if before > during else ""
    n_days = counted(found.figures["n_days"], "day")
    return f"Next to no consumption on {n_days} {_days(found)}: {figure(during)} kWh a day{usual}."


def _gradual_fall(found: Occurrence) -> str:
    fall, n_days = share(found.figures["share"]), counted(found.figures["n_days"], "day")
    return f"Consumption fell by {fall} little by little, over about {n_days} from {date(found.since)} on."


def _own_fall(found: Occurrence) -> str:
    return _against(found, "less", "the same weeks a year before and than that whole year")


def _own_rise(found: Occurrence) -> str:
    return _against(found, "more", "the same weeks a year before and than that whole year")


def _neighbour_fall(found: Occurrence) -> str:
    return _against(found, "less", "before, set against neighbours with the same season and weather")


def _neighbour_rise(found: Occurrence) -> str:
    return _against(found, "more", "before, set against neighbours with the same season and weather")


def _against(found: Occurrence, way: str, what: str) -> str:
    return f"Since {date(found.since)} it uses {share(found.figures['share'])} {way} than {what}."


def _flat_line(found: Occurrence) -> str:
    return f"The same {figure(found.figures['kwh'])} kWh every day {_days(found)}, which no household uses."


def _copied_days(found: Occurrence) -> str:
    return f"The days {_days(found)} repeat those {found.figures['lag']:.0f} days earlier, one by one."


def _rounded_values(found: Occurrence) -> str:
    return f"Whole or half kWh on {share(found.figures['share'])} of the days {_days(found)}, and hardly ever before."


def _stall(found: Occurrence) -> str:
    return f"The meter stood still from {date(found.since)} on; {date(found.until)} made up for it at once."


def _stops(found: Occurrence) -> str:
    return f"The meter stood still for days again and again, {_days(found)}."


def _lost_phase(found: Occurrence) -> str:
    thirds = "one third" if found.figures["share"] < 0.5 else "two thirds"
    return f"From {date(found.since)} on it counts {thirds} of what it did, as if phases of three were not measured."


def _low_weekends(found: Occurrence) -> str:
    fall = share(found.figures["share"])
    return f"Since {date(found.since)} weekends are {fall} lower against working days, which went on as before."


def _night_use(found: Occurrence) -> str:
    rise = share(found.figures["share"])
    return f"{rise} more of the day's energy than ever before lies between 0 and 5 o'clock, {_days(found)}."


def _other_hours(found: Occurrence) -> str:
    moved = share(found.figures["share"])
    return f"{moved} of the day's energy lies at other hours than in any month before, {_days(found)}."


# --- invoices ---------------------------------------------------------------------------------------------------------


def _invoice_spike(found: Occurrence) -> str:
    during, before = (figure(found.figures[name]) for name in ("during", "before"))
    return f"The invoice {_months(found)} shows {during} kWh a month instead of {before}."


def _invoice_low_use(found: Occurrence) -> str:
    during, before = (figure(found.figures[name]) for name in ("during", "before"))
    n_months = counted(found.figures["n_months"], "month")
    return f"Next to no consumption for {n_months} {_months(found)}: {during} kWh a month, {before} in usual ones."


def _invoice_gradual_fall(found: Occurrence) -> str:
    return f"Consumption fell two years running, by {share(found.figures['share'])} in all since {month(found.since)}."


def _invoice_own_fall(found: Occurrence) -> str:
    fall = share(found.figures["share"])
    return f"The last year's invoices show {fall} less than the year before, and less than any year before."


def _invoice_own_rise(found: Occurrence) -> str:
    rise = share(found.figures["share"])
    return f"The last year's invoices show {rise} more than the year before, and more than any year before."


def _invoice_peer_fall(found: Occurrence) -> str:
    return f"{share(found.figures['share'])} less in the last year than usual for its region and category."


def _invoice_peer_rise(found: Occurrence) -> str:
    return f"{found.figures['times']:.1f} times what is usual for its region and category, in the last year."


def _invoice_stall(found: Occurrence) -> str:
    n_months, caught = counted(found.figures["n_months"], "month"), figure(found.figures["kwh"])
    return f"The index stood still for {n_months} since {month(found.since)}; then an invoice had {caught} kWh a month."


def _invoice_rollback(found: Occurrence) -> str:
    units = figure(found.figures["index"])
    return f"The index of one meter went back by {units} between {date(found.since)} and {date(found.until)}."


def _invoice_equal(found: Occurrence) -> str:
    n, kwh = found.figures["n"], figure(found.figures["kwh"])
    return f"{n:.0f} invoices in a row with the same {kwh} kWh, {_months(found)}: copied or estimated."


KINDS: dict[str, AnomalyKind] = {
    "spike": AnomalyKind(SUDDEN_SPIKE, _spike),
    "peak": AnomalyKind(SUDDEN_SPIKE, _peak),
    "low_use": AnomalyKind(LOW_USE, _low_use),
    "gradual_fall": AnomalyKind(GRADUAL_CHANGE, _gradual_fall),
    "own_fall": AnomalyKind(OWN_HISTORY, _own_fall),
    "own_rise": AnomalyKind(OWN_HISTORY, _own_rise),
    "neighbour_fall": AnomalyKind(NEIGHBOUR_DEVIATION, _neighbour_fall),
    "neighbour_rise": AnomalyKind(NEIGHBOUR_DEVIATION, _neighbour_rise),
    "flat_line": AnomalyKind(TAMPERING, _flat_line),
    "copied_days": AnomalyKind(TAMPERING, _copied_days),
    "rounded_values": AnomalyKind(TAMPERING, _rounded_values),
    "stall": AnomalyKind(TAMPERING, _stall),
    "stops": AnomalyKind(TAMPERING, _stops),
    "lost_phase": AnomalyKind(TAMPERING, _lost_phase),
    "low_weekends": AnomalyKind(TAMPERING, _low_weekends),
    "night_use": AnomalyKind(IRREGULAR_HOURS, _night_use),
    "other_hours": AnomalyKind(IRREGULAR_HOURS, _other_hours),
    "invoice_spike": AnomalyKind(SUDDEN_SPIKE, _invoice_spike),
    "invoice_low_use": AnomalyKind(LOW_USE, _invoice_low_use),
    "invoice_gradual_fall": AnomalyKind(GRADUAL_CHANGE, _invoice_gradual_fall),
    "invoice_own_fall": AnomalyKind(OWN_HISTORY, _invoice_own_fall),
    "invoice_own_rise": AnomalyKind(OWN_HISTORY, _invoice_own_rise),
    "invoice_peer_fall": AnomalyKind(NEIGHBOUR_DEVIATION, _invoice_peer_fall),
    "invoice_peer_rise": AnomalyKind(NEIGHBOUR_DEVIATION, _invoice_peer_rise),
    "invoice_stall": AnomalyKind(TAMPERING, _invoice_stall),
    "invoice_rollback": AnomalyKind(TAMPERING, _invoice_rollback),
    "invoice_equal": AnomalyKind(TAMPERING, _invoice_equal),
}
