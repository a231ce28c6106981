//! A metric of the sequential judge: a source with a direction of harm, margins, a role and a weight.
//! [`query`]: what Prometheus is asked for it.

pub mod query;

use std::fmt;

use serde::Deserialize;
use serde::Serialize;
use thiserror::Error;
use utoipa::ToSchema;

use super::health::HealthPolicy;
use crate::stats::Harm;
use crate::stats::Margin;
use crate::stats::sequential::EvidenceUnit;
use crate::stats::sequential::Test;
use crate::text::fields::FieldError;
use crate::text::lists::MAX_NAME_BYTES;
use crate::text::lists::is_name;
use query::Query;

pub use super::source::Role;
pub use super::source::Source;

/// One metric of a policy. Every field is in its range.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// Its name.
    pub name: MetricName,
    /// Where its values come from.
    pub source: Source,
    /// Which difference is harm.
    pub harm: Harm,
    /// What harm leads to.
    pub role: Role,
    /// A difference up to this is not harm. For failures a ratio of the rates: only the relative part.
    pub tolerated: Margin,
    /// A difference beyond this is harm, and one beyond `tolerated` holds a rollout by plan. `None`: a difference
    /// beyond `tolerated` is harm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub harmful: Option<Margin>,
    /// A difference shown to be within this counts as none. For failures a difference of the rates: only the
    /// absolute part.
    pub accepted: Margin,
    /// Its share of alpha and of the score, relative to the weights of the other metrics.
    pub weight: f64,
    /// Whether its failure sets the score to 0.
    pub critical: bool,
    /// The samples that each track needs before the metric can pass. Harm needs no minimum.
    pub min_samples: u64,
    /// Which functions of the values are compared.
    pub test: Test,
    /// Whether a promotion waits until the metric has passed. Otherwise it counts only once it has failed.
    pub required: bool,
    /// What counts as one draw. Set at the deployment, from the unit of the policy and the models.
    #[serde(default, skip_serializing_if = "EvidenceUnit::is_request")]
    pub unit: EvidenceUnit,
    /// The time that `latency_above` counts the slower requests of, in seconds; `None` for other sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above_seconds: Option<f64>,
    /// What Prometheus is asked; `None` for other sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<Query>,
}

/// The name of a metric: 1 to 64 letters, digits, `_`, `.` or `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(pattern = "^[A-Za-z0-9_.-]{1,64}$")]
pub struct MetricName(String);

/// The most metrics of a policy: each costs microseconds per second and about 100 kB.
pub const MAX_METRICS: usize = 20;

/// A text that is not a metric name.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "metric: {0:?} is not a metric name; use 1 to {MAX_NAME_BYTES} letters (a-z, A-Z), digits, _, . or -, \
     for example revenue"
)]
pub struct MetricNameError(String);

impl MetricName {
    /// A valid name.
    ///
    /// # Errors
    /// When it is empty, too long, or has other characters.
    pub fn new(name: &str) -> Result<MetricName, MetricNameError> {
        if is_name(name) {
            Ok(MetricName(name.to_owned()))
        } else {
            Err(MetricNameError(name.to_owned()))
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for MetricName {
    type Error = MetricNameError;

    fn try_from(name: String) -> Result<MetricName, MetricNameError> {
        MetricName::new(&name)
    }
}

impl fmt::Display for MetricName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Metric {
    /// A metric of this source as it is unless a policy changes it.
    pub(crate) fn new(source: Source, harm: Harm, health: &HealthPolicy) -> Metric {
        let properties = source.properties();
        let [tolerated, accepted] = (properties.margins)(health);
        Metric {
            name: MetricName(properties.name.to_owned()),
            source,
            harm,
            role: properties.role,
            tolerated,
            accepted,
            weight: 1.0,
            critical: false,
            min_samples: health.min_samples,
            test: properties.test,
            harmful: properties.harmful,
            required: true,
            unit: EvidenceUnit::Request,
            above_seconds: None,
            query: None,
        }
    }

    /// A difference beyond this is harm.
    pub fn harm_margin(&self) -> Margin {
        self.harmful.unwrap_or(self.tolerated)
    }

    /// Refuses margins without an effect where values differ by less than 1.
    ///
    /// # Errors
    /// Names the first margin of 1 or more, and what is allowed instead.
    pub(super) fn check_margins(&self, allowed: &str) -> Result<(), FieldError> {
        let parts = [
            ("tolerated", self.tolerated.absolute),
            ("accepted", self.accepted.absolute),
            ("harmful", self.harm_margin().absolute),
        ];
        match parts.into_iter().find(|(_, absolute)| *absolute >= 1.0) {
            Some((margin, absolute)) => Err(FieldError::out_of_range(
                format!("metrics.{}.{margin}.absolute", self.name),
                absolute.to_string(),
                allowed,
            )),
            None => Ok(()),
        }
    }

    /// The further samples that a promotion waits for while the metric is not proven, if it has this many effective ones;
    /// `None` if it waits for none.
    pub fn awaits(&self, effective_samples: f64) -> Option<u64> {
        let needed = self.source.properties().decidable_after? as f64;
        (self.role == Role::Signal && effective_samples < needed)
            .then(|| (needed - effective_samples).ceil() as u64)
    }

    /// What the settings call this margin.
    pub fn harm_margin_name(&self) -> &'static str {
        if self.harmful.is_some() { "harmful" } else { "tolerated" }
    }

    /// Whether a difference beyond what is tolerated, and short of harm, holds a rollout by plan.
    pub fn holds(&self) -> bool {
        self.harmful.is_some() && self.role == Role::Guardrail
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        let longest = "x".repeat(MAX_NAME_BYTES);
        for good in ["score", "p99.latency_ms", "A-1", &longest] {
            assert_eq!(MetricName::new(good).unwrap().as_str(), good);
        }
        let too_long = "x".repeat(MAX_NAME_BYTES + 1);
        for bad in ["", "a b", "späße", "a/b", "a\n", "\"", &too_long] {
            let error = MetricName::new(bad).unwrap_err().to_string();
            assert!(error.contains("metric: ") && error.contains("1 to 64"), "{error}");
        }
    }
}
