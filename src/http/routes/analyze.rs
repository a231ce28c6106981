//! `POST /analyze`: two samples compared, or a table of metrics.
//!
//! An analysis advises and changes nothing. It needs no admin token, like `/predict`.

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::web::Data;
use actix_web::web::Payload;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::de::IgnoredAny;

use super::analysis::DEFAULT_METRIC;
use crate::canary::Analysis;
use crate::canary::MetricName;
use crate::canary::analysis::metric_table::Correction;
use crate::canary::analysis::metric_table::TableAnalysis;
use crate::canary::analysis::metric_table::TableMetric;
use crate::canary::analysis::metric_table::TableOptions;
use crate::canary::analysis::metric_table::TableOverrides;
use crate::canary::analysis::options::AnalysisOptions;
use crate::canary::analysis::options::AnalysisOverrides;
use crate::canary::analysis::options::MarginText;
use crate::canary::analysis::sample::Sample;
use crate::http::answer::blocking;
use crate::http::answer::json;
use crate::http::answer::respond;
use crate::http::problem::Problem;
use crate::http::reading::body;
use crate::http::reading::body::ContentType;
use crate::http::reading::fields;
use crate::http::shared::Shared;
use crate::service::Service;
use crate::service::reported::analysis::analyzed;
use crate::service::reported::analysis::analyzed_table;

/// One metric: the whole body, or an element of `metrics`. Without values, the recorded ones.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Metric {
    #[serde(default, alias = "stable", deserialize_with = "baseline")]
    baseline: Option<Vec<f64>>,
    #[serde(default, deserialize_with = "canary")]
    canary: Option<Vec<f64>>,
    #[serde(default, deserialize_with = "metric")]
    metric: Option<String>,
    #[serde(default, deserialize_with = "p_threshold")]
    p_threshold: Option<f64>,
    #[serde(default, deserialize_with = "effect_threshold")]
    effect_threshold: Option<f64>,
    #[serde(default, deserialize_with = "min_samples")]
    min_samples: Option<f64>,
    #[serde(default, deserialize_with = "higher_is_better")]
    higher_is_better: Option<bool>,
    #[serde(default, deserialize_with = "margin")]
    margin: Option<MarginBody>,
    #[serde(default, deserialize_with = "weight")]
    weight: Option<f64>,
    #[serde(default, deserialize_with = "critical")]
    critical: Option<bool>,
}

/// A body with `metrics`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    metrics: Vec<Metric>,
    #[serde(default, deserialize_with = "p_threshold")]
    p_threshold: Option<f64>,
    #[serde(default)]
    correction: Option<Correction>,
    #[serde(default, deserialize_with = "promote_score")]
    promote_score: Option<f64>,
    #[serde(default, deserialize_with = "rollback_score")]
    rollback_score: Option<f64>,
}

/// Tells a table from a single metric.
#[derive(Default, Deserialize)]
struct Shape {
    metrics: Option<IgnoredAny>,
}

/// `3` in the unit of the values, or `"5%"` of the baseline's mean.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "margin: use a number in the unit of the values, or a text like \"5%\""
)]
enum MarginBody {
    Number(f64),
    Text(String),
}

/// `POST /analyze`
pub async fn analyze(request: HttpRequest, payload: Payload, shared: Data<Shared>) -> HttpResponse {
    let outcome = compared(&request, payload, &shared).await;
    respond(&request, outcome.and_then(|answer| json(&answer, None)))
}

/// One metric, or several.
#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Metric(Box<Analysis>),
    Table(TableAnalysis),
}

async fn compared(
    request: &HttpRequest,
    payload: Payload,
    shared: &Shared,
) -> Result<Answer, Problem> {
    let bytes = body::read(request, payload, ContentType::Optional, &shared.settings).await?;
    let permit = shared.analyses.permit().await?;
    let service = shared.service.clone();
    blocking(move || {
        // Released only when the work is done, even if the client has gone by then.
        let _permit = permit;
        let shape: Shape = body::parse_or_default(&bytes)?;
        if shape.metrics.is_some() {
            table(&service, body::parse(&bytes)?).map(Answer::Table)
        } else {
            single(&service, body::parse_or_default(&bytes)?)
                .map(|analysis| Answer::Metric(Box::new(analysis)))
        }
    })
    .await
}

fn single(service: &Service, metric: Metric) -> Result<Analysis, Problem> {
    for (field, is_given) in
        [("weight", metric.weight.is_some()), ("critical", metric.critical.is_some())]
    {
        if is_given {
            return Err(Problem::field(format!(
                "{field} belongs to an element of metrics; leave it out, or send {{\"metrics\": [...]}}"
            )));
        }
    }
    let options = AnalysisOptions::checked(metric.overrides()?)?;
    if metric.metric.is_some() && metric.baseline.is_some() && metric.canary.is_some() {
        return Err(Problem::field(
            "metric names recorded values, baseline and canary are values; send one or the other",
        ));
    }
    match metric.values()? {
        Some((baseline, canary)) => Ok(analyzed(&baseline, &canary, options)),
        None => Ok(service.reported.recordings.analyzed(&metric.name()?, options)),
    }
}

fn table(service: &Service, table: Table) -> Result<TableAnalysis, Problem> {
    let options = TableOptions::checked(TableOverrides {
        p_threshold: table.p_threshold,
        correction: table.correction,
        promote_score: table.promote_score,
        rollback_score: table.rollback_score,
    })?;
    let metrics = table.metrics.into_iter().enumerate().map(|(index, metric)| {
        let within = |problem: Problem| problem.within(&format!("metrics[{index}]"));
        if metric.metric.is_none() {
            return Err(Problem::field(format!(
                "metrics[{index}]: metric is missing; name each metric"
            )));
        }
        let name = metric.name().map_err(within)?;
        let (baseline, canary) = match metric.values().map_err(within)? {
            Some(values) => values,
            None => service.recordings().samples(&name),
        };
        let given = metric.overrides().map_err(within)?;
        let of_metric = TableMetric::new(name, baseline, canary, given)?
            .critical(metric.critical.unwrap_or(false));
        Ok(of_metric.weighing(metric.weight.unwrap_or(1.0))?)
    });
    let metrics: Vec<TableMetric> = metrics.collect::<Result<_, Problem>>()?;
    Ok(analyzed_table(metrics, options)?)
}

impl Metric {
    fn name(&self) -> Result<MetricName, Problem> {
        Ok(MetricName::new(self.metric.as_deref().unwrap_or(DEFAULT_METRIC))?)
    }

    fn overrides(&self) -> Result<AnalysisOverrides, Problem> {
        let margin = match &self.margin {
            None => None,
            // The text of a number reads back as the same number.
            Some(MarginBody::Number(number)) => Some(number.to_string().parse::<MarginText>()?.0),
            Some(MarginBody::Text(text)) => Some(text.parse::<MarginText>()?.0),
        };
        Ok(AnalysisOverrides {
            p_threshold: self.p_threshold,
            effect_threshold: self.effect_threshold,
            min_samples: self.min_samples.map(whole).transpose()?,
            higher_is_better: self.higher_is_better,
            margin,
        })
    }

    /// The values of the body, if there are any.
    fn values(&self) -> Result<Option<(Sample, Sample)>, Problem> {
        let missing = |field| {
            Problem::field(format!(
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
        return Err(Problem::field(format!(
            "{field} has no values; send at least one, or leave out baseline and canary to compare \
             recorded values"
        )));
    }
    Sample::of(values).map_err(|cause| Problem::field(format!("{field}: {cause}")))
}

/// JSON has no whole numbers.
fn whole(min_samples: f64) -> Result<u64, Problem> {
    // 2^53: below it every whole number is exact.
    let possible = (0.0..9_007_199_254_740_992.0).contains(&min_samples);
    if possible && min_samples.fract() == 0.0 {
        return Ok(min_samples as u64);
    }
    Err(Problem::field(format!(
        "min_samples: {min_samples} is out of range; use a whole number of 2 or more, for example 30"
    )))
}

fn metric<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    fields::text(from, "metric").map(Some)
}

fn baseline<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<f64>>, D::Error> {
    fields::numbers(from, "baseline").map(Some)
}

fn canary<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<f64>>, D::Error> {
    fields::numbers(from, "canary").map(Some)
}

fn p_threshold<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    fields::number(from, "p_threshold").map(Some)
}

fn effect_threshold<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    fields::number(from, "effect_threshold").map(Some)
}

fn min_samples<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    fields::number(from, "min_samples").map(Some)
}

fn higher_is_better<'de, D: Deserializer<'de>>(from: D) -> Result<Option<bool>, D::Error> {
    fields::flag(from, "higher_is_better").map(Some)
}

fn margin<'de, D: Deserializer<'de>>(from: D) -> Result<Option<MarginBody>, D::Error> {
    MarginBody::deserialize(from).map(Some)
}

fn weight<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    fields::number(from, "weight").map(Some)
}

fn critical<'de, D: Deserializer<'de>>(from: D) -> Result<Option<bool>, D::Error> {
    fields::flag(from, "critical").map(Some)
}

fn promote_score<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    fields::number(from, "promote_score").map(Some)
}

fn rollback_score<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    fields::number(from, "rollback_score").map(Some)
}
