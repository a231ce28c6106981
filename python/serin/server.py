"""A server for a notebook, a workshop or a test."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
import weakref
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any
from typing import Union

from ._binary import find_binary
from ._binary import find_onnxruntime
from .client import Client
from .client import put
from .errors import ExportError
from .errors import ServerError

Models = Union[str, Path, Mapping[str, Any], None]

# Files that a server reads as models.
SUFFIXES = {".bin", ".txt", ".lgb", ".json", ".ubj", ".skops", ".onnx"}

# Lines of the log in an error.
LAST_LINES = 30

# Signals the server when the pipe to this process closes, however this process ends.
WATCHER = 'read -r _; kill -TERM "$1" 2>/dev/null'


class Server:
    """A serin server on a free port of this machine, with a client.

        with serin.Server(models={"v1": fitted, "v2": "models/v2.bin"}, X=rows) as server:
            server.client.deploy("v2.bin")
            server.client.predict(rows)

    `models` is a folder, or gives names to model files and fitted models. Fitted models are exported and imported with
    the rows `X`, on which serin must repeat their answers. The first is stable, unless `stable` names another. Without
    `models` the server has two demo models, `model_v1.bin` (stable) and `model_v2.bin`.

    `settings` are keys of `serin.toml` (docs/operations.md#settings), such as `{"min_samples": 50}`; environment
    variables that begin with `SERIN_` have no effect. State is kept in memory unless `store` names a file. The server
    stops at the end of the block, with `stop()`, or at the end of this process, however that ends. Without a block:
    `server = serin.Server().start()`.
    """

    def __init__(
        self,
        models: Models = None,
        *,
        X: Any = None,
        stable: str | None = None,
        port: int = 0,
        token: str | None = None,
        store: str = "memory:",
        settings: Mapping[str, Any] | None = None,
        allow_injection: bool = True,
        log: str = "warn",
        timeout: float = 30.0,
        start_timeout: float = 60.0,
    ) -> None:
        if not 0 <= port <= 65535:
            raise ValueError(f"port: {port}; use 0 to 65535, 0 for a free one")
        self._models, self._X, self._stable = models, X, stable
        self._port, self._token, self._store = port, token, store
        # A client that has its answer may keep its connection open; nothing else waits here.
        self._settings = {"drain_delay": "0s", "allow_injection": allow_injection, **(settings or {})}
        self._log, self._timeout, self._start_timeout = log, timeout, start_timeout
        self._running: _Running | None = None
        self._stopped_log = ""
        self._finalizer: weakref.finalize[[], Server] | None = None

    def __repr__(self) -> str:
        return f"<serin.Server at {self._running.url}>" if self._running else "<serin.Server, not running>"

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Server:
        """Starts the server and waits until it answers."""
        if self._running is not None:
            raise ServerError("the server is running already")
        running = _Running(Path(tempfile.mkdtemp(prefix="serin-")))
        # Also when no reference is left, and at the end of the process.
        self._finalizer = weakref.finalize(self, running.stop)
        try:
            models, stable = self._prepare(running.folder)
            running.start(self._command(running.folder, models, stable), self._token, self._start_timeout)
            running.client = Client(running.url, self._token or "", timeout=self._timeout, models=models)
        except BaseException:
            self._finalizer()
            raise
        self._running = running
        return self

    def stop(self) -> None:
        """Stops the server and removes its temporary files; without a running server it does nothing."""
        if self._finalizer is not None and self._running is not None:
            self._stopped_log = self.log()
            self._running = None
            self._finalizer()

    @property
    def url(self) -> str:
        """The address of the server."""
        return self._live().url

    @property
    def client(self) -> Client:
        """A client of the server, which knows its models folder."""
        client = self._live().client
        assert client is not None
        return client

    @property
    def models(self) -> Path:
        """The models folder of the server."""
        folder = self.client.models_folder
        assert folder is not None
        return folder

    def log(self) -> str:
        """What the server has written to its log so far."""
        return self._stopped_log if self._running is None else self._running.log()

    def _live(self) -> _Running:
        if self._running is None:
            raise ServerError("the server is not running; use `with serin.Server() as server:`, or call start()")
        self._running.check()
        return self._running

    def _command(self, folder: Path, models: Path, stable: str | None) -> list[str]:
        config, settings = folder / "serin.toml", self._settings
        library = find_onnxruntime()
        if library is not None:
            # Also where no model needs it yet: a canary may.
            settings = {"onnxruntime": library, **settings}
        config.write_text("".join(f"{toml_key(key)} = {toml(value)}\n" for key, value in settings.items()))
        command = [find_binary(), "serve", "--config", str(config), "--listen", f"127.0.0.1:{self._port}"]
        command += ["--models", str(models), "--store", self._store, "--port-file", str(folder / "port")]
        command += ["--log", self._log]
        command += ["--stable", stable] if stable is not None else []
        return command

    def _prepare(self, folder: Path) -> tuple[Path, str | None]:
        """The models folder, and the stable version in it."""
        if self._models is None:
            return _made(folder / "models"), self._stable
        if isinstance(self._models, Mapping):
            return self._from_names(_made(folder / "models"), self._models)
        models = Path(self._models).resolve()
        if not models.is_dir():
            raise ServerError(f"models: {models}: no such folder")
        files = sorted(file.name for file in models.iterdir() if file.suffix in SUFFIXES)
        stable = self._stable
        if stable is None and "model_v1.bin" not in files:
            if len(files) != 1:
                listed = ", ".join(files) or "none"
                raise ServerError(f"stable: name the stable version; the models folder has {listed}")
            stable = files[0]
        return models, stable

    def _from_names(self, models: Path, given: Mapping[str, Any]) -> tuple[Path, str]:
        """A folder with these models; the first is stable."""
        if not given:
            raise ServerError("models: an empty dict; give names and models, for example {'v1': fitted}")
        files = {}
        for name, model in given.items():
            if not name or Path(name).name != name or name.startswith("."):
                raise ServerError(f"models: {name!r} is not a name for a file; use for example 'churn_v1'")
            files[name] = _add(models, name, model, self._X)
        stable = self._stable or next(iter(files))
        return models, files.get(stable, stable)


class _Running:
    """The process of a server and its folder. It does not refer to the `Server`, so that both can be collected."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = ""
        self.client: Client | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: subprocess.Popen[bytes] | None = None
        # After a fork, the child must not stop the server of its parent.
        self._owner = os.getpid()

    def start(self, command: Sequence[str], token: str | None, timeout: float) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SERIN_")}
        if token:
            # Not an argument: those of a process are open to every user of the machine.
            environment["SERIN_ADMIN_TOKEN"] = token
        with (self.folder / "log").open("wb") as log:
            # A session of its own: Ctrl-C and the interrupt of a notebook are for this process alone.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=environment,
                start_new_session=True,
            )
        self._watcher = subprocess.Popen(
            ["/bin/sh", "-c", WATCHER, "serin-watcher", str(self._process.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.url = f"http://{self._address(time.monotonic() + timeout, timeout)}"

    def _address(self, end: float, timeout: float) -> str:
        """The address that the server writes to the port file once it answers there."""
        port = self.folder / "port"
        while time.monotonic() < end:
            self.check()
            if port.exists() and (text := port.read_text().strip()):
                return text
            time.sleep(0.005)
        raise ServerError(f"the server did not start within {timeout:g} s", self.last_lines())

    def check(self) -> None:
        """Raises if the server has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            # Its id may soon belong to another process.
            self._end_watcher()
            raise ServerError(f"the server ended with {ended(self._process.returncode)}", self.last_lines())

    def log(self) -> str:
        try:
            return (self.folder / "log").read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def last_lines(self) -> str:
        return "\n".join(self.log().splitlines()[-LAST_LINES:])

    def stop(self) -> None:
        if os.getpid() != self._owner:
            return
        if self.client is not None:
            self.client.close()
        self._end_watcher()
        process = self._process
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                process.wait(timeout=40)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end_watcher(self) -> None:
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            # Before the server is waited for: then its id cannot belong to another process yet.
            watcher.kill()
            watcher.wait()
            assert watcher.stdin is not None
            watcher.stdin.close()


def ended(code: int) -> str:
    """How a process ended."""
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _add(models: Path, name: str, model: Any, X: Any) -> str:
    """Puts a model under a name into the folder; the file's name."""
    if isinstance(model, (str, os.PathLike)):
        file = Path(model)
        if not file.is_file():
            raise ServerError(f"models: {name}: {file}: no such file")
        suffix = "" if Path(name).suffix in SUFFIXES else file.suffix
        return put(file, models / f"{name}{suffix}").name
    if X is None:
        raise ExportError(
            f"models: {name}: a fitted {type(model).__name__} needs rows to compare the answers on; give them as X="
        )
    from .export import export

    file = models / (name if name.endswith(".bin") else f"{name}.bin")
    if file.exists():
        raise ServerError(f"models: {name}: another model has the file name {file.name}; give it another name")
    export(model, X, file)
    return file.name


def toml(value: Any) -> str:
    """A value in TOML."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{toml_key(key)} = {toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(toml(one) for one in value) + "]"
    if isinstance(value, (bool, int, float, str)):
        return json.dumps(value, ensure_ascii=False)
    raise TypeError(f"settings: {value!r} is not a value for serin.toml; use texts, numbers, booleans, lists and dicts")


def toml_key(key: Any) -> str:
    """A key in TOML."""
    return json.dumps(str(key), ensure_ascii=False)
