"""Examples of the desk's bodies, for the OpenAPI document."""

from typing import Any

from fairmeter.web.http.errors import JSON

# A white picture of 16 x 16 pixels.
WHITE_PNG = "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQAQAAAAA3iMLMAAAADklEQVR42mP4/5+BFAQA/U4f4d7IdZcAAAAASUVORK5CYII="
SIGN_IN = {"name": "anna", "password": "four words of a poem"}
EXAMPLES = {
    "NewCase": {"client_id": "c-17", "why": "Fall since March; no harmless cause fits.", "assignee": "anna"},
    "NewMove": {"to": "inspecting", "why": "Crew 3 goes on Tuesday.", "version": 2},
    "NewInspection": {
        "outcome": "confirmed",
        "inspected_on": "2014-09-02",
        "note": "By-pass before the meter.",
        "photos": [WHITE_PNG],
    },
    "Correction": {"outcome": "cleared", "why": "The by-pass was next door."},
    "NewReadings": {
        "readings": [
            {"client_id": "c-17", "read_at": "2014-08-01", "consumption_kwh": 7.2},
            {"client_id": "c-17", "read_at": "2014-08-02", "consumption_kwh": 6.9, "quality": "estimated"},
        ]
    },
    "SignIn": SIGN_IN,
    "NewPassword": {"old": SIGN_IN["password"], "new": "five other words of mine"},
    "NewSecondFactor": {"secret": None, "code": "123456", "password": SIGN_IN["password"]},
    "NewUser": {"name": "ben", "role": "investigator", "password": "words that ben will change"},
    "ChangedUser": {"role": "viewer"},
    "NewKey": {"name": "nightly", "role": "investigator", "expires_at": "2027-12-31T00:00:00Z", "per_minute": 600},
}


def body_of(model: str) -> dict[str, Any]:
    """The OpenAPI description of a body: a reference to its model's schema, and an example."""
    example = {"summary": "an example", "value": EXAMPLES[model]}
    return {"content": {JSON: {"schema": {"$ref": f"#/components/schemas/{model}"}, "examples": {"one": example}}}}
