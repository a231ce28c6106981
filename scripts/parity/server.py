"""A running serin, and a connection to it."""

from __future__ import annotations

import http.client
import json
import subprocess
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from .importing import Failure
from .models import Case

# Rows of a request for the comparison.
CHUNK = 250


class Server:
    """A connection to a running serin."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.connection = http.client.HTTPConnection(address, timeout=60)
        models = self.send("GET", "/admin/models")["models"]
        # In the order of the model, which rows without names must have.
        self.features = [feature["name"] for feature in models[0]["card"]["features"]]

    def send(self, method: str, path: str, body: bytes | None = None) -> Any:
        self.connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        response = self.connection.getresponse()
        answer = response.read()
        if response.status != 200:
            raise Failure(f"{method} {path}: {response.status} {answer.decode()[:500]}")
        return json.loads(answer)

    def rows(self, frame: pd.DataFrame) -> list[list[Any]]:
        """The rows as JSON has them: null for a missing value."""
        columns = frame[self.features].astype(object)
        return columns.where(columns.notna(), None).to_numpy().tolist()

    def answers(self, rows: list[list[Any]], case: Case) -> list[Any]:
        """The number of each row, or those of its classes in the order of the original."""
        parts = (rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK))
        predictions = [one for part in parts for one in self.request(part)()["predictions"]]
        if case.kind == "classes":
            names = [str(name) for name in case.model.classes_]
            return [[one["probabilities"][name] for name in names] for one in predictions]
        return [one[case.kind] for one in predictions]

    def request(self, rows: list[list[Any]]) -> Callable[[], Any]:
        """A request with these rows, whose body is made once."""
        body = json.dumps({"instances": rows} if len(rows) > 1 else {"features": rows[0]}).encode()
        return lambda: self.send("POST", "/predict", body)


@contextmanager
def serving(serin: Path, models: Path, stable: str) -> Iterator[Server]:
    """serin with this folder of models on a free port, ended when the block ends."""
    state = models.with_name("state")
    state.mkdir()
    port_file, log = state / "port", state / "serin.log"
    command = [str(serin), "serve", "--models", str(models), "--stable", stable, "--log", "warn"]
    command += ["--store", f"sqlite:{state / 'serin.db'}", "--listen", "127.0.0.1:0", "--port-file", str(port_file)]
    with log.open("w") as errors:
        # In a folder of its own, where no serin.toml lies.
        process = subprocess.Popen(command, stdout=errors, stderr=errors, cwd=state)
        try:
            yield Server(address(process, port_file, log))
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def address(process: subprocess.Popen[bytes], port_file: Path, log: Path, seconds: float = 60) -> str:
    """The address in the port file, once the server writes it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise Failure(f"serin serve ended with {process.returncode}: {log.read_text()[-500:]}")
        if port_file.exists() and (text := port_file.read_text().strip()):
            return text
        time.sleep(0.02)
    raise Failure(f"serin serve did not start within {seconds:.0f} s: {log.read_text()[-500:]}")
