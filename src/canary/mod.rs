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
//!   how that is given; [`given_feedback`]: whether labels are taken.
//! - [`segments`]: which parts of the traffic are judged on their own.
//! - [`prediction_id`] and [`labels`]: what came of a prediction, and what that says of each track.
//! - [`pairs`]: what both versions said to the same requests, in shadow.
//! - [`increment`]: what a tick brings.
//! - [`increment_codec`]: the same in few bytes.
//! - [`monitors`]: what has been learned, tick by tick, and `monitored`: of one metric.
//! - [`segment_monitors`]: the same by segment, and `segment_scan`: in which of them there is harm.
//! - [`ratio`] and [`stalls`]: whether all requests were counted, and whether the machine itself was slow.
//! - [`evidence_log`]: what is kept of the ticks, so that a verdict can be recomputed.
//! - [`watch_evidence`]: all of that together.
//! - [`always_valid`]: from that to a verdict that may be asked for as often as one likes.
//! - [`what_if`]: when there would have been a verdict under another policy.
//! - [`sentences`]: the same in plain English.
//! - [`shadowed`]: what a shadow must have shown before users meet the canary.
//! - [`forecast`]: how much longer until there is a verdict, and what could be found by then.
//! - [`analysis`]: two samples of any number, compared once.
//! - [`injection`]: what is broken on purpose.
//! - [`state`] and [`event`]: what is known, and what can happen.
//! - [`aftercare`]: the watch after a promotion; [`given_after_promotion`]: how that is given.
//! - [`refusal`]: why that cannot happen now.
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

pub mod segments;

pub mod prediction_id;

pub mod labels;

pub mod pairs;

pub mod increment;

pub mod increment_codec;

mod monitored;

pub mod monitors;

pub mod segment_monitors;

pub mod segment_scan;

pub mod ratio;

pub mod stalls;

pub mod evidence_log;

pub mod watch_evidence;

pub mod always_valid;

pub mod what_if;

pub mod sentences;

pub mod shadowed;

pub mod forecast;

pub mod analysis;

pub mod state;

pub mod plan;

pub mod given_plan;

pub mod injection;

pub mod given_feedback;

pub mod given_after_promotion;

pub mod aftercare;

pub mod event;

pub mod refusal;

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
pub use labels::Labels;
pub use metric::Metric;
pub use metric::MetricName;
pub use monitors::Monitors;
pub use pairs::Pairs;
pub use plan::Plan;
pub use policy::FeedbackPolicy;
pub use policy::HealthPolicy;
pub use policy::Policy;
pub use prediction_id::PredictionId;
pub use rollout::Refusal;
pub use signals::Samples;
pub use signals::Track;
pub use split::Split;
pub use state::Rollout;
pub use state::State;
pub use state::Version;
pub use weight::Weight;
