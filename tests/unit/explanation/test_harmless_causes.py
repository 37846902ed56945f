"""Harmless causes: each fits if it happened, does not fit if it cannot have happened, and is otherwise open."""

import numpy as np
import pytest

from fairmeter.core.types import CANNOT_TELL, DOES_NOT_FIT, FITS
from fairmeter.data.json_records import tables_from_records
from fairmeter.explanation import billing_history
from fairmeter.explanation.billing_history import ConsumptionPeriods, billing_histories
from fairmeter.explanation.harmless_causes import CAUSES, CauseInputs, harmless_causes
from tests.builders.tables import a_client, an_invoice

FIRST = int(np.datetime64("2013-01-01").astype(int))


def invoices_of(kwh, energy="ELEC", meters=None):
    """An invoice every four months from March 2010 on."""
    days = np.datetime64("2010-03") + 4 * np.arange(len(kwh))
    return [
        an_invoice(
            invoice_on=f"{day}-20", energy=energy, months=4, consumption_level_1=used, consumption_level_2=0,
            meter_id=4711 if meters is None else meters[i],
        )
        for i, (day, used) in enumerate(zip(days, kwh, strict=True))
    ]  # fmt: skip


def seen(invoices=(), kwh=None, hours=None):
    clients, table, _ = tables_from_records([a_client("c-1")], [list(invoices)])
    day = np.empty(0) if kwh is None else FIRST + np.arange(len(kwh))
    return CauseInputs(billing_histories(clients, table)[0], day, np.array([] if kwh is None else kwh, float), hours)


def found(known, cause):
    return next(each for each in harmless_causes(known) if each.cause == cause)


STEADY = invoices_of([600] * 9)
FALLEN = invoices_of([600] * 5 + [240] * 5)
VACANT = invoices_of([600, 600, 600, 0, 8, 300, 300, 320])
SEASONAL = invoices_of([100, 700, 400] * 4)  # dated March, July, November: the middle of the second is in May
YEAR_OF_DAYS = 10 + np.sin(np.arange(400))
SUN = np.cos(2 * np.pi * (np.arange(730) - 171) / 365.25)
PANELS = np.where(np.arange(730) < 365, 10.0, 10.0 - np.maximum(SUN, -0.1) * 6)

CASES = {
    "a vacant home": (VACANT, None, "vacant home", FITS, "from November 2010 to July 2011"),
    "a home with gas meanwhile": ([*VACANT, *invoices_of([100] * 8, "GAZ")], None, "vacant home", DOES_NOT_FIT,
        "gas goes on at 25 m³ a month"),
    "a home with gas that stops too": ([*VACANT, *invoices_of([100] * 3 + [0, 0] + [100] * 3, "GAZ")], None,
        "vacant home", FITS, "Next to nothing"),
    "a home vacant once": (invoices_of([600, 600, 0, 0] + [600] * 9), None, "vacant home", DOES_NOT_FIT, "no month"),
    "a home that is lived in": (STEADY, None, "vacant home", DOES_NOT_FIT, "no month"),
    "three weeks away by readings": ([], [10.0] * 60 + [0.2] * 45 + [10.0] * 60, "vacant home", FITS, "readings"),
    "others after a vacancy": (VACANT, None, "new tenant", FITS, "from 150 to 77 kWh a month"),
    "the same after a vacancy": (invoices_of([600, 600, 600, 0, 0, 600, 600]), None, "new tenant", DOES_NOT_FIT,
        "much as before"),
    "vacant to the end": (invoices_of([600, 600, 600, 600, 0, 0]), None, "new tenant", CANNOT_TELL, "nobody has moved"),
    "a fall without a vacancy": (FALLEN, None, "new tenant", CANNOT_TELL, "from 150 to 60 kWh a month"),
    "no change at all": (STEADY, None, "new tenant", DOES_NOT_FIT, "hardly changed"),
    "one meter": (FALLEN, None, "meter exchange", DOES_NOT_FIT, "took the place"),
    "a meter exchanged where the level stays": (invoices_of([600] * 5 + [630] * 4, meters=[1] * 5 + [2] * 4), None,
        "meter exchange", FITS, "from 150 to 158 kWh a month"),
    "a meter exchanged where the level falls": (invoices_of([600] * 5 + [240] * 4, meters=[1] * 5 + [2] * 4), None,
        "meter exchange", CANNOT_TELL, "compare both meters"),
    "a meter exchanged elsewhere": (invoices_of([600] * 5 + [240] * 4, meters=[1] * 2 + [2] * 7), None,
        "meter exchange", DOES_NOT_FIT, "but the change to explain began in July 2011"),
    "a meter exchanged long before a fall": (
        invoices_of([600] * 6 + [560] * 12 + [240] * 4, meters=[1] * 6 + [2] * 16), None, "meter exchange",
        DOES_NOT_FIT, "but the change to explain began in"),
    "a meter exchanged in a level that never changed": (invoices_of([600] * 9, meters=[1] * 5 + [2] * 4), None,
        "meter exchange", DOES_NOT_FIT, "never changed clearly"),
    "a meter exchanged long after a fall": (
        invoices_of([900] * 6 + [400] * 6 + [380] * 6, meters=[1] * 12 + [2] * 6), None, "meter exchange",
        DOES_NOT_FIT, ""),
    "a vacancy before a fall of another time": ([], [10.0] * 65 + [0.2] * 60 + [10.0] * 200 + [4.0] * 200,
        "vacant home", DOES_NOT_FIT, "but the change to explain began in"),
    "an estimate long before a fall": (invoices_of([600] * 3 + [100, 1100] + [600] * 6 + [240] * 6), None,
        "estimated invoice, then catch-up", DOES_NOT_FIT, "but the change to explain began in"),
    "days missing at a small step": ([], [10.0] * 100 + [np.nan] * 3 + [10.5] * 100, "meter exchange", FITS,
        "3 days without readings"),
    "a low invoice and one that makes up for it": (invoices_of([600, 600, 600, 100, 1100, 600, 600]), None,
        "estimated invoice, then catch-up", FITS, "together 150, as usual"),
    "low invoices for good": (FALLEN, None, "estimated invoice, then catch-up", DOES_NOT_FIT, ""),
    "a last invoice that is low": (invoices_of([600] * 5 + [100]), None, "estimated invoice, then catch-up",
        CANNOT_TELL, "the next may catch up"),
    "a summer house": (SEASONAL, None, "seasonal home", FITS, "4 of 4 years"),
    "a home lived in all year": (STEADY, None, "seasonal home", DOES_NOT_FIT, "none of 3 years"),
    "too short for seasons": (invoices_of([600, 100, 600]), None, "seasonal home", CANNOT_TELL, "1 year"),
    "panels": ([], PANELS, "solar panels", FITS, "the summer half year shows"),
    "a fall in all seasons": ([], np.where(np.arange(730) < 365, 10.0, 4.0), "solar panels", DOES_NOT_FIT,
        "less without sun"),
    "one season alone": ([], [10.0] * 60 + [4.0] * 60, "solar panels", CANNOT_TELL, "not both known"),
    "three invoices": (invoices_of([600] * 3), None, "short history", FITS, "3 invoices"),
    "three invoices and many days": (invoices_of([600] * 3), YEAR_OF_DAYS, "short history", DOES_NOT_FIT, "400 days"),
}  # fmt: skip


@pytest.mark.parametrize(("invoices", "kwh", "cause", "verdict", "words"), CASES.values(), ids=CASES)
def test_a_cause_is_checked_by_what_must_be_visible_if_it_is_true(invoices, kwh, cause, verdict, words):
    explanation = found(seen(invoices, kwh), cause)
    assert explanation.verdict == verdict, explanation.text
    assert words in explanation.text


DAY_OF = {name: float(np.datetime64(day, "D").astype(int)) for name, day in
          {"within": "2011-03-01", "soon after": "2011-10-01", "years after": "2014-03-01"}.items()}  # fmt: skip


@pytest.mark.parametrize(("onset", "verdict"), [("within", FITS), ("soon after", FITS), ("years after", DOES_NOT_FIT)])
def test_a_cause_has_to_touch_the_day_from_which_the_client_is_suspected(onset, verdict):
    """The home was vacant from November 2010 to July 2011, by invoices of four months."""
    for cause in ("vacant home", "new tenant"):
        explanation = found(seen(VACANT)._replace(onset=DAY_OF[onset]), cause)
        assert explanation.verdict == verdict
    if onset == "years after":
        assert "but the change to explain began in March 2014" in explanation.text


def test_an_estimate_of_long_ago_explains_nothing_where_the_level_never_changed():
    past = invoices_of([600, 100, 1100] + [600] * 9)
    explanation = found(seen(past), "estimated invoice, then catch-up")
    assert explanation.verdict == DOES_NOT_FIT
    assert "too long ago" in explanation.text


def test_readings_that_came_late_explain_a_change_of_their_time_alone():
    late = np.zeros(400, bool)
    late[20:32] = True
    known = seen(kwh=np.full(400, 9.0))._replace(is_spread=late)
    near, far = (known._replace(onset=float(FIRST + day)) for day in (40, 300))
    assert found(near, "communication gap").verdict == FITS
    assert found(far, "communication gap").verdict == DOES_NOT_FIT


def test_panels_of_years_before_explain_no_later_fall():
    since = float(FIRST + 365)
    assert found(seen(kwh=PANELS)._replace(onset=since + 90), "solar panels").verdict == FITS
    explanation = found(seen(kwh=PANELS)._replace(onset=since + 900), "solar panels")
    assert explanation.verdict == DOES_NOT_FIT
    assert "the change to explain began" in explanation.text


def test_solar_panels_show_at_noon_and_not_at_night_if_hours_are_known():
    hours = np.full((120, 24), 0.5)
    hours[60:, 10:16] = 0.1
    assert found(seen(kwh=hours.sum(axis=1), hours=hours), "solar panels").verdict == FITS
    hours[60:] = 0.2
    assert found(seen(kwh=hours.sum(axis=1), hours=hours), "solar panels").verdict == DOES_NOT_FIT


def test_no_sentence_names_a_day_before_the_first_reading():
    empty_at_first = found(seen(kwh=[0.1] * 60 + [10.0] * 60), "vacant home")
    assert "from January 2013 to" in empty_at_first.text


def test_causes_of_a_flat_series_do_not_depend_on_how_its_sums_were_rounded():
    rate = np.full(12, 151.3)
    rate[5:] *= 1 + 1e-15
    periods = ConsumptionPeriods("readings", "kWh", np.arange(12.0), np.arange(12.0) + 1, np.ones(12), rate)
    assert periods.changes == []


def test_energy_that_was_fed_into_the_grid_shows_solar_panels():
    export = np.where(np.arange(200) % 4 == 0, 3.0, 0.0)
    fits = found(seen(kwh=np.full(200, 9.0))._replace(export_kwh=export), "solar panels")
    assert fits.verdict == FITS
    assert "50 days energy was fed into the grid, 150 kWh in all" in fits.text
    few = np.where(np.arange(200) < 2, 3.0, 0.0)
    assert found(seen(kwh=np.full(200, 9.0))._replace(export_kwh=few), "solar panels").verdict != FITS


def test_days_that_came_in_one_reading_are_a_communication_gap():
    is_spread = (np.arange(200) >= 100) & (np.arange(200) < 111)
    fits = found(seen(kwh=np.full(200, 9.0))._replace(is_spread=is_spread), "communication gap")
    assert fits.verdict == FITS
    assert fits.text.startswith("11 days up to")


@pytest.mark.parametrize(("n", "verdict"), [(0, DOES_NOT_FIT), (1, DOES_NOT_FIT), (2, CANNOT_TELL), (20, CANNOT_TELL)])
def test_days_without_a_reading_leave_a_communication_gap_open(n, verdict):
    kwh = np.full(200, 9.0)
    kwh[50 : 50 + n] = np.nan
    assert found(seen(kwh=kwh), "communication gap").verdict == verdict


def test_meters_side_by_side_are_no_exchange():
    pair = [invoice | {"meter_id": meter} for invoice in STEADY for meter in (1, 2)]
    assert found(seen(pair), "meter exchange").verdict == DOES_NOT_FIT


def test_every_cause_has_a_verdict_in_order_even_without_data():
    explanations = harmless_causes(seen())
    assert tuple(each.cause for each in explanations) == CAUSES
    assert [each.verdict for each in explanations] == [CANNOT_TELL] * (len(CAUSES) - 1) + [FITS]


def test_a_cause_that_fits_the_readings_fits_although_invoices_are_too_few():
    known = seen(invoices_of([600, 600]), [10.0] * 60 + [0.2] * 45 + [5.0] * 60)
    assert found(known, "new tenant").verdict == FITS


def test_changes_of_a_level_are_looked_for_once_whatever_day_is_suspected(monkeypatch):
    calls, split = [], billing_history._clearest_split
    monkeypatch.setattr(billing_history, "_clearest_split", lambda level: calls.append(1) or split(level))
    rate = np.repeat([300.0, 100.0], 8)
    periods = ConsumptionPeriods("readings", "kWh", np.arange(16.0), np.arange(16.0) + 1, np.ones(16), rate)
    assert periods.onset() == 8
    n_calls = len(calls)
    later = periods.suspected_from(9.0)
    assert (later.onset(), later.changes, later.suspected_since) == (8, [8], 9.0)
    assert len(calls) == n_calls > 0
