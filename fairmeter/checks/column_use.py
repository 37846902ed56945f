"""What a score loses where a column of clients or invoices is missing."""

from collections.abc import Collection

from fairmeter.wording.phrases import Phrase

# Of each column the code of its loss below "lost" in fairmeter/wording/languages.
LOST = {
    **{name: name for name in ("category", "region", "district", "created_on", "energy", "tariff", "meter_id")},
    **{name: name for name in ("meter_status", "meter_code", "remark", "coefficient")},
    **{name: name for name in ("old_index", "new_index", "months")},
    **dict.fromkeys((f"consumption_level_{i}" for i in (1, 2, 3, 4)), "levels"),
}

OF_CLIENTS = ("category", "region", "district", "created_on")


def describe_lost(missing: Collection[str], has_invoices: bool) -> list[tuple[str, Phrase]]:
    """(columns, what the score loses without them), by loss. Columns that cost nothing are left out."""
    by_loss: dict[str, list[str]] = {}
    for column in missing:
        if column in LOST and (has_invoices or column in OF_CLIENTS):
            by_loss.setdefault(LOST[column], []).append(column)
    return [(", ".join(columns), Phrase(f"lost.{loss}")) for loss, columns in by_loss.items()]
