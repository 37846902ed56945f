"""A simulated utility: reproducible bytes, continuous indexes, thefts that lower the billed energy."""

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from fairmeter.cli.simulate import main
from fairmeter.data.tables import read_tables
from fairmeter.simulation.billing import is_change, levels, turn_index
from fairmeter.simulation.theft_patterns import INVOICED
from fairmeter.simulation.utility import FRAUD_RATE, Utility, simulate, simulate_utility, write_zip

ROOT = Path(__file__).resolve().parents[3]
N_CLIENTS, SEED = 4000, 7
ELEC, GAZ = 0, 1
LEVELS = [f"consumption_level_{number}" for number in (1, 2, 3, 4)]


@pytest.fixture(scope="module")
def utility():
    return simulate(N_CLIENTS, SEED)


def billed_kwh(invoices):
    return sum(invoices[level] for level in LEVELS)


def index_kwh(invoices):
    return (invoices["new_index"] - invoices["old_index"]) * invoices["coefficient"]


def thief_rows(clients, thefts):
    """The row in clients of each theft."""
    row_of = {client_id: row for row, client_id in enumerate(clients["client_id"])}
    return np.array([row_of[client_id] for client_id in thefts["client_id"]])


def of_honest_clients(utility):
    clients, invoices, thefts = utility
    keep = ~np.isin(invoices["client"], thief_rows(clients, thefts))
    return {name: column[keep] for name, column in invoices.items()}


def by_date(invoices):
    order = np.lexsort([invoices["invoice_on"], invoices["energy"], invoices["client"]])
    return {name: column[order] for name, column in invoices.items()}


def follows_on_same_meter(invoices):
    """Whether a row continues the meter of the row above."""
    return ~np.logical_or.reduce([is_change(invoices[name]) for name in ("client", "energy", "meter_id")])


def monthly_kwh(invoices, client, is_kept):
    """Mean electricity billed a month. [kWh, NaN where no invoice is kept]"""
    of = (invoices["client"] == client) & (invoices["energy"] == ELEC) & is_kept
    months = invoices["months"][of].sum()
    return billed_kwh({level: invoices[level][of] for level in LEVELS}).sum() / months if months else np.nan


def change_at(invoices, client, onset, ended):
    """Electricity a month while stealing over electricity a month before it."""
    covers_from = invoices["invoice_on"] - (31 * invoices["months"]).astype("timedelta64[D]")
    before = monthly_kwh(invoices, client, invoices["invoice_on"] < onset)
    while_stealing = monthly_kwh(invoices, client, (covers_from > onset) & (invoices["invoice_on"] < ended))
    return while_stealing / before if before > 0 else np.nan


def headers(path):
    """The first line of each file in a zip."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        return {name: archive.read(name).decode().splitlines()[0].replace('"', "") for name in names}


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


class TestTheSeed:
    def test_the_same_seed_gives_the_same_bytes_in_another_process_with_other_hashes(self, tmp_path):
        here, there = tmp_path / "here.zip", tmp_path / "there.zip"
        arguments = ["--clients", "120", "--seed", "3", "--out"]
        assert main([*arguments, str(here)]) == 0
        command = [sys.executable, "-m", "fairmeter.cli.simulate", *arguments, str(there)]
        subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": "17"}, capture_output=True)
        assert digest(here) == digest(there)

    def test_another_seed_gives_another_utility(self):
        clients, invoices, _ = simulate(50, 1)
        others, other_invoices, _ = simulate(50, 2)
        assert (clients["created_on"] != others["created_on"]).any()
        assert len(invoices["client"]) != len(other_invoices["client"])

    def test_more_clients_than_one_block_keep_the_full_blocks_as_they_were(self, utility):
        clients, invoices, _ = simulate(2000, SEED)
        for name, column in clients.items():
            np.testing.assert_array_equal(column, utility[0][name][:2000])
        for name, column in invoices.items():
            np.testing.assert_array_equal(column, utility[1][name][: len(column)])


class TestShape:
    def test_invoices_are_sorted_by_client_and_every_client_has_some(self, utility):
        clients, invoices, _ = utility
        assert (np.diff(invoices["client"]) >= 0).all()
        np.testing.assert_array_equal(np.unique(invoices["client"]), np.arange(len(clients["client_id"])))

    def test_client_ids_are_unique_and_numbered(self, utility):
        ids = utility[0]["client_id"]
        assert ids[17] == "s-00017"
        assert len(set(ids)) == N_CLIENTS

    def test_only_meter_numbers_are_missing_and_no_quantity_is_negative(self, utility):
        for table in utility[:2]:
            for name, column in table.items():
                assert name == "meter_id" or not (column != column).any(), name
        assert 0.003 < np.mean(np.isnan(utility[1]["meter_id"])) < 0.02
        for name in [*LEVELS, "old_index", "new_index"]:
            assert (utility[1][name] >= 0).all(), name

    def test_no_invoice_predates_its_client_or_falls_on_a_weekend(self, utility):
        clients, invoices, _ = utility
        assert (invoices["invoice_on"] > clients["created_on"][invoices["client"]]).all()
        assert np.is_busday(invoices["invoice_on"]).all()

    def test_invoices_from_january_2014_on_have_the_new_tiers(self, utility):
        invoices = utility[1]
        is_new = invoices["invoice_on"] >= np.datetime64("2014-01-01")
        is_full = (invoices["tariff"] == 11) & (billed_kwh(invoices) > 300 * invoices["months"])
        first_level = (invoices["consumption_level_1"] / invoices["months"])[is_full]
        np.testing.assert_array_equal(first_level, np.where(is_new[is_full], 200, 300))

    def test_no_two_invoices_of_a_service_share_their_date(self, utility):
        invoices = by_date(utility[1])
        same = ~np.logical_or.reduce([is_change(invoices[name]) for name in ("client", "energy", "invoice_on")])
        assert not same.any()

    @pytest.mark.parametrize(
        ("what", "measured", "tolerance"),
        [
            ("invoices a client", 33.0, 2.5),
            ("share of clients with gas", 0.457, 0.04),
            ("share of invoices over four months", 0.82, 0.03),
            ("days after the invoice before, four months, 10 %", 115, 3),
            ("days after the invoice before, four months, 50 %", 121, 2),
            ("days after the invoice before, four months, 90 %", 129, 3),
            ("days after the invoice before, eight months, 50 %", 245, 3),
            ("share of invoices whose months agree with the days since the one before", 0.973, 0.025),
            ("share of invoices that begin above the index of the one before", 0.073, 0.015),
            ("share of clients first billed from July 2005 to February 2006", 0.395, 0.03),
            ("share of electricity invoices that are zero", 0.075, 0.03),
            ("share of gas invoices that are zero", 0.171, 0.04),
            ("median electricity a month, kWh", 110, 15),
            ("median gas a month", 20.5, 5),
            ("share of clients last billed in 2013 or later", 0.86, 0.03),
        ],
    )
    def test_statistics_are_near_those_of_the_public_set(self, utility, what, measured, tolerance):
        assert abs(shape_of(utility)[what] - measured) <= tolerance

    def test_electricity_peaks_in_summer_and_gas_in_winter(self, utility):
        invoices = utility[1]
        kwh = billed_kwh(invoices) / invoices["months"]
        month = invoices["invoice_on"].astype("datetime64[M]").astype(int) % 12 + 1
        is_usual = (kwh > 0) & (kwh < 400)
        medians = {
            (energy, when): np.median(kwh[is_usual & (invoices["energy"] == energy) & np.isin(month, months)])
            for energy in (ELEC, GAZ)
            for when, months in (("spring", (3, 4, 5)), ("autumn", (9, 10, 11)))
        }
        assert medians[ELEC, "autumn"] > 1.03 * medians[ELEC, "spring"]
        assert medians[GAZ, "spring"] > 1.2 * medians[GAZ, "autumn"]


def between_invoices(invoices):
    """Of each two invoices of a meter that follow one another: days between, months of the later, step of the index."""
    invoices = by_date(invoices)
    follows = follows_on_same_meter(invoices)[1:]
    days = np.diff(invoices["invoice_on"].astype(int))
    step = invoices["old_index"][1:] - invoices["new_index"][:-1]
    return days[follows], invoices["months"][1:][follows], step[follows]


def shape_of(utility):
    clients, invoices, _ = utility
    kwh, is_gas = billed_kwh(invoices), invoices["energy"] == GAZ
    monthly = kwh / invoices["months"]
    days, months, step = between_invoices(invoices)
    is_linked = step == 0
    first = np.minimum.reduceat(invoices["invoice_on"], np.flatnonzero(is_change(invoices["client"])))
    last = np.maximum.reduceat(invoices["invoice_on"], np.flatnonzero(is_change(invoices["client"])))
    return {
        "invoices a client": len(kwh) / len(clients["client_id"]),
        "share of clients with gas": len(np.unique(invoices["client"][is_gas])) / len(clients["client_id"]),
        "share of invoices over four months": np.mean(invoices["months"] == 4),
        **{
            f"days after the invoice before, {words}, {q} %": np.percentile(days[is_linked & (months == number)], q)
            for words, number in (("four months", 4), ("eight months", 8))
            for q in (10, 50, 90)
        },
        "share of invoices whose months agree with the days since the one before": np.mean(
            np.abs(days - 30.44 * months)[is_linked] <= 20
        ),
        "share of invoices that begin above the index of the one before": np.mean(step > 0),
        "share of clients first billed from July 2005 to February 2006": np.mean(
            (first >= np.datetime64("2005-07-01")) & (first < np.datetime64("2006-03-01"))
        ),
        "share of electricity invoices that are zero": np.mean(kwh[~is_gas] == 0),
        "share of gas invoices that are zero": np.mean(kwh[is_gas] == 0),
        "median electricity a month, kWh": np.median(monthly[~is_gas]),
        "median gas a month": np.median(monthly[is_gas]),
        "share of clients last billed in 2013 or later": np.mean(last >= np.datetime64("2013-01-01")),
    }


class TestMeters:
    def test_an_honest_index_is_continuous_unless_invoices_were_lost(self, utility):
        _, _, step = between_invoices(of_honest_clients(utility))
        assert np.mean(step == 0) > 0.92
        # Fewer than one in a thousand jump back: a lost invoice on which an index was corrected downwards.
        assert np.mean(step < 0) < 0.001

    def test_the_rest_of_a_low_estimate_is_billed_later(self):
        steps = np.array([100.0, 20.0, 180.0, 50.0])  # the second reading estimated 80 too low
        old, new = turn_index(steps, np.array([True, False, False, True]), np.array([1000.0, 0.0]))
        assert old.tolist() == [1000.0, 1100.0, 1120.0, 0.0]
        assert new.tolist() == [1100.0, 1120.0, 1300.0, 50.0]

    def test_an_index_that_is_turned_back_early_starts_high_enough(self):
        old, new = turn_index(np.array([10.0, -60.0, 5.0]), np.array([True, False, False]), np.array([0.0]))
        assert old.tolist() == [50.0, 60.0, 0.0]
        assert new.tolist() == [60.0, 0.0, 5.0]

    def test_honest_levels_sum_to_the_index_difference_except_for_rare_corrections(self, utility):
        invoices = of_honest_clients(utility)
        differs = billed_kwh(invoices) != index_kwh(invoices)
        assert 0.001 < np.mean(differs) < 0.006
        assert (billed_kwh(invoices)[differs] > index_kwh(invoices)[differs]).all()

    def test_rollbacks_show_far_more_often_for_clients_that_turn_the_index_back(self, utility):
        clients, invoices, thefts = utility
        is_rolled = np.isin(invoices["client"], thief_rows(clients, thefts)[thefts["pattern"] == "rollback"])
        differs = billed_kwh(invoices) != index_kwh(invoices)
        assert np.mean(differs[is_rolled]) > 5 * np.mean(differs[~is_rolled])

    def test_levels_follow_the_tiers_of_the_tariff_and_the_law(self):
        kwh, months = np.full(6, 2500.0), np.full(6, 4)
        tariff, is_new_law = np.array([11, 11, 10, 10, 15, 40]), np.array([False, True, False, True, True, False])
        assert levels(kwh, months, tariff, is_new_law).T.tolist() == [
            [1200, 1300, 0, 0],
            [800, 400, 800, 500],
            [200, 2300, 0, 0],
            [800, 400, 800, 500],
            [2500, 0, 0, 0],
            [2500, 0, 0, 0],
        ]

    def test_caught_clients_had_two_meters_far_more_often(self, utility):
        clients, invoices, _ = utility
        electric = (invoices["energy"] == ELEC) & ~np.isnan(invoices["meter_id"])
        pairs = np.unique(np.stack([invoices["client"][electric], invoices["meter_id"][electric]]), axis=1)
        n_meters = np.bincount(pairs[0].astype(int), minlength=N_CLIENTS)
        is_caught = clients["label"] == 1
        assert np.mean(n_meters[is_caught] > 1) > 2.5 * np.mean(n_meters[~is_caught] > 1)


class TestThefts:
    def test_every_pattern_occurs(self, utility):
        assert set(utility[2]["pattern"]) == set(INVOICED)

    @pytest.mark.parametrize("rate", [0.0, 0.03, 0.15])
    def test_the_caught_share_is_the_fraud_rate(self, rate):
        assert simulate(1000, 5, rate)[0]["label"].mean() == pytest.approx(rate)

    def test_the_default_caught_share_is_that_of_the_public_set(self, utility):
        assert utility[0]["label"].mean() == pytest.approx(FRAUD_RATE)

    def test_labels_are_the_caught_and_some_thefts_are_not_caught(self, utility):
        clients, _, thefts = utility
        is_caught = thefts["caught"] == 1
        labelled = clients["client_id"][clients["label"] == 1]
        np.testing.assert_array_equal(labelled, thefts["client_id"][is_caught])
        assert 0 < (~is_caught).sum() < is_caught.sum()
        np.testing.assert_array_equal(np.isnat(thefts["ended_on"]), ~is_caught)

    def test_long_histories_are_caught_more_often(self, utility):
        clients, invoices, _ = utility
        n_invoices = np.bincount(invoices["client"])
        label = clients["label"]
        assert label[n_invoices >= 58].mean() > 4 * label[n_invoices < 8].mean()

    def test_a_theft_lowers_the_billed_energy_after_its_onset(self, utility):
        clients, invoices, thefts = utility
        ended = np.where(np.isnat(thefts["ended_on"]), np.datetime64("2100-01-01"), thefts["ended_on"])
        spans = zip(thief_rows(clients, thefts), thefts["onset_on"], ended, strict=True)
        change = np.array([change_at(invoices, *span) for span in spans])
        for pattern in INVOICED:
            assert np.nanmedian(change[thefts["pattern"] == pattern]) < 0.8, pattern

    def test_honest_clients_do_not_fall_at_the_onsets_of_thefts(self, utility):
        clients, invoices, thefts = utility
        honest = np.setdiff1d(np.arange(N_CLIENTS), thief_rows(clients, thefts))[: len(thefts["caught"])]
        never = np.datetime64("2100-01-01")
        change = [change_at(invoices, *span, never) for span in zip(honest, thefts["onset_on"], strict=False)]
        assert 0.85 < np.nanmedian(change) < 1.15

    def test_the_lost_share_is_in_0_to_1_and_1_for_a_bypass(self, utility):
        lost = utility[2]["share_lost_kwh"]
        known = lost[~np.isnan(lost)]
        assert ((known >= 0) & (known <= 1)).all()
        assert np.mean(known > 0.05) > 0.9
        assert (lost[(utility[2]["pattern"] == "zero") & ~np.isnan(lost)] == 1).all()


class TestFiles:
    def test_a_written_utility_is_read_back_unchanged(self, tmp_path):
        clients, invoices, thefts = simulate(300, SEED)
        write_zip(tmp_path / "utility.zip", clients, invoices, thefts)
        tables = read_tables(tmp_path / "utility.zip")
        for name, column in clients.items():
            np.testing.assert_array_equal(tables.clients[name], column, err_msg=name)
        for name, column in invoices.items():
            assert tables.invoices[name].dtype == column.dtype
            np.testing.assert_array_equal(tables.invoices[name], column, err_msg=name)

    def test_the_zip_without_readings_holds_three_tables_and_leaves_no_partial_file(self, tmp_path):
        write_zip(tmp_path / "utility.zip", *simulate(300, SEED))
        assert list(headers(tmp_path / "utility.zip")) == ["clients.csv", "invoices.csv", "thefts.csv"]
        assert [path.name for path in tmp_path.iterdir()] == ["utility.zip"]

    def test_the_zip_holds_all_tables_of_a_utility_under_the_names_of_their_columns(self, tmp_path):
        write_zip(tmp_path / "utility.zip", *simulate_utility(30, SEED))
        found = headers(tmp_path / "utility.zip")
        assert list(found) == [f"{name}.csv" for name in Utility._fields]
        assert found["thefts.csv"] == "client_id,pattern,onset_on,ended_on,share_lost_kwh,caught"
        assert found["readings.csv"] == "client_id,read_at,consumption_kwh"
        assert found["harmless.csv"] == "client_id,change,onset_on"
        assert found["transformers.csv"] == "transformer_id,region,latitude,longitude,has_meter"
        columns = "transformer_id,measured_on,delivered_kwh,losses_kwh,unregistered_kwh"
        assert found["transformer_totals.csv"] == columns
        assert found["weather.csv"] == "region,measured_on,temperature_c,is_holiday"

    def test_readings_are_written_unchanged_with_client_ids(self, tmp_path):
        utility = simulate_utility(10, SEED)
        write_zip(tmp_path / "utility.zip", *utility)
        with zipfile.ZipFile(tmp_path / "utility.zip") as archive:
            rows = [line.split(",") for line in archive.read("readings.csv").decode().splitlines()[1:]]
        client_id, read_at, kwh = (np.array(column) for column in zip(*rows, strict=True))
        np.testing.assert_array_equal(client_id, utility.clients["client_id"][utility.readings["client"]])
        np.testing.assert_array_equal(read_at.astype("datetime64[m]"), utility.readings["read_at"])
        np.testing.assert_array_equal(kwh.astype(float), utility.readings["consumption_kwh"])

    def test_the_delivered_sample_is_small_and_has_labelled_clients(self):
        sample = ROOT / "data" / "sample.zip"
        assert sample.stat().st_size < 10e6
        tables = read_tables(sample)
        assert len(tables.clients["client_id"]) == 2000
        assert np.nanmean(tables.clients["label"]) == pytest.approx(FRAUD_RATE, abs=0.001)
        assert tables.clients["client_id"][4] == "s-00004"
        assert {flag.flag for flag in tables.flags} <= {"index_not_sum_of_levels", "index_runs_backwards"}

    def test_the_delivered_sample_has_readings_of_a_thousand_clients_over_eighteen_months(self):
        with zipfile.ZipFile(ROOT / "data" / "sample.zip") as archive:
            lines = archive.read("readings.csv").decode().splitlines()[1:]
        client_id = np.array([line.split(",", 1)[0] for line in lines])
        _, first, n_readings = np.unique(client_id, return_index=True, return_counts=True)
        days = [np.datetime64(lines[row].split(",")[1], "D") for row in (*first, *(first + n_readings - 1))]
        began, ended = np.split(np.array(days), 2)
        is_whole = (ended - began).astype(int) >= 540
        assert is_whole.sum() >= 1000
        assert (is_whole & (n_readings > 480 + 55 * 24)).sum() >= 200

    @pytest.mark.parametrize(
        "arguments",
        [
            ["--clients", "0"],
            ["--clients", "4"],
            ["--seed", "-1"],
            ["--fraud-rate", "0.9"],
            ["--out", "no/such/folder.zip"],
        ],
    )
    def test_invalid_arguments_give_one_sentence_and_exit_code_2(self, arguments, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        assert main(["--clients", "5", "--out", "utility.zip", *arguments]) == 2
        message = capsys.readouterr().err
        assert message.startswith("Nothing written: ")
        assert message.count("\n") == 1
        assert not list(tmp_path.iterdir())
