"""Models of LightGBM and XGBoost."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np

from ..errors import ExportError
from .original import Original
from .original import answer_of
from .original import is_a
from .original import kind_of

# Objectives whose answer is one probability, and those that answer one for each class. The others give a score.
LIGHTGBM_OBJECTIVES = {"binary", "cross_entropy", "xentropy"}
XGBOOST_OBJECTIVES = {"binary:logistic", "reg:logistic"}
LIGHTGBM_CLASSES = {"multiclass", "multiclassova"}
XGBOOST_CLASSES = {"multi:softprob", "multi:softmax"}


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
    line = re.search(r"^\[categorical_feature: ([\d,]+)\]$", text, re.MULTILINE)
    places = [int(place) for place in line[1].split(",")] if line else []
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


def xgboost_answer(model: Any, booster: Any, kind: str, values: Any) -> Any:
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
