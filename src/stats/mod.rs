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
//! 2. What is asked: [`welch_t_test`] (do the means differ?), [`fisher_exact_greater`] (does the
//!    canary fail more often?), [`TwoSamplePower`] (how many requests does an answer take?).
//! 3. What may be asked after every tick: [`sequential`].
//! 4. What these stand on: `student_t`, `noncentral_t`, `normal` (tail probabilities),
//!    `saddle_point` (exact binomial terms), `root` (where a monotone function is zero).
//!
//! The expected values of the tests are scipy's and statsmodels', written by
//! `scripts/reference_values.py` into `tests/reference/`.

mod moments;
mod points;

mod layout;

mod histogram;

mod summary;

mod power;
mod proportions;
mod welch;

pub mod sequential;

mod noncentral_t;
mod normal;
mod root;
mod saddle_point;
mod student_t;

pub use histogram::Histogram;
pub use histogram::LayoutMismatch;
pub use layout::Layout;
pub use layout::LayoutError;
pub use moments::LARGEST_MAGNITUDE;
pub use moments::Moments;
pub use moments::is_recordable;
pub use points::Points;
pub use power::PowerError;
pub use power::SampleSizes;
pub use power::TwoSamplePower;
pub use power::minimum_detectable_effect;
pub use power::power_at;
pub use proportions::fisher_exact_greater;
pub use summary::Summary;
pub use welch::WelchT;
pub use welch::welch_t_test;

use serde::Deserialize;
use serde::Serialize;

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
