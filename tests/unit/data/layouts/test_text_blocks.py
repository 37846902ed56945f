"""Odd rows among many: block by block the same rows, counts, lines and errors as row by row."""

import io
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fairmeter.data.files import DamagedFile, TableFile
from fairmeter.data.layouts import Layout, text_blocks
from fairmeter.data.layouts.headers import find_layout
from fairmeter.data.layouts.text_blocks import NotByBlocks, row_blocks
from fairmeter.data.layouts.text_rows import kept_rows

HEADER = "meter;at;kwh"
PLAIN = st.builds("m-{};2024-01-{:02d} 00:15;{},5".format, st.integers(0, 9), st.integers(1, 31), st.integers(0, 99))
ODD = st.sampled_from(
    [
        "", "   ", ";;", ";;;", "m-1;;", ";;7", "TOTAL;7", "Total;;7", "m-1;total;", "Summe", HEADER,
        " meter ;at;'kwh'", "m-2;2024-01-02;3;", "m-2;2024-01-02;3;;;", "m-2;2024-01-02;3;9", "m-2;2024-01-02",
        "about", "Ort: Köln;",
        '"m-3";"2024;1";"3"', '"m-3";"a""b";3', 'm-3;a"b;3', 'm-3;"x;3', '"m\n3";1;2',
    ]
)  # fmt: skip


def a_file(text, encoding="utf-8"):
    content = text.encode(encoding)
    return TableFile("a.csv", "a.csv", lambda: io.BufferedReader(io.BytesIO(content)), len(content), "a.csv")


def by_rows(source, found):
    notes = Counter()
    try:
        rows = [(row.line, row.above, row.values) for row in kept_rows(source, found, notes)]
    except DamagedFile as error:
        return str(error)
    return rows, notes


def by_blocks(source, found):
    notes, rows = Counter(), []
    try:
        for block in row_blocks(source, found, notes):
            table = block.table.select(range(len(found.names)))
            values = zip(*(column.to_pylist() for column in table.columns), strict=True)
            rows += [(line, block.above, list(v)) for line, v in zip(block.lines.tolist(), values, strict=True)]
    except DamagedFile as error:
        return str(error)
    return rows, notes


@given(
    st.lists(st.one_of(PLAIN, PLAIN, PLAIN, ODD), max_size=60),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.integers(60, 400),
    st.sampled_from(["utf-8", "latin-1", "utf-16"]),
)
@example(["m-1;1;2", "TOTAL;7", "m-1;1;3"], "\n", True, 60, "utf-8")
@example(["m-1;1;2", "m-1;;", "m-1;1;3", "", "Ort: Köln;", HEADER, "m-2;1;1", "x;;"], "\r\n", False, 60, "utf-16")
def test_blocks_give_what_single_rows_give(rows, line_end, is_ended, n_bytes, encoding):
    text = line_end.join(["Zähler", HEADER, "m-0;2024-01-01;1", *rows]) + (line_end if is_ended else "")
    source = a_file(text, encoding)
    found = find_layout(source, Layout(expected=frozenset({"meter", "at", "kwh"})))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(text_blocks, "BLOCK_BYTES", n_bytes)
        try:
            got = by_blocks(source, found)
        except NotByBlocks:
            assert '"' in text  # quotes alone may need single rows
            return
    assert got == by_rows(source, found)


def test_rows_without_odd_ones_are_taken_as_they_are():
    source = a_file("\n".join([HEADER, *(f"m-{i};2024;{i}" for i in range(50)), "TOTAL;1"]))
    found = find_layout(source, Layout(expected=frozenset({"meter", "at", "kwh"})))
    [block] = row_blocks(source, found, notes := Counter())
    assert block.table.num_rows == 50
    assert block.lines.tolist() == list(range(2, 52))
    assert +notes == {"footers": 1}


@pytest.mark.parametrize("row", ['"m\n3";1;2', "m\r3;1;2"])
def test_values_of_several_lines_are_left_to_single_rows(row):
    source = a_file("\n".join([HEADER, "m-1;1;2", row, "m-2;1;2"]))
    found = find_layout(source, Layout(expected=frozenset({"meter", "at", "kwh"})))
    with pytest.raises(NotByBlocks):
        list(row_blocks(source, found, Counter()))
