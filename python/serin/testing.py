"""For pytest: a server, traffic, and assertions about a rollout. Installed with the package, nothing to import:

from serin.testing import assert_rolled_back, drive

def test_a_slow_canary_is_rolled_back(serin_server):
    server = serin_server()
    server.client.slow_down(25)
    server.client.deploy("model_v2.bin", steps="10%:5s,50%:5s")
    with drive(server.client, ROWS):
        assert_rolled_back(server.client, timeout=60, because="latency")
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any
from typing import Protocol

from .answers import Ended
from .answers import Health
from .client import Client
from .errors import ApprovalNeededError
from .errors import SerinError
from .errors import WaitTimeoutError
from .server import Server
from .traffic import Traffic

#: Traffic as a context manager: `with drive(client, rows, per_second=200):`.
drive = Traffic


class StartServer(Protocol):
    """What the fixture `serin_server` is: it takes what `Server` takes, and starts it."""

    def __call__(self, models: Any = None, **arguments: Any) -> Server: ...


def _started_servers() -> Iterator[StartServer]:
    servers: list[Server] = []

    def start(models: Any = None, **arguments: Any) -> Server:
        server = Server(models, **arguments)
        servers.append(server)
        return server.start()

    yield start
    for server in servers:
        server.stop()
        # pytest shows it for a test that failed.
        sys.stderr.write(server.log())


try:
    import pytest
except ImportError:  # the assertions work without pytest
    pass
else:

    @pytest.fixture
    def serin_server() -> Iterator[StartServer]:
        """Starts servers for one test: `server = serin_server(models={"v1": fitted}, X=rows)`."""
        yield from _started_servers()


def wait_for_verdict(client: Client, timeout: float = 60.0, *, poll: float = 0.2) -> str:
    """Waits for a verdict on the canary, with traffic in the background: `promote` or `rollback`.

    Of a rollout by plan it is what serin did; one that ended without a verdict gives `no_verdict`. Of a rollout that a
    person decides it is the verdict of the sequential judge, which stays valid however often it is read.
    """
    end = time.monotonic() + timeout
    while True:
        status = client.status()
        if status.rollout is None:
            if status.last_rollout is None:
                raise SerinError("no rollout was started yet; start one with deploy")
            return {"promoted": "promote", "no_verdict": "no_verdict"}.get(status.last_rollout.outcome, "rollback")
        health: Health | None = client.check() if status.mode == "manual" else None
        if health is not None and health.sequential_verdict in ("promote", "rollback"):
            return health.sequential_verdict
        if status.state == "awaiting_approval":
            raise ApprovalNeededError(f"no verdict without approval:\n{status}")
        if time.monotonic() >= end:
            raise WaitTimeoutError(f"no verdict within {timeout:g} s:\n{status}")
        time.sleep(poll)


def assert_rolled_back(client: Client, timeout: float = 60.0, *, because: str | None = None) -> Ended:
    """Waits for the end of the rollout, which must be a rollback; `because` must be in its reason."""
    __tracebackhide__ = True
    ended = _ended(client, timeout, "a rollback")
    if ended.outcome not in ("rolled_back", "reverted"):
        raise AssertionError(f"expected a rollback: {ended}\n{_story(client)}")
    if because is not None and because not in ended.reason:
        raise AssertionError(f"expected a rollback because of {because!r}: {ended}\n{_story(client)}")
    return ended


def assert_promoted(client: Client, timeout: float = 60.0) -> Ended:
    """Waits for the end of the rollout, which must be a promotion."""
    __tracebackhide__ = True
    ended = _ended(client, timeout, "a promotion")
    if ended.outcome != "promoted":
        raise AssertionError(f"expected a promotion: {ended}\n{_story(client)}")
    return ended


def assert_no_harm(client: Client) -> Health:
    """The canary must have been judged, and without harm."""
    __tracebackhide__ = True
    health = client.check()
    if health.status != "ok":
        raise AssertionError(f"expected a canary without harm: {health}\n{_story(client)}")
    return health


def _ended(client: Client, timeout: float, expected: str) -> Ended:
    __tracebackhide__ = True
    try:
        return client.wait(timeout)
    except (ApprovalNeededError, WaitTimeoutError) as cause:
        raise AssertionError(f"expected {expected}: {cause}") from None


def _story(client: Client) -> str:
    """The newest entries of the journal."""
    return "\n".join(f"  {entry.sequence}. {entry.sentence}" for entry in client.history(limit=10))
