"""What a fleet does without faults: scenarios, rollouts, rollbacks on all replicas, one verdict, restarts."""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any
from typing import NamedTuple

from fleet.journal import Journal
from fleet.load import THREADS
from fleet.load import Load
from fleet.load import clock
from fleet.replicas import Fleet
from fleet.replicas import ask
from fleet.shared import Failed
from fleet.shared import check
from fleet.shared import within

SCRIPTS = Path(__file__).resolve().parent.parent

#: A shadow and two steps, each of some seconds.
PLAN = {
    "steps": [
        {"weight": 0, "bake": "1s", "at_most": "20s"},
        {"weight": 20, "bake": "1s"},
        {"weight": 50, "bake": "1s"},
    ],
    "warm_up": "0s",
    "min_samples": 50,
    "look": "200ms",
    "deadline": "5m",
    "cool_down": "1s",
}
POLICY = {"expect_shift": True}

#: The answer that a rollback takes on all replicas, in seconds.
MOST_LATENCY = 0.25

#: What replicas have observed is in the status of all of them after this long.
SEEN = 6.0

Counts = dict[str, int]


class Look(NamedTuple):
    """What a replica showed at some time."""

    at: float
    replica: int
    counts: Counts
    verdict: str


def command(fleet: Fleet, path: str, body: Any = None) -> Any:
    """Sends a command through the balancer, again while a replica says that the database does not answer."""

    def look() -> tuple[bool, Any]:
        code, answer = ask(fleet.balancer.address, "POST", f"/admin/{path}", body, 30)
        check(code in (200, 503), f"POST /admin/{path} {body}", "200 or 503", f"{code}: {answer}")
        return code == 200, answer

    return within(15, f"POST /admin/{path} {body}", "200", look)


def deploy(fleet: Fleet, **how: Any) -> Any:
    """Deploys the version that is not stable, and waits until all replicas have it."""
    stable = fleet.replicas[0].status()["stable"]["version"]
    model = "model_v1.bin" if stable == "model_v2" else "model_v2.bin"
    always = {"model_path": model, "override_quarantine": True, "reason": "a test"}
    answer = command(fleet, "deploy-canary", {**always, **how})
    check(answer["canary"]["file"] == model, "the canary", model, answer["canary"])
    return answer


def scenarios(fleet: Fleet) -> str:
    """Both scenarios of the README, through the balancer."""
    for name in ["scenario-rollback.sh", "scenario-promote.sh"]:
        address = f"http://{fleet.balancer.address}"
        done = subprocess.run([SCRIPTS / name, address], capture_output=True, text=True, timeout=120, check=False)
        check(done.returncode == 0, name, "exit code 0", f"{done.returncode}\n{done.stdout}{done.stderr}")
    return "both pass"


def replay(fleet: Fleet) -> str:
    """Recomputes each verdict of which the store still has the evidence."""
    replayed = [str(fleet.binary), "replay", "--store", fleet.database.url()]
    done = subprocess.run(replayed, capture_output=True, text=True, timeout=120, check=False)
    # 3: of the earliest rollouts the evidence is no longer kept.
    (fleet.folder / "replay").write_text(done.stdout)
    lines = done.stdout.splitlines()
    different = [line for line in lines if line.endswith(" different")][:10]
    seen = "\n    ".join([str(done.returncode), *different, *lines[-1:], done.stderr])
    check(done.returncode in (0, 3), "serin replay: the exit code", "0, or 3 after many rollouts", seen)
    return done.stdout.strip().splitlines()[-1]


def automatic(fleet: Fleet) -> str:
    """A rollout by plan that ends by itself."""
    journal = Journal(fleet.database)
    with Load([fleet.balancer.address], 300) as load:
        before = journal.read()
        candidate = deploy(fleet, plan=PLAN, policy=POLICY)["canary"]["version"]

        def look() -> tuple[bool, Any]:
            status = fleet.replicas[0].status()
            shown = {name: status[name] for name in ["state", "traffic_percent", "canary"]}
            plan = (status["rollout"] or {}).get("plan")
            why = {"waits for": plan and plan["reasons"], "last rollout": status["last_rollout"]}
            return status["canary"] is None, {**shown, **why}

        within(90, "the end of a rollout by plan", "no canary", look)
        fleet.wait_until_they_agree()
    load.check()
    journal.read()
    names = [entry.name for entry in journal.entries[before:]]
    check(names == ["canary_deployed", "advanced", "advanced", "promoted"], "its entries", "two steps, promoted", names)
    check(journal.entries[-1].state.stable == candidate, "stable", candidate, journal.entries[-1].state)
    return f"promoted after {len(load.answers)} predictions; replay: {replay(fleet)}"


def rollback_latency(fleet: Fleet, times: int) -> str:
    """From the acknowledgement of a rollback to the last request that any replica's canary answered."""
    late: list[float] = []
    addresses = [replica.address for replica in fleet.replicas]
    count = len(addresses)
    with Load(addresses, 150 * count, 2 * count) as load:
        for number in range(times):
            seen = len(load.answers)
            rollout = deploy(fleet, traffic_percent=90)["rollout_id"]

            def look(seen: int = seen, rollout: int = rollout) -> tuple[bool, Any]:
                new = load.answers[seen:]
                by_canary = {one.port for one in new if one.rollout == rollout and one.track == "canary"}
                return len(by_canary) == count, f"{len(by_canary)} of {count}"

            within(10, "replicas whose canary answers", "all", look)
            replica = fleet.replicas[number % count]
            code, answer = replica.ask("POST", "/admin/rollback-canary", {"reason": f"rollback {number}"})
            acknowledged = time.time()
            check(code == 200 and answer["canary"] is None, f"{replica}: a rollback", "200 and no canary", answer)
            time.sleep(1.5)
            by_canary = [one.sent for one in load.answers[seen:] if one.track == "canary"]
            late.append(max(0.0, max(by_canary) - acknowledged))
    load.check()
    late.sort()
    p50, p99, most = (1000 * late[min(len(late) - 1, int(len(late) * share))] for share in (0.5, 0.99, 1))
    said = f"{times} rollbacks; last canary answer after p50 {p50:.1f} ms, p99 {p99:.1f} ms, max {most:.1f} ms"
    check(p99 < 1000 * MOST_LATENCY, "the time from a rollback to the last canary answer", "p99 below 250 ms", said)
    return said


def counted(load: Load, rollout: int, step: int) -> Counts:
    """The answers that were drawn in a step, by track."""
    drawn = Counter(one.track for one in load.answers if (one.rollout, one.step) == (rollout, step))
    return {track: drawn[track] for track in ("stable", "canary")}


def shown(status: Any) -> Counts:
    """The requests of each track in the status."""
    return {track: status["tracks"][track]["requests"] for track in ("stable", "canary")}


def wait_until_all_is_seen(fleet: Fleet, load: Load) -> Counts:
    """Waits until the status of each replica has as many requests as the client has answers in this step."""
    rollout = fleet.replicas[0].status()["rollout"]
    expected = counted(load, rollout["id"], rollout["step"])

    def look() -> tuple[bool, Any]:
        seen = [shown(replica.status()) for replica in fleet.replicas]
        return all(one == expected for one in seen), seen

    within(SEEN, f"requests of rollout {rollout['id']}, step {rollout['step']}, in the status of each", expected, look)
    return expected


def evidence(fleet: Fleet) -> str:
    """One verdict on what all replicas observe."""
    loads: list[Load] = []
    for number, percent in enumerate([30, 50]):
        with Load([fleet.balancer.address], 300) as load:
            loads.append(load)
            if number == 0:
                rollout = deploy(fleet, traffic_percent=percent, policy=POLICY)["rollout_id"]
            else:
                command(fleet, "set-traffic", {"percent": percent})
            time.sleep(5)
        load.check()
        in_step = wait_until_all_is_seen(fleet, load)
        # The evidence of the judge is that of all steps.
        every = [counted(load, rollout, step) for load in loads for step in (1, 2)]
        known = {track: sum(one[track] for one in every) for track in in_step}
        # What is on its way when the step changes belongs to neither: at most one request of each thread.
        wait_until_all_is_judged(fleet, rollout, known, THREADS if number else 0)
    command(fleet, "rollback-canary")
    fleet.wait_until_they_agree()
    return f"{known} requests are judged once, in the status of each replica; {automatic(fleet)}"


def outage(fleet: Fleet) -> str:
    """What replicas observe while PostgreSQL is gone for longer than a lease is judged when it is back."""
    seen = []
    for _ in range(3):
        rollout = deploy(fleet, traffic_percent=50, policy=POLICY)["rollout_id"]
        fleet.wait_until_they_agree()
        with Load([fleet.balancer.address], 150) as load:
            time.sleep(2)
            fleet.database.stop(is_crash=False)
            time.sleep(12)
            fleet.database.start()
            time.sleep(8)
        load.check()
        known = wait_until_all_is_seen(fleet, load)
        wait_until_all_is_judged(fleet, rollout, known)
        seen.append(known)
        command(fleet, "rollback-canary")
        fleet.wait_until_they_agree()
    return f"{seen} requests are judged once"


def wait_until_all_is_judged(fleet: Fleet, rollout: int, known: Counts, fewer: int = 0) -> None:
    """Waits until the judge has taken in as many requests as the client has answers, or at most so many fewer."""

    def look() -> tuple[bool, Any]:
        judged = [replica.status()["health"]["sequential"]["metrics"][0]["samples"] for replica in fleet.replicas]
        seen = [{track: one[track] for track in known} for one in judged]
        missing = [known[track] - one[track] for one in seen for track in known]
        return min(missing) >= 0 and sum(missing) <= fewer * len(seen), seen

    within(SEEN, f"judged requests of rollout {rollout} in the status of each", known, look)


def rolling(fleet: Fleet) -> str:
    """Restarts each replica in the middle of a ramp."""
    plan = {**PLAN, "steps": [{"weight": 25, "bake": "5m"}, {"weight": 50, "bake": "5m"}], "deadline": "1h"}
    journal = Journal(fleet.database)
    looks: list[Look] = []
    with Load([fleet.balancer.address], 150) as load:
        rollout = deploy(fleet, plan=plan, policy=POLICY)["rollout_id"]
        time.sleep(6)
        before = fleet.wait_until_they_agree()
        length = journal.read()
        for replica in fleet.replicas:
            replica.stop()
            look_at(fleet, looks)
            replica.begin()
            end = time.monotonic() + 1
            replica.wait_until_it_serves()
            while time.monotonic() < end + 3:
                look_at(fleet, looks)
                time.sleep(0.2)
        after = fleet.wait_until_they_agree()
    load.check()
    check(journal.read() == length, "entries of the journal during restarts", "none", journal.entries[length:])
    same = ["revision", "traffic_percent"]
    check([before[it] for it in same] == [after[it] for it in same], "weight", before["traffic_percent"], after)
    check(before["rollout"]["step"] == after["rollout"]["step"], "step", before["rollout"]["step"], after["rollout"])
    total = wait_until_all_is_seen(fleet, load)
    # The load that began before the deployment has answers of no rollout, too.
    known = counted(load, rollout, 1)
    check(total == known, "requests of the step", known, total)
    verdicts = {look.verdict for look in looks}
    check("rollback" not in verdicts, "verdicts during restarts", "no rollback", verdicts)
    command(fleet, "rollback-canary")
    fleet.wait_until_they_agree()
    check_never_fall(looks)
    return f"{len(fleet.replicas)} restarts, 0 of {len(load.answers)} predictions failed, {total} requests kept"


def look_at(fleet: Fleet, looks: list[Look]) -> None:
    for replica in fleet.up():
        status = replica.status()
        if status["rollout"] is None:
            raise Failed(f"{replica} has no rollout at {clock(time.time())}: {status['last_rollout']}")
        verdict = status["health"]["sequential"]["verdict"]
        looks.append(Look(time.time(), replica.number, shown(status), verdict))


def check_never_fall(looks: list[Look]) -> None:
    """What one replica shows, another one shows at most three seconds later."""
    fallen = []
    for look in looks:
        for track, seen in look.counts.items():
            most = max((one.counts[track] for one in looks if one.at < look.at - 3), default=0)
            if seen < most:
                fallen.append(
                    f"{clock(look.at)} replica {look.replica}: {seen} of {track}, {most} three seconds before"
                )
    check(not fallen, "requests in the status during restarts", "they never fall", "\n    ".join(fallen[:12]))
