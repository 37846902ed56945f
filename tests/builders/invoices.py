"""Two invoices of one meter that follow each other, and what a store keeps of them."""

from fairmeter.data.json_records import tables_from_records
from fairmeter.store import invoice_histories
from tests.builders.tables import a_client, an_invoice

JANUARY, MAY = "2014-01-24", "2014-05-24"


def ledger(*invoices):
    table = tables_from_records([a_client("c-1")], [list(invoices)])[1]
    return invoice_histories(["c-1"], table).get("c-1")


def invoice(day=MAY, **given):
    """120 kWh of four months, from 300 to 420."""
    levels = {"consumption_level_1": 120} | {f"consumption_level_{i}": 0 for i in (2, 3, 4)}
    whole = {"energy": "ELEC", "meter_id": 7, "months": 4, "coefficient": 1, "old_index": 300, "new_index": 420}
    return an_invoice(invoice_on=day, **levels | whole | given)


BEFORE = invoice(JANUARY, old_index=180, new_index=300)
