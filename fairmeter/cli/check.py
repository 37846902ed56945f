"""`score.py --check`: what is in the files, on one screen, before anything is judged.

In:  a CheckResult.
Out: lines on the terminal; the exit code 0 fine, 1 to be looked at, 2 cannot be used.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from fairmeter.checks.findings import CheckLevel
from fairmeter.checks.result import CheckResult
from fairmeter.reports.check_report import VERDICTS, describe_lengths

MAX_FILES, MAX_CODES, MAX_FINDINGS = 5, 6, 20  # on the screen; the report has all
MAX_UNUSED = 8
SAID_ABOVE = {"missing_columns"}
OF_READINGS = {"impossible_moments"}
MARKS = {CheckLevel.FINE: " ", CheckLevel.LOOK: "?", CheckLevel.UNUSABLE: "!"}


def print_check(result: CheckResult, report: Path | None, console: Console) -> None:
    """One screen: rows, clients, dates, units as they look, labels, what is missing, what looks wrong."""
    for line in check_lines(result):
        console.print(line, soft_wrap=True, markup=False)
    if report is not None:
        console.print(f"{report}/check.html written.", soft_wrap=True, markup=False)


def check_lines(result: CheckResult) -> Iterator[str]:
    """The lines of the screen."""
    for summary in result.tables:
        yield f"{summary.name}: {_first(summary.files, MAX_FILES)}"
        if summary.unused:
            yield f"  columns that are not used: {_first(summary.unused, MAX_UNUSED)}"
    yield from _client_lines(result)
    yield from _invoice_lines(result)
    yield from _reading_lines(result)
    for columns, loss in result.lost:
        yield f"missing: {columns}; the score goes without {loss}"
    for flag in result.flags:
        if flag.flag not in SAID_ABOVE:
            yield f"{flag.flag}: {flag.text}"
    yield ""
    for finding in sorted(result.findings, key=lambda one: -one.level)[:MAX_FINDINGS]:
        write = f" Write: {finding.line}" if finding.line else ""
        yield f"{MARKS[finding.level]} {finding.table}: {finding.text}.{write}"
    if len(result.findings) > MAX_FINDINGS:
        yield f"and {len(result.findings) - MAX_FINDINGS:,} more; --report FOLDER writes all"
    yield VERDICTS[CheckLevel(result.exit_code)]


def _first(names: Sequence[str], n: int) -> str:
    """The first names, and how many more there are."""
    return ", ".join(names[:n]) + (f" and {len(names) - n:,} more" if len(names) > n else "")


def _rows(n_kept: int, result: CheckResult, kind: str) -> str:
    """How many rows of a kind were read and kept, and why the others were not."""
    left_out = [
        flag for flag in result.left_out if kind in flag.flag or (kind == "readings" and flag.flag in OF_READINGS)
    ]
    n = sum(flag.n for flag in left_out)
    why = f"; left out: {', '.join(f'{flag.flag} {flag.n:,}' for flag in left_out)}" if left_out else ""
    return f"  {n_kept + n:,} rows read, {n_kept:,} kept{why}"


def _client_lines(result: CheckResult) -> Iterator[str]:
    clients = result.clients
    if clients is None:
        return
    without = [f"{clients.n_without_invoices:,} without invoices"] if result.invoices else []
    if clients.n_without_readings is not None:
        without.append(f"{clients.n_without_readings:,} without readings")
    yield f"{clients.n:,} clients{''.join(f', {part}' for part in without)}"
    yield f"  labels: {clients.labels.sentence()}" if clients.labels else "  no labels"
    for column, counts in clients.codes.items():
        named = ", ".join(f"{name} {n:,}" for name, n in counts[:MAX_CODES])
        more = f" and {len(counts) - MAX_CODES:,} more" if len(counts) > MAX_CODES else ""
        yield f"  {column}: {named}{more}"


def _invoice_lines(result: CheckResult) -> Iterator[str]:
    invoices = result.invoices
    if invoices is None:
        return
    energies = ", ".join(f"{n:,} of {name}" for name, n in invoices.by_energy.items() if n)
    dates = f"{invoices.first_on} to {invoices.last_on}"
    yield f"{invoices.n:,} invoices of {invoices.n_clients:,} clients, {dates}: {energies}"
    yield _rows(invoices.n, result, "invoices")
    yield f"  half of the clients use under {invoices.median_kwh:,.0f} kWh of electricity a month"
    gaps = ", ".join(f"{months} ({n:,})" for months, n in list(invoices.gaps.items())[:4])
    yield f"  months between invoices: {gaps or 'one invoice a client'}"
    if invoices.n_indexed:
        yield f"  {invoices.n_fitting:,} of {invoices.n_indexed:,} bill the difference between their indices"
    if invoices.n_estimated:
        yield f"  {invoices.n_estimated:,} are estimated"


def _reading_lines(result: CheckResult) -> Iterator[str]:
    readings = result.readings
    if readings is None or not readings.n:
        return
    yield f"{readings.n:,} readings of {readings.n_clients:,} clients, {readings.first_at} to {readings.last_at}"
    yield _rows(readings.n, result, "readings")
    lengths = ", ".join(f"{length} ({n:,})" for length, n in describe_lengths(readings)[:4])
    yield f"  intervals: {lengths}; {readings.n_missing:,} missing, {readings.n_estimated:,} estimated"
    yield f"  half of the clients use under {readings.median_kwh:,.1f} kWh a day"
    if readings.least_hour is not None:
        yield f"  the least is used from {readings.least_hour}:00 to {readings.least_hour + 1}:00"
    if readings.export_kwh:
        yield f"  {readings.export_kwh:,.0f} kWh fed in"
