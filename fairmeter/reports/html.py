"""What the report's sections are made of: numbers with their intervals, tables, lists, the frame of a section.

In:  estimates {"value", "interval"} or None; texts from anywhere.
Out: text, or Markup in which every text that comes from outside is escaped.
"""

from collections.abc import Iterable, Mapping

from markupsafe import Markup

SECTION = Markup("<section><h2>{}</h2><p>{}</p>{}</section>\n")
TABLE = Markup('<div class="wide"><table class="{}"><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>')
PAIR = Markup('<div class="pair"><div>{}</div><div>{}</div></div>')
HEADED = Markup("<h3>{}</h3>{}")
NOTHING = Markup("")


def shown(value: float | None, form: str) -> str:
    """A number as text; the format ".1%" gives "26.7 %"."""
    return "-" if value is None else format(value, form).replace("%", "\N{NO-BREAK SPACE}%")


def interval(figure: Mapping | None, form: str) -> str:
    """The interval of an estimate, as "[lo, hi]"; empty where unknown."""
    if not figure or not figure["interval"]:
        return ""
    low, high = (format(end, form).removesuffix("%") for end in figure["interval"])
    return f"[{low}, {high}]"


def number_cell(figure: Mapping | None, digits: int = 3) -> Markup:
    return _cell(figure, f".{digits}f")


def share_cell(figure: Mapping | None, digits: int = 1) -> Markup:
    return _cell(figure, f".{digits}%")


def bracketed(figure: Mapping | None, form: str) -> Markup:
    return Markup('<span class="interval">{}</span>').format(interval(figure, form))


def table_of(heads: Iterable[str], rows: Iterable[Iterable], kind: str = "figures") -> Markup:
    body = [joined("<td>{}</td>", row) for row in rows]
    return TABLE.format(kind, joined("<th>{}</th>", heads), joined("<tr>{}</tr>", body))


def list_of(sentences: Iterable[str]) -> Markup:
    return Markup("<ul>{}</ul>").format(joined("<li>{}</li>", sentences))


def joined(form: str, parts: Iterable) -> Markup:
    """Each part in the form, one behind the other; the form is a literal of the caller."""
    return NOTHING.join(map(Markup(form).format, parts))  # noqa: S704  only forms of our own


def _cell(figure: Mapping | None, form: str) -> Markup:
    return Markup("{} {}").format(shown(figure["value"], form), bracketed(figure, form)) if figure else Markup("-")
