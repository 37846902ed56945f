"""What score.py prints of a run: progress, quality of the data, severities, overlap with an earlier list, drift."""

import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from fairmeter.core.types import INSUFFICIENT_HISTORY, SEVERITIES, DataIncident, QualityFlag
from fairmeter.data.exogenous import Exogenous
from fairmeter.scoring.population import ClientBase
from fairmeter.scoring.population_drift import describe_drift, describe_unlike


class PipedConsole(Console):
    """A console whose output may be piped into a program that ends early, such as head: the work then goes on."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        discard_output()


def discard_output() -> None:
    """Send the rest of the output nowhere, so that the interpreter's last flush does not fail."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())


def progress() -> Progress:
    """A bar on stderr that disappears when the work is done."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    return Progress(SpinnerColumn(), *columns, console=Console(stderr=True), transient=True)


def print_quality(flags: list[QualityFlag], console: Console) -> None:
    """A line for each data problem."""
    for flag in flags:
        console.print(f"{flag.flag}: {flag.text}", soft_wrap=True, markup=False)


def print_incidents(incidents: Sequence[DataIncident], console: Console) -> None:
    """A line for each fault of the data at many clients, with how many scores it holds back."""
    for incident in incidents:
        clients = f"{incident.n_clients:,} clients"
        since = f" since {incident.since_on}" if incident.since_on else ""
        held_back = f"{incident.n_held_back:,} scores are held back"
        line = f"Data incident, {incident.kind}: {incident.text} ({clients}{since}; {held_back})"
        console.print(line, soft_wrap=True, markup=False)


def print_unused(exogenous: Exogenous, base: ClientBase, console: Console) -> None:
    """A line for weather or holidays that were given and that the model was not trained with."""
    learnt = base.covariates and {
        "weather": base.covariates.has_weather,
        "holidays": base.covariates.has_holidays,
    }
    for name, given in exogenous._asdict().items():
        if given is not None and not (learnt and learnt[name]):
            why = f"the model was trained on readings without {name}" if learnt else "no readings are scored"
            console.print(f"--{name} is not used: {why}.", soft_wrap=True)


def print_summary(counts: Counter[str], seconds: float, out: Path, console: Console) -> None:
    """Clients by severity, and the speed."""
    n = counts.total()
    console.print(", ".join(f"{name} {counts[name]:,}" for name in (*SEVERITIES, INSUFFICIENT_HISTORY)))
    speed = n / max(seconds, 1e-3)
    console.print(f"{n:,} clients scored in {seconds:.1f} s, {speed:,.0f} a second: {out}", soft_wrap=True)


def print_overlap(rows: list[dict] | None, console: Console) -> None:
    """How much of an earlier list is in this one, a line for each length."""
    for row in rows or ():
        line = f"Of the first {row['k']:,} clients {row['n_both']:,} were among the former list's first {row['k']:,}"
        console.print(f"{line} (Jaccard index {row['jaccard']:.2f}).", soft_wrap=True)


def print_unlike(drift: dict, console: Console) -> None:
    """One warning where the clients are unlike those that the model was trained on."""
    if warning := describe_unlike(drift):
        console.print(f"Warning: {warning[0].lower()}{warning[1:]}", soft_wrap=True, markup=False)


def print_drift(drift: dict, console: Console) -> None:
    """A sentence for each ensemble."""
    for sentence in describe_drift(drift):
        console.print(sentence, soft_wrap=True, markup=False)
