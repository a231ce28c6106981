//! Sequential statistics: valid after every tick, however often they are read.
//!
//! A p-value is valid for one look. Read every second for an hour, Welch's test at 5 % raises a false
//! alarm on up to a third of healthy canaries, and on all of them while the weight ramps up and the load
//! drifts (docs/statistics.md). Everything here may be read after every tick, forever:
//!
//! ```text
//! E_t >= 0, E_0 = 1, expectation of E at most 1 under H0 at every stopping time   (an e-process)
//! P(E_t >= 1/alpha for any t) <= alpha                                   (Ville's inequality)
//! p_t = min(1, 1 / max of E up to t)                          (the always-valid p-value)
//! ```
//!
//! **Why it is valid under drift and ramp.** serin randomizes the requests itself. Within a tick, each request
//! went to the canary with the known probability `share`, whatever the load did, so the two tracks
//! are compared within the tick against that share: a randomization test. Nothing is assumed of the
//! distribution, of independence between ticks, or of stationarity. What a bet depends on (cap,
//! ranks, center, stake) is fixed *before* the tick, from past ticks only. Where this fails, and by
//! how much, is documented at [`Bet`] (strata) and [`SeenKeys`] (sticky keys). With spans of time as draws
//! ([`LastingValues`], [`LastingFailures`]) more is assumed; it is stated there.
//!
//! State is constant in size, serializes without loss, and is a function of the tick increments
//! alone: the same increments give the same bytes on the same build.
//!
//! Reading order: [`EProcess`] (an e-value and its maximum), `wealth` (the mixture of stakes), `fixed_share` (how it
//! finds late differences),
//! [`Bet`] and [`Paired`] (bounded values), [`Events`] (rare events), `reference` (what a tick is measured with), `groups` (centers of light and heavy requests), [`Test`] (which functions are compared), [`Monitor`] (latency, custom metrics), [`LastingValues`] and [`LastingFailures`] (the same in units of time), [`ShiftMonitor`] (scores), [`Classes`], [`ScaledShift`] and [`ScaledPairs`] (many classes, scores of any size), [`FailureMonitor`], [`QuantileMonitor`],
//! [`PairMonitor`] (both answers to one request),
//! [`Score`] (the interval to show), [`SampleRatio`] and [`CovariateBalance`] (the split), [`SeenKeys`], [`ClusterMeans`], [`FailureRates`] and [`KeyedEvidence`] (keys
//! that come back).
//!
//! Shafer, Shen, Vereshchagin and Vovk (2011), Statistical Science 26(1), doi:10.1214/10-STS347;
//! Johari, Koomen, Pekelis and Walsh (2022), Operations Research 70(3), doi:10.1287/opre.2021.2135;
//! Waudby-Smith and Ramdas (2024), JRSS B 86(1), doi:10.1093/jrsssb/qkad009.

pub(crate) mod calibration;
pub(crate) mod confidence_sequence;
pub(crate) mod e_process;
pub(crate) mod reference;

pub(crate) mod recent_mean;
pub(crate) mod recent_spread;

pub(crate) mod bets;

pub(crate) mod groups;

pub(crate) mod comparison;
pub(crate) mod test;

pub(crate) mod lasting;

pub(crate) mod monitor;

pub(crate) mod pair_monitor;

pub(crate) mod shift_monitor;

pub(crate) mod scores;

pub(crate) mod rates;

pub(crate) mod sample_ratio;

pub(crate) mod clusters;

pub(crate) mod seen_keys;

pub mod detection;

pub use bets::averages::log_weighted_mean_exp;
pub use bets::betting::Bet;
pub use bets::betting::Stake;
pub use bets::events::Events;
pub use bets::events::RISK_RATIOS;
pub use bets::events::RISK_SHARES;
pub use bets::paired::Paired;
pub use bets::wealth::MAX_LOSS;
pub use bets::wealth::STAKE_SHARES;
pub use bets::wealth::STAKE_SIZES;
pub use bets::wealth::STAKES;
pub use calibration::calibration_in_the_large;
pub use calibration::mean_score_error;
pub use clusters::MIN_CLUSTERS;
pub use clusters::failures::ClusterFailures;
pub use clusters::failures::FailureRates;
pub use clusters::looks::KeyedEvidence;
pub use clusters::looks::Looks;
pub use clusters::means::ClusterMeans;
pub use clusters::means::ClusterValues;
pub use confidence_sequence::Interval;
pub use confidence_sequence::Score;
pub use confidence_sequence::half_width_two_sided;
pub use confidence_sequence::mixing_precision;
pub use e_process::EProcess;
pub use groups::GroupValues;
pub use lasting::AverageMonitor;
pub use lasting::EvidenceUnit;
pub use lasting::LastingFailures;
pub use lasting::LastingValues;
pub use monitor::Monitor;
pub use pair_monitor::PairMonitor;
pub use rates::failures::FailureMargins;
pub use rates::failures::FailureMonitor;
pub use rates::failures::TrackCounts;
pub use rates::quantile::Exceedances;
pub use rates::quantile::QuantileMonitor;
pub use sample_ratio::SampleRatio;
pub use sample_ratio::covariate_balance::CovariateBalance;
pub use scores::classes::Classes;
pub use scores::scaled::ScaledPairs;
pub use scores::scaled::ScaledShift;
pub use seen_keys::SeenKeys;
pub use shift_monitor::COLLAPSE;
pub use shift_monitor::ShiftMargins;
pub use shift_monitor::ShiftMonitor;
pub use test::Test;

#[cfg(test)]
#[path = "expectation_tests.rs"]
pub(crate) mod expectation;
