"""The benchmark of meter data formats: every reader is timed, on files that hold what was asked for."""

import json
import sys

import pytest

from benchmarks.speed import formats
from fairmeter.data.formats import READERS


def test_every_reader_is_timed_and_all_readings_are_read(monkeypatch, tmp_path, capsys):
    pytest.importorskip("dlms_cosem", reason="the library of load profiles is for training alone")
    monkeypatch.setattr(sys, "argv", ["formats", "--clients", "2", "--days", "3", "--out", str(tmp_path / "f.json")])
    assert formats.main() == 0
    found = {row["format"]: row["readings"] for row in json.loads((tmp_path / "f.json").read_text())["formats"]}
    assert {reader for reader, _ in formats.WRITERS.values()} == set(READERS)
    assert found == {
        "NEM12": 288, "Green Button XML": 288, "MSCONS": 288, "Enedis R50": 288,
        "Enedis R4x": 144, "DLMS load profile": 144, "NEM13": 6, "Enedis R151": 12,
    }  # fmt: skip
    printed = capsys.readouterr().out
    assert all(name in printed for name in found)
