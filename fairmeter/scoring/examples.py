"""What can be sent, by example; every row is made up. Shown in the OpenAPI document, sent by the tests.

In:  nothing.
Out: one client in both forms, as JSON objects; one with readings alone; the same as NDJSON; and as CSV files.
"""

import csv
import io
import json

_LEVELS = {"consumption_level_2": 0, "consumption_level_3": 0, "consumption_level_4": 0}
_METER = {"energy": "ELEC", "tariff": 11, "meter_id": 4711, "meter_status": 0, "meter_code": 203, "remark": 6}
_METER |= {"coefficient": 1, "months": 4}
RAW = {
    "client": {"client_id": "c-17", "category": 11, "region": 103, "district": 69, "created_on": "2003-08-12"},
    "invoices": [
        {"invoice_on": day, **_METER, "old_index": old, "new_index": new, "consumption_level_1": new - old, **_LEVELS}
        for day, old, new in (
            ("2013-03-24", 1200, 1812),
            ("2013-07-22", 1812, 2455),
            ("2013-11-20", 2455, 3040),
            ("2014-03-24", 3040, 3268),
            ("2014-07-23", 3268, 3481),
        )
    ],
}
READ = {
    "client": {"client_id": "c-18"},
    "readings": [
        {"read_at": f"2014-{month:02d}-{day:02d}", "consumption_kwh": round(11 + 2.5 * (day % 7 in (1, 2)) - drop, 1)}
        for month, days, drop in ((3, 31, 0), (4, 30, 0), (5, 31, 5.2))
        for day in range(1, days + 1)
    ],
}
FLAT = {
    "client_catg": "client_catg_11",
    "region": "region_103",
    "district": "district_69",
    "age_months": 196,
    "consumption_level_1_mean": 934.46,
    "consumption_level_1_std": 302.85,
    "consumption_level_1_min": 165.0,
    "consumption_level_1_max": 2090.0,
    "consumption_level_2_mean": 79.97,
    "consumption_level_2_std": 125.5,
    "consumption_level_2_max": 400.0,
}
NDJSON = "".join(json.dumps(body) + "\n" for body in (RAW, READ, FLAT))


def csv_of(rows: list[dict]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _owned(rows: list[dict]) -> str:
    return csv_of([{"client_id": RAW["client"]["client_id"]} | row for row in rows])


FILES = {
    "clients": csv_of([RAW["client"]]),
    "invoices": _owned(RAW["invoices"]),
    "readings": _owned(READ["readings"]),
}
