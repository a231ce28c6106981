//! The domain: what a rollout is, how traffic is split, what the evidence says, what may happen next.
//!
//! Everything here is a pure function or a plain value. Time, salts and data come in as arguments,
//! so a year of rollouts can be replayed in a test within a second. Reading order:
//!
//! - [`weight`]: the canary's share of traffic, a checked type.
//! - [`policy`]: every threshold serin decides by, and its default.
//! - [`split`]: which requests go to the canary.
//! - [`signals`]: what is observed of each track.
//! - [`evidence`]: from two tracks of samples to numbers.
//! - [`judge`]: from numbers to a verdict with reasons.
//! - [`metric`], [`judge_policy`], [`given_policy`]: what is judged at all times, by which margins, and
//!   how that is given.
//! - [`pairs`]: what both versions said to the same requests, in shadow.
//! - [`increment`]: what a tick brings.
//! - [`increment_codec`]: the same in few bytes.
//! - [`monitors`]: what has been learned of each metric, tick by tick.
//! - [`evidence_log`]: what is kept of the ticks, so that a verdict can be recomputed.
//! - [`always_valid`]: from that to a verdict that may be asked for as often as one likes.
//! - [`sentences`]: the same in plain English.
//! - [`shadowed`]: what a shadow must have shown before users meet the canary.
//! - [`forecast`]: how much longer until there is a verdict, and what could be found by then.
//! - [`analysis`]: two samples of any number, compared once.
//! - [`state`] and [`event`]: what is known, and what can happen.
//! - [`rollout`]: the state machine, `apply(state, event) -> transition or refusal`.
//! - [`journal`]: the append-only record, and `replay(journal) == state`.
//! - [`narrative`]: what happened, in sentences.

pub mod weight;

pub mod policy;

pub mod split;

pub mod signals;

pub mod evidence;

pub mod judge;

pub mod metric;

pub mod judge_policy;

pub mod given_policy;

pub mod pairs;

pub mod increment;

pub mod increment_codec;

pub mod monitors;

pub mod evidence_log;

pub mod always_valid;

pub mod sentences;

pub mod shadowed;

pub mod forecast;

pub mod analysis;

pub mod state;

pub mod plan;

pub mod given_plan;

pub mod event;

pub mod rollout;

pub mod journal;

pub mod narrative;

mod salt;

pub use always_valid::AlwaysValid;
pub use analysis::Analysis;
pub use event::Event;
pub use evidence::Evidence;
pub use evidence_log::Logged;
pub use evidence_log::LoggedTick;
pub use evidence_log::Segment;
pub use forecast::Forecast;
pub use increment::Increment;
pub use journal::Entry;
pub use judge::Judgement;
pub use judge::Verdict;
pub use judge_policy::JudgePolicy;
pub use metric::Metric;
pub use metric::MetricName;
pub use monitors::Monitors;
pub use pairs::Pairs;
pub use plan::Plan;
pub use policy::HealthPolicy;
pub use policy::Policy;
pub use rollout::Refusal;
pub use signals::Samples;
pub use signals::Track;
pub use split::Split;
pub use state::Rollout;
pub use state::State;
pub use state::Version;
pub use weight::Weight;
