"""PostgreSQL and Redis of one test: unprivileged, on loopback, ended by the number of their process."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Where Debian keeps the programs that no user calls; elsewhere they are on the path.
DEBIAN_POSTGRES = Path("/usr/lib/postgresql")
#: Who runs PostgreSQL where the test is root, whom it refuses; Debian's package makes this user.
POSTGRES_USER = "postgres"
START_SECONDS = 60
STOP_SECONDS = 30
POLL_SECONDS = 0.1


def free_ports(count: int) -> list[int]:
    """Give ports of 127.0.0.1 that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def missing() -> str:
    """Say which of the programs are not here and how to get them; empty where all are."""
    wanted = {"PostgreSQL": postgres_folder(), "redis-server": shutil.which("redis-server")}
    names = " and ".join(name for name, found in wanted.items() if found is None)
    if names:
        return f"there is no {names} here: run scripts/system-packages --deployment as root, on Debian or Ubuntu"
    if os.geteuid() == 0 and not _is_user(POSTGRES_USER):
        return f"PostgreSQL does not run as root, and there is no user {POSTGRES_USER} here"
    return ""


def postgres_folder() -> Path | None:
    """Give the folder with ``initdb`` and ``postgres``: the newest of Debian's, or that on the path."""
    found = [path.parent for path in DEBIAN_POSTGRES.glob("*/bin/initdb")]
    if found:
        return max(found, key=lambda path: int(path.parent.name))
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else None


class Service:
    """A server program in a process group of its own."""

    name: str

    def __init__(self) -> None:
        (self.port,) = free_ports(1)
        self.password = secrets.token_hex(16)
        self.folder = Path(tempfile.mkdtemp(prefix=f"arm-{self.name}-"))
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
            self._wait()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _start(self) -> None:
        raise NotImplementedError

    def _run(self, command: list[str], **arguments: Any) -> None:
        with self._log() as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True, **arguments
            )

    @contextlib.contextmanager
    def _log(self) -> Iterator[IO[bytes]]:
        with (self.folder / "log").open("ab") as log:
            yield log

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise self._failure()
            time.sleep(POLL_SECONDS)

    def _failure(self) -> AssertionError:
        log = (self.folder / "log").read_text(encoding="utf-8", errors="replace")
        return AssertionError(f"{self.name} did not start:\n{log}")

    def _answers(self) -> bool:
        raise NotImplementedError

    def _stop(self) -> None:
        if self.process is not None:
            # PostgreSQL: end every session and stop. Redis: stop. Neither has anything worth keeping.
            self.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=STOP_SECONDS)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Postgres(Service):
    """PostgreSQL with a database ``airflow``, as a user that is not root, in a folder that goes with it."""

    name = "postgres"
    #: Airflow's processes, two workers with their pools and Celery's results take about forty.
    max_connections = 200

    def url(self, driver: str) -> str:
        """Give the database's address for SQLAlchemy."""
        return f"postgresql+{driver}://airflow:{self.password}@127.0.0.1:{self.port}/postgres"

    def _start(self) -> None:
        programs = postgres_folder()
        assert programs is not None, missing()
        data, secret = self.folder / "data", self.folder / "password"
        secret.write_text(self.password, encoding="utf-8")
        user: dict[str, Any] = {}
        if os.geteuid() == 0:
            shutil.chown(self.folder, POSTGRES_USER)
            shutil.chown(secret, POSTGRES_USER)
            user = {"user": POSTGRES_USER, "group": pwd.getpwnam(POSTGRES_USER).pw_gid, "extra_groups": []}
        make: list[Any] = [
            programs / "initdb",
            "-D",
            data,
            "-U",
            "airflow",
            "-A",
            "scram-sha-256",
            f"--pwfile={secret}",
        ]
        make += ["--encoding=UTF8", "--locale=C", "--no-sync"]
        with self._log() as log:
            made = subprocess.run(make, check=False, cwd=self.folder, stdout=log, stderr=subprocess.STDOUT, **user)
        if made.returncode:
            raise self._failure()
        serve = [str(programs / "postgres"), "-D", str(data), "-p", str(self.port), "-k", str(self.folder)]
        # The machine does not fall in this test, only processes do: what the kernel has is safe.
        for setting in ("listen_addresses=127.0.0.1", "fsync=off", f"max_connections={self.max_connections}"):
            serve += ["-c", setting]
        self._run(serve, cwd=self.folder, stdin=subprocess.DEVNULL, **user)

    def _answers(self) -> bool:
        ready = [str(postgres_folder() / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(ready, check=False).returncode == 0


class Redis(Service):
    """Redis in memory only, behind a password."""

    name = "redis"

    @property
    def url(self) -> str:
        """The broker's address for Celery."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def _start(self) -> None:
        # The settings are read from stdin, so that the password stands on no command line.
        settings = (f"port {self.port}", "bind 127.0.0.1", f"requirepass {self.password}", 'save ""', "appendonly no")
        settings = (*settings, f"dir {self.folder}")
        self._run(["redis-server", "-"], stdin=subprocess.PIPE)
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.write("\n".join(settings).encode() + b"\n")
        self.process.stdin.close()

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(f"AUTH {self.password}\r\n".encode())
            return connection.recv(64).startswith(b"+OK")
        return False


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
