"""The client against a real server."""

from __future__ import annotations

import os
import stat
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import serin
from conftest import ROW
from serin import ApprovalNeededError
from serin import Client
from serin import ProblemError
from serin import WaitTimeoutError
from serin._rows import bodies
from serin._rows import encode
from serin.client import put
from serin.testing import assert_rolled_back
from serin.testing import wait_for_verdict


def test_one_row_many_rows_and_a_frame(demo):
    client = demo.client
    one = client.predict(ROW)
    assert (one.model_used, one.model_version, one.label) == ("stable", "model_v1", int(one.probability >= 0.5))
    frame = pd.DataFrame([ROW, {**ROW, "usage_ratio": np.nan}, {**ROW, "support_calls": 9}], index=["a", "b", "c"])
    answers = client.predict(frame)
    assert list(answers.index) == ["a", "b", "c"]
    assert answers.probability["a"] == one.probability
    many = client.predict(frame.where(frame.notna(), None).to_dict("records"))
    assert [row.probability for row in many] == list(answers.probability)
    assert len({row.prediction_id for row in many}) == 3
    assert client.predict(frame.iloc[0]).probability == one.probability
    assert client.predict(frame.to_numpy())[1].probability == many[1].probability
    assert client.predict(pd.DataFrame(columns=list(ROW))).empty


def test_values_of_numpy_and_pandas_are_numbers_and_missing_values(demo):
    expected = demo.client.predict({**ROW, "usage_ratio": None, "support_calls": 1}).probability
    for missing in (np.nan, np.float32("nan"), pd.NA, pd.NaT):
        row = {**ROW, "usage_ratio": missing, "support_calls": np.int64(1), "tenure_years": np.float64(0.5)}
        assert demo.client.predict(row).probability == expected
        assert demo.client.predict(pd.Series(row)).probability == expected
    kinds = pd.DataFrame([ROW]).astype({"support_calls": "Int64"}, errors="ignore")
    kinds["support_calls"] = pd.array([1], dtype="Int64")
    kinds["usage_ratio"] = pd.array([None], dtype="Float64")
    assert demo.client.predict(kinds).probability[0] == expected


def test_bad_values_are_named():
    with pytest.raises(ValueError, match=r"features\.b: infinity"):
        encode({"features": {"a": np.nan, "b": float("inf")}})
    with pytest.raises(TypeError, match="complex: not a value"):
        encode({"features": {"a": 1j}})
    with pytest.raises(ValueError, match="column when has dates"):
        Client("http://127.0.0.1:9").predict(pd.DataFrame({"when": pd.to_datetime(["2026-11-26"])}))
    with pytest.raises(ValueError, match="the column a more than once"):
        Client("http://127.0.0.1:9").predict(pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_more_rows_than_a_request_takes_are_sent_in_several(demo):
    assert [body.count(b"[1") for body in bodies([[1]] * 25_000, {})] == [10_000, 10_000, 5_000]
    wide = list(bodies([["x" * 1000]] * 9_000, {"key": "k"}))
    assert len(wide) == 3
    assert all(len(body) < 5 << 20 for body in wide)
    frame = pd.DataFrame([ROW]).loc[np.zeros(10_050, dtype=int)]
    assert len(demo.client.predict(frame)) == 10_050


def test_a_problem_has_its_code(demo):
    with pytest.raises(ProblemError) as caught:
        demo.client.predict({**ROW, "shoe_size": 44})
    assert (caught.value.status, caught.value.code) == (422, "invalid_features")
    assert "shoe_size" in caught.value.detail
    with pytest.raises(ProblemError) as caught:
        demo.client.promote()
    assert caught.value.code == "no_canary"


def test_a_rollout_by_hand(serin_server):
    client = serin_server().client
    assert client.is_ready()
    assert [model.file for model in client.models()] == ["model_v1.bin", "model_v2.bin"]
    assert client.models()[0].features == list(ROW)
    effect = client.deploy("model_v2.bin", traffic_percent=50, reason="a try")
    assert (effect.state, effect.canary.name, effect.traffic_percent) == ("running", "model_v2", 50)
    assert client.check().status == "insufficient_data"
    assert client.verdict().version == "model_v2"
    assert str(client.verdict("model v1")).startswith("hold: model v1 is neither the canary nor stable")
    assert client.set_traffic(25).traffic_percent == 25
    assert client.pause().state == "paused"
    assert client.resume().state == "running"
    assert client.inject(delay_ms=3).data["injection"]["delay_ms"] == 3
    client.inject()
    client.slow_down(7)
    assert client.status().data["delay_ms"] == 7
    client.slow_down(0)
    assert client.status().data["simulate_slowdown"] is False
    with pytest.raises(ProblemError, match="insufficient_data"):
        client.promote()
    promoted = client.promote(force=True, reason="tried by hand")
    assert promoted.stable.name == "model_v2"
    ended = client.wait(timeout=5)
    assert ended.is_promoted
    assert "promoted" in str(ended)
    client.deploy("model_v1.bin")
    assert client.rollback("enough").last_rollout.reason == "enough"
    sentences = [entry.sentence for entry in client.history(limit=2)]
    assert len(sentences) == 2
    assert "enough" in sentences[-1]
    assert client.disagreements()["disagreements"] == []


def test_labels_of_a_rollout(serin_server):
    client = serin_server().client
    client.deploy("model_v2.bin", traffic_percent=50)
    answers = client.predict(pd.DataFrame([ROW] * 1200))
    done = client.feedback(answers.prediction_id, answers.label)
    assert (done.recorded, done.not_counted, done.refused) == (1200, 0, [])
    ids = [*client.predict([ROW] * 1000 + [ROW])]
    labels = client.feedback([*(one.prediction_id for one in ids), "forged"], [0] * 1002)
    assert labels.recorded == 1001
    assert [(one["index"], one["code"]) for one in labels.refused] == [(1001, "malformed_id")]
    assert client.feedback(client.predict(ROW).prediction_id, True).recorded == 1
    with pytest.raises(ProblemError, match="repeated_feedback"):
        client.feedback(ids[0].prediction_id, 0)
    with pytest.raises(ValueError, match="2 for 1 prediction ids"):
        client.feedback(["a"], [0, 1])


def test_recorded_numbers_are_analyzed(demo):
    client = demo.client
    for number in range(40):
        client.record("baseline", 1.0 + number % 5)
        client.record("canary", 9.0 + number % 5)
    assert client.recorded()["canary"] == 40
    assert client.analyze().decision == "promote"
    assert client.analyze(higher_is_better=False).decision == "rollback"
    client.reset()
    assert client.recorded()["canary"] == 0
    given = client.analyze(pd.Series([1.0, 2.0] * 30), np.array([1.0, 2.0] * 30), margin="20%")
    assert given.decision in {"promote", "wait"}
    assert given.stats["baseline_mean"] == 1.5


def test_waiting_ends_with_what_the_rollout_waits_for(serin_server):
    client = serin_server().client
    with pytest.raises(serin.SerinError, match="no rollout was started"):
        client.wait()
    client.deploy("model_v2.bin", plan="standard")
    with pytest.raises(WaitTimeoutError, match=r"has not ended within 0\.1 s"):
        client.wait(timeout=0.1)
    timer = threading.Timer(0.3, client.rollback, ["stopped"])
    timer.start()
    assert client.wait(timeout=20).outcome == "rolled_back"
    timer.join()


def test_waiting_ends_at_once_when_the_rollout_needs_approval(serin_server):
    client = serin_server().client
    # Without a shadow and without labels no answer is compared, so serin asks before it promotes.
    client.deploy("model_v2.bin", steps="50%:1s")
    rows = pd.DataFrame([{**ROW, "support_calls": number} for number in range(7)])
    with serin.Traffic(client, rows, per_second=400) as traffic:
        begin = time.monotonic()
        with pytest.raises(ApprovalNeededError, match=r"approve with client\.resume\(\)(.|\n)*You decide"):
            client.wait(timeout=120)
        assert time.monotonic() - begin < 110
        with pytest.raises(ApprovalNeededError, match="no verdict without approval"):
            wait_for_verdict(client)
        with pytest.raises(AssertionError, match="expected a rollback: the rollout waits for approval"):
            assert_rolled_back(client, timeout=60)
        with pytest.raises(WaitTimeoutError):
            client.wait(timeout=0.3, through_approval=True)
        client.resume()
        assert client.wait(timeout=60).is_promoted
    assert traffic.failed == 0


def test_a_token_is_needed_where_the_server_has_one(serin_server):
    server = serin_server(token="sixteen-letters-or-more")
    assert server.client.status().state == "idle"
    with pytest.raises(ProblemError) as caught:
        Client(server.url, token="").status()
    assert (caught.value.status, caught.value.code) == (401, "unauthorized")
    # Every user of the machine can read the arguments of a process.
    arguments = Path(f"/proc/{server._running._process.pid}/cmdline").read_bytes()
    assert b"serve" in arguments
    assert b"sixteen-letters" not in arguments


def test_threads_share_a_client(demo):
    def ask() -> None:
        answers.append([demo.client.predict({**ROW, "support_calls": number}).probability for number in range(20)])

    answers: list[list[float]] = []
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    assert all(row == answers[0] for row in answers)
    assert len(set(answers[0])) == 20


def test_a_file_from_elsewhere_is_copied_and_no_other_is_overwritten(serin_server, tmp_path):
    server = serin_server()
    other = tmp_path / "new.bin"
    other.write_bytes((server.models / "model_v2.bin").read_bytes())
    assert server.client.deploy(other).canary.file == "new.bin"
    server.client.rollback()
    assert server.client.deploy(other, name="renamed").canary.file == "renamed.bin"
    server.client.rollback()
    other = tmp_path / "model_v1.bin"
    other.write_bytes(b"something else")
    with pytest.raises(ValueError, match="another file of this name"):
        server.client.deploy(other)
    # A bare name is one of the models folder, whatever lies here.
    assert server.client.deploy("model_v2.bin").canary.name == "model_v2"
    with pytest.raises(ValueError, match="models folder"):
        Client(server.url).deploy(tmp_path / "x.bin", name="y")
    with pytest.raises(serin.ExportError, match="needs the models folder"):
        Client(server.url).deploy(object())
    with pytest.raises(ValueError, match="is not a name for a file"):
        server.client.deploy(tmp_path / "new.bin", name="../new")


def test_a_copied_file_has_the_usual_mode_and_a_failed_copy_leaves_nothing(tmp_path, monkeypatch):
    (tmp_path / "from").write_bytes(b"a model")
    models = tmp_path / "models"
    models.mkdir()
    before = os.umask(0o027)
    try:
        copied = put(tmp_path / "from", models / "m.bin")
    finally:
        os.umask(before)
    assert stat.S_IMODE(copied.stat().st_mode) == 0o640

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("shutil.copyfileobj", full)
    with pytest.raises(OSError, match="no space left"):
        put(tmp_path / "from", models / "other.bin")
    assert [file.name for file in models.iterdir()] == ["m.bin"]


@pytest.mark.parametrize("steps", ["10%,x%", "5%:10m,"])
def test_steps_that_are_none_are_named(steps):
    with pytest.raises(ValueError, match="steps: .* is not a step"):
        Client("http://127.0.0.1:9").deploy("m.bin", steps=steps)
