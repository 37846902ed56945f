"""Notebooks are delivered as they ran: whole, in order, without an error, and without a row of any client."""

import ast
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK, OWN_DATA = ROOT / "notebook.ipynb", ROOT / "docs" / "notebook_own_data.ipynb"
LARGEST = 2_000_000  # bytes: it is read in a browser, and lies in the history with each change
CLIENT_ID = re.compile(r"(train|test)_Client_\d|\bs-\d{4,}")  # as in the public set, as in the sample
MACHINE_PATH = re.compile(r"(?<![\w.<])(/(home|root|tmp|work|mnt|usr|opt|var)/|/Users/|[A-Z]:\\)|file://")


@pytest.fixture(scope="module", params=[NOTEBOOK, OWN_DATA], ids=lambda path: path.stem)
def notebook(request):
    return request.param


@pytest.fixture(scope="module")
def cells(notebook):
    return json.loads(notebook.read_text(encoding="utf-8"))["cells"]


@pytest.fixture(scope="module")
def code_cells(cells):
    return [cell for cell in cells if cell["cell_type"] == "code"]


def outputs_of(cells):
    return [output for cell in cells for output in cell.get("outputs", ())]


def texts_of(output):
    """What an output says; the letters that encode an image say nothing."""
    shown = [output.get("text", ""), *(body for kind, body in output.get("data", {}).items() if "image" not in kind)]
    return ["".join(text) if isinstance(text, list) else str(text) for text in shown]


def test_every_code_cell_has_run_in_order(code_cells):
    assert [cell["execution_count"] for cell in code_cells] == list(range(1, len(code_cells) + 1))


def test_no_cell_ended_in_an_error_or_a_warning(code_cells):
    outputs = outputs_of(code_cells)
    assert [output for output in outputs if output["output_type"] == "error" or output.get("name") == "stderr"] == []


def test_it_shows_plots_and_figures(notebook, code_cells):
    kinds = [set(output["data"]) for output in outputs_of(code_cells) if "data" in output]
    assert sum("image/png" in kind for kind in kinds) >= (8 if notebook == NOTEBOOK else 1)
    assert any("text/html" in kind for kind in kinds)


def test_it_tells_on_which_data_it_ran(notebook, code_cells):
    said = " ".join(text for output in outputs_of(code_cells[:2]) for text in texts_of(output))
    wanted = r"(archive|sample)\.zip: [\d,]+ clients, [\d,]+ invoices" if notebook == NOTEBOOK else r"cadastro\.csv"
    assert re.search(wanted, said)


@pytest.mark.parametrize("secret", [CLIENT_ID, MACHINE_PATH], ids=["a client's id", "a path of a machine"])
def test_nothing_in_it_is(secret, cells):
    said = ["".join(cell["source"]) for cell in cells]
    said += [text for output in outputs_of(cells) for text in texts_of(output)]
    assert [found[0] for text in said for found in secret.finditer(text)] == []


def test_a_page_can_show_it(notebook):
    assert notebook.stat().st_size < LARGEST


def test_what_it_imports_is_still_there(notebook, code_cells):
    statements = ast.parse("".join(code_cells[0]["source"])).body
    imports = ast.Module([s for s in statements if isinstance(s, ast.Import | ast.ImportFrom)], type_ignores=[])
    exec(compile(imports, notebook.name, "exec"), {})  # noqa: S102  the notebook's own imports
