"""What the server answers, with types.

Each answer has its main fields as attributes and all of them in `data`, as the server sent them (docs/operations.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any

Data = Mapping[str, Any]

# What a model answers.
KINDS = ("probability", "probabilities", "score")


def _data() -> Any:
    return field(repr=False, compare=False)


@dataclass(frozen=True)
class Prediction:
    """The answer for one row: a `probability` of the positive class, `probabilities` of many classes, or a `score`."""

    #: The number, or for many classes the probability of each by its name.
    output: float | Mapping[str, float]
    #: 1 or 0, for many classes the likeliest; None for a regression.
    label: int | str | None
    #: `stable` or `canary`.
    model_used: str
    model_version: str
    #: The time of the request in the model, for all its rows together.
    latency_ms: float
    #: For `Client.feedback`; None if the server collects no labels.
    prediction_id: str | None
    #: Whether stable answered because the canary failed.
    fallback: bool
    data: Data = _data()

    @property
    def probability(self) -> float:
        """That of the positive class, of a model of two classes."""
        return float(self._output("probability"))

    @property
    def probabilities(self) -> Mapping[str, float]:
        """That of each class, of a model of many classes."""
        return dict(self._output("probabilities"))

    @property
    def score(self) -> float:
        """The answer of a regression."""
        return float(self._output("score"))

    def _output(self, kind: str) -> Any:
        if kind not in self.data:
            raise AttributeError(f"{self.model_version} answers {self.kind}, not {kind}")
        return self.output

    @property
    def kind(self) -> str:
        """Which of `probability`, `probabilities` and `score` the model answers."""
        return next(kind for kind in KINDS if kind in self.data)

    @staticmethod
    def of(row: Data, answer: Data) -> Prediction:
        """One row of an answer."""
        return Prediction(
            output=next(row[kind] for kind in KINDS if kind in row),
            label=row.get("label"),
            model_used=answer["model_used"],
            model_version=answer["model_version"],
            latency_ms=answer["latency_ms"],
            prediction_id=row.get("prediction_id"),
            fallback=answer["fallback"],
            data=row,
        )


@dataclass(frozen=True)
class Version:
    """A model that serves."""

    name: str
    file: str
    digest: str

    @staticmethod
    def of(data: Data | None) -> Version | None:
        """A version, if there is one."""
        return None if data is None else Version(data["version"], data["file"], data["digest"])


@dataclass(frozen=True)
class Ended:
    """How a rollout ended."""

    rollout: int
    canary: Version
    #: `promoted`, `rolled_back`, `reverted` or `no_verdict`.
    outcome: str
    reason: str
    #: RFC 3339, UTC.
    at: str
    data: Data = _data()

    @property
    def is_promoted(self) -> bool:
        """Whether the canary became stable."""
        return self.outcome == "promoted"

    @staticmethod
    def of(data: Data | None) -> Ended | None:
        """The end of a rollout, if one has ended."""
        if data is None:
            return None
        canary = Version(data["canary"]["version"], data["canary"]["file"], data["canary"]["digest"])
        return Ended(data["rollout"], canary, data["outcome"], data["reason"], data["at"], data)

    def __str__(self) -> str:
        return f"rollout {self.rollout} of {self.canary.name}: {self.outcome.replace('_', ' ')} ({self.reason})"


@dataclass(frozen=True)
class Effect:
    """What a command led to."""

    revision: int
    #: `idle`, `running`, `paused` or `awaiting_approval`.
    state: str
    stable: Version
    canary: Version | None
    traffic_percent: float
    rollout: int | None
    last_rollout: Ended | None
    headline: str
    next: str
    notes: list[str]
    data: Data = _data()

    @staticmethod
    def of(data: Data) -> Effect:
        """The effect that the server answers."""
        return Effect(
            revision=data["revision"],
            state=data["state"],
            stable=_stable(data),
            canary=Version.of(data["canary"]),
            traffic_percent=data["traffic_percent"],
            rollout=data.get("rollout_id"),
            last_rollout=Ended.of(data.get("last_rollout")),
            headline=data["headline"],
            next=data["next"],
            notes=list(data["notes"]),
            data=data,
        )

    def __str__(self) -> str:
        return "\n".join([self.headline, self.next, *(f"note: {note}" for note in self.notes)])


@dataclass(frozen=True)
class Report:
    """A status in words."""

    condition: str
    headline: str
    why: str | None
    next: str
    missing: str | None
    notes: list[str]
    #: A row for each metric.
    metrics: list[Data]

    def __str__(self) -> str:
        lines = [self.headline, self.why, self.missing, self.next]
        lines += [f"  {row['metric']}: {row['state']}{_detail(row)}" for row in self.metrics]
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join(line for line in lines if line)


@dataclass(frozen=True)
class Status:
    """The state of the server and its rollout."""

    revision: int
    #: `idle`, `running`, `paused` or `awaiting_approval`.
    state: str
    stable: Version
    canary: Version | None
    traffic_percent: float
    #: The number of the rollout under way, counted from 1.
    rollout: int | None
    #: `manual` or `automatic`.
    mode: str | None
    last_rollout: Ended | None
    report: Report
    data: Data = _data()

    @staticmethod
    def of(data: Data) -> Status:
        """The status that the server answers."""
        rollout, report = data["rollout"] or {}, data["report"]
        return Status(
            revision=data["revision"],
            state=data["state"],
            stable=_stable(data),
            canary=Version.of(data["canary"]),
            traffic_percent=data["traffic_percent"],
            rollout=rollout.get("id"),
            mode=rollout.get("mode"),
            last_rollout=Ended.of(data["last_rollout"]),
            report=Report(**{name: report[name] for name in Report.__dataclass_fields__}),
            data=data,
        )

    def __str__(self) -> str:
        return str(self.report)


@dataclass(frozen=True)
class Health:
    """The judgement of the canary."""

    #: `ok`, `warning`, `harm` or `insufficient_data`.
    status: str
    message: str
    #: What a promotion by hand would meet now: `promote`, `rollback` or `hold`.
    verdict: str
    reasons: list[str]
    #: The verdict of the sequential judge, which stays valid however often it is read.
    sequential_verdict: str | None
    harm_detected: bool
    checked: list[str]
    not_checked: list[str]
    data: Data = _data()

    @staticmethod
    def of(data: Data) -> Health:
        """The judgement that the server answers."""
        return Health(
            status=data["status"],
            message=data["message"],
            verdict=data["verdict"],
            reasons=list(data["reasons"]),
            sequential_verdict=(data["sequential"] or {}).get("verdict"),
            harm_detected=data["harm_detected"],
            checked=list(data["checked"]),
            not_checked=list(data["not_checked"]),
            data=data,
        )

    def __str__(self) -> str:
        return f"{self.status.replace('_', ' ')}: {self.message}"


@dataclass(frozen=True)
class Verdict:
    """The verdict for gates, which may be asked for at any time."""

    #: `promote`, `rollback` or `hold`.
    verdict: str
    reason: str
    #: The version it is about.
    version: str | None
    data: Data = _data()

    @staticmethod
    def of(data: Data) -> Verdict:
        """The verdict that the server answers."""
        return Verdict(data["verdict"], data["reason"], data["version"], data)

    def __str__(self) -> str:
        return f"{self.verdict}: {self.reason}"


@dataclass(frozen=True)
class Model:
    """A file in the models folder."""

    version: str
    file: str
    #: What `serin inspect` prints; None if the file cannot be read as a model.
    card: Data | None = field(repr=False)
    data: Data = _data()

    @staticmethod
    def of(data: Data) -> Model:
        """A model that the server lists."""
        return Model(data["version"], data["file"], data.get("card"), data)

    @property
    def features(self) -> list[str]:
        """The names of the features, in the order of the model."""
        return [feature["name"] for feature in (self.card or {}).get("features", [])]


@dataclass(frozen=True)
class Entry:
    """An entry of the journal."""

    sequence: int
    at: str
    event: str
    sentence: str
    data: Data = _data()

    @staticmethod
    def of(data: Data) -> Entry:
        """An entry that the server lists."""
        return Entry(data["sequence"], data["at"], data["event"], data["sentence"], data)


@dataclass(frozen=True)
class Feedback:
    """What became of labels."""

    recorded: int
    #: Labels of requests that a tester sent, or of rollouts that count no more.
    not_counted: int
    #: One for each refused label: `index`, `code` and `detail`.
    refused: list[Data]


@dataclass(frozen=True)
class Analysis:
    """A comparison of recorded values. It advises and changes nothing."""

    #: `promote`, `rollback` or `wait`.
    decision: str
    reason: str
    #: For one metric.
    stats: Data = field(repr=False)
    #: For several metrics: the analysis of each.
    metrics: list[Data] = field(repr=False)
    data: Data = _data()

    @staticmethod
    def of(data: Data) -> Analysis:
        """The analysis that the server answers."""
        return Analysis(
            data["decision"], data.get("reason", ""), data.get("stats") or {}, list(data.get("metrics") or []), data
        )


def _stable(data: Data) -> Version:
    stable = data["stable"]
    return Version(stable["version"], stable["file"], stable["digest"])


def _detail(row: Data) -> str:
    return f" ({row['detail']})" if row.get("detail") else ""
