"""Progress and results on the terminal.

In:  steps of a long computation, the metrics of a training run.
Out: lines and progress bars on standard output.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from fairmeter.core.claims import UNLABELLED
from fairmeter.training.validation.readings import ATTACKS

console = Console(highlight=False, markup=False)


@contextmanager
def fitting_progress(steps: int) -> Iterator[Callable[[str], None]]:
    """Show a bar of so many steps; yields the function to call with the name of each fit as it begins."""
    columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("Fitting", total=steps)

        def on_step(name: str) -> None:
            bar.update(task, description=f"Fitting {name}")
            bar.advance(task)

        yield on_step


def print_lines(*lines: str) -> None:
    """Print each text as one line, which the terminal wraps."""
    console.print(*lines, sep="\n", soft_wrap=True)


def describe_results(metrics: dict) -> Iterator[str]:
    """One line for each result on invoices and each ranking on readings; one where there was nothing to measure."""
    if "unlabelled" in metrics or metrics.get("readings", {}).get("made") == UNLABELLED:
        yield "A model of ranks: without labels nothing could be measured, and a rank is no probability of theft."
    for result in metrics["results"]:
        yield describe_result(result)
        yield from describe_guard(result.get("guard"))
    yield from describe_reading_rankings(metrics.get("readings", {}))


def describe_result(result: dict) -> str:
    top = result["at_top"][0]
    figures = {
        "ROC-AUC": result["roc_auc"],
        "PR-AUC": result["pr_auc"],
        f"precision in the top {top['share']:.0%}": top["precision"],
        "calibration error": result["calibration_error"],
    }
    measured = ", ".join(f"{name} {describe_estimate(estimate)}" for name, estimate in figures.items())
    return f"{result['view']}, {result['clients']}: {measured}"


def describe_guard(guard: dict | None) -> Iterator[str]:
    """One line on clients without an exchange of meter or code, and on exchanges; none where no meter ever changed."""
    if not guard or not guard["exchanged"]["n_exchanged"]:
        return
    without, exchanged = guard["without_exchange"], guard["exchanged"]
    found = f"ROC-AUC {describe_estimate(without['roc_auc'])}, PR-AUC {describe_estimate(without['pr_auc'])}"
    yield f"  without an exchange of meter or code: {found}"
    yield (
        f"  ROC-AUC of the score for a recent exchange among honest clients: "
        f"{describe_estimate(exchanged['roc_auc'])}, at most {exchanged['most']}"
    )


def describe_estimate(estimate: dict | None) -> str:
    """A value with its 95 % interval, or "unknown"."""
    if estimate is None:
        return "unknown"
    interval = " ({:.3f} to {:.3f})".format(*estimate["interval"]) if estimate["interval"] else ""
    return f"{estimate['value']:.3f}{interval}"


def describe_reading_rankings(metrics: dict) -> Iterator[str]:
    found = {"labelled readings": metrics} | {f"injected thefts, {words}": metrics.get(words) for words in ATTACKS}
    for words, part in found.items():
        ranking = (part or {}).get("ranking")
        if ranking:
            figures = (f"{name.replace('_', ' ')} {describe_estimate(value)}" for name, value in ranking.items())
            yield f"{words}: {', '.join(figures)}"
