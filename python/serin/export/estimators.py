"""Estimators and pipelines of scikit-learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import ExportError
from .original import Original
from .original import answer_of
from .original import kind_of

# Libraries whose classes serin knows, and those whose plain values occur in their files. skops does not trust some
# of them, such as scikit-learn's own trees; serin reads data alone and runs none of their code.
KNOWN_LIBRARIES = {"sklearn", "lightgbm", "xgboost", "numpy", "scipy", "functools", "collections", "builtins"}


def describe_sklearn(model: Any) -> Original:
    """An estimator or a pipeline."""
    kind, classes = kind_of(model)
    first = first_step(model)
    names = getattr(first, "feature_names_in_", None)
    names = None if names is None else [str(name) for name in names]
    inputs = getattr(first, "n_features_in_", None)
    categories: dict[str, list[Any]] = {}
    if names is not None:
        add_encoded(model, names, categories)
        names = used(first, names)
    return Original(
        library="scikit-learn",
        file="model.skops",
        save=lambda path: save_skops(model, path),
        kind=kind,
        answer=lambda frame: answer_of(model, kind)(frame if names else frame.to_numpy()),
        names=names,
        inputs=inputs,
        classes=classes,
        categories=categories,
    )


def first_step(model: Any) -> Any:
    """What sees the data first: it knows their names."""
    while hasattr(model, "steps"):
        model = next(step for _, step in model.steps if not isinstance(step, str) and step is not None)
    return model


def used(first: Any, names: list[str]) -> list[str]:
    """The names without those that a ColumnTransformer drops: neither requests nor the data need them."""
    if not hasattr(first, "transformers_"):
        return names
    places = first._transformer_to_input_indices
    dropped = {name for name, part, _ in first.transformers_ if isinstance(part, str) and part == "drop"}
    kept = {place for name, taken in places.items() if name not in dropped for place in taken}
    return [name for place, name in enumerate(names) if place in kept]


def add_encoded(step: Any, columns: list[str], found: dict[str, list[Any]]) -> None:
    """Adds the categories of each column that an encoder takes, as far as columns keep their places."""
    steps = [one for _, one in step.steps] if hasattr(step, "steps") else [step]
    for one in steps:
        if hasattr(one, "transformers_"):
            for name, part, _ in one.transformers_:
                places = one._transformer_to_input_indices.get(name, [])
                add_encoded(part, [columns[place] for place in places], found)
            return
        # HistGradientBoosting encodes its own categories.
        if getattr(one, "_preprocessor", None) is not None:
            add_encoded(one._preprocessor, columns, found)
        lists = getattr(one, "categories_", [])
        if len(lists) == len(columns):
            found.update((column, list(words)) for column, words in zip(columns, lists))
            return


def save_skops(model: Any, path: Path) -> None:
    """Dumps the model, unless it has parts of libraries that serin does not know."""
    try:
        import skops.io
    except ImportError as cause:
        raise ExportError("scikit-learn models need skops: pip install skops") from cause
    try:
        data = skops.io.dumps(model)
        untrusted = skops.io.get_untrusted_types(data=data)
    except Exception as cause:
        raise ExportError(f"skops cannot write {type(model).__name__}: {cause}") from cause
    foreign = [name for name in untrusted if name.split(".")[0] not in KNOWN_LIBRARIES]
    if foreign:
        raise ExportError(
            f"skops does not trust {', '.join(foreign)}, and serin does not know them; serin reads estimators and "
            "transformers of scikit-learn, LightGBM and XGBoost. Prepare the data before the model, and export the rest"
        )
    path.write_bytes(data)
