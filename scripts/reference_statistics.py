"""The tables of reference_values.py that concern the tests of stats: several thousand random cases.

The samples are not written down. tests/stats_reference/generated.rs makes the same ones from the
same seed with the same few exact operations (SplitMix64, a division by a power of two, a floor, a
square root), so a row holds only the recipe and what scipy says about it.
"""

import math
import warnings
from fractions import Fraction

import numpy as np
from scipy import stats
from scipy.optimize import brentq
from scipy.spatial.distance import jensenshannon
from scipy.special import gammaln
from scipy.stats import norm
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import confint_proportions_2indep
from statsmodels.stats.proportion import power_proportions_2indep
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.proportion import proportions_ztest
from statsmodels.stats.proportion import samplesize_proportions_2indep_onetail

MASK = (1 << 64) - 1
DRAWS = {
    "uniform": lambda u: u,
    "whole_20": lambda u: math.floor(u * 20),
    "whole_1000": lambda u: math.floor(u * 1000),
    "heavy": lambda u: 1 / math.sqrt(1 - u),
    "zero_inflated": lambda u: u if u >= 0.8 else 0.0,
    "around_zero": lambda u: 2 * u - 1,
}


def rounded(value):
    """Eleven digits are enough for a comparison to 1e-9."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.11g}")


def split_mix(seed):
    state = seed
    while True:
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        yield z ^ (z >> 31)


def pair(recipe):
    bits = split_mix(recipe["seed"])
    draw = DRAWS[recipe["kind"]]

    def sample(n, shift):
        return [float(draw((next(bits) >> 11) / 2**53)) + shift for _ in range(n)]

    return sample(recipe["canary"], recipe["shift"]), sample(recipe["stable"], 0.0)


def generated(rng):
    """Pairs of samples: Mann-Whitney, Kolmogorov-Smirnov, margins, effect sizes, drift, quantiles."""
    rows = []
    kinds = list(DRAWS)
    for index in range(860):
        small = index % 3 == 0
        kind = kinds[index % len(kinds)]
        unit = {"whole_20": 1.0, "whole_1000": 20.0}.get(kind, 0.125)
        recipe = {
            "kind": kind,
            "canary": int(rng.integers(1, 9) if small else rng.integers(2, 120)),
            "stable": int(rng.integers(1, 70) if small else rng.integers(2, 400)),
            "seed": int(rng.integers(0, 2**53)),
            "shift": float(unit * rng.integers(0, 4)),
        }
        canary, stable = pair(recipe)
        rows.append({**recipe, **{key: plain(value) for key, value in
                                  two_sample(kind, canary, stable).items()}})
    return rows


def plain(value):
    return [rounded(item) for item in value] if isinstance(value, list) else rounded(value)


def two_sample(kind, canary, stable):
    rank = {a: stats.mannwhitneyu(canary, stable, alternative=a)
            for a in ["two-sided", "greater", "less"]}
    row = {
        "u": rank["two-sided"].statistic,
        "rank_p": [rank[a].pvalue for a in ["two-sided", "greater", "less"]],
        # scipy's sides are those of the distribution functions: "less" means larger values.
        "ks": [ks(canary, stable, a, "auto") for a in ["two-sided", "less", "greater"]],
        "ks_asymptotic": [ks(canary, stable, a, "asymp")
                          for a in ["two-sided", "less", "greater"]],
        "d": stats.ks_2samp(canary, stable, method="asymp").statistic,
        "wasserstein": stats.wasserstein_distance(canary, stable),
        "median": quantile_interval(stable, 0.5),
        "p90": quantile_interval(stable, 0.9),
    }
    if len(set(canary)) > 1 and len(set(stable)) > 1:
        row |= margins(canary, stable)
        row |= effect_sizes(canary, stable)
    if kind in ["whole_20", "zero_inflated"]:
        row |= drift(canary, stable)
    return row


def ks(canary, stable, alternative, method):
    product = len(canary) * len(stable)
    if method == "auto" and alternative != "two-sided":
        # scipy subtracts counts of paths as floats, and gives up where they overflow.
        return one_sided_ks(canary, stable, alternative) if product <= 4000 else None
    if method == "asymp" and product == 1 and alternative == "two-sided":
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return float(stats.ks_2samp(canary, stable, alternative, method).pvalue)


def one_sided_ks(canary, stable, alternative):
    """The share of lattice paths that go so far to one side, in whole numbers."""
    m, n = len(canary), len(stable)
    values = sorted(set(canary + stable))
    sign = 1 if alternative == "greater" else -1
    gap = max(0, max(sign * (n * sum(c <= v for c in canary) - m * sum(s <= v for s in stable))
                     for v in values))
    if gap == 0:
        return 1.0
    inside = [0] * (n + 1)
    for i in range(m + 1):
        for j in range(n + 1):
            if i == j == 0:
                inside[j] = 1
            elif n * i - m * j >= gap:
                inside[j] = 0
            else:
                inside[j] = (inside[j] if i else 0) + (inside[j - 1] if j else 0)
    return float(1 - Fraction(inside[n], math.comb(m + n, n)))


def quantile_interval(sample, q):
    interval = stats.quantile_test(sample, p=q).confidence_interval(0.95)
    return [float(interval.low), float(interval.high)]


def margins(canary, stable):
    """Welch's test against margins: stable moved by 1/4, and stable times 1.1."""
    moved, times = np.add(stable, 0.25), np.multiply(stable, 1.1)
    row = {"p_not_worse_absolute":
           float(stats.ttest_ind(canary, moved, equal_var=False, alternative="less").pvalue)}
    if np.mean(stable) > 0 and np.mean(canary) >= 0:
        test = stats.ttest_ind(canary, times, equal_var=False, alternative="less")
        row["p_not_worse_relative"] = float(test.pvalue)
    return row


def effect_sizes(canary, stable):
    degrees = len(canary) + len(stable) - 2
    squares = np.var(canary) * len(canary) + np.var(stable) * len(stable)
    cohen = (np.mean(canary) - np.mean(stable)) / math.sqrt(squares / degrees)
    factor = math.exp(gammaln(degrees / 2) - gammaln((degrees - 1) / 2)) / math.sqrt(degrees / 2)
    return {"cohen": float(cohen), "hedges": float(cohen * factor)}


def drift(canary, stable):
    values = sorted(set(canary) | set(stable))
    counts = np.array([[sample.count(value) for value in values] for sample in (canary, stable)])
    c, s = counts[0] / counts[0].sum(), counts[1] / counts[1].sum()
    filled = counts + 0.5 if (counts == 0).any() else counts
    fc, fs = filled[0] / filled[0].sum(), filled[1] / filled[1].sum()
    return {
        "jensen_shannon": float(jensenshannon(c, s)),
        "stability": float(np.sum((fc - fs) * np.log(fc / fs))),
    }


def proportions(rng):
    """Two rates: Fisher in whole numbers, the score test, and the intervals."""
    tables = [(0, 10, 0, 90), (0, 40, 5, 360), (20, 20, 0, 180), (100, 100, 899, 900),
              (10, 10, 90, 90), (1, 1, 0, 1), (5, 50, 10, 450)]
    for _ in range(1100):
        n_canary = int(10 ** rng.uniform(0, 3.2))
        n_stable = int(n_canary * 10 ** rng.uniform(-0.5, 1.2)) + 1
        rate = 10 ** rng.uniform(-3, -0.1)
        worse = min(1.0, rate * rng.choice([1.0, 1.5, 3.0]))
        tables.append((int(rng.binomial(n_canary, worse)), n_canary,
                       int(rng.binomial(n_stable, rate)), n_stable))
    return [proportion(*table) for table in tables]


def proportion(k_canary, n_canary, k_stable, n_stable):
    events = k_canary + k_stable
    says_something = 0 < events < n_canary + n_stable
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        z, p = proportions_ztest([k_canary, k_stable], [n_canary, n_stable], alternative="larger")
    two_sided, less = exact_fisher(k_canary, n_canary, k_stable, n_stable)
    return {
        "table": [k_canary, n_canary, k_stable, n_stable],
        "fisher": [rounded(two_sided), rounded(less)],
        "z": rounded(float(z) if says_something else 0.0),
        "p_greater": rounded(float(p) if says_something else 1.0),
        "wilson": plain([float(x) for x in proportion_confint(k_canary, n_canary, 0.05, "wilson")]),
        "exact": plain([float(x) for x in proportion_confint(k_canary, n_canary, 0.05, "beta")]),
        "newcombe": plain([float(x) for x in confint_proportions_2indep(
            k_canary, n_canary, k_stable, n_stable, method="newcomb")]),
        "score": plain(score_interval(k_canary, n_canary, k_stable, n_stable)),
    }


def exact_fisher(k_canary, n_canary, k_stable, n_stable):
    events = k_canary + k_stable
    first, last = max(0, events - n_stable), min(events, n_canary)
    term = math.comb(n_canary, first) * math.comb(n_stable, events - first)
    terms = {}
    for x in range(first, last + 1):
        terms[x] = term
        term = term * (n_canary - x) * (events - x) // ((x + 1) * (n_stable - events + x + 1))
    total = sum(terms.values())
    two_sided = sum(term for term in terms.values() if term <= terms[k_canary])
    less = sum(term for x, term in terms.items() if x <= k_canary)
    return float(Fraction(two_sided, total)), float(Fraction(less, total))


def score_interval(k1, n1, k2, n2):
    """Miettinen and Nurminen's interval by its definition.

    statsmodels' method="score" (0.14 and 0.15) has count0 where the cubic of the constrained
    estimate has nobs0, and its interval is not that of the paper.
    """
    total = n1 + n2
    difference = k1 / n1 - k2 / n2

    def score(d):
        def slope(rate):
            def ratio(count, share):
                # Rounding may leave nothing, or less, of a share near 0.
                return count / max(share, 1e-300) if count else 0.0

            return (ratio(k1, rate + d) - ratio(n1 - k1, 1 - rate - d)
                    + ratio(k2, rate) - ratio(n2 - k2, 1 - rate))

        low, high = max(0.0, -d), min(1.0, 1.0 - d)
        inner = (high - low) * 1e-13
        if slope(low + inner) <= 0:
            rate = low
        elif slope(high - inner) >= 0:
            rate = high
        else:
            rate = brentq(slope, low + inner, high - inner, xtol=1e-18, rtol=1e-15)
        moved = min(max(rate + d, 0.0), 1.0)
        variance = moved * (1 - moved) / n1 + rate * (1 - rate) / n2
        return (difference - d) / math.sqrt(total / (total - 1) * variance)

    z = norm.isf(0.025)
    tiny = 1e-12
    low = -1.0 if difference <= -1 else brentq(
        lambda d: score(d) - z, -1 + tiny, difference - tiny, xtol=1e-15)
    high = 1.0 if difference >= 1 else brentq(
        lambda d: score(d) + z, difference + tiny, 1 - tiny, xtol=1e-15)
    return [low, high]


def sample_ratio(rng):
    """Binomial tests of a split."""
    rows = []
    for _ in range(400):
        n = int(10 ** rng.uniform(0, 5))
        share = float(rng.choice([0.01, 0.1, 0.25, 0.5, 0.9]))
        k = int(rng.binomial(n, min(1.0, share * rng.choice([1.0, 1.0, 1.2]))))
        rows.append({
            "canary": k, "stable": n - k, "share": share,
            "p_exact": rounded(float(stats.binomtest(k, n, share).pvalue)),
            "p_chi_square": rounded(float(
                stats.chisquare([k, n - k], [n * share, n * (1 - share)]).pvalue)),
        })
    return rows


def multiplicity(rng):
    """Adjusted p-values."""
    rows = []
    for index in range(60):
        p = [float(f"{x:.4g}") for x in rng.uniform(0, 1, rng.integers(1, 9)) ** 3]
        if index % 4 == 0:
            p = p + p[:1]
        rows.append({"p": p} | {
            ours: plain([float(x) for x in multipletests(p, method=theirs)[1]])
            for ours, theirs in
            [("bonferroni", "bonferroni"), ("holm", "holm"), ("benjamini_hochberg", "fdr_bh")]
        })
    return rows


def rate_power(rng):
    """Power and sample size for two rates; statsmodels."""
    rows = []
    for _ in range(150):
        stable = float(f"{10 ** rng.uniform(-3, -0.4):.4g}")
        canary = float(f"{stable * rng.choice([1.2, 1.5, 2.0]):.4g}")
        ratio = float(rng.choice([1.0, 4.0, 9.0, 99.0]))
        n = int(10 ** rng.uniform(1.3, 5))
        for ours, alpha in [("two_sided", 0.05), ("greater", 0.01)]:
            theirs = {"two_sided": "two-sided", "greater": "larger"}[ours]
            difference = canary - stable
            rows.append({
                "canary_rate": canary, "stable_rate": stable, "ratio": ratio, "n": n,
                "alpha": alpha, "alternative": ours,
                "power": rounded(float(power_proportions_2indep(
                    difference, stable, n, ratio, alpha, alternative=theirs).power)),
                "size": rounded(float(samplesize_proportions_2indep_onetail(
                    difference, stable, 0.8, ratio, alpha, alternative=theirs))),
            })
    return rows


def fisher_power(rng):
    """Exact power of Fisher's one-sided test: the sum over both binomials."""
    rows = []
    for stable, canary in [(0.01, 0.02), (0.01, 0.05), (0.001, 0.01), (0.0, 0.01), (0.2, 0.5)]:
        for ratio in [1, 9, 99]:
            for alpha in [0.025, 0.05]:
                n = {0.02: 1133, 0.05: 115, 0.01: 375, 0.5: 25}[canary]
                rows.append({"stable_rate": stable, "canary_rate": canary, "n_canary": n, "n_stable": n * ratio,
                             "alpha": alpha, "power": fisher_power_of(n, n * ratio, canary, stable, alpha)})
    return rows


def fisher_power_of(n_canary, n_stable, canary, stable, alpha):
    first, last = int(stats.binom.ppf(1e-14, n_stable, stable)), int(stats.binom.isf(1e-14, n_stable, stable))
    power = 0.0
    for k_stable in range(max(first, 0), last + 1):
        k = np.arange(0, n_canary + 1)
        # P(X >= k) given k + k_stable failures
        p = stats.hypergeom.sf(k - 1, n_canary + n_stable, n_canary, k + k_stable)
        shown = np.flatnonzero(p <= alpha)
        if len(shown):
            power += stats.binom.pmf(k_stable, n_stable, stable) * stats.binom.sf(shown[0] - 1, n_canary, canary)
    return float(power)


def rank_power(rng):
    """Noether's sample size: that of a z-test with effect sqrt(12) (P - 1/2); statsmodels."""
    rows = []
    for superiority in [0.51, 0.55, 0.6, 0.7]:
        for ratio in [1.0, 9.0]:
            for ours, theirs in [("two_sided", "two-sided"), ("greater", "larger")]:
                effect = math.sqrt(12) * (superiority - 0.5)
                size = NormalIndPower().solve_power(effect, None, 0.05, 0.9, ratio, theirs)
                rows.append({"superiority": superiority, "ratio": ratio, "alternative": ours,
                             "size": float(np.squeeze(size))})
    return rows


def bootstrap(rng):
    """Percentile intervals: between which bounds their ends lie, whatever the random numbers.

    The ends of an interval from 10,000 resamples are quantiles of the bootstrap distribution at
    levels that vary by 0.0016; the bounds are 100,000 resamples' quantiles five times as far out.
    """
    rows = []
    for index, kind in enumerate(list(DRAWS) * 4):
        n_canary, n_stable = [(12, 30), (200, 800), (1500, 3000), (90, 2500)][index // len(DRAWS)]
        recipe = {"kind": kind, "canary": n_canary, "stable": n_stable,
                  "seed": int(rng.integers(0, 2**53)), "shift": 0.5}
        samples = pair(recipe)
        for name, statistic in [
            ("mean", lambda x, axis: np.mean(x, axis)),
            ("p90", lambda x, axis: np.quantile(x, 0.9, axis=axis, method="inverted_cdf")),
        ]:
            def difference(canary, stable, axis):
                return statistic(canary, axis) - statistic(stable, axis)

            result = stats.bootstrap(samples, difference, n_resamples=100_000, batch=2000,
                                     method="percentile", rng=np.random.default_rng(index))
            drawn = result.bootstrap_distribution
            reach = 0.008
            rows.append({**recipe, "statistic": name,
                         "standard_error": rounded(float(result.standard_error)),
                         "low": plain([float(np.quantile(drawn, q))
                                       for q in (0.025 - reach, 0.025 + reach)]),
                         "high": plain([float(np.quantile(drawn, q))
                                        for q in (0.975 - reach, 0.975 + reach)])})
    return rows


def paired(rng):
    """Two models on the same rows: scipy's paired t-test, areas of its Mann-Whitney U, the error of DeLong's
    definition by all pairs, McNemar's exact test of statsmodels, and the calibration of numpy's bins."""
    rows = []
    for index in range(24):
        n = [12, 60, 300][index % 3]
        signal = rng.normal(0, 1.5, n)
        outcome = rng.random(n) < 1 / (1 + np.exp(-signal))
        outcome[:2], outcome[2:4] = True, False
        digits = [1, 2, 6][index // 3 % 3]  # few digits make ties
        scores = [np.round(1 / (1 + np.exp(-signal * slope - rng.normal(0, noise, n))), digits)
                  for slope, noise in [(rng.uniform(0.5, 2), rng.uniform(0.1, 1)) for _ in range(2)]]
        canary, stable = scores
        brier = [(score - outcome) ** 2 for score in scores]
        test = stats.ttest_rel(*brier)
        interval = test.confidence_interval(0.95)
        areas = [float(stats.mannwhitneyu(score[outcome], score[~outcome]).statistic
                       / (outcome.sum() * (~outcome).sum())) for score in scores]
        wins = [np.sign(score[outcome][:, None] - score[~outcome][None, :]) / 2 + 0.5 for score in scores]
        by_pair = wins[0] - wins[1]
        error = math.sqrt(sum(np.var(by_pair.mean(axis), ddof=1) / by_pair.shape[1 - axis]
                              for axis in (0, 1)))
        right = [(score >= 0.5) == outcome for score in scores]
        only = [int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())]
        rows.append({
            "canary": plain(canary.tolist()), "stable": plain(stable.tolist()),
            "outcome": [bool(one) for one in outcome],
            "brier": [rounded(float(test.statistic * test._standard_error)),
                      rounded(float(test._standard_error)), rounded(float(interval.low)),
                      rounded(float(interval.high)), rounded(float(test.pvalue))],
            "area": rounded(areas[0] - areas[1]), "area_error": rounded(error),
            "area_p": rounded(float(2 * stats.norm.sf(abs(areas[0] - areas[1]) / error))) if error else 1.0,
            "only": only, "mcnemar": rounded(float(mcnemar([[0, only[0]], [only[1], 0]], exact=True).pvalue)),
            "miscalibration": [rounded(miscalibration(score, outcome)) for score in scores],
        })
    return rows


def paired_errors(rng):
    """Roots of the mean squared errors of two models on the same rows: numpy's difference, the delta method with scipy's
    standard error of the mean and its t."""
    rows = []
    for index in range(12):
        n = [12, 60, 300][index % 3]
        shared = rng.normal(0, 1, n)
        errors = [np.round(shared + rng.standard_t(5, n) * rng.uniform(0.2, 2), 4) * 10.0 ** (index % 4)
                  for _ in range(2)]
        roots = [math.sqrt(np.mean(one ** 2)) for one in errors]
        part = errors[0] ** 2 / (2 * roots[0]) - errors[1] ** 2 / (2 * roots[1])
        error, difference = float(stats.sem(part)), roots[0] - roots[1]
        reach = float(stats.t.ppf(0.975, n - 1)) * error
        rows.append({
            "canary": plain(errors[0].tolist()), "stable": plain(errors[1].tolist()),
            "rmse": [rounded(difference), rounded(error), rounded(difference - reach), rounded(difference + reach),
                     rounded(float(2 * stats.t.sf(abs(difference / error), n - 1)))],
        })
    return rows


def miscalibration(score, outcome):
    bins = np.minimum((score * 10).astype(int), 9)
    total = 0.0
    for one in range(10):
        excess = (score - outcome)[bins == one]
        if len(excess) > 1:
            total += len(excess) * (excess.mean() ** 2 - excess.var(ddof=1) / len(excess))
    return float(total / len(score))


TABLES = [generated, paired, paired_errors, proportions, sample_ratio, multiplicity, rate_power, rank_power, fisher_power,
          bootstrap]
