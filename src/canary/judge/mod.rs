//! The judge: from observations to a verdict.
//!
//! - [`monitors`]: the state of the sequential judge, updated at each tick.
//! - [`sequential`] and [`segment_scan`]: its conclusions from the metrics and from the segments; together
//!   they are its [`evidence`]. [`sequential::metric_history`]: how the interval of each metric has narrowed.
//! - [`health_check`]: fixed-horizon tests of latency, failures and score; [`judgement`]: what both judges say, with the reasons.
//! - [`tick_log`], [`what_if`]: ticks kept to recompute a verdict, or to try another policy.
//! - [`forecast`]: when to expect a verdict; [`bayesian`]: how likely harm is, given what earlier rollouts have shown.
//! - [`tuning`]: settings that earlier rollouts suggest.
//! - [`sentences`]: all of this in words.

pub mod bayesian;
pub mod coverage;
pub mod evidence;
pub mod forecast;
pub mod health_check;
pub mod judgement;
pub mod margins;
pub mod monitors;
pub mod segment_scan;
pub mod sentences;
pub mod sequential;
pub mod tick_log;
pub mod tuning;
pub mod verdict;
pub mod what_if;
