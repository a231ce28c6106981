"""A client of a running server."""

from __future__ import annotations

import filecmp
import os
import secrets
import shutil
import time
import urllib.parse
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING
from typing import Any
from typing import Union
from typing import overload

from . import _rows
from ._http import Transport
from .answers import Analysis
from .answers import Effect
from .answers import Ended
from .answers import Entry
from .answers import Feedback
from .answers import Health
from .answers import Model
from .answers import Prediction
from .answers import Status
from .answers import Verdict
from .errors import ApprovalNeededError
from .errors import ExportError
from .errors import NoAnswerError
from .errors import ProblemError
from .errors import SerinError
from .errors import WaitTimeoutError

if TYPE_CHECKING:
    import pandas as pd

Steps = Union[str, Sequence[Mapping[str, Any]]]

DEFAULT_URL = "http://127.0.0.1:8000"

# Labels in one request.
MAX_LABELS = 1000

# A server that restarts may not answer for this long.
RESTART_SECONDS = 30.0


class Client:
    """Talks to a server over HTTP. Threads may share one.

    `url` and `token` default to the environment variables `SERIN_URL` and `SERIN_ADMIN_TOKEN`, as for the command line.
    `models` is the server's models folder, if this process can write to it; `deploy` then takes fitted models and files
    from elsewhere. An error of the server is a `ProblemError` with its `code`; without an answer it is a
    `NoAnswerError`. Only requests that change nothing are repeated (`retries` times).
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        timeout: float = 30.0,
        retries: int = 2,
        models: str | Path | None = None,
    ) -> None:
        token = os.environ.get("SERIN_ADMIN_TOKEN") if token is None else token
        self._http = Transport(url or os.environ.get("SERIN_URL") or DEFAULT_URL, token, timeout, retries)
        self._models = None if models is None else Path(models)
        #: The features of the stable version and whether each takes flags as words; None before the first flag.
        self._flags: dict[str, bool] | None = None

    @property
    def url(self) -> str:
        """The address of the server."""
        return self._http.url

    @property
    def models_folder(self) -> Path | None:
        """The server's models folder, if this process can write to it."""
        return self._models

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    # Predictions.

    @overload
    def predict(
        self,
        rows: Mapping[str, Any],
        *,
        key: str | None = ...,
        segments: Mapping[str, str] | None = ...,
        covariate: float | None = ...,
        track: str | None = ...,
    ) -> Prediction: ...

    @overload
    def predict(
        self,
        rows: Sequence[Any],
        *,
        key: str | None = ...,
        segments: Mapping[str, str] | None = ...,
        covariate: float | None = ...,
        track: str | None = ...,
    ) -> list[Prediction]: ...

    @overload
    def predict(
        self,
        rows: pd.DataFrame,
        *,
        key: str | None = ...,
        segments: Mapping[str, str] | None = ...,
        covariate: float | None = ...,
        track: str | None = ...,
    ) -> pd.DataFrame: ...

    def predict(
        self,
        rows: Any,
        *,
        key: str | None = None,
        segments: Mapping[str, str] | None = None,
        covariate: float | None = None,
        track: str | None = None,
    ) -> Any:
        """Predicts one row (a dict, a Series) or many (a list of dicts or of lists, an array, a DataFrame).

        One row gives a `Prediction`, many a list of them, and a DataFrame a DataFrame with its index. A missing value
        is None, NaN or pandas' NA. True and False are sent as `export` wrote them: as 1 and 0, or as words where the
        stable model takes words (which needs access to `/admin`). `key` keeps a user on one version; `segments` names
        what is judged apart. `covariate` is a positive number known beforehand that the latency may depend on, such as
        an expected size. `track` (`stable` or `canary`) needs a server with `--allow-track-header`; such requests
        count for nothing. Many rows go to one version as a whole, unless they need several requests. A frame of a
        model of many classes has a column `probability:CLASS` for each, one of a regression the column `score`.
        """
        given = (("key", key), ("segments", segments), ("covariate", covariate))
        others = {name: value for name, value in given if value is not None}
        headers = {} if track is None else {"x-serin-track": track}
        if isinstance(rows, Mapping) or _rows.is_series(rows):
            [row] = self._without_flags([rows if isinstance(rows, Mapping) else rows.to_dict()])
            answer = self._predict(_rows.encode({"features": row, **others}), headers)
            return Prediction.of(answer, answer)
        predictions = [
            Prediction.of(row, answer)
            for body in _rows.bodies(self._without_flags(_rows.as_rows(rows)), others)
            for answer in [self._predict(body, headers)]
            for row in answer["predictions"]
        ]
        return _frame(predictions, rows) if _rows.is_frame(rows) else predictions

    def _predict(self, body: bytes, headers: Mapping[str, str]) -> Any:
        try:
            return self._http.send("POST", "/predict", body, headers)
        except ProblemError as problem:
            if problem.code == "invalid_features":
                # A version with other features may have become stable since they were asked for.
                self._flags = None
            raise

    def _without_flags(self, rows: Sequence[Any]) -> Sequence[Any]:
        """The rows with numbers and words for booleans, which no request may have."""
        if not any(_rows.has_flags(row) for row in rows):
            return rows
        flags = self._flags
        if flags is None:
            flags = self._flags = self._flags_of_stable()
        return [_rows.without_flags(row, flags) for row in rows]

    def _flags_of_stable(self) -> dict[str, bool]:
        """The features of the stable version in their order, and whether each takes the words `true` and `false`."""
        try:
            file = self.status().stable.file
            card = next((model.card for model in self.models() if model.file == file), None)
        except ProblemError:
            # No admin token: the server refuses a number where it takes words, and says so.
            return {}
        words = {"true", "false"}
        return {
            one["name"]: isinstance(one["kind"], Mapping) and not words.isdisjoint(one["kind"]["categorical"]["levels"])
            for one in (card or {}).get("features", [])
        }

    @overload
    def feedback(self, prediction_ids: str, outcomes: Any) -> Feedback: ...

    @overload
    def feedback(self, prediction_ids: Iterable[str], outcomes: Iterable[Any]) -> Feedback: ...

    def feedback(self, prediction_ids: Any, outcomes: Any) -> Feedback:
        """Reports what became true of predictions: 0, 1, True or False for each id.

        Both may be columns of a frame. A label that the server refuses is in `refused`, and does not affect the
        others; a single one that it refuses is a `ProblemError`.
        """
        if isinstance(prediction_ids, str):
            answer = self._post("/feedback", {"prediction_id": prediction_ids, "outcome": outcomes})
            is_recorded = answer["status"] == "recorded"
            return Feedback(int(is_recorded), int(not is_recorded), [])
        ids, given = list(prediction_ids), list(outcomes)
        if len(ids) != len(given):
            raise ValueError(f"outcomes: {len(given)} for {len(ids)} prediction ids; give one for each")
        labels = [{"prediction_id": one, "outcome": outcome} for one, outcome in zip(ids, given)]
        recorded, not_counted = 0, 0
        refused: list[Mapping[str, Any]] = []
        for number, part in enumerate(_rows.chunks(labels, MAX_LABELS)):
            answer = self._post("/feedback", {"feedback": part})
            recorded += answer["recorded"]
            not_counted += answer["not_counted"]
            refused += [{**one, "index": one["index"] + number * MAX_LABELS} for one in answer["refused"]]
        return Feedback(recorded, not_counted, refused)

    # Numbers measured elsewhere.

    def record(self, version: str, score: float, *, metric: str | None = None, key: str | None = None) -> None:
        """Records a number for a version: `baseline` (or `stable`) or `canary`."""
        self._post("/record", _given(version=version, score=score, metric=metric, key=key))

    def recorded(self) -> Mapping[str, Any]:
        """How many numbers were recorded."""
        return dict(self._get("/status"))

    def reset(self) -> None:
        """Deletes what was recorded."""
        self._post("/reset", {})

    def analyze(
        self,
        baseline: Iterable[float] | None = None,
        canary: Iterable[float] | None = None,
        *,
        metric: str | None = None,
        margin: float | str | None = None,
        higher_is_better: bool | None = None,
        p_threshold: float | None = None,
        effect_threshold: float | None = None,
        min_samples: int | None = None,
        metrics: Sequence[Mapping[str, Any]] | None = None,
        correction: str | None = None,
    ) -> Analysis:
        """Compares what was recorded, or two given samples (docs/operations.md#numbers-measured-elsewhere)."""
        body = _given(
            baseline=None if baseline is None else list(baseline),
            canary=None if canary is None else list(canary),
            metric=metric,
            margin=margin,
            higher_is_better=higher_is_better,
            p_threshold=p_threshold,
            effect_threshold=effect_threshold,
            min_samples=min_samples,
            metrics=metrics,
            correction=correction,
        )
        return Analysis.of(self._http.send("POST", "/analyze", _rows.encode(body), is_safe=True))

    # Questions.

    def status(self) -> Status:
        """The state of the server and its rollout."""
        return Status.of(self._get("/admin/status"))

    def check(self) -> Health:
        """The judgement of the canary."""
        return Health.of(self._get("/admin/check-canary-health"))

    def verdict(self, version: str | None = None) -> Verdict:
        """The verdict for gates on the canary, or on this version, whose rollout may be over (docs/gates.md)."""
        query = "" if version is None else "?" + urllib.parse.urlencode({"version": version})
        return Verdict.of(self._get("/verdict" + query))

    def models(self) -> list[Model]:
        """The files in the models folder."""
        return [Model.of(model) for model in self._get("/admin/models")["models"]]

    def history(self, limit: int | None = None, after: int | None = None) -> list[Entry]:
        """Entries of the journal: the newest, or those after a sequence number."""
        query = "&".join(f"{name}={value}" for name, value in _given(limit=limit, after=after).items())
        path = f"/admin/history?{query}" if query else "/admin/history"
        return [Entry.of(entry) for entry in self._get(path)["entries"]]

    def disagreements(self) -> Mapping[str, Any]:
        """The requests on which canary and stable differ most in shadow."""
        return dict(self._get("/admin/disagreements"))

    def is_ready(self) -> bool:
        """Whether the server takes requests."""
        try:
            self._http.send("GET", "/readyz", timeout=min(2.0, self._http.timeout))
        except SerinError:
            return False
        return True

    # Commands. `if_revision` makes one fail with `revision_changed` unless the server has this revision.

    def deploy(
        self,
        model: Any,
        X: Any = None,
        *,
        name: str | None = None,
        traffic_percent: float | None = None,
        shadow_percent: float | None = None,
        bake: str | None = None,
        plan: str | Mapping[str, Any] | None = None,
        steps: Steps | None = None,
        mode: str | None = None,
        policy: Mapping[str, Any] | None = None,
        expect_shift: bool = False,
        post_promotion: Mapping[str, Any] | None = None,
        reason: str | None = None,
        override_quarantine: bool = False,
        if_revision: int | None = None,
    ) -> Effect:
        """Deploys a model as the canary.

        `model` is a file in the server's models folder. A client that knows this folder (`models=`, or the client of a
        `Server`) also takes a file from elsewhere, which it copies there, and a fitted model, which it exports and
        imports with rows `X` to compare the answers; `name` is the name that it gets. `plan` is a template (`careful`,
        `standard`, `fast`) or the fields of a plan; `steps` is `"0%:10m,1%:10m,50%"` or a list of steps. Without
        either a person decides.
        """
        given_plan: dict[str, Any] = {"template": plan} if isinstance(plan, str) else dict(plan or {})
        if steps is not None:
            given_plan["steps"] = _steps(steps)
        given_policy = dict(policy or {})
        if expect_shift:
            given_policy["expect_shift"] = True
        body = _given(
            model_path=self._in_models(model, X, name),
            traffic_percent=traffic_percent,
            shadow_percent=shadow_percent,
            bake=bake,
            plan=given_plan or None,
            mode=mode,
            policy=given_policy or None,
            post_promotion=post_promotion,
            reason=reason,
            override_quarantine=override_quarantine or None,
        )
        return self._command("/admin/deploy-canary", body, if_revision)

    def promote(self, *, force: bool = False, reason: str | None = None, if_revision: int | None = None) -> Effect:
        """Makes the canary stable, if its judgement allows it; `force` needs a reason."""
        return self._command("/admin/promote-canary", _given(force=force or None, reason=reason), if_revision)

    def rollback(
        self, reason: str | None = None, *, quarantine: bool = False, if_revision: int | None = None
    ) -> Effect:
        """Takes the canary back at once."""
        body = _given(reason=reason, quarantine=quarantine or None)
        return self._command("/admin/rollback-canary", body, if_revision)

    def revert(self, reason: str | None = None, *, if_revision: int | None = None) -> Effect:
        """Makes the version before a monitored promotion stable again."""
        return self._command("/admin/revert", _given(reason=reason), if_revision)

    def pause(self, *, if_revision: int | None = None) -> Effect:
        """Holds the rollout."""
        return self._command("/admin/pause-canary", {}, if_revision)

    def resume(self, *, if_revision: int | None = None) -> Effect:
        """Lets a rollout continue, or approves what it waits for."""
        return self._command("/admin/resume-canary", {}, if_revision)

    def set_traffic(
        self, percent: float, *, shadow_percent: float | None = None, if_revision: int | None = None
    ) -> Effect:
        """Begins a step with this share for the canary, whose samples start from zero."""
        body = _given(percent=percent, shadow_percent=shadow_percent)
        return self._command("/admin/set-traffic", body, if_revision)

    def inject(
        self,
        *,
        delay_ms: int | None = None,
        error_rate: float | None = None,
        score_shift: float | None = None,
        segment: Mapping[str, str] | None = None,
        if_revision: int | None = None,
    ) -> Effect:
        """Breaks the canary on purpose; without arguments it ends that. Needs a server with `--allow-injection`."""
        body = _given(delay_ms=delay_ms, error_rate=error_rate, score_shift=score_shift, segment=segment)
        return self._command("/admin/inject", body, if_revision)

    def slow_down(self, delay_ms: int = 25) -> None:
        """Slows the canary down, the present one or the next; 0 ends that."""
        body = {"enabled": True, "delay_ms": delay_ms} if delay_ms else {"enabled": False}
        self._post("/admin/toggle-slowdown", body)

    def replay_recent(self) -> Mapping[str, Any]:
        """Sends the recent requests to both versions again."""
        return dict(self._post("/admin/replay-recent", {}))

    def wait(self, timeout: float | None = None, *, poll: float = 0.2, through_approval: bool = False) -> Ended:
        """Waits until no rollout is under way, and says how the last one ended.

        A rollout that has ended before counts, too: it may have been over before this was called. After `timeout`
        seconds it raises `WaitTimeoutError`, which says what the rollout waits for. A rollout that asks for approval
        raises `ApprovalNeededError` at once: call `resume()` to approve, and wait again. With `through_approval` it
        waits on, for the approval of another person or for labels that make it unnecessary.
        """
        end = None if timeout is None else time.monotonic() + timeout
        first: int | None = None
        while True:
            status = self._patiently(end)
            first = first or status.rollout
            if status.rollout is None or status.rollout != first:
                last = status.last_rollout
                if last is None:
                    raise SerinError("no rollout was started yet; start one with deploy")
                if first is not None and last.rollout != first:
                    raise SerinError(f"rollout {first} ended, and others followed; see history()")
                return last
            if status.state == "awaiting_approval" and not through_approval:
                raise ApprovalNeededError(
                    "the rollout waits for approval; approve with client.resume(), or end it with client.rollback():\n"
                    f"{status}"
                )
            if end is not None and time.monotonic() >= end:
                raise WaitTimeoutError(f"the rollout has not ended within {timeout:g} s:\n{status}")
            time.sleep(poll if end is None else max(0.0, min(poll, end - time.monotonic())))

    def _patiently(self, end: float | None) -> Status:
        """The status, even if the server restarts and does not answer for a while."""
        start = time.monotonic()
        until = start + RESTART_SECONDS if end is None else min(start + RESTART_SECONDS, end)
        while True:
            try:
                return self.status()
            except NoAnswerError:
                if time.monotonic() >= until:
                    raise
                time.sleep(0.2)

    # How requests are sent.

    def _get(self, path: str) -> Any:
        return self._http.send("GET", path, is_safe=True)

    def _post(self, path: str, body: Mapping[str, Any]) -> Any:
        return self._http.send("POST", path, _rows.encode(body))

    def _command(self, path: str, body: Mapping[str, Any], if_revision: int | None) -> Effect:
        headers = {} if if_revision is None else {"If-Match": f'"{if_revision}"'}
        return Effect.of(self._http.send("POST", path, _rows.encode(body), headers))

    # Models.

    def _in_models(self, model: Any, X: Any, name: str | None) -> str:
        """The path of a model as the server finds it, after it was put into the models folder if need be."""
        if not isinstance(model, (str, os.PathLike)):
            return self._exported(model, X, name)
        file = Path(model)
        if self._models is None:
            if name is not None:
                raise ValueError("name: needs the models folder of the server; give it as Client(models=...)")
            return os.fspath(model)
        # A name is one of the models folder first, whatever lies in the working directory.
        is_known = name is None and not file.is_absolute() and (self._models / file).exists()
        if is_known or not file.is_file() or file.resolve().parent == self._models.resolve():
            return os.fspath(model)
        return put(file, self._models / _named(name or file.stem, file.suffix)).name

    def _exported(self, model: Any, X: Any, name: str | None) -> str:
        from .export import export

        kind = type(model).__name__
        if self._models is None:
            raise ExportError(
                f"a fitted {kind} needs the models folder of the server; give it as Client(models=...), or use "
                "serin.export and deploy the file"
            )
        if X is None:
            raise ExportError(f"a fitted {kind} needs rows to compare the answers on; give them as X=")
        taken = {file.stem for file in self._models.iterdir()}
        free = next(f"{kind}_{number}" for number in range(1, len(taken) + 2) if f"{kind}_{number}" not in taken)
        file = self._models / _named(name or free, ".bin")
        if file.exists():
            raise ValueError(
                f"name: the models folder has {file.name} already; deploy that file by its name, or give another name"
            )
        export(model, X, file)
        return file.name


def put(file: Path, to: Path) -> Path:
    """Copies a file in one step, so that the server never reads half of it; another one is not overwritten."""
    if to.exists():
        if filecmp.cmp(file, to, shallow=False):
            return to
        raise ValueError(f"{to.name}: the models folder has another file of this name; give a new one with name=")
    part = to.with_name(f".{to.name}.{secrets.token_hex(4)}.tmp")
    try:
        # Opened, not made by tempfile, whose files only their owner may read: the server may be another user.
        with file.open("rb") as source, part.open("xb") as copy:
            shutil.copyfileobj(source, copy)
        part.replace(to)
    finally:
        part.unlink(missing_ok=True)
    return to


def _named(name: str, suffix: str) -> str:
    """The name of a file in the models folder."""
    if not name or Path(name).name != name or name.startswith("."):
        raise ValueError(f"name: {name!r} is not a name for a file; use for example 'churn_v2'")
    return name if name.endswith(suffix) else f"{name}{suffix}"


def _given(**fields: Any) -> dict[str, Any]:
    """The fields that were given."""
    return {name: value for name, value in fields.items() if value is not None}


def _steps(steps: Steps) -> Sequence[Mapping[str, Any]]:
    """`"0%:10m,50%"` as the steps of a plan."""
    if not isinstance(steps, str):
        return list(steps)
    return [_step(text.strip()) for text in steps.split(",")]


def _step(text: str) -> Mapping[str, Any]:
    share, _, bake = text.partition(":")
    try:
        weight = float(share.strip().rstrip("%"))
    except ValueError:
        raise ValueError(f"steps: {text!r} is not a step; use a share and a duration, for example 5%:10m") from None
    return {"weight": weight, "bake": bake.strip() or None}


def _frame(predictions: Sequence[Prediction], rows: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    columns: dict[str, list[Any]] = {}
    kind = predictions[0].kind if predictions else "probability"
    if kind == "probabilities":
        for name in predictions[0].probabilities:
            columns[f"probability:{name}"] = [one.probabilities[name] for one in predictions]
    else:
        columns[kind] = [one.output for one in predictions]
    names = ["label", "model_used", "model_version", "prediction_id", "fallback"]
    for name in names[kind == "score" :]:
        columns[name] = [getattr(one, name) for one in predictions]
    return pd.DataFrame(columns, index=rows.index)
