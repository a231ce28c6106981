//! What is judged, as a configuration or a deployment gives it, and what of that cannot be?

use serde::Deserialize;
use serde::Serialize;

use super::metric::Metric;
use super::metric::MetricName;
use super::metric::Role;
use super::metric::Source;
use super::segments::SegmentHarm;
use crate::stats::Harm;
use crate::stats::Margin;
use crate::stats::sequential::Test;
use crate::text::fields::FieldError;

/// A metric as it is given; what is left out has the default of its source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricOverride {
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
    pub tolerated: Option<Margin>,
    /// See [`Metric::accepted`].
    #[serde(default)]
    pub accepted: Option<Margin>,
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

/// The whole policy as it is given.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JudgePolicyOverride {
    /// Changes to built-in metrics, and metrics of recorded values.
    pub metrics: Vec<MetricOverride>,
    /// See [`promote_score`](super::judge_policy::JudgePolicy::promote_score).
    pub promote_score: Option<f64>,
    /// See [`rollback_score`](super::judge_policy::JudgePolicy::rollback_score).
    pub rollback_score: Option<f64>,
    /// See [`Segments::harm`](super::segments::Segments::harm).
    pub segment_harm: Option<SegmentHarm>,
}

/// No metric is a guardrail.
pub(super) fn no_guardrail() -> FieldError {
    let message = "none is a guardrail, so nothing protects users; give one the role guardrail";
    FieldError::new("metrics", message)
}

/// A recorded metric does not say which difference is harm.
pub(super) fn harm_missing(name: &MetricName) -> FieldError {
    let hint = if_only_shown(name.as_str());
    FieldError::new(
        format!("metrics.{name}"),
        format!("harm is missing; set it to higher (a cost), lower (a revenue) or either{hint}"),
    )
}

/// What to use instead of metrics of labels that are shown and not judged.
fn if_only_shown(name: &str) -> &'static str {
    match name {
        "auc" | "calibration" | "calibration_error" => {
            " (labels are judged by log_loss and brier, which get worse with bad ranking and with bad \
             calibration)"
        }
        _ => "",
    }
}

impl MetricOverride {
    /// The default with what is given in its place.
    ///
    /// # Errors
    /// Names the first field that cannot be.
    pub(crate) fn over(&self, default: Metric) -> Result<Metric, FieldError> {
        let metric = Metric {
            name: self.name.clone(),
            source: default.source,
            harm: self.harm.unwrap_or(default.harm),
            role: self.role.unwrap_or(default.role),
            tolerated: self.tolerated.unwrap_or(default.tolerated),
            accepted: self.accepted.unwrap_or(default.accepted),
            weight: self.weight.unwrap_or(default.weight),
            critical: self.critical.unwrap_or(default.critical),
            min_samples: self.min_samples.unwrap_or(default.min_samples),
            test: self.test.unwrap_or(default.test),
        };
        let out = |field: &str, value: String, allowed: &str| {
            Err(FieldError::out_of_range(format!("metrics.{}.{field}", self.name), value, allowed))
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
    fn check_shadow(&self, metric: &Metric) -> Result<(), FieldError> {
        let out = |field: &str, value: String, allowed: &str| {
            Err(FieldError::out_of_range(format!("metrics.{}.{field}", self.name), value, allowed))
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
