"""Labels of visits beside those of the data: which counts, what was known before, whom they stand for."""

from datetime import date

import numpy as np
import pytest

from fairmeter.data.json_records import tables_from_records
from fairmeter.data.readings import ReadingTables, readings_from_records
from fairmeter.data.tables import Tables
from fairmeter.training.inspection_labels import (
    AS_OF,
    InspectionLabels,
    add_stored_readings,
    describe_weights,
    label_readings,
    merge_inspections,
    truncate_at_inspection,
)
from tests.builders.tables import a_client, an_invoice

NAN, NAT = np.nan, np.datetime64("NaT", "D")
NO_READINGS = {"client_id": np.array([], object), "read_at": np.array([], "M8[s]"), "consumption_kwh": np.array([])}


def visits_of(*told, scores=None, readings=NO_READINGS):
    """(client, label, day, drawn at random, score) of each visit."""
    ids, label, day, drawn, score = zip(*told, strict=True)
    days = np.array(day, "datetime64[D]")
    return InspectionLabels(
        np.array(ids, object), np.array(label, float), days, np.array(drawn, bool), np.array(score, float),
        scores or {}, readings,
    )  # fmt: skip


ONE = visits_of(("a", 1, date(2020, 5, 10), False, 0.9))


def tables_of(clients, invoices):
    table, bills, quality = tables_from_records(clients, invoices)
    return Tables(table, bills, [], quality)


# --- which label counts -----------------------------------------------------------------------------------------------


def test_a_visit_counts_before_a_label_of_the_data_that_has_no_date():
    found = ONE.merge(["a", "b"], np.array([0.0, 0.0]))
    assert found.label.tolist() == [1.0, 0.0]
    assert found.as_of.astype(str).tolist() == ["2020-05-10", "NaT"]


@pytest.mark.parametrize(
    ("labelled_on", "label"), [("2020-05-09", 1.0), ("2020-05-10", 0.0), ("2021-01-01", 0.0), ("NaT", 1.0)]
)
def test_of_two_dated_labels_the_newer_counts(labelled_on, label):
    found = ONE.merge(["a"], np.array([0.0]), np.array([labelled_on], "datetime64[D]"))
    assert found.label.tolist() == [label]
    assert np.isnat(found.as_of[0]) == (label == 0.0), "what was known then is told of the visit's label alone"


def test_a_date_without_a_label_is_no_label():
    found = ONE.merge(["a"], np.array([NAN]), np.array(["2021-01-01"], "datetime64[D]"))
    assert found.label.tolist() == [1.0]


def test_labels_of_the_data_are_left_out_where_visits_alone_are_to_tell():
    tables = tables_of([a_client("a", label=0), a_client("b", label=1)], [[], []])
    assert merge_inspections(ONE, tables, only_inspections=False)[0].clients["label"].tolist() == [1.0, 1.0]
    np.testing.assert_array_equal(merge_inspections(ONE, tables, only_inspections=True)[0].clients["label"], [1.0, NAN])


def test_visits_to_clients_that_are_not_in_the_data_are_counted_and_left_out():
    visits = visits_of(("a", 1, date(2020, 5, 10), False, 0.9), ("gone", 0, date(2020, 5, 10), False, 0.9))
    tables, _ = merge_inspections(visits, tables_of([a_client("a")], [[]]), only_inspections=False)
    assert {flag.flag: flag.n for flag in tables.flags} == {"labels_of_visits": 1, "visits_of_unknown_clients": 1}


# --- what was known the day before ------------------------------------------------------------------------------------


def test_invoices_of_the_day_of_the_visit_and_after_are_not_known_yet():
    days = ["2020-01-05", "2020-05-09", "2020-05-10", "2020-09-01"]
    bills = [[an_invoice(invoice_on=day) for day in days] for _ in "ab"]
    tables, _ = merge_inspections(
        ONE, tables_of([a_client("a"), a_client("b", label=0)], bills), only_inspections=False
    )
    of_a = tables.invoices["invoice_on"][tables.invoices["client"] == 0]
    assert of_a.astype(str).tolist() == days[:2]
    assert (tables.invoices["client"] == 1).sum() == 4, "nobody came to the other one"
    assert tables.clients[AS_OF].astype(str).tolist() == ["2020-05-10", "NaT"]
    assert [flag.n for flag in tables.flags if flag.flag == "invoices_after_visits"] == [2]


def readings_of(client_ids, *days):
    """One reading of each client on each of the days."""
    rows = [[{"read_at": day, "consumption_kwh": 5.0} for day in days] for _ in client_ids]
    table, quality = readings_from_records(rows)
    return ReadingTables(np.array(client_ids, object), None, table, [], list(quality))


def moments(tables, row):
    return tables.readings["read_at"][tables.readings["client"] == row].astype(str).tolist()


def test_readings_of_the_day_of_the_visit_and_after_are_not_known_yet():
    tables = readings_of(["a", "b"], "2020-05-09T23:00", "2020-05-10T00:00", "2020-05-11T00:00")
    merged, as_of = label_readings(ONE, tables, only_inspections=False)
    np.testing.assert_array_equal(merged.label, [1.0, NAN])
    cut = truncate_at_inspection(merged, as_of)
    assert moments(cut, 0) == ["2020-05-09T23:00"]
    assert len(moments(cut, 1)) == 3
    assert truncate_at_inspection(tables, None) is tables


# --- readings of the desk ---------------------------------------------------------------------------------------------

STORED = {
    "client_id": np.array(["a", "a", "new"], object),
    "read_at": np.array(["2020-05-01T00:00:00", "2020-05-02T07:00:00", "2020-05-01T00:00:00"], "M8[s]"),
    "consumption_kwh": np.array([1.0, 2.0, 3.0]),
}


def test_the_desks_readings_fill_days_that_the_data_lacks():
    tables = readings_of(["a", "b"], "2020-05-02")
    both = add_stored_readings(tables, STORED)
    assert both.client_ids.tolist() == ["a", "b", "new"]
    assert moments(both, 0) == ["2020-05-01T00:00", "2020-05-02T00:00"], "of the 2nd the data's own"
    assert both.readings["consumption_kwh"].tolist() == [1.0, 5.0, 5.0, 3.0]
    assert len(both.quality) == 3


def test_the_desks_readings_are_enough_where_the_data_has_none():
    alone = add_stored_readings(None, STORED)
    assert alone.client_ids.tolist() == ["a", "new"]
    assert (alone.label, len(alone.readings["client"])) == (None, 3)
    assert add_stored_readings(None, NO_READINGS) is None


# --- whom they stand for ----------------------------------------------------------------------------------------------


def test_where_everybody_has_a_label_nobody_stands_for_anybody_else():
    assert ONE.merge(["a", "b"], np.array([0.0, 0.0])).weight is None


def test_visited_clients_stand_for_those_of_whom_the_data_says_nothing():
    ids = [f"c-{i}" for i in range(100)]
    told = [(f"c-{i}", 1, date(2020, 5, 10), False, 0.9) for i in range(20)]
    told += [("c-50", 0, date(2020, 5, 10), True, 0.1), ("c-51", 0, date(2020, 5, 10), True, 0.1)]
    scores = {id_: 0.9 if i < 40 else 0.1 for i, id_ in enumerate(ids)}
    label = np.where(np.arange(100) < 98, NAN, 0.0)  # of two the data knows
    weight = visits_of(*told, scores=scores).merge(ids, label).weight
    drawn = 2 / (98 - 20)
    np.testing.assert_allclose(weight[:20], 1 / (0.5 + 0.5 * drawn))
    np.testing.assert_allclose(weight[[50, 51]], 1 / drawn)
    assert weight[98:].tolist() == [1.0, 1.0]
    words = describe_weights(weight[[0, 50, 98]])
    assert words.startswith("A visited client stands for as many as the way it was chosen says, here for 1.0 to 39.0;")


def test_the_score_that_counts_is_that_of_when_the_visit_was_decided():
    ids = [f"c-{i}" for i in range(40)]
    told = [(f"c-{i}", 1, date(2020, 5, 10), False, 0.9) for i in range(20)]
    since = dict.fromkeys(ids, 0.05)  # what was stolen is billed again: those visited look as honest as the others
    weight = visits_of(*told, scores=since).merge(ids, None).weight
    np.testing.assert_allclose(weight[:20], 1.0), "all with such a score were visited"


def test_a_visited_client_without_a_score_stands_for_itself():
    told = [("a", 1, date(2020, 5, 10), False, NAN), ("b", 0, date(2020, 5, 10), False, 0.5)]
    weight = visits_of(*told, scores={"b": 0.5, "c": 0.6}).merge(["a", "b", "c"], None).weight
    assert weight[0] == 1.0
