"""What a score loses where a column of clients or invoices is missing."""

from collections.abc import Collection

LOST = {
    "category": "comparison with clients of its category",
    "region": "comparison with its region, filters, the map by region",
    "district": "comparison with its district",
    "created_on": "the age of the account",
    "energy": "gas and electricity apart: all invoices count as electricity",
    "tariff": "changes of tariff, comparison within a tariff",
    "meter_id": "exchanges of meters, meters shared by clients",
    "meter_status": "what the meter's state said",
    "meter_code": "the kind of meter",
    "remark": "the reader's remarks",
    "coefficient": "current transformers: indices are compared without a factor",
    "old_index": "invoices that contradict their meter",
    "new_index": "invoices that contradict their meter, indices that run backwards",
    "months": "the billed period: it is taken from the invoices' dates",
    **dict.fromkeys((f"consumption_level_{i}" for i in (1, 2, 3, 4)), "what is billed at each price level"),
}


OF_CLIENTS = ("category", "region", "district", "created_on")


def describe_lost(missing: Collection[str], has_invoices: bool) -> list[tuple[str, str]]:
    """(columns, what the score loses without them), by loss. Columns that cost nothing are left out."""
    by_loss: dict[str, list[str]] = {}
    for column in missing:
        if column in LOST and (has_invoices or column in OF_CLIENTS):
            by_loss.setdefault(LOST[column], []).append(column)
    return [(", ".join(columns), loss) for loss, columns in by_loss.items()]
