"""A rollout as a test: run it with pytest. The fixture `serin_server` comes with the package."""

from serin.testing import assert_rolled_back
from serin.testing import drive

ROWS = [
    {"tenure_years": 0.5, "charge_ratio": 1.2, "usage_ratio": 0.8, "late_payment_share": 0.3, "support_calls": calls}
    for calls in range(6)
]


def test_a_slow_canary_is_rolled_back(serin_server):
    client = serin_server().client
    client.slow_down(25)
    client.deploy("model_v2.bin", steps="10%:1m,50%:1m")
    with drive(client, ROWS, per_second=200) as traffic:
        assert_rolled_back(client, timeout=60, because="latency")
    assert traffic.failed == 0
    assert client.status().stable.name == "model_v1"
