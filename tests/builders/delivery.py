"""Servers started as they are delivered: in a folder of their own, on a free port, with a newcomer's environment."""

import http.client
import os
import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from tests.builders.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
TOOLS = Path(sys.executable).parent

APP = """
import os

async def app(scope, receive, send):
    if scope["type"] == "http":
        status = int(os.environ.get("STATUS", "200 OK")[:3])
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"ok"})
"""


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


def body_of(port: int, method: str, path: str, body: str | None = None) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read().decode()
    finally:
        connection.close()
    assert answer.status == 200, text
    return text


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


@contextmanager
def running(folder: Path, command: list[str], port: int, seconds: float = 60, **values: str):
    """`command` running in `folder`, once it answers on `port`."""
    with open(folder / "log", "w") as log:
        server = subprocess.Popen(command, cwd=folder, env=environment(**{"HOME": str(folder), **values}), stderr=log)
    try:
        wait_until(lambda: answers(port) or server.poll() is not None, seconds)
        assert server.poll() is None, (folder / "log").read_text()
        yield server
    finally:
        server.terminate()
        server.wait(timeout=40)


@contextmanager
def started(folder: Path, command: list[str], port: int, **values: str):
    """`command` running in `folder` with the delivered gunicorn.conf.py and an app of three lines."""
    (folder / "predict.py").write_text(APP)
    shutil.copy(ROOT / "gunicorn.conf.py", folder)
    with running(folder, command, port, **values) as server:
        yield server


def plain_command(port: int) -> list[str]:
    """The documented command, on loopback and on a free port."""
    return ["gunicorn", "--bind", f"127.0.0.1:{port}", "predict:app"]
