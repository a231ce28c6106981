"""Models and data in files."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from ..errors import ExportError
from .boosters import XGBOOST_CLASSES
from .boosters import XGBOOST_OBJECTIVES
from .boosters import kind_of_objective
from .original import Original
from .original import quoted
from .rows import columns_of

# Before 3.1, the default way of pandas to read a number could miss its last digit.
EXACT = {} if [int(part) for part in pd.__version__.split(".")[:2]] >= [3, 1] else {"float_precision": "round_trip"}


def load_model(path: Path) -> Any:
    """The model in a file: a booster's own format, skops, or a pickle, which may be compressed by joblib."""
    if not path.is_file():
        raise ExportError(f"{path}: no such file")
    if path.suffix == ".onnx":
        # An error that says how it is imported.
        return path
    head = path.read_bytes()[:64]
    if head.startswith(b"CBM1"):
        raise ExportError(
            f"{path}: load it with CatBoostClassifier or CatBoostRegressor, and call serin.export(model, X, path)"
        )
    if head.startswith(b"tree"):
        return load_lightgbm(path)
    if head.startswith(b"PK"):
        return load_skops(path)
    # XGBoost's binary format begins with anything; protocols of pickle from 2 on begin with \x80.
    is_binary = path.suffix in {".deprecated", ".model", ".xgb"} and not head.startswith(b"\x80")
    if head.startswith((b"{", b"binf")) or is_binary:
        return load_xgboost(path)
    return load_pickle(path)


def load_lightgbm(path: Path) -> Any:
    lightgbm = imported("lightgbm")
    return lightgbm.Booster(model_file=str(path))


def load_xgboost(path: Path) -> Any:
    """An estimator if it was saved by one, because it answers with the best iteration; a booster otherwise."""
    xgboost = imported("xgboost")
    try:
        booster = xgboost.Booster(model_file=str(path))
        if booster.attr("scikit_learn") is None:
            return booster
        objective = json.loads(booster.save_config())["learner"]["objective"]["name"]
        kind = kind_of_objective(objective, XGBOOST_OBJECTIVES, XGBOOST_CLASSES)
        estimator = xgboost.XGBRegressor() if kind == "score" else xgboost.XGBClassifier()
        estimator.load_model(str(path))
        return estimator
    except (xgboost.core.XGBoostError, TypeError) as cause:
        first_line = next((line for line in str(cause).splitlines() if line.strip()), str(cause))
        raise ExportError(
            f"{path}: XGBoost {xgboost.__version__} cannot load it: {first_line}. Its deprecated binary format needs "
            "XGBoost older than 3.1: load and save it there as .ubj"
        ) from cause


def load_skops(path: Path) -> Any:
    imported("skops")
    import skops.io

    return skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))


def load_pickle(path: Path) -> Any:
    """joblib reads its own files, compressed ones, and plain pickles, also those of cloudpickle."""
    try:
        try:
            import joblib
        except ImportError:
            with path.open("rb") as file:
                return pickle.load(file)
        return joblib.load(path)
    except ImportError as cause:
        raise ExportError(f"{path}: {cause}; run this in the Python environment of the model") from cause
    except Exception as cause:
        raise ExportError(
            f"{path}: neither a booster's file, nor skops, nor a pickle that this Python can load: "
            f"{type(cause).__name__}: {cause}"
        ) from cause


def imported(library: str) -> Any:
    """A library that the model needs."""
    try:
        return __import__(library)
    except ImportError as cause:
        raise ExportError(f"the model needs {library}: run this in the Python environment of the model") from cause


def read_data(path: Path, original: Original, target: str | None = None) -> pd.DataFrame:
    """The data of a CSV file with the types that the model was trained on."""
    if not path.is_file():
        raise ExportError(f"{path}: no such file")
    # The separator is the one that gives the most columns.
    try:
        headers = {separator: pd.read_csv(path, nrows=0, sep=separator).columns for separator in ",;\t|"}
    except ValueError as cause:
        raise ExportError(f"{path}: not a CSV file in UTF-8: {cause}") from cause
    separator = max(headers, key=lambda one: len(headers[one]))
    columns = columns_of(original, list(headers[separator]), target)
    if original.coded:
        raise ExportError(
            f"the model has the category columns {quoted(sorted(original.coded))} without a list of their words, which "
            "XGBoost keeps from version 3.1 on; call serin.export(model, X, path) with the training's frame"
        )
    categories = categories_by_column(original, columns)
    # A category that is written in digits stays a word, if it was one in the training.
    words = {name: str for name, levels in categories.items() if any(isinstance(level, str) for level in levels)}
    data = pd.read_csv(path, sep=separator, dtype=words, **EXACT)
    for name in columns:
        if name not in categories:
            data[name] = without_blank_texts(data[name])
        elif original.is_native:
            # LightGBM and XGBoost number the categories of a pandas `category` column, so it must have the
            # training's list in the training's order: with the words of this file alone, "DSL" might get the number
            # that "Fiber optic" had. A word that training did not see becomes a missing value.
            is_known = data[name].isin(categories[name])
            unknown = int((data[name].notna() & ~is_known).sum())
            if unknown:
                known_words = quoted([str(word) for word in categories[name][:5]])
                print(
                    f"note: column {quoted([name])}: {unknown} of {len(data)} values are no categories of the model "
                    f"({known_words} ..) and count as missing",
                    file=sys.stderr,
                )
            known = data[name].where(is_known)
            data[name] = pd.Categorical(known, categories=categories[name])
    return data


def categories_by_column(original: Original, columns: list[str]) -> dict[str, list[Any]]:
    """The lists of categories under the names that the data has."""
    return {
        column: original.categories[name]
        for name, column in zip(original.names or [], columns)
        if name in original.categories
    }


def without_blank_texts(column: pd.Series) -> pd.Series:
    """Numbers, if a column is one of texts only because some of its cells are blanks."""
    if not (column.dtype == object or pd.api.types.is_string_dtype(column.dtype)):
        return column
    texts = column.map(lambda text: text.strip() if isinstance(text, str) else text)
    texts = texts.where(texts != "", None)
    numbers = pd.to_numeric(texts, errors="coerce")
    return numbers if numbers.notna().any() and numbers.isna().equals(texts.isna()) else column
