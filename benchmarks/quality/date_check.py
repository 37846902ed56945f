"""Check whether day and month are swapped in the invoice dates of a table.

    python -m benchmarks.quality.date_check data/archive.zip

In:  a zip, a folder, or the files of the tables.
Out: over pairs of invoices of one meter, the later of which starts at the index where the earlier ended: the share that
     the dates, as given and swapped, put in the wrong order, and the share whose months agree with the days between.
"""

import argparse
import sys
from collections import defaultdict
from itertools import count

import numpy as np

from fairmeter.core.calendar import DAYS_PER_MONTH
from fairmeter.core.types import Table
from fairmeter.data.arrow_reader import parse_table
from fairmeter.data.date_swaps import index_links, swap_day_and_month
from fairmeter.data.files import Column, TableError, find_file
from fairmeter.data.parsing import parse_text
from fairmeter.data.tables import INVOICE_FIELDS

TOLERANCE_DAYS = 20  # the reader comes when he can; two swapped dates are a month apart at least
NEEDED = ("invoice_on", "energy", "meter_id", "old_index", "new_index", "months")


def raw_invoices(path: str) -> Table:
    """The invoices as given, nothing cleaned, clients numbered as they come."""
    number_of = defaultdict(count().__next__)
    client = Column("client", "client_id", lambda value: number_of[parse_text(value)], np.int64)
    fields = (client, *(field for field in INVOICE_FIELDS if field.name in NEEDED))
    sheet = parse_table(find_file("invoice", (path,)), fields)
    return {field.name: sheet.take(field) for field in fields}


def shares(dates: np.ndarray, invoices: Table, earlier: np.ndarray, later: np.ndarray) -> tuple[float, float, float]:
    """Pairs in the wrong order; of pairs with an ambiguous date; pairs whose months agree with their days. [0..1]"""
    days = (dates[later] - dates[earlier]).astype(int)
    is_ambiguous = swap_day_and_month(dates) != dates
    agrees = np.abs(days - DAYS_PER_MONTH * invoices["months"][later]) < TOLERANCE_DAYS
    return (days <= 0).mean(), (days <= 0)[is_ambiguous[earlier] | is_ambiguous[later]].mean(), agrees.mean()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="a zip, a folder, or the invoices' file")
    invoices = raw_invoices(parser.parse_args().data)
    earlier, later = index_links(invoices)
    print(f"{len(later):,} pairs          wrong order   of ambiguous   months agree")
    for name, dates in (("as given", invoices["invoice_on"]), ("swapped", swap_day_and_month(invoices["invoice_on"]))):
        print("{:<20} {:>11.3%} {:>14.3%} {:>14.1%}".format(name, *shares(dates, invoices, earlier, later)))


if __name__ == "__main__":
    try:
        main()
    except TableError as error:
        sys.exit(str(error))
