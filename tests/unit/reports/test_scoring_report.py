"""The report of a run: whole whatever is missing, nothing from outside read as markup."""

import json

import pytest

from fairmeter.data.writers import OutputError
from fairmeter.evaluation.drift import SHIFTED, STABLE
from fairmeter.reports.scoring_report import scoring_page, write_scoring_report
from tests.builders.reports import NASTY, Page

ROW = {
    "feature": "elec_gap_mean", "psi": 0.41234, "chance": 0.02, "level": SHIFTED, "is_constant": False,
    "missing_then": 0.1, "missing_now": 0.25, "group": "account history", "text": NASTY,
}  # fmt: skip
SCORE = {"psi": 0.03, "chance": 0.01, "level": STABLE, "above_then": 0.1, "above_now": 0.12}
PART = {
    "n_then": 5000, "n_now": 1234, "n_features": 600, "n_shifted": 1, "n_shifting": 0, "n_constant": 2,
    "max_psi": 0.41234, "score": SCORE, "features": [ROW, ROW | {"feature": "b", "is_constant": True}],
}  # fmt: skip
RUN = {
    "scored_at": "2026-01-02T03:04:05+00:00",
    "data": NASTY,
    "model": {"version": "2026.1.1", "trained_at": "2025-12-01T00:00:00+00:00"},
    "n_by_severity": {"high": 4, "low": 1230},
    "n_suspected": 17,
    "drift": {"parts": {"invoices": PART}, "untold": ["readings"], "level": SHIFTED, "model": {}},
    "stability": [{"k": 50, "n_both": 40, "jaccard": 40 / 60}],
    "former": NASTY,
}


def test_the_page_tells_severities_stability_and_drift_of_every_part():
    page = Page(scoring_page(RUN))
    assert page.headings == ["Clients by severity", "Stability of the list", "Drift", "Features of invoices by drift"]
    for text in (
        "0.412",
        "elec_gap_mean",
        "constant in training",
        "1,234 clients beside 5,000",
        "0.67",
        "10.0",
        "17 of",
    ):
        assert text in page.text
    assert "has no reference distribution of its readings" in page.text
    assert not page.open
    assert not page.fetched
    assert not page.scripts
    assert "<script>alert" not in scoring_page(RUN)


def test_without_a_former_list_and_without_fingerprints_there_is_less_and_no_error():
    drift = {"parts": {}, "untold": ["invoices"], "level": None, "model": {}}
    page = Page(scoring_page(RUN | {"stability": None, "former": None, "drift": drift}))
    assert page.headings == ["Clients by severity", "Drift"]
    assert "None" not in page.text


def test_both_files_are_written_and_the_numbers_can_be_read_again(tmp_path):
    write_scoring_report(RUN, tmp_path / "new" / "report")
    folder = tmp_path / "new" / "report"
    assert sorted(file.name for file in folder.iterdir()) == ["drift.json", "report.html"]
    assert json.loads((folder / "drift.json").read_text(encoding="utf-8")) == RUN


@pytest.mark.parametrize("there", ["a file", "a folder where a file should be"])
def test_a_folder_that_cannot_be_written_to_is_a_sentence(tmp_path, there):
    folder = tmp_path / "report"
    if there == "a file":
        folder.write_text("mine")
    else:
        (folder / "drift.json" / "inside").mkdir(parents=True)
    with pytest.raises(OutputError, match="cannot be written to"):
        write_scoring_report(RUN, folder)
