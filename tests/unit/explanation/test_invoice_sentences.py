"""Sentences on a topic of a client: its own figures, worked by hand, and what is usual for clients like it."""

import numpy as np
import pytest

from fairmeter.core.segments import Segments
from fairmeter.data.daily import DailyConsumption
from fairmeter.data.json_records import tables_from_records
from fairmeter.explanation.billing_history import billing_histories
from fairmeter.explanation.invoice_sentences import SENTENCES, invoice_sentence
from fairmeter.explanation.reading_sentences import SENTENCES as TELLERS_OF_DAYS
from fairmeter.explanation.reading_sentences import reading_sentence
from fairmeter.explanation.sentence_inputs import InvoiceContext, ReadingContext
from fairmeter.explanation.topics import INVOICE_TOPICS, INVOICES, READING_TOPICS, READINGS, Topic, column_topics
from fairmeter.features.base import DISCREPANCY, FALL, HISTORY, IRREGULAR, LOW, PLACE, TARIFF, UNUSUAL
from fairmeter.features.invoices.matrix import FEATURE_NAMES, client_features
from fairmeter.features.readings.covariates import Covariates, TransformerLosses
from fairmeter.features.readings.matrix import FEATURE_NAMES as READING_FEATURES
from fairmeter.features.readings.matrix import reading_features
from fairmeter.models.ensemble import Ensemble, EnsembleInputs
from fairmeter.models.target_encoding import GroupRates
from tests.builders.tables import a_client, an_invoice

LIKE = "clients of category 11 in region 103"
NONE = np.zeros(1)
COLUMNS = ("neighbours_route_day_mean", "neighbours_place_rate", "z_score", "moving_average")
RATES = GroupRates({}, {}, {}, 0.065)
DATES = [f"{year}-{month}-20" for year in (2013, 2014, 2015) for month in ("03", "07", "11")]


def ensemble_of(names, typical):
    inputs = EnsembleInputs(names, np.arange(len(names)), RATES, None, None)
    return Ensemble(inputs, {}, NONE, 0.0, NONE, NONE, np.array(typical, np.float32))


def invoices_of(kwh, energy="ELEC", **columns):
    """Invoices of four months each, whose index moves by the billed consumption."""
    index = np.concatenate([[0], np.cumsum(kwh)])
    made = []
    for i, (day, used) in enumerate(zip(DATES, kwh, strict=False)):
        given = {name: value[i] if isinstance(value, list) else value for name, value in columns.items()}
        levels = {f"consumption_level_{level}": 0 for level in (2, 3, 4)}
        ends = {"old_index": int(index[i]), "new_index": int(index[i + 1])}
        made.append(an_invoice(invoice_on=day, energy=energy, months=4, consumption_level_1=used, **levels, **ends))
        made[-1] |= given
    return made


def told(invoices, energy="elec", usual=None, row=(0.091, 0.05, 1.42, 3.2), typical=(0.065, 0.065, 0.7, 1.1)):
    clients, table, _ = tables_from_records([a_client("c-1", created_on="2003-08-12")], [invoices])
    features = dict(zip(FEATURE_NAMES, client_features(clients, table).features[0].tolist(), strict=True))
    history = billing_histories(clients, table)[0]
    usual = usual or {}
    return InvoiceContext(
        energy, history.get(energy), ensemble_of(COLUMNS, typical), column_topics(COLUMNS, INVOICES),
        np.array(row, np.float32), lambda name: features.get(name, np.nan), lambda name: usual.get(name, np.nan), LIKE,
    )  # fmt: skip


def said(it, group, name):
    return invoice_sentence(it, Topic(group, name, it.energy))


FALLEN = invoices_of([1600, 1640, 1560, 1600, 600, 640, 560, 600])
EMPTY = invoices_of([400, 400, 0, 0, 0, 400])
CASES = {
    "a fall": (FALLEN, "elec", (FALL, "change"), {"elec_split_level_size": np.log(0.96)},
        "Electricity fell 62 % after March 2014, from 400 to 150 kWh a month; "
        f"for {LIKE} the clearest change is usually a fall of 4 %."),
    "no fall": (invoices_of([400, 404, 396, 400, 400, 400]), "elec", (FALL, "change"), {},
        "Electricity kept its level, 100 kWh a month until July 2013 and 100 after."),
    "a year before": (FALLEN, "elec", (FALL, "year_on_year"), {},
        "The electricity invoice of March 2015 lies 65 % below that of a year before, "
        "140 against 400 kWh a month."),
    "the last year": (FALLEN, "elec", (FALL, "years"), {"elec_year_0_level": np.log1p(190)},
        "Electricity came to 150 kWh a month in the year up to July 2015, to 350 in the three years before; "
        f"{LIKE} usually take 190 in their last year."),
    "drops": (FALLEN, "elec", (FALL, "drops"), {"elec_fall_n": 0},
        "1 of 8 electricity invoices is less than half of the one before; the deepest fall, in July 2014, "
        f"is from 400 to 150 kWh a month; {LIKE} usually have no such falls."),
    "zeros": (EMPTY, "elec", (LOW, "zero"), {"elec_near_zero_share": 0.02},
        "3 of 6 electricity invoices bill 10 kWh a month or less, the last in July 2014, 3 of them in a row; "
        f"for {LIKE} usually 2 % do."),
    "no zeros": (FALLEN, "elec", (LOW, "zero"), {},
        "None of 8 electricity invoices bills 10 kWh a month or less."),
    "level": (FALLEN, "elec", (LOW, "level"), {"elec_monthly_mean": 210},
        f"Electricity averages 275 kWh a month over 8 invoices, from 140 to 410; {LIKE} usually average 210."),
    "gas in its unit": (invoices_of([40, 64], energy="GAZ"), "gas", (LOW, "level"), {},
        "Gas averages 13 m³ a month over 2 invoices, from 10 to 16."),
    "dear levels": (invoices_of([1200, 1200]), "elec", (LOW, "upper"), {"elec_level_2_share": 0.3},
        f"None of 2 electricity invoices reaches the second price level; for {LIKE} usually 30 % reach the second."),
    "all energies": (invoices_of([400, 800]), "", (LOW, "sums"), {"total_consumption_mean": 500},
        f"An invoice bills 600 kWh on average, from 400 to 800; those of {LIKE} usually 500."),
    "jumps": (invoices_of([400, 804, 400]), "elec", (IRREGULAR, "jumps"), {"elec_jump_mean": np.log(1.3)},
        "From one electricity invoice to the next the consumption a month changes by a factor of 2.0 on average; "
        f"for {LIKE} usually by 1.3."),
    "copies": (invoices_of([400, 400, 401, 900]), "elec", (IRREGULAR, "same"), {},
        "2 of 4 electricity invoices repeat the consumption a month of the one before to 2 %."),
    "seasons": (invoices_of([400, 800, 1200]), "elec", (IRREGULAR, "seasons"), {},
        "Electricity invoices dated by season come to 100 in spring, 200 in summer and 300 in autumn, "
        "in kWh a month."),
    "remarks": (invoices_of([400, 400, 400], remark=[6, 6, 9]), "elec", (DISCREPANCY, "remark"),
        {f"elec_remark_{code}_share": value for code, value in ((6, 0.6), (8, 0.1), (9, 0.3))},
        "The reader's remark is 6 on 2 and 9 on 1 of 3 electricity invoices; "
        f"for {LIKE} usually 6 on 60 %, 8 on 10 % and 9 on 30 %."),
    "index": (invoices_of([400, 400, 400], new_index=[400, 800, 1320]), "elec", (DISCREPANCY, "index"),
        {"elec_mismatch_n": 0},
        "On 1 of 3 electricity invoices the index moved by another amount than was billed, "
        f"at most by 120 kWh more; {LIKE} usually have no mismatches."),
    "meters": (invoices_of([400, 400], meter_id=[1, 2]), "elec", (DISCREPANCY, "meter"), {},
        "Electricity was invoiced from 2 meters, the last exchange in July 2013."),
    "price levels": (FALLEN, "elec", (TARIFF, "price_levels"), {"elec_level_1_share_mean": 0.95},
        f"On 8 electricity invoices 100 % is billed at the first price level on average; for {LIKE} usually 95 %."),
    "periods": (invoices_of([400, 400, 400], months=[4, 2, 4]), "elec", (TARIFF, "periods"), {},
        "1 of 3 electricity invoices covers another period than four months, from 2 to 4 months."),
    "tariffs": (invoices_of([400, 400], tariff=[10, 11]), "elec", (TARIFF, "tariff"), {"elec_tariff_distinct": 1},
        f"Electricity was billed by tariffs 10 and 11, lately by 11; {LIKE} usually have 1 tariff."),
    "gas share": (invoices_of([400]), "", (TARIFF, "gas"), {"gas_share": 0.5},
        f"No invoice is for gas; for {LIKE} usually 50 %."),
    "route": (FALLEN, "", (PLACE, "route"), {},
        "Of the clients of its region that are invoiced on the same days, 9.1 % were flagged for fraud in the "
        "training data, of all 6.5 %."),
    "place": (FALLEN, "", (PLACE, "place"), {},
        "Of the clients of category 11, region 103, district 69, 5.0 % were flagged for fraud in the training "
        "data, of all 6.5 %."),
    "gaps": (FALLEN, "elec", (HISTORY, "gaps"), {},
        "Electricity is invoiced every 122 days on average, the longest time between two invoices being 123 days, "
        "up to November 2013."),
    "creation": (FALLEN, "", (HISTORY, "creation"), {},
        "The account was created in August 2003, its first invoice is of March 2013."),
    "account": (FALLEN, "", (HISTORY, "account"), {"age_months": 100, "n_invoices": 30},
        f"The account is 143 months old at its last invoice and has 8 invoices; those of {LIKE} are usually "
        "100 months old and have 30 invoices."),
    "deviation": (FALLEN, "", (UNUSUAL, "deviation"), {},
        "Taken together its figures lie 1.4 standard deviations from the mean of all clients; "
        "those of the typical client 0.7."),
    "moving average": (FALLEN, "", (UNUSUAL, "average"), {},
        "The invoice that deviates most from the three before it does so by 3.2 standard deviations; "
        "the typical client's by 1.1."),
}  # fmt: skip


@pytest.mark.parametrize(("invoices", "energy", "aspect", "usual", "text"), CASES.values(), ids=CASES)
def test_a_sentence_states_the_clients_figures_and_what_is_usual(invoices, energy, aspect, usual, text):
    assert said(told(invoices, energy, usual), *aspect).text == text


@pytest.mark.parametrize(
    ("invoices", "aspect", "says"),
    [
        (FALLEN, (FALL, "change"), 1),
        (FALLEN[::-1][:4] + FALLEN[:4], (FALL, "change"), 1),  # the order of the invoices does not matter
        (invoices_of([600, 600, 600, 1600, 1600, 1600]), (FALL, "change"), -1),
        (EMPTY, (FALL, "drops"), 0),
        (FALLEN, (LOW, "zero"), -1),
    ],
)
def test_a_sentence_states_whether_it_sounds_suspicious(invoices, aspect, says):
    assert said(told(invoices), *aspect).suspicion == says


def test_two_meters_read_on_one_day_are_not_two_histories():
    pair = [i | {"meter_id": meter} for i in invoices_of([400] * 6) for meter in (1, 2)]
    assert "averages 200 kWh a month over 6 invoices" in said(told(pair), LOW, "level").text


def test_there_is_no_sentence_if_the_figures_do_not_support_one():
    lone = told(invoices_of([400]))
    assert said(lone, FALL, "change") is None
    assert said(lone, FALL, "year_on_year") is None
    assert said(told(invoices_of([400]), energy="gas"), LOW, "level") is None


def test_every_topic_of_invoices_and_of_readings_has_a_sentence():
    assert set(SENTENCES) == {(group, name) for group, aspects in INVOICE_TOPICS.items() for name, _ in aspects}
    assert set(TELLERS_OF_DAYS) == {(group, name) for group, aspects in READING_TOPICS.items() for name, _ in aspects}


# --- readings ---------------------------------------------------------------------------------------------------------


def told_days(kwh, hours=None, lost=None):
    """A client's days from 2014-01-01 on, beside a typical client with features 0. [lost: kWh of its transformer]"""
    day = np.arange(len(kwh)) + int(np.datetime64("2014-01-01").astype(int))
    days = DailyConsumption(Segments([len(kwh)]), day, np.array(kwh, float), hours)
    surroundings = None if lost is None else behind(day, np.array([lost], float))
    row = reading_features(days, surroundings)[0]
    ensemble = ensemble_of(READING_FEATURES, np.zeros(len(row)))
    return ReadingContext(day, days.kwh, ensemble, column_topics(READING_FEATURES, READINGS), row)


def behind(day, lost):
    """No neighbours, one transformer."""
    unknown = np.full(len(day), np.nan)
    losses = TransformerLosses(int(day[0]), lost, np.zeros(1, np.int64))
    return Covariates(int(day[0]), unknown[None], unknown, unknown, losses=losses)


def said_of_days(it, group, name):
    return reading_sentence(it, Topic(group, name, "elec")).text


def test_a_fall_of_readings_is_stated_with_its_day_and_levels():
    days = told_days([10.0, 12.0] * 45 + [4.0, 4.8] * 45)
    text = "Consumption fell 60 % from 1 April 2014 on, from 11 to 4.4 kWh a day; "
    assert said_of_days(days, FALL, "change") == text + "the typical client's clearest change is hardly any change."
    assert said_of_days(days, FALL, "last").startswith("The last 30 days average 4.4 kWh a day, those before 8.4")


def test_days_near_zero_are_counted():
    days = told_days([10.0] * 50 + [0.0] * 5 + [10.0] * 45)
    text = said_of_days(days, LOW, "zero")
    assert (
        text
        == "5 days of 100 show less than a tenth of the usual day, 5 in a row; of the typical client's days 0 % do."
    )


def test_weekends_that_fall_against_weekdays_are_stated_with_their_fall():
    week = np.tile([10.0, 10.0, 10.0, 12.0, 12.0, 10.0, 10.0], 40)  # from a Wednesday on
    week[-91:] *= np.tile([1.0, 1.0, 1.0, 0.5, 0.5, 1.0, 1.0], 13)
    text = said_of_days(told_days(week), IRREGULAR, "week")
    assert "against weekdays, weekends show a fall of 4" in text  # the log has a floor, so it is less than 50 %
    assert text.endswith("in the last 13 weeks.")


def test_weeks_on_a_lower_level_are_counted_with_their_runs():
    days = np.tile([10.0, 11.0, 9.0, 12.0, 10.0, 11.0, 9.0], 40)
    days[70:84] *= 0.3
    days[140:154] *= 0.3
    text = said_of_days(told_days(days), LOW, "levels")
    assert text.startswith("10 % of the weeks lie far below the others, in 2 runs; set into two levels, the lower")
    calm = said_of_days(told_days(np.tile(days[:7], 40)), IRREGULAR, "levels")
    assert calm.startswith("No week lies far below the others")


def test_a_loss_of_the_transformer_is_stated_in_kwh_before_and_recently():
    days = told_days([10.0, 12.0] * 50 + [5.0, 6.0] * 45, lost=[0.0, 0.2] * 50 + [5.0, 6.0] * 45)
    text = said_of_days(days, PLACE, "transformer")
    first = "Of its transformer's energy no meter registered 5.5 kWh a day in the last 90, 0.1 before; "
    assert text.startswith(first + "from day to day this goes with its own consumption by a correlation of ")


def test_a_ceiling_is_stated_with_its_height_and_duration():
    days = told_days([8.0, 10.0, 12.0] * 30 + [6.0, 7.0, 8.0] * 22)
    assert said_of_days(days, UNUSUAL, "ceiling").startswith("No day has exceeded 8 kWh for 66 days, before 67 % did")


@pytest.mark.parametrize(("group", "name"), TELLERS_OF_DAYS)
def test_every_sentence_on_readings_is_a_sentence_without_a_raw_name(group, name):
    rng = np.random.default_rng(1)
    hours = rng.uniform(0.2, 1.0, (400, 24))
    found = reading_sentence(told_days(hours.sum(axis=1), hours), Topic(group, name, "elec"))
    if found is None:  # without neighbours and networks nothing is known of these
        assert (group, name) in {
            (PLACE, "neighbours"),
            (PLACE, "transformer"),
            (UNUSUAL, "forecast"),
            (UNUSUAL, "weeks"),
            (UNUSUAL, "deviation"),
        }
        return
    assert found.text.endswith(".")
    assert found.text[0].isalnum()
    assert not [raw for raw in ("_", "nan") if raw in found.text]
