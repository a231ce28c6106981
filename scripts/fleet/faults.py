"""What breaks, under load and while people and serin change the rollout, and what must hold all the same."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path

from fleet.commands import Colleague
from fleet.commands import Idle
from fleet.commands import Operator
from fleet.commands import Person
from fleet.commands import Planner
from fleet.commands import check_statuses
from fleet.consistency import Isolated
from fleet.consistency import Isolations
from fleet.consistency import check_answers
from fleet.consistency import check_commands
from fleet.consistency import check_counted_once
from fleet.journal import Journal
from fleet.load import Load
from fleet.load import clock
from fleet.measures import deploy
from fleet.measures import replay
from fleet.replicas import Fleet
from fleet.replicas import Replica
from fleet.replicas import leads
from fleet.shared import Failed
from fleet.shared import check
from fleet.shared import within

#: The lease, and a margin of a busy machine.
LEASE = 10.0
NEXT_LEADER = 14.0

#: A replica connects to a database that is back after 5 s at most.
RECONNECTED = 6.0


@dataclass
class Scene:
    """A fleet in which something is about to break."""

    fleet: Fleet
    random: random.Random
    outage: float
    isolations: Isolations = field(default_factory=Isolations)
    #: What is worth saying of this repetition, in seconds.
    notes: dict[str, float] = field(default_factory=dict)

    def wait(self, least: float, most: float) -> None:
        time.sleep(self.random.uniform(least, most))

    def isolated(self, replica: Replica | None) -> Isolated:
        span = Isolated(replica.port if replica else None, time.time())
        self.isolations.spans.append(span)
        return span

    def next_leader(self, before: Replica) -> None:
        """Waits until another replica leads."""
        start = time.monotonic()
        others = [replica for replica in self.fleet.replicas if replica is not before]

        def look() -> tuple[bool, object]:
            seen = [leads(replica.status()) for replica in others]
            return any(seen), seen

        within(NEXT_LEADER, f"a leader after {before}", "one of the others", look)
        self.notes["without a leader"] = time.monotonic() - start


def kill_follower(scene: Scene) -> None:
    follower = scene.random.choice(scene.fleet.followers())
    scene.wait(0.5, 2)
    follower.kill()
    scene.wait(0.2, 2)
    follower.start()


def kill_leader(scene: Scene) -> None:
    leader = scene.fleet.leader()
    scene.wait(0.5, 5)
    leader.kill()
    if scene.random.random() < 0.5:
        scene.next_leader(leader)
    else:
        scene.wait(0.1, 2)
    leader.start()
    scene.wait(1, 3)


def stop_database(scene: Scene) -> None:
    scene.wait(1, 3)
    span = scene.isolated(None)
    scene.fleet.database.stop(is_crash=scene.random.random() < 0.5)
    time.sleep(scene.outage / 2)
    for replica in scene.fleet.replicas:
        code, said = replica.ask("GET", "/readyz")
        check(code == 200, f"{replica}: GET /readyz while the database is gone", 200, f"{code}: {said}")
    time.sleep(scene.outage / 2)
    scene.fleet.database.start()
    span.end = time.time() + RECONNECTED
    scene.wait(RECONNECTED, RECONNECTED + 3)


def restart_database(scene: Scene) -> None:
    scene.wait(1, 3)
    span = scene.isolated(None)
    scene.fleet.database.stop(is_crash=scene.random.random() < 0.5)
    scene.fleet.database.start()
    span.end = time.time() + RECONNECTED
    scene.wait(2, 6)


def end_connections(scene: Scene) -> None:
    """Connections break while something is written, so that its writer cannot know whether it was."""
    scene.wait(0.5, 2)
    span = scene.isolated(None)
    for _ in range(20):
        scene.fleet.database.sql(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'serin' AND random() < 0.25"
        )
        scene.wait(0, 0.4)
    span.end = time.time() + RECONNECTED
    scene.wait(RECONNECTED, RECONNECTED + 1)


def cut(scene: Scene) -> None:
    """One replica, whether it leads or not, loses the database."""
    replica = scene.random.choice(scene.fleet.replicas)
    did_lead = leads(replica.status())
    scene.wait(0.5, 2)
    span = scene.isolated(replica)
    number = replica.number
    (scene.fleet.proxies.cut if scene.random.random() < 0.5 else scene.fleet.proxies.stall)(number)
    if did_lead and scene.random.random() < 0.5:
        scene.next_leader(replica)
    else:
        scene.wait(1, LEASE + 3)
    code, said = replica.ask("GET", "/readyz")
    check(code == 200, f"{replica}: GET /readyz while it is cut off", 200, f"{code}: {said}")
    scene.fleet.proxies.heal(number)
    span.end = time.time() + RECONNECTED
    scene.wait(1, RECONNECTED)


def halt_leader(scene: Scene) -> None:
    leader = scene.fleet.leader()
    scene.wait(0.5, 3)
    span = scene.isolated(leader)
    leader.halt()
    # What this asks the leader itself would wait.
    end = time.monotonic() + LEASE + 2
    try:
        scene.next_leader(leader)
        time.sleep(max(0.0, end - time.monotonic()))
    finally:
        leader.go_on()
        span.end = time.time()
    scene.wait(1, 4)


def forged_clock(scene: Scene) -> None:
    """A replica whose clock is an hour off, which leads in about half of the cases."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
    if library is None:
        raise Failed("libfaketime is not installed; on Debian: apt-get install libfaketime")
    hour = scene.random.choice(["+1h", "-1h"])
    env = {"LD_PRELOAD": str(library), "FAKETIME": hour, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    odd = scene.random.choice(scene.fleet.replicas)
    odd.stop()
    odd.start(env)
    leader = scene.fleet.leader()
    if leader is not odd:
        leader.stop()
        scene.wait(1, 4)
        leader.start()
    scene.wait(2, 5)
    leading = scene.fleet.leader()
    scene.notes["led by the odd clock"] = float(leading is odd)
    odd.stop()
    odd.start()


def roll_back_without_database(scene: Scene) -> None:
    """A rollback takes the canary's traffic at once, and is saved when the database is back."""
    fleet = scene.fleet
    replica = scene.random.choice(fleet.replicas)
    end_rollout(fleet)
    rollout = deploy(fleet, traffic_percent=50)["rollout_id"]
    scene.wait(0.5, 2)
    span = scene.isolated(None)
    fleet.database.stop(is_crash=scene.random.random() < 0.5)
    try:
        # Before it is noticed that the database is gone, and after.
        scene.wait(0, 3)
        code, said = replica.ask("POST", "/admin/rollback-canary", {"reason": "without the database"}, 30)
        with Load([replica.address], 100, 2) as load:
            time.sleep(1)
    finally:
        fleet.database.start()
        span.end = time.time() + RECONNECTED
    load.check()
    by_canary = [answer for answer in load.answers if answer.track == "canary"]
    what = f"{replica}: answers of the canary after a rollback was answered {code} {said.get('code')}"
    check(not by_canary, what, f"none of {len(load.answers)}", len(by_canary))
    accepted = code == 200 or said.get("code") == "rollback_pending"
    check(accepted, f"{replica}: a rollback without the database", "200, or rollback_pending", f"{code} {said}")

    def look() -> tuple[bool, object]:
        running = [(status := one.status())["rollout"] and status["rollout"]["id"] for one in fleet.replicas]
        return rollout not in running, running

    within(15, "rollouts once the database is back", f"no longer {rollout}", look)


Fault = Callable[[Scene], None]

#: Each fault, and who acts meanwhile.
FAULTS: dict[str, tuple[Fault, type[Person]]] = {
    "kill -9 a follower": (kill_follower, Operator),
    "kill -9 the leader in mid-decision": (kill_leader, Planner),
    "stop PostgreSQL": (stop_database, Operator),
    "roll back without PostgreSQL": (roll_back_without_database, Idle),
    "restart PostgreSQL": (restart_database, Planner),
    "end connections to PostgreSQL": (end_connections, Operator),
    "cut a replica from PostgreSQL": (cut, Operator),
    "halt the leader past its lease": (halt_leader, Planner),
    "two leaders by a forged clock": (forged_clock, Planner),
}


@dataclass
class Tally:
    """What the repetitions of a fault have shown."""

    times: int = 0
    predictions: int = 0
    retries: int = 0
    commands: int = 0
    entries: int = 0
    slowest: float = 0.0
    notes: dict[str, list[float]] = field(default_factory=dict)

    def __str__(self) -> str:
        words = [
            f"{self.times} times, 0 of {self.predictions} predictions failed ({self.retries} were sent again by nginx)",
            f"{self.commands} acknowledged commands kept, {self.entries} entries follow from each other",
            f"a replica follows after {self.slowest:.2f} s at most",
        ]
        words += [
            f"{name}: {max(seen):.1f} at most, mean {sum(seen) / len(seen):.1f}" for name, seen in self.notes.items()
        ]
        return "; ".join(words)


def repeat(fleet: Fleet, journal: Journal, name: str, scene: Scene, seed: int, tally: Tally) -> None:
    """One repetition: load, people, the fault, recovery, and all checks."""
    fault, acting = FAULTS[name]
    known = journal.read()
    people: list[Person] = [acting(fleet.replicas, seed)]
    if acting is not Idle:
        people.append(Colleague(fleet.replicas, seed + 1))
    with Load([fleet.balancer.address]) as load:
        for person in people:
            person.__enter__()
        try:
            fault(scene)
        finally:
            for person in people:
                person.stop()
        revision = end_rollout(fleet)
        status = fleet.wait_until_they_agree()
        # Some answers of the end.
        time.sleep(0.3)
    length = journal.read()
    load.check()
    for person in people:
        if person.error is not None:
            raise person.error
        check_statuses(person.sent)
        tally.commands += check_commands(journal, person.sent)
    check(revision <= length, "the last command is in the journal", f"entry {revision}", f"{length} entries")
    check_counted_once(journal, known, load.answers)
    if fault is forged_clock:
        off = max(abs(entry.at - entry.committed) for entry in journal.entries[known:])
        check(off < 1, "times in the journal", "within a second of the database's clock", f"{off:.1f} s off")
    slowest = check_answers(journal, load.answers, scene.isolations)
    last = journal.entries[-1].state
    seen = (status["revision"], status["stable"]["version"], status["canary"])
    check(seen == (length, last.stable, None), "replicas follow the journal", (length, last.stable, None), seen)
    for replica in fleet.replicas:
        check("panicked" not in replica.log.read_text(errors="replace"), f"{replica}: its log", "no panic", "a panic")
    tally.times += 1
    tally.predictions += len(load.answers)
    tally.retries += sum(1 for answer in load.answers if answer.retries)
    tally.entries += length - known
    tally.slowest = max(tally.slowest, slowest)
    for note, value in scene.notes.items():
        tally.notes.setdefault(note, []).append(value)


def end_rollout(fleet: Fleet) -> int:
    """Rolls back what runs. The revision."""

    def look() -> tuple[bool, object]:
        code, answer = fleet.replicas[0].ask("POST", "/admin/rollback-canary", {"reason": "the end"})
        return code == 200, answer

    revision: int = within(20, "a rollback", "200", look)["revision"]
    return revision


def restore(fleet: Fleet) -> None:
    """After a repetition that failed: all run, and all reach the database."""
    for replica in fleet.replicas:
        fleet.proxies.heal(replica.number)
        if not replica.is_up:
            replica.start()
    end_rollout(fleet)
    fleet.wait_until_they_agree()


def table(fleet: Fleet, times: int, only: Sequence[str], outage: float, seed: int) -> str:
    """Each fault, this many times."""
    journal, failed = Journal(fleet.database), 0
    chosen = [name for name in FAULTS if any(words in name for words in only)]
    for name in chosen:
        tally = Tally()
        for number in range(times):
            scene = Scene(fleet, random.Random(f"{seed} {name} {number}"), outage)
            start = time.time()
            logging.info("%s, repetition %d", name, number + 1)
            try:
                repeat(fleet, journal, name, scene, seed + 2 * number, tally)
            except Failed as why:
                failed += 1
                print(f"fleet: {name}, repetition {number + 1}, begun at {clock(start)}: {why}", flush=True)
                restore(fleet)
        print(f"fleet: {name}: {tally}", flush=True)
    if failed or not chosen:
        raise Failed(f"{failed} of {times * len(chosen)} repetitions failed, see above")
    return f"{len(chosen)} faults, {times} times each; replay: {replay(fleet)}"


def short(fleet: Fleet, seed: int) -> str:
    """What takes seconds, once."""
    return table(fleet, 1, ["kill -9", "roll back"], 0.0, seed)
