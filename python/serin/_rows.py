"""Rows for a request: dicts, sequences and DataFrames as JSON, in requests that the server accepts."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from itertools import islice
from itertools import zip_longest
from typing import TYPE_CHECKING
from typing import Any
from typing import TypeVar

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")

# What the server takes in one request, with room for the rest of the body.
MAX_ROWS = 10_000
MAX_BYTES = 4 << 20


def is_frame(value: Any) -> bool:
    """Whether it is a DataFrame, without an import of pandas."""
    return _is_of_pandas(value, "DataFrame")


def is_series(value: Any) -> bool:
    """Whether it is a Series."""
    return _is_of_pandas(value, "Series")


def _is_of_pandas(value: Any, name: str) -> bool:
    return any(one.__name__ == name and one.__module__.split(".")[0] == "pandas" for one in type(value).__mro__)


def as_rows(rows: Any) -> list[Any]:
    """Many rows as a list; a DataFrame gives one dict a row."""
    if is_frame(rows):
        return from_frame(rows)
    if is_series(rows):
        return [rows.to_dict()]
    if hasattr(rows, "tolist"):
        # An array of numpy.
        return list(rows.tolist())
    return list(rows)


def from_frame(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """One dict a row, with None for a missing value."""
    names = [str(name) for name in frame.columns]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"the frame has the column {', '.join(repeated)} more than once")
    for name, kind in zip(names, frame.dtypes):
        if getattr(kind, "kind", "O") in "mM":
            raise ValueError(f"column {name} has dates; serin takes numbers and words")
    columns = frame.astype(object)
    values = columns.where(frame.notna(), None).to_numpy().tolist()
    return [dict(zip(names, row)) for row in values]


def is_flag(value: Any) -> bool:
    """Whether it is a boolean, also one of numpy."""
    kind = type(value)
    return kind is bool or kind.__module__ == "numpy" and kind.__name__ in ("bool", "bool_")


def has_flags(row: Any) -> bool:
    """Whether a row has booleans among its values."""
    if isinstance(row, Mapping):
        return any(map(is_flag, row.values()))
    return not isinstance(row, (str, bytes)) and hasattr(row, "__iter__") and any(map(is_flag, row))


def without_flags(row: Any, is_word: Mapping[str, bool]) -> Any:
    """A row with 1 and 0 for booleans, or `true` and `false` where the feature of this name or place takes words."""
    if isinstance(row, Mapping):
        return {name: flag(value, is_word.get(str(name), False)) for name, value in row.items()}
    return [flag(value, word) for value, word in zip_longest(row, islice(is_word.values(), len(row)))]


def flag(value: Any, is_word: bool) -> Any:
    """A value as it is sent, which is never a boolean."""
    if not is_flag(value):
        return value
    return str(bool(value)).lower() if is_word else int(value)


def encode(body: Any) -> bytes:
    """JSON of a body. Numbers of numpy and missing values of pandas are allowed."""
    try:
        return json.dumps(body, default=plain, allow_nan=False, separators=(",", ":")).encode()
    except ValueError:
        # Rare, so only now is each value looked at.
        return json.dumps(finite(body), default=plain, allow_nan=False, separators=(",", ":")).encode()


def plain(value: Any) -> Any:
    """What json does not know: values of numpy and pandas."""
    if is_series(value):
        return finite(value.to_dict())
    if is_frame(value):
        return from_frame(value)
    if hasattr(value, "tolist"):
        # Arrays and numbers of numpy. A number that is missing comes back through `finite`.
        return finite(value.tolist())
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, (set, frozenset, Iterator)) or not isinstance(value, Mapping) and hasattr(value, "__iter__"):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__}: not a value for a request; use numbers, texts, booleans and None")


def finite(value: Any, place: str = "") -> Any:
    """The same with None instead of NaN; infinity is an error that names its place."""
    if isinstance(value, float):
        if math.isinf(value):
            raise ValueError(f"{place or 'a value'}: infinity is not a value; use a finite number, or None if missing")
        return None if math.isnan(value) else value
    if isinstance(value, Mapping):
        return {name: finite(one, f"{place}.{name}" if place else str(name)) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(one, f"{place}[{number}]") for number, one in enumerate(value)]
    return value


def bodies(rows: Sequence[Any], others: Mapping[str, Any]) -> Iterator[bytes]:
    """The bodies of the requests that these rows need, in their order."""
    rest = b"".join(b"," + encode(name) + b":" + encode(value) for name, value in others.items())
    part: list[bytes] = []
    size = 0
    for row in rows:
        text = encode(row)
        if part and (len(part) == MAX_ROWS or size + len(text) > MAX_BYTES):
            yield _body(part, rest)
            part, size = [], 0
        part.append(text)
        size += len(text) + 1
    if part:
        yield _body(part, rest)


def _body(rows: Sequence[bytes], rest: bytes) -> bytes:
    return b'{"instances":[' + b",".join(rows) + b"]" + rest + b"}"


def chunks(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Parts of at most this size."""
    return (values[start : start + size] for start in range(0, len(values), size))
