//! Numbers in, numbers out: the statistics of the canary.
//!
//! Nothing here reads a clock, a file or a random generator, and nothing of ours is imported:
//! data, and later seeds, come in as arguments. Every function that compares takes the canary
//! first and the stable model second, so a positive difference means that the canary's is larger.
//! Too little data is `None`, never an error and never a favorable answer.
//!
//! In reading order:
//!
//! 1. What is recorded: [`Moments`] (count, mean, spread), [`Points`] (ascending values with
//!    counts, what every test reads), [`Layout`] and [`Histogram`] (the distribution in constant
//!    memory), [`Summary`] (moments and histogram of one signal).
//! 2. What is asked:
//!    - of means: [`welch_t_test`] (do they differ?), [`non_inferiority`] (by more than a [`Margin`]?),
//!      [`cohens_d`] and [`hedges_g`] (how much, in standard deviations?);
//!    - of distributions: [`mann_whitney_u`] (are the canary's values larger?),
//!      [`kolmogorov_smirnov`] (is anything different?), [`wasserstein_distance`] and
//!      [`SharedBins`] (how far have predictions drifted?);
//!    - of quantiles: [`quantile_interval`] (where is the true one?), and of their difference, as of
//!      the means', [`Bootstrap`];
//!    - of rates: [`fisher_exact_greater`] (does the canary fail more often?),
//!      [`ProportionDifference`] (how much more often?), [`wilson_interval`] and
//!      [`clopper_pearson_interval`] (between which bounds?);
//!    - of the whole: [`sample_ratio`] (was the traffic split as intended?), [`bonferroni`],
//!      [`holm`], [`benjamini_hochberg`], [`e_benjamini_hochberg`] (what is left of several
//!      answers?);
//!    - of predictions whose outcomes are known: [`Quality`] (log-loss, Brier, AUC, calibration);
//!    - before it starts: [`TwoSamplePower`], [`ProportionPower`], [`RankPower`] (how many requests
//!      does an answer take?).
//! 3. What may be asked after every tick: [`sequential`].
//! 4. What these stand on: `student_t`, `noncentral_t`, `normal`, `incomplete_beta`, `kolmogorov`,
//!    `lattice_paths`, `rank_distribution` (tail probabilities), `saddle_point` (exact binomial
//!    terms), `resampled_mean` and `random_variates` (resampling, from random bits that come in as
//!    an argument), `root` (where a monotone function is zero).
//!
//! The expected values of the tests are scipy's and statsmodels', written by
//! `scripts/reference_values.py` into `tests/reference/`.

mod moments;
mod points;

mod layout;

mod histogram;

mod summary;

mod margin;

mod welch;

pub mod sequential;

mod kolmogorov_smirnov;
mod mann_whitney;

mod proportion_difference;
mod proportion_intervals;
mod proportions;

mod non_inferiority;

mod effect_size;

mod bootstrap;
mod quantiles;

mod drift;

mod quality;

mod sample_ratio;

mod multiplicity;

mod power;
mod proportion_power;
mod rank_power;

mod incomplete_beta;
mod kolmogorov;
mod lattice_paths;
mod noncentral_t;
mod normal;
mod random_variates;
mod rank_distribution;
mod resampled_mean;
mod root;
mod saddle_point;
mod student_t;

pub use bootstrap::Bootstrap;
pub use bootstrap::BootstrapInterval;
pub use drift::SharedBins;
pub use drift::wasserstein_distance;
pub use effect_size::cohens_d;
pub use effect_size::hedges_g;
pub use histogram::Histogram;
pub use histogram::LayoutMismatch;
pub use kolmogorov_smirnov::KolmogorovSmirnov;
pub use kolmogorov_smirnov::kolmogorov_smirnov;
pub use layout::Layout;
pub use layout::LayoutError;
pub use mann_whitney::MannWhitney;
pub use mann_whitney::mann_whitney_u;
pub use margin::Harm;
pub use margin::Margin;
pub use moments::LARGEST_MAGNITUDE;
pub use moments::Moments;
pub use moments::is_recordable;
pub use multiplicity::benjamini_hochberg;
pub use multiplicity::bonferroni;
pub use multiplicity::e_benjamini_hochberg;
pub use multiplicity::holm;
pub use non_inferiority::NonInferiority;
pub use non_inferiority::non_inferiority;
pub use points::Points;
pub use power::PowerError;
pub use power::SampleSizes;
pub use power::TwoSamplePower;
pub use power::minimum_detectable_effect;
pub use power::power_at;
pub use proportion_difference::ProportionDifference;
pub use proportion_intervals::clopper_pearson_interval;
pub use proportion_intervals::wilson_interval;
pub use proportion_power::ProportionPower;
pub use proportion_power::minimum_detectable_rate;
pub use proportion_power::proportion_power_at;
pub use proportions::fisher_exact_greater;
pub use proportions::fisher_exact_less;
pub use proportions::fisher_exact_two_sided;
pub use quality::Quality;
pub use quality::brier;
pub use quality::log_loss;
pub use quantiles::QuantileInterval;
pub use quantiles::quantile_interval;
pub use rank_power::RankPower;
pub use rank_power::minimum_detectable_superiority;
pub use sample_ratio::SampleRatioTest;
pub use sample_ratio::sample_ratio;
pub use summary::Summary;
pub use welch::WelchT;
pub use welch::welch_t_test;

use serde::Deserialize;
use serde::Serialize;

/// The most observations, both tracks together, of a test that counts in whole numbers: up to here
/// their cubes fit 128 bits, and the sums of a tail take milliseconds.
const MOST_OBSERVATIONS: u64 = 1_000_000_000_000;

/// What is claimed against "no difference".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alternative {
    /// The canary differs from stable.
    TwoSided,
    /// The canary is greater than stable.
    Greater,
    /// The canary is less than stable.
    Less,
}
