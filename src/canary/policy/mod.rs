//! Which thresholds does serin decide by? All of them stand here, with their defaults.

pub mod fault;
pub mod feedback_overrides;
pub mod health;
pub mod judge_policy;
pub mod metric;
pub mod metric_overrides;
pub mod plan;
pub mod plan_overrides;
pub mod post_promotion_overrides;
pub mod segments;
pub mod shadow_metrics;

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;
use thiserror::Error;

use super::traffic::weight::Weight;
use crate::text::durations::DurationError;
use crate::text::durations::MAX_DURATION;
use crate::text::durations::parsed_duration;
use health::HealthPolicy;
use judge_policy::JudgePolicy;
use plan::Plan;

/// How a rollout is run unless its deploy request says otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// The canary's share of traffic. Default 10 %.
    pub weight: Weight,
    /// The share of the requests that stable answers which the canary is asked in shadow, too: in the
    /// background, for nobody. Default none.
    #[serde(default, skip_serializing_if = "Weight::is_zero")]
    pub shadow: Weight,
    /// How long a step is meant to last at least. Default one hour. It advises the person who
    /// decides; it enforces nothing.
    pub bake: Duration,
    /// Who decides. Default: a person.
    pub mode: Mode,
    /// What a rollout does by itself, if it is not a person who decides.
    #[serde(default)]
    pub plan: Plan,
    /// How long one canary prediction may take before stable answers instead. Default one second.
    pub canary_deadline: Duration,
    /// When a canary that fails again and again is asked no more.
    #[serde(default)]
    pub breaker: BreakerPolicy,
    /// When the health check raises an alert.
    pub health: HealthPolicy,
    /// What is judged at every tick, and by which margins.
    #[serde(default)]
    pub judge: JudgePolicy,
    /// What happens after its promotion.
    #[serde(default, skip_serializing_if = "PostPromotionPolicy::is_default")]
    pub post_promotion: PostPromotionPolicy,
}

/// Who promotes and rolls back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// A person, through `/admin` or the command line.
    #[default]
    Manual,
    /// serin, by the plan. A person may intervene at any time.
    Automatic,
}

/// When a canary that fails again and again is asked no more, so that its users do not wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakerPolicy {
    /// So many failures in a row open the breaker; 0 turns it off. Default 5.
    pub failures: u32,
    /// How long after it opened, and after each probe, one request is the canary's again. Default one
    /// second.
    pub probe_every: Duration,
}

/// A breaker as a configuration gives it; what is left out is as by default.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct GivenBreaker {
    /// See [`BreakerPolicy::failures`].
    pub failures: Option<u32>,
    /// See [`BreakerPolicy::probe_every`].
    pub probe_every: Option<String>,
}

/// A breaker that cannot be.
#[derive(Debug, Error, PartialEq)]
pub enum BreakerError {
    /// The interval is no duration.
    #[error(transparent)]
    Duration(#[from] DurationError),
    /// It is too short or too long.
    #[error("breaker.probe_every = {0:?} is out of range; give 10ms to 1h")]
    OutOfRange(String),
}

impl GivenBreaker {
    /// The default breaker with what is given in its place.
    ///
    /// # Errors
    /// When the interval cannot be.
    pub fn policy(&self) -> Result<BreakerPolicy, BreakerError> {
        let mut breaker = BreakerPolicy::default();
        breaker.failures = self.failures.unwrap_or(breaker.failures);
        if let Some(text) = &self.probe_every {
            breaker.probe_every = parsed_duration("breaker.probe_every", text)?;
            let range = Duration::from_millis(10)..=Duration::from_secs(3600);
            if !range.contains(&breaker.probe_every) {
                return Err(BreakerError::OutOfRange(text.clone()));
            }
        }
        Ok(breaker)
    }
}

/// How a promotion is watched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostPromotionPolicy {
    /// How long late labels are waited for, with the version before kept ready. Default 0: not at all.
    pub watch: Duration,
    /// What happens when they show harm. Default: it is reported.
    pub action: HarmAction,
}

/// What happens when late labels show that a promoted version does harm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HarmAction {
    /// The journal, the status and the log say so, once.
    #[default]
    Report,
    /// The version before is stable again.
    Revert,
}

impl PostPromotionPolicy {
    fn is_default(&self) -> bool {
        *self == PostPromotionPolicy::default()
    }
}

/// Whether predictions can be labelled, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedbackPolicy {
    /// Whether answers carry ids that labels are taken for. Default yes.
    pub is_enabled: bool,
    /// How old a prediction may be when its label comes. Default 30 days.
    pub expires: Duration,
}

impl Default for FeedbackPolicy {
    fn default() -> FeedbackPolicy {
        FeedbackPolicy { is_enabled: true, expires: MAX_DURATION }
    }
}

impl Mode {
    /// Whether a person decides.
    pub(super) fn is_manual(&self) -> bool {
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

impl Default for BreakerPolicy {
    fn default() -> BreakerPolicy {
        BreakerPolicy { failures: 5, probe_every: Duration::from_secs(1) }
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
        assert_eq!(policy.health.checked(), Ok(policy.health));
    }
}
