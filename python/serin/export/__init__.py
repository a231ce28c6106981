"""Exports a trained model for serin, in the Python environment of the model.

    serin.export(model, X, "models/churn_v1.bin", target="Churn", positive="Yes")

or, from files,

    python -m serin.export churn.pkl customers.csv --target Churn --positive Yes -o models/churn_v1.bin

It needs pandas, skops for scikit-learn models, and ONNX Runtime to import those of CatBoost. serin itself never reads
pickles.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import ExportError
from .exported import ROWS
from .exported import Exported

__all__ = ["ROWS", "ExportError", "Exported", "export"]


def export(
    model: Any,
    X: Any,
    path: str | Path,
    y: Any = None,
    *,
    target: str | None = None,
    positive: Any = None,
    rows: int = ROWS,
) -> Exported:
    """Writes a model for serin, with rows of `X` on which serin must repeat the original's answers.

    If `path` ends in `.bin`, it is the model file that `serin serve` and `serin deploy` take: the model is exported,
    imported and compared at once. Otherwise it is a folder, which gets the model in its library's own format (LightGBM
    `model.txt`, XGBoost `model.ubj`, scikit-learn `model.skops`, CatBoost `model.onnx`) and `expected.csv`, for
    `serin import`.

    `model` is a fitted classifier or regression: an estimator or pipeline of scikit-learn, of LightGBM or of XGBoost,
    a booster of either library, or an estimator of CatBoost that takes numbers only. `X` has the inputs in the columns
    that the model was trained on; it may have others. `target` and `positive` name the column that the model predicts
    and its value that the probability belongs to; serin needs them to evaluate models of two classes on other data
    (`serin compare` of two, `serin inspect --data` of one). `y` are the labels, if `X` does not have them; its name is
    the target.
    """
    try:
        from .writing import write
    except ImportError as cause:
        raise ExportError(f"export needs pandas, in the Python environment of the model: {cause}") from cause
    return write(model, X, Path(path), y, target, positive, rows)
