//! The file of `serin analyze --metrics`: one line per metric, with its options.
//!
//! ```csv
//! metric,better,margin,weight,critical
//! latency_ms,lower,5%,2,
//! converted,higher,0.01,1,yes
//! ```
//!
//! `metric` names a column of the data files. Other columns may be missing and other cells blank: the
//! option then has its default.

use anyhow::Context;
use anyhow::anyhow;
use anyhow::bail;
use csv::DeserializeErrorKind;
use csv::ErrorKind;
use csv::StringRecord;
use serde::Deserialize;

use super::columns::TextFile;
use crate::canary::MetricName;
use crate::canary::analysis::metric_table::TableMetric;
use crate::canary::analysis::options::AnalysisOverrides;
use crate::canary::analysis::options::parsed_margin;
use crate::canary::analysis::sample::Sample;
use crate::text::fields::plain;
use crate::text::tables::dialect::Dialect;

/// A line of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    metric: String,
    better: Option<String>,
    margin: Option<String>,
    effect_threshold: Option<f64>,
    min_samples: Option<u64>,
    weight: Option<f64>,
    critical: Option<String>,
}

/// The metrics of the file, with their values from the data files.
///
/// # Errors
/// Names the line and what is wrong with it.
pub fn metrics(
    file: &TextFile,
    baseline: &TextFile,
    canary: &TextFile,
) -> anyhow::Result<Vec<TableMetric>> {
    let dialect = Dialect::of(file.text());
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .delimiter(dialect.separator)
        .from_reader(&file.text().as_bytes()[dialect.preamble..]);
    let header = reader.headers()?.clone();
    let rows = reader.records().map(|record| {
        let record = record?;
        let line = record.position().map_or(1, csv::Position::line);
        let row =
            record.deserialize(Some(&header)).map_err(|error| mistake(&error, &header, &record));
        row.and_then(|row| metric(row, baseline, canary)).with_context(|| format!("line {line}"))
    });
    rows.collect()
}

fn mistake(error: &csv::Error, header: &StringRecord, record: &StringRecord) -> anyhow::Error {
    let ErrorKind::Deserialize { err, .. } = error.kind() else { return anyhow!("{error}") };
    let Some(index) = err.field().map(|index| index as usize) else {
        return anyhow!("{}", plain(&err.kind().to_string()));
    };
    let [field, value] = [header, record].map(|cells| cells.get(index).unwrap_or_default());
    match err.kind() {
        DeserializeErrorKind::ParseFloat(_) => {
            anyhow!("{field}: {value:?} is not a number; use for example 0.2")
        }
        DeserializeErrorKind::ParseInt(_) => {
            anyhow!("{field}: {value:?} is not a whole number; use for example 30")
        }
        other => anyhow!("{field}: {}", plain(&other.to_string())),
    }
}

fn metric(row: Row, baseline: &TextFile, canary: &TextFile) -> anyhow::Result<TableMetric> {
    let sample = |file: &TextFile| -> anyhow::Result<Sample> {
        Ok(Sample::of(&file.numbers(Some(&row.metric))?)?)
    };
    let margin = row.margin.map(|text| parsed_margin(&text)).transpose()?;
    let options = AnalysisOverrides {
        p_threshold: None,
        effect_threshold: row.effect_threshold,
        min_samples: row.min_samples,
        higher_is_better: match row.better.as_deref() {
            None | Some("higher") => None,
            Some("lower") => Some(false),
            Some(other) => bail!("better: {other:?} is not a direction; use higher or lower"),
        },
        margin,
    };
    let name = MetricName::new(&row.metric)?;
    let (baseline, canary) = (sample(baseline)?, sample(canary)?);
    let is_critical = match row.critical.as_deref() {
        None | Some("no") => false,
        Some("yes") => true,
        Some(other) => bail!("critical: {other:?} is not an answer; use yes or no"),
    };
    Ok(TableMetric { name, baseline, canary, options, weight: row.weight, is_critical })
}
