"""Servers of this package: their start, their end, and what is left of them."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import serin
from conftest import ROW
from serin import Server
from serin import ServerError
from serin._binary import find_onnxruntime
from serin.server import toml


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def eventually(condition, seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def test_the_library_of_onnx_models_is_that_of_a_recent_python_package(monkeypatch, tmp_path):
    monkeypatch.delenv("SERIN_ONNXRUNTIME", raising=False)
    package = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr("importlib.util.find_spec", lambda _: package)
    (tmp_path / "capi").mkdir()
    assert find_onnxruntime() is None
    for name, is_found in [("so.1.9.0", False), ("so.1.22.1", False), ("so.1.23.0", True), ("2.0.0.dylib", True)]:
        library = tmp_path / "capi" / f"libonnxruntime.{name}"
        library.write_text("")
        assert find_onnxruntime() == (str(library) if is_found else None), name
        library.unlink()
    monkeypatch.setenv("SERIN_ONNXRUNTIME", "/named/libonnxruntime.so")
    assert find_onnxruntime() == "/named/libonnxruntime.so"


def environment() -> dict[str, str]:
    """For a Python of its own: the package of this checkout."""
    return {**os.environ, "PYTHONPATH": str(Path(serin.__file__).parent.parent)}


def pids(server: Server) -> tuple[int, int]:
    running = server._running
    return running._process.pid, running._watcher.pid


def test_a_server_stops_with_its_block_and_leaves_nothing():
    with Server() as server:
        process, watcher = pids(server)
        folder = server.models.parent
        assert server.client.predict(ROW).label in (0, 1)
        assert is_alive(process)
    assert not is_alive(process)
    assert not is_alive(watcher)
    assert not folder.exists()
    with pytest.raises(ServerError, match="not running"):
        _ = server.client
    server.stop()


def test_a_server_without_references_stops():
    server = Server().start()
    process, _ = pids(server)
    del server
    gc.collect()
    assert eventually(lambda: not is_alive(process))


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), 9)", "sys.exit(3)", "raise RuntimeError"])
def test_a_server_stops_however_its_parent_ends(end):
    code = (
        "import os, sys, serin\n"
        "server = serin.Server().start()\n"
        "print(server._running._process.pid, server._running._watcher.pid, flush=True)\n"
        f"{end}\n"
    )
    parent = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment())
    process, watcher = map(int, parent.stdout.split())
    assert eventually(lambda: not is_alive(process)), "the server goes on without its parent"
    assert eventually(lambda: not is_alive(watcher))


def test_an_interrupt_of_the_notebook_does_not_reach_the_server():
    # What Jupyter does: a signal for the whole process group of the kernel.
    code = (
        "import os, signal, time, serin\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "with serin.Server() as server:\n"
        "    os.killpg(os.getpgrp(), signal.SIGINT)\n"
        "    time.sleep(0.3)\n"
        "    print(server.client.is_ready(), server._running._process.poll())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment(), start_new_session=True
    )
    assert done.stdout.split() == ["True", "None"], done.stderr


def test_a_server_that_ends_by_itself_is_an_error_with_its_log():
    with Server(log="info") as server:
        os.kill(pids(server)[0], signal.SIGKILL)
        assert eventually(lambda: server._running._process.poll() is not None)
        with pytest.raises(ServerError, match="ended with signal 9") as caught:
            _ = server.client
        assert "127.0.0.1" in caught.value.log


def test_a_server_that_does_not_start_says_why(tmp_path):
    (tmp_path / "bad.bin").write_bytes(b"not a model")
    with pytest.raises(ServerError, match=r"exit code \d+\n(.|\n)*bad\.bin"):
        Server(tmp_path).start()
    with pytest.raises(ServerError, match="mim_samples"):
        Server(settings={"mim_samples": 3}).start()
    with pytest.raises(ServerError, match="no such folder"):
        Server(tmp_path / "none").start()
    (tmp_path / "other.bin").write_bytes(b"not a model")
    with pytest.raises(ServerError, match=r"name the stable version; the models folder has bad\.bin, other\.bin"):
        Server(tmp_path).start()
    with pytest.raises(ServerError, match="empty dict"):
        Server({}).start()
    with pytest.raises(ServerError, match="is not a name"):
        Server({"../x": "y.bin"}).start()
    with pytest.raises(ServerError, match=r"none\.bin: no such file"):
        Server({"x": tmp_path / "none.bin"}).start()


def test_settings_reach_the_server_and_variables_do_not(monkeypatch):
    monkeypatch.setenv("SERIN_MIN_SAMPLES", "77")
    monkeypatch.setenv("SERIN_ADMIN_TOKEN", "sixteen-letters-or-more")
    settings = {"alpha": 0.01, "segments": {"region": ["north", "south"], "device": {"max": 2}}}
    with Server(settings=settings) as server:
        server.client.deploy("model_v2.bin")
        health = server.client.check()
        assert (health.data["alpha"], health.data["min_samples"]) == (0.01, 20)
        assert server.client.predict(ROW, segments={"region": "north"}, covariate=3.5).label in (0, 1)
        assert health.data["segments"] is not None


def test_values_become_toml():
    assert toml({"a": [1, 2.5, True], "b c": {"d": 'x"y'}}) == '{ "a" = [1, 2.5, true], "b c" = { "d" = "x\\"y" } }'
    with pytest.raises(TypeError, match="None is not a value"):
        toml([None])


def test_a_folder_and_names_of_files_are_served(tmp_path):
    with Server() as server:
        for file in server.models.iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with Server(tmp_path, stable="model_v2.bin") as server:
        assert server.client.status().stable.name == "model_v2"
        assert server.models == tmp_path.resolve()
    with Server({"old": tmp_path / "model_v1.bin", "new": tmp_path / "model_v2.bin"}) as server:
        assert server.client.status().stable.file == "old.bin"
        assert server.client.deploy("new.bin").canary.name == "new"
    assert (tmp_path / "model_v1.bin").exists()


def test_a_store_survives_a_restart(tmp_path):
    store = f"sqlite:{tmp_path / 'serin.db'}"
    with Server(store=store) as server:
        server.client.deploy("model_v2.bin")
        server.client.promote(force=True, reason="a try")
    with Server(store=store) as server:
        assert server.client.status().stable.name == "model_v2"


def test_the_binary_is_found_or_the_error_says_how(monkeypatch, tmp_path):
    monkeypatch.setenv("SERIN_BINARY", str(tmp_path / "none"))
    with pytest.raises(serin.BinaryError, match="SERIN_BINARY: .*none: no such file"):
        Server().start()
    monkeypatch.delenv("SERIN_BINARY")
    monkeypatch.setattr("sysconfig.get_path", lambda *_: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(serin.BinaryError, match="install the wheel with pip"):
        Server().start()
    program = tmp_path / "serin"
    program.write_text("#!/bin/sh\necho no >&2; exit 7\n")
    program.chmod(0o755)
    with pytest.raises(ServerError, match="exit code 7\nno"):
        Server().start()
