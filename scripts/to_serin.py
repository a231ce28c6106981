#!/usr/bin/env python3
"""Writes a trained model for `serin import`: the model in its library's own format, and rows with its answers.

    python to_serin.py churn.pkl customers.csv --target Churn --positive Yes -o churn

writes churn/model.txt (LightGBM), churn/model.ubj (XGBoost) or churn/model.skops (scikit-learn), and
churn/expected.csv, and prints the `serin import` command to run next. `serin import` compares its own answers with
those in expected.csv, row by row, and refuses a model that answers in another way.

From a notebook, with the frame that the model was trained on or another with the same columns:

    from to_serin import export
    export(model, X, "churn", target="Churn", positive="Yes")

Run it in the Python environment of the model. It needs pandas, and skops for scikit-learn models. Loading a pickle
runs the code in it: give it only files that you trust. serin itself never reads pickles.
"""

from __future__ import annotations

import argparse
import csv
import json
import pickle
import re
import shlex
import sys
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any
from typing import Callable
from typing import Iterable

import numpy as np
import pandas as pd

ANSWERS = "expected"
ROWS = 512

# Before 3.1, the default way of pandas to read a number could miss its last digit.
EXACT = {} if [int(part) for part in pd.__version__.split(".")[:2]] >= [3, 1] else {"float_precision": "round_trip"}

# Libraries whose classes serin knows, and those whose plain values occur in their files. skops does not trust some
# of them, such as scikit-learn's own trees; serin reads data alone and runs none of their code.
KNOWN_LIBRARIES = {"sklearn", "lightgbm", "xgboost", "numpy", "scipy", "functools", "collections", "builtins"}

# Objectives whose answer is one probability, and those that answer one for each class. The others give a score.
LIGHTGBM_OBJECTIVES = {"binary", "cross_entropy", "xentropy"}
XGBOOST_OBJECTIVES = {"binary:logistic", "reg:logistic"}
LIGHTGBM_CLASSES = {"multiclass", "multiclassova"}
XGBOOST_CLASSES = {"multi:softprob", "multi:softmax"}

# Texts that serin reads as missing, as pandas does by default.
MISSING_WORDS = set(
    "#N/A|#N/A N/A|#NA|-1.#IND|-1.#QNAN|-NaN|-nan|1.#IND|1.#QNAN|<NA>|N/A|NA|NULL|NaN|None|n/a|nan|null".split("|")
)


class ExportError(ValueError):
    """Why a model cannot be exported, and what to do."""


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


@dataclass
class Exported:
    """What was written, and the command that imports it."""

    model: Path
    expected: Path
    rows: int
    command: list[str]
    notes: list[str]

    def __str__(self) -> str:
        lines = [f"wrote {self.model} and {self.rows} rows with its answers in {self.expected}"]
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join([*lines, "next:", "  " + shlex.join(self.command)])

    __repr__ = __str__


def export(
    model: Any,
    X: pd.DataFrame | np.ndarray,
    folder: str | Path,
    *,
    target: str | None = None,
    positive: Any = None,
    rows: int = ROWS,
) -> Exported:
    """Writes the model and `expected.csv` into the folder.

    `model` is a fitted classifier or regression: an estimator or pipeline of scikit-learn, of LightGBM or of XGBoost,
    or a booster of either library. `X` has the inputs in the columns that the model was trained on; it
    may have others. `target` and `positive` name the column that the model predicts and its value that the
    probability belongs to; serin needs them to evaluate a model of two classes on other data (`serin inspect --data`).
    """
    return export_original(describe(model), as_frame(X), Path(folder), target, positive, rows)


def export_original(
    original: Original, data: pd.DataFrame, folder: Path, target: str | None, positive: Any, rows: int
) -> Exported:
    """Writes an export of a model that is described already."""
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
    notes += left_out + positions(original, frame) + misread_words(written)

    folder.mkdir(parents=True, exist_ok=True)
    model_file, expected = folder / original.file, folder / "expected.csv"
    original.save(model_file)
    write_csv(pd.concat([written, answer_columns(original, answers, written.index)], axis=1), expected)

    command = ["serin", "import", str(model_file), "--expect", str(expected)]
    if original.names != columns:
        # The file has no names, or LightGBM wrote `_` for the blanks in them.
        header = folder / "columns.csv"
        write_csv(written.head(0), header)
        command += ["--schema-from", str(header)]
    if target is not None and original.kind == "probability":
        command += ["--target", target, "--positive", positive]
    if original.marker is not None:
        command.append(f"--missing={spelled(original.marker)}")
    command += ["--out", str(folder / "model.bin")]
    return Exported(model_file, expected, len(frame), command, notes)


# What a model is.


def describe(model: Any) -> Original:
    """The model as an export sees it; an error says why serin does not serve it."""
    # A search over parameters answers with the best estimator that it found.
    model = getattr(model, "best_estimator_", model)
    if is_a(model, "lightgbm", "Booster") or is_a(model, "lightgbm", "LGBMModel"):
        return describe_lightgbm(model)
    if is_a(model, "xgboost", "Booster") or is_a(model, "xgboost", "XGBModel"):
        return describe_xgboost(model)
    if is_a(model, "sklearn", "BaseEstimator"):
        return describe_sklearn(model)
    kind = f"{type(model).__module__}.{type(model).__qualname__}"
    if isinstance(model, (dict, list, tuple)):
        parts = quoted(model) if isinstance(model, dict) else quoted(type(one).__name__ for one in model)
        raise ExportError(
            f"a {type(model).__name__} with {parts}: take the model out and call export(model, X, folder)"
        )
    raise ExportError(f"{kind}: not a model of LightGBM, XGBoost or scikit-learn")


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
        return model.predict
    if kind == "classes":
        return model.predict_proba
    return lambda values: model.predict_proba(values)[:, 1]


def answer_columns(original: Original, answers: np.ndarray, index: pd.Index) -> pd.DataFrame:
    """The column `expected`, or for many classes `expected:class` of each."""
    if answers.ndim == 1:
        return pd.DataFrame({ANSWERS: answers}, index=index)
    classes = original.classes or range(answers.shape[1])
    return pd.DataFrame(answers, index=index, columns=[f"{ANSWERS}:{spelled(one)}" for one in classes])


def is_regressor(model: Any) -> bool:
    """Whether scikit-learn, on which the classes of all three libraries build, calls it a regression."""
    from sklearn.base import is_regressor

    return is_regressor(model)


def describe_lightgbm(model: Any) -> Original:
    """A Booster, or an estimator, which writes the same file."""
    is_booster = is_a(model, "lightgbm", "Booster")
    booster = model if is_booster else model.booster_
    text = booster.model_to_string(num_iteration=1)
    objective = (line_of(text, "objective=") or "custom").split()[0]
    # The file has the objective, not the classes of the estimator, so that decides.
    kind = kind_of_objective(objective, LIGHTGBM_OBJECTIVES, LIGHTGBM_CLASSES)
    classes = [] if is_booster or kind == "score" else kind_of(model)[1]
    names = booster.feature_name()
    return Original(
        library="LightGBM",
        file="model.txt",
        save=lambda path: booster.save_model(str(path)),
        kind=kind,
        answer=booster.predict if is_booster else answer_of(model, kind),
        names=names,
        inputs=len(names),
        classes=classes,
        categories=lightgbm_categories(booster, names, text),
        is_native=True,
    )


def kind_of_objective(objective: str, of_two: set[str], of_many: set[str]) -> str:
    """What a booster of this objective answers."""
    return "probability" if objective in of_two else "classes" if objective in of_many else "score"


def line_of(text: str, start: str) -> str | None:
    """The rest of the first line with this start."""
    found = re.search(rf"^{re.escape(start)}(.*)$", text, re.MULTILINE)
    return found[1].strip() if found else None


def lightgbm_categories(booster: Any, names: list[str], text: str) -> dict[str, list[Any]]:
    """The lists in the order of the category columns, whose positions are among the parameters."""
    lists = booster.pandas_categorical or []
    places = re.search(r"^\[categorical_feature: ([\d,]+)\]$", text, re.MULTILINE)
    places = [int(place) for place in places[1].split(",")] if places else []
    if len(places) != len(lists):
        # A column that never varied has `none` instead of its categories.
        infos = (line_of(text, "feature_infos=") or "").split()
        places = [place for place, info in enumerate(infos) if not info.startswith("[") and info != "none"]
    if len(places) != len(lists):
        return {}
    return {names[place]: list(words) for place, words in zip(places, lists)}


def describe_xgboost(model: Any) -> Original:
    """A Booster, or an estimator, which also writes the best iteration of early stopping."""
    is_booster = is_a(model, "xgboost", "Booster")
    booster = model if is_booster else model.get_booster()
    objective = json.loads(booster.save_config())["learner"]["objective"]["name"]
    kind = kind_of_objective(objective, XGBOOST_OBJECTIVES, XGBOOST_CLASSES)
    classes = [] if is_booster or kind == "score" else kind_of(model)[1]
    names = booster.feature_names
    # Inputs of a model without names are f0, f1, .. .
    keys = names or [f"f{place}" for place in range(booster.num_features())]
    native = {key for key, kind in zip(keys, booster.feature_types or []) if kind == "c"}
    categories = xgboost_categories(booster, keys) if native else {}
    return Original(
        library="XGBoost",
        file="model.ubj",
        save=lambda path: model.save_model(str(path)),
        kind=kind,
        answer=lambda frame: xgboost_answer(model, booster, kind, frame if names else frame.to_numpy()),
        names=names,
        inputs=booster.num_features(),
        classes=classes,
        categories=categories,
        is_native=True,
        coded=native - set(categories),
        marker=None if is_booster or np.isnan(model.missing) else float(model.missing),
    )


def xgboost_answer(model: Any, booster: Any, kind: str, values: Any) -> np.ndarray:
    """The answer as the model's own interface gives it: a Booster takes all rounds, an estimator the best."""
    if model is not booster:
        return answer_of(model, kind)(values)
    import xgboost

    types = booster.feature_types if isinstance(values, np.ndarray) else None
    data = xgboost.DMatrix(values, feature_types=types, enable_categorical=True)
    if kind != "classes":
        return booster.predict(data)
    # A booster of multi:softmax would answer the class.
    scores = booster.predict(data, output_margin=True)
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def xgboost_categories(booster: Any, names: list[str]) -> dict[str, list[Any]]:
    """The lists that XGBoost 3.1 and newer keep in the model, read from its JSON: `get_categories` needs pyarrow."""
    document = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]
    # DART keeps its trees one level deeper.
    trees = document.get("model") or document["gbtree"]["model"]
    found = {}
    for name, words in zip(names, trees.get("cats", {}).get("enc", [])):
        values, offsets = words["values"], words.get("offsets")
        if offsets is not None:
            text = bytes(value & 0xFF for value in values)
            if not text.isascii():
                # XGBoost 3.2 counts characters where it cuts bytes, so the saved words are wrong.
                raise ExportError(
                    f"{name}: words with letters beyond ASCII, which XGBoost cuts at the wrong places when it saves "
                    "them; train with other names for these categories, or encode them before the model"
                )
            values = [text[start:end].decode() for start, end in zip(offsets, offsets[1:])]
        if values:
            found[name] = values
    return found


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


# Which rows and columns.


def as_frame(X: Any) -> pd.DataFrame:
    """The data with its rows numbered from 0 and names that are texts."""
    frame = X if isinstance(X, pd.DataFrame) else pd.DataFrame(np.asarray(X))
    names = [str(name) if isinstance(X, pd.DataFrame) else f"f{name}" for name in frame.columns]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ExportError(f"the data has the column {quoted(repeated)} more than once")
    return frame.set_axis(names, axis=1).reset_index(drop=True)


def columns_of(original: Original, columns: list[str], target: str | None) -> list[str]:
    """The columns of the data that are the inputs, in the order of the model."""
    found = named_columns(original, columns, target)
    if target in found:
        raise ExportError(f"target {quoted([target])}: the model takes this column as an input")
    if any(column == ANSWERS or column.startswith(f"{ANSWERS}:") for column in found):
        raise ExportError(
            f"the model has an input {quoted([ANSWERS])}, which is the name of the column with the original's answers; "
            "rename the input and train again"
        )
    return found


def named_columns(original: Original, columns: list[str], target: str | None) -> list[str]:
    others = [column for column in columns if column != target]
    if original.names is None or is_numbered(original.names, columns):
        if original.inputs not in (None, len(others)):
            raise ExportError(
                f"the model was fitted without names on {original.inputs} inputs, and the data has {len(others)} "
                f"columns{' besides the target' if target in columns else ''}: {quoted(others)}. Give data with "
                "exactly the inputs, in the order of the training"
            )
        return others
    # LightGBM writes `_` for a blank in a name.
    by_name = {re.sub(r"\s", "_", column): column for column in columns} if original.library == "LightGBM" else {}
    by_name.update((column, column) for column in columns)
    absent = [name for name in original.names if name not in by_name]
    if absent:
        raise ExportError(
            f"the data has no column {quoted(absent)}, which the model takes; it has {quoted(columns)}. If the columns "
            "are made before the model sees them, call export(model, X, folder) with the finished frame"
        )
    return [by_name[name] for name in original.names]


def is_numbered(names: list[str], columns: list[str]) -> bool:
    """Whether the library numbered the inputs because it was given none."""
    numbered = [f"Column_{place}" for place in range(len(names))]
    return names == numbered and not set(names) <= set(columns)


def answerable(original: Original, frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The rows that the model can answer, and what was left out."""
    notes = []
    infinite = np.zeros(len(frame), dtype=bool)
    for column in frame.select_dtypes("number").columns:
        infinite |= np.isinf(frame[column].to_numpy(dtype=float, na_value=np.nan))
    if infinite.any():
        notes.append(f"{infinite.sum()} rows with infinite numbers are left out: serin takes finite numbers")
        frame = frame[~infinite]
    incomplete = frame.isna().any(axis=1)
    if incomplete.any():
        cause = refusal(original, frame[incomplete].head(50))
        # A model without missing values in its training may refuse them: never ask it for what it cannot answer.
        if cause is not None and not incomplete.all() and refusal(original, frame[~incomplete].head(50)) is None:
            why = str(cause).splitlines()[0]
            notes.append(f"{incomplete.sum()} rows with missing values are left out: the model refuses them ({why})")
            frame = frame[~incomplete]
    if frame.empty:
        raise ExportError("the data has no rows that the model can answer")
    return frame.reset_index(drop=True), notes


def refusal(original: Original, frame: pd.DataFrame) -> Exception | None:
    """The model's error for these rows, if it has one."""
    try:
        original.answer(frame)
    except Exception as cause:
        return cause
    return None


def sample(frame: pd.DataFrame, rows: int) -> list[int]:
    """Positions of rows that show what the data can look like.

    Up to half of them are special: the least and the largest of each number, rows with a missing value in each
    column, and the rarest words. The others are spread evenly over the data.
    """
    if len(frame) <= rows:
        return list(range(len(frame)))
    special = [*extremes(frame), *missing(frame), *rare_words(frame)]
    chosen = dict.fromkeys(special[: rows // 2])
    spread = np.linspace(0, len(frame) - 1, rows).round().astype(int)
    # More than are needed, because some are chosen already; what is cut comes from all parts of the data.
    left = [place for place in dict.fromkeys(spread.tolist()) if place not in chosen]
    keep = np.linspace(0, len(left) - 1, rows - len(chosen)).round().astype(int) if left else []
    return sorted({*chosen, *(left[place] for place in keep)})


def extremes(frame: pd.DataFrame) -> Iterable[int]:
    for column in frame.select_dtypes("number").columns:
        values = frame[column].to_numpy(dtype=float, na_value=np.nan)
        if not np.isnan(values).all():
            yield int(np.nanargmin(values))
            yield int(np.nanargmax(values))


def missing(frame: pd.DataFrame, most: int = 3) -> Iterable[int]:
    for column in frame.columns:
        yield from np.flatnonzero(frame[column].isna())[:most].tolist()


def rare_words(frame: pd.DataFrame, most: int = 32) -> Iterable[int]:
    for column in frame.select_dtypes(exclude="number").columns:
        first = frame.index.to_series().groupby(frame[column], observed=True).agg(["size", "first"])
        yield from first.sort_values("size", kind="stable")["first"].head(most).tolist()


def ask(original: Original, frame: pd.DataFrame) -> np.ndarray:
    """The original's answers: a number for each row, or one for each of many classes."""
    try:
        answers = np.asarray(original.answer(frame), dtype=np.float64)
    except Exception as cause:
        raise ExportError(
            f"the model cannot answer the rows: {cause}. Give the data as the model was trained on it, or call "
            "export(model, X, folder) with the finished frame"
        ) from cause
    if original.kind != "classes":
        answers = answers.ravel()
    if len(answers) != len(frame) or not np.isfinite(answers).all():
        raise ExportError("the model's answers are not finite numbers, one answer for each row")
    if original.kind != "score" and not ((answers >= 0) & (answers <= 1)).all():
        raise ExportError("the model's answers are not probabilities")
    return answers


# How values are written.


def as_numbers_and_words(frame: pd.DataFrame) -> pd.DataFrame:
    """The inputs as they arrive in a request: numbers are float64, as in JSON, and there are no dates.

    A model behind a scaler that is given float32 would compute in float32, and a tree behind it might take another
    leaf; the values themselves do not change.
    """
    columns = {}
    for name in frame.columns:
        column = frame[name]
        kind = column.dtype
        if pd.api.types.is_datetime64_any_dtype(kind) or pd.api.types.is_timedelta64_dtype(kind):
            raise ExportError(f"column {quoted([name])} has dates; serin takes numbers and words")
        if pd.api.types.is_bool_dtype(kind) and pd.api.types.is_extension_array_dtype(kind) and kind != "category":
            column = column.astype("float64") if column.isna().any() else column.astype(bool)
        elif pd.api.types.is_float_dtype(kind) or (
            pd.api.types.is_numeric_dtype(kind) and pd.api.types.is_extension_array_dtype(kind)
        ):
            column = column.astype("float64")
        columns[name] = column
    return pd.DataFrame(columns)


def as_sent(original: Original, frame: pd.DataFrame) -> pd.DataFrame:
    """The inputs as a client sends them: words as words, flags as the model takes them, a missing value as nothing."""
    by_column = dict(zip(frame.columns, original.names or frame.columns))
    sent = {}
    for name in frame.columns:
        column, key = frame[name], by_column[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            if key in original.coded:
                # The file has no list: its categories are positions, and -1 is a missing value.
                codes = column.cat.codes
                sent[name] = codes.astype(object).where(codes >= 0, None)
                continue
            column = column.astype(object)
        is_word = has_words(original, original.categories.get(key, []))
        sent[name] = column.map(lambda value: flag(value, is_word) if isinstance(value, (bool, np.bool_)) else value)
    return pd.DataFrame(sent)


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Writes numbers with all their digits, and texts in quotes, in which no mark can pass for a separator."""
    frame.to_csv(path, index=False, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)


def has_words(original: Original, levels: list[Any]) -> bool:
    """Whether an input takes words. scikit-learn keeps a list of flags alone as an array of numbers."""
    return any(isinstance(level, (str, bool)) or original.is_native and isinstance(level, np.bool_) for level in levels)


def flag(value: bool, is_word: bool) -> str | int:
    """A flag is `true` or `false` among words, and 1 or 0 among numbers."""
    return str(bool(value)).lower() if is_word else int(value)


def positions(original: Original, frame: pd.DataFrame) -> list[str]:
    """What a request must send for the words of a category whose file has no list of them."""
    notes = []
    for name, key in zip(frame.columns, original.names or []):
        if key in original.coded and isinstance(frame[name].dtype, pd.CategoricalDtype):
            numbered = ", ".join(f"{place} for `{word}`" for place, word in enumerate(frame[name].cat.categories[:5]))
            numbered += ", .." if len(frame[name].cat.categories) > 5 else ""
            notes.append(f"column {quoted([name])}: the file has no list of its words, so requests send {numbered}")
    return notes


def misread_words(sent: pd.DataFrame) -> list[str]:
    """Words that serin reads in another way than the model: markers of missing values, and blanks around a word."""
    notes = []
    for name in sent.columns:
        words = {word for word in sent[name].tolist() if isinstance(word, str)}
        markers = sorted(word for word in words if word.strip() in MISSING_WORDS or not word.strip())
        if markers:
            notes.append(f"column {quoted([name])}: {quoted(markers)} is a word for the model, and missing for serin")
        blanks = sorted(word for word in words - set(markers) if word != word.strip())
        if blanks:
            notes.append(f"column {quoted([name])}: serin removes the blanks around {quoted(blanks[:5])}")
    return notes


def positive_word(classes: list[Any], target: str | None, positive: Any, labels: pd.Series | None) -> str | None:
    """The target's value that the probability belongs to, which is the second class."""
    if target is None:
        if positive is not None:
            raise ExportError("positive: name the target as well, the column that the model predicts")
        return None
    words = [spelled(one) for one in (classes or [0, 1])]
    seen = None if labels is None else {spelled(one) for one in labels.dropna().unique()}
    if positive is None:
        if seen is not None and words[1] not in seen:
            raise ExportError(
                f"positive: the model's classes are {quoted(words)}, and {target} has {quoted(sorted(seen)[:8])}; "
                f"say which of these is {words[1]}"
            )
        return words[1]
    positive = spelled(positive)
    if positive == words[0]:
        raise ExportError(
            f"positive: {positive} is the first class of the model, and serin serves the probability of the second, "
            f"{words[1]}"
        )
    if seen is not None and positive not in seen:
        raise ExportError(f"positive: {target} has no value {quoted([positive])}; it has {quoted(sorted(seen)[:8])}")
    # A target that was encoded as 0 and 1 before the training may have any words in the data.
    if positive != words[1] and words != ["0", "1"] and words != ["False", "True"]:
        raise ExportError(f"positive: {positive} is not a class of the model; its classes are {quoted(words)}")
    return positive


def spelled(value: Any) -> str:
    """A class or a label as a CSV file has it."""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def quoted(names: Iterable[Any]) -> str:
    return ", ".join(f"`{name}`" for name in names)


# Files.


def load_model(path: Path) -> Any:
    """The model in a file: a booster's own format, skops, or a pickle, which may be compressed by joblib."""
    if not path.is_file():
        raise ExportError(f"{path}: no such file")
    head = path.read_bytes()[:64]
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
        raise ExportError(f"{path}: {cause}; run this script in the Python environment of the model") from cause
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
        raise ExportError(f"the model needs {library}: run this script in the model's Python environment") from cause


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
            "XGBoost keeps from version 3.1 on; call export(model, X, folder) with the training's frame"
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


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Write a trained model and its answers for `serin import`. Loading a pickle runs the code in it: "
        "give only files that you trust.",
        epilog="example: python to_serin.py churn.pkl customers.csv --target Churn --positive Yes -o churn",
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        type=Path,
        help="pickle, joblib or cloudpickle file, .skops, LightGBM's text, or XGBoost's .json, .ubj or binary",
    )
    parser.add_argument(
        "data", metavar="DATA", type=Path, help="CSV file with the model's inputs; other columns are ignored"
    )
    parser.add_argument(
        "-o", "--out", metavar="DIR", type=Path, default=Path("."), help="folder to write to (default: this one)"
    )
    parser.add_argument("--target", metavar="COL", help="column that the model predicts")
    parser.add_argument(
        "--positive", metavar="VALUE", help="value of the target that the model gives the probability of"
    )
    parser.add_argument(
        "--rows", metavar="N", type=int, default=ROWS, help="most rows in expected.csv (default: %(default)s)"
    )
    return parser.parse_args()


def main() -> int:
    args = arguments()
    try:
        original = describe(load_model(args.model))
        data = as_frame(read_data(args.data, original, args.target))
        print(export_original(original, data, args.out, args.target, args.positive, args.rows))
    except (ExportError, OSError) as problem:
        print(f"to_serin: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
