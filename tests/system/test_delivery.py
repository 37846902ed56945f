"""What is delivered: an image without data, a lock for all machines and Pythons, make on a new machine."""

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from fairmeter.scoring import examples
from tests.builders.delivery import ROOT, TOOLS, body_of, environment, free_port, plain_command, running, started

# -- builders ---------------------------------------------------------------------------------------------------------


def dockerfile(instruction: str) -> list[str]:
    """What follows `instruction` in the Dockerfile, once for each time it stands there, continued lines joined."""
    lines = (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    return [line.split(maxsplit=1)[1] for line in lines if line.startswith(f"{instruction} ")]


def copied_into_the_image() -> set[str]:
    return {s for line in dockerfile("COPY") if "--from" not in line for s in line.split()[:-1]}


def dockerignore() -> list[str]:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def pattern(rule: str) -> re.Pattern[str]:
    """A rule of .dockerignore as a pattern: `*` stays within a folder, `**/` is any number of folders."""
    parts = (
        ".*" if part == "**/" else "[^/]*" if part == "*" else re.escape(part) for part in re.split(r"(\*\*/|\*)", rule)
    )
    return re.compile("".join(parts))


def is_sent(path: str) -> bool:
    """Whether the build gets the file: the last rule decides that matches it or a folder above it."""
    above = [path, *(str(folder) for folder in Path(path).parents)]
    sent = True
    for rule in dockerignore():
        if any(pattern(rule.removeprefix("!")).fullmatch(name) for name in above):
            sent = rule.startswith("!")
    return sent


def sent_files(source: str) -> list[Path]:
    """The files of one source of COPY, relative to the repository."""
    start = ROOT / source
    files = [path for path in start.rglob("*") if path.is_file()] if start.is_dir() else [start]
    return [path.relative_to(ROOT) for path in files if is_sent(str(path.relative_to(ROOT)))]


def copy_as_the_image_does(folder: Path) -> None:
    """Fill `folder` with what the last stage of the Dockerfile copies from the repository."""
    for line in dockerfile("COPY"):
        if line.startswith("--from"):
            continue
        *sources, target = line.split()
        for source in sources:
            files = sent_files(source)
            assert files, f"COPY {source} fails: .dockerignore leaves nothing of it"
            for file in files:
                inside = (
                    file.relative_to(source) if (ROOT / source).is_dir() else file.name if target.endswith("/") else ""
                )
                place = folder / target / inside
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / file, place)


def lock() -> dict:
    return json.loads((ROOT / "Pipfile.lock").read_text())


def locked_packages() -> list[tuple[str, str, dict]]:
    """(category, name, entry) of every line of the lock."""
    return [(c, name, entry) for c, packages in lock().items() if c != "_meta" for name, entry in packages.items()]


# -- the image --------------------------------------------------------------------------------------------------------


def test_the_image_starts_as_documented_and_its_health_check_tells_health_from_illness(tmp_path):
    port = free_port()
    command = [part.replace(":9696", f":{port}") for part in json.loads(dockerfile("CMD")[0])]
    check = json.loads(dockerfile("HEALTHCHECK")[0].split("CMD", 1)[1])

    def exit_code() -> int:
        return subprocess.run(check, env=environment(PORT=str(port)), capture_output=True).returncode

    assert command == ["gunicorn", "--bind", f"0.0.0.0:{port}", "predict:app"]
    assert exit_code() != 0, "nothing runs yet"
    with started(tmp_path, command, port):
        assert exit_code() == 0
    with started(tmp_path, command, port, STATUS="503 Service Unavailable"):
        assert exit_code() != 0


def test_the_files_of_the_image_serve_the_example_the_desk_and_the_figures_of_the_delivered_model(tmp_path):
    copy_as_the_image_does(tmp_path)
    port = free_port()
    database = f"sqlite:///{tmp_path / 'desk.db'}"
    with running(tmp_path, plain_command(port), port, 60, PYTHONPATH="", OPEN="1", DATABASE_URL=database):
        scored = json.loads(body_of(port, "POST", "/predict", json.dumps(examples.RAW)))
        desk = body_of(port, "GET", "/desk/today")
        figures = body_of(port, "GET", "/desk/model")
    assert scored["client_id"] == examples.RAW["client"]["client_id"]
    assert scored["reasons"]
    assert "No client has been scored yet" in desk
    assert 'id="roc"' in figures, "data/validation/metrics.json is not there or is not read"


def imported_names(file: Path) -> set[str]:
    """The first word of every module that `file` imports, inside functions too."""
    nodes = list(ast.walk(ast.parse(file.read_text())))
    names = {a.name for node in nodes if isinstance(node, ast.Import) for a in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    return {name.split(".")[0] for name in names}


def test_no_file_of_the_image_imports_one_that_is_left_out():
    files = [file for source in copied_into_the_image() for file in sent_files(source) if file.suffix == ".py"]
    ours = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    there = {file.parts[0].removesuffix(".py") for file in files}
    assert {"predict", "features", "fairmeter"} <= there
    assert {str(file): left for file in files if (left := imported_names(ROOT / file) & ours - there)} == {}


def test_nothing_but_what_the_image_copies_is_sent_to_its_build():
    rules = dockerignore()
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied_into_the_image()
    assert not is_sent("fairmeter/__pycache__/app.pyc")
    assert not is_sent("fairmeter/models/runtime/_trees.cpython-311-x86_64-linux-gnu.so")
    assert not is_sent("data/sample.zip")


def test_no_rows_of_data_go_into_the_image():
    rules_and_figures = {"data/alerts.toml", "data/validation/metrics.json"}
    assert not any(s == "." or s.startswith("data") for s in copied_into_the_image() - rules_and_figures)


def test_the_image_installs_the_serving_packages_only():
    installs = [line for line in dockerfile("RUN") if "install" in line or "sync" in line]
    assert installs[-1] == 'pipenv sync --categories "$CATEGORIES"'
    assert "CATEGORIES=packages" in dockerfile("ARG")
    assert all(line.startswith("pip install --no-cache-dir pipenv==") for line in installs[:-1])


def test_the_image_takes_the_compiled_trees_after_the_package_that_holds_their_source():
    final = (ROOT / "Dockerfile").read_text().rsplit("\nFROM ", 1)[1]
    assert final.index("COPY fairmeter ") < final.index("COPY --from=trees ")
    assert "python fairmeter/models/runtime/build.py" in dockerfile("RUN")


def test_the_image_does_not_run_as_root():
    assert int(dockerfile("USER")[-1]) > 0


def test_a_package_is_the_same_files_in_every_category_of_the_lock():
    first: dict[str, dict] = {}
    for category in lock().keys() - {"_meta"}:
        for name, package in lock()[category].items():
            known = first.setdefault(name, package)
            assert (package["version"], package["hashes"]) == (known["version"], known["hashes"]), name


def test_image_makefile_and_lock_agree_on_python_and_pipenv():
    assert f"pipenv=={pipenv_version()}" in " ".join(dockerfile("RUN"))
    supported = SpecifierSet(lock()["_meta"]["requires"]["python_version"])
    stages = [base for base in dockerfile("FROM") if not base.startswith("node:")]  # scripts of pages come from there
    bases = {re.match(r"python:(\d+\.\d+)(-slim| AS trees)", base)[1] for base in stages}
    assert len(bases) == 1, "packages installed for one Python do not run with another"
    assert all(supported.contains(base) for base in bases)


@pytest.mark.skipif(not (TOOLS / "hadolint").exists(), reason="hadolint is not in this environment: make install")
def test_hadolint_has_nothing_to_say():
    files = [ROOT / "Dockerfile", ROOT / "deploy" / "jobs.Dockerfile"]
    said = subprocess.run([TOOLS / "hadolint", *files], capture_output=True, text=True)
    assert (said.returncode, said.stdout) == (0, "")


@pytest.mark.nightly  # ruff's rules S, which `make check` asks for, are bandit's
@pytest.mark.skipif(not (TOOLS / "bandit").exists(), reason="bandit is not in this environment: make install")
def test_bandit_finds_nothing_that_is_not_answered():
    scan = next(line for line in planned("scan").splitlines() if "bandit" in line)
    said = subprocess.run(["sh", "-c", scan], cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert said.returncode == 0, said.stdout


# -- the lock ---------------------------------------------------------------------------------------------------------


def test_neither_pipfile_nor_lock_names_a_package_index():
    assert lock()["_meta"]["sources"] == []
    assert "source" not in tomllib.loads((ROOT / "Pipfile").read_text())
    assert [name for _, name, entry in locked_packages() if "index" in entry] == []
    assert "://" not in (ROOT / "Pipfile.lock").read_text()


def test_the_lock_holds_what_the_pipfile_asks_for():
    pipfile, locked = tomllib.loads((ROOT / "Pipfile").read_text()), lock()
    for section, category in [("packages", "default"), ("train", "train"), ("dev-packages", "develop")]:
        for name, wish in pipfile[section].items():
            version = wish["version"] if isinstance(wish, dict) else wish
            requirement = Requirement(name + version.removeprefix("*"))
            got = locked[category][canonicalize_name(name)]["version"].removeprefix("==")
            assert requirement.specifier.contains(got), f"{name} {got} in the lock: run make lock"


def test_every_locked_package_has_hashes_and_one_version_in_all_categories():
    versions = {}
    for _, name, entry in locked_packages():
        assert entry["hashes"], name
        versions.setdefault(name, set()).add(entry["version"])
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_no_package_is_left_out_on_a_supported_python(python):
    # Locked on a newer 3.11, a package may need that one: pip then skips it on Debian's 3.11.2 without a word.
    oldest = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux"}
    skipped = [name for _, name, e in locked_packages() if "markers" in e and not Marker(e["markers"]).evaluate(oldest)]
    assert skipped == []


def test_pipfile_pyproject_and_ruff_name_the_same_pythons():
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    pipfile = tomllib.loads((ROOT / "Pipfile").read_text())
    supported = SpecifierSet(pyproject["project"]["requires-python"])
    assert supported == SpecifierSet(pipfile["requires"]["python_version"])
    assert {v for v in range(9, 20) if supported.contains(f"3.{v}")} == {11, 12, 13}
    assert pyproject["tool"]["ruff"]["target-version"] == "py311", "the oldest"


def test_the_server_is_given_none_of_the_training_libraries():
    # pyarrow is there: an import at the desk reads files, in a process of its own.
    heavy = {"catboost", "pandas", "polars", "scikit-learn", "scipy", "tensorflow", "tensorflow-cpu"}
    assert lock()["default"].keys() & (heavy | {"xgboost", "xgboost-cpu", "matplotlib"}) == set()


# -- make and the check on a new machine ------------------------------------------------------------------------------


def pipenv_version() -> str:
    return (ROOT / "Makefile").read_text().split("PIPENV_VERSION = ", 1)[1].split()[0]


@cache
def planned(target: str) -> str:
    """What make would do for `target`, with a Python that it need not look for."""
    made = subprocess.run(
        ["make", "-n", target, f"PYTHON={sys.executable}"], cwd=ROOT, env=environment(), capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    return made.stdout


@pytest.mark.parametrize(
    ("target", "command"),
    [
        ("install", ""),
        ("run", "OPEN=1 .venv/bin/python -m gunicorn --bind 127.0.0.1:9696 predict:app"),
        ("quick", "-m pytest"),
        ("quick", "tests/unit tests/architecture"),
        ("test", "-m pytest"),
        ("check", "-m ruff format --check"),
        ("check", "-m ruff check"),
        ("check", "-m pytest"),
        ("train", "train.py"),
        ("bench", "-m benchmarks.speed.bench"),
        ("load", "-m benchmarks.load.load"),
        ("scan", "-m bandit"),
        ("scan", "-m pip_audit --local --strict"),
        ("lock", "pipenv lock"),
    ],
)
def test_make_does_what_the_readme_says(target, command):
    assert command in planned(target)


def test_an_open_service_listens_on_loopback_only():
    assert "0.0.0.0" not in planned("run")


def new_machine(folder: Path) -> None:
    """A checkout in which nothing has been made yet."""
    for name in ("Makefile", "Pipfile", "Pipfile.lock"):
        shutil.copy(ROOT / name, folder)


def script(file: Path, text: str) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


RUNS = f'exec {sys.executable} "$@"'
NO_VENV = f'case "$2" in *ensurepip*) exit 1;; esac; {RUNS}'
ABSENT = "exit 127"  # also what pyenv puts on the path for a version that is not chosen


@pytest.mark.parametrize(
    ("pythons", "chosen"),
    [
        ((RUNS, RUNS, RUNS, RUNS), "python3.13"),
        ((ABSENT, RUNS, RUNS, RUNS), "python3.12"),
        ((NO_VENV, ABSENT, RUNS, RUNS), "python3.11"),
        ((ABSENT, ABSENT, ABSENT, RUNS), "python3"),
        ((ABSENT, NO_VENV, ABSENT, NO_VENV), "python3.12"),
    ],
    ids=["the newest", "a name that does not run", "one with venv first", "python3", "none has venv"],
)
def test_make_takes_the_newest_python_that_is_there_and_can_make_environments(pythons, chosen, tmp_path):
    new_machine(tmp_path)
    for name, text in zip(("python3.13", "python3.12", "python3.11", "python3"), pythons, strict=True):
        script(tmp_path / "bin" / name, text)
    values = environment()
    values["PATH"] = f"{tmp_path / 'bin'}{os.pathsep}{values['PATH']}"
    made = subprocess.run(["make", "-n", "run"], cwd=tmp_path, env=values, capture_output=True, text=True)
    assert f"{chosen} -m venv --clear .pipenv" in made.stdout, made.stderr


def test_make_says_what_to_install_where_python_is_missing(tmp_path):
    new_machine(tmp_path)
    command = ["make", "run", "PYTHON=no-such-python"]
    made = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert made.returncode != 0
    assert "Fairmeter needs Python 3.11, 3.12 or 3.13; no-such-python is not there" in made.stderr
    assert "apt install python3 python3-venv" in made.stderr
    assert "Traceback" not in made.stderr


def test_make_installs_venv_as_root_and_says_what_to_install_where_that_fails(tmp_path):
    new_machine(tmp_path)
    script(tmp_path / "bin" / "python", NO_VENV)
    script(tmp_path / "bin" / "apt-get", f'echo "$@" >> {tmp_path / "asked"}; [ "$1" = update ]')
    values = environment()
    values["PATH"] = f"{tmp_path / 'bin'}{os.pathsep}{values['PATH']}"
    made = subprocess.run(["make", "run", "PYTHON=python"], cwd=tmp_path, env=values, capture_output=True, text=True)
    package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    assert made.returncode != 0
    assert f"python comes without venv. Install it: sudo apt install {package}" in made.stderr
    if os.getuid() == 0:
        assert (tmp_path / "asked").read_text().splitlines()[-1].endswith(f" {package}")


@pytest.mark.parametrize("target", ["run", "install"])
def test_make_starts_anew_where_the_python_of_what_it_made_is_gone(target, tmp_path):
    new_machine(tmp_path)
    for stamp in (f".pipenv/pipenv-{pipenv_version()}", ".venv/.serving", ".venv/.everything"):
        (tmp_path / stamp).parent.mkdir(exist_ok=True)
        (tmp_path / stamp).touch()
    made = subprocess.run(["make", "-n", target], cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert "-m venv --clear .pipenv" in made.stdout
    assert "-m virtualenv --quiet --clear .venv" in made.stdout
    assert "pipenv sync" in made.stdout


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "postgresql://postgres@127.0.0.1:5432/test"), ({"TEST_DATABASE_URL": "sqlite://"}, "sqlite://")],
    ids=["not set", "set"],
)
def test_the_check_on_a_new_machine_is_make_test_with_a_database(tmp_path, given, expected):
    stand_in = tmp_path / "make"
    stand_in.write_text('#!/bin/sh\necho "$@" "$TEST_DATABASE_URL"\n')
    stand_in.chmod(0o755)
    values = environment(PYTHON=sys.executable)
    values["PATH"] = f"{tmp_path}{os.pathsep}{values['PATH']}"
    values.pop("TEST_DATABASE_URL", None)
    ran = subprocess.run([ROOT / ".ci/run"], env={**values, **given}, capture_output=True, text=True, cwd=tmp_path)
    assert shlex.split(ran.stdout) == ["test", expected], ran.stderr


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")
@pytest.mark.parametrize(
    ("path", "ignored"),
    [("data/archive.zip", True), ("data/invoice_train.csv", True), ("data/sample.zip", False), ("model.bin", False)],
)
def test_git_takes_the_sample_and_never_a_clients_row(path, ignored):
    asked = subprocess.run(["git", "check-ignore", "--quiet", path], cwd=ROOT, env=environment())
    assert (asked.returncode == 0) is ignored
