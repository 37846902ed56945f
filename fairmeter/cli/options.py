"""Types of command-line arguments: whole numbers, sizes, amounts, shares.

In:  one argument as text.
Out: its value; argparse.ArgumentTypeError for an invalid one.
"""

import argparse
import math
import re


def whole(text: str) -> int:
    """A whole number, 0 or more."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 0 or more")
    return int(text)


def bytes_of(text: str) -> int:
    """Bytes of 2GB, 1.5 GB or 800MB."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?(MB|GB)", text.strip(), re.IGNORECASE)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size; write 2GB or 800MB")
    return int(float(found[1]) * 2 ** (20 if found[2].upper() == "MB" else 30))


def amount(text: str) -> float:
    """A number, 0 or more."""
    if not 0 <= (number := _float(text)) < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not an amount of 0 or more")
    return number


def share(text: str) -> float:
    """A number from 0 to 1."""
    if not 0 <= (number := _float(text)) <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share between 0 and 1")
    return number


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
