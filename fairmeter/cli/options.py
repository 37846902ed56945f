"""Words of a command line -> numbers; argparse says which word is none.

In:  one argument as it was typed.
Out: what it means. Raises argparse.ArgumentTypeError.
"""

import argparse
import math
import re


def whole(text: str) -> int:
    """A whole number from 0 on."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 on")
    return int(text)


def bytes_of(text: str) -> int:
    """2GB, 1.5 GB, 800MB."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?(MB|GB)", text.strip(), re.IGNORECASE)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write 2GB or 800MB")
    return int(float(found[1]) * 2 ** (20 if found[2].upper() == "MB" else 30))


def amount(text: str) -> float:
    """A number from 0 on."""
    if not 0 <= (number := _float(text)) < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no amount from 0 on")
    return number


def share(text: str) -> float:
    """A number from 0 to 1."""
    if not 0 <= (number := _float(text)) <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share between 0 and 1")
    return number


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
