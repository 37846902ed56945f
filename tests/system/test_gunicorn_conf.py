"""gunicorn.conf.py: one port or two, one heap for the threads of a worker, large blocks returned at once."""

import ctypes
import re
import runpy
import signal
import socket
import subprocess
import sys

import psutil
import pytest

from tests.builders.delivery import ROOT, answers, environment, free_port, plain_command, started
from tests.builders.waiting import wait_until


def listening(server: subprocess.Popen) -> set[int]:
    connections = psutil.Process(server.pid).net_connections("tcp")
    return {c.laddr.port for c in connections if c.status == psutil.CONN_LISTEN}


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
        wait_until(lambda: not worker.is_running())
        wait_until(lambda: answers(port) and answers(of_the_host))
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
