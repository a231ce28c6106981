"""The states of a rollout, each reached by real requests, commands and faults."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import AbstractContextManager
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from .serving import Serin

CANARY, STABLE = "model_v2", "model_v1"
FILE = f"{CANARY}.bin"
TOKEN = "a-token-for-the-tests"

#: Steps that are over at once, up to the one that lasts.
QUICK: Mapping[str, Any] = {"bake": "0s"}


def plan(*weights: float, bake: str = "10m", **others: Any) -> Mapping[str, Any]:
    """A plan that goes quickly to its last but one weight, stays there, and would go on to the last."""
    *before, here, last = weights
    steps = [{"weight": weight, **QUICK} for weight in before]
    steps += [{"weight": here, "bake": bake}, {"weight": last, "bake": "20m"}]
    return {"steps": steps, "warm_up": "0s", "min_samples": 20, "look": "200ms", "deadline": "24h", **others}


#: Metrics that a busy machine settles soon, and leaves alone.
WIDE: Mapping[str, Any] = {"name": "latency", "tolerated": {"relative": 4.0}, "accepted": {"relative": 8.0}}
TAIL: Mapping[str, Any] = {"name": "latency_p99", "role": "advisory"}


@dataclass(frozen=True)
class State:
    """A state: how it is reached (a block that keeps it), and what the page says of it."""

    name: str
    reach: Callable[[Serin], AbstractContextManager[None]]
    #: The word of the verdict.
    word: str
    #: What else the page says.
    says: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    token: str | None = None


STATES: list[State] = []


def state(word: str, *says: str, token: str | None = None, **settings: Any) -> Callable[[Any], Any]:
    def add(function: Callable[[Serin], Iterator[None]]) -> Any:
        name = function.__name__.replace("_", "-")
        STATES.append(State(name, contextmanager(function), word, says, settings, token))
        return function

    return add


@state("No canary", STABLE, "Nothing happens until somebody deploys: serin deploy MODEL.")
def no_canary(_: Serin) -> Iterator[None]:
    yield


@state("Waiting", "without requests serin neither promotes nor rolls back")
def no_traffic(server: Serin) -> Iterator[None]:
    server.client.deploy(FILE, plan=plan(10, 50))
    yield


@state("Waiting", "Too few samples to judge", min_samples=500)
def insufficient(server: Serin) -> Iterator[None]:
    server.client.deploy(FILE, plan=plan(5, 50, min_samples=200))
    with server.traffic(30):
        server.once(lambda: "Too few samples" in server.report()["why"], "too few samples")
        yield


@state("Waiting", "in shadow", "Disagreements")
def shadow(server: Serin) -> Iterator[None]:
    steps = [{"weight": 0, "shadow": 100, "bake": "10m"}, {"weight": 10, "bake": "10m"}, {"weight": 50, "bake": "20m"}]
    server.client.deploy(FILE, plan={**plan(10, 50), "steps": steps})
    server.send(18)
    yield


@state("Holding", "Not settled yet", "guardrail", "Why not promoted yet")
def holding(server: Serin) -> Iterator[None]:
    yield from undecided(server)


@state("Holding", token=TOKEN)
def read_only(server: Serin) -> Iterator[None]:
    yield from undecided(server)


def undecided(server: Serin) -> Iterator[None]:
    server.client.deploy(FILE, plan=plan(1, 5, 10, 25), policy={"metrics": [TAIL]})
    while server.status()["traffic_percent"] < 10:
        server.send(100)
    # So few requests leave it undecided for minutes.
    with server.traffic(60):
        server.until("holding")
        yield


@state("Passing", "passes", "No harm found", "Distributions")
def passing(server: Serin) -> Iterator[None]:
    shadow = {"weight": 0, "shadow": 100, **QUICK}
    steps = [shadow, {"weight": 5, **QUICK}, {"weight": 25, **QUICK}, {"weight": 50, "bake": "20m"}]
    server.client.deploy(FILE, plan={**plan(20, 50), "steps": steps}, policy={"metrics": [WIDE, TAIL]})
    with server.traffic():
        server.once(lambda: server.status()["traffic_percent"] == 50, "50 %")
        server.until("healthy")
        yield


@state("Awaiting approval", "The step is over and every guardrail passes")
def awaiting_approval(server: Serin) -> Iterator[None]:
    steps = [{"weight": 20, **QUICK}, {"weight": 50, **QUICK}]
    policy = {"metrics": [WIDE, TAIL]}
    server.client.deploy(FILE, plan={**plan(20, 50), "steps": steps, "approval": True}, policy=policy)
    with server.traffic():
        server.until("awaiting_approval")
        yield


@state("Paused", "until you decide")
def paused(server: Serin) -> Iterator[None]:
    server.client.deploy(FILE, plan=plan(5, 10, 25))
    with server.traffic():
        time.sleep(2.5)
        server.client.pause()
        server.until("paused")
        yield


@state("Warning", "above stable (tolerated", "shifted")
def warning(server: Serin) -> Iterator[None]:
    # What busy machines do to latency would hide the shift.
    server.client.deploy(FILE, traffic_percent=30, policy={"metrics": [WIDE, TAIL]})
    server.client.inject(score_shift=0.08)
    with server.traffic():
        server.until("warning")
        yield


@state("Harmful", "latency", "fails", "with an injected fault (20 ms of delay)", "Nothing happens by itself")
def harmful(server: Serin) -> Iterator[None]:
    server.client.deploy(FILE, traffic_percent=20)
    server.client.inject(delay_ms=20)
    with server.traffic():
        server.until("harm")
        yield


@state("Harmful", "Segments", "region=north", "region=south", segments={"region": ["north", "south"]})
def harm_in_a_segment(server: Serin) -> Iterator[None]:
    server.client.deploy(FILE, traffic_percent=50, policy={"metrics": [WIDE, TAIL]})
    server.client.inject(error_rate=0.5, segment={"region": "north"})
    north, south = ({"segments": {"region": name}} for name in ["north", "south"])
    with server.traffic(50, **north), server.traffic(150, **south):
        # The first look that finds harm may be followed by one that does not.
        server.once(lambda: server.status()["tracks"]["canary"]["requests"] > 200, "200 canary requests")
        server.until("harm")
        yield


@state("Rolled back", CANARY, "quarantine", "with an injected fault", "A deployment by plan is refused for another")
def rolled_back(server: Serin) -> Iterator[None]:
    server.client.deploy(FILE, plan=plan(5, 10, 25))
    with server.traffic():
        time.sleep(2)
        server.client.inject(error_rate=0.4)
        server.until("rolled_back")
        yield


# Two failures open it here, which may be chance among so many requests; five in a row are harm.
@state("Breaker open", "gets probes only", "canary, probes only", "Its traffic returns once it answers a probe", breaker={"failures": 2, "probe_every": "60s"})
def breaker_open(server: Serin) -> Iterator[None]:
    server.client.deploy(FILE, traffic_percent=50)
    server.send(2000)
    server.client.inject(error_rate=1.0)
    while server.status()["breaker"]["state"] != "open":
        server.send(1)
    server.until("breaker_open")
    yield


@state("Promoted", "No label has come yet", "Late labels are judged until", post_promotion={"monitor": "24h", "action": "revert"})
def monitoring(server: Serin) -> Iterator[None]:
    server.client.deploy(FILE, traffic_percent=50)
    server.send(100)
    server.client.promote(force=True, reason="the test wants it promoted")
    with server.traffic():
        server.until("monitoring")
        yield


@state("Frozen", "Nothing can be saved since", "database is locked", "the only command accepted is a rollback")
def store_lost(server: Serin) -> Iterator[None]:
    server.client.deploy(FILE, plan=plan(1, 5, 10, 25))
    with server.traffic():
        server.until("holding", "healthy", "waiting")
        # Another process writes to the file, and does not end.
        other = sqlite3.connect(server.store)
        try:
            other.execute("BEGIN IMMEDIATE")
            server.until("frozen")
            yield
        finally:
            other.rollback()
            other.close()
