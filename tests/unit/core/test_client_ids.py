"""An id that no address can hold is refused; any other one has its own page."""

import pytest

from fairmeter.core.client_ids import problem_with_id
from fairmeter.data.parsing import parse_id


@pytest.mark.parametrize("client_id", ["/12345", "a//b", "//", ".", "..", "a/../b", "a/.", "./a", "a/relations"])
def test_ids_whose_page_would_be_another_clients_are_refused(client_id):
    assert problem_with_id(client_id) is not None
    with pytest.raises(ValueError, match="page"):
        parse_id(client_id)


@pytest.mark.parametrize("client_id", ["12345", "12/345", "12345/", "a.b", "...", "a?b#c", "%2F", "é", "relations"])
def test_other_ids_are_kept_as_they_are(client_id):
    assert parse_id(client_id) == client_id
