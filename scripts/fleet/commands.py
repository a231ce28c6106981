"""People who send commands to any replica, one after the other, and remember what each was answered."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from fleet.replicas import Replica
from fleet.shared import check

TIMEOUT = 8.0

#: Shares that people set.
SHARES = [10, 25, 40, 60]

#: A rollout that takes some seconds, so that its steps, and a person's, meet each fault.
PLAN = {
    "steps": [{"weight": weight, "bake": "300ms"} for weight in (10, 20, 30, 40, 50)],
    "warm_up": "0s",
    "min_samples": 5,
    "look": "100ms",
    "deadline": "5m",
    "cool_down": "1s",
}

#: The two models of the demo score differently, which nobody should be asked about.
POLICY = {"expect_shift": True}


@dataclass(frozen=True)
class Command:
    """A command and its answer; status 0 if there was none."""

    path: str
    body: Any
    replica: str
    sent: float
    answered: float
    status: int
    answer: Any

    @property
    def is_acknowledged(self) -> bool:
        return self.status == 200


class Person:
    """Sends commands in a thread until the end of the block."""

    def __init__(self, replicas: Sequence[Replica], seed: int) -> None:
        self.sent: list[Command] = []
        self.error: BaseException | None = None
        self._replicas, self._random = replicas, random.Random(seed)
        self._is_over, self._thread = threading.Event(), threading.Thread(target=self._run)

    def __enter__(self) -> Person:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        self._is_over.set()
        self._thread.join()

    def act(self) -> None:
        """One round of commands."""
        raise NotImplementedError

    def command(self, path: str, body: Any = None, most: float = 0.3) -> Command | None:
        """Sends a command to some replica that is up, then waits a moment. The answer, if it is 200."""
        up = [replica for replica in self._replicas if replica.is_up]
        if not up:
            self._is_over.wait(0.1)
            return None
        replica, sent = self._random.choice(up), time.time()
        try:
            status, answer = replica.ask("POST", f"/admin/{path}", body, TIMEOUT)
        except (OSError, http.client.HTTPException) as error:
            status, answer = 0, repr(error)
        command = Command(path, body, str(replica), sent, time.time(), status, answer)
        self.sent.append(command)
        self.wait(self._random.uniform(0, most))
        return command if command.is_acknowledged else None

    def wait(self, seconds: float) -> bool:
        """Whether it is over."""
        return self._is_over.wait(seconds)

    def _run(self) -> None:
        try:
            while not self._is_over.is_set():
                self.act()
        except BaseException as error:  # noqa: BLE001 the main thread raises it
            self.error = error


class Operator(Person):
    """Deploys, changes shares, slows down, pauses, and ends each rollout by a promotion or a rollback."""

    def deploy(self, **how: Any) -> Command | None:
        """Ends what runs, and deploys the version that is not stable."""
        done = self.command("rollback-canary", {"reason": "the next one"})
        if done is None or self._is_over.is_set():
            return None
        model = "model_v1" if done.answer["stable"]["version"] == "model_v2" else "model_v2"
        always = {"override_quarantine": True, "reason": "a test of faults"}
        return self.command("deploy-canary", {"model_path": f"{model}.bin", **always, **how})

    def act(self) -> None:
        if self.deploy(traffic_percent=self._random.choice(SHARES)) is None:
            return
        steps: list[Callable[[], Any]] = [
            lambda: self.command("set-traffic", {"percent": self._random.choice(SHARES)}),
            lambda: self.command("toggle-slowdown", {"enabled": self._random.random() < 0.5, "delay_ms": 5}),
            lambda: self.command("pause-canary"),
            lambda: self.command("resume-canary"),
        ]
        for _ in range(self._random.randrange(4)):
            self._random.choice(steps)()
        if self._random.random() < 0.6:
            self.command("promote-canary", {"force": True, "reason": "a test of faults"})


class Planner(Operator):
    """Deploys by plan, and leaves it to serin to advance, most of the time."""

    def act(self) -> None:
        if self.deploy(plan=PLAN, policy=POLICY) is None:
            return
        self.wait(self._random.uniform(1, 6))


class Idle(Person):
    """Sends nothing: the fault itself does."""

    def act(self) -> None:
        self.wait(0.1)


class Colleague(Person):
    """Sends commands at the same time as another person."""

    def act(self) -> None:
        path, body = self._random.choice(
            [("set-traffic", {"percent": share}) for share in SHARES]
            + [("pause-canary", None), ("resume-canary", None)]
        )
        self.command(path, body, 0.8)


def check_statuses(commands: Sequence[Command]) -> None:
    """Each command was done, refused in the state it met, or not possible at the time."""
    # 408 from a replica that was halted while it read the command.
    odd = [command for command in commands if command.status not in (0, 200, 408, 409, 503)]
    check(not odd, "answers to commands", "200, 408, 409, 503, or none", odd[:5])
    # Whatever others do at the same moment, a rollback is possible.
    refused = [command for command in commands if command.path == "rollback-canary" and command.status == 409]
    check(not refused, "answers to rollbacks", "not 409", refused[:5])
