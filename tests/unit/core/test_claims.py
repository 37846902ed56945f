"""One threshold and one scale of severities for all clients, and what each severity promised."""

from fairmeter.core.claims import SeverityPromise, joint_thresholds, severity_promises

INVOICES = {
    "threshold": 0.2,
    "severities": [
        {"severity": "critical", "score": None, "promised": 0.5, "n": 0, "precision": None},
        {
            "severity": "high", "score": 0.3, "promised": 0.3, "n": 90,
            "precision": {"value": 0.4, "interval": [0.31, 0.5]},
        },
        {"severity": "medium", "score": 0.1, "promised": 0.15, "n": 200, "precision": None},
    ],
}  # fmt: skip
READINGS = {
    "threshold": 0.4,
    "severities": [
        {"severity": "critical", "score": 0.25, "promised": 0.5, "n": 70, "precision": None},
        {"severity": "high", "score": 0.45, "promised": 0.3, "n": 99, "precision": None},
    ],
}


def scores(manifest):
    return {cut["severity"]: cut["score"] for cut in joint_thresholds(manifest)["severities"]}


def test_the_scale_is_that_of_invoices_and_none_begins_below_the_threshold_or_the_next_lower_one():
    assert scores(INVOICES) == {"critical": None, "high": 0.3, "medium": 0.2}
    # Invoices never reached critical: it is cut where readings are, but not below high.
    assert scores(INVOICES | {"readings": READINGS}) == {"critical": 0.3, "high": 0.3, "medium": 0.2}
    assert joint_thresholds(INVOICES | {"readings": READINGS})["threshold"] == 0.2


def test_without_invoices_the_scale_is_that_of_readings():
    found = joint_thresholds({"threshold": 1.0, "severities": [], "readings": READINGS})
    assert (found["threshold"], found["severities"][1]["score"]) == (0.4, 0.45)


def test_the_manifest_stays_as_it_is():
    joint_thresholds(INVOICES | {"readings": READINGS})
    assert READINGS["severities"][0]["score"] == 0.25


def test_each_severity_says_what_it_promised_and_what_it_reached():
    assert severity_promises(INVOICES) == [
        SeverityPromise("critical", None, 0.5, None, None, None, 0),
        SeverityPromise("high", 0.3, 0.3, 0.4, 0.31, 0.5, 90),
        SeverityPromise("medium", 0.2, 0.15, None, None, None, 200),
    ]
