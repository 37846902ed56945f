"""What many clients' invoices show together: a unit that cannot be, a change of unit, a row of totals."""

import pytest

from fairmeter.data.invoice_rules.client_base import BaseSummary, UnusableInvoices, merge_summaries
from fairmeter.data.json_records import tables_from_records
from fairmeter.data.tables import read_tables
from tests.builders.tables import a_client, flags_of, read_back, written

DAYS = [f"201{4 + i // 3}-{2 + 4 * (i % 3):02d}-17" for i in range(9)]


def history(client_id, kwh, days=DAYS, **changes):
    """An invoice of about this consumption a month on each day."""
    amounts = [4 * kwh * (1 + 0.01 * (i % 3)) for i in range(len(days))]
    return [
        {"client_id": client_id, "invoice_on": day, "energy": "ELEC", "consumption": amount, "months": 4} | changes
        for day, amount in zip(days, amounts, strict=True)
    ]


def base(*kwh):
    """Invoices of clients who use this much a month."""
    return [row for i, of_client in enumerate(kwh) for row in history(f"c-{i}", of_client)]


def read(folder, rows):
    clients = dict.fromkeys(row["client_id"] for row in rows)
    return read_back(folder, [a_client(client_id) for client_id in clients], rows)


# --- units ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("factor", "unit"), [(1000, "Wh"), (0.001, "MWh")])
def test_a_file_in_another_unit_is_refused_with_the_line_for_the_map(tmp_path, factor, unit):
    with pytest.raises(UnusableInvoices, match=f'invoices.csv: .* looks like {unit}.* unit = "{unit}"'):
        read(tmp_path, base(*(factor * kwh for kwh in (90, 150, 200, 310))))


def test_invoices_without_a_table_of_clients_are_judged_too(tmp_path):
    text = "client_id,invoice_on,consumption,months\n"
    text += "".join(f"{r['client_id']},{r['invoice_on']},{1000 * r['consumption']},4\n" for r in base(90, 150, 200))
    (tmp_path / "invoices.csv").write_text(text)
    with pytest.raises(UnusableInvoices, match="looks like Wh"):
        read_tables(tmp_path)


@pytest.mark.parametrize(
    "kwh",
    [
        (90_000, 110_000),  # two large clients are no wrong unit
        (90, 150, 200, 90_000, 110_000),  # nor are some large ones among others
        (0, 0, 0, 0.5),  # empty homes
        (10, 20, 14_000),
    ],
)
def test_unusual_clients_are_no_wrong_unit(tmp_path, kwh):
    assert len(read(tmp_path, base(*kwh)).clients["client_id"]) == len(kwh)


def test_gas_is_not_judged_by_what_electricity_may_be(tmp_path):
    rows = [row | {"energy": "GAZ", "consumption": 1000 * row["consumption"]} for row in base(90, 150, 200)]
    assert "file_layout" not in flags_of(read(tmp_path, rows))


@pytest.mark.parametrize("factor", [1000, 0.001])
def test_a_step_by_a_thousand_on_one_day_at_many_clients_is_refused_with_the_day(tmp_path, factor):
    rows = base(90, 150, 200, 310, 120)
    for row in rows:
        if row["client_id"] in ("c-1", "c-3") and row["invoice_on"] >= "2015-06-17":
            row["consumption"] *= factor
    with pytest.raises(UnusableInvoices, match="from 2015-06-17 on 2 clients use about a thousand times"):
        read(tmp_path, rows)


def test_steps_of_clients_on_different_days_are_their_own(tmp_path):
    rows = base(90, 150, 200, 310, 120)
    for row in rows:
        first = {"c-1": "2014-10-17", "c-3": "2016-02-17"}.get(row["client_id"], "9999")
        row["consumption"] *= 1000 if row["invoice_on"] >= first else 1
    assert flags_of(read(tmp_path, rows)).get("total_row") is None


def test_one_large_invoice_is_no_change_of_unit(tmp_path):
    rows = base(90, 150, 200, 310, 120)
    for row in rows:
        if row["invoice_on"] == DAYS[-1] and row["client_id"] in ("c-1", "c-3"):
            row["consumption"] *= 30
    read(tmp_path, rows)


# --- rows of totals ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "client_id", ["TOTAL", "Total général", "Grand Total", "Gesamtsumme", "Summe:", "ИТОГО", "合计", "المجموع"]
)
def test_a_client_named_as_a_total_is_flagged_alone_and_among_others(tmp_path, client_id):
    rows = base(90, 150, 200) + history(client_id, 70)
    tables = read(tmp_path, rows)
    assert flags_of(tables)["total_row"] == 1
    assert [[flag.flag for flag in of_client] for of_client in tables.quality][-1] == ["total_row"]
    _, _, [flags] = tables_from_records([{"client_id": client_id}], [history(client_id, 70)])
    assert "total_row" in [flag.flag for flag in flags]


@pytest.mark.parametrize("client_id", ["Total Energies", "total-7", "TOTO", "general", "all", "7", "", "Grand"])
def test_other_names_are_no_totals(client_id):
    _, _, [flags] = tables_from_records([{"client_id": client_id}], [history(client_id, 70)])
    assert "total_row" not in [flag.flag for flag in flags]


def test_a_client_that_uses_what_all_others_do_is_flagged_by_name(tmp_path):
    tables = read(tmp_path, base(90, 150, 200, 440))
    assert [flag.text for flag in tables.flags if flag.flag == "total_row"] == [
        "Client 'c-3' uses what all others do together, a row of totals: 1."
    ]
    assert [[flag.flag for flag in of_client] for of_client in tables.quality] == [[], [], [], ["total_row"]]


def test_a_large_client_is_no_row_of_totals(tmp_path):
    assert "total_row" not in flags_of(read(tmp_path, base(90, 150, 200, 400)))
    assert "total_row" not in flags_of(read(tmp_path, base(90, 150, 240)))


# --- parts ------------------------------------------------------------------------------------------------------------


def summary_of(folder, rows):
    folder.mkdir(exist_ok=True)
    return read_tables(
        written(folder, [a_client(i) for i in dict.fromkeys(r["client_id"] for r in rows)], rows)
    ).summary


def test_the_summaries_of_parts_add_up_to_that_of_the_whole(tmp_path):
    rows = [row for i, kwh in enumerate((90, 150, 200, 70_000)) for row in history(f"c-{i}", kwh)]
    parts = [summary_of(tmp_path / f"{k}", [r for r in rows if (r["client_id"] < "c-2") == k]) for k in (True, False)]
    assert merge_summaries([parts[0], None, parts[1]]) == summary_of(tmp_path / "whole", rows)
    assert merge_summaries([None]) is None


def test_a_summary_is_the_same_after_json(tmp_path):
    rows = base(90, 150, 200)
    for row in rows[5:9]:
        row["consumption"] *= 1000
    clients = [a_client(f"c-{i}") for i in range(3)]
    summary = read_back(tmp_path, clients, [*rows, *history("x", 5)]).summary
    assert summary.steps
    assert BaseSummary.from_json(summary.to_json()) == summary
