"""A trained model, with what an export needs to know of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any
from typing import Callable

import numpy as np
import pandas as pd

from ..errors import ExportError


@dataclass
class Original:
    """A trained model, with what an export needs to know of it."""

    library: str
    file: str
    save: Callable[[Path], None]
    # What the model answers: `probability`, of the second of two classes, `classes`, one of each, or `score`.
    kind: str
    # Its answer for each row of a frame with the inputs in order; a column for each of many classes.
    answer: Callable[[pd.DataFrame], np.ndarray]
    # The names of the inputs as the library has them; None if the model was fitted on an array.
    names: list[str] | None
    # How many inputs; None if the model does not say.
    inputs: int | None
    # The classes in order; empty for a booster, which numbers them, and for a score.
    classes: list[Any] = field(default_factory=list)
    # The categories of an input, where the model has a list of them.
    categories: dict[str, list[Any]] = field(default_factory=dict)
    # Whether those inputs must be category columns of pandas.
    is_native: bool = False
    # Inputs that are categories without a list in the file; clients send their position in the training's list.
    coded: set[str] = field(default_factory=set)
    # A number that the model takes for a missing value, which its file does not say.
    marker: float | None = None

    @property
    def is_onnx(self) -> bool:
        """Whether the file is ONNX, which has no names of the inputs and needs ONNX Runtime."""
        return self.file.endswith(".onnx")


def is_a(thing: Any, library: str, name: str) -> bool:
    """Whether the class or one that it inherits from is the library's class of this name, without an import of it."""
    return any(one.__module__.split(".")[0] == library and one.__name__ == name for one in type(thing).__mro__)


def kind_of(model: Any) -> tuple[str, list[Any]]:
    """What an estimator answers, and its classes."""
    name = type(model).__name__
    if not hasattr(model, "predict_proba"):
        if is_regressor(model) or is_a(model, "lightgbm", "LGBMRanker") or is_a(model, "xgboost", "XGBRanker"):
            return "score", []
        raise ExportError(
            f"{name} has no predict_proba, and serin serves probabilities; wrap it in CalibratedClassifierCV or "
            "train it with another loss"
        )
    try:
        classes = model.classes_
    except AttributeError as cause:
        raise ExportError(f"{name} is not fitted: it has no classes") from cause
    if isinstance(classes, list) and classes and isinstance(classes[0], np.ndarray):
        raise ExportError(f"{name} predicts {len(classes)} targets; serin serves models of one")
    if len(classes) < 2:
        raise ExportError(f"{name} has one class, {', '.join(map(spelled, classes))}; train it on two or more")
    return ("probability" if len(classes) == 2 else "classes"), list(classes)


def answer_of(model: Any, kind: str) -> Callable[[Any], np.ndarray]:
    """How an estimator answers."""
    if kind == "score":
        return lambda values: np.asarray(model.predict(values))
    if kind == "classes":
        return lambda values: np.asarray(model.predict_proba(values))
    return lambda values: model.predict_proba(values)[:, 1]


def is_regressor(model: Any) -> bool:
    """Whether scikit-learn, on which the classes of all three libraries build, calls it a regression."""
    from sklearn.base import is_regressor

    return bool(is_regressor(model))


def spelled(value: Any) -> str:
    """A class or a label as a CSV file has it."""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def quoted(names: Iterable[Any]) -> str:
    return ", ".join(f"`{name}`" for name in names)
