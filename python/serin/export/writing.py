"""Writes an export: the model, the rows with its answers, and, if asked, the import."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from .._binary import find_binary
from .._binary import find_onnxruntime
from ..errors import ExportError
from .boosters import describe_lightgbm
from .boosters import describe_xgboost
from .catboost import describe_catboost
from .estimators import describe_sklearn
from .exported import ROWS
from .exported import Exported
from .original import Original
from .original import is_a
from .original import quoted
from .original import spelled
from .rows import answer_columns
from .rows import answerable
from .rows import as_frame
from .rows import ask
from .rows import columns_of
from .rows import sample
from .values import as_numbers_and_words
from .values import as_sent
from .values import misread_words
from .values import positions
from .values import positive_word
from .values import write_csv


def write(model: Any, X: Any, path: Path, y: Any, target: str | None, positive: Any, rows: int) -> Exported:
    """Writes an export of a fitted model."""
    data = as_frame(X)
    if y is not None:
        data, target = with_labels(data, y, target)
    return write_original(describe(model), data, path, target, positive, rows)


def with_labels(data: pd.DataFrame, y: Any, target: str | None) -> tuple[pd.DataFrame, str]:
    """The data with the labels as a column."""
    name = target or getattr(y, "name", None)
    if name is None:
        raise ExportError("y: has no name; name the column that the model predicts with target=")
    labels = list(y)
    if len(labels) != len(data):
        raise ExportError(f"y: {len(labels)} labels for {len(data)} rows; give one for each row of X")
    if str(name) in data.columns:
        raise ExportError(f"y: X has the column {quoted([name])} as well; leave out one of them")
    return data.assign(**{str(name): labels}), str(name)


# What an ONNX model needs besides serin.
RUNTIME = (
    "serin runs it as ONNX, which needs ONNX Runtime 1.23 or newer: pip install --upgrade onnxruntime, or name its "
    "library with SERIN_ONNXRUNTIME (docs/models.md#onnx); a serin.Server that is running must be started again"
)


def write_original(
    original: Original, data: pd.DataFrame, path: Path, target: str | None, positive: Any, rows: int
) -> Exported:
    """Writes an export of a model that is described already, into a folder or as serin's own file."""
    if path.suffix != ".bin":
        return write_folder(original, data, path, path / "model.bin", target, positive, rows)
    if not path.parent.is_dir():
        raise ExportError(f"{path}: the folder {path.parent} does not exist")
    if original.is_onnx and find_onnxruntime() is None:
        raise ExportError(f"a model of {original.library}: {RUNTIME}")
    with tempfile.TemporaryDirectory(prefix="serin-export-") as folder:
        exported = write_folder(original, data, Path(folder), path.absolute(), target, positive, rows)
        assert exported.command is not None
        command = [find_binary(), *exported.command[1:]]
        process = subprocess.run(command, capture_output=True, text=True)
    if process.returncode != 0:
        raise ExportError(process.stderr.strip() or f"serin import ended with {process.returncode}")
    return Exported(path, None, exported.rows, None, exported.notes)


def write_folder(
    original: Original, data: pd.DataFrame, folder: Path, out: Path, target: str | None, positive: Any, rows: int
) -> Exported:
    """Writes the model and `expected.csv` into the folder, for an import that writes `out`."""
    if rows < 1:
        raise ExportError(f"rows: {rows}; use 1 or more, for example {ROWS}")
    labels = data[target] if target in data.columns else None
    notes = [] if target is None or labels is not None else [f"the data has no column {quoted([target])}, the target"]
    if original.kind == "probability":
        positive = positive_word(original.classes, target, positive, labels)
    elif positive is not None:
        raise ExportError("positive: only a model of two classes gives the probability of one of them")
    columns = columns_of(original, list(data.columns), target)
    frame, left_out = answerable(original, as_numbers_and_words(data[columns]))
    frame = frame.iloc[sample(frame, rows)]
    answers = ask(original, frame)
    written = as_sent(original, frame)
    notes += left_out + positions(original, frame) + misread_words(original, written)

    folder.mkdir(parents=True, exist_ok=True)
    model_file, expected = folder / original.file, folder / "expected.csv"
    original.save(model_file)
    write_csv(pd.concat([written, answer_columns(original, answers, written.index)], axis=1), expected)

    command = ["serin", "import", str(model_file), "--expect", str(expected)]
    if original.names != columns or original.is_onnx:
        # The file has no names, or LightGBM wrote `_` for the blanks in them.
        header = folder / "columns.csv"
        write_csv(written.head(0), header)
        command += ["--schema-from", str(header)]
    if target is not None and original.kind == "probability":
        command += ["--target", target, "--positive", positive]
    if original.marker is not None:
        command.append(f"--missing={spelled(original.marker)}")
    if original.is_onnx:
        library = find_onnxruntime()
        command += [] if library is None else [f"--onnxruntime={library}"]
        notes.append(RUNTIME if library is None else f"a server needs it as well: serin serve --onnxruntime {library}")
    command += ["--out", str(out)]
    return Exported(model_file, expected, len(frame), command, notes)


def describe(model: Any) -> Original:
    """The model as an export sees it; an error says why serin does not serve it."""
    if isinstance(model, (str, os.PathLike)):
        raise ExportError(_of_a_file(Path(model)))
    # A search over parameters answers with the best estimator that it found.
    model = getattr(model, "best_estimator_", model)
    if is_a(model, "lightgbm", "Booster") or is_a(model, "lightgbm", "LGBMModel"):
        return describe_lightgbm(model)
    if is_a(model, "xgboost", "Booster") or is_a(model, "xgboost", "XGBModel"):
        return describe_xgboost(model)
    if is_a(model, "catboost", "CatBoost"):
        return describe_catboost(model)
    if is_a(model, "sklearn", "BaseEstimator"):
        return describe_sklearn(model)
    kind = f"{type(model).__module__}.{type(model).__qualname__}"
    if isinstance(model, (dict, list, tuple)):
        parts = quoted(model) if isinstance(model, dict) else quoted(type(one).__name__ for one in model)
        raise ExportError(
            f"a {type(model).__name__} with {parts}: take the model out and call serin.export(model, X, path)"
        )
    raise ExportError(
        f"{kind}: not a model of LightGBM, XGBoost, CatBoost or scikit-learn. Write it as ONNX with its own "
        "library, and import that file: serin import model.onnx --expect expected.csv --out MODEL.bin "
        "(docs/models.md#onnx)"
    )


def _of_a_file(path: Path) -> str:
    """What to do with the file of a model, where a fitted one is expected."""
    if path.suffix == ".onnx":
        return (
            f"{path}: serin imports an ONNX file as it is: serin import {path} --expect expected.csv --out "
            "MODEL.bin, where expected.csv has rows of inputs and the answers of the original in a "
            "column `expected` (docs/models.md#onnx)"
        )
    return (
        f"{path}: a path, not a model; load it and give the fitted model, or run python -m serin.export {path} DATA.csv"
    )
