//! Which thresholds does serin decide by? All of them stand here, with their defaults.

pub mod fault;
pub mod feedback_overrides;
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

use super::policy::judge_policy::JudgePolicy;
use super::policy::plan::Plan;
use super::traffic::weight::Weight;
use crate::text::durations::DurationError;
use crate::text::durations::MAX_DURATION;
use crate::text::durations::parsed_duration;

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

/// When the health check raises an alert: the thresholds of the two tests.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HealthPolicy {
    /// Significance level of each test. Default 0.05.
    pub alpha: f64,
    /// Latency samples that each track must have before it is judged. Default 20.
    pub min_samples: u64,
    /// A slowdown below this share of stable's mean latency is no harm. Default 0.05.
    pub relative_margin: f64,
    /// A canary may fail this share of its requests more often than stable before its promotion
    /// waits for more evidence; and, where stable has no traffic to compare with, this share of
    /// them at all. Default 0.01.
    pub failure_margin: f64,
    /// A slowdown below this is no harm either, in seconds. Default 0.0001: nobody feels 0.1 ms,
    /// and two logistic regressions do differ by 40 ns.
    pub absolute_margin_seconds: f64,
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

impl Default for HealthPolicy {
    fn default() -> HealthPolicy {
        HealthPolicy {
            alpha: 0.05,
            min_samples: 20,
            relative_margin: 0.05,
            failure_margin: 0.01,
            absolute_margin_seconds: 0.0001,
        }
    }
}

impl HealthPolicy {
    /// The mean slowdown that is allowed, in seconds, given stable's mean: the larger margin.
    pub fn margin_seconds(&self, stable_mean_seconds: f64) -> f64 {
        (self.relative_margin * stable_mean_seconds).max(self.absolute_margin_seconds)
    }

    /// The same thresholds, checked.
    ///
    /// # Errors
    /// Names the first field that is out of its range.
    pub fn checked(self) -> Result<HealthPolicy, PolicyError> {
        let out = |field, value: f64, allowed| Err(PolicyError { field, value, allowed });
        if !(self.alpha > 0.0 && self.alpha < 1.0) {
            return out("alpha", self.alpha, "more than 0 and less than 1");
        }
        if self.min_samples < 2 {
            return out("min_samples", self.min_samples as f64, "2 or more (a variance needs two)");
        }
        if !(self.relative_margin >= 0.0 && self.relative_margin.is_finite()) {
            return out("relative_margin", self.relative_margin, "0 or more");
        }
        if !(self.failure_margin > 0.0 && self.failure_margin < 1.0) {
            // No number of requests proves two rates equal.
            return out("failure_margin", self.failure_margin, "more than 0 and less than 1");
        }
        if !(self.absolute_margin_seconds >= 0.0 && self.absolute_margin_seconds.is_finite()) {
            return out("absolute_margin", self.absolute_margin_seconds, "0 or more");
        }
        Ok(self)
    }
}

/// A threshold outside its range.
#[derive(Debug, Error, PartialEq)]
#[error("{field} = {value} is out of range; give {allowed}")]
pub struct PolicyError {
    /// The setting.
    pub field: &'static str,
    /// What was given.
    pub value: f64,
    /// What is allowed.
    pub allowed: &'static str,
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

    #[test]
    fn the_larger_margin_counts() {
        let health = HealthPolicy::default();
        assert_eq!(health.margin_seconds(0.000_000_050), 0.0001);
        assert_eq!(health.margin_seconds(0.125), 0.05 * 0.125);
    }

    #[test]
    fn thresholds_out_of_range_are_named() {
        let good = HealthPolicy::default();
        for (bad, field) in [
            (HealthPolicy { alpha: 0.0, ..good }, "alpha"),
            (HealthPolicy { alpha: 1.0, ..good }, "alpha"),
            (HealthPolicy { alpha: f64::NAN, ..good }, "alpha"),
            (HealthPolicy { min_samples: 1, ..good }, "min_samples"),
            (HealthPolicy { relative_margin: -0.1, ..good }, "relative_margin"),
            (HealthPolicy { failure_margin: 1.0, ..good }, "failure_margin"),
            (HealthPolicy { failure_margin: 0.0, ..good }, "failure_margin"),
            (HealthPolicy { absolute_margin_seconds: f64::INFINITY, ..good }, "absolute_margin"),
        ] {
            assert_eq!(bad.checked().unwrap_err().field, field);
        }
    }
}
