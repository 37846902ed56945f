"""Settings of the server, read by `gunicorn --bind 0.0.0.0:9696 predict:app` from the working directory.

In:  PORT (1..65535, optional), WEB_CONCURRENCY (workers, default 1) and OPEN, from the environment.
Out: one worker on the addresses of the command, and on $PORT as well where a host hands one out.
     With OPEN=1 none but this machine's own address; several workers add up what they count for /metrics.
"""

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
from functools import partial

from gunicorn import sock

# Measured by `python -m benchmarks.load.load --workers`. The loop holds what is silent, half-sent or unread, and
# fairmeter/web/server has the threads that compute. A second worker, not a thread, uses a second processor.
worker_class = "asgi"
asgi_loop = "asyncio"  # also where uvloop is installed: its loops cannot be watched

# Never preload: a reload (HUP) would go on with the former model.bin. It would save 80 of 280 MB where two workers run.
preload_app = False

timeout = 120  # seconds; a free host gives a tenth of a processor, and start-up counts
graceful_timeout = 25  # seconds; hosts kill 30 s after they asked, a running batch may use what is before
keepalive = 75  # seconds; longer than the 60 a load balancer keeps its connection, so that it closes first

limit_request_line = 4094  # bytes; bodies are limited by predict.py, which answers in our error shape
limit_request_fields = 64
limit_request_field_size = 8190  # bytes
root_path = os.environ.get("SCRIPT_NAME", "")

# The worker's heartbeat is a file: in memory it neither blocks on a slow disk nor needs a writable root.
SHARED_MEMORY = "/dev/shm"  # noqa: S108  gunicorn makes an anonymous file there, mkstemp and unlink
worker_tmp_dir = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else None

# It would write a socket into $HOME, which a container with a read-only root does not allow; nothing here uses it.
control_socket_disable = True


COUNTS = "PROMETHEUS_MULTIPROC_DIR"  # the library's own name for it


class BadPort(SystemExit):
    """PORT is set to something that is no port; the message says what was there."""


def wanted_port(environment) -> int | None:
    """The port a host asks for in $PORT, None where it asks for none."""
    text = environment.get("PORT", "").strip()
    if not text:
        return None
    if not (text.isdecimal() and 0 < int(text) < 65536):
        raise BadPort(f"PORT is {text!r}; it must be a whole number from 1 to 65535, or be left unset.")
    return int(text)


def missing_bind(bound: list[tuple[str, int]], port: int | None) -> str | None:
    """The address to add so that `port` answers too: on the host of the first address that is bound, so that a
    service kept on loopback stays there. None where the port is served already, or where only Unix sockets are."""
    if port is None or not bound or any(port == served for _, served in bound):
        return None
    host = bound[0][0]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def beyond_this_machine(addresses: list) -> list[str]:
    """The hosts of addresses that others reach too. [as gunicorn has them: (host, port), or a Unix socket's path]"""
    hosts = [address[0] for address in addresses if isinstance(address, tuple)]
    return [host for host in hosts if not (host.startswith("127.") or host in ("::1", "localhost"))]


class OpenToAll(SystemExit):
    """OPEN=1 with an address that others reach; the message says what to do instead."""


def check_open(environment, addresses: list) -> None:
    """OPEN=1 asks nobody for a key: it is for whoever sits at this machine. Raises OpenToAll."""
    beyond = beyond_this_machine(addresses)
    if environment.get("OPEN", "").strip() == "1" and beyond:
        raise OpenToAll(
            f"OPEN=1 lets everybody in without a key, and {beyond[0]} is reached from other machines: bind 127.0.0.1, "
            "unset OPEN and make users and keys, or set OPEN=anywhere if that is what you want."
        )


def on_starting(server):
    wanted_port(os.environ)  # a bad value stops the start, before anything listens
    check_open(os.environ, server.cfg.address)
    count_together(server)


def count_together(server):
    """Several workers count into files that each of them adds up for /metrics; one worker needs none."""
    if server.cfg.workers > 1 and not os.environ.get(COUNTS):
        os.environ[COUNTS] = tempfile.mkdtemp(prefix="fairmeter-metrics-", dir=worker_tmp_dir)
        server.counts = os.environ[COUNTS]


def child_exit(_server, worker):
    if os.environ.get(COUNTS):
        from prometheus_client import multiprocess

        multiprocess.mark_process_dead(worker.pid)


def on_exit(server):
    for name in ("counts", "kept"):
        shutil.rmtree(getattr(server, name, ""), ignore_errors=True)


# --- memory -----------------------------------------------------------------------------------------------------------

# What the threads have in use stays the same, but glibc gives each of them a heap of its own, and each heap keeps
# what it held at the worst. With one for all, mixed traffic (`make load`) takes 20 MB less and grows less. Of large
# blocks glibc hands those back at once that are larger than any it has freed, and the opened model.bin is one of 13 MB.
# With a limit of 10 MB a worker keeps up to 26 MB less after batches of 1,000, and is as fast; a lower one is slower.
M_ARENA_MAX, HEAPS = -8, 1  # <malloc.h>
M_MMAP_THRESHOLD, LARGE = -3, 10 * 2**20  # [bytes]


def post_fork(_server, _worker):
    """Before the worker has threads."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # another C library has none, or does nothing
    if mallopt and "MALLOC_ARENA_MAX" not in os.environ:
        mallopt(M_ARENA_MAX, HEAPS)
    if mallopt and "MALLOC_MMAP_THRESHOLD_" not in os.environ:
        mallopt(M_MMAP_THRESHOLD, LARGE)


def post_worker_init(worker):
    """Before the worker serves."""
    if hasattr(worker, "asgi"):
        from fairmeter.web.server.worker import accompany

        accompany(worker)


# Mixed traffic leaves something behind, not traced to its end: 0.05 KB a request over an hour, several times that where
# new clients come all the time (docs/performance.md, Under load). After 5 to 50 MB the worker asks for a reload.
max_requests = 100_000


# --- start and reload -------------------------------------------------------------------------------------------------


def reload_if_it_starts(server, reload):
    """SIGHUP, save where a new worker could not start: with a damaged model.bin the former worker goes on.

    gunicorn itself would stop the former worker at once, and end when the new one does. So the command is tried first,
    by gunicorn's own --check-config, in a process that loads all that a worker loads and says what is wrong with it.
    """
    command = [sys.executable, "-m", "gunicorn", *sys.argv[1:], "--check-config"]
    environment = {name: value for name, value in os.environ.items() if name != COUNTS}  # it is no worker to count
    environment[MODEL_PATH] = server.model_path
    try:
        is_good = subprocess.run(command, env=environment, timeout=server.timeout or None).returncode == 0  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        is_good = False
    if is_good:
        keep_model(server)
        reload()
    else:
        use_kept_model(server)
        server.log.error("Not reloaded, what ran goes on: a new worker would not start. Correct it and send HUP again.")


# --- the last good model ----------------------------------------------------------------------------------------------

MODEL_PATH = "MODEL_PATH"  # the setting of this name
FETCH_TIMEOUT = 300  # seconds
KEPT = ("", ".sha256", ".hmac")  # endings of the model's file and of its seals


def keep_model(server):
    """Copy the model that starts: a worker that begins after a refused reload still has it."""
    os.environ[MODEL_PATH] = server.model_path
    try:
        server.kept = getattr(server, "kept", None) or tempfile.mkdtemp(
            prefix="fairmeter-model-", dir=folder_for_files()
        )
        with tempfile.TemporaryDirectory(dir=server.kept) as folder:
            source = fetched(server.model_path, folder)
            for ending in KEPT:
                copy_or_remove(source + ending, os.path.join(server.kept, "model.bin" + ending))
        if is_address(server.model_path):
            use_kept_model(server)  # a worker that is started again does not depend on the place of the model
    except (OSError, subprocess.SubprocessError) as error:
        server.log.warning("The model is not kept for workers after a refused reload: %s", error)


def is_address(place):
    """Whether MODEL_PATH is one that fsspec reads, such as s3://bucket/model.bin."""
    return "://" in place


def fetched(place, folder):
    """The path of the model: its own, or in the folder where it was fetched from an address.

    In a process of its own: the master loads nothing of what the service needs.
    """
    if not is_address(place):
        return place
    command = [sys.executable, "-m", "fairmeter.models.remote_files", place, folder]
    subprocess.run(command, check=True, timeout=FETCH_TIMEOUT)  # noqa: S603
    return os.path.join(folder, "model.bin")


def copy_or_remove(source, target):
    """Let the target be as the source."""
    if os.path.exists(source):
        shutil.copyfile(source, target + ".new")
        os.replace(target + ".new", target)
    elif os.path.exists(target):
        os.remove(target)


def folder_for_files():
    """A folder for tempfile, None for the system's own choice: a container's root may be read-only."""
    try:
        return tempfile.gettempdir()
    except FileNotFoundError:
        return worker_tmp_dir


def use_kept_model(server):
    """Let the next worker start with the last good model."""
    kept = os.path.join(getattr(server, "kept", ""), "model.bin")
    if os.path.exists(kept):
        os.environ[MODEL_PATH] = kept


def when_ready(server):
    place = os.environ.get(MODEL_PATH) or "model.bin"
    server.model_path = place if is_address(place) else os.path.abspath(place)
    keep_model(server)
    server.handle_hup = partial(reload_if_it_starts, server, server.handle_hup)
    listen_on_port(server)


def listen_on_port(server):
    """Listen on $PORT too. Not by changing the `bind` setting: a reload (HUP) would find the addresses changed, bind
    those it still holds again, and die of it."""
    addresses = [listener.getsockname() for listener in server.LISTENERS]
    extra = missing_bind([a[:2] for a in addresses if isinstance(a, tuple)], wanted_port(os.environ))
    if extra is None:
        return
    bind = server.cfg.settings["bind"].get()
    server.cfg.set("bind", [extra])
    server.LISTENERS.extend(sock.create_sockets(server.cfg, server.log))
    server.cfg.set("bind", bind)
    server.log.info("Listening at: %s too, from $PORT", server.LISTENERS[-1])
