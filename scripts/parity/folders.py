"""Model folders of MLflow: those that serin does not read, and the Python that it prints to save them again."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm
import mlflow
import numpy as np
import pandas as pd
from catboost import CatBoostClassifier
from catboost import CatBoostRegressor
from mlflow.models import infer_signature
from onnx import TensorProto
from onnx import helper
from onnx import numpy_helper
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from .data import HOLDOUT
from .data import NUMBERS
from .data import Data
from .importing import Failure
from .importing import done

# Where the lines begin in the message.
START = "in Python:\n"

# Otherwise MLflow starts a process for each model that looks for the packages it needs.
NO_SEARCH = {"pip_requirements": ["scikit-learn"]}


@dataclass
class Folder:
    """A model, and how MLflow saves it in a way that serin does not read."""

    name: str
    model: Any
    save: Callable[..., None]
    # Whether it predicts a number.
    is_regression: bool = False

    def answer(self, frame: pd.DataFrame) -> np.ndarray:
        return self.model.predict(frame) if self.is_regression else self.model.predict_proba(frame)[:, 1]


def pickled(module: Any) -> Callable[..., None]:
    return lambda model, path, signature: module.save_model(
        model, path, signature=signature, serialization_format="cloudpickle", **NO_SEARCH
    )


def saved(module: Any) -> Callable[..., None]:
    return lambda model, path, signature: module.save_model(model, path, signature=signature, **NO_SEARCH)


def folders() -> list[Folder]:
    seed = {"random_state": 5}
    catboost = {"iterations": 20, "verbose": False, "allow_writing_files": False, "thread_count": 1}
    light = lightgbm.LGBMClassifier(n_estimators=10, n_jobs=1, verbose=-1)
    sklearn = pickled(mlflow.sklearn)
    return [
        Folder("logistic", make_pipeline(StandardScaler(), LogisticRegression()), sklearn),
        Folder("forest", RandomForestClassifier(n_estimators=10, max_depth=6, **seed), sklearn),
        Folder("boosting", GradientBoostingClassifier(n_estimators=10, **seed), sklearn),
        Folder("hist", HistGradientBoostingClassifier(max_iter=10, **seed), sklearn),
        Folder("hist_regression", HistGradientBoostingRegressor(max_iter=10, **seed), sklearn, is_regression=True),
        Folder("lightgbm_pipeline", make_pipeline(StandardScaler(), light), sklearn),
        Folder("lightgbm", light, pickled(mlflow.lightgbm)),
        Folder("catboost", CatBoostClassifier(**catboost), saved(mlflow.catboost)),
        Folder("catboost_regression", CatBoostRegressor(**catboost), saved(mlflow.catboost), is_regression=True),
        Folder(
            "network",
            Network(),
            lambda model, path, signature: mlflow.onnx.save_model(model.onnx(), path, signature=signature, **NO_SEARCH),
        ),
    ]


class Network:
    """A linear layer of random weights that is large enough for MLflow to put them in a file of their own."""

    def fit(self, frame: pd.DataFrame, _: pd.Series) -> None:
        random = np.random.default_rng(5)
        width = 200
        self.first = (random.normal(size=(frame.shape[1], width)) / 1_000).astype(np.float32)
        self.second = random.normal(size=(width, 1)).astype(np.float32)

    def predict_proba(self, frame: pd.DataFrame) -> np.ndarray:
        hidden = np.maximum(frame.to_numpy(np.float32) @ self.first, 0)
        positive = 1 / (1 + np.exp(-(hidden @ self.second).astype(float)))
        return np.hstack([1 - positive, positive])

    def onnx(self) -> Any:
        nodes = [
            helper.make_node("MatMul", ["x", "first"], ["hidden"]),
            helper.make_node("Relu", ["hidden"], ["active"]),
            helper.make_node("MatMul", ["active", "second"], ["score"]),
            helper.make_node("Sigmoid", ["score"], ["probability"]),
        ]
        inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, len(self.first)])]
        outputs = [helper.make_tensor_value_info("probability", TensorProto.FLOAT, [None, 1])]
        weights = [numpy_helper.from_array(self.first, "first"), numpy_helper.from_array(self.second, "second")]
        graph = helper.make_graph(nodes, "network", inputs, outputs, weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def prove_folders(data: Data, serin: Path, folder: Path) -> str:
    """Each folder is refused, and the lines of the message write one that is imported; what was proved."""
    folder.mkdir()
    # MLflow warns that it finds no lock file and no dependencies.
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    # A blank, which LightGBM and ONNX write as `_`: the names must be those of the signature.
    frame = data.complete[NUMBERS][:-HOLDOUT].rename(columns={"tenure": "tenure in months"})
    cases = folders()
    for case in cases:
        target = data.amounts if case.is_regression else (data.target == "yes").astype(int)
        case.model.fit(frame, target[:-HOLDOUT])
        case.save(case.model, str(folder / case.name), infer_signature(frame, case.answer(frame)))
        rows = frame[:200]
        rows.assign(expected=case.answer(rows)).to_csv(folder / f"{case.name}.csv", index=False)
    # Each case waits for other processes.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda case: prove_lines(serin, folder, case.name), cases))
    return f"the lines for {', '.join(case.name for case in cases)} were run, and what they wrote is imported"


def prove_lines(serin: Path, folder: Path, name: str) -> None:
    refused = run_import(serin, folder, name, name)
    _, start, lines = refused.stderr.partition(START)
    if refused.returncode == 0 or not start:
        raise Failure(f"{name}: no lines that save the model again: {refused.stderr}")
    run_lines(lines, folder)
    done(run_import(serin, folder, f"{name}-serin", name))


def run_lines(lines: str, folder: Path) -> None:
    """Runs lines of Python in this environment, as somebody would paste them."""
    done(subprocess.run([sys.executable, "-c", lines], cwd=folder, capture_output=True, text=True, env=os.environ))


def run_import(serin: Path, folder: Path, model: str, case: str) -> subprocess.CompletedProcess[str]:
    command = [str(serin), "import", model, "--expect", f"{case}.csv", "--out", f"{case}.bin"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)
