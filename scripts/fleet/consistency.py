"""What must hold after a fault: of the answers to predictions, of the acknowledged commands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field

from fleet.commands import Command
from fleet.journal import Entry
from fleet.journal import Journal
from fleet.journal import State
from fleet.load import Answer
from fleet.load import clock
from fleet.shared import Failed
from fleet.shared import check

#: How long a replica that reaches the database may follow an older entry: it looks once a second, on a busy machine.
SETTLED = 1.25

# Clocks of processes of one machine are the same, but the time of a commit is noted just before it is seen.
SLACK = 0.05


@dataclass
class Isolated:
    """When which replica could not know of what was committed. The port is none for all."""

    port: int | None
    start: float
    end: float = float("inf")


@dataclass
class Isolations:
    spans: list[Isolated] = field(default_factory=list)

    def known_since(self, answer: Answer) -> float:
        """The time until which the replica of an answer has followed the journal at least."""
        since = answer.sent - SETTLED
        for span in self.spans:
            concerns = span.port in (None, answer.port)
            if concerns and span.start <= answer.received and answer.sent <= span.end + SETTLED:
                since = min(since, span.start - SETTLED)
        return since


def drawn_in(state: State, answer: Answer) -> bool:
    """Whether this state can have led to this answer."""
    rollout = state.rollout
    if (answer.rollout, answer.step) != ((rollout.id, rollout.step) if rollout else (0, 0)):
        return False
    if answer.track == "stable":
        return answer.version == state.stable
    return rollout is not None and answer.version == rollout.canary


def rolled_back(state: State, answer: Answer) -> bool:
    """Whether the replica has rolled back at once, and could not save it yet."""
    return (answer.rollout, answer.step) == (0, 0) and answer.track == "stable" and answer.version == state.stable


def check_answers(journal: Journal, answers: Sequence[Answer], isolations: Isolations) -> float:
    """Each answer is by a version, and in a step, that the journal had in force. The longest delay in seconds."""
    slowest = 0.0
    for answer in answers:
        known_since = isolations.known_since(answer)
        entries = journal.between(known_since, answer.received + SLACK)
        is_isolated = known_since < answer.sent - SETTLED
        rules = [drawn_in, rolled_back] if is_isolated else [drawn_in]
        fits = [entry for entry in entries if any(rule(entry.state, answer) for rule in rules)]
        if not fits:
            raise Failed(refusal(answer, entries))
        following = journal.successor(fits[-1])
        if following is not None and not is_isolated:
            slowest = max(slowest, answer.sent - following.committed)
    return slowest


def refusal(answer: Answer, entries: Sequence[Entry]) -> str:
    stables = {entry.state.stable for entry in entries}
    is_second = answer.track == "stable" and answer.version not in stables
    in_force = [f"{clock(entry.committed)} {entry.sequence} {entry.name}: {entry.state}" for entry in entries]
    what = "two stable versions answer at the same time" if is_second else "an answer that the journal does not allow"
    return (
        f"{what}\n  expected: one of these states\n    " + "\n    ".join(in_force) + f"\n  seen:     {answer}, "
        f"sent at {clock(answer.sent)}, answered at {clock(answer.received)}"
    )


def check_commands(journal: Journal, commands: Sequence[Command]) -> int:
    """Each acknowledged command of a person is in the journal, in order. How many there are."""
    newest = 1
    acknowledged = [command for command in commands if command.is_acknowledged]
    for command in acknowledged:
        if command.path == "toggle-slowdown":
            # Its answer has no revision. One of the entries since the newest that the person knew says so.
            wanted = command.body["enabled"]
            until = command.answered + SLACK
            entries = [one for one in journal.entries[newest - 1 :] if one.committed <= until]
            is_so = any(entry.state.slowdown == wanted for entry in entries)
            check(is_so, f"a command that was acknowledged is lost: {command}", f"slowdown {wanted}", entries)
            continue
        revision = command.answer["revision"]
        what = f"a command that was acknowledged is lost: {command}, sent at {clock(command.sent)}"
        check(revision <= len(journal.entries), what, f"entry {revision}", f"a journal of {len(journal.entries)}")
        check(revision >= newest, f"commands out of order: {command}", f"revision {newest} or later", revision)
        entry = journal.at(revision)
        check(is_done(command, entry), what, "its effect in the journal at that revision", entry)
        newest = revision
    return len(acknowledged)


def check_counted_once(journal: Journal, since: int, answers: Sequence[Answer]) -> None:
    """No verdict since this entry rests on more requests than were answered, and retried: none counts twice."""
    answered = Counter((answer.rollout, answer.step, answer.track) for answer in answers)
    # A replica that fell silent may have counted what another one has answered.
    retried = sum(answer.retries for answer in answers)
    for entry in journal.entries[since:]:
        judged = entry.event.get("judgement")
        if not judged:
            continue
        for track in ("stable", "canary"):
            what = f"requests of {track} in the verdict of entry {entry.sequence} ({entry.name})"
            seen = judged["evidence"]["inputs"][track]["requests"]
            most = answered[judged["rollout"], judged["step"], track] + retried
            check(seen <= most, f"{what}, of its step", f"at most {most}", seen)
            measured = (judged.get("sequential") or {}).get("measured")
            seen = measured[0]["counts"][track] if measured else 0
            most = sum(count for key, count in answered.items() if key[::2] == (judged["rollout"], track)) + retried
            check(seen <= most, f"{what}, of its rollout", f"at most {most}", seen)


def is_done(command: Command, entry: Entry) -> bool:
    """Whether the state at an entry is as a command leaves it."""
    rollout = entry.state.rollout
    if command.path == "rollback-canary":
        return rollout is None
    if command.path == "deploy-canary":
        return entry.name == "canary_deployed" and entry.event["canary"]["file"] == command.body["model_path"]
    if command.path == "promote-canary":
        return entry.name == "promoted" and entry.event["by"] == "manual"
    if rollout is None:
        return False
    if command.path == "set-traffic":
        return rollout.weight == float(command.body["percent"])
    phase = {"pause-canary": "paused", "resume-canary": "running"}[command.path]
    return rollout.phase == phase
