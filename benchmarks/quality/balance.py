"""Energy not accounted for by transformer, compared with the truth of a simulated utility.

    python -m benchmarks.quality.balance [ZIP]    data/sample.zip; writes no file

In:  a zip of fairmeter.cli.simulate. Its column unregistered_kwh is the truth, which no other code reads.
Out: over the last 90 days the error of the estimated share, and how often its band holds the truth: as given, with
     technical losses assumed, and with the smart meters of some clients removed; and whether the loss fits the thief
     better than the neighbours. Simulated meters have no error, so what remains is the error of the estimates.
"""

import argparse
import csv
import io
import sys
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import numpy as np

from fairmeter.analysis.energy_balance import RECENT, EnergyBalances, energy_balances
from fairmeter.core.types import Table
from fairmeter.data.daily import DailyConsumption
from fairmeter.data.readings import read_readings
from fairmeter.data.tables import Tables, read_tables
from fairmeter.data.transformers import TransformerTables, read_transformers
from fairmeter.evaluation.metrics import roc_auc

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "sample.zip"
HIDDEN = (0.05, 0.1, 0.2)  # of the clients with smart meters
LIMIT = 0.15  # of the rule that raises alerts (data/alerts.toml)
LOSSY = 0.05  # of what is delivered: transformers among whose clients the thief is looked for
SEED = 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?", type=Path, default=SAMPLE)
    data = parser.parse_args().data
    tables, measured = read_tables(data), read_transformers(data)
    readings = read_readings(data).for_clients(tables.clients["client_id"]).readings
    truth = true_shares(data, measured)
    found = balance(tables, measured, readings)
    print(describe("as given", found, truth))
    bare = replace(measured, totals=measured.totals | {"losses_kwh": np.full(len(measured.totals["day"]), np.nan)})
    print(describe("losses assumed", balance(tables, bare, readings), truth))
    rng = np.random.default_rng(SEED)
    for share in HIDDEN:
        hidden = np.flatnonzero(rng.random(len(tables.quality)) < share)
        left = ~np.isin(readings["client"], hidden)
        some = {name: column[left] for name, column in readings.items()}
        print(describe(f"without {share:.0%} of the meters", balance(tables, measured, some), truth))
    print(fits(data, tables, found))
    return 0


def balance(tables: Tables, measured: TransformerTables, readings: Table) -> EnergyBalances:
    days = DailyConsumption.from_readings(readings, len(tables.quality))
    return energy_balances(measured, tables.clients["transformer_id"], days, tables.invoices)


def rows_of(data: Path, name: str) -> list[dict]:
    with ZipFile(data) as archive, archive.open(f"{name}.csv") as stream:
        return list(csv.DictReader(io.TextIOWrapper(stream, "utf-8")))


def true_shares(data: Path, measured: TransformerTables) -> np.ndarray:
    """Of each transformer what was used and not registered in the last 90 days, over what it delivered."""
    rows = rows_of(data, "transformer_totals")
    row_of = {id_: row for row, id_ in enumerate(measured.transformers["transformer_id"])}
    of = np.array([row_of[row["transformer_id"]] for row in rows])
    day = np.array([row["measured_on"] for row in rows], "datetime64[D]")
    is_recent = day > day.max() - RECENT
    unregistered, delivered = (
        np.bincount(of[is_recent], np.array([float(row[name]) for row in rows])[is_recent])
        for name in ("unregistered_kwh", "delivered_kwh")
    )
    return unregistered / delivered


def describe(name: str, found: EnergyBalances, truth: np.ndarray) -> str:
    is_scored = np.array([row.lost_share is not None for row in found.rows])
    share, low, high = (
        np.array([getattr(row, key) for row in found.rows if row.lost_share is not None])
        for key in ("lost_share", "low_share", "high_share")
    )
    true, half = truth[is_scored], (high - low).mean() / 2
    return (
        f"{name:28} {is_scored.sum():3} of {len(is_scored)} judged, correlation {np.corrcoef(share, true)[0, 1]:.4f}, "
        f"mean error {np.abs(share - true).mean():.2%}, largest {np.abs(share - true).max():.2%}, "
        f"truth within the band {np.mean((low <= true) & (true <= high)):.0%}, half its width {half:.1%}, "
        f"over {LIMIT:.0%} by error alone {np.sum((share > LIMIT) & (true <= LIMIT))}"
    )


def fits(data: Path, tables: Tables, found: EnergyBalances) -> str:
    """How well the fit separates thieves from other clients behind a transformer with losses."""
    thefts = [row for row in rows_of(data, "thefts") if row["pattern"] != "spike"]
    since = str(np.datetime64(found.rows[0].until_on) - RECENT)
    stealing = {row["client_id"] for row in thefts if not row["ended_on"] or row["ended_on"] > since}
    is_thief = np.array([id_ in stealing for id_ in tables.clients["client_id"]])
    known = ~np.isnan(found.fit) & (found.share > LOSSY)
    auc = roc_auc(is_thief[known].astype(float), found.fit[known])
    counts = f"{is_thief[known].sum()} thieves of {known.sum()} clients"
    return f"fit behind transformers that lose over {LOSSY:.0%}: {counts}, ROC-AUC {auc:.3f}"


if __name__ == "__main__":
    sys.exit(main())
