//! The policy of a rollout: every threshold serin decides by, with its default.
//!
//! - [`Policy`]: the whole; [`plan`] and [`plan_changes`]: the steps of a rollout that serin drives.
//! - [`health`]: the health check; [`breaker`]: the circuit breaker for the canary.
//! - [`source`]: everything about a metric source; [`metric`], [`metric_overrides`], [`judge_policy`]: the metrics
//!   of the sequential judge and its thresholds.
//! - [`segments`]: slices of traffic; [`feedback`]: labels; [`post_promotion`]: after a promotion.
//! - [`fault`]: faults injected on purpose.

pub mod breaker;
pub mod fault;
pub mod feedback;
pub mod health;
pub mod judge_policy;
pub mod metric;
pub mod metric_overrides;
pub mod plan;
pub mod plan_changes;
pub mod post_promotion;
pub mod properties;
pub mod segments;
pub mod source;

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use super::traffic::weight::Weight;
use crate::text::ranges::DurationWithin;
use crate::text::ranges::MONTH;
use breaker::BreakerPolicy;
use health::HealthPolicy;
use judge_policy::JudgePolicy;
use plan::Plan;
use post_promotion::PostPromotionPolicy;
use utoipa::ToSchema;

/// How a rollout is run unless its deploy request says otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Policy {
    /// The canary's share of traffic. Default 10 %.
    pub weight: Weight,
    /// The share of stable's requests that are mirrored to the canary in the background. Default none.
    #[serde(default, skip_serializing_if = "Weight::is_zero")]
    pub shadow: Weight,
    /// Recommended minimum duration of a manual step. Default one hour. It is shown, not enforced.
    #[serde(with = "DurationWithin::<0, MONTH>")]
    #[schema(value_type = String, examples("90s"))]
    pub bake: Duration,
    /// Who promotes and rolls back. Default: a person.
    pub mode: Mode,
    /// Steps and limits of an automatic rollout.
    #[serde(default)]
    pub plan: Plan,
    /// Time limit of one canary prediction; then stable answers. Default one second.
    #[serde(with = "DurationWithin::<0, MONTH>")]
    #[schema(value_type = String, examples("90s"))]
    pub canary_deadline: Duration,
    /// Circuit breaker for the canary.
    #[serde(default)]
    pub breaker: BreakerPolicy,
    /// Thresholds of the health check.
    pub health: HealthPolicy,
    /// Metrics and margins of the sequential judge.
    #[serde(default)]
    pub judge: JudgePolicy,
    /// Monitoring after the promotion.
    #[serde(default, skip_serializing_if = "PostPromotionPolicy::is_default")]
    pub post_promotion: PostPromotionPolicy,
}

/// Who promotes and rolls back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// A person, through `/admin` or the command line.
    #[default]
    Manual,
    /// serin, by the plan. A person may intervene at any time.
    Automatic,
}

impl Mode {
    /// Whether a person decides.
    pub(crate) fn is_manual(&self) -> bool {
        match self {
            Mode::Manual => true,
            Mode::Automatic => false,
        }
    }
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            weight: DEFAULT_WEIGHT,
            shadow: Weight::ZERO,
            bake: Duration::from_secs(3600),
            mode: Mode::Manual,
            plan: Plan::default(),
            canary_deadline: Duration::from_secs(1),
            breaker: BreakerPolicy::default(),
            health: HealthPolicy::default(),
            judge: JudgePolicy::default(),
            post_promotion: PostPromotionPolicy::default(),
        }
    }
}

/// The longest injected delay, so that a typing error cannot park requests for hours.
pub const MAX_DELAY_MS: u32 = 60_000;

/// The delay of `toggle-slowdown` when the request names none.
pub const DEFAULT_DELAY_MS: u32 = 25;

/// The longest reason a person may give, in bytes: it is kept in the journal for good.
pub const MAX_REASON_BYTES: usize = 1000;

const DEFAULT_WEIGHT: Weight = match Weight::from_basis_points(1000) {
    Some(weight) => weight,
    None => Weight::ZERO,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_ten_percent_for_an_hour_by_hand() {
        let policy = Policy::default();
        assert_eq!(policy.weight.percent(), 10.0);
        assert_eq!(policy.bake, Duration::from_secs(3600));
        assert_eq!(policy.mode, Mode::Manual);
    }
}
