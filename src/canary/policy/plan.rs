//! Rollout plan: the steps, their limits, and the built-in templates.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::canary::traffic::weight::Weight;
use crate::text::ranges::DurationWithin;
use crate::text::ranges::HOUR;
use crate::text::ranges::MILLISECOND;
use crate::text::ranges::MONTH;
use crate::text::ranges::OptionalDurationWithin;
use crate::text::ranges::SECOND;
use crate::text::ranges::integer;
use crate::text::ranges::samples;

/// What a rollout does by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Plan {
    /// The canary's shares in rising order, at least one. Only the first may be 0; then it shadows.
    pub steps: Vec<PlannedStep>,
    /// Time after the deployment that is excluded from judgement, so that caches can fill.
    #[serde(with = "DurationWithin::<0, HOUR>")]
    #[schema(value_type = String, examples("90s"))]
    pub warm_up: Duration,
    /// Samples that each track needs at each step before the next. A track whose share is 0 % or whose
    /// partner's is 100 % needs none.
    #[serde(deserialize_with = "samples")]
    pub min_samples: u64,
    /// Interval between looks at the evidence.
    #[serde(with = "DurationWithin::<{ 100 * MILLISECOND }, HOUR>")]
    #[schema(value_type = String, examples("90s"))]
    pub look: Duration,
    /// Time limit of the whole rollout.
    #[serde(with = "DurationWithin::<SECOND, MONTH>")]
    #[schema(value_type = String, examples("90s"))]
    pub deadline: Duration,
    /// What happens at the deadline.
    pub at_deadline: AtDeadline,
    /// Whether a person has to approve the promotion.
    pub approval: bool,
    /// Minimum time between a rollback by serin and the next automatic rollout.
    #[serde(with = "DurationWithin::<0, MONTH>")]
    #[schema(value_type = String, examples("90s"))]
    pub cool_down: Duration,
    /// Limits that roll the canary back at once, between two looks.
    pub triggers: Triggers,
}

/// One share and how long it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(from = "StepFields")]
pub struct PlannedStep {
    /// The canary's share.
    pub weight: Weight,
    /// The share of stable's requests that are mirrored to the canary. Left out, all of them while the
    /// weight is 0, and none later.
    #[serde(skip_serializing_if = "Weight::is_zero")]
    pub shadow: Weight,
    /// Minimum duration; `None`: until a person resumes the rollout.
    #[serde(with = "OptionalDurationWithin::<0, MONTH>", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, examples("90s"))]
    pub bake: Option<Duration>,
    /// A step in shadow alone ends after this long, even with too few pairs for its guardrails to pass. `None`: it waits
    /// for them.
    #[serde(
        with = "OptionalDurationWithin::<SECOND, MONTH>",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>, examples("90s"))]
    pub at_most: Option<Duration>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a step like {\"weight\": 5, \"bake\": \"10m\"}")]
struct StepFields {
    weight: Weight,
    shadow: Option<Weight>,
    #[serde(default, with = "OptionalDurationWithin::<0, MONTH>")]
    bake: Option<Duration>,
    #[serde(default, with = "OptionalDurationWithin::<SECOND, MONTH>")]
    at_most: Option<Duration>,
}

impl From<StepFields> for PlannedStep {
    fn from(StepFields { weight, shadow, bake, at_most }: StepFields) -> PlannedStep {
        let all = Weight::from_basis_points(Weight::WHOLE).unwrap_or_default();
        let default = if weight.is_zero() { all } else { Weight::ZERO };
        PlannedStep { weight, shadow: shadow.unwrap_or(default), bake, at_most }
    }
}

/// What becomes of a rollout that takes too long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AtDeadline {
    /// It is paused, and a person decides; if none does within as long again, it is rolled back.
    Hold,
    /// It is rolled back.
    #[default]
    RollBack,
}

/// Limits that roll the canary back without waiting for a look. They are absolute, so they need no
/// data of stable; lesser harm is left to the judge.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Triggers {
    /// Consecutive failures of the canary; 0 turns it off.
    pub consecutive_failures: u32,
    /// Failures among the canary's last [`WINDOW`] requests; 0 turns it off.
    #[serde(deserialize_with = "integer::<0, { WINDOW as u64 }, _, _>")]
    pub failures_in_window: u32,
    /// Ceiling of the canary's p99 latency: checked at each look from [`MIN_SAMPLES_FOR_P99`] samples of the step
    /// on, and by [`MAX_ABOVE_CEILING`] of the last [`WINDOW`] answers above it between two looks.
    #[serde(with = "OptionalDurationWithin::<1, HOUR>", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, examples("90s"))]
    pub p99_ceiling: Option<Duration>,
}

/// How many of the canary's last requests the trigger looks back on.
pub const WINDOW: u32 = 64;

/// This many of the canary's last [`WINDOW`] answers above the p99 ceiling roll it back. If exactly 1 % of
/// them are, each on its own, 64 have 8 or more with a chance of 2.7e-7.
pub const MAX_ABOVE_CEILING: u32 = 8;

/// A p99 of fewer samples is their largest.
pub const MIN_SAMPLES_FOR_P99: u64 = 200;

/// A template does not wait longer for pairs: with enough traffic they take seconds.
const MAX_SHADOW: Duration = Duration::from_secs(120);

/// Upper limit for the steps of a plan; more is probably a typing error.
pub const MAX_STEPS: usize = 50;

impl Default for Triggers {
    fn default() -> Triggers {
        Triggers { consecutive_failures: 10, failures_in_window: WINDOW / 2, p99_ceiling: None }
    }
}

/// Plans that have a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Template {
    /// Shadow, then 1, 5, 10, 25, 50 % over seven hours, and a person agrees to the promotion.
    Careful,
    /// Shadow, then 1, 5, 25, 50 % over an hour.
    #[default]
    Standard,
    /// Shadow, then 10, 50 % over ten minutes.
    Fast,
}

impl Template {
    /// All templates, the most careful first.
    pub const ALL: [Template; 3] = [Template::Careful, Template::Standard, Template::Fast];

    /// The word in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Template::Careful => "careful",
            Template::Standard => "standard",
            Template::Fast => "fast",
        }
    }

    /// The plan it stands for. Each begins in shadow: pairs show a wrong model before a user meets it.
    pub fn plan(self) -> Plan {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let steps = |steps: &[(u16, u64)]| -> Vec<PlannedStep> {
            let step = |&(percent, bake): &(u16, u64)| {
                let (weight, bake) =
                    (Weight::from_basis_points(100 * percent)?, Some(minutes(bake)));
                Some(PlannedStep { weight, shadow: Weight::ZERO, bake, at_most: None })
            };
            let shadow = PlannedStep {
                weight: Weight::ZERO,
                shadow: Weight::from_basis_points(Weight::WHOLE).unwrap_or_default(),
                bake: Some(Duration::ZERO),
                at_most: Some(MAX_SHADOW),
            };
            std::iter::once(shadow).chain(steps.iter().filter_map(step)).collect()
        };
        let standard = Plan {
            steps: steps(&[(1, 10), (5, 10), (25, 20), (50, 20)]),
            warm_up: Duration::from_secs(5),
            min_samples: 100,
            look: Duration::from_secs(1),
            deadline: minutes(24 * 60),
            at_deadline: AtDeadline::RollBack,
            approval: false,
            cool_down: minutes(10),
            triggers: Triggers::default(),
        };
        match self {
            Template::Standard => standard,
            Template::Careful => Plan {
                steps: steps(&[(1, 60), (5, 60), (10, 60), (25, 120), (50, 120)]),
                min_samples: 1000,
                deadline: minutes(72 * 60),
                approval: true,
                cool_down: minutes(60),
                ..standard
            },
            Template::Fast => Plan {
                steps: steps(&[(10, 5), (50, 5)]),
                min_samples: 50,
                deadline: minutes(60),
                cool_down: minutes(1),
                ..standard
            },
        }
    }
}

impl Plan {
    /// Whether any step shadows.
    pub fn has_shadow(&self) -> bool {
        self.steps.iter().any(|step| !step.shadow.is_zero())
    }

    /// How many seconds it takes at least at this many requests a second: the warm-up, and of each step the bake or the
    /// time in which both tracks get their samples. Infinite without requests.
    pub fn least_seconds(&self, requests_per_second: f64) -> f64 {
        let of_step = |step: &PlannedStep| {
            let bake = step.bake.unwrap_or_default().as_secs_f64();
            let fewer = step.weight.share().min(1.0 - step.weight.share());
            let needed = if fewer > 0.0 { self.min_samples as f64 / fewer } else { 0.0 };
            if needed > 0.0 { bake.max(needed / requests_per_second) } else { bake }
        };
        self.warm_up.as_secs_f64() + self.steps.iter().map(of_step).sum::<f64>()
    }

    /// Whether its shadow may end without enough pairs.
    pub fn may_skip_shadow(&self) -> bool {
        self.steps.iter().any(|step| step.at_most.is_some())
    }
}

impl Default for Plan {
    fn default() -> Plan {
        Template::default().plan()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_takes_its_bakes_and_the_time_for_its_samples() {
        let plan = Template::Standard.plan();
        let bakes = 5.0 + 3600.0;
        assert_eq!(plan.least_seconds(1e6), bakes);
        // 100 samples at 1 % are 10,000 requests, at 5 % 2,000.
        assert_eq!(plan.least_seconds(10.0), bakes + 400.0);
        assert_eq!(plan.least_seconds(1.0), bakes + 9400.0 + 1400.0);
        assert_eq!(plan.least_seconds(0.0), f64::INFINITY);
    }
}
