"""One raw value -> its canonical one: numbers, codes, days, ids, texts, as files and JSON write them.

In:  what stands in a cell, or under a key: a text, a number, a boolean, nothing.
Out: a float (NaN missing), days since 1970 (NAT missing), or a text. Raises ValueError that says what to write.
"""

import re
from datetime import date
from functools import lru_cache

import numpy as np

from fairmeter.data.date_swaps import INVOICE_YEARS
from fairmeter.data.files import NULLS

EPOCH = date(1970, 1, 1).toordinal()
INVOICE_DAYS = (date(INVOICE_YEARS[0], 1, 1).toordinal() - EPOCH, date(INVOICE_YEARS[1] + 1, 1, 1).toordinal() - EPOCH)
NAT = np.iinfo(np.int64).min
ENERGIES = {"ELEC": 0, "GAZ": 1, "0": 0, "1": 1}
# The time of day that a spreadsheet or a data frame adds is left out.
ISO_DATE = re.compile(r"(?P<y>\d{4})([-/])(?P<m>\d\d?)\2(?P<d>\d\d?)(?:[T ]\d\d?:.*)?")
DAY_FIRST = re.compile(r"(?P<d>\d\d?)/(?P<m>\d\d?)/(?P<y>\d{4})(?: \d\d?:.*)?")


def parse_text(value) -> str:
    """A text without blanks around it; a whole number that a data frame turned into 17.0 is "17" again."""
    if value is None or value != value:  # NaN is what a data frame makes of a missing text
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def parse_id(value) -> str:
    text = parse_text(value)
    if not text:
        raise ValueError("empty; every client needs an id")
    return text


def parse_number(value) -> float:
    """A quantity; missing is NaN."""
    if value is None or (isinstance(value, str) and value.strip() in NULLS):
        return np.nan
    try:
        if not isinstance(value, bool):
            return float(value)
    except (ValueError, TypeError, OverflowError):
        pass
    raise ValueError("not a number; write digits, with a point before decimals")


@lru_cache(maxsize=2**15)  # all days of ninety years; a server meets the same ones again and again
def parse_day(value) -> int:
    """Days since 1970 of 2014-03-24, 2014/03/24 or, always day first, 24/03/2014; missing is NAT."""
    text = parse_text(value)
    if text in NULLS:
        return NAT
    found = ISO_DATE.fullmatch(text) or DAY_FIRST.fullmatch(text)
    try:
        return date(int(found["y"]), int(found["m"]), int(found["d"])).toordinal() - EPOCH
    except (TypeError, ValueError):
        raise ValueError("not a date; write 2014-03-24 or 24/03/2014") from None


def parse_invoice_day(value) -> int:
    day = parse_day(value)
    if day == NAT:
        raise ValueError("empty; every invoice needs its date")
    if not INVOICE_DAYS[0] <= day < INVOICE_DAYS[1]:
        raise ValueError("outside the years {} to {}; correct it".format(*INVOICE_YEARS))
    return day


@lru_cache(maxsize=2**15)
def is_year_first(value) -> bool:
    """Whether a date is written year first; a typed one counts as such."""
    return not DAY_FIRST.fullmatch(parse_text(value))


def parse_energy(value) -> int:
    """0 electricity, 1 gas, -1 missing."""
    text = parse_text(value).upper()
    if text in NULLS:
        return -1
    if text not in ENERGIES:
        raise ValueError("not an energy; write ELEC or GAZ")
    return ENERGIES[text]


def parse_label(value) -> float:
    label = parse_number(float(value) if isinstance(value, bool) else value)
    if label not in (0, 1) and not np.isnan(label):
        raise ValueError("not a label; write 1, 0 or nothing")
    return label
