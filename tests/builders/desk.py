"""A desk over a store, with a scorer that needs no model."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from fairmeter.core.types import Reason
from fairmeter.desk import runs
from fairmeter.desk.photos import Photos
from fairmeter.desk.service import DeskService
from fairmeter.explanation.reasons import STORED_SCORE_GROUP
from fairmeter.store import Store
from fairmeter.web.app import create_app
from fairmeter.web.desk import DeskExtension
from fairmeter.web.http import sessions
from fairmeter.web.http.auth import NO_ONE
from fairmeter.web.pages.site import PageSettings
from tests.builders.service import LIMITS, MANIFEST, ByConsumption, a_body
from tests.builders.store import shipped_rules

PASSWORD = "four words of a poem"  # noqa: S105
SECRET = "a secret of the tests alone"  # noqa: S105
WHY = "Fall since March."


class ForDesk(ByConsumption):
    """Knows a prior, as a model's manifest does."""

    manifest = MANIFEST | {
        "fraud_rate": 0.1,
        "readings": {"threshold": 0.5, "severities": [{"severity": "high", "score": 0.5}]},
    }

    def score(self, tables, with_reasons=False, stored=None, losses=None):  # noqa: ARG002  (the contract's)
        scores = super().score(tables, with_reasons)
        has_invoices = np.bincount(tables[1]["client"], minlength=len(scores)) > 0
        told = zip(scores, stored or [None] * len(scores), has_invoices, strict=True)
        return [score if has or one is None else self.added(score, one) for score, one, has in told]

    def added(self, score, earlier):
        """The odds of both multiplied, over those of the prior."""
        if score.probability is None:
            return score
        by_both = score.probability, earlier.value, 1 - self.manifest["fraud_rate"]
        odds = np.prod([p / (1 - p) for p in by_both])
        reasons = (Reason(STORED_SCORE_GROUP, 0.1, earlier.text), *score.reasons) if score.reasons else ()
        return replace(score, probability=float(odds / (1 + odds)), reasons=reasons)

    def anomaly_timeline(self, days):
        return {"z_score": days.kwh / 10.0}


def desk_app(
    store: Store,
    open_to: str = NO_ONE,
    api_key: str | None = None,
    photos: Path | None = None,
    *settings: PageSettings,
    scorer: ForDesk | None = None,
    imports: Callable[[DeskService], None] = lambda _service: None,
):
    """The service with a desk. [photos: the folder of photos; settings: of its pages; imports: lets it take files]"""
    scorer = scorer or ForDesk()
    backend, photos = runs.Rescorer(runs.following(scorer, store)), Photos(photos or runs.photo_folder(store))
    service = DeskService(store, shipped_rules(), backend, runs.plan_visits, photos)
    imports(service)
    return create_app(scorer, LIMITS, api_key, DeskExtension(service, SECRET, open_to, *settings))


def with_key(store: Store, role: str, name: str | None = None) -> dict[str, str]:
    """The headers of a script with a key of that role."""
    key, key_hash = sessions.new_key()
    store.add_key(name or role, key_hash, role)
    return {"X-API-Key": key}


def add_user(store: Store, name: str = "anna", role: str = "investigator") -> None:
    store.add_user(name, sessions.hash_of_password(PASSWORD), role)


def signed_in(app, name: str = "anna"):
    """A browser in which somebody signed in, and the headers that its pages send."""
    client = app.test_client()
    answer = client.post("/session", json={"name": name, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return client, {"X-CSRF-Token": answer.json["csrf_token"]}


def recorded(client, client_ids: Sequence[str], headers, level: int = 300) -> None:
    for client_id in client_ids:
        answer = client.post("/predict?record=1", json=a_body(client_id, level=level), headers=headers)
        assert answer.status_code == 200, answer.text


def opened(client, client_id: str, headers, **more) -> dict:
    answer = client.post("/cases", json={"client_id": client_id, "why": WHY} | more, headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.json


def moved(client, case: dict, to: str, headers, **more):
    body = {"to": to, "why": WHY, "version": case["version"]} | more
    return client.post(f"/cases/{case['case_id']}/moves", json=body, headers=headers)


def some_readings(client_id: str = "m-1", n_days: int = 3, kwh: float = 9.0) -> dict:
    days = range(1, n_days + 1)
    return {
        "readings": [
            {"client_id": client_id, "read_at": f"2014-03-{day:02d}", "consumption_kwh": kwh + day} for day in days
        ]
    }
