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
//! - [`sequential_evidence`]: all of that together.
//! - [`sequential`]: from that to a verdict that may be asked for as often as one likes.
//! - [`what_if`]: when there would have been a verdict under another policy.
//! - [`sentences`]: the same in plain English.
//! - [`shadowed`]: what a shadow must have shown before users meet the canary.
//! - [`forecast`]: how much longer until there is a verdict, and what could be found by then.
//! - [`analysis`]: two samples of any number, compared once.
//! - [`injection`]: what is broken on purpose.
//! - [`state`] and [`event`]: what is known, and what can happen.
//! - [`post_promotion`]: the watch after a promotion; [`given_after_promotion`]: how that is given.
//! - [`refusal`]: why that cannot happen now.
//! - [`rollout`]: the state machine, `apply(state, event) -> transition or refusal`.
//! - [`journal`]: the append-only record, and `replay(journal) == state`.
//! - [`narrative`]: what happened, in sentences.

pub mod analysis;
pub mod judge;
pub mod observed;
pub mod policy;
pub mod rollout;
pub mod traffic;
pub use analysis::two_samples::Analysis;
pub use judge::forecast::Forecast;
pub use judge::health_check::Evidence;
pub use judge::judgement::Judgement;
pub use judge::monitors::Monitors;
pub use judge::sequential::SequentialVerdict;
pub use judge::tick_log::Chunk;
pub use judge::tick_log::LogRecord;
pub use judge::tick_log::LoggedTick;
pub use judge::verdict::Verdict;
pub use observed::increment::Increment;
pub use observed::labels::Labels;
pub use observed::pairs::Pairs;
pub use observed::samples::Samples;
pub use policy::FeedbackPolicy;
pub use policy::Policy;
pub use policy::health::HealthPolicy;
pub use policy::judge_policy::JudgePolicy;
pub use policy::metric::Metric;
pub use policy::metric::MetricName;
pub use policy::plan::Plan;
pub use rollout::event::Event;
pub use rollout::journal::Entry;
pub use rollout::refusal::Refusal;
pub use rollout::state::Rollout;
pub use rollout::state::State;
pub use rollout::state::Version;
pub use traffic::prediction_id::PredictionId;
pub use traffic::split::Split;
pub use traffic::track::Track;
pub use traffic::weight::Weight;
