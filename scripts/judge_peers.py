"""What do scipy, numpy and statsmodels take for the work that `make bench` times?

    .venv/bin/python scripts/judge_peers.py <folder>

benches/judge.rs writes the folder: a million latencies and scores of each track, as arrays, and the
counts and moments of all requests. The answer is JSON: for each kind of work the seconds of every
round, what it was computed from, and the number it gave where serin is asked about the same input.
Exit code 3 says that the libraries are missing.
"""

import json
import sys
import time
import warnings
from pathlib import Path

try:
    import numpy as np
    import scipy
    import statsmodels
    from scipy import stats
    from scipy.special import gammaln
    from statsmodels.stats.proportion import confint_proportions_2indep
    from statsmodels.stats.proportion import proportion_confint
    from statsmodels.stats.proportion import proportions_ztest
    from statsmodels.stats.proportion import test_proportions_2indep
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit(3)

ROUNDS = 5
LEVEL = 0.95
RESAMPLES = 10_000
# Resamples of a million values take minutes by the ten thousand; their time is proportional.
RESAMPLES_RUN = 30
# Larger batches were no faster, and all at once would take 80 GB.
BATCH = 2


def main():
    folder = Path(sys.argv[1])
    tracks = ["canary", "stable"]
    latency = [np.fromfile(folder / f"{track}_latency.f64") for track in tracks]
    score = [np.fromfile(folder / f"{track}_score.f64") for track in tracks]
    counts = json.loads((folder / "counts.json").read_text())
    versions = {lib.__name__: lib.__version__ for lib in [np, scipy, statsmodels]}
    work = [*of_arrays(*latency), *of_scores(*score), *of_counts(**counts)]
    rows = [timed(*one) for one in work] + [bootstrap(*latency, *one) for one in STATISTICS]
    print(json.dumps({"versions": versions, "rows": rows}))


def timed(name, source, call):
    """The first round warms up and does not count.

    CPU time: on a busy machine the clock on the wall would count others' work against what takes
    long, and hardly any against serin's microseconds. Nothing here uses a second thread.
    """
    seconds, answer = [], None
    for _ in range(ROUNDS + 1):
        start = time.process_time()
        answer = call()
        seconds.append(time.process_time() - start)
    answer = None if answer is None else float(answer)
    return {"name": name, "seconds": seconds[1:], "source": source, "answer": answer}


def of_arrays(canary, stable):
    arrays = f"arrays of {len(canary):,}"

    def welch():
        test = stats.ttest_ind(canary, stable, equal_var=False)
        test.confidence_interval(LEVEL)

    def non_inferiority():
        stats.ttest_ind(canary, 1.1 * stable, equal_var=False, alternative="less")

    def effect_size():
        n = len(canary), len(stable)
        freedom = n[0] + n[1] - 2
        squares = (n[0] - 1) * canary.var(ddof=1) + (n[1] - 1) * stable.var(ddof=1)
        d = (canary.mean() - stable.mean()) / np.sqrt(squares / freedom)
        ln_j = gammaln(freedom / 2) - gammaln((freedom - 1) / 2) - np.log(freedom / 2) / 2
        return np.exp(ln_j) * d

    return [
        ("welch", arrays, welch),
        ("non_inferiority", arrays, non_inferiority),
        ("effect_size", arrays, effect_size),
        ("mann_whitney", arrays, lambda: stats.mannwhitneyu(canary, stable).pvalue),
        ("kolmogorov_smirnov", arrays, lambda: stats.ks_2samp(canary, stable).pvalue),
        ("sort", arrays, lambda: count_values(canary, stable)),
    ]


def count_values(*samples):
    for sample in samples:
        np.unique(sample, return_counts=True)


def of_scores(canary, stable):
    def drift():
        bins = [np.histogram(values, 1000, (0, 1))[0] for values in [canary, stable]]
        c, s = [(counts + 0.5) / (counts + 0.5).sum() for counts in bins]
        np.sum((c - s) * np.log(c / s))
        stats.wasserstein_distance(canary, stable)

    return [("drift", f"arrays of {len(canary):,}", drift)]


def of_counts(failures, requests, answers, mean, std):
    """Here both sides are asked about the very same numbers."""
    counts = "the same counts"
    table = [[k, n - k] for k, n in zip(failures, requests)]
    both = failures[0], requests[0], failures[1], requests[1]

    def health_check():
        fisher_greater()
        canary, stable = zip(mean, std, answers)
        return stats.ttest_ind_from_stats(*canary, *stable, equal_var=False).pvalue

    def fisher_greater():
        return stats.fisher_exact(table, alternative="greater").pvalue

    def fisher():
        stats.fisher_exact(table)
        return fisher_greater()

    def rates():
        confint_proportions_2indep(*both, method="score")
        test = test_proportions_2indep(*both, value=0.0001, method="score", alternative="smaller")
        return test.pvalue

    def rate_intervals():
        wilson = [proportion_confint(k, n, method="wilson") for k, n in zip(failures, requests)]
        for k, n in zip(failures, requests):
            proportion_confint(k, n, method="beta")
        return wilson[0][0]

    return [
        ("health_check", "the same counts and moments", health_check),
        ("fisher_greater", counts, fisher_greater),
        ("fisher", counts, fisher),
        ("rates", counts, rates),
        ("rate_intervals", counts, rate_intervals),
    ]


def difference_of_means(canary, stable, axis):
    return canary.mean(axis) - stable.mean(axis)


def difference_of_p99(canary, stable, axis):
    return np.quantile(canary, 0.99, axis) - np.quantile(stable, 0.99, axis)


STATISTICS = [("bootstrap_mean", difference_of_means), ("bootstrap_p99", difference_of_p99)]


def bootstrap(canary, stable, name, statistic):
    rng = np.random.default_rng(1)

    def resample():
        stats.bootstrap((canary, stable), statistic, n_resamples=RESAMPLES_RUN, batch=BATCH,
                        vectorized=True, method="percentile", rng=rng)

    source = f"arrays of {len(canary):,}, scaled from {RESAMPLES_RUN} resamples"
    row = timed(name, source, resample)
    scaled = [seconds * RESAMPLES / RESAMPLES_RUN for seconds in row["seconds"]]
    return {**row, "seconds": scaled}


if __name__ == "__main__":
    # statsmodels warns of its own future defaults.
    warnings.simplefilter("ignore")
    main()
