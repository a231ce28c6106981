//! The domain: what a rollout is, how it is judged, and what may happen next.
//!
//! Pure functions and plain values: time, salts and data are arguments, so a test replays a year of
//! rollouts within a second. The rooms in the order in which data flows, each importing only earlier ones:
//!
//! - [`traffic`]: which requests go to the canary.
//! - [`policy`]: the settings of a rollout, from the metrics to the plan.
//! - [`observed`]: what each track did.
//! - [`judge`]: from observations to a verdict; [`analysis`]: two samples compared once.
//! - [`rollout`]: the state machine, its events and the journal.
//!
//! # The driving loop
//!
//! At each tick the caller feeds what was observed to the monitors, judges, asks the plan for the next
//! action, and applies the event of that action. The service does the same with a journal between the last
//! two steps.
//!
//! ```
//! use jiff::SignedDuration;
//! use jiff::Timestamp;
//! use serin::canary::Event;
//! use serin::canary::Increment;
//! use serin::canary::Judgement;
//! use serin::canary::Monitors;
//! use serin::canary::Policy;
//! use serin::canary::Samples;
//! use serin::canary::State;
//! use serin::canary::Track;
//! use serin::canary::Version;
//! use serin::canary::judge::evidence::SequentialEvidence;
//! use serin::canary::policy::Mode;
//! use serin::canary::rollout::apply::Transition;
//! use serin::canary::rollout::apply::apply;
//! use serin::canary::rollout::next_action::Action;
//! use serin::canary::rollout::next_action::Observation;
//! use serin::canary::rollout::next_action::next_action;
//! use serin::canary::rollout::state::FeatureChange;
//! use serin::canary::traffic::weight::Weight;
//!
//! let version = |name: &str| Version { name: name.into(), file: name.into(), digest: name.into() };
//! let weight = Weight::from_percent(10.0)?;
//! let policy = Policy { mode: Mode::Automatic, weight, ..Policy::default() };
//! let mut now = Timestamp::UNIX_EPOCH;
//! let mut state = State::initial(version("v1"), now);
//! let mut event = Event::CanaryDeployed {
//!     canary: version("v2"),
//!     policy: Box::new(policy.clone()),
//!     salt: 7,
//!     reason: None,
//!     override_quarantine: false,
//!     features: FeatureChange::default(),
//!     library: None,
//! };
//! let mut monitors = Monitors::new(&policy.judge, &Default::default());
//! let (mut earlier, mut samples) = (Samples::default(), Samples::default());
//! loop {
//!     // Apply: the new state, or a refusal that says why not.
//!     if let Transition::Changed { state: next, .. } = apply(&state, &event, now)? {
//!         state = *next;
//!     }
//!     let Some(rollout) = &state.rollout else { break };
//!     event = loop {
//!         // Tick: a second with 20 requests, the canary half as fast as stable.
//!         now += SignedDuration::from_secs(1);
//!         for request in 0..20 {
//!             let track = if request % 10 == 0 { Track::Canary } else { Track::Stable };
//!             let slower = if track == Track::Canary { 2.0 } else { 1.0 };
//!             samples.of_mut(track).record(slower * (0.010 + 0.0001 * f64::from(request)), &[0.5]);
//!         }
//!         if let Some(increment) = Increment::between(rollout.weight(), &earlier, &samples) {
//!             monitors.tick(&increment);
//!         }
//!         earlier = samples.clone();
//!         // Judge.
//!         let (id, step, digest) = (rollout.id, rollout.step, &rollout.canary.digest);
//!         let evidence = SequentialEvidence::new(&policy.judge, &monitors);
//!         let (mode, inputs) = (Mode::Automatic, (&samples).into());
//!         let judgement =
//!             Judgement::new(id, step, digest, policy.health, inputs, mode, Some(evidence));
//!         // Next action.
//!         match next_action(rollout, &judgement, &Observation::default(), now) {
//!             Action::Wait(_) => {}
//!             Action::RollBack(cause) => {
//!                 let judgement = Some(Box::new(judgement));
//!                 break Event::RolledBack { rollout: id, cause, quarantine: true, judgement, by: mode };
//!             }
//!             other => panic!("the canary is slow: {other:?}"),
//!         }
//!     };
//! }
//! assert_eq!(state.stable.name, "v1");
//! assert!(state.quarantine.contains_key("v2"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
pub use policy::Policy;
pub use policy::feedback::FeedbackPolicy;
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
