//! When is a rollout judged by its shadow, and what must that have shown before users meet the canary?

use super::health::HealthPolicy;
use super::judge_policy::JudgePolicy;
use super::judge_policy::in_shadow;
use super::metric::Metric;
use super::metric::Role;
use super::metric_overrides::JudgePolicyOverride;
use super::metric_overrides::no_guardrail;
use crate::text::fields::FieldError;

/// Whence pairs come, if any do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairSource {
    /// The rollout shadows.
    InShadow,
    /// It does not, but requests are kept that can be asked again: only a metric that the deployment names
    /// is judged by them.
    WhenAskedAgain,
    /// None can come.
    Never,
}

impl JudgePolicy {
    /// The policy of one rollout: a rollout that shadows is judged by its pairs, too, and one that does
    /// not is not, whatever the configuration names, because it would wait for them forever.
    ///
    /// # Errors
    /// When the deployment itself names a metric that nothing comes in for, or no guardrail is left.
    pub fn of_rollout(
        mut self,
        health: &HealthPolicy,
        given: &JudgePolicyOverride,
        comes: PairSource,
    ) -> Result<JudgePolicy, FieldError> {
        let is_given = |metric: &&Metric| given.metrics.iter().any(|it| it.name == metric.name);
        let mut in_pairs = self.metrics.iter().filter(|metric| metric.source.is_shadow());
        let named = in_pairs.find(is_given).map(|metric| metric.name.to_string());
        match (comes, named) {
            (PairSource::InShadow, _) => {
                let is_new = |metric: &Metric| {
                    let is_there =
                        |other: &Metric| other.name == metric.name || other.source == metric.source;
                    !self.metrics.iter().any(is_there)
                };
                let added: Vec<Metric> = in_shadow(health).into_iter().filter(is_new).collect();
                self.metrics.extend(added);
                return Ok(self);
            }
            (PairSource::WhenAskedAgain, Some(_)) => return Ok(self),
            (PairSource::Never, Some(named)) => {
                return Err(FieldError::new(
                    format!("metrics.{named}"),
                    "judged in shadow, but this rollout does not shadow; set shadow_percent, or give a step a \
                     shadow (or keep recent requests: [ring] in serin.toml)",
                ));
            }
            (PairSource::WhenAskedAgain | PairSource::Never, None) => {}
        }
        self.metrics.retain(|metric| !metric.source.is_shadow());
        if !self.metrics.iter().any(|metric| metric.role == Role::Guardrail) {
            return Err(no_guardrail());
        }
        Ok(self)
    }
}

#[cfg(test)]
#[path = "shadow_metrics_tests.rs"]
mod tests;
