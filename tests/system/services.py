"""PostgreSQL and Redis of one test: unprivileged and on loopback."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Self

from processes import Process, free_ports

#: Debian's folder of the programs of PostgreSQL's server; elsewhere they are on the path.
DEBIAN_POSTGRES = Path("/usr/lib/postgresql")
#: PostgreSQL refuses to run as root. Debian's package creates this user.
POSTGRES_USER = "postgres"
START_SECONDS = 60


def missing() -> str:
    """Return which programs are missing and how to install them; empty if none."""
    programs = {"PostgreSQL": postgres_folder(), "redis-server": shutil.which("redis-server")}
    names = " and ".join(name for name, found in programs.items() if found is None)
    if names:
        return f"{names} not found: run scripts/system-packages --deployment as root, on Debian or Ubuntu"
    if os.geteuid() == 0 and not _is_user(POSTGRES_USER):
        return f"PostgreSQL does not run as root, and there is no user {POSTGRES_USER}"
    return ""


def postgres_folder() -> Path | None:
    """Return the folder with ``initdb`` and ``postgres``: the newest of Debian's, or the one on the path."""
    found = [path.parent for path in DEBIAN_POSTGRES.glob("*/bin/initdb")]
    if found:
        return max(found, key=lambda path: int(path.parent.name))
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else None


class Service:
    """A server on a free port, with its files in a temporary folder."""

    name: str
    process: Process

    def __init__(self) -> None:
        (self.port,) = free_ports(1)
        self.password = secrets.token_hex(16)

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self.folder = Path(tempfile.mkdtemp(prefix=f"arm-{self.name}-"))
            stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
            self.process = stack.enter_context(self._start())
            self.process.wait_until(self._responds, START_SECONDS)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self) -> Process:
        raise NotImplementedError

    def _run(self, command: list[str], **options: Any) -> Process:
        return Process(self.name, command, self.folder / "log", **options)

    def _responds(self) -> bool:
        raise NotImplementedError


class Postgres(Service):
    """PostgreSQL with a user ``airflow``, run by a user other than root."""

    name = "postgres"
    #: Airflow's processes, two workers with their pools and Celery's results use about forty.
    max_connections = 200

    def url(self, driver: str) -> str:
        """Return the database's address for SQLAlchemy."""
        return f"postgresql+{driver}://airflow:{self.password}@127.0.0.1:{self.port}/postgres"

    def _start(self) -> Process:
        programs = postgres_folder()
        assert programs is not None, missing()
        data, secret = self.folder / "data", self.folder / "password"
        secret.write_text(self.password, encoding="utf-8")
        user: dict[str, Any] = {}
        if os.geteuid() == 0:
            shutil.chown(self.folder, POSTGRES_USER)
            shutil.chown(secret, POSTGRES_USER)
            user = {"user": POSTGRES_USER, "group": pwd.getpwnam(POSTGRES_USER).pw_gid, "extra_groups": []}
        create = [str(programs / "initdb"), "-D", str(data), "-U", "airflow", "-A", "scram-sha-256"]
        create += [f"--pwfile={secret}", "--encoding=UTF8", "--locale=C", "--no-sync"]
        self._run(create, cwd=self.folder, **user).complete(START_SECONDS)
        serve = [str(programs / "postgres"), "-D", str(data), "-p", str(self.port), "-k", str(self.folder)]
        # The tests kill processes but not the machine, so data in the kernel's cache is safe.
        for setting in ("listen_addresses=127.0.0.1", "fsync=off", f"max_connections={self.max_connections}"):
            serve += ["-c", setting]
        return self._run(serve, cwd=self.folder, **user)

    def _responds(self) -> bool:
        ready = [str(postgres_folder() / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(ready, check=False).returncode == 0


class Redis(Service):
    """Redis in memory only, behind a password."""

    name = "redis"

    @property
    def url(self) -> str:
        """The broker's address for Celery."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def _start(self) -> Process:
        # The settings are read from stdin, so that the password is in no command line.
        settings = (f"port {self.port}", "bind 127.0.0.1", f"requirepass {self.password}", 'save ""', "appendonly no")
        settings = (*settings, f"dir {self.folder}")
        process = self._run(["redis-server", "-"], stdin=subprocess.PIPE)
        process.popen.stdin.write("\n".join(settings).encode() + b"\n")
        process.popen.stdin.close()
        return process

    def _responds(self) -> bool:
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
