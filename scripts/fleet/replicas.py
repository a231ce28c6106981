"""The fleet: PostgreSQL, replicas of serin on it, and nginx in front of them."""

from __future__ import annotations

import http.client
import json
import logging
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fleet.balancer import Balancer
from fleet.keeper import Keeper
from fleet.postgres import Postgres
from fleet.proxy import Proxies
from fleet.shared import Failed
from fleet.shared import check
from fleet.shared import free_port
from fleet.shared import within

#: A replica that does not serve after this long does not start.
PATIENCE = 60.0

#: How long a fleet may take to agree, once all can reach the database: a lease, and the next to lead.
AGREEMENT = 20.0

#: The machine under test is busy, so a slowdown of less than two milliseconds is none.
SETTINGS = {"drain_delay": "200ms", "workers": 2, "absolute_margin_ms": 2.0, "allow_injection": True}

#: Lines of each log in the report of a failure.
LAST_LINES = 40

# Names of the fields in which the replicas agree in the end.
AGREED = ["revision", "stable", "canary", "traffic_percent", "simulate_slowdown"]


class Replica:
    """One serin, which is killed, halted and started again at the same address."""

    def __init__(self, number: int, keeper: Keeper, binary: Path, folder: Path, models: Path, store: str) -> None:
        self.number, self.port, self._keeper, self._folder = number, free_port(), keeper, folder
        folder.mkdir()
        self.log = folder / "log"
        lines = [f"{key} = {json.dumps(value)}\n" for key, value in SETTINGS.items()]
        (folder / "serin.toml").write_text("".join(lines))
        self._command = [binary, "serve", "--config", folder / "serin.toml", "--listen", self.address]
        self._command += ["--models", models, "--store", store, "--port-file", folder / "port"]
        self._process: subprocess.Popen[Any] | None = None

    def __str__(self) -> str:
        return f"replica {self.number}"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def process_id(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_up(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, env: Mapping[str, str] | None = None) -> None:
        """Starts it, and waits until it serves."""
        self.begin(env)
        self.wait_until_it_serves()

    def begin(self, env: Mapping[str, str] | None = None) -> None:
        logging.info("%s starts", self)
        (self._folder / "port").unlink(missing_ok=True)
        self._process = self._keeper.start(self._command, self.log, cwd=self._folder, env=env)

    def wait_until_it_serves(self) -> None:
        end = time.monotonic() + PATIENCE
        while not (self._folder / "port").exists():
            if not self.is_up or time.monotonic() > end:
                code = self._process.poll() if self._process else None
                raise Failed(f"{self} does not start (exit code {code})")
            time.sleep(0.02)

    def kill(self) -> None:
        """Ends it as a crash does."""
        assert self._process is not None
        logging.info("%s is killed", self)
        self._process.kill()
        self._ended()

    def stop(self) -> None:
        """Ends it as an administrator does."""
        assert self._process is not None
        logging.info("%s is stopped", self)
        self._process.terminate()
        try:
            code = self._process.wait(timeout=30)
        except subprocess.TimeoutExpired as late:
            raise Failed(f"{self} does not end within 30 s of SIGTERM") from late
        self._ended()
        check(code == 0, f"{self}: the exit code after SIGTERM", 0, code)

    def halt(self) -> None:
        self._send(signal.SIGSTOP)

    def go_on(self) -> None:
        self._send(signal.SIGCONT)

    def _send(self, sent: signal.Signals) -> None:
        assert self._process is not None
        logging.info("%s gets %s", self, sent.name)
        self._process.send_signal(sent)

    def _ended(self) -> None:
        assert self._process is not None
        self._process.wait()
        self._keeper.forget(self._process)

    def ask(self, method: str, path: str, body: Any = None, timeout: float = 10.0) -> tuple[int, Any]:
        """The status and the JSON of an answer."""
        return ask(self.address, method, path, body, timeout)

    def status(self) -> Any:
        code, answer = self.ask("GET", "/admin/status")
        check(code == 200, f"{self}: GET /admin/status", 200, f"{code}: {answer}")
        return answer


def ask(address: str, method: str, path: str, body: Any = None, timeout: float = 10.0) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(address, timeout=timeout)
    try:
        sent = None if body is None else json.dumps(body)
        connection.request(method, path, sent, {"Content-Type": "application/json"} if sent else {})
        answer = connection.getresponse()
        text = answer.read().decode()
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, text
    finally:
        connection.close()


class Fleet:
    """All of it, in one folder."""

    def __init__(self, binary: Path, folder: Path, keeper: Keeper, count: int, is_measured: bool = False) -> None:
        """`is_measured`: nothing is between a replica and PostgreSQL, which saves to the disk."""
        self.binary, self.folder = binary, folder
        folder.chmod(0o711)
        models = folder / "models"
        trained = subprocess.run(
            [str(binary), "train", "--models", str(models)], capture_output=True, text=True, timeout=300, check=False
        )
        check(trained.returncode == 0, "serin train", "exit code 0", trained.stderr)
        # Each replica has three connections, and starts with another one.
        self.database = Postgres(
            keeper, folder / "postgres", max(200, 4 * count + 50), fsync="on" if is_measured else "off"
        )
        self.proxies = Proxies(keeper, folder, self.database.port, 0 if is_measured else count)
        self.replicas = [
            Replica(number, keeper, binary, folder / f"replica{number}", models, self.database.url(port))
            for number, port in enumerate(self.proxies.ports or [self.database.port] * count)
        ]
        # All at once: one of them creates the tables and the first entry.
        for replica in self.replicas:
            replica.begin()
        for replica in self.replicas:
            replica.wait_until_it_serves()
        self.balancer = Balancer(keeper, folder / "nginx", [replica.port for replica in self.replicas])
        self.wait_until_they_agree()

    def stop(self) -> None:
        """Ends all that takes time of the processors."""
        for replica in self.up():
            replica.kill()
        self.balancer.stop()
        self.database.stop(is_crash=True)

    def leader(self) -> Replica:
        """The replica that leads, by the database's lease and by its own word."""

        def look() -> tuple[bool, Any]:
            leading = [replica for replica in self.up() if leads(replica.status())]
            return len(leading) == 1, leading

        return within(AGREEMENT, "replicas that lead", "one", look)[0]  # type: ignore[no-any-return]

    def followers(self) -> list[Replica]:
        leader = self.leader()
        return [replica for replica in self.replicas if replica is not leader]

    def up(self) -> list[Replica]:
        return [replica for replica in self.replicas if replica.is_up]

    def by_port(self, port: int) -> Replica | None:
        return next((replica for replica in self.replicas if replica.port == port), None)

    def wait_until_they_agree(self) -> Any:
        """The status, once it is the same on each replica, one leads, and each knows all others."""

        def look() -> tuple[bool, Any]:
            seen = [replica.status() for replica in self.replicas]
            agreed = [{name: status[name] for name in AGREED} for status in seen]
            leading = [leads(status) for status in seen]
            shown = [{**one, "fleet": status.get("fleet")} for one, status in zip(agreed, seen)]
            is_so = all(one == agreed[0] for one in agreed) and leading.count(True) == 1
            return is_so and all(knows(status, len(seen)) for status in seen), shown

        what = "the same state on each replica, one of which leads, and each knows all others"
        within(AGREEMENT, "replicas", what, look)
        return self.replicas[0].status()

    def logs(self) -> str:
        """The end of each log."""
        paths = [self.folder / "events"] + [replica.log for replica in self.replicas]
        paths += [self.balancer.log, self.database.log, self.proxies.log]
        return "\n".join(
            f"--- {path}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-LAST_LINES:]) for path in paths
        )


def leads(status: Any) -> bool:
    """Whether this replica leads. Where only one can open the store, it does."""
    fleet = status.get("fleet")
    return fleet is None or bool(fleet["leads"])


def knows(status: Any, count: int) -> bool:
    """Whether this replica has heard of so many, itself among them."""
    fleet = status.get("fleet")
    return fleet is None or sum(replica["is_up"] for replica in fleet["replicas"]) >= count
