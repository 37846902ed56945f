"""The stream of UTF-8 that Arrow parses: what it counts does not depend on where chunks end."""

import io

import pytest

from fairmeter.data.files import TableFile
from fairmeter.data.layouts.encodings import Utf8Stream


@pytest.mark.parametrize("n", [1, 2, 3, 5, 7, 1000])
@pytest.mark.parametrize(
    ("text", "n_empty"),
    [("a\nb\nc\n", 0), ("a\n\nb\n\n\nc\n", 3), ("a\r\n\r\nb\r\n", 1), ("a\nb\n\n", 1), ("a\r\nb\r\n", 0)],
)
def test_empty_lines_are_counted_wherever_chunks_end(text, n_empty, n):
    data = text.encode()
    source = TableFile("made_up", "made_up", lambda: io.BytesIO(data), len(data))
    stream = Utf8Stream(source, io.BytesIO(data), "utf-8", 0)
    assert b"".join(iter(lambda: stream.read(n), b"")) == data
    assert stream.n_empty == n_empty
