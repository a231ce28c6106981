"""The journal of the database, and a small model of what each entry does."""

from __future__ import annotations

import bisect
import json
from dataclasses import dataclass
from dataclasses import replace
from typing import Any

from fleet.postgres import SCHEMA
from fleet.postgres import Postgres
from fleet.shared import Failed
from fleet.shared import check


@dataclass(frozen=True)
class Rollout:
    """A canary and its share."""

    id: int
    canary: str
    digest: str
    weight: float
    shadow: float
    step: int
    phase: str
    #: The shares of its plan; none if people decide.
    plan: tuple[float, ...] | None

    def following(self) -> float | None:
        return next((weight for weight in self.plan or () if weight > self.weight), None)


@dataclass(frozen=True)
class State:
    """What all replicas follow."""

    stable: str
    rollouts: int = 0
    rollout: Rollout | None = None
    slowdown: bool = False


@dataclass(frozen=True)
class Entry:
    sequence: int
    #: The leader's term; none of a command that a follower took.
    epoch: int | None
    #: When it was written, by its own word.
    at: float
    #: When it was committed, by the database's clock.
    committed: float
    name: str
    event: Any
    #: The state after it.
    state: State


class Stale(Exception):
    """An entry that does not follow from the one before."""


def apply(before: State | None, event: Any) -> State:
    """The state after an event, if it is possible."""
    name = event["event"]
    if name == "initialized":
        expect(before is None, "the first entry")
        return State(event["stable"]["version"])
    expect(before is not None, "an entry before it")
    assert before is not None
    if name == "canary_deployed":
        expect(before.rollout is None, "no canary")
        policy, canary = event["policy"], event["canary"]
        plan = tuple(step["weight"] for step in policy["plan"]["steps"]) if policy["mode"] == "automatic" else None
        number = before.rollouts + 1
        shadow = policy.get("shadow", 0.0)
        rollout = Rollout(number, canary["version"], canary["digest"], policy["weight"], shadow, 1, "running", plan)
        return replace(before, rollouts=number, rollout=rollout)
    if name == "slowdown_set":
        return replace(before, slowdown=event["slowdown"]["enabled"])
    running, judged = before.rollout, event.get("judgement")
    expect(running is not None, "a canary")
    assert running is not None
    meant = event.get("rollout", judged["rollout"] if judged else None)
    expect(meant == running.id, f"rollout {running.id}, not {meant}")
    if judged and name != "rolled_back":
        seen = (judged["rollout"], judged["step"], judged["digest"])
        expect(seen == (running.id, running.step, running.digest), f"a judgement of {running}, not of {seen}")
    if name == "traffic_set":
        weight, shadow = event["weight"], event["shadow"]
        expect((weight, shadow) != (running.weight, running.shadow), "another share than before")
        return replace(before, rollout=replace(running, weight=weight, shadow=shadow, step=running.step + 1))
    if name == "advanced":
        following = running.following()
        expect(following is not None and running.phase != "paused", "a further step of a plan that runs")
        assert following is not None
        step = running.step + 1
        return replace(before, rollout=replace(running, weight=following, step=step, phase="running"))
    if name == "promoted":
        expect(event["by"] == "manual" or running.following() is None, "the last step of a plan")
        return replace(before, stable=running.canary, rollout=None, slowdown=False)
    if name == "rolled_back":
        return replace(before, rollout=None, slowdown=False)
    phases = {"paused": "paused", "held": "paused", "approval_awaited": "awaiting", "resumed": "running"}
    if name in phases:
        # A hold may add concerns, and a resumption an approval in advance.
        changes = running.phase != phases[name] or name in ("held", "resumed")
        expect(changes, f"another phase than {running.phase}")
        return replace(before, rollout=replace(running, phase=phases[name]))
    expect(name == "injected", "an event of the model")
    return before


def expect(is_so: bool, what: str) -> None:
    if not is_so:
        raise Stale(what)


class Journal:
    """The entries so far, each checked as it is read."""

    def __init__(self, database: Postgres) -> None:
        self._database = database
        self.entries: list[Entry] = []
        self._committed: list[float] = []
        self._epoch = 0

    def read(self) -> int:
        """Reads what is new. The length."""
        known = len(self.entries)
        rows = self._database.sql(
            "SELECT json_build_object('sequence', sequence, 'epoch', epoch, 'event', event, 'at', "
            "extract(epoch FROM at::timestamptz), 'committed', "
            f"extract(epoch FROM pg_xact_commit_timestamp(xmin))) FROM {SCHEMA}.journal "
            f"WHERE sequence > {known} ORDER BY sequence"
        )
        for line in rows.splitlines():
            row = json.loads(line)
            event = json.loads(row["event"])
            name = event["event"]
            before = self.entries[-1] if self.entries else None
            what = f"entry {row['sequence']} of the journal ({name})"
            check(row["sequence"] == len(self.entries) + 1, what, f"sequence {len(self.entries) + 1}", row["sequence"])
            if row["epoch"] is not None:
                check(row["epoch"] >= self._epoch, what, f"term {self._epoch} or a later one", row["epoch"])
                self._epoch = row["epoch"]
            if before is not None:
                check(row["committed"] >= before.committed, what, f"after {before.committed}", row["committed"])
            try:
                state = apply(before.state if before else None, event)
            except Stale as stale:
                raise Failed(
                    f"{what} is a stale write\n  expected: {stale}\n  seen:     {json.dumps(event)[:300]}\n"
                    f"  after:    {before}"
                ) from stale
            at, committed = row["at"], row["committed"]
            self.entries.append(Entry(row["sequence"], row["epoch"], at, committed, name, event, state))
            self._committed.append(row["committed"])
        return len(self.entries)

    def at(self, revision: int) -> Entry:
        check(1 <= revision <= len(self.entries), "a revision of the journal", f"1 to {len(self.entries)}", revision)
        return self.entries[revision - 1]

    def between(self, start: float, end: float) -> list[Entry]:
        """The entries in force at some time of this span, the earliest first."""
        first = max(0, bisect.bisect_right(self._committed, start) - 1)
        return self.entries[first : max(first + 1, bisect.bisect_right(self._committed, end))]

    def successor(self, entry: Entry) -> Entry | None:
        return self.entries[entry.sequence] if entry.sequence < len(self.entries) else None
