//! What a rollout does by itself, as a configuration or a deployment gives it, and what of that cannot be?

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;
use thiserror::Error;

use super::plan::AtDeadline;
use super::plan::MAX_STEPS;
use super::plan::Plan;
use super::plan::PlannedStep;
use super::plan::Template;
use super::plan::WINDOW;
use crate::canary::traffic::weight::Weight;
use crate::canary::traffic::weight::WeightError;
use crate::text::durations::DurationError;
use crate::text::durations::exactly;
use crate::text::durations::parsed_duration;
use crate::text::durations::words;

/// A plan as it is given; what is left out is as in the template, or as before.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default, expecting = "a plan like {\"template\": \"standard\"}")]
pub struct GivenPlan {
    /// The plan to begin with.
    pub template: Option<Template>,
    /// See [`Plan::steps`].
    pub steps: Option<Vec<GivenStep>>,
    /// See [`Plan::warm_up`].
    pub warm_up: Option<String>,
    /// See [`Plan::min_samples`].
    pub min_samples: Option<u64>,
    /// See [`Plan::look`].
    pub look: Option<String>,
    /// See [`Plan::deadline`].
    pub deadline: Option<String>,
    /// See [`Plan::at_deadline`].
    pub at_deadline: Option<AtDeadline>,
    /// See [`Plan::approval`].
    pub approval: Option<bool>,
    /// See [`Plan::cool_down`].
    pub cool_down: Option<String>,
    /// See [`Triggers`](super::plan::Triggers).
    pub triggers: GivenTriggers,
}

/// A step as it is given.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, expecting = "a step like {\"weight\": 5, \"bake\": \"10m\"}")]
pub struct GivenStep {
    /// The canary's share, in percent.
    pub weight: f64,
    /// The share of stable's requests that the canary is asked in shadow, in percent; left out, all of
    /// them while the weight is 0, and none later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<f64>,
    /// How long it lasts at least; left out, until a person resumes the rollout.
    #[serde(default)]
    pub bake: Option<String>,
}

/// Triggers as they are given.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct GivenTriggers {
    /// See [`Triggers::consecutive_failures`](super::plan::Triggers::consecutive_failures).
    pub consecutive_failures: Option<u32>,
    /// See [`Triggers::failures_in_window`](super::plan::Triggers::failures_in_window).
    pub failures_in_window: Option<u32>,
    /// See [`Triggers::p99_ceiling`](super::plan::Triggers::p99_ceiling).
    pub p99_ceiling: Option<String>,
}

/// A plan that cannot be.
#[derive(Debug, Error, PartialEq)]
pub enum PlanError {
    /// A duration is none.
    #[error(transparent)]
    Duration(#[from] DurationError),
    /// A share is none.
    #[error("steps[{step}].weight: {cause}")]
    Weight {
        /// Which step, counted from 0.
        step: usize,
        /// Why.
        cause: WeightError,
    },
    /// A share of a shadow is none.
    #[error("steps[{step}].shadow: {cause}")]
    Shadow {
        /// Which step, counted from 0.
        step: usize,
        /// Why.
        cause: WeightError,
    },
    /// The canary would be asked nothing.
    #[error(
        "steps[{step}] gives the canary neither users nor a shadow; give it a weight, or a shadow of more \
         than 0"
    )]
    Nothing {
        /// Which step, counted from 0.
        step: usize,
    },
    /// Stable answers nothing that the canary could be asked, too.
    #[error("steps[{step}].shadow = {shadow} at 100 %, where stable answers nothing; give 0")]
    NothingToShadow {
        /// Which step, counted from 0.
        step: usize,
        /// What was given.
        shadow: Weight,
    },
    /// A shadow proves nothing of users.
    #[error(
        "steps has no share of users; add a step with a weight of more than 0 after the shadow"
    )]
    OnlyShadow,
    /// The number of steps is out of range.
    #[error("steps has {0} entries; give 1 to {MAX_STEPS}")]
    Count(usize),
    /// A step takes traffic from the canary, or gives it no more.
    #[error(
        "steps[{step}].weight = {weight} does not rise; give each step a larger share than the one before \
         (only the first may be 0, to shadow)"
    )]
    NotRising {
        /// Which step, counted from 0.
        step: usize,
        /// Its share.
        weight: Weight,
    },
    /// Nothing can be compared.
    #[error(
        "steps begins with 100 %, which leaves no stable to compare with; begin with a smaller share"
    )]
    NothingToCompare,
    /// A number or duration is outside its range.
    #[error("{field} = {value} is out of range; give {allowed}")]
    OutOfRange {
        /// The field.
        field: &'static str,
        /// What was given.
        value: String,
        /// What is allowed.
        allowed: String,
    },
}

impl GivenPlan {
    /// Whether anything is given.
    pub fn is_given(&self) -> bool {
        *self != GivenPlan::default()
    }

    /// The template, or else this plan, with what is given in its place.
    ///
    /// # Errors
    /// Names the first field that cannot be.
    pub fn over(&self, before: &Plan) -> Result<Plan, PlanError> {
        let mut plan = self.template.map_or_else(|| before.clone(), Template::plan);
        if let Some(steps) = &self.steps {
            plan.steps = planned(steps)?;
        }
        let replace = |place: &mut Duration, field, given: &Option<String>| {
            given.as_ref().map_or(Ok(()), |text| {
                *place = parsed_duration(field, text)?;
                Ok::<(), PlanError>(())
            })
        };
        replace(&mut plan.warm_up, "warm_up", &self.warm_up)?;
        replace(&mut plan.look, "look", &self.look)?;
        replace(&mut plan.deadline, "deadline", &self.deadline)?;
        replace(&mut plan.cool_down, "cool_down", &self.cool_down)?;
        plan.min_samples = self.min_samples.unwrap_or(plan.min_samples);
        plan.at_deadline = self.at_deadline.unwrap_or(plan.at_deadline);
        plan.approval = self.approval.unwrap_or(plan.approval);
        let (given, triggers) = (&self.triggers, &mut plan.triggers);
        triggers.consecutive_failures =
            given.consecutive_failures.unwrap_or(triggers.consecutive_failures);
        triggers.failures_in_window =
            given.failures_in_window.unwrap_or(triggers.failures_in_window);
        if let Some(text) = &given.p99_ceiling {
            triggers.p99_ceiling = Some(parsed_duration("triggers.p99_ceiling", text)?);
        }
        checked(plan)
    }
}

impl From<&Plan> for GivenPlan {
    /// A plan as it would be given, with nothing left out.
    fn from(plan: &Plan) -> GivenPlan {
        let step = |step: &PlannedStep| GivenStep {
            weight: step.weight.percent(),
            bake: step.bake.map(exactly),
            shadow: Some(step.shadow.percent()),
        };
        let triggers = &plan.triggers;
        GivenPlan {
            template: None,
            steps: Some(plan.steps.iter().map(step).collect()),
            warm_up: Some(exactly(plan.warm_up)),
            min_samples: Some(plan.min_samples),
            look: Some(exactly(plan.look)),
            deadline: Some(exactly(plan.deadline)),
            at_deadline: Some(plan.at_deadline),
            approval: Some(plan.approval),
            cool_down: Some(exactly(plan.cool_down)),
            triggers: GivenTriggers {
                consecutive_failures: Some(triggers.consecutive_failures),
                failures_in_window: Some(triggers.failures_in_window),
                p99_ceiling: triggers.p99_ceiling.map(exactly),
            },
        }
    }
}

fn planned(steps: &[GivenStep]) -> Result<Vec<PlannedStep>, PlanError> {
    let step = |(step, given): (usize, &GivenStep)| {
        let weight = Weight::from_percent(given.weight)
            .map_err(|cause| PlanError::Weight { step, cause })?;
        let shadow = given.shadow.unwrap_or(if weight.is_zero() { 100.0 } else { 0.0 });
        let shadow =
            Weight::from_percent(shadow).map_err(|cause| PlanError::Shadow { step, cause })?;
        let bake = given.bake.as_deref().map(|text| parsed_duration("bake", text)).transpose()?;
        Ok(PlannedStep { weight, shadow, bake })
    };
    steps.iter().enumerate().map(step).collect()
}

fn checked(plan: Plan) -> Result<Plan, PlanError> {
    if plan.steps.is_empty() || plan.steps.len() > MAX_STEPS {
        return Err(PlanError::Count(plan.steps.len()));
    }
    let mut before = None;
    for (step, PlannedStep { weight, shadow, .. }) in plan.steps.iter().enumerate() {
        let (weight, shadow) = (*weight, *shadow);
        if before.is_some_and(|before| weight <= before) {
            return Err(PlanError::NotRising { step, weight });
        }
        if weight.is_zero() && shadow.is_zero() {
            return Err(PlanError::Nothing { step });
        }
        if weight.basis_points() == Weight::WHOLE && !shadow.is_zero() {
            return Err(PlanError::NothingToShadow { step, shadow });
        }
        before = Some(weight);
    }
    match plan.steps.iter().find(|step| !step.weight.is_zero()) {
        None => return Err(PlanError::OnlyShadow),
        Some(step) if step.weight.is_certain() => return Err(PlanError::NothingToCompare),
        Some(_) => {}
    }
    let range = |field, value: Duration, least: Duration, most: Duration| {
        if (least..=most).contains(&value) {
            return Ok(());
        }
        let [value, least, most] = [value, least, most].map(words);
        Err(PlanError::OutOfRange { field, value, allowed: format!("{least} to {most}") })
    };
    let (second, day) = (Duration::from_secs(1), Duration::from_secs(24 * 3600));
    range("look", plan.look, second / 10, 3600 * second)?;
    range("deadline", plan.deadline, second, 30 * day)?;
    range("warm_up", plan.warm_up, Duration::ZERO, 3600 * second)?;
    if let Some(ceiling) = plan.triggers.p99_ceiling {
        range("triggers.p99_ceiling", ceiling, second / 1_000_000, 3600 * second)?;
    }
    let least: Duration = plan.steps.iter().filter_map(|step| step.bake).sum();
    if plan.deadline <= least {
        return Err(PlanError::OutOfRange {
            field: "deadline",
            value: words(plan.deadline),
            allowed: format!("more than the steps bake, {}", words(least)),
        });
    }
    let out = |field, value: String, allowed: String| {
        Err(PlanError::OutOfRange { field, value, allowed })
    };
    if plan.min_samples < 2 {
        return out("min_samples", plan.min_samples.to_string(), "2 or more".to_owned());
    }
    if plan.triggers.failures_in_window > WINDOW {
        let given = plan.triggers.failures_in_window.to_string();
        return out("triggers.failures_in_window", given, format!("0 (off) to {WINDOW}"));
    }
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(text: &str) -> Result<Plan, String> {
        let given: GivenPlan = toml::from_str(text).map_err(|cause| cause.to_string())?;
        given.over(&Plan::default()).map_err(|cause| cause.to_string())
    }

    #[test]
    fn what_is_given_replaces_the_template_and_the_rest_stays() {
        let plan = over("template = \"fast\"\nsteps = [{ weight = 2.5, bake = \"90s\" }, { weight = 50 }]\napproval = true").unwrap();
        let steps: Vec<(f64, Option<u64>)> = plan
            .steps
            .iter()
            .map(|step| (step.weight.percent(), step.bake.map(|bake| bake.as_secs())))
            .collect();
        assert_eq!(steps, [(2.5, Some(90)), (50.0, None)]);
        assert!(plan.approval);
        assert_eq!(plan.deadline, Template::Fast.plan().deadline);
        assert_eq!(over("").unwrap(), Plan::default());
    }

    #[test]
    fn a_step_without_users_shadows_all_unless_it_says_otherwise() {
        let shares = |text: &str| -> Vec<(f64, f64)> {
            let steps = over(text).unwrap().steps;
            steps.iter().map(|step| (step.weight.percent(), step.shadow.percent())).collect()
        };
        let all = "steps = [{ weight = 0, bake = \"5m\" }, { weight = 5 }]";
        assert_eq!(shares(all), [(0.0, 100.0), (5.0, 0.0)]);
        let half = "steps = [{ weight = 0, shadow = 50 }, { weight = 5, shadow = 10 }]";
        assert_eq!(shares(half), [(0.0, 50.0), (5.0, 10.0)]);
    }

    #[test]
    fn every_template_is_a_plan_that_can_be_given() {
        for template in Template::ALL {
            let text = format!("template = {:?}", template.name());
            assert_eq!(over(&text).unwrap(), template.plan());
        }
    }

    #[test]
    fn what_cannot_be_is_named() {
        for (text, named) in [
            ("steps = []", "steps has 0 entries; give 1 to 50"),
            ("steps = [{ weight = 101 }]", "steps[0].weight"),
            ("steps = [{ weight = 0, bake = \"1m\" }]", "steps has no share of users"),
            ("steps = [{ weight = 0, shadow = 0 }, { weight = 5 }]", "steps[0] gives the canary"),
            ("steps = [{ weight = 5 }, { weight = 0 }]", "steps[1].weight = 0 % does not rise"),
            ("steps = [{ weight = 0, shadow = 101 }, { weight = 5 }]", "steps[0].shadow"),
            ("steps = [{ weight = 0 }, { weight = 100 }]", "no stable to compare with"),
            ("steps = [{ weight = 5 }, { weight = 100, shadow = 1 }]", "stable answers nothing"),
            ("steps = [{ weight = 10 }, { weight = 5 }]", "steps[1].weight = 5 % does not rise"),
            ("steps = [{ weight = 100 }]", "no stable to compare with"),
            ("steps = [{ weight = 10, bake = \"soon\" }]", "bake: \"soon\" is not a duration"),
            ("steps = [{ wieght = 10 }]", "wieght"),
            ("template = \"bold\"", "careful"),
            (
                "deadline = \"1m\"",
                "deadline = 1m is out of range; give more than the steps bake, 1h",
            ),
            ("look = \"1ms\"", "look = 1ms is out of range"),
            ("min_samples = 0", "min_samples = 0 is out of range; give 2 or more"),
            ("at_deadline = \"promote\"", "hold"),
            ("triggers = { failures_in_window = 65 }", "0 (off) to 64"),
            ("triggers = { p99_ceiling = \"0s\" }", "p99_ceiling"),
        ] {
            let error = over(text).unwrap_err();
            assert!(error.contains(named), "{text}: {error}");
        }
    }
}
