"""Clients to leave out: ids that no client has are counted, and a file of other ids is refused."""

import pytest

from fairmeter.data.client_joins import UnjoinedRows
from fairmeter.planning.exclusions import check_exclusions, read_exclusions

IDS = [f"00261{i:02d}" for i in range(30)]


def left_out(folder, *lines):
    path = folder / "cases.csv"
    path.write_text("\n".join(["client_id,inspected_on", *lines]) + "\n")
    return path


def test_ids_that_no_client_has_are_counted_and_named(tmp_path):
    path = left_out(tmp_path, f"{IDS[0]},", "26101,2026-01-05", "x,")
    [flag] = check_exclusions(read_exclusions(path), IDS, path)
    assert (flag.flag, flag.n) == ("left_out_ids_without_client", 2)
    assert flag.text == (
        "Ids of cases.csv that no client has, so that they leave out nobody: 2. "
        "For example '26101', which differs from the client '0026101' in leading zeros."
    )


def test_ids_that_clients_have_get_no_flag(tmp_path):
    path = left_out(tmp_path, f"{IDS[0]},", f"{IDS[3]},2026-01-05")
    assert check_exclusions(read_exclusions(path), IDS, path) == []


@pytest.mark.parametrize("change", [lambda i: i.lstrip("0"), lambda i: f"x{i}"])
def test_a_file_of_which_next_to_no_id_is_a_clients_is_refused(tmp_path, change):
    path = left_out(tmp_path, *(f"{change(i)}," for i in IDS))
    with pytest.raises(UnjoinedRows, match=r"cases.csv: 0 of 30 ids to leave out"):
        check_exclusions(read_exclusions(path), IDS, path)


def test_without_a_file_or_with_an_empty_one_there_is_nothing_to_join(tmp_path):
    assert check_exclusions(read_exclusions(None), IDS, None) == []
    path = left_out(tmp_path)
    assert check_exclusions(read_exclusions(path), IDS, path) == []
