//! Rollout plan: the steps, their limits, and the built-in templates.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use crate::canary::traffic::weight::Weight;

/// What a rollout does by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The canary's shares, in order; never empty, and they rise. Only the first may be 0, and then it
    /// shadows.
    pub steps: Vec<PlannedStep>,
    /// What is observed for so long after the deployment enters no judgement: caches fill.
    pub warm_up: Duration,
    /// Samples that each track needs at each step before the next. A track whose share is 0 % or whose
    /// partner's is 100 % needs none.
    pub min_samples: u64,
    /// How often the evidence is looked at.
    pub look: Duration,
    /// How long the whole may take.
    pub deadline: Duration,
    /// What happens then.
    pub at_deadline: AtDeadline,
    /// Whether a person has to agree before the promotion.
    pub approval: bool,
    /// How long after a rollback by serin the next rollout by plan may begin.
    pub cool_down: Duration,
    /// What takes the canary back at once, between two looks.
    pub triggers: Triggers,
}

/// One share and how long it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedStep {
    /// The canary's share.
    pub weight: Weight,
    /// The share of stable's requests that the canary is asked in shadow.
    #[serde(default, skip_serializing_if = "Weight::is_zero")]
    pub shadow: Weight,
    /// How long it lasts at least; `None` until a person resumes the rollout.
    pub bake: Option<Duration>,
}

/// What becomes of a rollout that takes too long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AtDeadline {
    /// It is paused, and a person decides; if none does within as long again, it is rolled back.
    Hold,
    /// It is rolled back.
    #[default]
    RollBack,
}

/// What takes the canary back without waiting for a look. Absolute, so that nothing need be known of
/// stable; harm that is less drastic is for the judge.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Triggers {
    /// So many failures of the canary's in a row; 0 turns it off.
    pub consecutive_failures: u32,
    /// So many failures among the canary's last [`WINDOW`] requests; 0 turns it off.
    pub failures_in_window: u32,
    /// A p99 latency of the canary's above this, from [`FEWEST_FOR_P99`] samples of the step on, checked at
    /// each look; and [`MAX_ABOVE_CEILING`] of its last [`WINDOW`] answers above this, between two looks.
    pub p99_ceiling: Option<Duration>,
}

/// How many of the canary's last requests the trigger looks back on.
pub const WINDOW: u32 = 64;

/// So many of the canary's last [`WINDOW`] answers above the ceiling of its p99 take it back. If exactly 1 % of
/// them are, each on its own, 64 have 8 or more with a chance of 2.7e-7.
pub const MAX_ABOVE_CEILING: u32 = 8;

/// A p99 of fewer samples is their largest.
pub const FEWEST_FOR_P99: u64 = 200;

/// The longest plan: nobody watches more steps, and a typing error shows.
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
    /// 1, 5, 10, 25, 50 % over seven hours, and a person agrees to the promotion.
    Careful,
    /// 1, 5, 25, 50 % over an hour.
    #[default]
    Standard,
    /// 10, 50 % over ten minutes.
    Fast,
}

impl Template {
    /// All of them, in the order of their care.
    pub const ALL: [Template; 3] = [Template::Careful, Template::Standard, Template::Fast];

    /// The word in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Template::Careful => "careful",
            Template::Standard => "standard",
            Template::Fast => "fast",
        }
    }

    /// The plan it stands for.
    pub fn plan(self) -> Plan {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let steps = |steps: &[(u16, u64)]| -> Vec<PlannedStep> {
            let step = |&(percent, bake): &(u16, u64)| {
                let weight = Weight::from_basis_points(100 * percent)?;
                Some(PlannedStep { weight, shadow: Weight::ZERO, bake: Some(minutes(bake)) })
            };
            steps.iter().filter_map(step).collect()
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

impl Default for Plan {
    fn default() -> Plan {
        Template::default().plan()
    }
}
