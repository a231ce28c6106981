"""What `serin.testing` gives to a test suite."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import serin
from conftest import ROW
from serin import WaitTimeoutError
from serin.testing import assert_no_harm
from serin.testing import assert_promoted
from serin.testing import assert_rolled_back
from serin.testing import drive
from serin.testing import wait_for_verdict

ROWS = pd.DataFrame([{**ROW, "support_calls": number} for number in range(7)])


def test_a_slow_canary_is_rolled_back_and_no_request_fails(serin_server):
    client = serin_server().client
    client.slow_down(25)
    client.deploy("model_v2.bin", steps="50%:1m")
    with drive(client, ROWS, per_second=200) as traffic:
        ended = assert_rolled_back(client, because="latency")
    assert ended.canary.name == "model_v2"
    assert traffic.failed == 0
    assert set(traffic.answered_by) == {"model_v1", "model_v2"}
    assert wait_for_verdict(client) == "rollback"
    with pytest.raises(AssertionError, match="expected a promotion: rollout 1 of model_v2: rolled back") as caught:
        assert_promoted(client)
    assert "is deployed as canary" in str(caught.value), "the journal tells the story"
    with pytest.raises(AssertionError, match="because of 'failures'"):
        assert_rolled_back(client, because="failures")


def test_the_same_model_is_no_harm_and_is_promoted(serin_server):
    server = serin_server()
    twin = server.models / "twin.bin"
    twin.write_bytes((server.models / "model_v1.bin").read_bytes())
    client = server.client
    client.deploy("twin.bin", traffic_percent=50)
    with drive(client, ROWS, per_second=400):
        assert wait_for_verdict(client, timeout=90) == "promote"
        assert_no_harm(client)
    client.promote()
    assert assert_promoted(client).outcome == "promoted"
    with pytest.raises(AssertionError, match="expected a rollback"):
        assert_rolled_back(client)


def test_without_traffic_there_is_no_verdict(serin_server):
    client = serin_server().client
    with pytest.raises(serin.SerinError, match="no rollout"):
        wait_for_verdict(client)
    client.deploy("model_v2.bin", plan="standard")
    with pytest.raises(WaitTimeoutError, match="no verdict within"):
        wait_for_verdict(client, timeout=0.1)
    with pytest.raises(AssertionError, match="expected a rollback: the rollout has not ended"):
        assert_rolled_back(client, timeout=0.1)
    with pytest.raises(AssertionError, match="insufficient data"):
        assert_no_harm(client)


def test_traffic_keeps_its_rate_counts_and_calls_back(demo):
    answers = []
    with drive(demo.client, ROWS, per_second=200, key="customer-{}".format, on_answer=lambda *one: answers.append(one)):
        serin.traffic.time.sleep(0.5)
    assert 40 <= len(answers) <= 110
    assert answers[0][0]["charge_ratio"] == ROW["charge_ratio"]
    lists = [list(ROW.values())]
    with drive(demo.client, lists, per_second=100) as traffic:
        serin.traffic.time.sleep(0.1)
    assert traffic.sent > 0
    assert f"{traffic.sent} by model_v1" in repr(traffic)


def test_traffic_counts_what_fails(demo):
    with drive(demo.client, [{"x": 1}], per_second=100) as traffic:
        serin.traffic.time.sleep(0.2)
    assert traffic.sent == 0
    assert traffic.failed > 0
    assert traffic.errors[0].code == "invalid_features"
    for options, said in [({"per_second": 0}, "per_second"), ({"threads": 0}, "threads")]:
        with pytest.raises(ValueError, match=said):
            drive(demo.client, ROWS, **options)
    with pytest.raises(ValueError, match="rows: none"):
        drive(demo.client, [])


def test_the_log_of_the_server_is_shown_for_a_test_that_fails(pytester, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(serin.__file__).parent.parent))
    pytester.makepyfile(
        """
        def test_it(serin_server):
            server = serin_server(log="info")
            assert server.client.status().state == "running"
        """
    )
    done = pytester.runpytest_subprocess("-p", "serin.testing")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*Captured stderr teardown*", "*127.0.0.1*"])
