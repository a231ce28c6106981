//! The file behind `serin analyze --metrics`: one line per metric, with its options.
//!
//! ```csv
//! metric,better,margin,weight,critical
//! latency_ms,lower,5%,2,
//! converted,higher,0.01,1,yes
//! ```
//!
//! `metric` names a column of the data files. Every other column may be missing, and every other
//! cell blank: the option then has its default.

use anyhow::Context;
use anyhow::bail;
use csv::StringRecord;

use super::columns::TextFile;
use crate::canary::MetricName;
use crate::canary::analysis::metric_table::TableMetric;
use crate::canary::analysis::options::AnalysisOverrides;
use crate::canary::analysis::options::MarginText;
use crate::canary::analysis::sample::Sample;
use crate::text::lists::did_you_mean;
use crate::text::lists::listed;
use crate::text::lists::quoted;

/// The columns of the file.
const COLUMNS: [&str; 7] =
    ["metric", "better", "margin", "effect_threshold", "min_samples", "weight", "critical"];

/// The metrics of the file, with their values from the data files.
///
/// # Errors
/// Names the line and what is wrong with it.
pub fn metrics(
    file: &TextFile,
    baseline: &TextFile,
    canary: &TextFile,
) -> anyhow::Result<Vec<TableMetric>> {
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(file.text().as_bytes());
    let header = reader.headers()?.clone();
    if let Some(other) = header.iter().find(|name| !COLUMNS.contains(name)) {
        bail!(
            "line 1: there is no option {}{}; use {}",
            quoted(other),
            did_you_mean(other, COLUMNS),
            listed(COLUMNS)
        );
    }
    if !header.iter().any(|name| name == "metric") {
        bail!("line 1: the column `metric` is missing; it names a column of the data files");
    }
    let mut found = Vec::new();
    for record in reader.records() {
        let record = record?;
        let line = record.position().map_or(1, csv::Position::line);
        let cell = |name: &str| cell(&header, &record, name);
        let metric = metric(cell, baseline, canary).with_context(|| format!("line {line}"))?;
        found.push(metric);
    }
    Ok(found)
}

/// The cell of a column, if there is one that is not blank.
fn cell(header: &StringRecord, record: &StringRecord, name: &str) -> Option<String> {
    let index = header.iter().position(|column| column == name)?;
    record.get(index).filter(|cell| !cell.is_empty()).map(str::to_owned)
}

fn metric(
    cell: impl Fn(&str) -> Option<String>,
    baseline: &TextFile,
    canary: &TextFile,
) -> anyhow::Result<TableMetric> {
    let column = cell("metric").context("metric is blank; name a column of the data files")?;
    let sample = |file: &TextFile| -> anyhow::Result<Sample> {
        Ok(Sample::of(&file.numbers(Some(&column))?)?)
    };
    let margin = cell("margin").map(|text| text.parse::<MarginText>()).transpose()?;
    let given = AnalysisOverrides {
        p_threshold: None,
        effect_threshold: number(cell("effect_threshold"), "effect_threshold")?,
        min_samples: cell("min_samples")
            .map(|text| {
                text.parse().with_context(|| format!("min_samples: {text} is not a whole number"))
            })
            .transpose()?,
        higher_is_better: match cell("better").as_deref() {
            None | Some("higher") => None,
            Some("lower") => Some(false),
            Some(other) => {
                bail!("better: {} is not a direction; use higher or lower", quoted(other))
            }
        },
        margin: margin.map(|margin| margin.0),
    };
    let is_critical = match cell("critical").as_deref() {
        None | Some("no" | "false") => false,
        Some("yes" | "true") => true,
        Some(other) => bail!("critical: {} is not an answer; use yes or no", quoted(other)),
    };
    let metric =
        TableMetric::new(MetricName::new(&column)?, sample(baseline)?, sample(canary)?, given)?;
    let weight = number(cell("weight"), "weight")?.unwrap_or(1.0);
    Ok(metric.critical(is_critical).weighing(weight)?)
}

fn number(cell: Option<String>, name: &str) -> anyhow::Result<Option<f64>> {
    cell.map(|text| {
        text.parse().with_context(|| format!("{name}: {} is not a number", quoted(&text)))
    })
    .transpose()
}
