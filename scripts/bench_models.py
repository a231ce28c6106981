#!/usr/bin/env python3
"""Time of imported models beside their originals and onnxruntime, in one run: loading, one row, batches of 1,000.

Trains the models of scripts/parity, imports them, and times each three ways: serin in its own process without HTTP
(benches/models.rs: from the values of a request to the answer), the library from its own file, and onnxruntime from
what skl2onnx, onnxmltools or the library itself exports, with the largest difference of its answers. Exit code 1 if
a row of a model that serin runs on the request's thread takes 10 us or more; with three classes, and so three times as
many trees, 30 us.

    make bench-models
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import lightgbm
import numpy as np
import onnxruntime
import pandas as pd
import xgboost
from sklearn.pipeline import Pipeline

from parity.data import HOLDOUT
from parity.data import WORDS
from parity.data import made_up
from parity.importing import export
from parity.importing import run_import
from parity.models import Case
from parity.models import cases

BATCH, SINGLES, ROUNDS = 1_000, 100, 5
ROOT = Path(__file__).parent.parent


@dataclass
class Times:
    """Milliseconds to load, and microseconds a row: one at a time, and in a batch."""

    load: float
    single: float
    batch: float

    def __str__(self) -> str:
        return f"{self.load:7.1f} {self.single:9.1f} {self.batch:7.1f}"


def seconds(work: Callable[[], Any], rounds: int = ROUNDS) -> float:
    """Median, after one round that does not count."""
    found = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return median(found[1:])


def of_original(case: Case, target: str, holdout: pd.DataFrame, folder: Path) -> Times:
    """The library from a file of its own: a pickle, or what a booster saves."""
    model, file = case.model, folder / "original"
    if target == "booster" and isinstance(model, xgboost.XGBModel):
        model.save_model(file.with_suffix(".ubj"))
        load: Callable[[], Any] = lambda: xgboost.Booster(model_file=str(file.with_suffix(".ubj")))
    elif target == "booster" and isinstance(model, lightgbm.LGBMModel):
        model.booster_.save_model(str(file.with_suffix(".txt")))
        load = lambda: lightgbm.Booster(model_file=str(file.with_suffix(".txt")))
    else:
        file.write_bytes(pickle.dumps(model))
        load = lambda: pickle.loads(file.read_bytes())
    return timed(load, case.answer, holdout)


def timed(load: Callable[[], Any], answer: Callable[[Any], Any], rows: Any) -> Times:
    """Times of a model that answers a slice of these rows."""
    singles = [part(rows, place, place + 1) for place in range(SINGLES)]
    batch = part(rows, 0, BATCH)
    single = median(seconds(lambda row=row: answer(row), 1) for row in singles)
    return Times(seconds(load) * 1e3, single * 1e6, seconds(lambda: answer(batch)) * 1e6 / BATCH)


def part(rows: Any, start: int, end: int) -> Any:
    return {name: values[start:end] for name, values in rows.items()} if isinstance(rows, dict) else rows[start:end]


# onnxruntime.


def of_onnx(case: Case, holdout: pd.DataFrame, expected: np.ndarray) -> str:
    """Times of the model's export and the largest difference, or why there is none."""
    try:
        content, rows = exported(case, holdout)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        load = lambda: onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        session = load()
        answers = numbers_of(session.run(None, rows), expected)
        difference = (
            (np.abs(answers - expected) / np.maximum(1, np.abs(expected))).reshape(len(holdout), -1).max(axis=1)
        )
        times = timed(load, lambda part: session.run(None, part), rows)
        return f"{times}   {difference.max():7.0e} ({(difference > 1e-5).sum()})"
    except Exception as problem:
        # Exporters refuse models in many ways; the reason is the result.
        return "no export: " + " ".join(str(problem).split())[:60]


def exported(case: Case, holdout: pd.DataFrame) -> tuple[bytes, dict[str, np.ndarray]]:
    """The model as ONNX, and the rows as its inputs."""
    from skl2onnx.common.data_types import FloatTensorType
    from skl2onnx.common.data_types import StringTensorType

    # Classifiers answer with maps otherwise; regressions know no such option.
    options = {"zipmap": False} if hasattr(case.model, "predict_proba") else None
    if isinstance(case.model, Pipeline):
        from skl2onnx import convert_sklearn

        kinds = {
            name: StringTensorType([None, 1]) if name in WORDS else FloatTensorType([None, 1])
            for name in holdout.columns
        }
        model = convert_sklearn(case.model, initial_types=list(kinds.items()), options=options)
        rows = {
            name: holdout[[name]].to_numpy(dtype=object if name in WORDS else np.float32) for name in holdout.columns
        }
        return model.SerializeToString(), rows
    if holdout.select_dtypes("number").shape[1] != holdout.shape[1]:
        raise ValueError("category columns have no place in a float tensor")
    width = holdout.shape[1]
    rows = {"input": holdout.to_numpy(dtype=np.float32)}
    if isinstance(case.model, (lightgbm.LGBMModel, xgboost.XGBModel)):
        import onnxmltools
        from onnxmltools.convert.common.data_types import FloatTensorType as Floats

        kind = [("input", Floats([None, width]))]
        if isinstance(case.model, lightgbm.LGBMModel):
            model = onnxmltools.convert_lightgbm(case.model, initial_types=kind, zipmap=False)
        else:
            # The converter accepts no other names.
            case.model.get_booster().feature_names = [f"f{place}" for place in range(width)]
            model = onnxmltools.convert_xgboost(case.model, initial_types=kind)
    else:
        from skl2onnx import convert_sklearn

        kind = [("input", FloatTensorType([None, width]))]
        model = convert_sklearn(case.model, initial_types=kind, options=options)
    return model.SerializeToString(), rows


def numbers_of(outputs: list[Any], expected: np.ndarray) -> np.ndarray:
    """The answers in the shape of the original's."""
    answers = np.asarray(outputs[-1], dtype=float)
    return answers[:, 1] if answers.size == 2 * expected.size else answers.reshape(expected.shape)


# All of them.


def main() -> int:
    warnings.filterwarnings("ignore")
    serin = (ROOT / "target/release/serin").resolve()
    data = made_up()
    with tempfile.TemporaryDirectory(prefix="serin-bench-") as name:
        folder = Path(name)
        rows_of_originals = {}
        for case in cases(data):
            if case.as_onnx is not None:
                # serin runs these in onnxruntime, too.
                continue
            training, holdout = case.frame[:-HOLDOUT], case.frame[-HOLDOUT:]
            case.model.fit(training, case.target(data)[:-HOLDOUT])
            command = export(case.model, training, folder / case.name).command
            run_import(serin, command)
            write_rows(serin, folder, case.name, holdout)
            is_booster = isinstance(case.model, (lightgbm.LGBMModel, xgboost.XGBModel))
            times = of_original(case, "booster" if is_booster else "pickle", holdout, folder / case.name)
            expected = case.answer(holdout)
            rows_of_originals[case.name] = (times, of_onnx(case, holdout, expected))
            print(f"trained and timed the original: {case.name}", file=sys.stderr, flush=True)
        command = ["cargo", "bench", "--locked", "--bench", "models", "--", str(folder)]
        bench = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=os.environ)
        lines = [json.loads(line) for line in bench.stdout.splitlines() if line.startswith("{")]
        print_table(lines, rows_of_originals)
        missing = set(rows_of_originals) - {line["model"] for line in lines}
        if missing:
            print(f"bench-models: not measured: {', '.join(sorted(missing))}", file=sys.stderr)
            return 2
        return bench.returncode


def write_rows(serin: Path, folder: Path, name: str, holdout: pd.DataFrame) -> None:
    """The model and its rows, where the bench looks for them."""
    model = folder / f"{name}.bin"
    (folder / name / "model.bin").rename(model)
    inspected = subprocess.run([serin, "inspect", model, "--json"], capture_output=True, text=True, check=True)
    names = [feature["name"] for feature in json.loads(inspected.stdout)["features"]]
    frame = holdout[names].astype(object)
    rows = frame.where(frame.notna(), None).to_numpy().tolist()
    (folder / f"{name}.json").write_text(json.dumps(rows))


def print_table(lines: list[dict[str, Any]], originals: dict[str, tuple[Times, str]]) -> None:
    three = f"{'load':>7} {'one row':>9} {'batch':>7}"
    print(f"{'':20} {'serin':>25}   {'original':>25}   {'onnxruntime':>25}   largest difference")
    print(f"{'ms, us, us a row':20} {three}   {three}   {three}   (rows above 1e-5)")
    for line in lines:
        ours = Times(line["load_ms"], line["single_us"], line["batch_us"])
        original, onnx = originals[line["model"]]
        print(f"{line['model']:20} {ours}   {original}   {onnx}{'' if line['inline'] else '   (own threads)'}")


if __name__ == "__main__":
    sys.exit(main())
