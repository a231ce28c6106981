//! The timed work: one look, each fixed-sample test, the bootstrap.

use std::hint::black_box;

use rand::Rng;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use serin::canary::HealthPolicy;
use serin::canary::Increment;
use serin::canary::JudgePolicy;
use serin::canary::Judgement;
use serin::canary::Monitors;
use serin::canary::Samples;
use serin::canary::Weight;
use serin::canary::judge::evidence::SequentialEvidence;
use serin::canary::judge::health_check::Inputs;
use serin::canary::policy::Mode;
use serin::stats::Bootstrap;
use serin::stats::BootstrapInterval;
use serin::stats::Harm;
use serin::stats::Margin;
use serin::stats::Moments;
use serin::stats::Points;
use serin::stats::ProportionDifference;
use serin::stats::SharedBins;
use serin::stats::clopper_pearson_interval;
use serin::stats::cohens_d;
use serin::stats::fisher_exact_greater;
use serin::stats::fisher_exact_two_sided;
use serin::stats::kolmogorov_smirnov;
use serin::stats::mann_whitney_u;
use serin::stats::non_inferiority;
use serin::stats::wasserstein_distance;
use serin::stats::welch_t_test;
use serin::stats::wilson_interval;

use super::traffic::SHARE;

const LEVEL: f64 = 0.95;
pub const BOOTSTRAP: Bootstrap = Bootstrap { resamples: 10_000, level: LEVEL };

/// The health check, with verdict and reasons.
pub fn health_check(samples: &Samples) -> Judgement {
    Judgement::new(
        1,
        1,
        "digest",
        HealthPolicy::default(),
        Inputs::new(&HealthPolicy::default(), Mode::Manual, samples),
        Mode::Manual,
        None,
    )
}

/// The sequential judge at the start of a rollout.
pub fn monitors(before: &Samples) -> Monitors {
    Monitors::new(&JudgePolicy::default(), &before.stable)
}

/// Adds one tick and concludes.
pub fn tick(monitors: &mut Monitors, earlier: &Samples, now: &Samples) -> SequentialEvidence {
    let weight = Weight::from_percent(100.0 * SHARE).unwrap_or_default();
    if let Some(increment) = Increment::between(weight, earlier, now) {
        monitors.tick(&increment);
    }
    SequentialEvidence::new(&JudgePolicy::default(), monitors)
}

/// The input of the fixed-sample tests.
pub struct Sides {
    pub moments: [Moments; 2],
    pub latency: [Points; 2],
    pub score: [Points; 2],
    /// Failures and requests.
    pub counts: [(u64, u64); 2],
}

impl Sides {
    /// The canary first.
    pub fn of(samples: &Samples) -> Sides {
        let tracks = [&samples.canary, &samples.stable];
        Sides {
            moments: tracks.map(|track| *track.latency.moments()),
            latency: tracks.map(|track| track.latency.points()),
            score: tracks.map(|track| track.score.points()),
            counts: tracks.map(|track| (track.failures.total(), track.requests)),
        }
    }
}

/// A test by name, and its result where scipy gets the same numbers.
pub type Test = (&'static str, &'static str, fn(&Sides) -> Option<f64>);

/// Each fixed-sample test: label, name in `scripts/judge_peers.py`, call.
pub const TESTS: &[Test] = &[
    ("Welch, with its interval", "welch", welch),
    ("not worse by 10 % of the mean", "non_inferiority", not_worse),
    ("Cohen's d", "effect_size", effect_size),
    ("Mann-Whitney", "mann_whitney", mann_whitney),
    ("Kolmogorov-Smirnov", "kolmogorov_smirnov", kolmogorov),
    ("PSI, Wasserstein of scores", "drift", drift),
    ("Fisher, two alternatives", "fisher", fisher),
    ("difference of rates: interval, a margin", "rates", rates),
    ("Wilson and Clopper-Pearson for each track", "rate_intervals", rate_intervals),
];

fn welch(sides: &Sides) -> Option<f64> {
    let test = welch_t_test(&sides.moments[0], &sides.moments[1])?;
    black_box(test.confidence_interval(LEVEL));
    black_box(test.p_two_sided());
    None
}

fn not_worse(sides: &Sides) -> Option<f64> {
    let [canary, stable] = &sides.moments;
    let test = non_inferiority(canary, stable, Margin::relative(0.1), Harm::Higher)?;
    black_box(test.p_not_worse());
    None
}

fn effect_size(sides: &Sides) -> Option<f64> {
    black_box(cohens_d(&sides.moments[0], &sides.moments[1]));
    None
}

fn mann_whitney(sides: &Sides) -> Option<f64> {
    black_box(rank_p(&sides.latency));
    None
}

fn kolmogorov(sides: &Sides) -> Option<f64> {
    black_box(distance_p(&sides.latency));
    None
}

/// P-value of the Mann-Whitney test.
pub fn rank_p([canary, stable]: &[Points; 2]) -> Option<f64> {
    Some(mann_whitney_u(canary, stable)?.p_two_sided())
}

/// P-value of the Kolmogorov-Smirnov test.
pub fn distance_p([canary, stable]: &[Points; 2]) -> Option<f64> {
    Some(kolmogorov_smirnov(canary, stable)?.p_two_sided())
}

fn drift(sides: &Sides) -> Option<f64> {
    let [canary, stable] = &sides.score;
    let bins = SharedBins::by_value(canary, stable)?;
    black_box(bins.population_stability_index());
    black_box(wasserstein_distance(canary, stable));
    None
}

fn fisher(sides: &Sides) -> Option<f64> {
    let [(k_canary, n_canary), (k_stable, n_stable)] = sides.counts;
    black_box(fisher_exact_two_sided(k_canary, n_canary, k_stable, n_stable));
    fisher_exact_greater(k_canary, n_canary, k_stable, n_stable)
}

fn rates(sides: &Sides) -> Option<f64> {
    let [(k_canary, n_canary), (k_stable, n_stable)] = sides.counts;
    let rates = ProportionDifference::new(k_canary, n_canary, k_stable, n_stable)?;
    black_box(rates.miettinen_nurminen_interval(LEVEL));
    Some(rates.p_not_worse(0.0001))
}

fn rate_intervals(sides: &Sides) -> Option<f64> {
    for (k, n) in sides.counts {
        black_box(wilson_interval(k, n, LEVEL));
        black_box(clopper_pearson_interval(k, n, LEVEL));
    }
    Some(wilson_interval(sides.counts[0].0, sides.counts[0].1, LEVEL)?.0)
}

/// Bootstrap interval of the difference of means.
pub fn bootstrap_mean([canary, stable]: &[Points; 2]) -> Option<BootstrapInterval> {
    BOOTSTRAP.mean_difference(canary, stable, random())
}

/// Bootstrap interval of the difference of the 99th percentiles.
pub fn bootstrap_p99([canary, stable]: &[Points; 2]) -> Option<BootstrapInterval> {
    BOOTSTRAP.quantile_difference(canary, stable, 0.99)
}

fn random() -> impl FnMut() -> u64 {
    let mut generator = Xoshiro256PlusPlus::seed_from_u64(1);
    move || generator.next_u64()
}
