//! What is judged, as a configuration or a deployment gives it, and what of that cannot be?

use serde::Deserialize;
use thiserror::Error;

use super::metric::MAX_METRICS;
use super::metric::Metric;
use super::metric::MetricName;
use super::metric::Role;
use super::metric::Source;
use super::segments::SegmentHarm;
use crate::stats::Harm;
use crate::stats::Margin;
use crate::stats::sequential::Test;

/// A metric as it is given; what is left out has the default of its source.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenMetric {
    /// `latency`, `failures`, `score`, `log_loss`, `brier`, or the name that values are recorded under.
    pub name: MetricName,
    /// See [`Metric::source`]; only to judge recorded values named like a built-in metric.
    #[serde(default)]
    pub source: Option<Source>,
    /// See [`Metric::harm`]; without a default for recorded values.
    #[serde(default)]
    pub harm: Option<Harm>,
    /// See [`Metric::role`].
    #[serde(default)]
    pub role: Option<Role>,
    /// See [`Metric::tolerated`].
    #[serde(default)]
    pub tolerated: Option<GivenMargin>,
    /// See [`Metric::accepted`].
    #[serde(default)]
    pub accepted: Option<GivenMargin>,
    /// See [`Metric::weight`].
    #[serde(default)]
    pub weight: Option<f64>,
    /// See [`Metric::critical`].
    #[serde(default)]
    pub critical: Option<bool>,
    /// See [`Metric::min_samples`].
    #[serde(default)]
    pub min_samples: Option<u64>,
    /// See [`Metric::test`].
    #[serde(default)]
    pub test: Option<Test>,
}

/// A margin as it is given: what is left out is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GivenMargin {
    /// As a share of stable's value.
    pub relative: f64,
    /// In the unit of the metric: seconds for latency.
    pub absolute: f64,
}

/// The whole policy as it is given.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GivenJudgePolicy {
    /// Changes to built-in metrics, and metrics of recorded values.
    pub metrics: Vec<GivenMetric>,
    /// See [`promote_score`](super::judge_policy::JudgePolicy::promote_score).
    pub promote_score: Option<f64>,
    /// See [`rollback_score`](super::judge_policy::JudgePolicy::rollback_score).
    pub rollback_score: Option<f64>,
    /// See [`Segments::harm`](super::segments::Segments::harm).
    pub segment_harm: Option<SegmentHarm>,
}

/// A policy that cannot be.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum JudgePolicyError {
    /// A number is outside its range.
    #[error("{field} = {value} of metric {metric} is out of range; give {allowed}")]
    OutOfRange {
        /// The metric.
        metric: String,
        /// The field.
        field: &'static str,
        /// What was given.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// A number of the whole is outside its range.
    #[error("{field} = {value} is out of range; give {allowed}")]
    Score {
        /// The field.
        field: &'static str,
        /// What was given.
        value: f64,
        /// What is allowed.
        allowed: &'static str,
    },
    /// A name stands twice.
    #[error("metrics has {0} twice; give each metric one entry")]
    Twice(String),
    /// Nobody knows which difference of recorded values is harm.
    #[error(
        "metric {0} has no harm; say which difference is: higher (a cost), lower (a revenue) or \
         either{hint}", hint = if_only_shown(.0)
    )]
    HarmMissing(String),
    /// There are too many.
    #[error("metrics has {0} entries, the built-in ones included; give at most {MAX_METRICS}")]
    TooMany(usize),
    /// It would wait for pairs forever.
    #[error(
        "metric {0} is judged in shadow, and this rollout shadows nothing; give shadow_percent, or a step \
         with a shadow (or keep requests to ask again: [ring] in serin.toml)"
    )]
    NothingShadowed(String),
    /// Nothing could ever roll back.
    #[error("no metric is a guardrail, so nothing would guard users; give one the role guardrail")]
    NoGuardrail,
}

/// What to name instead of what serin shows of labels and does not judge.
fn if_only_shown(name: &str) -> &'static str {
    match name {
        "auc" | "calibration" | "calibration_error" => {
            " (what serin itself knows of labels is judged as log_loss and brier, which suffer from bad ranking \
             and from bad calibration alike)"
        }
        _ => "",
    }
}

impl GivenMetric {
    /// The default with what is given in its place.
    ///
    /// # Errors
    /// Names the first field that cannot be.
    pub(crate) fn over(&self, default: Metric) -> Result<Metric, JudgePolicyError> {
        let metric = Metric {
            name: self.name.clone(),
            source: default.source,
            harm: self.harm.unwrap_or(default.harm),
            role: self.role.unwrap_or(default.role),
            tolerated: self.tolerated.map_or(default.tolerated, Margin::from),
            accepted: self.accepted.map_or(default.accepted, Margin::from),
            weight: self.weight.unwrap_or(default.weight),
            critical: self.critical.unwrap_or(default.critical),
            min_samples: self.min_samples.unwrap_or(default.min_samples),
            test: self.test.unwrap_or(default.test),
        };
        let out = |field, value: String, allowed| {
            Err(JudgePolicyError::OutOfRange {
                metric: self.name.to_string(),
                field,
                value,
                allowed,
            })
        };
        let Metric { tolerated, accepted, weight, .. } = metric;
        let parts = [
            ("tolerated.relative", tolerated.relative),
            ("tolerated.absolute", tolerated.absolute),
            ("accepted.relative", accepted.relative),
            ("accepted.absolute", accepted.absolute),
        ];
        for (field, value) in parts {
            if !(value >= 0.0 && value.is_finite()) {
                return out(field, value.to_string(), "0 or more");
            }
        }
        if !(weight > 0.0 && weight <= 1e6) {
            return out("weight", weight.to_string(), "more than 0 and at most 1000000");
        }
        if metric.min_samples < 2 {
            return out("min_samples", metric.min_samples.to_string(), "2 or more");
        }
        if metric.critical && metric.role == Role::Advisory {
            return out("critical", "true".to_owned(), "false, or another role than advisory");
        }
        let only_higher = metric.source == Source::Failures || metric.source.is_of_labels();
        if only_higher && metric.harm != Harm::Higher {
            return out("harm", format!("{:?}", metric.harm).to_lowercase(), "higher");
        }
        if metric.source.is_shadow() {
            self.check_shadow(&metric)?;
        }
        if metric.source == Source::Failures {
            if metric.test != Test::Combined {
                return out("test", format!("{:?}", metric.test).to_lowercase(), "combined");
            }
            if tolerated.absolute != 0.0 {
                let allowed = "0; of failures a ratio is tolerated: tolerated.relative = 0.5 is half \
                               as many again";
                return out("tolerated.absolute", tolerated.absolute.to_string(), allowed);
            }
            if accepted.relative != 0.0 || !(accepted.absolute > 0.0 && accepted.absolute < 1.0) {
                let allowed = "accepted = { absolute = 0.01 }: a share of requests, more than 0 and \
                               less than 1";
                let Margin { relative, absolute } = accepted;
                let value = format!("{{ relative = {relative}, absolute = {absolute} }}");
                return out("accepted", value, allowed);
            }
        } else if accepted.absolute == 0.0 && accepted.relative > 0.0 && accepted.relative < 0.02 {
            let allowed = "at least 0.02, or an absolute margin: values are known to within 1 %";
            return out("accepted.relative", accepted.relative.to_string(), allowed);
        } else if accepted == Margin::default() {
            let allowed = "more than 0 in one of its parts: no sample proves two tracks equal";
            return out("accepted", "0".to_owned(), allowed);
        }
        Ok(metric)
    }

    /// Pairs are judged by their differences, which lie between -1 and 1.
    fn check_shadow(&self, metric: &Metric) -> Result<(), JudgePolicyError> {
        let out = |field, value: String, allowed| {
            let metric = self.name.to_string();
            Err(JudgePolicyError::OutOfRange { metric, field, value, allowed })
        };
        let Metric { tolerated, accepted, .. } = metric;
        let (is_score, is_latency) =
            (metric.source == Source::ShadowScore, metric.source == Source::ShadowLatency);
        if !is_score && metric.harm != Harm::Higher {
            return out("harm", format!("{:?}", metric.harm).to_lowercase(), "higher");
        }
        if is_latency {
            return Ok(());
        }
        if metric.test != Test::Combined {
            return out("test", format!("{:?}", metric.test).to_lowercase(), "combined");
        }
        for (field, value) in
            [("tolerated.absolute", tolerated.absolute), ("accepted.absolute", accepted.absolute)]
        {
            if value >= 1.0 {
                return out(field, value.to_string(), "less than 1");
            }
        }
        for (field, value) in
            [("tolerated.relative", tolerated.relative), ("accepted.relative", accepted.relative)]
        {
            if !is_score && value != 0.0 {
                return out(field, value.to_string(), "0; of shares the absolute part counts");
            }
        }
        Ok(())
    }
}

impl From<GivenMargin> for Margin {
    fn from(given: GivenMargin) -> Margin {
        Margin { relative: given.relative, absolute: given.absolute }
    }
}
