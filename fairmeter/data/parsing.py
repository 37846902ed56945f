"""Parsers of one raw value: numbers, days, ids, labels and texts, as written in files and JSON.

In:  the value of a cell or key: a text, a number, a boolean or None.
Out: a float (NaN missing), days since 1970 (NAT missing), or a text. A ValueError states what to write instead.
"""

import re
from datetime import date
from functools import lru_cache

import numpy as np

from fairmeter.core.client_ids import problem_with_id
from fairmeter.data.date_swaps import INVOICE_YEARS
from fairmeter.data.files import NULLS

EPOCH = date(1970, 1, 1).toordinal()
INVOICE_DAYS = (date(INVOICE_YEARS[0], 1, 1).toordinal() - EPOCH, date(INVOICE_YEARS[1] + 1, 1, 1).toordinal() - EPOCH)
NAT = np.iinfo(np.int64).min
ENERGIES = {"ELEC": 0, "GAZ": 1, "0": 0, "1": 1}
QUALITIES = ("actual", "estimated", "missing")  # of invoices and readings
NO_QUALITY = {text.lower() for text in NULLS}
# A time of day, which spreadsheets and data frames add, is ignored.
ISO_DATE = re.compile(r"(?P<y>\d{4})([-/])(?P<m>\d\d?)\2(?P<d>\d\d?)(?:[T ]\d\d?:.*)?")
MAX_WHOLE_ID = 1e15  # a spreadsheet keeps 15 digits
SCIENTIFIC = re.compile(r"[+-]?\d+([.,]\d+)?[eE]\+\d+|[+-]?\d+[.,]\d+[eE]-?\d+")  # 12E4 without a sign may be an id
DECIMAL_ID = re.compile(r"\d+\.0+")
DAY_FIRST = re.compile(r"(?P<d>\d\d?)/(?P<m>\d\d?)/(?P<y>\d{4})(?: \d\d?:.*)?")


def parse_text(value) -> str:
    """The stripped text of a value; 17.0, which a data frame makes of 17, gives "17"."""
    if value is None or value != value:  # a data frame has NaN for a missing text
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def parse_key(value) -> str:
    """The text of an id, empty if missing. Raises ValueError where a spreadsheet has changed it."""
    if isinstance(value, float) and abs(value) >= MAX_WHOLE_ID:
        raise ValueError("a number of more than 15 digits, of which the last ones are lost; export the ids as text")
    text = parse_text(value)
    if isinstance(value, str) and not text.isalnum():
        if SCIENTIFIC.fullmatch(text):
            raise ValueError("an id in scientific notation, of which digits are lost; export the ids as text")
        if DECIMAL_ID.fullmatch(text):
            raise ValueError("a number with decimals, not an id; export the ids as text or as whole numbers")
    return text


def parse_id(value) -> str:
    """A client id. Raises ValueError where it is empty, changed by a spreadsheet, or no part of an address."""
    text = parse_key(value)
    if not text:
        raise ValueError("empty; every client needs an id")
    if problem := problem_with_id(text):
        raise ValueError(problem)
    return text


def parse_number(value) -> float:
    """A number, NaN if missing. Raises ValueError."""
    if value is None or (isinstance(value, str) and value.strip() in NULLS):
        return np.nan
    try:
        if not isinstance(value, bool):
            return float(value)
    except (ValueError, TypeError, OverflowError):
        pass
    raise ValueError("not a number; write digits, with a point before decimals")


@lru_cache(maxsize=2**15)  # all days of ninety years; the same ones recur in requests
def parse_day(value) -> int:
    """Days since 1970 of 2014-03-24, 2014/03/24 or 24/03/2014 (always day first); NAT if missing. Raises ValueError."""
    text = parse_text(value)
    if text in NULLS:
        return NAT
    found = ISO_DATE.fullmatch(text) or DAY_FIRST.fullmatch(text)
    try:
        return date(int(found["y"]), int(found["m"]), int(found["d"])).toordinal() - EPOCH
    except (TypeError, ValueError):
        raise ValueError("not a date; write 2014-03-24 or 24/03/2014") from None


def parse_invoice_day(value) -> int:
    """As `parse_day`, within INVOICE_YEARS and never missing."""
    day = parse_day(value)
    if day == NAT:
        raise ValueError("empty; every invoice needs its date")
    if not INVOICE_DAYS[0] <= day < INVOICE_DAYS[1]:
        raise ValueError("outside the years {} to {}; correct it".format(*INVOICE_YEARS))
    return day


@lru_cache(maxsize=2**15)
def is_slashed_date(value) -> bool:
    """Whether a date is written 24/03/2014, day first; a typed date is not."""
    return DAY_FIRST.fullmatch(parse_text(value)) is not None


def parse_energy(value) -> int:
    """0 electricity, 1 gas, -1 missing. Raises ValueError."""
    text = parse_text(value).upper()
    if text in NULLS:
        return -1
    if text not in ENERGIES:
        raise ValueError("not an energy; write ELEC or GAZ")
    return ENERGIES[text]


def parse_quality(value) -> int:
    """Position in QUALITIES of how a value came about; empty is actual. Raises ValueError."""
    text = parse_text(value).lower()
    if text in NO_QUALITY:
        return 0
    if isinstance(value, bool) or text not in QUALITIES:
        raise ValueError(f"not a quality; write {', '.join(QUALITIES[:-1])} or {QUALITIES[-1]}")
    return QUALITIES.index(text)


def parse_label(value) -> float:
    """1 confirmed fraud, 0 none, NaN missing. Raises ValueError."""
    label = parse_number(float(value) if isinstance(value, bool) else value)
    if label not in (0, 1) and not np.isnan(label):
        raise ValueError("not a label; write 1, 0 or nothing")
    return label
