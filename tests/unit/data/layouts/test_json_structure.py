"""The structure of a JSON text is that of the value it would become."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairmeter.data.layouts import json_structure
from fairmeter.data.layouts.json_structure import read_structure

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet='ab"\\[]{},\n€'),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(alphabet='k"\\,]'), inside, max_size=4),
    max_leaves=12,
)


def depth_of(value):
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inside is None else 1 + max(map(depth_of, inside), default=0)


def containers_in(value):
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inside is None else 1 + sum(map(containers_in, inside))


@given(rows=st.lists(VALUES, max_size=6), block=st.sampled_from([1, 7, json_structure.BLOCK]))
def test_depth_number_and_bounds_are_those_of_the_value(rows, block):
    text = json.dumps(rows).encode()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(json_structure, "BLOCK", block)
        found = read_structure(text, 100)
    assert found.depth == depth_of(rows)
    assert found.n_containers == containers_in(rows)
    parts = [text[start + 1 : end] for start, end in pairwise([0, *found.commas.tolist(), found.end])]
    assert [json.loads(part) for part in parts if part.strip()] == rows


@pytest.mark.parametrize(
    ("text", "end"), [(b"", -1), (b"[", -1), (b'["]', -1), (b'["\\\\"]', 5), (b"[] []", 1), (b'["\\"]', -1)]
)
def test_the_end_is_where_the_outermost_list_closes(text, end):
    assert read_structure(text).end == end


def test_rows_beyond_the_limit_are_not_looked_at(monkeypatch):
    monkeypatch.setattr(json_structure, "BLOCK", 10)
    assert read_structure(b"[" + b"1," * 1000 + b"1]", 20).n_values < 50
