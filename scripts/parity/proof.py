"""One model: trained, exported, imported, served, and compared answer by answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from .data import HOLDOUT
from .data import UNSEEN
from .data import Data
from .data import with_unseen_words
from .importing import exported_as_onnx
from .importing import exported_to
from .importing import run_import
from .models import Case
from .server import serving

# Rows of a batch that is timed, and requests of one row that are timed.
BATCH, SINGLES = 1_000, 200


@dataclass
class Line:
    """One line of the table."""

    name: str
    rows: int
    largest: float
    above: int
    import_seconds: float
    batch: float
    single: float
    original_batch: float
    original_single: float

    HEADER = (
        f"{'':20} {'rows':>5} {'largest':>9} {'rows above':>10} {'import':>7}   "
        f"{'serin, us a row':>19}   {'original, us a row':>19}\n"
        f"{'model':20} {'':>5} {'difference':>10}{'limit':>10} {'s':>7}   "
        f"{'batch':>9} {'single':>9}   {'batch':>9} {'single':>9}"
    )

    def __str__(self) -> str:
        return (
            f"{self.name:20} {self.rows:5} {self.largest:9.1e} {self.above:10} {self.import_seconds:7.2f}   "
            f"{self.batch:9.1f} {self.single:9.1f}   {self.original_batch:9.1f} {self.original_single:9.1f}"
        )


def prove(case: Case, data: Data, serin: Path, folder: Path) -> Line:
    """Trains, exports, imports, serves and compares one model."""
    training, sent = case.frame[:-HOLDOUT], with_unseen_words(case.frame[-HOLDOUT:])
    # A library's category column has no place for a word that training did not see: it is missing there.
    holdout = sent.copy()
    for column in training.select_dtypes("category").columns:
        holdout[column] = pd.Categorical(
            sent[column].where(sent[column] != UNSEEN), categories=training[column].cat.categories
        )
    case.model.fit(training, case.target(data)[:-HOLDOUT])
    frame = training.join(data.target)
    exported = exported_to(folder, case, frame) if case.as_onnx is None else exported_as_onnx(case, training, folder)
    import_seconds = run_import(serin, exported)
    expected = case.answer(holdout)
    models = folder / "models"
    models.mkdir()
    (folder / "model.bin").rename(models / "model.bin")
    with serving(serin, models, "model.bin") as server:
        rows = server.rows(sent)
        answers = np.array(server.answers(rows, case))
        batch = 1e6 * timed(server.request(rows[:BATCH]), 9) / min(BATCH, len(rows))
        single = 1e6 * timed_each(server.request(rows[place : place + 1]) for place in range(SINGLES))
    # Of a number above 1 as a share of it, and of many classes the largest.
    differences = np.abs(answers - expected) / np.maximum(np.abs(expected), 1)
    differences = differences.reshape(len(rows), -1).max(axis=1)
    original_batch = 1e6 * timed(lambda: case.answer(holdout[:BATCH]), 5) / len(holdout[:BATCH])
    original_single = 1e6 * timed(lambda: case.answer(holdout[:1]), 15)
    return Line(
        case.name,
        len(rows),
        float(differences.max()),
        int((differences > case.tolerance).sum()),
        import_seconds,
        batch,
        single,
        original_batch,
        original_single,
    )


def timed(work: Callable[[], Any], rounds: int) -> float:
    """Median of the seconds, after one round that does not count."""
    return timed_each([work] * (rounds + 1))


def timed_each(works: Any) -> float:
    seconds = []
    for work in works:
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return median(seconds[1:])
