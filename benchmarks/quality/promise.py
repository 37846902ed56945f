"""Whether the false-alarm promise holds: repeated random halves of out-of-fold scores, promised against realised.

    python benchmarks/promise.py data/archive.zip          writes benchmarks/promise.json; minutes, small members
    python benchmarks/promise.py data/sample.zip --splits 50 --out promise.json

In:  clients and invoices with labels.
Out: for each promise the mean share of false alarms with its interval, the range of the splits, clients on the list.

Small members are fitted out of fold on the active clients; the promise must hold for any model, so a quick one is as
good a test. One half of the scores makes the table, the lists are drawn from the other; labels of 0 are false alarms.
"""

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # else Python looks for rooms in benchmarks/ only

import train
from fairmeter.evaluation.conformal_selection import held_in_splits
from fairmeter.training.dataset import PROSPECTIVE
from fairmeter.training.ensemble_fitting import fit_ensemble

OUT = Path(__file__).resolve().parents[1] / "results" / Path(__file__).with_suffix(".json").name


def main() -> None:
    parser = argparse.ArgumentParser(prog="promise.py", description="Promised against realised share of false alarms.")
    parser.add_argument("data", nargs="*", type=Path)
    parser.add_argument("--splits", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    study = train.study_of(train.sources(options.data))
    clients = study.clients(PROSPECTIVE)
    label, console = study.label[clients], Console(highlight=False)
    with console.status("Fitting") as status:
        plan = train.plan_of(PROSPECTIVE, quick=True)
        score = fit_ensemble(study.evidence.of(clients), label, plan, train.SEED, status.update).probability
        status.update("Splitting")
        rows = held_in_splits(label, score, n_splits=options.splits)
    figures = {"data": study.name, "clients": len(clients), "splits": options.splits, "promises": rows}
    options.out.write_text(json.dumps(figures, indent=1) + "\n")
    console.print_json(json.dumps(figures))


if __name__ == "__main__":
    main()
