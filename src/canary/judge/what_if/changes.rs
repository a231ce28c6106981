//! Changes of a policy, to ask what would have been.

use crate::canary::policy::health::HealthPolicy;
use crate::canary::policy::judge_policy::JudgePolicy;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::metric_overrides::JudgePolicyOverride;
use crate::canary::policy::metric_overrides::MetricOverride;
use crate::canary::policy::source::MarginKind;
use crate::canary::policy::source::Unit;
use crate::stats::Margin;
use crate::text::fields::FieldError;
use crate::text::ranges::other_samples;
use crate::text::ranges::other_share;

/// The metric whose margins change if none is named.
const USUAL: &str = "latency";

/// Changes of the policy of a rollout.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// The metric of the margins; latency if it is left out.
    pub metric: Option<String>,
    /// The tolerated difference as a share: of stable's mean, for failures of stable's rate, for scores of 1.
    pub tolerated: Option<f64>,
    /// The accepted difference as a share: of stable's mean, for failures of all requests, for scores of 1.
    pub accepted: Option<f64>,
    /// The probability of a false rollback.
    pub alpha: Option<f64>,
    /// Samples that each metric needs.
    pub min_samples: Option<u64>,
    /// Further changes, which are made first.
    pub policy: Option<JudgePolicyOverride>,
}

impl Changes {
    /// Whether anything is changed.
    pub fn are_given(&self) -> bool {
        *self != Changes::default()
    }

    /// The policy with these changes.
    ///
    /// # Errors
    /// Names the field that is wrong.
    pub fn over(
        &self,
        judge: &JudgePolicy,
        health: &HealthPolicy,
    ) -> Result<JudgePolicy, FieldError> {
        let mut health = *health;
        let mut judge = judge.clone();
        if let Some(alpha) = self.alpha {
            if let Some(allowed) = other_share(alpha) {
                return Err(FieldError::out_of_range("alpha", alpha, allowed));
            }
            health.alpha = alpha;
            judge.alpha = alpha;
        }
        if let Some(samples) = self.min_samples
            && let Some(allowed) = other_samples(samples)
        {
            return Err(FieldError::out_of_range("min_samples", samples, allowed));
        }
        if let Some(given) = &self.policy {
            judge = judge.changed(&health, given)?;
        }
        let chosen = self.chosen(&judge)?.map(|metric| metric.name.clone());
        let metrics = judge.metrics.iter().map(|metric| {
            let changes = MetricOverride { min_samples: self.min_samples, ..as_it_is(metric) };
            match &chosen {
                Some(chosen) if *chosen == metric.name => self.margins(metric, changes),
                Some(_) | None => changes,
            }
        });
        let metrics = metrics.collect();
        judge.changed(&health, &JudgePolicyOverride { metrics, ..Default::default() })
    }

    /// The metric of the margins.
    fn chosen<'p>(&self, judge: &'p JudgePolicy) -> Result<Option<&'p Metric>, FieldError> {
        if self.tolerated.is_none() && self.accepted.is_none() {
            if self.metric.is_some() {
                return Err(FieldError::new(
                    "metric",
                    "it needs a margin; give tolerated or accepted with it",
                ));
            }
            return Ok(None);
        }
        let chosen = self.metric.as_deref().unwrap_or(USUAL);
        let mut metrics = judge.metrics.iter();
        let found = metrics.clone().find(|metric| metric.name.as_str() == chosen);
        found.map(Some).ok_or_else(|| {
            let names: Vec<&str> = metrics.by_ref().map(|metric| metric.name.as_str()).collect();
            FieldError::new(
                "metric",
                format!("{chosen:?} was not judged; use {}", names.join(", ")),
            )
        })
    }

    fn margins(&self, metric: &Metric, changes: MetricOverride) -> MetricOverride {
        let margin = |share: Option<f64>, before: Margin, is_absolute| {
            share.map(|share| match is_absolute {
                true => Margin { relative: 0.0, absolute: share },
                // The fixed part stays: the slowdown that users cannot notice.
                false => Margin { relative: share, absolute: before.absolute },
            })
        };
        let properties = metric.source.properties();
        let of_accepted = matches!(properties.unit, Unit::Share | Unit::Probability);
        let of_tolerated = of_accepted && properties.margin != MarginKind::OfFailureRate;
        MetricOverride {
            tolerated: margin(self.tolerated, metric.tolerated, of_tolerated),
            accepted: margin(self.accepted, metric.accepted, of_accepted),
            ..changes
        }
    }
}

/// A metric without changes.
fn as_it_is(metric: &Metric) -> MetricOverride {
    MetricOverride {
        name: metric.name.clone(),
        source: None,
        harm: None,
        role: None,
        tolerated: None,
        accepted: None,
        weight: None,
        critical: None,
        min_samples: None,
        test: None,
        harmful: None,
        required: Some(metric.required),
        above_seconds: None,
        query: None,
        interval: None,
        tracks: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canary::policy::judge_policy::PairSource;

    #[test]
    fn without_changes_the_policy_stays_as_it_was() {
        let health = HealthPolicy::default();
        let shadow = PairSource::InShadow { is_required: false };
        let shadowing = JudgePolicy::default().of_rollout(&health, &Default::default(), shadow);
        for judge in [JudgePolicy::default(), shadowing.unwrap()] {
            assert_eq!(Changes::default().over(&judge, &health).unwrap(), judge);
        }
    }
}
