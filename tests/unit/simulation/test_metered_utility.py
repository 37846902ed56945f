"""A simulated utility with smart meters: invoices follow from readings, transformers balance, demo clients show."""

from typing import NamedTuple

import numpy as np
import pytest

from fairmeter.core.types import Table
from fairmeter.data.daily import DailyConsumption
from fairmeter.simulation import demo_clients, metering
from fairmeter.simulation import utility as simulate
from fairmeter.simulation.billing import ELEC, ESTIMATED_REMARK, FIRST_READ_MONTH, is_change
from fairmeter.simulation.harmless_patterns import HARMLESS
from fairmeter.simulation.metering import AT_THE_METER, DAY, DECIMALS, HOURLY_DAYS, HOURLY_SHARE
from fairmeter.simulation.network import draw_totals
from fairmeter.simulation.theft_patterns import PATTERNS
from fairmeter.simulation.thefts import DAILY_PATTERNS
from fairmeter.simulation.utility import Utility, simulate_utility

N_CLIENTS, SEED, FRAUD_RATE = 700, 11, 0.15
FIRST, LAST = DAY[0], DAY[-1]
# By these a meter registers another time or another day, and in sum about what was used.
LOSE_LITTLE = {"mean", "reversal", "irregular_hours"}
ROUNDING = 0.01  # kWh a day


class Truth(NamedTuple):
    """What the simulation knows and tells nobody."""

    homes: Table
    metered: metering.MeteredUtility
    kwh: np.ndarray  # used, as if there were no readings [home, month]


class Made(NamedTuple):
    utility: Utility
    truth: Truth
    by_day: np.ndarray  # sum of the day's readings, NaN where one is missing [client, day]


@pytest.fixture(scope="module")
def made():
    kept = []

    def measure(rng, homes, kwh, *others):
        metered = measured(rng, homes, kwh, *others)
        kept.append(Truth(homes, metered, kwh[homes["service"]]))
        return metered

    measured = simulate.measure
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulate, "measure", measure)
        utility = simulate_utility(N_CLIENTS, SEED, FRAUD_RATE)
    return Made(utility, *kept, complete_days(utility.readings))


def complete_days(readings, n_clients=N_CLIENTS):
    days = DailyConsumption.from_readings(readings, n_clients)
    is_parted = np.isnan(days.hours).any(axis=1) & ~np.isnan(days.hours).all(axis=1)
    grid = np.full((n_clients, len(DAY)), np.nan)
    grid[days.segments.index, days.day - FIRST.astype(int)] = np.where(is_parted, np.nan, days.kwh)
    return grid


def rows_of(utility, client_ids):
    row_of = {client_id: row for row, client_id in enumerate(utility.clients["client_id"])}
    return np.array([row_of[client_id] for client_id in client_ids], int)


def homes_of(made, client_ids):
    """The homes of clients, -1 for those without a smart meter."""
    clients = rows_of(made.utility, client_ids)
    home = np.minimum(np.searchsorted(made.truth.homes["client"], clients), len(made.truth.homes["client"]) - 1)
    return np.where(made.truth.homes["client"][home] == clients, home, -1)


def recent_thefts(made):
    """Home, pattern, first and last day (a row in DAY) of the thefts that begin while there are readings."""
    thefts = made.utility.thefts
    home = homes_of(made, thefts["client_id"])
    keep = (home >= 0) & (thefts["onset_on"] > FIRST) & (thefts["pattern"] != "spike")
    onset = (thefts["onset_on"][keep] - FIRST).astype(int)
    ended = np.where(np.isnat(thefts["ended_on"]), LAST + 1, thefts["ended_on"])[keep]
    last = np.minimum(ended, made.truth.homes["end_on"][home[keep]])
    return list(zip(home[keep], thefts["pattern"][keep], onset, (last - FIRST).astype(int), strict=True))


class TestTheSeed:
    def test_the_same_seed_gives_the_same_tables_and_another_seed_others(self):
        first, again, other = (simulate_utility(40, seed) for seed in (3, 3, 4))
        for name, tables in zip(Utility._fields, zip(first, again, strict=True), strict=True):
            for column in tables[0]:
                np.testing.assert_array_equal(tables[0][column], tables[1][column], err_msg=f"{name}.{column}")
        assert len(first.readings["client"]) != len(other.readings["client"])

    def test_more_clients_than_one_block_keep_the_full_blocks_as_they_were(self, monkeypatch):
        monkeypatch.setattr(simulate, "BLOCK", 100)
        few, more = simulate_utility(100, SEED), simulate_utility(130, SEED)
        for name in ("clients", "invoices", "readings", "transformers", "transformer_totals"):
            for column, values in getattr(few, name).items():
                np.testing.assert_array_equal(values, getattr(more, name)[column][: len(values)], err_msg=column)

    @pytest.mark.parametrize("n_clients", [0, 4])
    def test_a_utility_has_more_clients_than_the_demo_clients(self, n_clients):
        with pytest.raises(ValueError, match=f"Got {n_clients} clients; need more than 4"):
            simulate_utility(n_clients, 1)

    @pytest.mark.parametrize(("n_clients", "rate"), [(5, 0.0), (8, 0.5)])
    def test_the_smallest_utility_has_all_tables(self, n_clients, rate):
        utility = simulate_utility(n_clients, 2, rate)
        assert len(utility.clients["client_id"]) == n_clients
        assert all(len(np.unique([len(column) for column in table.values()])) == 1 for table in utility)
        assert len(utility.readings["client"]) > 4 * 500


class TestReadings:
    def test_they_are_sorted_and_unique_per_client_and_time(self, made):
        readings = made.utility.readings
        client, at = np.diff(readings["client"]), np.diff(readings["read_at"]).astype(int)
        assert ((client > 0) | ((client == 0) & (at > 0))).all()
        assert readings["read_at"].dtype == "datetime64[m]"

    def test_they_are_not_negative_and_have_three_decimals_at_most(self, made):
        kwh = made.utility.readings["consumption_kwh"]
        assert (kwh >= 0).all()
        np.testing.assert_array_equal(kwh, np.round(kwh, 3))

    def test_most_clients_have_eighteen_months_of_days_and_some_hours_in_the_last_sixty(self, made):
        days = DailyConsumption.from_readings(made.utility.readings, N_CLIENTS)
        n_days = np.bincount(days.segments.index, minlength=N_CLIENTS)
        assert np.mean(n_days >= 540) > 0.4
        assert DAY[-1] - DAY[0] == np.timedelta64(548)
        has_hours = ~np.isnan(days.hours).all(axis=1)
        assert np.mean(made.truth.homes["is_hourly"]) == pytest.approx(HOURLY_SHARE, abs=0.05)
        # A client's first total of a day, alone before days without any, may look like some of its hours.
        assert np.mean(days.day[has_hours] > LAST.astype(int) - HOURLY_DAYS) > 0.999
        assert np.bincount(days.segments.index[has_hours]).max() <= HOURLY_DAYS + 1

    def test_they_begin_and_end_with_the_account(self, made):
        homes, day = made.truth.homes, made.utility.readings["read_at"].astype("datetime64[D]")
        home = np.searchsorted(homes["client"], made.utility.readings["client"])
        assert (day >= homes["start_on"][home]).all()
        assert (day < homes["end_on"][home]).all()
        assert (homes["end_on"] <= LAST).any()

    def test_some_are_lost(self, made):
        homes = made.truth.homes
        n_days = (np.minimum(homes["end_on"], LAST + 1) - np.maximum(homes["start_on"], FIRST)).astype(int).sum()
        assert 0.97 < np.sum(~np.isnan(made.by_day)) / n_days < 0.998

    def test_each_is_the_registered_energy_of_its_day(self, made):
        by_day, registered = made.by_day[made.truth.homes["client"]], made.truth.metered.registered
        is_present = ~np.isnan(by_day)
        np.testing.assert_allclose(by_day[is_present], registered[is_present], atol=1e-6)

    def test_their_level_continues_the_months_before(self, made):
        monthly = made.truth.metered.used.sum(axis=1) / 18
        assert np.median(monthly) == pytest.approx(np.median(made.truth.kwh[:, 100:FIRST_READ_MONTH]), rel=0.2)


class TestInvoices:
    def test_without_estimates_they_bill_the_sum_of_the_readings(self, made):
        kept = invoices_that_go_on(made.utility.invoices)
        until = kept["invoice_on"].astype("datetime64[M]")
        since = until - kept["months"].astype(int)
        has_readings = since >= FIRST.astype("datetime64[M]")
        compared = 0
        for row in np.flatnonzero(has_readings):
            first, end = ((month.astype("datetime64[D]") - FIRST).astype(int) for month in (since[row], until[row]))
            kwh = made.by_day[kept["client"][row], first:end]
            if not np.isnan(kwh).any():
                assert abs(kept["units"][row] - kwh.sum()) <= 0.5 + 1e-6
                compared += 1
        assert compared > 100

    def test_a_theft_older_than_the_readings_lowers_the_months_before_them_too(self, made):
        thefts, truth = made.utility.thefts, made.truth
        home = homes_of(made, thefts["client_id"])
        is_early = (home >= 0) & (thefts["onset_on"] < FIRST - 400)
        still = np.isnat(thefts["ended_on"]) | (thefts["ended_on"] > FIRST)
        keep = is_early & still & ~np.isin(thefts["pattern"], [*LOSE_LITTLE])
        before = truth.metered.before[home[keep], -12:].sum(axis=1) / truth.kwh[home[keep]][
            :, FIRST_READ_MONTH - 12 : FIRST_READ_MONTH
        ].sum(axis=1)
        assert len(before) > 5
        assert np.nanmedian(before) < 0.7
        honest = np.setdiff1d(np.arange(len(truth.kwh)), home)
        np.testing.assert_allclose(truth.metered.before[honest], truth.kwh[honest, :FIRST_READ_MONTH])

    def test_a_harmless_meter_exchange_shows_on_the_invoices(self, made):
        utility, changes = made.utility, made.utility.harmless
        is_exchange = changes["change"] == "meter_exchange"
        early = is_exchange & (changes["onset_on"] < LAST - 250)
        electric = utility.invoices["energy"] == ELEC
        found = []
        for client in rows_of(utility, changes["client_id"][early]):
            meters = utility.invoices["meter_id"][electric & (utility.invoices["client"] == client)]
            found.append(len(np.unique(meters[~np.isnan(meters)])) > 1)
        assert len(found) > 2
        assert np.mean(found) > 0.6  # the others' number was not noted, or no invoice came after


def invoices_that_go_on(invoices):
    """Electricity invoices that follow another of the meter, none of the two estimated: client, months, units."""
    order = np.lexsort([invoices["invoice_on"], invoices["energy"], invoices["client"]])
    table = {name: column[order] for name, column in invoices.items()}
    follows = ~np.logical_or.reduce([is_change(table[name]) for name in ("client", "energy", "meter_id")])
    follows &= np.append(False, table["old_index"][1:] == table["new_index"][:-1])
    is_read = table["remark"] != ESTIMATED_REMARK
    keep = follows & is_read & np.append(False, is_read[:-1]) & (table["energy"] == ELEC) & (table["coefficient"] == 1)
    table["units"] = sum(table[f"consumption_level_{number}"] for number in (1, 2, 3, 4))
    return {name: column[keep] for name, column in table.items()}


class TestThefts:
    def test_the_meter_registers_less_than_the_consumption_from_the_onset(self, made):
        at_meter = set(homes_of(made, changed_at_the_meter(made.utility)))
        metered = made.truth.metered
        shares = []
        for home, pattern, onset, end in recent_thefts(made):
            if home in at_meter:
                continue
            used, registered = metered.used[home], metered.registered[home]
            np.testing.assert_allclose(registered[:onset], used[:onset], atol=ROUNDING)
            if pattern not in LOSE_LITTLE:
                shares.append(registered[onset:end].sum() / used[onset:end].sum())
        assert len(shares) > 30
        assert np.quantile(shares, 0.9) < 0.95
        assert np.median(shares) < 0.65

    def test_the_truth_holds_the_lost_share(self, made):
        thefts, metered = made.utility.thefts, made.truth.metered
        share_of = dict(zip(homes_of(made, thefts["client_id"]), thefts["share_lost_kwh"], strict=True))
        expected, lost = [], []
        for home, _, onset, end in recent_thefts(made):
            used = metered.used[home, onset:end].sum()
            expected.append(share_of[home])
            lost.append(max(1 - metered.registered[home, onset:end].sum() / used, 0) if used else np.nan)
        np.testing.assert_allclose(expected, lost, atol=0.06)

    def test_most_thefts_of_smart_meters_begin_while_there_are_readings_and_some_are_older(self, made):
        thefts = made.utility.thefts
        metered = homes_of(made, thefts["client_id"]) >= 0
        assert 0.55 < np.mean(thefts["onset_on"][metered] > FIRST) < 0.95

    def test_patterns_within_the_day_occur_on_hourly_meters_only(self):
        utility = simulate_utility(900, 5, 0.4)
        hours_needed = np.isin(utility.thefts["pattern"], [name for name, each in PATTERNS.items() if each.needs_hours])
        hourly = np.bincount(utility.readings["client"], minlength=900) > 1000
        thief = rows_of(utility, utility.thefts["client_id"])
        assert hours_needed.any()
        assert hourly[thief[hours_needed]].all()
        assert set(DAILY_PATTERNS) <= set(utility.thefts["pattern"])

    def test_labels_are_the_caught(self, made):
        clients, thefts = made.utility.clients, made.utility.thefts
        labelled = clients["client_id"][clients["label"] == 1]
        np.testing.assert_array_equal(labelled, thefts["client_id"][thefts["caught"] == 1])
        assert len(labelled) == round(FRAUD_RATE * N_CLIENTS)


def changed_at_the_meter(utility):
    return utility.harmless["client_id"][np.isin(utility.harmless["change"], list(AT_THE_METER))]


class TestHarmlessChanges:
    def test_each_kind_occurs_while_there_are_readings_and_never_with_a_demo_client(self, made):
        changes = made.utility.harmless
        assert set(changes["change"]) == set(HARMLESS)
        assert ((changes["onset_on"] > FIRST) & (changes["onset_on"] < LAST)).all()
        assert not set(changes["client_id"]) & set(demo_clients.PARTS)

    def test_no_energy_is_lost_by_them(self, made):
        metered, thefts = made.truth.metered, set(homes_of(made, made.utility.thefts["client_id"]))
        at_meter = set(homes_of(made, changed_at_the_meter(made.utility)))
        at_home = set(homes_of(made, made.utility.harmless["client_id"])) - at_meter - thefts
        assert len(at_home) > 20
        honest = sorted(set(range(len(metered.used))) - thefts - at_meter)
        np.testing.assert_allclose(metered.registered[honest], metered.used[honest], atol=ROUNDING)
        # An exchanged meter differs by a few per cent, an estimate is caught up with unless the account ends before.
        others = sorted(at_meter - thefts)
        share = metered.registered[others].sum(axis=1) / metered.used[others].sum(axis=1)
        assert np.quantile(np.abs(share - 1), 0.8) < 0.06

    def test_a_holiday_and_a_new_tenant_give_low_days_from_the_onset(self, made):
        changes = made.utility.harmless
        is_away = np.isin(changes["change"], ["holiday", "new_tenant"])
        ratio = []
        for home, onset in zip(
            homes_of(made, changes["client_id"])[is_away],
            (changes["onset_on"][is_away] - FIRST).astype(int),
            strict=True,
        ):
            used = made.truth.metered.used[home]
            ratio.append(used[onset : onset + 5].mean() / used[max(onset - 60, 0) : onset].mean())
        assert np.median(ratio) < 0.4


class TestTransformers:
    def test_a_transformer_delivers_consumption_and_losses(self):
        used = np.array([[10.0, 20.0], [30.0, 0.0], [5.0, 5.0]])
        registered = np.array([[10.0, 5.0], [30.0, 0.0], [5.0, 5.0]])
        totals = draw_totals(np.random.default_rng(1), np.array([0, 0, 1]), used, registered, 2)
        np.testing.assert_allclose(totals["delivered_kwh"] - totals["losses_kwh"], [[40, 20], [5, 5]], atol=0.002)
        assert totals["unregistered_kwh"].tolist() == [[0, 15], [0, 0]]
        share = totals["losses_kwh"] / totals["delivered_kwh"]
        assert ((share > 0.015) & (share < 0.08)).all()
        assert share[0, 0] > 0.02 > totals["losses_kwh"][1, 0] / 40  # copper losses grow with the square of the load

    def test_delivered_is_the_true_use_of_the_clients_and_losses(self, made):
        delivered, losses, _, ids = totals_by_day(made.utility)
        of = made.utility.clients["transformer_id"][made.truth.homes["client"]]
        used = np.stack([made.truth.metered.used[of == name].sum(axis=0) for name in ids])
        np.testing.assert_allclose(delivered, used + losses, atol=0.01)

    def test_delivered_is_registered_plus_unregistered_plus_losses(self, made):
        delivered, losses, unregistered, ids = totals_by_day(made.utility)
        of = made.utility.clients["transformer_id"]
        with_readings = np.isin(np.arange(N_CLIENTS), made.truth.homes["client"])
        day_is_open = made.truth.homes["start_on"][:, None] <= DAY
        day_is_open &= made.truth.homes["end_on"][:, None] > DAY
        by_day = made.by_day.copy()
        outside = np.zeros(by_day.shape, bool)
        outside[made.truth.homes["client"]] = ~day_is_open
        by_day[outside] = 0.0
        registered = np.stack([by_day[(of == name) & with_readings].sum(axis=0) for name in ids])
        is_present = ~np.isnan(registered)
        assert is_present.mean() > 0.5
        balance = delivered - losses - unregistered - registered
        np.testing.assert_allclose(balance[is_present], 0, atol=0.01)

    def test_energy_is_missing_mainly_where_a_client_steals(self, made):
        delivered, _, unregistered, ids = totals_by_day(made.utility)
        thefts = made.utility.thefts
        is_big = np.nan_to_num(thefts["share_lost_kwh"]) > 0.3
        still = np.isnat(thefts["ended_on"]) & (thefts["onset_on"] < LAST - 60)
        still |= (thefts["ended_on"] > LAST) & (thefts["onset_on"] < LAST - 60)
        robbed = np.isin(
            ids, made.utility.clients["transformer_id"][rows_of(made.utility, thefts["client_id"][is_big & still])]
        )
        missing = unregistered[:, -60:].sum(axis=1) / delivered[:, -60:].sum(axis=1)
        nobody = ~np.isin(ids, made.utility.clients["transformer_id"][rows_of(made.utility, thefts["client_id"])])
        assert robbed.sum() > 3
        assert np.median(missing[robbed]) > 0.03
        assert np.abs(missing[nobody]).max(initial=0) < 0.05

    def test_clients_live_near_their_transformer_and_transformers_in_their_region(self, made):
        clients, transformers = made.utility.clients, made.utility.transformers
        row = {name: number for number, name in enumerate(transformers["transformer_id"])}
        of = np.array([row[name] for name in clients["transformer_id"]])
        for axis in ("latitude", "longitude"):
            assert np.abs(clients[axis] - transformers[axis][of]).max() < 0.01
        np.testing.assert_array_equal(clients["region"], transformers["region"][of])
        assert 30 < clients["latitude"].min() < clients["latitude"].max() < 38

    def test_all_electricity_clients_of_a_metered_transformer_have_smart_meters(self, made):
        clients, transformers = made.utility.clients, made.utility.transformers
        with_meter = transformers["transformer_id"][transformers["has_meter"] == 1]
        np.testing.assert_array_equal(np.unique(made.utility.transformer_totals["transformer_id"]), with_meter)
        assert np.isin(clients["transformer_id"][made.truth.homes["client"]], with_meter).all()


def totals_by_day(utility):
    """delivered, losses, unregistered [transformer, day], and the transformers' ids."""
    totals = utility.transformer_totals
    names = ("delivered_kwh", "losses_kwh", "unregistered_kwh")
    np.testing.assert_array_equal(totals["measured_on"][: len(DAY)], DAY)
    return *(totals[name].reshape(-1, len(DAY)) for name in names), totals["transformer_id"][:: len(DAY)]


@pytest.fixture(scope="module", params=[1, 2])
def shown(request):
    """A utility, and the readings of its demo clients by day."""
    utility = simulate_utility(30, request.param)
    return utility, complete_days(utility.readings, 30)[:4]


class TestDemoClients:
    def test_they_are_the_first_clients_and_have_no_label(self, shown):
        clients = shown[0].clients
        names = ["demo-normal", "demo-sudden-spike", "demo-gradual-theft", "demo-meter-tampering", "s-00004"]
        assert clients["client_id"][:5].tolist() == names
        assert np.isnan(clients["label"][:4]).all()
        assert not np.isnan(clients["label"][4:]).any()

    def test_they_have_a_place_a_price_invoices_and_readings_up_to_the_last_day(self, shown):
        utility, by_day = shown
        for name in ("latitude", "longitude", "tariff_price"):
            assert (utility.clients[name][:4] > 0).all()
        assert (np.bincount(utility.invoices["client"])[:4] > 20).all()
        assert ((~np.isnan(by_day)).sum(axis=1) > 500).all()
        assert (~np.isnan(by_day[:, -3:])).any(axis=1).all()

    def test_the_normal_one_is_honest_and_the_others_follow_their_patterns(self, shown):
        utility, (normal, spike, gradual, tampering) = shown
        assert set(utility.thefts["client_id"][:3]) == set(demo_clients.PARTS) - {"demo-normal"}
        assert "demo-normal" not in utility.thefts["client_id"]
        assert 0.6 < np.nanmean(normal[-30:]) / np.nanmean(normal[-90:-30]) < 1.6
        assert np.nanmean(spike[-10:-6]) > 3 * np.nanmean(spike[-90:-10])
        assert np.nanmean(gradual[-30:]) < 0.5 * np.nanmean(gradual[:-240])
        assert 0.4 < np.nanmean(gradual[-235:-205]) / np.nanmean(gradual[-270:-240]) < 1.6  # it begins slowly
        lost = dict(zip(utility.thefts["client_id"], utility.thefts["share_lost_kwh"], strict=True))
        assert lost["demo-sudden-spike"] == 0
        assert min(lost["demo-gradual-theft"], lost["demo-meter-tampering"]) > 0.25
        assert np.sum(tampering[-120:] == 0) > 10 > 3 * np.sum(tampering[:-120] == 0)


class TestWeather:
    def test_the_table_has_one_row_per_region_and_day(self, made):
        weather = made.utility.weather
        assert len(weather["region"]) == len(np.unique(weather["region"])) * len(DAY)
        assert set(made.utility.clients["region"]) <= set(weather["region"])


def test_readings_are_sent_once_a_day_or_once_an_hour():
    assert set(DECIMALS) == {1, 24}
