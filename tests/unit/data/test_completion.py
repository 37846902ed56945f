"""Invoices that leave things out: consumption without levels, months without a column, columns, clients, estimates."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairmeter.core.consumption import LEVELS, billed_consumption
from fairmeter.data.files import MissingColumns
from fairmeter.data.json_records import FieldError, tables_from_records
from fairmeter.data.tables import concatenate_tables, read_tables
from fairmeter.features.invoices.matrix import FEATURE_NAMES, LEVEL_FEATURE, client_features
from tests.builders.tables import a_client, an_invoice, csv_text, flags_of, read_back, same, written

BILLS = (("2023-01-15", 300), ("2023-02-14", 310), ("2023-03-16", 120), ("2023-07-17", 480))


def bare(client_id="c-1", **changes):
    """Monthly bills with a date and a consumption alone."""
    return [{"client_id": client_id, "invoice_on": day, "consumption": kwh} | changes for day, kwh in BILLS]


def from_json(*invoices):
    return tables_from_records([{"client_id": "c-1"}], [list(invoices)])


def estimated(invoice_on, quality="estimated", **changes):
    return {"invoice_on": invoice_on, "months": 1, "quality": quality} | changes


# --- few columns ------------------------------------------------------------------------------------------------------


def test_a_date_and_a_consumption_are_enough(tmp_path):
    (tmp_path / "invoices.csv").write_text(csv_text(bare("b") + bare("a")))
    tables = read_tables(tmp_path)
    assert tables.clients["client_id"].tolist() == ["b", "a"]
    assert tables.invoices["consumption"].tolist() == [300, 310, 120, 480] * 2
    np.testing.assert_array_equal(tables.invoices["months"], [np.nan, 1, 1, 4] * 2)
    assert all(np.isnan(tables.invoices[level]).all() for level in LEVELS)
    [flag] = tables.flags
    assert (flag.flag, "region" in flag.text, "meter_id" in flag.text) == ("missing_columns", True, True)
    assert set(tables.missing) >= {"region", "months", "remark"}
    assert not any(tables.quality)


def test_each_column_may_be_missing_alone(tmp_path):
    clients, invoices = [a_client()], [an_invoice(), an_invoice(invoice_on="2014-07-24", old_index=600, new_index=700)]
    for name in {**a_client(), **an_invoice()}.keys() - {"client_id", "invoice_on"}:
        few = [[{k: v for k, v in row.items() if k != name} for row in rows] for rows in (clients, invoices)]
        tables = read_back(tmp_path, *few)
        assert tables.missing == (name,)
        assert flags_of(tables)["missing_columns"] == 1
        assert np.isfinite(billed_consumption(tables.invoices)).all()
        client_features(tables.clients, tables.invoices)


def test_without_any_consumption_the_error_says_what_to_add(tmp_path):
    rows = [{"client_id": "c-1", "invoice_on": "2023-01-15", "months": 1}]
    with pytest.raises(MissingColumns, match="no column of consumption; name one consumption"):
        read_back(tmp_path, [a_client()], rows)


# --- consumption and months -------------------------------------------------------------------------------------------


def test_features_of_a_whole_are_those_of_one_level_but_for_the_levels():
    days = [f"2014-{month:02}-24" for month in (1, 3, 5, 7, 9, 11)]
    without = dict.fromkeys(LEVELS)
    by_level = [
        an_invoice(invoice_on=day, consumption_level_1=90 + i, consumption_level_2=0) for i, day in enumerate(days)
    ]
    whole = [row | without | {"consumption": row["consumption_level_1"]} for row in by_level]
    one, other = (
        client_features(*tables_from_records([a_client()], [rows])[:2]).features[0] for rows in (by_level, whole)
    )
    of_levels = np.array([bool(LEVEL_FEATURE.search(name)) for name in FEATURE_NAMES])
    is_elec = np.array([not name.startswith("gas_") for name in FEATURE_NAMES])
    np.testing.assert_array_equal(one[~of_levels], other[~of_levels])
    assert np.isnan(other[of_levels & is_elec]).all()
    assert not np.isnan(one[of_levels & is_elec]).all()


def test_an_index_alone_states_consumption():
    rows = [{"invoice_on": day, "old_index": old, "new_index": old + 50, "coefficient": 2}
            for day, old in (("2023-01-15", 0), ("2023-02-15", 50))]  # fmt: skip
    _, invoices, _ = from_json(*rows)
    assert invoices["consumption"].tolist() == [100, 100]


def test_the_index_does_not_replace_single_missing_levels():
    empty = an_invoice(invoice_on="2014-07-24", **dict.fromkeys(LEVELS))
    _, invoices, _ = from_json(an_invoice(), empty)
    np.testing.assert_array_equal(billed_consumption(invoices), [100, np.nan])


def test_months_that_are_missing_here_and_there_stay_missing():
    rows = [an_invoice(invoice_on=day, months=months) for day, months in (("2014-01-24", 4), ("2014-05-24", None))]
    np.testing.assert_array_equal(from_json(*rows)[1]["months"], [4, np.nan])


def test_months_count_from_the_day_before_of_the_same_energy():
    days = (("2023-01-15", "ELEC"), ("2023-02-20", "GAZ"), ("2023-03-16", "ELEC"), ("2023-03-16", "ELEC"),
            ("2023-03-20", "GAZ"), ("2023-03-25", "ELEC"), ("2029-03-25", "ELEC"))  # fmt: skip
    rows = [{"invoice_on": day, "energy": energy, "consumption": i} for i, (day, energy) in enumerate(days)]
    np.testing.assert_array_equal(from_json(*rows)[1]["months"], [np.nan, np.nan, 2, 2, 1, 1, 24])


def test_parts_with_and_without_consumption_are_concatenated():
    parts = [from_json(an_invoice())[:2], from_json(*bare(quality="actual"))[:2]]
    _, invoices = concatenate_tables(parts)
    assert invoices["consumption"].tolist() == [100, 300, 310, 120, 480]
    assert not invoices["is_estimated"].any()


# --- estimates --------------------------------------------------------------------------------------------------------


def test_estimates_are_judged_with_the_next_actual_invoice():
    rows = [
        estimated("2023-01-15", "actual", consumption=100, old_index=0, new_index=100),
        estimated("2023-02-15", consumption=90, old_index=100, new_index=190),
        estimated("2023-03-15", "missing"),
        estimated("2023-04-15", "actual", consumption=30, old_index=190, new_index=220),
    ]
    _, invoices, [flags] = from_json(*rows)
    assert invoices["invoice_on"].astype(str).tolist() == ["2023-01-15", "2023-04-15"]
    assert invoices["consumption"].tolist() == [100, 120]
    assert invoices["months"].tolist() == [1, 3]
    assert (invoices["old_index"].tolist(), invoices["new_index"].tolist()) == ([0, 100], [100, 220])
    assert invoices["is_estimated"].tolist() == [False, True]
    assert "quality" not in invoices
    assert {flag.flag: flag.n for flag in flags if "estimat" in flag.flag} == {"estimated_invoices": 2}


def test_levels_of_estimates_are_added_too():
    _, invoices, _ = from_json(an_invoice(quality="estimated"), an_invoice(invoice_on="2014-07-24", quality="actual"))
    assert [invoices[level].tolist() for level in LEVELS] == [[180], [20], [0], [0]]
    assert (invoices["months"].tolist(), "consumption" in invoices) == ([8], False)


def test_estimates_at_the_end_are_no_fall():
    actual = [estimated(f"2023-{month:02}-15", "actual", consumption=100) for month in range(1, 7)]
    low = [estimated(f"2023-{month:02}-15", consumption=1) for month in range(7, 10)]
    (_, one, _), (_, other, [flags]) = from_json(*actual), from_json(*actual, *low)
    same(one, other)
    assert {flag.flag: flag.n for flag in flags if "estimat" in flag.flag} == {"estimated_since": 3}


def test_a_score_that_rests_on_estimates_says_so():
    rows = [estimated(f"2023-{month:02}-15", "actual" if month % 3 == 0 else "estimated") for month in range(1, 13)]
    flags = {flag.flag: flag.n for flag in from_json(*rows)[2][0]}
    assert flags["mostly_estimated"] == 8
    rows = [estimated(f"2023-{month:02}-15", "estimated" if month % 3 == 0 else "actual") for month in range(1, 13)]
    assert "mostly_estimated" not in {flag.flag for flag in from_json(*rows)[2][0]}


def test_an_estimate_is_not_added_to_another_client_or_energy():
    rows = [estimated("2023-01-15", consumption=7), estimated("2023-02-15", "actual", consumption=9, energy="GAZ")]
    actual = [estimated("2023-03-15", "actual", consumption=11)]
    _, invoices, _ = tables_from_records([{}, {}], [rows, actual])
    assert (invoices["client"].tolist(), invoices["consumption"].tolist()) == ([0, 1], [9, 11])


def test_another_quality_is_refused():
    with pytest.raises(FieldError, match="write actual, estimated or missing"):
        from_json(estimated("2023-01-15", "guessed"))


QUALITIES = st.sampled_from(["actual", "estimated", "missing", None])
ROWS = st.lists(st.tuples(QUALITIES, st.integers(1, 40), st.sampled_from(["ELEC", "GAZ"])), min_size=1, max_size=12)


@given(ROWS, ROWS)
def test_no_consumption_before_the_last_actual_invoice_is_lost(first, second):
    def invoices_of(rows):
        return [
            {"invoice_on": f"2023-01-{i + 1:02}", "consumption": kwh, "energy": energy, "quality": quality, "months": 1}
            for i, (quality, kwh, energy) in enumerate(rows)
        ]

    def kept(rows):
        total = 0
        for wanted in ("ELEC", "GAZ"):
            of = [(quality, kwh) for quality, kwh, energy in rows if energy == wanted]
            last = max((i for i, (quality, _) in enumerate(of) if quality in ("actual", None)), default=-1)
            total += sum(kwh for quality, kwh in of[: last + 1] if quality != "missing")
        return total

    both = tables_from_records([{}, {}], [invoices_of(first), invoices_of(second)])[1]
    assert (np.diff(both["client"]) >= 0).all()
    for client, rows in enumerate((first, second)):
        assert np.nansum(both["consumption"][both["client"] == client]) == kept(rows)


def test_a_file_states_quality_as_json_does(tmp_path):
    rows = [an_invoice(quality="estimated"), an_invoice(invoice_on="2014-07-24", quality="actual")]
    tables = read_tables(written(tmp_path, [a_client()], rows))
    _, invoices, quality = tables_from_records(
        [a_client()], [[{k: v for k, v in r.items() if k != "client_id"} for r in rows]]
    )
    same(tables.invoices, invoices)
    assert tables.quality == quality
