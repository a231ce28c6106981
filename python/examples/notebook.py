"""A slow version is rolled back, from a notebook: run it cell by cell, or as a script."""

# %% A server on a free port of this machine, with two demo models.
import time

import serin

start = time.monotonic()
server = serin.Server().start()
client = server.client
print(server)

# %% Stable answers. With pandas, send a DataFrame and get one back.
rows = [
    {"tenure_years": 0.5, "charge_ratio": 1.2, "usage_ratio": 0.8, "late_payment_share": 0.3, "support_calls": calls}
    for calls in range(6)
]
for answer in client.predict(rows):
    print(f"{answer.probability:.3f} by {answer.model_version}")

# %% The next version is 25 ms slower than it should be. It gets 10 % of the traffic.
client.slow_down(25)
print(client.deploy("model_v2.bin", steps="10%:1m,50%:1m"))

# %% Users go on while serin judges.
with serin.Traffic(client, rows, per_second=200) as traffic:
    ended = client.wait(timeout=60)
print(ended)
print(traffic)
print(f"first verdict {time.monotonic() - start:.1f} s after the start of the server")

# %% serin took it back, and no request failed.
assert ended.outcome == "rolled_back", ended
assert traffic.failed == 0, traffic.errors
assert client.status().stable.name == "model_v1"
server.stop()
