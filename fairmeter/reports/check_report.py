"""A CheckResult -> check.html, one page that works offline: what is in a utility's files and what looks wrong.

In:  the result, and a title.
Out: the page; written to a folder, complete or not at all.
"""

from pathlib import Path

from markupsafe import Markup

from fairmeter.checks.findings import CheckLevel
from fairmeter.checks.invoice_checks import InvoiceChecks
from fairmeter.checks.reading_checks import ReadingChecks
from fairmeter.checks.result import CheckResult
from fairmeter.data.writers import OutputError
from fairmeter.reports.rendering import render

FILE = "check.html"
VERDICTS = {
    CheckLevel.FINE: "Nothing looks wrong.",
    CheckLevel.LOOK: "Usable; some of it should be looked at.",
    CheckLevel.UNUSABLE: "Cannot be used as it is.",
}
N_CODES = 12  # names of a column that are drawn
MINUTES = {5: "5 minutes", 10: "10 minutes", 15: "quarter-hours", 30: "half-hours", 60: "hours", 1440: "days"}


def write_check_report(result: CheckResult, folder: Path, title: str = "Fairmeter: the files") -> None:
    """Write check.html into the folder. Raises OutputError."""
    page = check_page(result, title)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f".{FILE}.part"
        partial.write_text(page, encoding="utf-8")
        partial.replace(folder / FILE)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written to ({error.strerror}); name another folder.") from error


def check_page(result: CheckResult, title: str) -> str:
    """The page as HTML."""
    from fairmeter.reports import figures  # loads Plotly

    drawn = [(name, figures.inline(figure, f"plot-{i}")) for i, (name, figure) in enumerate(_figures(result))]
    return render(
        "check_report.html",
        title=title,
        facts=[VERDICTS[CheckLevel(result.exit_code)]],
        result=result,
        plots=dict(drawn),
        script=figures.plotly_script() if drawn else Markup(""),
        lengths=describe_lengths(result.readings) if result.readings else [],
    )


def describe_lengths(readings: ReadingChecks) -> list[tuple[str, int]]:
    """(length of an interval in words, readings), the most frequent first, at most eight."""
    return [(MINUTES.get(n, f"{n:,} minutes"), count) for n, count in readings.lengths.most_common(8)]


def _figures(result: CheckResult):
    if result.clients:
        for column, counts in result.clients.codes.items():
            yield f"{column} by clients", _bars(dict(counts[:N_CODES]), "clients")
    if result.invoices:
        yield from _invoice_figures(result.invoices)
    if result.readings and result.readings.n:
        yield from _reading_figures(result.readings)


def _invoice_figures(invoices: InvoiceChecks):
    from fairmeter.reports import figures

    yield "invoices by year", _bars({str(year): n for year, n in invoices.by_year.items()}, "invoices")
    gaps = dict(sorted(list(invoices.gaps.items())[:N_CODES]))
    yield "months between invoices", _bars({str(months): n for months, n in gaps.items()}, "invoices")
    if len(invoices.kwh):
        yield "electricity of a month", figures.histogram(invoices.kwh, "kWh a month (logarithmic)")


def _reading_figures(readings: ReadingChecks):
    from fairmeter.reports import figures

    if readings.daily_kwh:
        yield "consumption of a day", figures.histogram(readings.daily_kwh, "kWh a day (logarithmic)")
    if readings.hours.any():
        shares = readings.hours / readings.hours.sum()
        yield "the day's shape", _bars({f"{hour}:00": share for hour, share in enumerate(shares)}, "share of the day")


def _bars(values: dict, unit: str):
    from fairmeter.reports import figures

    return figures.bars(values, unit)
