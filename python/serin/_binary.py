"""Where the serin binary is."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from .errors import BinaryError

# Older libraries crash at the end of a process, and serin refuses them.
OLDEST_ONNXRUNTIME = (1, 23)


def find_binary() -> str:
    """The path of the binary: `SERIN_BINARY`, the one of this package, or the one in `PATH`."""
    given = os.environ.get("SERIN_BINARY")
    if given:
        if not Path(given).is_file():
            raise BinaryError(f"SERIN_BINARY: {given}: no such file")
        return given
    for folder in _folders():
        if (folder / "serin").is_file():
            return str(folder / "serin")
    found = shutil.which("serin")
    if found is None:
        raise BinaryError(
            "the serin binary is neither in the folders of this package nor in PATH; install the wheel with pip, or "
            "name a binary with SERIN_BINARY"
        )
    return found


def find_onnxruntime() -> str | None:
    """The library that runs ONNX models: `SERIN_ONNXRUNTIME`, or the one of the Python package onnxruntime.

    `None` if neither is there, or the package is too old.
    """
    given = os.environ.get("SERIN_ONNXRUNTIME")
    if given:
        return given
    package = importlib.util.find_spec("onnxruntime")
    folders = (package.submodule_search_locations if package else None) or []
    found = (file for folder in folders for file in sorted(Path(folder, "capi").glob("libonnxruntime.*")))
    return next((str(file) for file in found if _is_recent(file.name)), None)


def _is_recent(name: str) -> bool:
    """Whether serin takes this version, by the name of its file: `libonnxruntime.so.1.23.0`."""
    version = re.search(r"(\d+)\.(\d+)", name)
    return version is None or (int(version[1]), int(version[2])) >= OLDEST_ONNXRUNTIME


def _folders() -> Iterator[Path]:
    """Where pip puts the programs of a package: in the environment, for the user, or below --target."""
    yield Path(sysconfig.get_path("scripts"))
    package = Path(__file__).resolve().parent
    # PREFIX/lib/python3.x/site-packages/serin, when this is not the interpreter's own environment.
    if len(package.parents) > 3:
        yield package.parents[3] / "bin"
    yield package.parent / "bin"
    yield Path(sysconfig.get_path("scripts", f"{os.name}_user"))


def main() -> None:
    """`python -m serin ARGS`: runs the binary in place of this process."""
    binary = find_binary()
    os.execv(binary, [binary, *sys.argv[1:]])
