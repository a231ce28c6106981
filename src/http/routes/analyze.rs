//! `POST /analyze`: two samples compared, or a table of metrics.
//!
//! An analysis advises and changes nothing. It needs no admin token, like `/predict`.

use serde::Deserialize;
use serde::Serialize;
use serde::de::IgnoredAny;
use utoipa::ToSchema;

use super::analysis::metric_name;
use crate::canary::Analysis;
use crate::canary::analysis::metric_table::Correction;
use crate::canary::analysis::metric_table::TableAnalysis;
use crate::canary::analysis::metric_table::TableMetric;
use crate::canary::analysis::metric_table::TableOptions;
use crate::canary::analysis::options::AnalysisOptions;
use crate::canary::analysis::options::AnalysisOverrides;
use crate::canary::analysis::options::parsed_margin;
use crate::canary::analysis::sample::Sample;
use crate::http::answer::Answer;
use crate::http::answer::Call;
use crate::http::answer::json;
use crate::http::problem::Problem;
use crate::http::reading::body;
use crate::http::reading::fields::given;
use crate::service::Service;
use crate::service::reported::analysis::analyzed;
use crate::service::reported::analysis::analyzed_table;
use crate::stats::Margin;

/// One metric: the whole body, or an element of `metrics`. Without values, the recorded ones.
#[derive(Default, Deserialize, ToSchema)]
#[schema(as = AnalyzedMetric)]
#[serde(deny_unknown_fields)]
struct Metric {
    #[serde(default, alias = "stable", deserialize_with = "given")]
    #[schema(nullable = false)]
    baseline: Option<Vec<f64>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    canary: Option<Vec<f64>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    metric: Option<String>,
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    p_threshold: Option<f64>,
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    effect_threshold: Option<f64>,
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    min_samples: Option<u64>,
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    higher_is_better: Option<bool>,
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    margin: Option<MarginBody>,
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    weight: Option<f64>,
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    critical: Option<bool>,
}

/// A body with `metrics`.
#[derive(Deserialize, ToSchema)]
#[schema(as = AnalyzedTable)]
#[serde(deny_unknown_fields)]
struct Table {
    metrics: Vec<Metric>,
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    p_threshold: Option<f64>,
    #[serde(default)]
    #[schema(nullable = false)]
    correction: Option<Correction>,
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    promote_score: Option<f64>,
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    rollback_score: Option<f64>,
}

/// Tells a table from a single metric.
#[derive(Default, Deserialize)]
struct Shape {
    metrics: Option<IgnoredAny>,
}

/// `3` in the unit of the values, or `"5%"` of the baseline's mean.
#[derive(Deserialize, ToSchema)]
#[serde(
    untagged,
    expecting = "not a margin; use a number in the unit of the values, or a percentage like \"5%\""
)]
enum MarginBody {
    Number(f64),
    Text(String),
}

/// The body.
#[derive(ToSchema)]
#[schema(as = Analyzed)]
#[serde(untagged)]
#[expect(dead_code, reason = "only describes the body")]
enum Asked {
    Metric(Metric),
    Table(Table),
}

/// One metric, or several.
#[derive(Serialize, ToSchema)]
#[schema(as = AnalysisOutcome)]
#[serde(untagged)]
enum Outcome {
    Metric(Box<Analysis>),
    Table(TableAnalysis),
}

/// Compares two samples, or a table of metrics.
///
/// An analysis advises and changes nothing. Without values it compares the recorded ones.
#[utoipa::path(
    post,
    path = "/analyze",
    tag = "measured elsewhere",
    operation_id = "analyze",
    request_body = Option<Asked>,
    responses((status = 200, description = "The comparison", body = Outcome)),
)]
pub async fn analyze(call: Call) -> Answer {
    let permit = call.shared.analyses.permit().await?;
    let body = call.body.clone();
    let outcome = call.ask(move |service| {
        // Released only when the work is done, even if the client has gone by then.
        let _permit = permit;
        let shape: Shape = body::parse_or_default(&body)?;
        if shape.metrics.is_some() {
            table(service, body::parse_or_default(&body)?).map(Outcome::Table)
        } else {
            let analysis = single(service, body::parse_or_default(&body)?)?;
            Ok(Outcome::Metric(Box::new(analysis)))
        }
    });
    json(&outcome.await?)
}

fn single(service: &Service, metric: Metric) -> Result<Analysis, Problem> {
    for (field, is_given) in
        [("weight", metric.weight.is_some()), ("critical", metric.critical.is_some())]
    {
        if is_given {
            return Err(Problem::field(format_args!(
                "{field} belongs to an element of metrics; leave it out, or send {{\"metrics\": [...]}}"
            )));
        }
    }
    let options = AnalysisOptions::checked(metric.overrides()?).map_err(Problem::field)?;
    if metric.metric.is_some() && metric.baseline.is_some() && metric.canary.is_some() {
        return Err(Problem::field(
            "metric names recorded values, baseline and canary are values; send one or the other",
        ));
    }
    match metric.values()? {
        Some((baseline, canary)) => Ok(analyzed(&baseline, &canary, options)),
        None => Ok(service
            .reported
            .recordings
            .analyzed(&metric_name(metric.metric.as_deref())?, options)),
    }
}

fn table(service: &Service, table: Table) -> Result<TableAnalysis, Problem> {
    let options = TableOptions {
        p_threshold: table.p_threshold,
        correction: table.correction,
        promote_score: table.promote_score,
        rollback_score: table.rollback_score,
    };
    let metrics = table.metrics.into_iter().enumerate().map(|(index, metric)| {
        let within = |problem: Problem| problem.within(&format!("metrics[{index}]"));
        if metric.metric.is_none() {
            return Err(within(Problem::field("metric is missing; name each metric")));
        }
        let name = metric_name(metric.metric.as_deref()).map_err(within)?;
        let (baseline, canary) = match metric.values().map_err(within)? {
            Some(values) => values,
            None => service.recordings().samples(&name),
        };
        let options = metric.overrides().map_err(within)?;
        let (weight, is_critical) = (metric.weight, metric.critical.unwrap_or(false));
        Ok(TableMetric { name, baseline, canary, options, weight, is_critical })
    });
    let metrics: Vec<TableMetric> = metrics.collect::<Result<_, Problem>>()?;
    analyzed_table(metrics, options).map_err(Problem::field)
}

impl Metric {
    fn overrides(&self) -> Result<AnalysisOverrides, Problem> {
        let margin = self.margin.as_ref().map(|margin| match margin {
            MarginBody::Number(number) => Ok(Margin::absolute(*number)),
            MarginBody::Text(text) => parsed_margin(text),
        });
        Ok(AnalysisOverrides {
            p_threshold: self.p_threshold,
            effect_threshold: self.effect_threshold,
            min_samples: self.min_samples,
            higher_is_better: self.higher_is_better,
            margin: margin.transpose().map_err(Problem::field)?,
        })
    }

    /// The values of the body, if there are any.
    fn values(&self) -> Result<Option<(Sample, Sample)>, Problem> {
        let missing = |field| {
            Problem::field(format_args!(
                "{field} is missing; send both arrays, or neither to compare recorded values"
            ))
        };
        match (&self.baseline, &self.canary) {
            (None, None) => Ok(None),
            (Some(_), None) => Err(missing("canary")),
            (None, Some(_)) => Err(missing("baseline")),
            (Some(baseline), Some(canary)) => {
                Ok(Some((sample("baseline", baseline)?, sample("canary", canary)?)))
            }
        }
    }
}

fn sample(field: &str, values: &[f64]) -> Result<Sample, Problem> {
    if values.is_empty() {
        return Err(Problem::field(format_args!(
            "{field} has no values; send at least one, or leave out baseline and canary to compare \
             recorded values"
        )));
    }
    Sample::of(values).map_err(|cause| Problem::field(format_args!("{field}: {cause}")))
}
