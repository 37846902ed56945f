"""What is delivered starts where it is put: one port or two, an image without data, a lock for all machines."""

import ast
import ctypes
import http.client
import json
import os
import re
import runpy
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
TOOLS = Path(sys.executable).parent

APP = """
import os
import re

def app(environ, start_response):
    start_response(os.environ.get("STATUS", "200 OK"), [("Content-Type", "text/plain")])
    return [b"ok"]
"""


# -- builders ---------------------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment(**values: str) -> dict[str, str]:
    """The environment of a newcomer: nothing that an outer `make test` or this machine's settings would slip in."""
    inherited = {
        k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "GUNICORN", "PIPENV")) and k != "PORT"
    }
    path = f"{TOOLS}{os.pathsep}{os.environ['PATH']}"
    return {**inherited, "PATH": path, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", **values}


def answers(port: int) -> bool:
    """Whether something speaks HTTP there, whatever it says."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status > 0
    except OSError:
        return False
    finally:
        connection.close()


def until(condition, seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def listening(server: subprocess.Popen) -> set[int]:
    connections = psutil.Process(server.pid).net_connections("tcp")
    return {c.laddr.port for c in connections if c.status == psutil.CONN_LISTEN}


@contextmanager
def started(folder: Path, command: list[str], port: int, **values: str):
    """`command` running in `folder` with our gunicorn.conf.py and an app of three lines, once it answers on `port`."""
    (folder / "predict.py").write_text(APP)
    shutil.copy(ROOT / "gunicorn.conf.py", folder)
    with open(folder / "log", "w") as log:
        server = subprocess.Popen(command, cwd=folder, env=environment(HOME=str(folder), **values), stderr=log)
    try:
        assert until(lambda: answers(port) or server.poll() is not None), "it neither answered nor ended"
        assert server.poll() is None, (folder / "log").read_text()
        yield server
    finally:
        server.terminate()
        server.wait(timeout=40)


def plain_command(port: int) -> list[str]:
    """The documented command, on loopback and on a free port."""
    return ["gunicorn", "--bind", f"127.0.0.1:{port}", "predict:app"]


def dockerfile(instruction: str) -> list[str]:
    """What follows `instruction` in the Dockerfile, once for each time it stands there, continued lines joined."""
    lines = (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    return [line.split(maxsplit=1)[1] for line in lines if line.startswith(f"{instruction} ")]


def copied_into_the_image() -> set[str]:
    return {s for line in dockerfile("COPY") if "--from" not in line for s in line.split()[:-1]}


def lock() -> dict:
    return json.loads((ROOT / "Pipfile.lock").read_text())


def locked_packages() -> list[tuple[str, str, dict]]:
    """(category, name, entry) of every line of the lock."""
    return [(c, name, entry) for c, packages in lock().items() if c != "_meta" for name, entry in packages.items()]


# -- the port ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bound", "port", "expected"),
    [
        ([("0.0.0.0", 9696)], None, None),
        ([("0.0.0.0", 9696)], 9696, None),
        ([("0.0.0.0", 9696)], 10123, "0.0.0.0:10123"),
        ([("127.0.0.1", 9696)], 10123, "127.0.0.1:10123"),
        ([("0.0.0.0", 9696), ("0.0.0.0", 10123)], 10123, None),
        ([("::", 9696)], 10123, "[::]:10123"),
        ([], 10123, None),
    ],
    ids=["unset", "bound already", "added", "loopback stays loopback", "bound second", "IPv6", "Unix sockets only"],
)
def test_the_port_of_the_host_is_added_once_and_on_the_same_interface(bound, port, expected):
    assert runpy.run_path(str(ROOT / "gunicorn.conf.py"))["missing_bind"](bound, port) == expected


@pytest.mark.parametrize("value", ["http", "0", "65536", "-1", "80.5"])
def test_a_port_that_is_none_stops_the_start_in_words(value):
    conf = runpy.run_path(str(ROOT / "gunicorn.conf.py"))
    with pytest.raises(conf["BadPort"], match=f"PORT is '{value}'; it must be a whole number"):
        conf["wanted_port"]({"PORT": value})


def test_the_plain_command_serves_its_own_port_and_writes_nothing_beside_it(tmp_path):
    port = free_port()
    with started(tmp_path, plain_command(port), port) as server:
        assert listening(server) == {port}
    assert {p.name for p in tmp_path.iterdir()} == {"predict.py", "gunicorn.conf.py", "log"}


def test_the_plain_command_serves_the_port_of_the_host_too_and_keeps_both_when_it_reloads(tmp_path):
    port, of_the_host = free_port(), free_port()
    with started(tmp_path, plain_command(port), of_the_host, PORT=str(of_the_host)) as server:
        assert listening(server) == {port, of_the_host}
        worker = psutil.Process(server.pid).children()[0]
        server.send_signal(signal.SIGHUP)
        assert until(lambda: not worker.is_running()), "the old worker never left"
        assert until(lambda: answers(port) and answers(of_the_host))
        assert listening(server) == {port, of_the_host}


def test_a_port_that_the_command_binds_already_is_not_bound_twice(tmp_path):
    port = free_port()
    with started(tmp_path, plain_command(port), port, PORT=str(port)) as server:
        assert listening(server) == {port}


def test_an_idle_connection_does_not_keep_others_waiting(tmp_path):
    port = free_port()
    with started(tmp_path, plain_command(port), port), socket.create_connection(("127.0.0.1", port)):
        assert answers(port)


def test_the_procfile_serves_the_port_of_the_host(tmp_path):
    name, command = (ROOT / "Procfile").read_text().strip().split(": ", 1)
    port = free_port()
    with started(tmp_path, ["sh", "-c", f"exec {command}"], port, PORT=str(port)) as server:
        assert name == "web"
        assert listening(server) == {port}


# -- the heap ---------------------------------------------------------------------------------------------------------

OF_THREADS = """
import ctypes, runpy, sys, threading

runpy.run_path(sys.argv[1])["post_fork"](None, None)
everybody = threading.Barrier(8)


def hold():
    held = [bytes(1000 + i) for i in range(1000)]  # beyond Python's own small blocks
    everybody.wait()
    return held


threads = [threading.Thread(target=hold) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
stream = ctypes.c_void_p(libc.fopen(sys.argv[2].encode(), b"w"))
libc.malloc_info(0, stream)
libc.fclose(stream)
"""


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "malloc_info"), reason="a C library that is not glibc has its own way"
)
@pytest.mark.parametrize(
    ("told", "is_one"), [({}, True), ({"MALLOC_ARENA_MAX": "8"}, False)], ids=["ours", "operator's"]
)
def test_the_threads_of_a_worker_share_one_heap_unless_the_operator_says_otherwise(told, is_one, tmp_path):
    said = tmp_path / "heaps.xml"
    command = [sys.executable, "-c", OF_THREADS, str(ROOT / "gunicorn.conf.py"), str(said)]
    subprocess.run(command, env=environment(**told), check=True)
    assert (said.read_text().count("<heap ") == 1) is is_one


OF_LARGE_BLOCKS = """
import ctypes, runpy, sys

runpy.run_path(sys.argv[1])["post_fork"](None, None)
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
libc.free(libc.malloc(30 * 2**20))  # an opened model
kept = [libc.malloc(12 * 2**20) for _ in range(4)]
libc.fopen.restype = ctypes.c_void_p
stream = ctypes.c_void_p(libc.fopen(sys.argv[2].encode(), b"w"))
libc.malloc_info(0, stream)
libc.fclose(stream)
"""


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "malloc_info"), reason="a C library that is not glibc has its own way"
)
@pytest.mark.parametrize(
    ("told", "are_apart"),
    [({}, True), ({"MALLOC_MMAP_THRESHOLD_": str(2**25)}, False)],
    ids=["ours", "operator's"],
)
def test_large_blocks_go_back_at_once_whatever_was_freed_before_unless_the_operator_says_otherwise(
    told, are_apart, tmp_path
):
    said = tmp_path / "heaps.xml"
    command = [sys.executable, "-c", OF_LARGE_BLOCKS, str(ROOT / "gunicorn.conf.py"), str(said)]
    subprocess.run(command, env=environment(**told), check=True)
    mapped = re.search(r'<total type="mmap" count="\d+" size="(\d+)"', said.read_text())
    assert (int(mapped[1]) >= 48 * 2**20) is are_apart


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


def files_it_imports(file: str, found: frozenset[str] = frozenset()) -> frozenset[str]:
    """That file of the root and those that it imports, and that these import, inside functions too."""
    found |= {file}
    nodes = list(ast.walk(ast.parse((ROOT / file).read_text())))
    names = {a.name for node in nodes if isinstance(node, ast.Import) for a in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    for ours in sorted(f"{name}.py" for name in names if (ROOT / f"{name}.py").exists()):
        if ours not in found:
            found = files_it_imports(ours, found)
    return found


def test_the_image_has_every_module_that_the_service_and_its_desk_import_and_the_model_with_its_checksum():
    ours = files_it_imports("predict.py")
    assert {"desk.py", "desk_science.py", "features.py"} <= ours, "the desk is imported where a database is set"
    assert copied_into_the_image() >= ours | {"fraud", "gunicorn.conf.py", "model.bin", "model.bin.sha256"}


def test_nothing_but_what_the_image_copies_is_sent_to_its_build():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied_into_the_image()


def test_no_data_goes_into_the_image():
    rules = {"data/alerts.toml"}  # of the desk; no row of anybody
    assert not any(source == "." or source.startswith("data") for source in copied_into_the_image() - rules)


def test_the_image_installs_the_serving_packages_only():
    installs = [line for line in dockerfile("RUN") if "install" in line or "sync" in line]
    assert installs[-1] == "pipenv sync --categories packages"
    assert all(line.startswith("pip install --no-cache-dir pipenv==") for line in installs[:-1])


def test_the_image_does_not_run_as_root():
    assert int(dockerfile("USER")[-1]) > 0


def test_image_makefile_and_lock_agree_on_python_and_pipenv():
    makefile = (ROOT / "Makefile").read_text()
    version = makefile.split("PIPENV_VERSION = ", 1)[1].split()[0]
    assert f"pipenv=={version}" in " ".join(dockerfile("RUN"))
    supported = SpecifierSet(lock()["_meta"]["requires"]["python_version"])
    bases = {re.match(r"python:(\d+\.\d+)-slim", base)[1] for base in dockerfile("FROM")}
    assert len(bases) == 1, "packages installed for one Python do not run with another"
    assert all(supported.contains(base) for base in bases)


@pytest.mark.skipif(not (TOOLS / "hadolint").exists(), reason="hadolint is not in this environment: make install")
def test_hadolint_has_nothing_to_say():
    said = subprocess.run([TOOLS / "hadolint", ROOT / "Dockerfile"], capture_output=True, text=True)
    assert (said.returncode, said.stdout) == (0, "")


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


def test_the_oldest_python_3_11_of_debian_and_ubuntu_leaves_no_package_out():
    # Locked on a newer 3.11, a package may need that one: pip then skips it on Debian's 3.11.2 without a word.
    oldest = {"python_version": "3.11", "python_full_version": "3.11.0", "sys_platform": "linux"}
    skipped = [name for _, name, e in locked_packages() if "markers" in e and not Marker(e["markers"]).evaluate(oldest)]
    assert skipped == []


def test_the_server_is_given_none_of_the_training_libraries():
    heavy = {"catboost", "pandas", "polars", "pyarrow", "scikit-learn", "scipy", "tensorflow", "tensorflow-cpu"}
    assert lock()["default"].keys() & (heavy | {"xgboost", "xgboost-cpu", "matplotlib"}) == set()


# -- make and the check on a new machine ------------------------------------------------------------------------------


def planned(target: str) -> str:
    """What make would do for `target`."""
    made = subprocess.run(["make", "-n", target], cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return made.stdout


@pytest.mark.parametrize(
    ("target", "command"),
    [
        ("install", ""),
        ("run", "OPEN=1 .venv/bin/python -m gunicorn --bind 127.0.0.1:9696 predict:app"),
        ("test", "-m pytest"),
        ("check", "-m ruff format --check"),
        ("check", "-m ruff check"),
        ("check", "-m pytest"),
        ("train", "train.py"),
        ("bench", "benchmarks/bench.py"),
        ("load", "benchmarks/load.py"),
        ("scan", "-m bandit"),
        ("scan", "-m pip_audit --local --strict"),
        ("lock", "pipenv lock"),
    ],
)
def test_make_does_what_the_readme_says(target, command):
    assert command in planned(target)


def test_an_open_service_listens_on_loopback_only():
    assert "0.0.0.0" not in planned("run")


def test_make_says_what_to_install_where_python_3_11_is_missing(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copy(ROOT / "Pipfile.lock", tmp_path)
    command = ["make", "run", "PYTHON=no-such-python"]
    made = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert made.returncode != 0
    assert "apt install python3.11 python3.11-venv" in made.stderr
    assert "Traceback" not in made.stderr


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
