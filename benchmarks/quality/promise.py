"""Check the false-alarm bound: promised against realised shares on random halves of out-of-fold scores.

    python -m benchmarks.quality.promise data/archive.zip    writes benchmarks/results/promise.json; minutes
    python -m benchmarks.quality.promise data/sample.zip --splits 50 --out promise.json

In:  clients and invoices with labels.
Out: for each promise the mean share of false alarms with its interval, the range over splits, and the list lengths.

Small members are fitted out of fold on the active clients: the bound must hold for any model. One half of the scores
makes the table, the lists are taken from the other half; labels of 0 count as false alarms.
"""

import argparse
import json
from pathlib import Path

from rich.console import Console

from fairmeter.cli.train_options import default_sources
from fairmeter.core.environment import configure_numeric_libraries
from fairmeter.evaluation.conformal_selection import measure_on_splits
from fairmeter.training.dataset import PROSPECTIVE
from fairmeter.training.ensemble_fitting import fit_ensemble
from fairmeter.training.invoice_pipeline import ensemble_config, read_dataset
from fairmeter.training.options import SEED

OUT = Path(__file__).resolve().parents[1] / "results" / Path(__file__).with_suffix(".json").name


def main() -> None:
    configure_numeric_libraries()
    parser = argparse.ArgumentParser(prog="promise.py", description="Promised against realised share of false alarms.")
    parser.add_argument("data", nargs="*", type=Path)
    parser.add_argument("--splits", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    dataset = read_dataset(default_sources(tuple(options.data)))
    clients = dataset.clients(PROSPECTIVE)
    label, console = dataset.label[clients], Console(highlight=False)
    with console.status("Fitting") as status:
        plan = ensemble_config(PROSPECTIVE, quick=True)
        score = fit_ensemble(dataset.evidence.of(clients), label, plan, SEED, status.update).probability
        status.update("Splitting")
        rows = measure_on_splits(label, score, n_splits=options.splits)
    figures = {"data": dataset.name, "clients": len(clients), "splits": options.splits, "promises": rows}
    options.out.write_text(json.dumps(figures, indent=1) + "\n")
    console.print_json(json.dumps(figures))


if __name__ == "__main__":
    main()
