"""Traffic in the background: rows that threads send until they are stopped."""

from __future__ import annotations

import itertools
import threading
import time
from types import TracebackType
from typing import Any
from typing import Callable

from . import _rows
from .answers import Prediction
from .client import Client
from .errors import SerinError

# Errors of which a run of traffic keeps the text.
MAX_ERRORS = 20


class Traffic:
    """Sends rows to a server, one a request and over and over, from threads of its own.

        with serin.Traffic(server.client, rows, per_second=200) as traffic:
            ended = server.client.wait(timeout=60)
        assert traffic.failed == 0

    `rows` are dicts, lists or a DataFrame. `key` gives the key of the n-th request, `on_answer` is called with each
    row and its answer (it may send feedback). A failed request is counted, and its error is in `errors`.
    """

    def __init__(
        self,
        client: Client,
        rows: Any,
        *,
        per_second: float = 100.0,
        threads: int = 4,
        key: Callable[[int], str] | None = None,
        on_answer: Callable[[Any, Prediction], None] | None = None,
    ) -> None:
        if not 0 < per_second < 1e6:
            raise ValueError(f"per_second: {per_second}; use a number of requests above 0, for example 100")
        if threads < 1:
            raise ValueError(f"threads: {threads}; use 1 or more")
        self._client, self._rows = client, _rows.as_rows(rows)
        if not self._rows:
            raise ValueError("rows: none; give at least one row")
        self._pause, self._key, self._on_answer = 1 / per_second, key, on_answer
        self._numbers, self._lock, self._stop = itertools.count(), threading.Lock(), threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]
        self._start = 0.0
        #: Requests that were answered, and those that were not.
        self.sent, self.failed = 0, 0
        #: Answers of each version, by its name.
        self.answered_by: dict[str, int] = {}
        #: The first errors.
        self.errors: list[BaseException] = []

    def __enter__(self) -> Traffic:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        by = "".join(f", {count} by {name}" for name, count in sorted(self.answered_by.items()))
        return f"<serin.Traffic: {self.sent} answered{by}; {self.failed} failed>"

    def start(self) -> Traffic:
        """Begins to send."""
        self._start = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> Traffic:
        """Sends no more, and waits for the answers in flight."""
        self._stop.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        return self

    def _run(self) -> None:
        while not self._stop.is_set():
            number = next(self._numbers)
            # By the clock, so that a slow answer does not lower the rate as long as a thread is free.
            if self._stop.wait(max(0.0, self._start + number * self._pause - time.monotonic())):
                return
            row = self._rows[number % len(self._rows)]
            try:
                answer = self._predict(row, None if self._key is None else self._key(number))
                if self._on_answer is not None:
                    self._on_answer(row, answer)
            except Exception as error:  # noqa: BLE001 the thread must go on, whatever a callback raises
                with self._lock:
                    self.failed += 1
                    if len(self.errors) < MAX_ERRORS:
                        self.errors.append(error)
                if not isinstance(error, SerinError):
                    self._stop.set()
                continue
            with self._lock:
                self.sent += 1
                name = answer.model_version
                self.answered_by[name] = self.answered_by.get(name, 0) + 1

    def _predict(self, row: Any, key: str | None) -> Prediction:
        if isinstance(row, dict):
            return self._client.predict(row, key=key)
        answers: list[Prediction] = self._client.predict([row], key=key)
        return answers[0]
