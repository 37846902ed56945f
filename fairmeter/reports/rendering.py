"""Jinja2 templates of the reports, and the formats of figures and their intervals.

In:  estimates {"value", "interval"} or None; texts from anywhere, which the HTML templates escape.
Out: text, or Markup of table rows.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, **context: object) -> str:
    """The template of this name with the context. Raises UndefinedError for a figure that is missing."""
    return _environment().get_template(template).render(**context)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"fmt": format_value, "plain": format, "interval": interval, "bracketed": bracketed}
    environment.filters |= {"value": value_or_unknown, "name": name_of, "md": escape_markdown}
    environment.filters |= {"estimate": with_interval, "code": escape_code}
    environment.globals |= {"cells": cells, "percent": percent, "number": number, "kwh": kwh, "tops": tops}
    return environment


def name_of(result: Mapping) -> str:
    """The name of a result: its view and clients."""
    return f"{result['view']}, {result['clients']}"


def format_value(value: float | None, form: str) -> str:
    """A number as text, "-" for None; the format ".1%" gives "26.7 %"."""
    return "-" if value is None else format(value, form).replace("%", "\N{NO-BREAK SPACE}%")


def value_or_unknown(figure: Mapping | None, form: str) -> str:
    return format_value(figure["value"], form) if figure else "unknown"


def interval(figure: Mapping | None, form: str) -> str:
    """The interval of an estimate as "[low, high]"; empty if unknown."""
    if not figure or not figure["interval"]:
        return ""
    low, high = (format(end, form).removesuffix("%") for end in figure["interval"])
    return f"[{low}, {high}]"


def with_interval(figure: Mapping | None, form: str) -> str:
    """An estimate and its interval as plain text, "-" for None."""
    return f"{format_value(figure['value'], form)} {interval(figure, form)}".rstrip() if figure else "-"


def escape_markdown(text: object) -> str:
    """One line of Markdown without tables, tags and links; `code` stays."""
    line = " ".join(str(text).split())
    return "".join(f"\\{sign}" if sign in "\\|<>[]*#" else sign for sign in line)


def escape_code(text: str) -> str:
    """Text that can be put between backticks."""
    return " ".join(text.split()).replace("`", "'")


# --- HTML -------------------------------------------------------------------------------------------------------------


def cells(*values: object) -> Markup:
    """A table row; a list among the values gives several cells."""
    flat = (cell for value in values for cell in (value if isinstance(value, list) else [value]))
    return Markup("<tr>{}</tr>").format(Markup("").join(Markup("<td>{}</td>").format(cell) for cell in flat))


def bracketed(figure: Mapping | None, form: str) -> Markup:
    return Markup('<span class="interval">{}</span>').format(interval(figure, form))


def number(figure: Mapping | None, digits: int = 3) -> Markup:
    return _estimate(figure, f".{digits}f")


def percent(figure: Mapping | None, digits: int = 1) -> Markup:
    return _estimate(figure, f".{digits}%")


def kwh(figure: Mapping) -> Markup:
    return _estimate(figure, ",.0f")


def tops(result: Mapping) -> list[Markup]:
    """Precision in each of the top shares."""
    return [percent(top["precision"]) for top in result["at_top"]]


def percents(figures: Iterable[Mapping | None]) -> list[Markup]:
    return [percent(figure) for figure in figures]


def _estimate(figure: Mapping | None, form: str) -> Markup:
    if not figure:
        return Markup("-")
    return Markup("{} {}").format(format_value(figure["value"], form), bracketed(figure, form))
