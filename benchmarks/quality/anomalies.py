"""Limits of anomalies, fitted on half of the honest clients, and what they find and raise falsely on the other half.

    python -m benchmarks.quality.anomalies london_daily.parquet data/archive.zip    writes results/anomalies.json

In:  daily readings of honest homes; invoices with labels, of which those without fraud count as honest; hourly homes of
     the simulated utility, half of them another utility.
Out: limits by kind and severity (copied to fairmeter/analysis/anomalies/limits.py); honest clients with an anomaly, by
     pattern; patterns of clear size that are found under their right name, and their onset within 14 days; days to
     detection at 1 % false alarms. Shares have Wilson's intervals of 95 %.

Readings are looked at as of each home's last day, and as of a day drawn from the year before it, so that each season
counts. Neighbours are the homes of the half that limits are fitted on.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console

from benchmarks.quality.anomaly_seeds import INVOICE_SEEDS, SEEDS, Seed, days_to_newest, planted, scaled_invoices
from fairmeter.analysis.anomalies.evidence import Evidence
from fairmeter.analysis.anomalies.find import reading_evidence
from fairmeter.analysis.anomalies.invoices import invoice_evidence
from fairmeter.analysis.anomalies.limits import ALONE, FLOORS, INVOICES, NEIGHBOURS, SHARES
from fairmeter.analysis.anomalies.recent_days import DAYS
from fairmeter.analysis.anomalies.wording import KINDS
from fairmeter.core.environment import configure_numeric_libraries
from fairmeter.core.segments import Segments
from fairmeter.core.types import ANOMALY_PATTERNS, IRREGULAR_HOURS, NEIGHBOUR_DEVIATION, Table
from fairmeter.data.daily import DailyConsumption
from fairmeter.data.readings import read_readings
from fairmeter.data.tables import Tables, read_tables
from fairmeter.evaluation.metrics import share_estimate
from fairmeter.features.invoices.matrix import FEATURE_NAMES, client_features
from fairmeter.features.readings.covariates import Covariates
from fairmeter.models.peer_groups import PeerGroups
from fairmeter.simulation.theft_patterns import apply_theft
from fairmeter.simulation.utility import simulate_utility

OUT = Path(__file__).resolve().parents[1] / "results" / Path(__file__).with_suffix(".json").name
SEED = 7
MIN_DAYS, CUT_DAYS = 350, 260  # known days of a home; days before the last of which a day is drawn
CLEAR_KWH = 4.0  # a day: patterns are planted in homes that use at least this
NEAR_DAYS = 14
SEVERITY_SHARES = (1.0, 0.5, 0.25, 0.125)  # of SHARES: low, medium, high, critical
CLIENTS_AT_ONCE = 64
NIGHT_DAYS = 20  # at the end: the simulated homes have hourly readings for two months only
LOOKS, EVERY, ONE_PERCENT = 180, 7, 0.01  # days after the onset, days between looks, false alarms at each look
N_LATENCY = 300  # homes
UTILITIES, UTILITY_CLIENTS, PEER_FEATURE = (11, 12), 2400, "elec_year_0_level"


class Homes(NamedTuple):
    """Honest homes whose days all end in the last column. [kwh: (homes, days); last: days since 1970]"""

    kwh: np.ndarray
    last: np.ndarray

    def of(self, chosen: np.ndarray) -> "Homes":
        return Homes(self.kwh[chosen], self.last[chosen])

    def days(self) -> DailyConsumption:
        n, width = self.kwh.shape
        day = self.last[:, None] - (width - 1) + np.arange(width)
        return DailyConsumption(Segments(np.full(n, width)), day.ravel(), self.kwh.ravel())

    def as_of(self, back: np.ndarray) -> "Homes":
        """The homes some days earlier, later days unknown."""
        place = np.arange(self.kwh.shape[1]) - back[:, None]
        moved = np.take_along_axis(self.kwh, np.maximum(place, 0), axis=1)
        return Homes(np.where(place < 0, np.nan, moved), self.last - back)


class Values(NamedTuple):
    """Values of some clients by kind, and the beginning of each. [since: days since 1970, 0 where nothing is found]"""

    value: dict[str, np.ndarray]
    since: dict[str, np.ndarray]


def main() -> None:
    configure_numeric_libraries()
    parser = argparse.ArgumentParser(prog="anomalies.py", description=__doc__.splitlines()[0])
    parser.add_argument("readings", type=Path)
    parser.add_argument("invoices", type=Path)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    with Console(highlight=False).status("Looking for anomalies"):
        hours, hour_limits = report_hours()
        readings, limits = report_readings(read_homes(options.readings), hour_limits)
        invoices, limits[INVOICES] = report_invoices(read_tables(options.invoices))
    figures = {"readings": readings, "hours": hours, "invoices": invoices, "limits": limits}
    options.out.write_text(json.dumps(figures, indent=1) + "\n")


# --- limits -----------------------------------------------------------------------------------------------------------

Limits = dict[str, list[float]]


def fit_limits(values: Mapping[str, np.ndarray]) -> Limits:
    """Four limits of each kind: the values that its share of honest clients reaches, half of them, and so on."""
    return {kind: _limits_of(value, SHARES[kind], FLOORS[kind]) for kind, value in values.items()}


def _limits_of(value: np.ndarray, share: float, floor: float) -> list[float]:
    known = np.where(np.isnan(value), -np.inf, value)
    quantiles = np.quantile(known, [1.0 - share * part for part in SEVERITY_SHARES], method="higher")
    # The next number above: as many as the share may reach it, and values that are often equal may not exceed it.
    least = [max(float(f"{np.nextafter(q, np.inf):.4g}"), floor) for q in quantiles]
    return np.maximum.accumulate([x if np.isfinite(x) else floor for x in least]).tolist()


def patterns_found(values: Values, limits: Limits) -> dict[str, np.ndarray]:
    """Whether each client has an anomaly of each pattern. [bool, (clients,)]"""
    found: dict[str, np.ndarray] = {}
    for kind, value in values.value.items():
        if kind not in limits:
            continue
        pattern = KINDS[kind].pattern
        found[pattern] = found.get(pattern, np.zeros(len(value), bool)) | (value >= limits[kind][0])
    return found


def onset_of(values: Values, limits: Limits, pattern: str) -> np.ndarray:
    """Beginning of the strongest evidence of a pattern; 0 without any. [days since 1970]"""
    kinds = [kind for kind in values.value if KINDS[kind].pattern == pattern and kind in limits]
    strength = np.array([np.nan_to_num(values.value[kind], nan=-1.0) / limits[kind][0] for kind in kinds])
    since = np.array([values.since[kind] for kind in kinds])
    return since[strength.argmax(axis=0), np.arange(since.shape[1])]


def honest_shares(values: Values, limits: Limits) -> dict:
    """Honest clients with any anomaly, and by pattern."""
    found = patterns_found(values, limits)
    either = np.any(list(found.values()), axis=0)
    return {"any": _share(either)} | {p: _share(found[p]) for p in ANOMALY_PATTERNS if p in found}


def _share(marks: np.ndarray) -> dict | None:
    return share_estimate(float(marks.sum()), float(len(marks)))


# --- readings ---------------------------------------------------------------------------------------------------------


def read_homes(path: Path) -> Homes:
    """Homes with enough days. Raises TableError."""
    tables = read_readings(path)
    days = DailyConsumption.from_readings(tables.readings, len(tables.client_ids))
    segments, width = days.segments, DAYS + CUT_DAYS
    back = np.arange(width)[::-1]
    row = np.where(back < segments.counts[:, None], segments.ends[:, None] - 1 - back, segments.n_rows)
    kwh = np.append(days.kwh, np.nan)[row]
    chosen = (~np.isnan(kwh)).sum(axis=1) >= MIN_DAYS
    return Homes(kwh[chosen], segments.last(days.day.astype(np.float64))[chosen].astype(np.int64))


def report_readings(homes: Homes, hour_limits: Limits) -> tuple[dict, dict[str, Limits]]:
    """The report on daily readings, and limits by basis, with those of hours."""
    rng = np.random.default_rng(SEED)
    is_fitted = rng.permutation(len(homes.last)) < len(homes.last) // 2
    n_known = (~np.isnan(homes.kwh)).sum(axis=1)
    drawn = homes.as_of(np.minimum(rng.integers(0, CUT_DAYS, len(n_known)), n_known - MIN_DAYS + 20))
    surroundings = Covariates.from_consumption(homes.of(is_fitted).days())
    report, limits = {"homes_fitted": int(is_fitted.sum()), "homes_reported": int((~is_fitted).sum())}, {}
    for basis, covariates in ((NEIGHBOURS, surroundings), (ALONE, None)):
        fitted = [values_of(part.of(is_fitted), covariates) for part in (homes, drawn)]
        kinds = [kind for kind in fitted[0].value if covariates or KINDS[kind].pattern != NEIGHBOUR_DEVIATION]
        own = fit_limits({kind: np.concatenate([one.value[kind] for one in fitted]) for kind in kinds})
        limits[basis] = own | hour_limits
        report[basis] = {
            "honest_as_of_the_last_day": honest_shares(values_of(homes.of(~is_fitted), covariates), own),
            "honest_as_of_a_drawn_day": honest_shares(values_of(drawn.of(~is_fitted), covariates), own),
            "planted": report_planted(homes.of(~is_fitted), covariates, own),
        }
    report["latency"] = report_latency(homes, drawn, is_fitted, surroundings)
    return report, limits


def values_of(homes: Homes, covariates: Covariates | None, kinds: Sequence[str] = ()) -> Values:
    """Values of all kinds in daily readings. [kinds: those whose beginnings are wanted, none by default]"""
    days = homes.days()
    parts = []
    for start in range(0, len(homes.last), CLIENTS_AT_ONCE):
        _, evidence = reading_evidence(days.slice(start, min(start + CLIENTS_AT_ONCE, len(homes.last))), covariates)
        parts.append(values_of_evidence(evidence, kinds))
    return concatenate(parts)


def values_of_evidence(evidence: Sequence[Evidence], kinds: Sequence[str] = ()) -> Values:
    since = {
        each.kind: np.array([each.occurrence(i).since if v > 0 else 0 for i, v in enumerate(each.value.tolist())])
        for each in evidence
        if each.kind in kinds
    }
    return Values({each.kind: each.value for each in evidence}, since)


def concatenate(parts: Sequence[Values]) -> Values:
    return Values(*(
        {kind: np.concatenate([part[i][kind] for part in parts]) for kind in parts[0][i]} for i in (0, 1)
    ))  # fmt: skip


def report_planted(homes: Homes, covariates: Covariates | None, limits: Limits) -> dict:
    """Each planted pattern: found under its name, and its onset near."""
    clear = homes.of(np.nanmean(homes.kwh, axis=1) >= CLEAR_KWH)
    rng, report = np.random.default_rng(SEED + 1), {"homes": len(clear.last)}
    for name, seed in SEEDS.items():
        kwh, onset = planted(clear.kwh, clear.last, seed, rng)
        kinds = [kind for kind in limits if KINDS[kind].pattern == seed.pattern]
        if not kinds:
            continue  # neighbours, where none are known
        values = values_of(Homes(kwh, clear.last), covariates, kinds)
        report[name] = report_seed(values, limits, seed.pattern, onset)
    return report


def report_seed(values: Values, limits: Limits, pattern: str, onset: np.ndarray) -> dict:
    """Found under the right name; of those found, and of all, the onset within NEAR_DAYS."""
    found = patterns_found(values, limits)[pattern]
    error = onset_of(values, limits, pattern) - onset
    near = np.abs(error) <= NEAR_DAYS
    return {
        "pattern": pattern,
        "found": _share(found),
        "onset_within_14_days_of_found": _share(near[found]),
        "median_error_days": float(np.median(error[found])) if found.any() else None,
    }


def report_latency(homes: Homes, drawn: Homes, is_fitted: np.ndarray, covariates: Covariates) -> dict:
    """Days from the onset to the first weekly look that finds the pattern, at 1 % false alarms a look."""
    honest = values_of(drawn.of(is_fitted), covariates)
    clear = np.flatnonzero(~is_fitted & (np.nanmean(homes.kwh, axis=1) >= CLEAR_KWH))[:N_LATENCY]
    rng, report = np.random.default_rng(SEED + 2), {"homes": len(clear)}
    for name in list(SEEDS)[:6]:
        seed = SEEDS[name]._replace(ago=(LOOKS, LOOKS + 1))
        kwh, _ = planted(homes.kwh[clear], homes.last[clear], seed, rng)
        first = first_look(Homes(kwh, homes.last[clear]), seed, honest, covariates)
        found = first < np.inf
        report[name] = {
            "pattern": seed.pattern,
            "found_within_180_days": _share(found),
            "median_days": float(np.median(first)) if np.isfinite(np.median(first)) else None,
            "three_quarters_days": float(np.quantile(first, 0.75, method="higher")) if found.mean() > 0.75 else None,
        }
    return report


def first_look(homes: Homes, seed: Seed, honest: Values, covariates: Covariates) -> np.ndarray:
    """Days from the onset to the first look beyond the limit; inf for never. [(homes,)]"""
    kinds = [kind for kind in honest.value if KINDS[kind].pattern == seed.pattern]
    # The kinds of a pattern share the false alarms.
    share = ONE_PERCENT / len(kinds)
    limits = {kind: _limits_of(honest.value[kind], share, FLOORS[kind])[0] for kind in kinds}
    first = np.full(len(homes.last), np.inf)
    for day in range(EVERY, LOOKS + 1, EVERY):
        waiting = np.flatnonzero(np.isinf(first))
        if not len(waiting):
            break
        values = values_of(homes.of(waiting).as_of(np.full(len(waiting), LOOKS - day)), covariates)
        found = np.any([values.value[kind] >= limits[kind] for kind in kinds], axis=0)
        first[waiting[found]] = day
    return first


# --- hours ------------------------------------------------------------------------------------------------------------


def report_hours() -> tuple[dict, Limits]:
    """The report on hourly homes of two simulated utilities, limits fitted on the first, and these limits."""
    fitted, other = (hourly_homes(seed) for seed in UTILITIES)
    limits = fit_limits(hour_values(fitted).value)
    moved = moved_to_night(other, np.random.default_rng(SEED))
    report = {
        "homes_fitted": len(fitted.segments),
        "homes_reported": len(other.segments),
        "honest": honest_shares(hour_values(other), limits),
        "30 to 80 % of the energy moved to the night": _share(
            patterns_found(hour_values(moved), limits)[IRREGULAR_HOURS]
        ),
    }
    return report, limits


def hourly_homes(seed: int) -> DailyConsumption:
    """The honest hourly homes of a simulated utility."""
    utility = simulate_utility(UTILITY_CLIENTS, seed)
    days = DailyConsumption.from_readings(utility.readings, UTILITY_CLIENTS)
    thieves = np.isin(utility.clients["client_id"], utility.thefts["client_id"])
    hours = np.isfinite(days.hours).any(axis=1) if days.hours is not None else np.zeros(days.segments.n_rows, bool)
    has_hours = days.segments.total(hours.astype(np.int64)) > 0
    return days.for_clients(has_hours & ~thieves)


def hour_values(days: DailyConsumption) -> Values:
    parts = []
    for start in range(0, len(days.segments), CLIENTS_AT_ONCE):
        evidence = reading_evidence(days.slice(start, min(start + CLIENTS_AT_ONCE, len(days.segments))))[1]
        parts.append(values_of_evidence([e for e in evidence if KINDS[e.kind].pattern == IRREGULAR_HOURS]))
    return concatenate(parts)


def moved_to_night(days: DailyConsumption, rng: np.random.Generator) -> DailyConsumption:
    """The homes with a share of the energy moved to the night in the last days."""
    hours = days.hours.copy()
    for start, stop in zip(days.segments.starts.tolist(), days.segments.ends.tolist(), strict=True):
        own = hours[start:stop].reshape(1, -1)
        onset = np.array([max(own.shape[1] - NIGHT_DAYS * 24, 0)])
        hours[start:stop] = apply_theft(own, onset, "irregular_hours", rng, 24.0).reshape(-1, 24)
    return DailyConsumption(days.segments, days.day, days.kwh, hours)


# --- invoices ---------------------------------------------------------------------------------------------------------


def report_invoices(tables: Tables) -> tuple[dict, Limits]:
    """The report on invoices, and limits fitted on half of the honest clients."""
    n = len(tables.quality)
    is_honest = tables.clients["label"] == 0
    is_fitted = np.random.default_rng(SEED).permutation(n) < n // 2
    gap = peer_gap(tables, is_fitted & is_honest)
    own, values = values_of_invoices(tables.invoices, gap)
    limits = fit_limits({kind: value[(is_fitted & is_honest)[own]] for kind, value in values.value.items()})
    held = Values({kind: value[(~is_fitted & is_honest)[own]] for kind, value in values.value.items()}, {})
    fraud = Values({kind: value[(~is_fitted & ~is_honest)[own]] for kind, value in values.value.items()}, {})
    report = {
        "clients_fitted": int((is_fitted & is_honest).sum()),
        "clients_reported": int((~is_fitted & is_honest).sum()),
        "honest": honest_shares(held, limits),
        "labelled_fraud": honest_shares(fraud, limits),
        "planted": report_planted_invoices(tables.invoices, limits, ~is_fitted & is_honest, n),
    }
    return report, limits


def values_of_invoices(invoices: Table, gap: np.ndarray | None) -> tuple[np.ndarray, Values]:
    own, evidence = invoice_evidence(invoices, gap)
    return own, values_of_evidence(evidence)


def peer_gap(tables: Tables, is_fitted: np.ndarray) -> np.ndarray:
    """Level of each client's last year less the median of its peers among the fitted clients."""
    features = client_features(tables.clients, tables.invoices, ()).features
    return PeerGroups.fit(features[is_fitted], FEATURE_NAMES, (PEER_FEATURE,)).deviations(features)[:, 0]


def report_planted_invoices(invoices: Table, limits: Limits, chosen: np.ndarray, n_clients: int) -> dict:
    """Planted patterns in the invoices of clients with a usual consumption and three years of invoices."""
    rows = chosen[invoices["client"]]
    some = {name: column[rows] for name, column in invoices.items()}
    ago = days_to_newest(some, n_clients)
    report = {}
    for name, (pattern, share) in INVOICE_SEEDS.items():
        own, values = values_of_invoices(scaled_invoices(some, share(ago)), None)
        is_clear = clear_clients(some, ago, n_clients)[own]
        found = patterns_found(values, limits)[pattern]
        report[name] = {"pattern": pattern, "found": _share(found[is_clear])}
    return report


def clear_clients(invoices: Table, ago: np.ndarray, n_clients: int) -> np.ndarray:
    """Clients with six years of electricity invoices that are read regularly and are seldom near zero."""
    is_own = ago < 6 * 366
    client = invoices["client"][is_own]
    kwh = sum(np.nan_to_num(invoices[f"consumption_level_{i}"][is_own]) for i in (1, 2, 3, 4))
    monthly = kwh / np.maximum(np.nan_to_num(invoices["months"][is_own], nan=1.0), 1.0)
    n, n_low = np.bincount(client, minlength=n_clients), np.bincount(client, monthly < 40.0, n_clients)
    oldest = np.zeros(n_clients)
    np.maximum.at(oldest, client, ago[is_own])
    return (n >= 12) & (n_low <= 0.1 * n) & (oldest >= 5 * 366)


if __name__ == "__main__":
    main()
