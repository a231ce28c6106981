//! The statistics of one pair of samples. Differences are the canary's minus the baseline's.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::options::AnalysisOptions;
use super::sample::Sample;
use crate::stats::Bootstrap;
use crate::stats::BootstrapInterval;
use crate::stats::Harm;
use crate::stats::Margin;
use crate::stats::Moments;
use crate::stats::ProportionDifference;
use crate::stats::SharedBins;
use crate::stats::cohens_d;
use crate::stats::fisher_exact_two_sided;
use crate::stats::kolmogorov_smirnov;
use crate::stats::mann_whitney_u;
use crate::stats::non_inferiority;
use crate::stats::wasserstein_distance;
use crate::stats::welch_t_test;

/// The level of the intervals that no margin sets.
const LEVEL: f64 = 0.95;
/// At 10,000 resamples the Monte-Carlo error of an end is 3 % of the standard error.
const BOOTSTRAP: Bootstrap = Bootstrap { resamples: 10_000, level: LEVEL };
/// Deciles are customary for the population stability index.
const DRIFT_BINS: u32 = 10;

/// The statistics of a comparison. Below `min_samples` all but the means are `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct AnalysisStats {
    /// Two-sided p-value of the Mann-Whitney test.
    pub mann_whitney_pvalue: Option<f64>,
    /// Two-sided p-value of the Kolmogorov-Smirnov test.
    pub ks_pvalue: Option<f64>,
    /// Two-sided p-value of Welch's t-test. Shown; it does not decide.
    pub welch_pvalue: Option<f64>,
    /// The difference of the means in pooled standard deviations; `None` when neither track varies.
    pub cohens_d: Option<f64>,
    /// 95 % bootstrap interval of the difference of the means.
    pub bootstrap_ci_95: Option<[f64; 2]>,
    /// `None` without values.
    pub baseline_mean: Option<f64>,
    /// `None` without values.
    pub canary_mean: Option<f64>,
    /// The comparison of two rates, if every value is 0 or 1.
    pub rates: Option<RateDifference>,
    /// The test against the margin, if there is one.
    pub margin: Option<MarginTest>,
    /// Differences of the quantiles; `None` for rates.
    pub quantiles: Option<QuantileDifferences>,
    /// How far the distribution moved; `None` for rates.
    pub drift: Option<Drift>,
}

/// Two rates compared: the shares of values that are 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct RateDifference {
    /// The canary's rate minus the baseline's.
    pub difference: f64,
    /// Its 95 % interval, by Miettinen and Nurminen.
    pub ci_95: [f64; 2],
    /// Two-sided p-value of Fisher's exact test.
    pub fisher_pvalue: f64,
}

/// The non-inferiority test: how much worse is the canary, and is that within the margin?
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct MarginTest {
    /// The largest accepted harm.
    pub margin: f64,
    /// Whether margin, harm and interval are shares of the baseline's mean; otherwise they are in
    /// the unit of the values.
    pub is_relative: bool,
    /// How much worse the canary is; negative when it is better.
    pub harm: f64,
    /// The interval of the harm, at the level at which it excludes the margin exactly when a
    /// p-value is below `p_threshold`: 90 % for 0.05. An infinite end is `null` in JSON.
    pub interval: [f64; 2],
    /// The level of the interval.
    pub level: f64,
    /// One-sided p-value against "worse by the margin or more": small values show that the canary
    /// is not worse.
    pub non_inferiority_pvalue: f64,
    /// One-sided p-value against "worse by the margin or less": small values show harm.
    pub harm_pvalue: f64,
}

/// Differences of the median and the upper quantiles.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct QuantileDifferences {
    /// The median.
    pub p50: QuantileDifference,
    /// The 95th percentile.
    pub p95: QuantileDifference,
    /// The 99th percentile.
    pub p99: QuantileDifference,
}

/// One quantile of both tracks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct QuantileDifference {
    /// The baseline's.
    pub baseline: f64,
    /// The canary's.
    pub canary: f64,
    /// The canary's minus the baseline's.
    pub difference: f64,
    /// Its 95 % bootstrap interval; `None` when a track has too few values beyond the quantile: p95
    /// needs 72 values, p99 368.
    pub ci_95: Option<[f64; 2]>,
}

/// How far the canary's distribution is from the baseline's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct Drift {
    /// Wasserstein distance, in the unit of the values: the average distance by which values would
    /// have to move.
    pub wasserstein: f64,
    /// Population stability index over the deciles of the baseline.
    pub psi: f64,
    /// What the index means.
    pub level: DriftLevel,
}

/// The customary reading of the population stability index, and what chance explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DriftLevel {
    /// An index this large is likely (p >= 0.05) for two samples of one distribution.
    Chance,
    /// Below 0.1.
    Small,
    /// 0.1 to 0.25.
    Moderate,
    /// 0.25 or more.
    Large,
}

impl DriftLevel {
    /// The level of a population stability index, and whether chance explains it.
    pub fn of(psi: f64, is_chance: bool) -> DriftLevel {
        match psi {
            _ if is_chance => DriftLevel::Chance,
            psi if psi < 0.1 => DriftLevel::Small,
            psi if psi < 0.25 => DriftLevel::Moderate,
            _ => DriftLevel::Large,
        }
    }
}

/// The statistics with the test that decides.
pub(super) struct Comparison {
    pub(super) stats: AnalysisStats,
    pub(super) difference: f64,
    pub(super) test: DecidingTest,
}

/// The test that decides about a metric.
pub(super) enum DecidingTest {
    /// Welch's (values) or the score test (rates) against the margin.
    Margin(MarginTest),
    /// A relative margin of a mean that is not positive.
    NoMarginTest,
    /// Fisher's test of two rates.
    Rates(f64),
    /// Mann-Whitney and Kolmogorov-Smirnov: the smaller p-value.
    Values { mann_whitney: f64, kolmogorov_smirnov: f64 },
}

impl DecidingTest {
    /// The p-values of which a small one shows a difference (with a margin: harm). A correction for
    /// several metrics applies to these.
    pub(super) fn p_values(&self) -> Vec<f64> {
        match self {
            DecidingTest::Margin(test) => vec![test.harm_pvalue],
            DecidingTest::NoMarginTest => Vec::new(),
            DecidingTest::Rates(fisher) => vec![*fisher],
            DecidingTest::Values { mann_whitney, kolmogorov_smirnov } => {
                vec![*mann_whitney, *kolmogorov_smirnov]
            }
        }
    }
}

/// The means alone, for samples that are too small to test.
pub(super) fn means(baseline: &Sample, canary: &Sample) -> AnalysisStats {
    AnalysisStats {
        baseline_mean: baseline.points().moments().mean(),
        canary_mean: canary.points().moments().mean(),
        ..AnalysisStats::default()
    }
}

impl Comparison {
    /// `None` when a track has fewer than two values, or both together more than 10^12.
    ///
    /// The random bits are those of the bootstrap: the same bits give the same interval.
    pub(super) fn of(
        baseline: &Sample,
        canary: &Sample,
        options: AnalysisOptions,
        random: impl FnMut() -> u64,
    ) -> Option<Comparison> {
        let points = (baseline.points(), canary.points());
        let moments = (points.0.moments(), points.1.moments());
        let mann_whitney = mann_whitney_u(points.1, points.0)?.p_two_sided();
        let kolmogorov_smirnov = kolmogorov_smirnov(points.1, points.0)?.p_two_sided();
        let interval = BOOTSTRAP.mean_difference(points.1, points.0, random);
        let counts = Counts::of(baseline, canary);
        let rates = counts.and_then(Counts::difference);
        let margin = options.margin.map(|margin| margin_test(&moments, counts, margin, options));
        let stats = AnalysisStats {
            mann_whitney_pvalue: Some(mann_whitney),
            ks_pvalue: Some(kolmogorov_smirnov),
            welch_pvalue: Some(welch_t_test(&moments.1, &moments.0)?.p_two_sided()),
            // Infinite beyond the largest number, where it says as little as without a spread.
            cohens_d: cohens_d(&moments.1, &moments.0).filter(|d| d.is_finite()),
            bootstrap_ci_95: interval.map(ends),
            baseline_mean: moments.0.mean(),
            canary_mean: moments.1.mean(),
            rates,
            margin: margin.flatten(),
            quantiles: if rates.is_none() { quantiles(baseline, canary) } else { None },
            drift: if rates.is_none() { drift(baseline, canary) } else { None },
        };
        let test = match (margin, rates) {
            (Some(Some(test)), _) => DecidingTest::Margin(test),
            (Some(None), _) => DecidingTest::NoMarginTest,
            (None, Some(rates)) => DecidingTest::Rates(rates.fisher_pvalue),
            (None, None) => DecidingTest::Values { mann_whitney, kolmogorov_smirnov },
        };
        Some(Comparison { stats, difference: moments.1.mean_difference(&moments.0)?, test })
    }
}

/// The counts behind two rates.
#[derive(Clone, Copy)]
struct Counts {
    baseline: (u64, u64),
    canary: (u64, u64),
}

impl Counts {
    /// `None` unless every value of both tracks is 0 or 1.
    fn of(baseline: &Sample, canary: &Sample) -> Option<Counts> {
        let of = |sample: &Sample| Some((sample.ones()?, sample.points().total()));
        Some(Counts { baseline: of(baseline)?, canary: of(canary)? })
    }

    fn difference(self) -> Option<RateDifference> {
        let ((k_baseline, n_baseline), (k_canary, n_canary)) = (self.baseline, self.canary);
        let rates = ProportionDifference::new(k_canary, n_canary, k_baseline, n_baseline)?;
        let (low, high) = rates.miettinen_nurminen_interval(LEVEL);
        Some(RateDifference {
            difference: rates.difference(),
            ci_95: [low, high],
            fisher_pvalue: fisher_exact_two_sided(k_canary, n_canary, k_baseline, n_baseline)?,
        })
    }

    /// The counts of what is worse: zeros where a higher rate is better.
    fn harmful(self, higher_is_better: bool) -> Option<ProportionDifference> {
        let harmful = |(ones, all): (u64, u64)| if higher_is_better { all - ones } else { ones };
        ProportionDifference::new(
            harmful(self.canary),
            self.canary.1,
            harmful(self.baseline),
            self.baseline.1,
        )
    }
}

/// The test against a margin: for an absolute margin of rates the score test, otherwise Welch's, for
/// a relative margin with Fieller's interval.
fn margin_test(
    (baseline, canary): &(Moments, Moments),
    counts: Option<Counts>,
    margin: Margin,
    options: AnalysisOptions,
) -> Option<MarginTest> {
    let level = 1.0 - 2.0 * options.p_threshold;
    let is_relative = margin.relative != 0.0;
    if let (Some(counts), false) = (counts, is_relative) {
        let rates = counts.harmful(options.higher_is_better)?;
        let (low, high) = rates.miettinen_nurminen_interval(level);
        return Some(MarginTest {
            margin: margin.absolute,
            is_relative,
            harm: rates.difference(),
            interval: [low, high],
            level,
            non_inferiority_pvalue: rates.p_not_worse(margin.absolute),
            harm_pvalue: rates.p_worse(margin.absolute),
        });
    }
    let harm = if options.higher_is_better { Harm::Lower } else { Harm::Higher };
    let test = non_inferiority(canary, baseline, margin, harm)?;
    let (low, high) = test.confidence_interval(level);
    Some(MarginTest {
        margin: if is_relative { margin.relative } else { margin.absolute },
        is_relative,
        harm: test.harm(),
        interval: [low, high],
        level,
        non_inferiority_pvalue: test.p_not_worse(),
        harm_pvalue: test.p_worse(),
    })
}

fn quantiles(baseline: &Sample, canary: &Sample) -> Option<QuantileDifferences> {
    let difference = |q: f64| {
        let (baseline, canary) = (baseline.points(), canary.points());
        let (of_baseline, of_canary) = (baseline.quantile(q)?, canary.quantile(q)?);
        // With fewer values even the largest is too often below the quantile.
        let has_interval = |n: u64| q.powf(n as f64) <= 0.5 * (1.0 - LEVEL);
        let interval = (has_interval(baseline.total()) && has_interval(canary.total()))
            .then(|| BOOTSTRAP.quantile_difference(canary, baseline, q))
            .flatten();
        Some(QuantileDifference {
            baseline: of_baseline,
            canary: of_canary,
            difference: of_canary - of_baseline,
            ci_95: interval.map(ends),
        })
    };
    Some(QuantileDifferences {
        p50: difference(0.5)?,
        p95: difference(0.95)?,
        p99: difference(0.99)?,
    })
}

fn drift(baseline: &Sample, canary: &Sample) -> Option<Drift> {
    let (baseline, canary) = (baseline.points(), canary.points());
    let bins = SharedBins::by_stable_quantiles(canary, baseline, DRIFT_BINS)?;
    let psi = bins.population_stability_index();
    let level = DriftLevel::of(psi, bins.stability_p_value() >= 0.05);
    Some(Drift { wasserstein: wasserstein_distance(canary, baseline)?, psi, level })
}

fn ends(interval: BootstrapInterval) -> [f64; 2] {
    [interval.low, interval.high]
}
