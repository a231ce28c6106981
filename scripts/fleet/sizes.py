"""What a fleet of some size costs: how long a save takes, and what the database has to do for each replica."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any
from typing import NamedTuple

from fleet.replicas import Fleet
from fleet.replicas import Replica
from fleet.replicas import ask
from fleet.shared import Failed
from fleet.shared import check

#: Requests a second for each replica, and the number of users they come from.
RATE = 5
USERS = 5000

#: Seconds before the measurement, and of it.
BEFORE, MEASURED = 10.0, 30.0

#: A rollout that goes on until the measurement is over.
PLAN = {"steps": [{"weight": 20, "bake": "1h"}], "warm_up": "0s", "min_samples": 50, "deadline": "2h"}

SAVES = "serin_save_duration_seconds"


HEAD = """
| replicas | saves of the leader: p50 / p99 / most | of a follower | transactions | CPU of PostgreSQL | together | WAL \
| CPU of a replica |
|---|---|---|---|---|---|---|---|
(a second, of each replica, except "together": of one core)"""


class Work(NamedTuple):
    """What was done so far."""

    at: float
    transactions: int
    wal_bytes: int
    database_seconds: float
    replica_seconds: float
    #: Saves of each replica by the upper bound of their duration.
    saves: dict[int, dict[float, int]]


def measure(fleet: Fleet) -> str:
    """One fleet under load, as a line of a table."""
    count = len(fleet.replicas)
    leader = fleet.leader()
    code, answer = ask(leader.address, "POST", "/admin/deploy-canary", {"model_path": "model_v2.bin", "plan": PLAN}, 60)
    check(code == 200, "a deployment", 200, answer)
    fleet.wait_until_they_agree()
    command = [fleet.binary, "load", "--url", f"http://{fleet.balancer.address}", "--rate", RATE * count]
    command += ["--keys", USERS]
    command += ["--for", f"{BEFORE + MEASURED + 20:.0f}s"]
    load = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        time.sleep(BEFORE)
        before = work(fleet)
        time.sleep(MEASURED)
        after = work(fleet)
        check(load.poll() is None, "the load", "goes on", load.stderr)
    finally:
        load.terminate()
        load.wait()
    check(fleet.leader() is leader, "the leader", leader, fleet.leader())
    status = leader.status()
    asked = sum(status["tracks"][track]["requests"] for track in ("stable", "canary"))
    check(asked > 0.8 * RATE * count * MEASURED, "requests of the step", f"{RATE} a second and replica", asked)
    return line(count, leader.number, before, after)


def line(count: int, leader: int, before: Work, after: Work) -> str:
    seconds = after.at - before.at

    def saves(replicas: list[int]) -> str:
        grown = {
            bound: sum(after.saves[it][bound] - before.saves[it][bound] for it in replicas)
            for bound in after.saves[replicas[0]]
        }
        return " / ".join(f"{1000 * below(grown, share):g}" for share in (0.5, 0.99, 1)) + " ms"

    followers = [number for number in after.saves if number != leader]
    database = 1000 * (after.database_seconds - before.database_seconds) / seconds
    replicas = 1000 * (after.replica_seconds - before.replica_seconds) / seconds
    columns = [
        f"{count}",
        saves([leader]),
        saves(followers) if followers else "",
        f"{(after.transactions - before.transactions) / seconds / count:.1f}",
        f"{database / count:.1f} ms",
        f"{database / 10:.1f} %",
        f"{(after.wal_bytes - before.wal_bytes) / seconds / count / 1000:.1f} kB",
        f"{replicas / count:.1f} ms",
    ]
    return "| " + " | ".join(columns) + " |"


def below(grown: dict[float, int], share: float) -> float:
    """The bound within which this share of the saves ended."""
    total = grown[float("inf")]
    check(total > 0, "saves in this time", "some", grown)
    return min(bound for bound, saves in grown.items() if saves >= share * total)


def work(fleet: Fleet) -> Work:
    """All of it at this moment."""
    sql = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = 'serin'"
    transactions = int(fleet.database.sql(sql))
    wal = int(float(fleet.database.sql("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")))
    saves = {replica.number: saves_of(replica) for replica in fleet.replicas}
    return Work(
        time.monotonic(),
        transactions,
        wal,
        sum(seconds_of(number) for number in family(fleet.database.process_id)),
        sum(seconds_of(replica.process_id) for replica in fleet.replicas),
        saves,
    )


def saves_of(replica: Replica) -> dict[float, int]:
    code, text = replica.ask("GET", "/metrics")
    check(code == 200, f"{replica}: GET /metrics", 200, code)
    lines = [one for one in str(text).splitlines() if one.startswith(f'{SAVES}_bucket{{le="')]
    if not lines:
        raise Failed(f"{replica} has no {SAVES}")
    return {float(one.split('"')[1]): int(one.rpartition(" ")[2]) for one in lines}


def family(process: int) -> list[int]:
    """A process and its children."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [process, *map(int, children)]


def seconds_of(process: int) -> float:
    """The processor time of a process and of its children that have ended."""
    try:
        fields: list[Any] = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")
