"""Writes what scipy and statsmodels say about seeded inputs to tests/reference/*.json.

The Rust tests (tests/stats_reference.rs) compare with these files; only this script makes them, but for
sequential.json (reference_bets.py).

    make reference                                   # a virtualenv with the pinned packages, then:
    .venv/bin/python scripts/reference_values.py     # [folder], tests/reference by default

It was run with numpy 2.4.6, scipy 1.17.1 and statsmodels 0.15.0. The same versions write the same
bytes: every random number comes from SEED, and floats are written with all their digits.
"""

import json
import math
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
from scipy import stats
from scipy.stats import nct
from statsmodels.stats.power import TTestIndPower

import reference_statistics

SEED = 20260101
LEVELS = [0.5, 0.95, 0.999]
QUANTILES = [0.01, 0.25, 0.5, 0.9, 0.99, 0.999]


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "tests/reference")
    folder.mkdir(parents=True, exist_ok=True)
    for table in [samples, student_t, fisher, power, *reference_statistics.TABLES]:
        # One generator per file, so that a new case in one does not change the others.
        rows = table(np.random.default_rng([SEED, sum(map(ord, table.__name__))]))
        text = ",\n".join(json.dumps(row, separators=(",", ":"), allow_nan=False) for row in rows)
        (folder / f"{table.__name__}.json").write_text(f"[\n{text}\n]\n")
        print(f"{table.__name__}.json: {len(rows)} cases", file=sys.stderr)


def samples(rng):
    """Pairs of samples: moments, quantiles and Welch's test. The canary comes first."""

    def rounded(values):
        # Seven digits keep the files small; the rounded numbers are the samples.
        return [float(f"{value:.7g}") for value in values]

    draws = {
        "normal": lambda n: rng.normal(50, 15, n),
        "lognormal": lambda n: rng.lognormal(-3, 1.5, n),
        "pareto": lambda n: rng.pareto(2.5, n) + 1,
        "score": lambda n: rng.beta(2, 5, n),
        "integer_ms": lambda n: np.round(rng.lognormal(3, 0.5, n)),
        "zero_inflated": lambda n: rng.exponential(1, n) * (rng.random(n) < 0.2),
        "tiny": lambda n: rng.normal(3e-12, 1e-12, n),
        # Larger ones overflow in scipy's degrees of freedom.
        "huge": lambda n: rng.normal(3e60, 1e60, n),
        "negative": lambda n: rng.normal(-5, 3, n),
    }
    sizes = [(2, 2), (3, 9), (7, 40), (20, 20), (20, 180), (60, 30)]
    shifts = [0.0, 0.5, 3.0]
    rows = []
    for name, draw in draws.items():
        for index, (n_canary, n_stable) in enumerate(sizes):
            stable = draw(n_stable)
            spread = float(np.std(stable))
            canary = draw(n_canary) + shifts[index % 3] * spread
            canary, stable = rounded(canary), rounded(stable)
            # Where neither varies scipy says NaN; welch.rs states and tests what serin says.
            if len(set(canary)) > 1 or len(set(stable)) > 1:
                rows.append(pair(f"{name}_{n_canary}_{n_stable}", canary, stable))
    # Whole numbers on top of a billion: nothing is lost in the input, everything could be after.
    offset = [float(v) for v in 1_000_000_000 + rng.integers(0, 20, 50)]
    rows.append(pair("offset_1e9", offset[:20], offset[20:], offset=1e9))
    rows.append(pair("one_constant", [3.5] * 10, rounded(rng.normal(3, 1, 12))))
    separated = rounded(rng.normal(1000, 1, 100))
    rows.append(pair("very_significant", separated, rounded(rng.normal(900, 2, 100))))
    return rows


def pair(name, canary, stable, offset=0.0):
    # The test does not depend on an offset, but scipy's digits do, so it is taken off exactly.
    shifted = [[value - offset for value in sample] for sample in (canary, stable)]
    test = stats.ttest_ind(*shifted, equal_var=False)
    greater = stats.ttest_ind(*shifted, equal_var=False, alternative="greater")
    less = stats.ttest_ind(*shifted, equal_var=False, alternative="less")
    intervals = [test.confidence_interval(level) for level in LEVELS]
    return {
        "name": name,
        "canary": canary,
        "stable": stable,
        "canary_moments": moments(canary),
        "stable_quantiles": [
            [q, float(np.quantile(stable, q, method="inverted_cdf"))] for q in QUANTILES
        ],
        "statistic": float(test.statistic),
        "df": float(test.df),
        "p_two_sided": float(test.pvalue),
        "p_greater": float(greater.pvalue),
        "p_less": float(less.pvalue),
        "intervals": [
            [level, float(interval.low), float(interval.high)]
            for level, interval in zip(LEVELS, intervals)
        ],
    }


def moments(values):
    # math.fsum rounds once, so that these are the exact moments of the given floats.
    mean = math.fsum(values) / len(values)
    variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return {"mean": mean, "variance": variance, "min": min(values), "max": max(values)}


def student_t(rng):
    """Tails of Student's t: whole and fractional degrees of freedom, far out."""
    rows = []
    for df in [1.0, 1.5, 2.0, 3.7, 10.0, 38.4, 399.2, 5000.0, 9999.0, 1e4, 123456.7, 1e6, 1e7]:
        for t in [0.01, 0.1, 0.7, 1.7, 1.96, 3.0, 6.0, 12.0, 30.0]:
            rows.append({"t": t, "df": df, "tail": float(stats.t.sf(t, df))})
    for _ in range(60):
        t, df = float(rng.uniform(-5, 15)), float(10 ** rng.uniform(0, 6))
        rows.append({"t": t, "df": df, "tail": float(stats.t.sf(t, df))})
    # Tails below the smallest normal float have no digits to compare.
    return [row for row in rows if row["tail"] > 1e-290]


def fisher(rng):
    """Fisher's exact test, one-sided, in whole numbers: scipy's keeps 8 digits at 1e8."""
    tables = [
        (0, 10, 0, 90), (1, 1, 0, 1), (0, 40, 5, 360), (20, 20, 0, 180), (100, 100, 899, 900),
        (5, 50, 10, 450), (1, 3, 9, 10), (50, 100, 450, 900), (72, 3600, 324, 32400),
        (1, 1000, 0, 9000), (3, 1000, 0, 9000), (500, 1000, 1, 9000), (900, 1000, 8000, 9000),
    ]
    for _ in range(120):
        n_canary = int(10 ** rng.uniform(0, 4))
        n_stable = int(n_canary * 10 ** rng.uniform(-0.5, 1.5)) + 1
        rate = 10 ** rng.uniform(-3, -0.2)
        worse = min(1.0, rate * rng.choice([1.0, 1.5, 3.0]))
        k_canary, k_stable = rng.binomial(n_canary, worse), rng.binomial(n_stable, rate)
        tables.append((int(k_canary), n_canary, int(k_stable), n_stable))
    for k_canary, k_stable in [(1, 0), (3, 4), (10, 50), (40, 200), (150, 1000), (700, 6000)]:
        tables.append((k_canary, 100_000_000, k_stable, 900_000_000))
    rows = []
    for table in tables:
        rows.append({"table": table, "p_greater": exact_fisher(*table)})
    return [row for row in rows if row["p_greater"] > 1e-290]


def exact_fisher(k_canary, n_canary, k_stable, n_stable):
    events = k_canary + k_stable
    first = max(k_canary, events - n_stable)
    last = min(events, n_canary)
    # Each term from the one before it: a ratio of whole numbers, so every division is exact.
    term = math.comb(n_canary, first) * math.comb(n_stable, events - first)
    total = term
    for x in range(first, last):
        term = term * (n_canary - x) * (events - x)
        term //= (x + 1) * (n_stable - events + x + 1)
        total += term
    p = Fraction(total, math.comb(n_canary + n_stable, events))
    small = n_canary + n_stable < 1_000_000
    if small:
        table = [[k_canary, n_canary - k_canary], [k_stable, n_stable - k_stable]]
        scipys = stats.fisher_exact(table, alternative="greater").pvalue
        assert math.isclose(float(p), scipys, rel_tol=1e-8), (table, float(p), scipys)
    return float(p)


def power(rng):
    """Power and sample sizes of the two-sample t-test; statsmodels, noncentral t by scipy."""
    solver = TTestIndPower()
    rows = []
    for effect in [10 / 15, 0.05, 0.2, 0.5, 1.0, 1.5]:
        for alpha, target in [(0.05, 0.8), (0.01, 0.9), (0.001, 0.99)]:
            for ratio in [1.0, 4.0, 9.0, 99.0]:
                for alternative in ["two-sided", "larger"]:
                    samples = solver.solve_power(effect, None, alpha, target, ratio, alternative)
                    samples = float(np.squeeze(samples))
                    whole = math.ceil(samples)
                    # Below two observations the variance of a track is unknown: serin asks more.
                    if not samples > 2:
                        continue
                    # scipy's noncentral t is NaN in parts of the far tail, and the search then
                    # ends at a number that has not the power asked for.
                    reached = power_of(samples, samples * ratio, effect, alpha, alternative)
                    if not abs(reached - target) < 1e-6:
                        print("left out:", effect, alpha, ratio, alternative, file=sys.stderr)
                        continue
                    row = {
                        "effect_size": effect,
                        "alpha": alpha,
                        "power": target,
                        "ratio": ratio,
                        "alternative": alternative,
                        "canary": samples,
                        "canary_ceil": whole,
                        "power_at_ceil": power_of(whole, whole * ratio, effect, alpha, alternative),
                        "power_at_half": power_of(
                            whole / 2 + 2, whole * ratio, effect, alpha, alternative
                        ),
                    }
                    if all(math.isfinite(row[key]) for key in ["power_at_ceil", "power_at_half"]):
                        rows.append(row)
    return rows


def power_of(n_canary, n_stable, effect, alpha, alternative):
    """TTestIndPower.power by its definition, without the tail it drops below."""
    df = n_canary + n_stable - 2
    delta = effect * math.sqrt(n_canary * n_stable / (n_canary + n_stable))
    if alternative == "larger":
        return float(nct.sf(stats.t.isf(alpha, df), df, delta))
    t = stats.t.isf(alpha / 2, df)
    return float(nct.sf(t, df, delta) + nct.cdf(-t, df, delta))


if __name__ == "__main__":
    main()
