"""The benchmark of a utility's first day: its steps are run and timed, and what they ask is counted."""

import pytest

from benchmarks.helpers import exports
from benchmarks.quality import first_day


def test_unsure_lines_of_a_guess_and_questions_of_a_check_are_obstacles():
    guessed = '# ... the lines with "# ?"\nclient_id = "A"  # 9 ids\nenergy = {constant = "ELEC"}  # ? no column\n'
    assert first_day._obstacles("guess", guessed) == ['energy = {constant = "ELEC"}  # ? no column']
    assert first_day._obstacles("check", "3 rows\n\n? readings: the clock\n") == ["? readings: the clock"]
    assert first_day._obstacles("train", "? nothing is asked here") == []


def test_a_step_that_fails_ends_in_one_sentence(tmp_path, monkeypatch, capsys):
    tiny = {"tiny": lambda to, _: exports.french(to, 3, 20)}  # too few clients to train on
    monkeypatch.setattr(first_day, "EXPORTS", tiny)
    assert first_day.main(["--small", "--out", str(tmp_path / "out.json")]) == 2
    assert "at least 20 are needed" in capsys.readouterr().err


@pytest.mark.nightly
def test_a_first_day_has_every_step(tmp_path):
    made = exports.french(tmp_path, 24, 40)
    found = first_day.first_day("French", made, tmp_path)
    assert list(found["seconds"]) == ["guess", "check", "train", "list", "store", "desk"]
    assert all(seconds > 0 for seconds in found["seconds"].values())
