"""A running serin that a test starts, kills and starts again, and its traffic."""

from __future__ import annotations

import itertools
import json
import random
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import serin
from serin.server import toml
from serin.server import toml_key

# A state that is not reached after this long is not reached at all.
PATIENCE = 60.0

# Requests that are sent at once.
BURST = 10

# A page that is open, or a client, must not delay the end of a test.
SETTINGS: Mapping[str, Any] = {"drain_delay": "100ms", "allow_injection": True}


class ServingError(Exception):
    """A server that does not start, or does not reach a state."""


def customers(count: int = 500) -> list[list[float]]:
    """Rows as varied as what the demo models were trained on."""
    draws = random.Random(16)

    def customer() -> list[float]:
        return [
            min(draws.expovariate(0.5), 12),
            draws.uniform(0.6, 1.6),
            draws.uniform(0.5, 1.7),
            draws.random() ** 2,
            draws.expovariate(1.25),
        ]

    return [customer() for _ in range(count)]


class Connection:
    """Requests in bursts, which takes this process less time than one after the other."""

    def __init__(self, address: str) -> None:
        host, port = address.split(":")
        self._socket = socket.create_connection((host, int(port)), timeout=PATIENCE)

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, rows: Iterator[list[float]], members: Mapping[str, Any]) -> None:
        """Sends the rows, one a request, and waits for the answers."""
        bodies = [json.dumps({"features": row, **members}).encode() for row in rows]
        head = "POST /predict HTTP/1.1\r\nhost: serin\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n"
        self._socket.sendall(b"".join(head.format(len(body)).encode() + body for body in bodies))
        received = b""
        while received.count(b'"prediction_id"') < len(bodies):
            if not (chunk := self._socket.recv(1 << 16)):
                raise ServingError(f"the server closed the connection: {received[-500:].decode(errors='replace')}")
            received += chunk
            if b"HTTP/1.1 4" in chunk or b"HTTP/1.1 5" in chunk:
                raise ServingError(f"a request was refused: {chunk.decode(errors='replace')[:500]}")


class Serin:
    """The server. Its state is in a file, so that it can be started again at the same address."""

    def __init__(
        self, binary: Path, models: Path, folder: Path, settings: Mapping[str, Any], token: str | None
    ) -> None:
        self._binary, self._folder, self._token = binary, folder, token
        self._models = folder / "models"
        shutil.copytree(models, self._models)
        self.store = folder / "serin.db"
        all_settings = {**SETTINGS, **settings}
        (folder / "serin.toml").write_text("".join(f"{toml_key(k)} = {toml(v)}\n" for k, v in all_settings.items()))
        self._process: subprocess.Popen[bytes] | None = None
        self.address = "127.0.0.1:0"
        self.start()

    def start(self) -> None:
        port = self._folder / "port"
        port.unlink(missing_ok=True)
        command = [self._binary, "serve", "--config", self._folder / "serin.toml", "--listen", self.address]
        command += ["--models", self._models, "--store", f"sqlite:{self.store}", "--port-file", port, "--log", "warn"]
        command += ["--admin-token", self._token] if self._token else []
        log = self._folder / "log"
        with log.open("a") as to:
            process = subprocess.Popen([str(part) for part in command], stdout=to, stderr=to, cwd=self._folder)
        end = time.monotonic() + PATIENCE
        while not port.exists() or not port.read_text().strip():
            if process.poll() is not None or time.monotonic() > end:
                raise ServingError(f"serin serve: {process.poll()}: {log.read_text()[-1000:]}")
            time.sleep(0.02)
        self._process, self.address = process, port.read_text().strip()
        self.client = serin.Client(self.url, self._token or "", models=self._models)

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def kill(self) -> None:
        """Ends it as a crash would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> float:
        """Ends it with SIGTERM. The seconds that it took."""
        assert self._process is not None
        start = time.monotonic()
        self._process.terminate()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.kill()
        self.client.close()
        return time.monotonic() - start

    @contextmanager
    def traffic(self, per_second: float = 200, **members: Any) -> Iterator[None]:
        """Varied requests in the background, with further members in each body."""
        is_over = threading.Event()

        def send() -> None:
            with Connection(self.address) as connection:
                rows = itertools.cycle(customers())
                while not is_over.wait(BURST / per_second):
                    connection.send(itertools.islice(rows, BURST), members)

        thread = threading.Thread(target=send)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()

    def send(self, count: int, **members: Any) -> None:
        """As many varied requests."""
        with Connection(self.address) as connection:
            connection.send(iter(customers(count)), members)

    def report(self) -> Any:
        """The report that the page renders."""
        return self.status()["report"]

    def status(self) -> Any:
        return dict(self.client.status().data)

    def until(self, *conditions: str) -> Any:
        """The report once its condition is one of these."""
        return self.once(lambda: self.report()["condition"] in conditions, f"condition {' or '.join(conditions)}")

    def once(self, holds: Callable[[], Any], what: str) -> None:
        end = time.monotonic() + PATIENCE
        while not holds():
            if time.monotonic() > end:
                report = self.report()
                raise ServingError(f"{what}: not reached; {report['condition']}: {report['headline']} {report['why']}")
            time.sleep(0.1)


class Serving:
    """Starts servers, each in a folder of its own, with the demo models."""

    def __init__(self, binary: Path, folder: Path) -> None:
        self._binary, self._folder, self._models = binary, folder, folder / "models"
        trained = subprocess.run(
            [str(binary), "train", "--models", str(self._models)], capture_output=True, text=True, timeout=PATIENCE
        )
        if trained.returncode != 0:
            raise ServingError(f"serin train: {trained.stdout}{trained.stderr}")

    @contextmanager
    def started(self, name: str, token: str | None = None, **settings: Any) -> Iterator[Serin]:
        """A server that ends with the block."""
        folder = self._folder / name
        folder.mkdir()
        server = Serin(self._binary, self._models, folder, settings, token)
        try:
            yield server
        finally:
            server.stop()
