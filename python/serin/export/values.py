"""How values are written: as a client sends them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..errors import ExportError
from .original import Original
from .original import quoted
from .original import spelled

# Texts that serin reads as missing, as pandas does by default.
MISSING_WORDS = set(
    "#N/A|#N/A N/A|#NA|-1.#IND|-1.#QNAN|-NaN|-nan|1.#IND|1.#QNAN|<NA>|N/A|NA|NULL|NaN|None|n/a|nan|null".split("|")
)


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
        sent[name] = column.map(
            lambda value, is_word=is_word: flag(value, is_word) if isinstance(value, (bool, np.bool_)) else value
        )
    return pd.DataFrame(sent)


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Writes numbers with all their digits, and texts in quotes, in which no mark can pass for a separator."""
    frame.to_csv(path, index=False, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)


def has_words(original: Original, levels: list[Any]) -> bool:
    """Whether an input takes words. scikit-learn keeps a list of flags alone as an array of numbers."""
    return any(isinstance(level, (str, bool)) or original.is_native and isinstance(level, np.bool_) for level in levels)


def flag(value: bool | np.bool_, is_word: bool) -> str | int:
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


def misread_words(original: Original, sent: pd.DataFrame) -> list[str]:
    """Words that serin reads in another way than the model: markers of missing values, and blanks around a word.

    A marker that the model's file lists as a category is a word for serin as well.
    """
    notes = []
    for name, key in zip(sent.columns, original.names or sent.columns):
        words = {word for word in sent[name].tolist() if isinstance(word, str)}
        words -= {word for word in original.categories.get(key, []) if isinstance(word, str) and word == word.strip()}
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
    given = spelled(positive)
    if given == words[0]:
        raise ExportError(
            f"positive: {given} is the first class of the model, and serin serves the probability of the second, "
            f"{words[1]}"
        )
    if seen is not None and given not in seen:
        raise ExportError(f"positive: {target} has no value {quoted([given])}; it has {quoted(sorted(seen)[:8])}")
    # A target that was encoded as 0 and 1 before the training may have any words in the data.
    if given != words[1] and words != ["0", "1"] and words != ["False", "True"]:
        raise ExportError(f"positive: {given} is not a class of the model; its classes are {quoted(words)}")
    return given
