//! Changes to the judge policy, as a configuration or a deployment gives them.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::metric::Metric;
use super::metric::MetricName;
use super::metric::query::Query;
use super::metric::query::TrackNames;
use super::segments::SegmentHarm;
use super::source::Direction;
use super::source::MarginKind;
use super::source::MonitorKind;
use super::source::Role;
use super::source::Source;
use crate::stats::Harm;
use crate::stats::Margin;
use crate::stats::sequential::EvidenceUnit;
use crate::stats::sequential::Test;
use crate::text::fields::FieldError;
use crate::text::ranges::HOUR;
use crate::text::ranges::OptionalDurationWithin;
use crate::text::ranges::SECOND;

/// Changes to one metric; what is left out keeps the default of its source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MetricOverride {
    /// `latency`, `latency_p99`, `failures`, `score`, `log_loss`, `brier`, .., or the name that values are recorded
    /// under.
    pub name: MetricName,
    /// See [`Metric::source`]; to judge recorded values named like a built-in metric, or a built-in source under
    /// another name.
    pub source: Option<Source>,
    /// See [`Metric::harm`]; without a default for recorded values.
    pub harm: Option<Harm>,
    /// See [`Metric::role`].
    pub role: Option<Role>,
    /// See [`Metric::tolerated`].
    pub tolerated: Option<Margin>,
    /// See [`Metric::harmful`]; only for metrics that compare scores.
    pub harmful: Option<Margin>,
    /// See [`Metric::accepted`].
    pub accepted: Option<Margin>,
    /// See [`Metric::weight`].
    pub weight: Option<f64>,
    /// See [`Metric::critical`].
    pub critical: Option<bool>,
    /// See [`Metric::min_samples`].
    pub min_samples: Option<u64>,
    /// See [`Metric::test`].
    pub test: Option<Test>,
    /// See [`Metric::required`]; a metric that is named is required unless it says otherwise.
    pub required: Option<bool>,
    /// See [`Metric::above_seconds`].
    pub above_seconds: Option<f64>,
    /// See [`Query::query`]; only for metrics with `source = "prometheus"`, as are the next two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// See [`Query::interval`].
    #[serde(
        default,
        with = "OptionalDurationWithin::<SECOND, HOUR>",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>, examples("90s"))]
    pub interval: Option<Duration>,
    /// See [`Query::tracks`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracks: Option<TrackNames>,
}

/// Changes to the policy.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, ToSchema)]
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
    /// See [`expect_shift`](super::judge_policy::JudgePolicy::expect_shift).
    pub expect_shift: Option<bool>,
    /// See [`unit`](super::judge_policy::JudgePolicy::unit).
    pub unit: Option<EvidenceUnit>,
    /// See [`judge_inputs`](super::judge_policy::JudgePolicy::judge_inputs).
    pub judge_inputs: Option<bool>,
    /// Whether another service answers the requests: then only metrics whose values are recorded or queried are judged,
    /// and those that the policy names.
    pub served_elsewhere: Option<bool>,
}

impl JudgePolicyOverride {
    /// Whether it gives this metric a role.
    pub(super) fn has_role(&self, metric: &Metric) -> bool {
        self.metrics.iter().any(|one| one.name == metric.name && one.role.is_some())
    }
}

impl MetricOverride {
    /// The metric with these changes.
    ///
    /// # Errors
    /// Names the first field that is out of range.
    pub(crate) fn over(&self, default: Metric) -> Result<Metric, FieldError> {
        let tolerated = self.tolerated.unwrap_or(default.tolerated);
        // Wider tolerance moves the harm with it.
        let widened = |harmful: Margin| Margin {
            relative: harmful.relative.max(tolerated.relative),
            absolute: harmful.absolute.max(tolerated.absolute),
        };
        let metric = Metric {
            name: self.name.clone(),
            source: default.source,
            harm: self.harm.unwrap_or(default.harm),
            role: self.role.unwrap_or(default.role),
            tolerated,
            harmful: self.harmful.or(default.harmful.map(widened)),
            accepted: self.accepted.unwrap_or(default.accepted),
            weight: self.weight.unwrap_or(default.weight),
            critical: self.critical.unwrap_or(default.critical),
            min_samples: self.min_samples.unwrap_or(default.min_samples),
            test: self.test.unwrap_or(default.test),
            required: self.required.unwrap_or(true),
            unit: default.unit,
            above_seconds: self.above_seconds.or(default.above_seconds),
            query: self.query_over(default.source, default.query)?,
        };
        let out = |field: &str, value: String, allowed: &str| {
            Err(FieldError::out_of_range(format!("metrics.{}.{field}", self.name), value, allowed))
        };
        let Metric { accepted, weight, .. } = metric;
        let harm_margin = metric.harm_margin();
        let parts = [
            ("tolerated.relative", tolerated.relative),
            ("tolerated.absolute", tolerated.absolute),
            ("accepted.relative", accepted.relative),
            ("accepted.absolute", accepted.absolute),
            ("harmful.relative", harm_margin.relative),
            ("harmful.absolute", harm_margin.absolute),
        ];
        for (field, value) in parts {
            if !(value >= 0.0 && value.is_finite()) {
                return out(field, value.to_string(), "0 or more");
            }
        }
        for (field, least, value) in [
            ("harmful.relative", tolerated.relative, harm_margin.relative),
            ("harmful.absolute", tolerated.absolute, harm_margin.absolute),
        ] {
            if value < least {
                return out(field, value.to_string(), &format!("at least the tolerated {least}"));
            }
        }
        if self.harmful.is_some() && !metric.source.is_of_scores() {
            let allowed =
                "score, shadow_score and shadow_flips only; elsewhere more than tolerated is harm";
            return out("harmful", "a margin".to_owned(), allowed);
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
        self.check_above(&metric)?;
        let properties = metric.source.properties();
        if let Direction::Fixed(harm) = properties.harm
            && metric.harm != harm
        {
            return out("harm", word(metric.harm), &word(harm));
        }
        match properties.monitor {
            MonitorKind::Failures
            | MonitorKind::Quantile(_)
            | MonitorKind::Pairs
            | MonitorKind::Averages
            | MonitorKind::Shift
                if metric.test != Test::Combined =>
            {
                return out("test", word(metric.test), "combined");
            }
            MonitorKind::Failures
            | MonitorKind::Quantile(_)
            | MonitorKind::Pairs
            | MonitorKind::Averages
            | MonitorKind::Shift
            | MonitorKind::Values(_) => {}
        }
        // Scores may have any unit; what the models answer is known at the deployment.
        if properties.margin == MarginKind::Absolute {
            metric.check_margins("less than 1, because it is a share of rows")?;
        }
        if properties.margin == MarginKind::Absolute {
            for (field, value) in [parts[0], parts[2], parts[4]] {
                if value != 0.0 {
                    return out(field, value.to_string(), "0; of shares the absolute part counts");
                }
            }
        }
        if properties.margin == MarginKind::OfFailureRate {
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
        } else if accepted.absolute == 0.0
            && accepted.relative > 0.0
            && accepted.relative < 0.02
            && metric.source != Source::Prometheus
        {
            let allowed = "at least 0.02, or an absolute margin: values are known to within 1 %";
            return out("accepted.relative", accepted.relative.to_string(), allowed);
        } else if accepted == Margin::default() {
            let allowed = "more than 0 in one of its parts: no sample proves two tracks equal";
            return out("accepted", "0".to_owned(), allowed);
        }
        Ok(metric)
    }

    /// The query of a metric of this source, over that of the metric before.
    fn query_over(
        &self,
        source: Source,
        before: Option<Query>,
    ) -> Result<Option<Query>, FieldError> {
        let metric = format!("metrics.{}", self.name);
        if source != Source::Prometheus {
            let given = [
                ("query", self.query.is_some()),
                ("interval", self.interval.is_some()),
                ("tracks", self.tracks.is_some()),
            ];
            let given = given.into_iter().find(|(_, is_given)| *is_given);
            return given.map_or(Ok(None), |(field, _)| {
                let message =
                    "only metrics with source = \"prometheus\" ask a query; set that, or remove it";
                Err(FieldError::new(format!("{metric}.{field}"), message))
            });
        }
        let (query, interval, tracks) = match before {
            Some(Query { query, interval, tracks }) => (Some(query), Some(interval), Some(tracks)),
            None => (None, None, None),
        };
        let Some(query) = self.query.clone().or(query) else {
            let message = "missing; set what Prometheus is asked in PromQL, with $track where the label value of the \
                           track belongs, for example sum(rate(errors_total{track=\"$track\"}[1m]))";
            return Err(FieldError::new(format!("{metric}.query"), message));
        };
        let tracks = self.tracks.clone().or(tracks).unwrap_or_default();
        let query = Query::new(&query, self.interval.or(interval), tracks);
        query.map(Some).map_err(|error| error.within(&metric))
    }

    /// Refuses a time where none belongs, and the lack of one.
    fn check_above(&self, metric: &Metric) -> Result<(), FieldError> {
        let field = format!("metrics.{}.above_seconds", self.name);
        let is_of_time = metric.source == Source::LatencyAbove;
        match metric.above_seconds {
            None if is_of_time => Err(FieldError::new(
                field,
                "missing; set the time in seconds that slow requests exceed, for example 0.3",
            )),
            Some(above) if !is_of_time => {
                let allowed =
                    "nothing; only metrics with source = \"latency_above\" count slow requests";
                Err(FieldError::out_of_range(field, above, allowed))
            }
            Some(above) if !(above > 0.0 && above <= 3600.0) => {
                Err(FieldError::out_of_range(field, above, "more than 0 and at most 3600 seconds"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The direction of harm of a metric whose source has no default.
    ///
    /// # Errors
    /// When it is missing.
    pub(super) fn required_harm(&self) -> Result<Harm, FieldError> {
        let hint = match self.name.as_str() {
            "auc" | "calibration" | "calibration_error" => {
                " (labels are judged by log_loss and brier, which get worse with bad ranking and with bad \
                 calibration)"
            }
            _ => "",
        };
        self.harm.ok_or_else(|| {
            FieldError::new(
                format!("metrics.{}", self.name),
                format!(
                    "harm is missing; set it to higher (a cost), lower (a revenue) or either{hint}"
                ),
            )
        })
    }
}

fn word(value: impl std::fmt::Debug) -> String {
    format!("{value:?}").to_lowercase()
}
