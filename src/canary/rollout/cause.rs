//! Causes of rollbacks, pauses and reverts, as the journal keeps them.
//!
//! A person gives text; what serin decides itself is an enum with numbers. `narrative` renders the sentence.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::canary::policy::metric::MetricName;
use crate::text::ranges::DurationWithin;
use crate::text::ranges::MONTH;

/// Why a rollout was rolled back or paused, or a promotion reverted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A person decided, and may have said why.
    Person(Option<String>),
    /// A trigger of the plan fired.
    Trigger(TripReason),
    /// The canary's p99 latency at a look was above the ceiling of the plan.
    LatencyCeiling {
        /// The p99 latency.
        p99_seconds: f64,
        /// The ceiling.
        #[serde(with = "DurationWithin::<0, MONTH>")]
        #[schema(value_type = String, examples("90s"))]
        ceiling: Duration,
    },
    /// The judgement of the event shows harm.
    Harm,
    /// Labels that arrived after the promotion show harm in these metrics.
    LateHarm(Vec<MetricName>),
    /// The deadline of the plan passed.
    Deadline {
        /// What was missing.
        missing: Missing,
        /// The time limit.
        #[serde(with = "DurationWithin::<0, MONTH>")]
        #[schema(value_type = String, examples("90s"))]
        limit: Duration,
        /// Whether the rollout was then held for the same time again without a decision.
        is_forgotten: bool,
    },
    /// The canary's artifact is neither in the store nor, unchanged, in the models folder, or cannot run there.
    ArtifactLost,
}

impl Cause {
    /// Whether serin has seen harm. A rollout that ends without a verdict says nothing against its canary: there
    /// is neither a quarantine nor a cool-down.
    pub fn is_harm(&self) -> bool {
        match self {
            Cause::Trigger(_) | Cause::LatencyCeiling { .. } | Cause::Harm | Cause::LateHarm(_) => {
                true
            }
            Cause::Person(_) | Cause::Deadline { .. } | Cause::ArtifactLost => false,
        }
    }
}

/// What a rollout lacked at its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// The approval of a person.
    Approval,
    /// A verdict that ends the step.
    Verdict,
}

/// Why the circuit breaker tripped.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TripReason {
    /// Failures among the last [`WINDOW`](crate::canary::policy::plan::WINDOW) requests.
    Failures {
        /// How many failed.
        failed: u32,
        /// How many of the newest failed in a row.
        in_a_row: u32,
    },
    /// Answers above the latency ceiling among the last [`WINDOW`](crate::canary::policy::plan::WINDOW).
    SlowAnswers {
        /// How many were slow.
        slow: u32,
        /// The ceiling.
        #[serde(with = "DurationWithin::<0, MONTH>")]
        #[schema(value_type = String, examples("90s"))]
        ceiling: Duration,
    },
}
