"""Which columns and rows of the data go into an export."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from ..errors import ExportError
from .original import Original
from .original import quoted
from .original import spelled

# The column of the original's answers.
ANSWERS = "expected"


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
    if spaced := [column for column in found if column != column.strip()]:
        raise ExportError(
            f"column {quoted(spaced)}: blanks around a name are lost in CSV files; train with names that have none"
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
            "are made before the model sees them, call serin.export(model, X, path) with the finished frame"
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
            "serin.export(model, X, path) with the finished frame"
        ) from cause
    if original.kind != "classes":
        answers = answers.ravel()
    if len(answers) != len(frame) or not np.isfinite(answers).all():
        raise ExportError("the model's answers are not finite numbers, one answer for each row")
    if original.kind != "score" and not ((answers >= 0) & (answers <= 1)).all():
        raise ExportError("the model's answers are not probabilities")
    return answers


def answer_columns(original: Original, answers: np.ndarray, index: pd.Index) -> pd.DataFrame:
    """The column `expected`, or for many classes `expected:class` of each."""
    if answers.ndim == 1:
        return pd.DataFrame({ANSWERS: answers}, index=index)
    classes = original.classes or range(answers.shape[1])
    return pd.DataFrame(answers, index=index, columns=[f"{ANSWERS}:{spelled(one)}" for one in classes])
