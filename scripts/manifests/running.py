"""serin starts with the settings of the manifests, and answers where the probes ask."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import tools
from .failed import Failed
from .rendered import Object

MODEL = tools.ROOT / "src/model/kinds/testdata/xgb_binary.ubj"
SECONDS = 60


@contextmanager
def serving(serin: Path, container: Object, **changed: str) -> Iterator[str]:
    """The address of a serin with the arguments and the environment of a container, but for the changed variables."""
    with tempfile.TemporaryDirectory(prefix="serin-manifests-") as name:
        port_file = Path(name) / "port"
        environment = {key: value for key, value in os.environ.items() if not key.startswith("SERIN_")}
        environment |= {entry["name"]: entry["value"] for entry in container.get("env", []) if "value" in entry}
        environment |= {"SERIN_PORT_FILE": str(port_file), "SERIN_DRAIN_DELAY": "0s", **changed}
        with open(Path(name) / "log", "w+") as log:
            process = subprocess.Popen([serin, *container["args"]], env=environment, cwd=name, stderr=log, stdout=log)
            try:
                yield f"http://{address(process, port_file)}"
            except Exception as error:
                log.seek(0)
                raise Failed(f"{error}\n{log.read()}") from error
            finally:
                process.terminate()
                process.wait(30)


def address(process: subprocess.Popen[bytes], file: Path) -> str:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and process.poll() is None:
        if file.exists() and (found := file.read_text().strip()):
            return found
        time.sleep(0.02)
    raise Failed(f"serin does not serve (exit code {process.poll()})")


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code


def problems(serin: Path, pod: Object, runtime: Object) -> list[str]:
    settings = {"SERIN_CONFIG": str(tools.ROOT / "deploy/kustomize/base/serin.toml")}
    changed = {**settings, "SERIN_LISTEN": "127.0.0.1:0", "SERIN_STORE": "memory:"}
    wrong = answers(serin, pod, ["/v2/models/model"], **changed)
    with tempfile.TemporaryDirectory(prefix="serin-manifests-") as folder:
        # A file as its library wrote it serves, too, where an InferenceService names it.
        shutil.copy(MODEL, folder)
        args = [argument.replace("{{.Name}}", "churn") for argument in runtime["args"]]
        wrong += by_profile(serin, {**runtime, "args": args})
        args = [argument.replace("0.0.0.0:8080", "127.0.0.1:0") for argument in args]
        args = [*args, f"--stable={MODEL.name}"]
        served = ["/v1/models/churn", "/v2/models/churn/ready"]
        wrong += answers(serin, {**runtime, "args": args}, served, SERIN_MODELS=folder)
    return wrong


def by_profile(serin: Path, runtime: Object) -> list[str]:
    """Where serin looks for the model and where it listens, by the arguments for KServe."""
    command = [str(serin), "config", "show", "--json", *runtime["args"][1:]]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SERIN_")}
    # The image has it.
    environment["SERIN_LISTEN"] = "0.0.0.0:8000"
    shown = subprocess.run(command, capture_output=True, text=True, env=environment)
    if shown.returncode != 0:
        return [f"{command}: {shown.stderr}"]
    settings = json.loads(shown.stdout)["settings"]
    wanted = {"models": "/mnt/models", "stable": "model.bin", "store": "memory:"}
    wanted["listen"] = f"0.0.0.0:{runtime['ports'][0]['containerPort']}"
    return [f"KServe: {k} is {settings[k]!r}, not {value!r}" for k, value in wanted.items() if settings[k] != value]


def answers(serin: Path, container: Object, further: list[str], **changed: str) -> list[str]:
    probes = [container[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")]
    with serving(serin, container, **changed) as url:
        asked = {path: status(url + path) for path in [*probes, "/metrics", *further]}
    return [f"{path} answers {code}" for path, code in asked.items() if code != 200]
