"""Numbers, dates and counts as text for sentences."""

from collections.abc import Iterable

import numpy as np

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
EVEN = 0.005  # of a ratio: a smaller change is described as none


def figure(value: float) -> str:
    """A number with thousands separators, below ten with one decimal: 412; 1,210; 7.3; 0."""
    return f"{value:,.1f}".removesuffix(".0") if abs(value) < 10 else f"{value:,.0f}"


def share(part: float) -> str:
    """A share in percent: 0.62 is 62 %; near 0 and near 1 with one decimal."""
    percent = 100.0 * part
    return f"{percent:.1f} %" if 0 < abs(percent) < 1 or 99 < abs(percent) < 99.95 else f"{percent:.0f} %"


def share_or_none(part: float) -> str:
    """A share in percent, or "none" for 0."""
    return share(part) if part else "none"


def month(day: np.datetime64 | float) -> str:
    """Month and year: March 2014. [a date, or days since 1970]"""
    at = day if isinstance(day, np.datetime64) else np.datetime64(int(day), "D")
    year, number = str(at.astype("datetime64[M]")).rsplit("-", 1)
    return f"{MONTHS[int(number) - 1]} {year}"


def date(day: float) -> str:
    """Day, month and year: 3 May 2014. [days since 1970]"""
    at = np.datetime64(int(day), "D")
    return f"{int(str(at)[-2:])} {month(at)}"


def rate(part: float) -> str:
    """A share in percent with one decimal, for comparing close rates: 6.4 %."""
    return f"{100.0 * part:.1f} %"


def counted(n: float, one: str, many: str = "") -> str:
    """A number with its noun: 1 invoice, 3 invoices, no invoices."""
    return f"{f'{n:,.0f}' if n else 'no'} {one if n == 1 else many or one + 's'}"


def change(ratio: float) -> str:
    """A change in words: a fall of 4 %, a rise of 12 %, hardly any change. [ratio: after / before - 1]"""
    if abs(ratio) < EVEN:
        return "hardly any change"
    return f"a {'fall' if ratio < 0 else 'rise'} of {share(abs(ratio))}"


def compared(ratio: float) -> str:
    """A comparison in words: 4 % lower than, 12 % higher than, about the same as. [ratio: one / other - 1]"""
    if abs(ratio) < EVEN:
        return "about the same as"
    return f"{share(abs(ratio))} {'lower' if ratio < 0 else 'higher'} than"


def join_names(parts: Iterable[str]) -> str:
    """Join names by commas and a final "and": a, b and c. At least one name."""
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last


def sentence(*clauses: str) -> str:
    """Join clauses by semicolons into a sentence with capital and full stop; empty clauses are left out."""
    text = "; ".join(clause for clause in clauses if clause)
    return f"{text[0].upper()}{text[1:]}."
