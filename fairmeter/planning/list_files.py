"""Scores and visits -> the columns of the lists that score.py writes; the client ids of an earlier list.

In:  scores by rank, or visits; the path of an earlier list.
Out: columns for fairmeter/data/writers.py, as score.py describes them; None is empty.
"""

import csv
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from fairmeter.core.types import FITS, Score
from fairmeter.data.arrow_reader import read_parquet_columns
from fairmeter.data.files import DamagedFile, MissingColumns, MissingFile
from fairmeter.data.writers import Columns, RecordType
from fairmeter.planning.inspection_list import PlannedVisit

N_REASONS = 3


def describe_anomaly(anomaly: Mapping) -> str:
    """An anomaly for a cell: sudden spike (high) 2014-01-03 to 2014-01-22."""
    return "{pattern} ({severity}) {since} to {until}".format_map(anomaly)


ANOMALY_TEXTS = dict.fromkeys(("pattern", "severity", "since", "until"), str)
ANOMALIES = RecordType({**ANOMALY_TEXTS, "strength": float, "text": str}, describe_anomaly)
# Types of the columns that are not texts, for Parquet.
COLUMN_TYPES = {
    **dict.fromkeys(("rank", "visit", "route"), int),
    "drawn_at_random": bool,
    **dict.fromkeys((
        "score", "percentile", "expected_recovery_kwh", "at_stake_kwh", "at_stake_low_kwh", "at_stake_high_kwh",
        "expected_net_value", "net_value_low", "net_value_high",
    ), float),
    "anomalies": ANOMALIES,
}  # fmt: skip

# Columns that a model without labels does not fill: nothing is expected of a rank.
EXPECTED_COLUMNS = frozenset({
    "expected_recovery_kwh", "at_stake_kwh", "at_stake_low_kwh", "at_stake_high_kwh", "estimate", "expected_net_value",
    "net_value_low", "net_value_high",
})  # fmt: skip

# --- columns ----------------------------------------------------------------------------------------------------------


def score_columns(scores: list[Score]) -> Columns:
    """Columns of the ranked list; None is an empty cell."""
    columns = {
        "client_id": [score.client_id for score in scores],
        "score": [score.value for score in scores],
        "rank": [None if score.value is None else rank for rank, score in enumerate(scores, 1)],
        "severity": [score.severity for score in scores],
    }
    columns |= reason_columns(scores)
    columns["expected_recovery_kwh"] = [score.expected_recovery_kwh for score in scores]
    columns["quality"] = [";".join(flag.flag for flag in score.quality) or None for score in scores]
    columns["anomalies"] = anomaly_column(scores)
    return columns if claims_probability(scores) else ranks_only(columns)


def claims_probability(scores: list[Score]) -> bool:
    """Whether the scores are probabilities, as of all models but those without labels."""
    return all(score.rank_share is None for score in scores)


def ranks_only(columns: Columns) -> Columns:
    """The columns of a model without labels: percentiles instead of scores, and nothing that a probability promises."""
    kept = {name: values for name, values in columns.items() if name not in EXPECTED_COLUMNS}
    percentiles = [None if share is None else 100.0 * share for share in kept["score"]]
    return {("percentile" if n == "score" else n): (percentiles if n == "score" else v) for n, v in kept.items()}


def reason_columns(scores: list[Score]) -> Columns:
    """Columns of the N_REASONS largest reasons."""
    return {
        f"reason_{i + 1}": [score.reasons[i].text if len(score.reasons) > i else None for score in scores]
        for i in range(N_REASONS)
    }


def anomaly_column(scores: list[Score]) -> list[list[dict]]:
    """The anomalies of each client, as records."""
    return [[asdict(anomaly) for anomaly in score.anomalies] for score in scores]


def visit_columns(visits: list[PlannedVisit], scores: list[Score], ranks: list[int]) -> Columns:
    """Columns of the inspection list. [scores: of all clients, with reasons; ranks: their row numbers by rank]"""
    rank_of, theirs = {row: rank for rank, row in enumerate(ranks, 1)}, [scores[visit.row] for visit in visits]
    at_stake = [score.recovery for score in theirs]
    nets = [visit.net or (None, None, None) for visit in visits]
    columns = {
        "visit": [visit.number for visit in visits],
        "client_id": [score.client_id for score in theirs],
        "drawn_at_random": [visit.is_random for visit in visits],
        "score": [score.value for score in theirs],
        "rank": [rank_of[visit.row] for visit in visits],
        "severity": [score.severity for score in theirs],
        "recommendation": [score.recommendation for score in theirs],
        "at_stake_kwh": [found and found.kwh for found in at_stake],
        "at_stake_low_kwh": [found and found.low_kwh for found in at_stake],
        "at_stake_high_kwh": [found and found.high_kwh for found in at_stake],
        "estimate": [found and found.text for found in at_stake],
        "expected_net_value": [net[0] for net in nets],
        "net_value_low": [net[1] for net in nets],
        "net_value_high": [net[2] for net in nets],
        "route": [visit.route for visit in visits],
        **reason_columns(theirs),
        "harmless": [";".join(e.cause for e in score.explanations if e.verdict == FITS) or None for score in theirs],
        "quality": [";".join(flag.flag for flag in score.quality) or None for score in theirs],
        "anomalies": anomaly_column(theirs),
    }
    return columns if claims_probability(scores) else ranks_only(columns)


# --- an earlier list --------------------------------------------------------------------------------------------------


def read_list(path: Path) -> list[str]:
    """Client ids of a list that score.py wrote, by rank, without clients that have no rank. Raises TableError."""
    try:
        rows = _parquet_rows(path) if path.suffix.lower() == ".parquet" else _csv_rows(path)
    except OSError as error:
        raise MissingFile(
            f"{path} cannot be read ({error.strerror or 'no such table'}); name a list of score.py."
        ) from error
    except (UnicodeDecodeError, csv.Error, ValueError) as error:
        raise DamagedFile(f"{path} is not a list of score.py ({error}); name its CSV or Parquet file.") from error
    except KeyError as error:
        raise MissingColumns(
            f"{path.name} lacks the column {error.args[0]}; name a list that score.py wrote."
        ) from None
    return [client_id for _, client_id in sorted(rows)]


def _csv_rows(path: Path) -> list[tuple[int, str]]:
    with path.open(newline="", encoding="utf-8-sig") as stream:
        found = [(row["rank"], row["client_id"]) for row in csv.DictReader(stream)]
    return [(int(rank), (client_id or "").removeprefix("'")) for rank, client_id in found if rank]


def _parquet_rows(path: Path) -> list[tuple[int, str]]:
    found = zip(*read_parquet_columns(path, ("rank", "client_id")), strict=True)
    return [(int(rank), str(client_id)) for rank, client_id in found if rank is not None]
