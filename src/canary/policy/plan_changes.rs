//! Changes to a rollout plan: from a template, a settings file or a deployment.

use std::time::Duration;

use super::plan::MAX_STEPS;
use super::plan::Plan;
use super::plan::PlannedStep;
use super::plan::Template;
use crate::canary::traffic::weight::Weight;
use crate::text::durations::words;
use crate::text::fields::Changes;
use crate::text::fields::FieldError;
use crate::text::fields::overlay;
use crate::text::fields::read;

impl Plan {
    /// The plan with these changes. With `template` they apply to that template instead.
    ///
    /// # Errors
    /// Names the first field that does not fit.
    pub fn changed(&self, changes: &Changes) -> Result<Plan, FieldError> {
        let mut changes = changes.clone();
        let template: Option<Template> = match changes.remove("template") {
            Some(name) => Some(read(name).map_err(|error| error.within("template"))?),
            None => None,
        };
        let default = template.map_or_else(|| self.clone(), Template::plan);
        let plan = overlay(&default, &changes)?;
        plan.check_steps()?;
        let baking: Duration = plan.steps.iter().filter_map(|step| step.bake).sum();
        if plan.deadline <= baking {
            let allowed = format!("more than the steps take, {}", words(baking));
            return Err(FieldError::out_of_range("deadline", words(plan.deadline), allowed));
        }
        Ok(plan)
    }

    fn check_steps(&self) -> Result<(), FieldError> {
        let wrong = |field: String, message: &str| Err(FieldError::new(field, message));
        let count = self.steps.len();
        if !(1..=MAX_STEPS).contains(&count) {
            return wrong("steps".to_owned(), &format!("{count} entries; use 1 to {MAX_STEPS}"));
        }
        let mut before = None;
        for (step, PlannedStep { weight, shadow, at_most, .. }) in self.steps.iter().enumerate() {
            let field = format!("steps[{step}]");
            if before.is_some_and(|before| weight <= before) {
                let message = format!(
                    "{weight} does not rise; give each step a larger share than the one before (only the \
                     first may be 0, to shadow)"
                );
                return wrong(format!("{field}.weight"), &message);
            }
            if weight.is_zero() && shadow.is_zero() {
                let message = "the canary gets neither users nor a shadow; use a weight, or a shadow, of \
                               more than 0";
                return wrong(field, message);
            }
            if weight.basis_points() == Weight::WHOLE && !shadow.is_zero() {
                let message =
                    "nothing to shadow at a weight of 100 %, where stable answers nothing; use 0";
                return wrong(format!("{field}.shadow"), message);
            }
            if !weight.is_zero() && at_most.is_some() {
                let message = "only a step in shadow can end without its data; remove it, or use a weight of 0";
                return wrong(format!("{field}.at_most"), message);
            }
            before = Some(weight);
        }
        match self.steps.iter().find(|step| !step.weight.is_zero()) {
            None => wrong(
                "steps".to_owned(),
                "no step sends users to the canary; add one with a weight of more than 0 after the shadow",
            ),
            Some(step) if step.weight.is_certain() => wrong(
                "steps".to_owned(),
                "100 % at once leaves no stable to compare with; begin with a smaller share",
            ),
            Some(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(text: &str) -> Result<Plan, String> {
        let changes: Changes = toml::from_str(text).unwrap();
        Plan::default().changed(&changes).map_err(|cause| cause.to_string())
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
            ("steps = []", "steps: 0 entries; use 1 to 50"),
            ("steps = [{ weight = 101 }]", "steps[0].weight"),
            ("steps = [{ weight = 0, bake = \"1m\" }]", "steps: no step sends users"),
            (
                "steps = [{ weight = 0, shadow = 0 }, { weight = 5 }]",
                "steps[0]: the canary gets neither",
            ),
            ("steps = [{ weight = 5 }, { weight = 0 }]", "steps[1].weight: 0 % does not rise"),
            ("steps = [{ weight = 0, shadow = 101 }, { weight = 5 }]", "steps[0].shadow"),
            ("steps = [{ weight = 0 }, { weight = 100 }]", "no stable to compare with"),
            ("steps = [{ weight = 5 }, { weight = 100, shadow = 1 }]", "stable answers nothing"),
            (
                "steps = [{ weight = 5, at_most = \"2m\" }]",
                "steps[0].at_most: only a step in shadow",
            ),
            ("steps = [{ weight = 10 }, { weight = 5 }]", "steps[1].weight: 5 % does not rise"),
            ("steps = [{ weight = 100 }]", "no stable to compare with"),
            ("steps = [{ weight = 10, bake = \"soon\" }]", "bake: \"soon\" is not a duration"),
            ("steps = [{ wieght = 10 }]", "wieght"),
            ("template = \"bold\"", "careful"),
            ("deadline = \"1m\"", "deadline: 1m is out of range; use more than the steps take, 1h"),
            ("look = \"1ms\"", "look: \"1ms\" is out of range; use 100ms to 1h"),
            ("min_samples = 0", "min_samples: 0 is out of range; use 2 or more"),
            ("at_deadline = \"promote\"", "hold"),
            (
                "triggers = { failures_in_window = 65 }",
                "triggers.failures_in_window: 65 is out of range; use 0 to 64",
            ),
            ("triggers = { p99_ceiling = \"0s\" }", "p99_ceiling"),
        ] {
            let error = over(text).unwrap_err();
            assert!(error.contains(named), "{text}: {error}");
        }
    }
}
