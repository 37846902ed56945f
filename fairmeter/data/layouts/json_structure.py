"""The structure of a JSON text, found without building what it says: how deep, how many values, where its rows begin.

In:  bytes that should be JSON.
Out: a Structure. The text is read in blocks by array operations, so that 32 MB take a fifth of a second and 20 MB.
Whether it is JSON is not checked: what is between two boundaries is parsed afterwards.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

BLOCK = 2**19  # bytes
QUOTE, COMMA, BACKSLASH = b'",\\'
STEPS = np.zeros(256, np.int8)
STEPS[list(b"[{")], STEPS[list(b"]}")] = 1, -1
IS_STRUCTURAL = STEPS != 0
IS_STRUCTURAL[[QUOTE, COMMA]] = True


class Structure(NamedTuple):
    """What a JSON text holds.

    depth: of the deepest object or list; n_containers: objects and lists; n_values: at least as many values are there.
    commas: positions of the commas of the outermost object or list; end: position of the character that closes it,
    -1 where none does.
    """

    depth: int
    n_containers: int
    n_values: int
    commas: np.ndarray
    end: int


class _Characters(NamedTuple):
    """The structural characters of a block, those within texts left out."""

    depths: np.ndarray  # after each of them
    steps: np.ndarray
    at: np.ndarray
    is_comma: np.ndarray


def read_structure(data: bytes, max_rows: int | None = None) -> Structure:
    """The structure of a text.

    max_rows: of the outermost list, about; beyond it the rest is not read. None: its commas are not collected.
    """
    depth, n_containers, n_values, end, commas = 0, 0, 1, -1, [np.empty(0, np.int64)]
    for block in _blocks(data):
        depth = max(depth, int(block.depths.max(initial=0)))
        n_containers += int((block.steps > 0).sum())
        n_values += int(block.is_comma.sum())
        ends = block.at[(block.steps < 0) & (block.depths == 0)]
        end = int(ends[0]) if end < 0 and len(ends) else end
        if max_rows is not None:
            commas.append(block.at[block.is_comma & (block.depths == 1)])
            if sum(map(len, commas)) > max_rows:
                break
    return Structure(depth, n_containers, n_values + n_containers, np.concatenate(commas), end)


def _blocks(data: bytes) -> Iterator[_Characters]:
    start, is_in_text, depth = 0, 0, 0
    while start < len(data):
        stop = _end_of_block(data, start + BLOCK)
        chars = np.frombuffer(_without_escapes(data[start:stop]), np.uint8)
        at = np.flatnonzero(IS_STRUCTURAL[chars])
        kinds = chars[at]
        quotes = kinds == QUOTE
        inside = (np.cumsum(quotes, dtype=np.uint8) + np.uint8(is_in_text)) & 1  # wraps around at 256, which is even
        steps = np.where(inside, 0, STEPS[kinds])
        depths = depth + np.cumsum(steps, dtype=np.int64)
        yield _Characters(depths, steps, start + at, (kinds == COMMA) & (inside == 0))
        if len(at):
            depth, is_in_text = int(depths[-1]), int(inside[-1])
        start = stop


def _end_of_block(data: bytes, stop: int) -> int:
    """The end of a block that does not cut an escape in two."""
    while stop < len(data) and data[stop - 1] == BACKSLASH:
        stop += 1
    return stop


def _without_escapes(text: bytes) -> bytes:
    """The text with escaped backslashes and quotes blanked, each position as it was."""
    return text.replace(b"\\\\", b"  ").replace(b'\\"', b"  ") if BACKSLASH in text else text
