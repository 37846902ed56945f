"""A street whose clients share routes, meters, creation days, codes and a transformer; visits to them."""

from datetime import date

from fairmeter.analysis.shared_traits import SharedTraits
from fairmeter.casework.types import Inspection
from fairmeter.store import Store
from tests.builders.store import clients_of, score_of, write

VISITED = date(2026, 11, 3)
ROUTE, METER, CODES = (16_000, 16_060), (0, 7.0), (5.0, 203.0)
TRAITS = {
    "me": SharedTraits((ROUTE, (15_940, 16_000)), (METER,), CODES),
    "route": SharedTraits(((16_060, 16_120), ROUTE)),  # read once more since
    "meter": SharedTraits((), ((0, 9.0), METER)),
    "codes": SharedTraits((), (), CODES),
    "far": SharedTraits((ROUTE,), (), CODES),  # another district
    "most": SharedTraits((ROUTE,), (METER,), CODES),
}
IDS = (*TRAITS, "born", "wired", "alone")


def related_street(store: Store, **given) -> Store:
    district = [60.0 if id_ not in ("far", "alone") else 62.0 for id_ in IDS]
    created = ["2003-08-12" if id_ in ("me", "born", "most") else f"2004-01-{i + 1:02}" for i, id_ in enumerate(IDS)]
    wired = ["T-1" if id_ in ("me", "wired") else "" for id_ in IDS]
    places = {"latitude": [36.0 + i / 1000 for i in range(len(IDS))], "longitude": [10.0] * len(IDS)}
    table = clients_of(
        client_id=IDS, region=[101.0] * len(IDS), district=district, created_on=created, transformer_id=wired, **places
    )
    write(store, *(score_of(id_) for id_ in IDS), clients=table, **{"traits": TRAITS} | given)
    return store


def visit(store: Store, client_id: str, outcome: str = "confirmed", on: date = VISITED) -> Inspection:
    """A case from its opening to its outcome."""
    case = store.open_case(client_id, "ana", "worth a look", assignee="bo")
    store.move_case(case.case_id, "inspecting", "bo", "on the way")
    return store.record_inspection(case.case_id, outcome, on, "bo")
