"""The house stands as its floor plan says: floors, wings, one door for each library, no room too large."""

import ast
import re
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENTRIES = ("train", "predict", "score")
MOST_LINES = 500
# Who may import a library. What is in no list may be imported by nobody: a new library gets a door first.
DOORS = {
    "numpy": "anybody",
    "onnx onnxruntime": "onnx_graphs network_graphs",
    "onnxmltools xgboost catboost": "members",
    "sklearn": "fitting detectors baselines routes",
    "scipy": "routes",
    "tensorflow keras": "networks",
    "pyarrow": "sheets parts spill simulate listing ranking spark featured",
    "pyspark": "spark",
    "plotly": "figures",
    "markupsafe": "figures report_page report_readings report_visits report_cells run_report web",
    "flask flask_openapi flask_openapi_swagger werkzeug jinja2 click": "web predict",
    "prometheus_client": "web gunicorn",
    "argon2 paho PIL fpdf xlsxwriter": "web",
    "pydantic pydantic_core": "web predict",
    "sqlalchemy alembic psycopg sqlite3": "store",
    "apprise": "notify",
    "holidays": "almanac",
    "rich": "train score visit_sheets",
    "gunicorn": "gunicorn web",
}
# They take seconds to load and a hundred megabytes: a server that only passes by must not load them.
ONLY_WHEN_NEEDED = {
    "onnx",
    "onnxruntime",
    "onnxmltools",
    "xgboost",
    "catboost",
    "sklearn",
    "tensorflow",
    "pyarrow",
    "pyspark",
    "apprise",
    "PIL",
}


# --- reading the house ------------------------------------------------------------------------------------------------


@cache
def modules():
    """Every module's name and what it holds: the root files and all of fraud/."""
    files = {path.relative_to(ROOT) for path in (*ROOT.glob("*.py"), *(ROOT / "fraud").rglob("*.py"))}
    parts = {file: (*file.parts[:-1], file.stem) for file in files}
    names = {file: ".".join(p for p in part if p != "__init__") for file, part in parts.items()}
    return {names[file]: ast.parse((ROOT / file).read_text(encoding="utf-8")) for file in sorted(files)}


def room_of(module):
    """fairmeter.web.app is in the room web, fairmeter.data.tables is tables, train is train, gunicorn.conf is gunicorn."""
    return module.split(".")[1] if module.startswith("fraud.") else module.split(".")[0]


def imported(statement):
    """Absolute names of what an import statement may mean."""
    if isinstance(statement, ast.Import):
        return [alias.name for alias in statement.names]
    if isinstance(statement, ast.ImportFrom):
        assert statement.level == 0, "imports name the room from the top"
        return [statement.module, *(f"{statement.module}.{alias.name}" for alias in statement.names)]
    return []


def imports(tree):
    return [name for node in ast.walk(tree) for name in imported(node)]


@cache
def house():
    """Which modules of ours each module imports, at the top or inside a function."""
    found = {name: {other for other in imports(tree) if other in modules()} for name, tree in modules().items()}
    # `from fraud import x` means the room x; the package itself holds nothing.
    return {name: others - {"fraud", name} for name, others in found.items() if name != "fraud"}


def libraries(names):
    ours = {room_of(name) for name in modules()} | {"fraud"}
    return {name.split(".")[0] for name in names} - sys.stdlib_module_names.difference({"sqlite3"}) - ours


@cache
def plan():
    """The floor of each room, the ground floor 0; and the rooms of the two wings above the ground."""
    floors = re.findall(r"^ {4}(\w+) {2,}(.+)$", fraud.__doc__, re.MULTILINE)
    floor_of, science, desk = {}, set(), set()
    for height, (name, rooms) in enumerate(reversed(floors)):
        left, _, right = rooms.partition("|")
        floor_of |= dict.fromkeys((left + right).split(), height)
        if name not in ("entry", "ground"):
            science.update(left.split())
            desk.update(right.split())
    return floor_of, science, desk


def offences(is_allowed):
    """Imports inside the house that are not allowed, in words."""
    pairs = [(name, other) for name, others in house().items() for other in sorted(others)]
    return [f"{name} imports {other}" for name, other in pairs if not is_allowed(name, other)]


# --- floors and wings -------------------------------------------------------------------------------------------------


def test_every_room_is_in_the_floor_plan_and_the_plan_names_no_other():
    rooms = {room_of(name) for name in house()} - {"gunicorn"}
    assert set(plan()[0]) == rooms


def test_rooms_import_their_own_floor_and_those_below():
    floor = plan()[0]
    assert not offences(lambda name, other: floor[room_of(name)] >= floor[room_of(other)])


def test_the_package_imports_no_root_file():
    assert not offences(lambda name, other: other.startswith("fraud.") or not name.startswith("fraud."))


def test_no_entry_file_is_imported_by_another():
    assert not offences(lambda _name, other: other not in ENTRIES)


def test_the_science_wing_and_the_desk_wing_never_import_each_other():
    _, science, desk = plan()
    wings = [science, desk]
    assert not offences(
        lambda name, other: (
            not any(
                room_of(name) in wing and room_of(other) in other_wing
                for wing, other_wing in zip(wings, reversed(wings), strict=True)
            )
        )
    )


def test_no_room_imports_itself_in_a_circle():
    TopologicalSorter(house()).prepare()


def test_the_plans_package_imports_nothing():
    assert imports(modules()["fraud"]) == []


# --- doors ------------------------------------------------------------------------------------------------------------


def test_every_library_comes_in_by_its_door():
    doors = {library: rooms.split() for names, rooms in DOORS.items() for library in names.split()}
    strangers = [
        f"{name} imports {library}"
        for name, tree in modules().items()
        for library in sorted(libraries(imports(tree)))
        if doors.get(library) != ["anybody"] and room_of(name) not in doors.get(library, [])
    ]
    assert not strangers


def test_slow_libraries_are_imported_where_they_are_needed_and_not_at_the_top():
    tops = {
        name: libraries(other for statement in tree.body for other in imported(statement))
        for name, tree in modules().items()
    }
    assert {name: found & ONLY_WHEN_NEEDED for name, found in tops.items() if found & ONLY_WHEN_NEEDED} == {}


def test_sql_is_written_in_the_store_alone():
    statement = re.compile(r"\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE TABLE)\s", re.IGNORECASE)
    texts = {
        name: [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
        for name, tree in modules().items()
        if room_of(name) != "store"
    }
    assert not [(name, text) for name, found in texts.items() for text in found if statement.match(text)]


def test_the_environment_is_read_in_the_entry_files_alone():
    readers = {
        name
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.environ", "os.getenv")
    }
    assert readers <= {*ENTRIES, "gunicorn.conf"}


# --- size -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", [".", "fraud", "fraud/web", "fraud/store"])
def test_no_file_is_longer_than_anyone_reads(folder):
    lines = {path.name: path.read_text(encoding="utf-8").count("\n") for path in (ROOT / folder).glob("*.py")}
    assert lines
    assert {name: n for name, n in lines.items() if n > MOST_LINES} == {}
