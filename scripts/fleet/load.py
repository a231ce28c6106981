"""A constant load of predictions, and what each answer says of the replica that gave it."""

from __future__ import annotations

import base64
import http.client
import json
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

from fleet.shared import check

# Answers that are awaited longer have failed: nginx asks each replica for two seconds.
TIMEOUT = 15.0


#: Connections of a load, each with one request at a time.
THREADS = 6


@dataclass(frozen=True)
class Answer:
    """An answer to a prediction. Times are seconds since 1970 by this machine's clock."""

    sent: float
    received: float
    track: str
    version: str
    rollout: int
    step: int
    #: Port of the replica that answered.
    port: int
    #: How many replicas had been asked before.
    retries: int


def rows(count: int = 200) -> list[bytes]:
    """Bodies as varied as what the demo models were trained on."""
    draws = random.Random(17)

    def body() -> bytes:
        features = [
            min(draws.expovariate(0.5), 12),
            draws.uniform(0.6, 1.6),
            draws.uniform(0.5, 1.7),
            draws.random() ** 2,
            draws.expovariate(1.25),
        ]
        return json.dumps({"features": features}).encode()

    return [body() for _ in range(count)]


def drawn_in(prediction_id: str) -> tuple[int, int]:
    """Rollout and step in which the request was drawn. src/canary/traffic/prediction_id.rs says where they are."""
    head = base64.urlsafe_b64decode(prediction_id[:24])
    return int.from_bytes(head[8:14], "little"), int.from_bytes(head[4:8], "little")


class Load:
    """Threads that send predictions to these addresses, each on a connection that stays open."""

    def __init__(self, addresses: Sequence[str], per_second: float = 120, threads: int = THREADS) -> None:
        self.answers: list[Answer] = []
        self.failures: list[str] = []
        self._is_over, self._pause = threading.Event(), threads / per_second
        self._threads = [
            threading.Thread(target=self._send, args=(addresses[number % len(addresses)], number))
            for number in range(threads)
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Waits for the answers that are on their way."""
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def check(self) -> None:
        """No prediction failed."""
        check(not self.failures, "failed predictions", f"none of {len(self.answers)}", "\n".join(self.failures[:20]))

    def _send(self, address: str, number: int) -> None:
        bodies = rows()
        connection = http.client.HTTPConnection(address, timeout=TIMEOUT)
        port = int(address.rpartition(":")[2])
        at = time.monotonic() + self._pause * random.Random(number).random()
        while not self._is_over.wait(max(0.0, at - time.monotonic())):
            at = max(at + self._pause, time.monotonic() - 1.0)
            number += 1
            sent = time.time()
            try:
                connection.request(
                    "POST", "/predict", bodies[number % len(bodies)], {"Content-Type": "application/json"}
                )
                answer = connection.getresponse()
                body = answer.read()
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(f"{clock(sent)}, after {time.time() - sent:.3f} s: {error!r}")
                connection.close()
                continue
            received = time.time()
            upstream = (answer.getheader("x-upstream") or "").split(", ")
            if answer.status != 200:
                tried = f"{', '.join(upstream)}: {answer.getheader('x-upstream-status')}"
                self.failures.append(
                    f"{clock(sent)}, after {received - sent:.3f} s: {answer.status} ({tried}) {body[:300]!r}"
                )
                continue
            said = json.loads(body)
            rollout, step = drawn_in(said["prediction_id"])
            by = int(upstream[-1].rpartition(":")[2]) if upstream[-1] else port
            track, version = said["model_used"], said["model_version"]
            self.answers.append(Answer(sent, received, track, version, rollout, step, by, len(upstream) - 1))
        connection.close()


def clock(moment: float) -> str:
    """A time as the logs of serin have it."""
    return time.strftime("%H:%M:%S", time.gmtime(moment)) + f".{int(moment % 1 * 1000):03d}Z"
