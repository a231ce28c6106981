"""Models of CatBoost, which serin runs as ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import ExportError
from .original import Original
from .original import answer_of
from .original import is_a
from .original import kind_of


def describe_catboost(model: Any) -> Original:
    """A fitted classifier, regression or ranker that takes numbers only."""
    kind, classes = _kind_of(model)
    names: list[str] | None = [str(name) for name in model.feature_names_]
    inputs = len(model.feature_names_)
    if names == [str(place) for place in range(inputs)]:
        # Trained on an array.
        names = None
    places = [*model.get_cat_feature_indices(), *model.get_text_feature_indices()]
    places += model.get_embedding_feature_indices()
    if places:
        columns = ", ".join(f"`{model.feature_names_[place]}`" for place in places)
        raise ExportError(
            f"CatBoost writes models of numbers only as ONNX, and this one takes {columns} as categories, texts or "
            "embeddings. Encode them as numbers before the training, or train with LightGBM or XGBoost, whose "
            "categories serin reads"
        )
    return Original(
        library="CatBoost",
        file="model.onnx",
        save=lambda path: save_onnx(model, path),
        kind=kind,
        answer=lambda frame: answer_of(model, kind)(frame if names else frame.to_numpy()),
        names=names,
        inputs=inputs,
        classes=classes,
    )


def _kind_of(model: Any) -> tuple[str, list[Any]]:
    name = type(model).__name__
    if not model.is_fitted():
        raise ExportError(f"{name} is not fitted")
    if is_a(model, "catboost", "CatBoostClassifier"):
        return kind_of(model)
    if is_a(model, "catboost", "CatBoostRegressor") or is_a(model, "catboost", "CatBoostRanker"):
        return "score", []
    raise ExportError(
        f"{name} does not say what it answers; train or load it as CatBoostClassifier or CatBoostRegressor"
    )


def save_onnx(model: Any, path: Path) -> None:
    """Writes the model as ONNX, with CatBoost's own exporter."""
    try:
        model.save_model(str(path), format="onnx")
    except Exception as cause:
        hint = "; train with 0 and 1 or with words as labels" if "label type" in str(cause) else ""
        raise ExportError(f"CatBoost cannot write this {type(model).__name__} as ONNX: {cause}{hint}") from cause
