"""Packages import what lies below them, libraries come in by their doors, and nothing grows too large to be read."""

import ast
import re
import sys
from collections import Counter, defaultdict
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "fairmeter"
MAX_LINES = 500
MAX_MODULES = 15  # in one folder

# What a package may import, the lowest layer first. cli and the root files may import everything.
LAYERS = {
    "core": "",
    "wording": "core",
    "evaluation": "core",
    "casework": "evaluation wording core",
    "data": "core",
    "simulation": "core",
    "features": "data core",
    "analysis": "features data wording core",
    "models": "features data evaluation core",
    "store": "analysis casework evaluation wording core",
    "explanation": "models features data wording core",
    "planning": "models features data wording core",
    "scoring": "planning explanation analysis models features data evaluation wording core",
    "checks": "scoring data wording core",
    "training": "scoring planning explanation analysis simulation models features data evaluation wording core",
    "reports": "training checks scoring planning data evaluation wording core",
    "frames": "training checks scoring planning explanation models features data wording core",
    "desk": "training scoring planning explanation store analysis casework evaluation data features wording core",
    "web": "desk store scoring casework analysis data evaluation wording core",
}
ABOVE_ALL = "cli"
ROOT_FILES = {"train", "predict", "score", "features", "gunicorn.conf"}

# Where a library may be imported: a package, a folder or a module, below fairmeter/, or a root file.
# What is in no list may be imported nowhere: a new library gets a door first.
DOORS = {
    "tensorflow keras": "models/detectors training",
    "sklearn": "training models/detectors planning/routes",
    "xgboost catboost onnxmltools": "training/member_fitting",
    "onnx onnxruntime": "models/runtime",
    "pyarrow": "data frames scoring/ranking simulation/utility",
    "python_calamine": "data/layouts",
    "babel": "data/maps/values/date_formats wording/locales",
    "pyspark": "data/partitioned/spark",
    "scipy": "planning/routes",
    "holidays": "data/exogenous",
    "defusedxml": "data/formats",
    "dlms_cosem": "data/formats/dlms",
    "flask": "web cli/desk",
    "flask_openapi flask_openapi_swagger flask_wtf wtforms": "web",
    "werkzeug": "web cli/serve",
    "itsdangerous markupsafe jinja2": "web reports",
    "argon2 fpdf xlsxwriter pyotp segno": "web",
    "authlib joserfc requests": "web/http/single_sign_on",
    "fsspec": "models/remote_files",
    "prometheus_client gunicorn": "web gunicorn.conf",
    "pydantic": "web cli train score",
    "pydantic_core": "web scoring/payloads",
    "sqlalchemy alembic psycopg sqlite3": "store",
    "PIL paho apprise": "desk",
    "plotly": "reports frames/figures",
    "pandas": "frames",
    "rich click argparse": "cli train predict score features",
}
ANYWHERE = {"numpy"}
STANDARD_WITH_A_DOOR = {"sqlite3", "argparse"}
# They take seconds to load and a hundred megabytes: a server that only passes by must not load them.
INSIDE_FUNCTIONS = {
    "onnx",
    "onnxruntime",
    "onnxmltools",
    "xgboost",
    "catboost",
    "sklearn",
    "tensorflow",
    "keras",
    "pandas",
    "pyarrow",
    "pyspark",
    "dlms_cosem",
    "apprise",
    "PIL",
    "authlib",
    "fsspec",
    "joserfc",
    "requests",
    "pyotp",
    "segno",
}
ENVIRONMENT = ROOT_FILES | {f"{PACKAGE}.cli.settings", f"{PACKAGE}.core.environment"}


# --- what is there ----------------------------------------------------------------------------------------------------


def python_files(*folders: str) -> list[Path]:
    below = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return sorted(path.relative_to(ROOT) for path in (*ROOT.glob("*.py"), *below) if "__pycache__" not in path.parts)


def name_of(file: Path) -> str:
    """fairmeter.web.app of fairmeter/web/app.py, fairmeter.core of fairmeter/core/__init__.py."""
    return ".".join(part for part in (*file.parts[:-1], file.stem) if part != "__init__")


@cache
def modules() -> dict[str, ast.Module]:
    """What each root file and each module of the package holds, by its name."""
    return {name_of(file): ast.parse((ROOT / file).read_text(encoding="utf-8")) for file in python_files(PACKAGE)}


def package_of(module: str) -> str:
    """web of fairmeter.web.pages.map, nothing of a root file and of fairmeter itself."""
    return module.split(".")[1] if module.startswith(f"{PACKAGE}.") else ""


def imported(statement: ast.AST) -> list[str]:
    """Absolute names of what an import statement may mean."""
    if isinstance(statement, ast.Import):
        return [alias.name for alias in statement.names]
    if isinstance(statement, ast.ImportFrom):
        assert statement.level == 0, "an import names its module from the top"
        return [statement.module, *(f"{statement.module}.{alias.name}" for alias in statement.names)]
    return []


@cache
def imports(tree: ast.AST) -> list[str]:
    return [name for node in ast.walk(tree) for name in imported(node)]


def depends_on(tree: ast.AST) -> set[str]:
    """Modules of ours that are imported anywhere in it. `from a import b` means a.b where that is one."""
    ours, found = modules().keys() - {PACKAGE}, set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= ours & (inside if inside <= ours else inside | {node.module})
        else:
            found |= ours & set(imported(node))
    return found


@cache
def graph() -> dict[str, set[str]]:
    return {name: depends_on(tree) - {name} for name, tree in modules().items()}


def arrows() -> list[tuple[str, str]]:
    return [(name, other) for name, others in graph().items() for other in sorted(others)]


def libraries(names: list[str]) -> set[str]:
    ours = {name.split(".")[0] for name in modules()}
    return {name.split(".")[0] for name in names} - ours - (sys.stdlib_module_names - STANDARD_WITH_A_DOOR)


def is_at(module: str, door: str) -> bool:
    """Whether a module is that of the door, or lies in its folder."""
    path = module.removeprefix(f"{PACKAGE}.").replace(".", "/")
    return door == module or path == door or path.startswith(f"{door}/")


# --- layers -----------------------------------------------------------------------------------------------------------


def test_every_package_has_its_layer():
    assert {package_of(name) for name in modules()} - {""} == {*LAYERS, ABOVE_ALL}
    assert {name for name in modules() if not package_of(name)} == {PACKAGE, *ROOT_FILES}


def test_the_layers_have_an_order():
    for position, (package, below) in enumerate(LAYERS.items()):
        assert set(below.split()) <= set(list(LAYERS)[:position]), package


def test_a_package_imports_only_what_its_layer_allows():
    wrong = [
        f"{name} imports {other}"
        for name, other in arrows()
        if package_of(name) in LAYERS
        and package_of(other) != package_of(name)
        and package_of(other) not in LAYERS[package_of(name)].split()
    ]
    assert not wrong


def test_the_package_imports_no_root_file():
    assert not [(name, other) for name, other in arrows() if name.startswith(PACKAGE) and other in ROOT_FILES]


def test_no_root_file_imports_another():
    assert not [(name, other) for name, other in arrows() if {name, other} <= ROOT_FILES]


def test_nothing_imports_itself_in_a_circle():
    TopologicalSorter(graph()).prepare()


def test_no_private_name_is_imported_from_another_package():
    wrong = [
        f"{name} imports {other}"
        for name, tree in modules().items()
        for other in imports(tree)
        if other.startswith(f"{PACKAGE}.") and package_of(other) != package_of(name)
        if any(part.startswith("_") for part in other.split("."))
    ]
    assert not wrong


# --- doors ------------------------------------------------------------------------------------------------------------


def test_every_library_comes_in_by_its_door():
    doors = {library: places.split() for names, places in DOORS.items() for library in names.split()}
    wrong = [
        f"{name} imports {library}"
        for name, tree in modules().items()
        for library in sorted(libraries(imports(tree)) - ANYWHERE)
        if not any(is_at(name, door) for door in doors.get(library, []))
    ]
    assert not wrong


def test_slow_libraries_are_imported_inside_functions():
    tops = {
        name: libraries([other for statement in tree.body for other in imported(statement)])
        for name, tree in modules().items()
    }
    assert {name: found & INSIDE_FUNCTIONS for name, found in tops.items() if found & INSIDE_FUNCTIONS} == {}


def docstrings(tree: ast.AST) -> set[ast.AST]:
    bodies = [node.body for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)]
    return {body[0].value for body in bodies if body and isinstance(body[0], ast.Expr)}


def test_sql_is_written_in_the_store_alone():
    statement = re.compile(r"\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE TABLE)\s")
    wrong = [
        (name, node.value)
        for name, tree in modules().items()
        if package_of(name) != "store"
        for node in set(ast.walk(tree)) - docstrings(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and statement.match(node.value)
    ]
    assert not wrong


@cache
def attributes(tree: ast.AST) -> set[str]:
    """os.environ of `os.environ["X"]`, and of `from os import environ`."""
    return set(imports(tree)) | {
        f"{node.value.id}.{node.attr}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }


def test_the_environment_is_read_by_the_settings_and_the_root_files_alone():
    readers = {name for name, tree in modules().items() if attributes(tree) & {"os.environ", "os.getenv"}}
    assert readers <= ENVIRONMENT


def test_what_was_parsed_from_a_command_line_stays_in_cli():
    users = {name for name, tree in modules().items() if "argparse.Namespace" in attributes(tree)}
    assert not [name for name in users - ROOT_FILES if package_of(name) != ABOVE_ALL]


# --- size and names ---------------------------------------------------------------------------------------------------


def test_no_file_is_too_long_to_be_read():
    files = python_files(PACKAGE, "tests", "benchmarks")
    lines = {str(file): (ROOT / file).read_text(encoding="utf-8").count("\n") for file in files}
    assert {name: n for name, n in lines.items() if n > MAX_LINES} == {}


def test_no_folder_holds_too_many_modules():
    n_modules = Counter(
        str(file.parent)
        for file in python_files(PACKAGE)
        if file.parts[0] == PACKAGE and file.stem != "__init__" and "migrations" not in file.parts
    )
    assert {folder: n for folder, n in n_modules.items() if n > MAX_MODULES} == {}


def test_no_class_name_stands_twice():
    places = defaultdict(list)
    for name, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(name)
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_the_tree_in_the_readme_names_exactly_the_packages():
    tree = re.search(
        rf"^{PACKAGE}/.*\n((?:[ │├└─]+.*\n)+)", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert tree, f"README.md has no tree that begins with {PACKAGE}/"
    lines = [re.match(r"([ │├└─]+)(\w+)/", line) for line in tree[1].splitlines()]
    indent = min(len(line[1]) for line in lines if line)
    named = [line[2] for line in lines if line and len(line[1]) == indent]
    assert sorted(named) == sorted({*LAYERS, ABOVE_ALL})
