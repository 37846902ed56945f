"""Numbers and counts as text for sentences."""

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


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


def rate(part: float) -> str:
    """A share in percent with one decimal, for comparing close rates: 6.4 %."""
    return f"{100.0 * part:.1f} %"


def counted(n: float, one: str, many: str = "") -> str:
    """A number with its noun: 1 invoice, 3 invoices, no invoices."""
    return f"{f'{n:,.0f}' if n else 'no'} {one if n == 1 else many or one + 's'}"
