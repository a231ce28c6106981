"""Rows and answers as every client script of this folder has them, without a package but numpy.

A case is JSON: the server's address, the rows (a list of objects: a number, a word or null for each feature), and the
datatype of each feature. An answer is a list with [numbers, label] of each row; a regression has no label.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass
class Case:
    """What a client sends to a server."""

    address: str
    version: str
    datatypes: dict[str, str]
    rows: list[dict[str, Any]]

    @property
    def is_numeric(self) -> bool:
        """Whether all features fit in one matrix."""
        return set(self.datatypes.values()) == {"FP64"}

    def column(self, name: str) -> np.ndarray:
        """The values of a feature, NaN or an empty word where one is missing."""
        values = [row[name] for row in self.rows]
        if self.datatypes[name] == "FP64":
            return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
        return np.array(["" if value is None else value for value in values], dtype=object)

    def matrix(self) -> np.ndarray:
        """All values, in the order of the features."""
        return np.stack([self.column(name) for name in self.datatypes], axis=1)


def case() -> Case:
    """The case in the file that the command line names."""
    with open(sys.argv[1]) as file:
        return Case(**json.load(file))


def answers(outputs: dict[str, Any]) -> list[list[Any]]:
    """The answers in the output tensors."""
    numbers = next(outputs[name] for name in ["probability", "probabilities", "score"] if name in outputs)
    numbers = np.asarray(numbers, dtype=np.float64)
    labels = [None] * len(numbers) if outputs.get("label") is None else [plain(label) for label in outputs["label"]]
    return [[np.atleast_1d(row).tolist(), label] for row, label in zip(numbers, labels)]


def plain(label: Any) -> Any:
    """A label as JSON has it."""
    if isinstance(label, bytes):
        return label.decode()
    return label if isinstance(label, str) else int(label)
