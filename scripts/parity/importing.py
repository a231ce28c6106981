"""From a model to the command that imports it."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import onnxruntime
import pandas as pd

from .data import POSITIVE
from .data import TARGET
from .models import Case

# The package of this checkout, not one that is installed.
PACKAGE = Path(__file__).resolve().parents[2] / "python"
sys.path.insert(0, str(PACKAGE))

from serin.export import export  # noqa: E402

# Rows of an ONNX model's expected.csv.
ONNX_ROWS = 512


class Failure(Exception):
    """A step that did not do what it must."""


def exported_to(folder: Path, case: Case, frame: pd.DataFrame) -> list[str]:
    """Exports the model to the folder; the command that imports it."""
    named = {"target": TARGET, "positive": POSITIVE} if case.kind == "probability" else {}
    exported = export(case.model, frame, folder, **named)
    from_command = exported_by_command(case, frame, folder / "command")
    if from_command.read_text() != exported.expected.read_text():
        raise Failure("serin.export wrote other rows from the pickle and the CSV file than from the frame")
    return exported.command


def exported_as_onnx(case: Case, training: pd.DataFrame, folder: Path) -> list[str]:
    """Writes model.onnx and rows with the original's answers; the command that imports it."""
    assert case.as_onnx is not None
    folder.mkdir()
    (folder / "model.onnx").write_bytes(case.as_onnx(case.model))
    rows = training[:ONNX_ROWS]
    answers = case.answer(rows)
    names = [f"expected:{name}" for name in case.model.classes_] if case.kind == "classes" else ["expected"]
    columns = pd.DataFrame(answers.reshape(len(rows), -1), columns=names, index=rows.index)
    rows.join(columns).to_csv(folder / "expected.csv", index=False)
    training.head(0).to_csv(folder / "columns.csv", index=False)
    command = ["serin", "import", folder / "model.onnx", "--expect", folder / "expected.csv"]
    command += ["--schema-from", folder / "columns.csv", "--out", folder / "model.bin"]
    return [str(part) for part in command]


def exported_by_command(case: Case, frame: pd.DataFrame, folder: Path) -> Path:
    """The rows that the command line writes, from a pickle and a CSV file."""
    folder.mkdir()
    model, data = folder / "model.pkl", folder / "data.csv"
    model.write_bytes(pickle.dumps(case.model))
    frame.to_csv(data, index=False)
    command = [sys.executable, "-m", "serin.export", str(model), str(data), "-o", str(folder)]
    if case.kind == "probability":
        command += ["--target", TARGET, "--positive", POSITIVE]
    done(subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(PACKAGE)}))
    return folder / "expected.csv"


def run_import(serin: Path, command: list[str]) -> float:
    """Runs a command that an export prints; the time it took."""
    start = time.perf_counter()
    done(subprocess.run([str(serin), *command[1:]], capture_output=True, text=True))
    return time.perf_counter() - start


def done(process: subprocess.CompletedProcess[str]) -> None:
    if process.returncode != 0:
        raise Failure(process.stderr.strip() or f"exit code {process.returncode}")


def onnx_runtime() -> str:
    """The library in onnxruntime's package."""
    return str(next(Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so*")))
