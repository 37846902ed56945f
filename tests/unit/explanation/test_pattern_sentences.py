"""Sentences on mates, single invoices, both energies and uncommon periods, from figures given by hand."""

import numpy as np
import pytest

from fairmeter.data.json_records import tables_from_records
from fairmeter.explanation.billing_history import billing_histories
from fairmeter.explanation.invoice_sentences import invoice_sentence
from fairmeter.explanation.sentence_inputs import InvoiceContext
from fairmeter.explanation.topics import INVOICES, Topic, column_text, column_topics, topic_of
from fairmeter.features.base import HISTORY, IRREGULAR, PLACE, TARIFF, UNUSUAL
from fairmeter.models.ensemble import Ensemble, EnsembleInputs
from fairmeter.models.invoice_evidence import COLUMN_NAMES
from tests.builders.features import day
from tests.builders.tables import a_client, an_invoice

LESS, MORE = np.log(0.62), np.log(1.5)
NAN = float("nan")


def context(features=None, columns=None, typical=None, energy=""):
    """A client with one invoice and these figures; what is not given is unknown."""
    clients, invoices, _ = tables_from_records([a_client()], [[an_invoice(energy="ELEC")]])
    features, columns, typical = features or {}, columns or {}, typical or {}
    names = tuple({**columns, **typical}) or ("none",)
    row, usual = (np.array([given.get(name, NAN) for name in names], np.float32) for given in (columns, typical))
    zero = np.zeros(1)
    inputs = EnsembleInputs(names, np.arange(len(names)), None, None, None)
    ensemble = Ensemble(inputs, {}, zero, 0.0, zero, zero, usual)
    of_client = {"last_invoice_on": day("2018-05-20")} | features
    return InvoiceContext(
        energy, billing_histories(clients, invoices)[0].get(energy), ensemble, column_topics(names, INVOICES), row,
        lambda name: of_client.get(name, NAN), lambda _: NAN, "others",
    )  # fmt: skip


MATES, TREES = (PLACE, "mates", "elec"), (UNUSUAL, "invoices", "")
CASES = {
    "less than mates": (MATES, {}, {"mates_elec_level_mean": LESS, "mates_elec_level_recent": np.log(0.5)}, {},
        "On the days its route was read, it used 38 % less electricity than its neighbours on average; "
        "in its last two years 69 % less.", 1),
    "more than mates": (MATES, {}, {"mates_elec_level_mean": MORE}, {},
        "On the days its route was read, it used 50 % more electricity than its neighbours on average.", -1),
    "as mates": (MATES, {}, {"mates_elec_level_mean": 0.0}, {},
        "On the days its route was read, it used about as much electricity as its neighbours on average.", 0),
    "a suspicious invoice": (TREES, {}, {"invoice_trees_max": 1.0, "invoice_trees_peak_ago": 365},
        {"invoice_trees_max": 0.0},
        "Its invoice of May 2017 looks most like those of flagged clients; its odds of fraud are 2.7 times those of "
        "the typical client's most suspicious one.", 1),
    "a common invoice": (TREES, {}, {"invoice_trees_max": 0.0, "invoice_trees_peak_ago": 0},
        {"invoice_trees_max": 0.0},
        "Its invoice of May 2018 looks most like those of flagged clients; about as much as the typical client's most "
        "suspicious one.", 0),
    "the first level": ((TARIFF, "first_level", ""), {"full_level_1_mean": 50}, {}, {"full_level_1_mean": 66},
        "Where an invoice exceeds the first price level, 50 kWh a month are billed at it; the typical client's 66.", 0),
    "long periods": ((TARIFF, "uncommon", ""), {"period_over_4_n": 1}, {}, {"period_over_4_n": 3},
        "1 invoice covers more than four months; the typical client has 3.", 0),
    "odd levels": ((IRREGULAR, "uncommon", ""), {"odd_period_level": LESS}, {}, {},
        "Invoices of uncommon periods come to 38 % less a month than all.", 1),
    "an odd period": ((HISTORY, "uncommon", ""), {"odd_period_on": day("2016-03-01")}, {}, {},
        "The last invoice of other than one, two or four months is of March 2016.", 0),
    "no odd period": ((HISTORY, "uncommon", ""), {}, {}, {}, "Every invoice covers one, two or four months.", -1),
    "both energies": ((IRREGULAR, "both", ""), {"both_correlation": 0.4, "both_no_electricity_share": 0.25}, {}, {},
        "Electricity and gas of the same days rise and fall together with a correlation of 0.40; on 25 % of these days "
        "gas was used and no electricity.", 0),
    "one alone": ((HISTORY, "both", ""), {"electricity_alone_share": 0.5}, {}, {},
        "50 % of its invoice dates have electricity and no gas.", 0),
}  # fmt: skip


@pytest.mark.parametrize(("topic", "features", "columns", "typical", "text", "suspicion"), CASES.values(), ids=CASES)
def test_each_topic_has_its_sentence(topic, features, columns, typical, text, suspicion):
    found = invoice_sentence(context(features, columns, typical, topic[2]), Topic(*topic))
    assert found.text == text
    assert found.suspicion == suspicion


@pytest.mark.parametrize("topic", [MATES, TREES, (TARIFF, "first_level", ""), (IRREGULAR, "both", "")])
def test_unknown_figures_make_no_sentence(topic):
    assert invoice_sentence(context(energy=topic[2]), Topic(*topic)) is None


def test_every_column_of_single_invoices_has_a_topic_and_a_text():
    topics = {topic_of(name, INVOICES)[:2] for name in COLUMN_NAMES}
    assert topics == {(PLACE, "mates"), (UNUSUAL, "invoices")}
    assert topic_of("mates_gas_level_mean", INVOICES).energy == "gas"
    assert topic_of("mates_gap_mean", INVOICES).energy == "elec"
    texts = [column_text(name) for name in COLUMN_NAMES]
    assert len(set(texts)) == len(texts)
    assert column_text("mates_elec_level_recent").startswith("log consumption a month, electricity of the last two")
