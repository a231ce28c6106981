//! Numbers in, numbers out: the statistics of the canary.
//!
//! Nothing here reads a clock, a file or a random generator: data and random bits are arguments.
//! Every function that compares takes the canary first and the stable model second, so a positive
//! difference means that the canary's is larger.
//! Too little data is `None`, never an error and never a favorable answer.
//!
//! The rooms import one way, in this order:
//!
//! - [`summary`]: recorded values: moments, histograms, distinct values with counts
//! - [`distributions`]: tail probabilities
//! - [`fixed_horizon`]: tests, effect sizes and intervals for one look
//! - [`sequential`]: e-processes, valid after every tick
//! - [`planning`]: sample sizes and power
//! - [`posterior`]: how likely a difference is, given a prior
//!
//! The expected values of the tests are scipy's and statsmodels', written by
//! `scripts/reference_values.py` into `tests/reference/`.

pub mod distributions;
pub mod fixed_horizon;
pub mod planning;
pub mod posterior;
pub mod sequential;
pub mod summary;

pub use fixed_horizon::binomial_intervals::clopper_pearson_interval;
pub use fixed_horizon::binomial_intervals::wilson_interval;
pub use fixed_horizon::bootstrap::Bootstrap;
pub use fixed_horizon::bootstrap::BootstrapInterval;
pub use fixed_horizon::drift::SharedBins;
pub use fixed_horizon::drift::wasserstein_distance;
pub use fixed_horizon::effect_size::cohens_d;
pub use fixed_horizon::fisher::fisher_exact_greater;
pub use fixed_horizon::fisher::fisher_exact_two_sided;
pub use fixed_horizon::kolmogorov_smirnov::KolmogorovSmirnov;
pub use fixed_horizon::kolmogorov_smirnov::kolmogorov_smirnov;
pub use fixed_horizon::mann_whitney::MannWhitney;
pub use fixed_horizon::mann_whitney::mann_whitney_u;
pub use fixed_horizon::margin::Harm;
pub use fixed_horizon::margin::Margin;
pub use fixed_horizon::multiplicity::benjamini_hochberg;
pub use fixed_horizon::multiplicity::e_benjamini_hochberg;
pub use fixed_horizon::multiplicity::holm;
pub use fixed_horizon::non_inferiority::NonInferiority;
pub use fixed_horizon::non_inferiority::non_inferiority;
pub use fixed_horizon::paired_difference::PairedDifference;
pub use fixed_horizon::paired_difference::area_difference;
pub use fixed_horizon::paired_difference::mcnemar_exact;
pub use fixed_horizon::paired_difference::miscalibration_parts;
pub use fixed_horizon::paired_difference::paired_t;
pub use fixed_horizon::paired_difference::root_mean_square_difference;
pub use fixed_horizon::proportion_difference::ProportionDifference;
pub use fixed_horizon::quality::ClassQuality;
pub use fixed_horizon::quality::ErrorQuality;
pub use fixed_horizon::quality::Quality;
pub use fixed_horizon::quality::brier;
pub use fixed_horizon::quality::brier_of_classes;
pub use fixed_horizon::quality::log_loss;
pub use fixed_horizon::welch::WelchT;
pub use fixed_horizon::welch::permutation::permutation_p_greater;
pub use fixed_horizon::welch::welch_t_test;
pub use planning::fisher_power::FisherPower;
pub use planning::power::PowerError;
pub use planning::power::SampleSizes;
pub use planning::power::TwoSamplePower;
pub use planning::power::power_at;
pub use planning::proportion_power::ProportionPower;
pub use planning::rank_power::RankPower;
pub use summary::Summary;
pub use summary::histogram::Histogram;
pub use summary::histogram::LayoutMismatch;
pub use summary::layout::Layout;
pub use summary::moments::MAX_MAGNITUDE;
pub use summary::moments::Moments;
pub use summary::moments::is_recordable;
pub use summary::points::Points;

use serde::Deserialize;
use serde::Serialize;

/// The most observations, both tracks together, of a test that counts in whole numbers: up to here
/// their cubes fit 128 bits, and the sums of a tail take milliseconds.
const MAX_OBSERVATIONS: u64 = 1_000_000_000_000;

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
