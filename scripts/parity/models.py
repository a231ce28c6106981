"""The models that are compared: one of each kind that serin reads."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import xgboost
from catboost import CatBoostClassifier
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import Ridge
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.preprocessing import StandardScaler

from .data import NUMBERS
from .data import POSITIVE
from .data import WORDS
from .data import Data

TOLERANCE, ONNX_TOLERANCE = 1e-6, 1e-5


@dataclass
class Case:
    """A model to train, the frame it takes, and whether its target must be 0 and 1."""

    name: str
    model: Any
    frame: pd.DataFrame
    is_encoded: bool = False
    # What it answers: a `probability`, one for each of many `classes`, or a `score`.
    kind: str = "probability"
    # The model as ONNX, for one that serin does not read from its own file.
    as_onnx: Callable[[Any], bytes] | None = None

    @property
    def tolerance(self) -> float:
        return TOLERANCE if self.as_onnx is None else ONNX_TOLERANCE

    def target(self, data: Data) -> pd.Series:
        if self.kind == "score":
            return data.amounts
        if self.kind == "classes":
            return data.tiers.map({"basic": 0, "silver": 1, "gold": 2}) if self.is_encoded else data.tiers
        return (data.target == POSITIVE).astype(int) if self.is_encoded else data.target

    def answer(self, frame: pd.DataFrame) -> np.ndarray:
        """The original's answers: a number for each row, or one for each class."""
        if self.kind == "score":
            return self.model.predict(frame)
        answers = self.model.predict_proba(frame)
        return answers if self.kind == "classes" else answers[:, 1]


def cases(data: Data) -> list[Case]:
    """One of each kind that serin reads."""
    numbers, holes = data.complete[NUMBERS], data.holes[NUMBERS]
    seed = {"random_state": 5}
    forest = {"n_estimators": 100, "max_depth": 10, "n_jobs": 1, **seed}
    light = {"n_estimators": 100, "n_jobs": 1, "verbose": -1}
    extreme = {"n_estimators": 100, "max_depth": 6, "n_jobs": 1}
    catboost = CatBoostClassifier(iterations=100, depth=6, verbose=False, allow_writing_files=False, thread_count=1)
    network = MLPClassifier((64, 32), max_iter=60, **seed)
    return [
        Case("logistic", LogisticRegression(max_iter=5_000), numbers),
        Case("logistic_pipeline", behind_columns(LogisticRegression(max_iter=5_000)), data.complete),
        Case("random_forest", RandomForestClassifier(**forest), numbers),
        Case("extra_trees", ExtraTreesClassifier(**forest), numbers),
        Case("gradient_boosting", GradientBoostingClassifier(n_estimators=100, **seed), numbers),
        Case("hist_missing", HistGradientBoostingClassifier(**seed), holes),
        Case(
            "hist_categories",
            HistGradientBoostingClassifier(categorical_features="from_dtype", **seed),
            data.categories,
        ),
        Case("forest_pipeline", behind_columns(RandomForestClassifier(**forest)), data.complete),
        Case("boosting_imputed", behind_imputers(GradientBoostingClassifier(n_estimators=100, **seed)), data.holes),
        Case("xgboost_numbers", xgboost.XGBClassifier(**extreme), holes, is_encoded=True),
        Case(
            "xgboost_categories",
            xgboost.XGBClassifier(enable_categorical=True, **extreme),
            data.categories,
            is_encoded=True,
        ),
        Case("lightgbm_numbers", lightgbm.LGBMClassifier(**light), holes),
        Case("lightgbm_categories", lightgbm.LGBMClassifier(min_data_per_group=5, **light), data.categories),
        Case("lightgbm_pipeline", behind_imputers(lightgbm.LGBMClassifier(**light)), data.holes),
        Case("logistic_classes", behind_columns(LogisticRegression(max_iter=5_000)), data.complete, kind="classes"),
        Case("forest_classes", RandomForestClassifier(**forest), numbers, kind="classes"),
        Case("xgboost_classes", xgboost.XGBClassifier(**extreme), holes, is_encoded=True, kind="classes"),
        Case("lightgbm_classes", lightgbm.LGBMClassifier(**light), data.categories, kind="classes"),
        Case("ridge", behind_imputers(Ridge()), data.holes, kind="score"),
        Case("hist_regression", HistGradientBoostingRegressor(**seed), holes, kind="score"),
        Case("xgboost_regression", xgboost.XGBRegressor(**extreme), holes, kind="score"),
        Case("lightgbm_regression", lightgbm.LGBMRegressor(**light), data.categories, kind="score"),
        Case("catboost_onnx", catboost, numbers, as_onnx=catboost_onnx),
        Case("network_onnx", behind_scaler(network), numbers, as_onnx=sklearn_onnx),
        Case("network_onnx_classes", behind_scaler(network), numbers, kind="classes", as_onnx=sklearn_onnx),
    ]


def behind_scaler(model: Any) -> Pipeline:
    return make_pipeline(StandardScaler(), model)


def catboost_onnx(model: Any) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        model.save_model(str(path), format="onnx")
        return path.read_bytes()


def sklearn_onnx(model: Any) -> bytes:
    """With one input for all numbers, as networks have it."""
    kinds = [("input", FloatTensorType([None, len(NUMBERS)]))]
    content: bytes = convert_sklearn(model, initial_types=kinds, options={"zipmap": False}).SerializeToString()
    return content


def behind_columns(model: Any) -> Pipeline:
    """The model behind a scaler for the numbers and an encoder for the words."""
    columns = [("numbers", StandardScaler(), NUMBERS), ("words", OneHotEncoder(handle_unknown="ignore"), WORDS)]
    return Pipeline([("columns", ColumnTransformer(columns)), ("model", model)])


def behind_imputers(model: Any) -> Pipeline:
    """The same for data with missing values."""
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    words = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    columns = ColumnTransformer([("numbers", numbers, NUMBERS), ("words", words, WORDS)], sparse_threshold=0)
    return Pipeline([("columns", columns), ("model", model)])
