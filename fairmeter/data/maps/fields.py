"""The fields that a map can fill, and how each is read.

In:  the canonical columns of the other readers.
Out: FIELDS by kind of table; where a map leaves a field out, its canonical or Kaggle name is looked for.
"""

from typing import NamedTuple

from fairmeter.data import readings as reading_columns
from fairmeter.data import tables as table_columns
from fairmeter.data import transformers as transformer_columns


class MapField(NamedTuple):
    """A field of a table. [alias: another name under which it is found without a map]

    reading: "id", "code", "text", "day", "moment", "number", "quantity" (with a unit), "months", "energy", "label",
    "quality" or "flag".
    """

    name: str
    reading: str
    alias: str | None = None
    is_required: bool = False


def _fields(columns, readings: dict[str, str], required: tuple[str, ...]) -> dict[str, MapField]:
    return {
        column.name: MapField(column.name, readings[column.name], column.raw, column.name in required)
        for column in columns
        if column.name in readings
    }


CLIENT_ID = MapField("client_id", "id", None, True)
QUALITY = MapField("quality", "quality")
_CODES = dict.fromkeys(
    ("category", "region", "district", "tariff", "meter_id", "meter_status", "meter_code", "remark"), "code"
)
_CLIENTS = _CODES | {
    "client_id": "id",
    "created_on": "day",
    "latitude": "number",
    "longitude": "number",
    "tariff_price": "number",
    "transformer_id": "text",
    "label": "label",
    "labelled_on": "day",
}
_LEVELS = dict.fromkeys((f"consumption_level_{i}" for i in (1, 2, 3, 4)), "quantity")
_INVOICES = (
    _CODES
    | _LEVELS
    | {"invoice_on": "day", "energy": "energy", "coefficient": "number", "old_index": "number", "new_index": "number"}
)
_TRANSFORMERS = {
    "transformer_id": "text",
    "measured_on": "day",
    "delivered_kwh": "quantity",
    "losses_kwh": "quantity",
    "region": "code",
    "latitude": "number",
    "longitude": "number",
    "has_meter": "flag",
}
FIELDS: dict[str, dict[str, MapField]] = {
    "clients": _fields(table_columns.CLIENT_FIELDS, _CLIENTS, ("client_id",)),
    "invoices": {"client_id": CLIENT_ID}
    | _fields(table_columns.INVOICE_FIELDS, _INVOICES, ("invoice_on",))
    | {
        "months": MapField("months", "months", "months_number"),
        "consumption": MapField("consumption", "quantity"),
        "quality": QUALITY,
    },
    "readings": {
        "client_id": CLIENT_ID._replace(alias="CONS_NO"),
        "label": MapField("label", "label", "FLAG"),
        "read_at": MapField(reading_columns.READ_AT.name, "moment", None, True),
        "consumption_kwh": MapField(reading_columns.KWH.name, "quantity"),
        "export_kwh": MapField("export_kwh", "quantity"),
        "quality": QUALITY,
    },
    "transformers": {
        name: field._replace(is_required=name in ("transformer_id", "measured_on", "delivered_kwh"))
        for name, field in _fields(
            (*transformer_columns.TOTAL_FIELDS, *transformer_columns.LIST_FIELDS), _TRANSFORMERS, ()
        ).items()
    },
    "weather": {
        "date": MapField("date", "moment", None, True),
        "temperature": MapField("temperature", "number", None, True),
    },
    "holidays": {"date": MapField("date", "day", None, True)},
}
