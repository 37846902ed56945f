"""A PostgreSQL of a test's own, which it may stop and start as it likes."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.helpers.servers import free_port

PROGRAMS = Path("/usr/lib/postgresql")
LONGEST = 120  # seconds that a command may take
RUNS_AS = "postgres"  # where the tests are root's: PostgreSQL refuses to be


class Cluster:
    """A cluster in a folder. [url: of its one database]"""

    def __init__(self, programs: Path, folder: Path, user: str) -> None:
        self._programs, self._folder, self._user, self._port = programs, folder, user, free_port()
        self.url = f"postgresql://{user}@127.0.0.1:{self._port}/postgres"

    def make(self) -> None:
        self._run("initdb", "--username", self._user, "--auth", "trust", "--encoding", "UTF8", "--no-sync")
        with (self._folder / "postgresql.conf").open("a") as settings:
            settings.write(f"port = {self._port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\n")

    def control(self, *what: str) -> None:
        """pg_ctl, until it is done: start, stop, restart."""
        self._run("pg_ctl", *what, "--wait", "--timeout", str(LONGEST), "--log", str(self._folder / "log"))

    def _run(self, program: str, *arguments: str) -> None:
        command = [self._programs / program, "--pgdata", self._folder, *arguments]
        user = {"user": self._user} if os.geteuid() == 0 else {}
        with tempfile.TemporaryFile() as said:  # no pipe: the server inherits it, and it would never end
            ended = subprocess.run(
                command, stdout=said, stderr=said, cwd=self._folder, timeout=2 * LONGEST, check=False, **user
            )
            said.seek(0)
            assert ended.returncode == 0, said.read().decode(errors="replace")


@contextmanager
def own_cluster() -> Iterator[Cluster]:
    """A cluster that runs; skips the test where its programs, or a user to run them as, are not there."""
    programs = sorted(PROGRAMS.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    user = RUNS_AS if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    if not programs:
        pytest.skip(f"{PROGRAMS} holds no PostgreSQL to start")
    if user not in {known.pw_name for known in pwd.getpwall()}:
        pytest.skip(f"root may not run PostgreSQL, and there is no user {user}")
    above = Path(tempfile.mkdtemp(prefix="cluster-"))
    above.chmod(0o711)
    folder = above / "data"
    folder.mkdir(mode=0o700)
    if os.geteuid() == 0:
        shutil.chown(folder, user)
    cluster = Cluster(programs[-1].parent, folder, user)
    try:
        cluster.make()
        cluster.control("start")
        try:
            yield cluster
        finally:
            cluster.control("stop", "-m", "immediate")
    finally:
        shutil.rmtree(above)
