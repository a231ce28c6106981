"""Writes what the bets of docs/statistics.md come to into tests/reference/sequential.json again.

The ticks in it are inputs and stay; the stakes, their shares and the logarithms of the e-values are written
anew from the formulas, which stand here a second time so that a slip in the Rust ones shows. The other
tables of the file were computed once with scipy 1.17.1 and do not depend on stakes or shares.

    make reference
"""

import json
import math
import sys
from pathlib import Path

STAKES = [0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64]
STAKE_SHARES = [share / 64 for share in (1, 2, 4, 8, 18, 12, 10, 9)]
RATIOS = [1.25, 1.5, 2, 3, 5, 10, 30, 100]
RATIO_SHARES = [share / 64 for share in (1, 10, 15, 6, 10, 10, 6, 6)]


def log_mean(logs, shares):
    most = max(logs)
    return most + math.log(math.fsum(share * math.exp(log - most) for log, share in zip(logs, shares)))


class Failures:
    """Whose failure was it? Against a risk ratio of at most (or at least) `allowed`."""

    def __init__(self, allowed, is_worse):
        self.allowed = allowed
        self.ratios = [ratio if is_worse else 1 / ratio for ratio in RATIOS]
        self.logs = [0.0] * len(RATIOS)

    def tick(self, pi, canary, stable):
        mixed = lambda ratio: math.log(pi * ratio + 1 - pi)
        for k, ratio in enumerate(self.ratios):
            lost = mixed(self.allowed * ratio) - mixed(self.allowed)
            self.logs[k] += canary * math.log(ratio) - (canary + stable) * lost
        return log_mean(self.logs, RATIO_SHARES)


class Values:
    """Is the canary's mean larger? Values lie between `lowest` and `highest`."""

    def __init__(self, center, scale, lowest, highest):
        self.center, self.scale, self.lowest, self.highest = center, scale, lowest, highest
        self.logs = [0.0] * len(STAKES)

    def tick(self, pi, canary, stable):
        worst = max((1 - pi) * (self.center - self.lowest), pi * (self.highest - self.center))
        outcomes = [(1 - pi) * (y - self.center) for y in canary] + [-pi * (y - self.center) for y in stable]
        for k, eta in enumerate(STAKES):
            stake = min(eta / self.scale, 0.9 / worst)
            self.logs[k] += math.fsum(math.log1p(stake * x) for x in outcomes)
        return log_mean(self.logs, STAKE_SHARES)


def failures(table):
    table["grid"], table["shares"] = RATIOS, RATIO_SHARES
    tests = {
        "loge_worse": Failures(1, True),
        "loge_better": Failures(1, False),
        "loge_noninf_ratio1_5": Failures(1.5, False),
        "loge_worse_than_1_2": Failures(1.2, True),
    }
    for tick in table["ticks"]:
        for name, test in tests.items():
            tick[name] = test.tick(tick["pi"], tick["events_canary"], tick["events_stable"])


def values(table):
    table["etas"], table["shares"] = STAKES, STAKE_SHARES
    center, cap, scale = table["centre"], table["cap"], table["scale"]
    worse, better = Values(center, scale, 0, cap), Values(-center, scale, -cap, 0)
    for tick in table["ticks"]:
        canary, stable = ([min(y, cap) for y in tick[track]] for track in ("canary", "stable"))
        tick["bet_worse_loge"] = worse.tick(tick["pi"], canary, stable)
        tick["bet_better_loge"] = better.tick(tick["pi"], [-y for y in canary], [-y for y in stable])


def main():
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "tests/reference") / "sequential.json"
    tables = json.loads(path.read_text())
    failures(tables["cond_bernoulli"])
    values(tables["score_and_bet"])
    path.write_text(json.dumps(tables, separators=(",", ":"), allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
