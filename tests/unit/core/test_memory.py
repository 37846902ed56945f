"""How much memory a process may count on."""

import gc
import subprocess
import sys

import pytest

from fairmeter.core import memory

MACHINE = memory.usable_bytes()


@pytest.mark.parametrize(
    ("text", "expected"), [("536870912\n", 2**29), ("max\n", MACHINE), (str(2**62), MACHINE), (None, MACHINE)]
)
def test_a_container_has_what_its_limit_says_and_never_more_than_the_machine(monkeypatch, tmp_path, text, expected):
    limit = tmp_path / "memory.max"
    if text is not None:
        limit.write_text(text)
    monkeypatch.setattr(memory, "CONTAINER_LIMITS", (limit,))
    assert memory.usable_bytes() == expected


def test_a_process_that_gives_way_takes_no_more_than_it_may():
    code = "from fairmeter.core import memory; memory.give_way(2**27); bytearray(2**28)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MemoryError" in ended.stderr


def test_what_a_started_process_keeps_is_not_walked_again():
    before = gc.get_freeze_count()
    try:
        memory.settle()
        assert gc.get_freeze_count() > before
        assert len(gc.get_objects()) < gc.get_freeze_count()
    finally:
        gc.unfreeze()
