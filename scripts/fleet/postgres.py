"""A PostgreSQL of its own in a temporary folder, which stops and starts again."""

from __future__ import annotations

import logging
import os
import pwd
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from fleet.keeper import Keeper
from fleet.shared import Failed
from fleet.shared import free_port

#: The password of the role through the network. Through the socket none is asked for.
PASSWORD = "a-password-of-tests"
SCHEMA = "serin"

# A busy machine starts it within this time, too.
PATIENCE = 60.0

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "shared_buffers": "32MB",
    # When each entry of the journal was committed, by a clock that no replica can set.
    "track_commit_timestamp": "on",
}


def programs() -> Path:
    """Where the newest installed PostgreSQL has its programs. Debian's are not on the path."""
    of_debian = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "initdb").exists()]
    if of_debian:
        return max(of_debian, key=lambda path: int(path.parent.name))
    found = shutil.which("initdb")
    if found is None:
        raise Failed("PostgreSQL is not installed; run scripts/setup.sh")
    return Path(found).parent


def unprivileged() -> dict[str, Any]:
    """The user who may run PostgreSQL, if this is root, who may not."""
    if os.getuid() != 0:
        return {}
    for name in ["postgres", "nobody"]:
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise Failed("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")


class Postgres:
    """The server. The role `serin` is not a superuser; its database has the same name."""

    def __init__(self, keeper: Keeper, folder: Path, connections: int, fsync: str) -> None:
        self._keeper, self._folder, self._programs, self._user = keeper, folder, programs(), unprivileged()
        self._settings = {**SETTINGS, "max_connections": str(connections), "fsync": fsync}
        folder.mkdir()
        if self._user:
            os.chown(folder, self._user["user"], self._user["group"])
        self.log, self.port = folder / "log", free_port()
        initdb = [self._programs / "initdb", "-D", folder / "data", "-U", "postgres", "-E", "UTF8", "--no-sync"]
        initdb += ["-A", "trust", "--auth-host=scram-sha-256", "--locale=C"]
        done = subprocess.run(
            [str(part) for part in initdb], cwd=folder, capture_output=True, text=True, check=False, **self._user
        )
        if done.returncode != 0:
            raise Failed(f"initdb: {done.stdout}{done.stderr}")
        self.start()
        self.sql(f"CREATE ROLE serin LOGIN PASSWORD '{PASSWORD}'", "postgres")
        self.sql("CREATE DATABASE serin OWNER serin", "postgres")

    def start(self) -> None:
        logging.info("PostgreSQL starts")
        command: list[Any] = [self._programs / "postgres", "-D", self._folder / "data", "-k", self._folder]
        command += ["-p", self.port]
        for name, value in self._settings.items():
            command += ["-c", f"{name}={value}"]
        self._process = self._keeper.start(command, self.log, signal.SIGQUIT, cwd=self._folder, **self._user)
        end = time.monotonic() + PATIENCE
        while self._psql("SELECT 1", "postgres").returncode != 0:
            if self._process.poll() is not None or time.monotonic() > end:
                raise Failed(f"PostgreSQL does not start: {self.log.read_text()[-1000:]}")
            time.sleep(0.05)

    @property
    def process_id(self) -> int:
        return self._process.pid

    def stop(self, is_crash: bool) -> None:
        """As an administrator stops it, or as a crash does."""
        logging.info("PostgreSQL is %s", "killed" if is_crash else "stopped")
        self._process.send_signal(signal.SIGQUIT if is_crash else signal.SIGINT)
        self._process.wait(timeout=PATIENCE)
        self._keeper.forget(self._process)

    def url(self, port: int | None = None) -> str:
        return f"postgres://serin:{PASSWORD}@127.0.0.1:{port or self.port}/serin?sslmode=disable&schema={SCHEMA}"

    def sql(self, statement: str, database: str = "serin") -> str:
        """Executes SQL as the administrator, through the socket. What psql prints."""
        done = self._psql(statement, database)
        if done.returncode != 0:
            raise Failed(f"psql: {statement}: {done.stderr}")
        return done.stdout.strip()

    def _psql(self, statement: str, database: str) -> subprocess.CompletedProcess[str]:
        command = [self._programs / "psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database]
        command += ["-h", self._folder, "-p", self.port, "-c", statement]
        return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=30, check=False)
