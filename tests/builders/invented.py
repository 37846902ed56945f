"""The tables of an invented utility as CSV files, as a utility exports them; without labels."""

from benchmarks.helpers.invented_utilities import Utility
from tests.builders.tables import csv_text


def csv_of(utility: Utility) -> dict[str, str]:
    clients, invoices = utility.clients, utility.invoices
    ids = clients["client_id"].tolist()
    who = [
        {"client_id": id_, "category": int(category), "region": int(region), "district": 1, "created_on": "2015-01-01"}
        for id_, category, region in zip(ids, clients["category"], clients["region"], strict=True)
    ]
    names = ("consumption_level_1", "old_index", "new_index", "tariff", "meter_id", "meter_status", "meter_code")
    names += ("remark", "coefficient", "consumption_level_2", "consumption_level_3", "consumption_level_4")
    columns = {name: [None if v != v else v for v in invoices[name].tolist()] for name in names}
    bills = [
        {"client_id": ids[row], "invoice_on": str(day), "energy": "ELEC", "months": 1}
        | {name: column[i] for name, column in columns.items()}
        for i, (row, day) in enumerate(zip(invoices["client"].tolist(), invoices["invoice_on"], strict=True))
    ]
    return {"clients": csv_text(who), "invoices": csv_text(bills)}
