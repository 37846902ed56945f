"""The rules of a fair test: split first, own seeds, equal histories and gaps, nothing that gives a theft away."""

from dataclasses import replace

import numpy as np
import pytest

from fairmeter.features.readings.covariates import Covariates
from fairmeter.simulation import theft_patterns
from fairmeter.simulation.compositions import HELD_OUT, TRAINED, TUNING
from fairmeter.simulation.harmless_patterns import HARMLESS
from fairmeter.training import attacks
from fairmeter.training.attacks import (
    DAILY_PATTERNS,
    HONEST,
    MIN_LOSS,
    PUBLISHED,
    WIDE,
    HonestHouseholds,
    attack_households,
    split,
)

N_HOUSEHOLDS, N_DAYS, FIRST = 400, 500, 15_500


@pytest.fixture(scope="module")
def base():
    """Made-up households that begin and end on different days."""
    rng = np.random.default_rng(5)
    level, season = rng.uniform(0.5, 3, (N_HOUSEHOLDS, 1)), 0.3 * np.cos(np.arange(N_DAYS) / 58.0)
    kwh = np.round(np.exp(level + season + rng.normal(0, 0.3, (N_HOUSEHOLDS, N_DAYS))), 3)
    kwh[np.arange(N_DAYS) < rng.integers(0, 200, (N_HOUSEHOLDS, 1))] = np.nan
    kwh[rng.random(kwh.shape) < 0.01] = np.nan
    return HonestHouseholds(kwh, FIRST)


@pytest.fixture(scope="module")
def wide(base):
    return attack_households(base, np.arange(N_HOUSEHOLDS), 1)


@pytest.fixture(scope="module")
def metered(base):
    plan = replace(PUBLISHED, is_metered=True)
    return attack_households(base, np.arange(N_HOUSEHOLDS), 1, "file", plan=plan)


def test_measured_transformers_change_nothing_of_the_thefts(base, metered):
    plain = attack_households(base, np.arange(N_HOUSEHOLDS), 1, "file", plan=PUBLISHED)
    np.testing.assert_array_equal(metered.days.kwh, plain.days.kwh)
    np.testing.assert_array_equal(metered.kind, plain.kind)
    assert plain.covariates.losses is None


def test_what_a_thief_takes_is_lost_behind_its_transformer(base, monkeypatch):
    monkeypatch.setattr(attacks, "CLIENTS_PER_TRANSFORMER", (1, 2))  # with no other thief behind it
    monkeypatch.setattr(attacks, "THIEF_SHARE", 0.0)
    plan = replace(PUBLISHED, is_metered=True, gaps=0.0)
    file = attack_households(base, np.arange(N_HOUSEHOLDS), 1, "file", plan=plan)
    days, is_thief = file.days, file.label == 1
    lost = file.covariates.losses.at(days.segments.index, days.day)
    used = base.kwh[file.household[days.segments.index], days.day - FIRST]
    taken, found = days.segments.mean(np.array([used - days.kwh, np.where(np.isnan(days.kwh), np.nan, lost)]))
    np.testing.assert_allclose(found[is_thief], taken[is_thief], atol=0.3)
    np.testing.assert_allclose(found[~is_thief], 0.0, atol=0.3)


def known_share(attacked):
    segments = attacked.days.segments
    return segments.total((~np.isnan(attacked.days.kwh)).astype(float)) / segments.counts


def test_no_household_is_in_two_parts_and_none_is_lost():
    parts = split(101, 3, (0.7, 0.2, 0.1))
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(101))
    assert [len(part) for part in parts] == [71, 20, 10]
    assert not np.array_equal(parts[0], split(101, 4, (0.7, 0.2, 0.1))[0])


def test_the_same_seed_gives_the_same_file_and_another_seed_another(base, wide):
    again, other = (attack_households(base, np.arange(N_HOUSEHOLDS), seed) for seed in (1, 2))
    np.testing.assert_array_equal(again.days.kwh, wide.days.kwh)
    np.testing.assert_array_equal(again.kind, wide.kind)
    assert not np.array_equal(other.kind, wide.kind)


def test_the_honest_households_stay_as_they_were(base):
    before = base.kwh.copy()
    attack_households(base, np.arange(N_HOUSEHOLDS), 3)
    np.testing.assert_array_equal(base.kwh, before)


def test_half_steal_and_some_of_the_honest_have_a_harmless_change(wide):
    assert 0.4 < wide.label.mean() < 0.6
    honest = wide.kind[wide.label == 0]
    assert 0.2 < np.mean(honest != HONEST) < 0.4
    assert set(honest) == {HONEST, *HARMLESS}
    assert set(wide.kind[wide.label == 1]) == set(DAILY_PATTERNS)


def test_every_theft_takes_something_and_no_honest_client_anything(wide):
    assert (wide.loss[wide.label == 1] >= MIN_LOSS).all()
    assert not wide.loss[wide.label == 0].any()


@pytest.mark.parametrize("plan", [WIDE, PUBLISHED], ids=["wide", "published"])
def test_history_and_gaps_are_alike_in_both_classes(base, plan):
    files = [attack_households(base, np.arange(N_HOUSEHOLDS), seed, plan=plan) for seed in range(4)]
    label, n, known = (
        np.concatenate(found)
        for found in zip(*((f.label, f.days.segments.counts, known_share(f)) for f in files), strict=True)
    )
    calm = np.concatenate([f.kind for f in files])
    calm = (label == 1) | (calm == HONEST)  # missing_readings is a harmless change, and loses readings
    for values in (n, known):
        thieves, honest = values[(label == 1) & calm], values[(label == 0) & calm]
        error = np.hypot(thieves.std() / np.sqrt(len(thieves)), honest.std() / np.sqrt(len(honest)))
        assert abs(thieves.mean() - honest.mean()) < 4 * error


def test_a_mirrored_household_goes_backwards_through_the_same_seasons_and_weekends(base):
    days, image = base.days(np.arange(N_HOUSEHOLDS)), base.mirrored().days(np.arange(N_HOUSEHOLDS))
    for client in range(0, N_HOUSEHOLDS, 50):
        some = np.arange(N_HOUSEHOLDS) == client
        np.testing.assert_array_equal(image.for_clients(some).kwh, days.for_clients(some).kwh[::-1])
        day, its_image = days.for_clients(some).day[::-1], image.for_clients(some).day
        np.testing.assert_array_equal((day + 3) % 7 >= 5, (its_image + 3) % 7 >= 5)
        for each, other in zip(day[::30], its_image[::30], strict=True):
            after, before = (_since_midsummer(x) for x in (each, other))
            assert abs((after + before + 182) % 365 - 182) <= 4, "as long before midsummer as the other is after it"
    np.testing.assert_array_equal(base.mirrored().mirrored().kwh, base.kwh)
    assert base.mirrored().mirrored().first_day == base.first_day


def _since_midsummer(day):
    date = np.datetime64(int(day), "D")
    return int((date - np.datetime64(f"{date.astype('datetime64[Y]')}-06-21")).astype(int))


def test_neighbours_of_mirrored_households_are_mirrored_with_them(base):
    """What no neighbour explains of a household is the same backwards in time."""
    everybody = np.arange(N_HOUSEHOLDS)
    beside, image = (Covariates.from_consumption(each.days(everybody)) for each in (base, base.mirrored()))
    mirrored = beside.mirrored()
    assert mirrored.first_day == image.first_day
    np.testing.assert_allclose(mirrored.factor, image.factor, atol=1e-9)
    np.testing.assert_array_equal(mirrored.mirrored().factor, beside.factor)
    calm = replace(PUBLISHED, gaps=0.0, harmless=0.0, stealing=0.0)
    plain, turned = (
        attack_households(base, everybody, 1, beside, plan=replace(calm, is_mirrored=is_mirrored))
        for is_mirrored in (False, True)
    )
    for file, usual in ((plain, beside), (turned, mirrored)):
        assert file.covariates.first_day == usual.first_day
        np.testing.assert_array_equal(file.covariates.factor, usual.factor)
    np.testing.assert_allclose(
        turned.days.for_clients(everybody == 7).kwh, plain.days.for_clients(everybody == 7).kwh[::-1]
    )


def test_a_clients_days_before_the_onset_are_its_own(base):
    calm = PUBLISHED.__class__(theft_patterns.PUBLISHED, gaps=0.0, besides=0.0, always=0.0, spells=0.0, blended=0.0)
    made = attack_households(base, np.arange(N_HOUSEHOLDS), 6, plan=calm)
    row = made.days.segments.index
    honest = base.kwh[made.household[row], made.days.day - FIRST]
    before = (made.days.day < made.onset[row]) | (made.onset[row] < 0)
    np.testing.assert_allclose(made.days.kwh[before], honest[before], atol=6e-4)
    after = ~before & (made.label[row] == 1)
    assert np.nanmean(made.days.kwh[after]) < np.nanmean(honest[after])


def test_decimals_do_not_tell_a_theft(wide):
    watt_hours = wide.days.kwh * 1000
    assert np.nanmax(np.abs(watt_hours - np.rint(watt_hours))) < 1e-6


def test_a_pattern_may_be_left_out_of_training(base):
    made = attack_households(base, np.arange(100), 7, patterns=("zero", "gradual"))
    assert set(made.kind[made.label == 1]) == {"zero", "gradual"}


def test_surroundings_come_from_the_file_as_attacked_where_asked_for(base):
    made = attack_households(base, np.arange(200), 8, "file")
    np.testing.assert_array_equal(made.covariates.factor, Covariates.from_consumption(made.days).factor)
    assert attack_households(base, np.arange(200), 8).covariates is None


# --- compositions -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def composed(base):
    return attack_households(base, np.arange(N_HOUSEHOLDS), 1, plan=replace(WIDE, composed=0.5))


def test_half_of_the_thefts_are_compositions_of_the_same_clients(wide, composed):
    names = {str(each) for each in TRAINED}
    kind = dict(zip(composed.household.tolist(), composed.kind, strict=True))
    is_composed = np.array([kind.get(household) in names for household in wide.household])
    assert 0.35 < is_composed[wide.label == 1].mean() < 0.65
    assert not is_composed[wide.label == 0].any()
    thieves, honest = (set(wide.household[wide.label == label]) for label in (1, 0))
    assert set(composed.household[composed.label == 1]) <= thieves | set(range(N_HOUSEHOLDS)) - honest


def test_a_composition_takes_something_from_its_onset_on_and_nothing_before(base, composed):
    days, names = composed.days, {str(each) for each in TRAINED}
    since = days.day - composed.onset[days.segments.index]
    used = base.kwh[composed.household[days.segments.index], days.day - FIRST]
    is_same = np.isnan(days.kwh) | np.isclose(used, days.kwh, atol=0.0006)
    chosen = np.isin(composed.kind.astype(str), list(names))
    besides = days.segments.total((~is_same & (since < 0)).astype(float)) > 0
    assert besides[chosen].mean() < 0.3, "few have a harmless change as well, which may come before"
    assert (composed.loss[chosen] >= MIN_LOSS).all()


@pytest.mark.parametrize("compositions", [TUNING, HELD_OUT], ids=["tuning", "held out"])
def test_a_plan_draws_from_its_own_compositions_alone(base, compositions):
    plan = replace(PUBLISHED, composed=1.0, compositions=compositions)
    made = attack_households(base, np.arange(100), 2, plan=plan)
    assert set(made.kind[made.label == 1]) <= {str(each) for each in compositions}
