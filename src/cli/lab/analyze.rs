//! `serin analyze`: compares two files of numbers, or a query over time; the exit code can gate a pipeline.

mod from_prometheus;

use std::process::ExitCode;

use anyhow::Context;
use anyhow::bail;
use clap::Args;
use serde::Serialize;

use super::columns;
use super::columns::STANDARD_INPUT;
use super::metrics_file;
use crate::canary::Analysis;
use crate::canary::analysis::metric_table::Correction;
use crate::canary::analysis::metric_table::MetricAnalysis;
use crate::canary::analysis::metric_table::TableAnalysis;
use crate::canary::analysis::metric_table::TableOptions;
use crate::canary::analysis::options::AnalysisOptions;
use crate::canary::analysis::options::AnalysisOverrides;
use crate::canary::analysis::options::OptionError;
use crate::canary::analysis::options::parsed_margin;
use crate::canary::analysis::sample::Sample;
use crate::canary::analysis::statistics::AnalysisStats;
use crate::canary::analysis::statistics::Drift;
use crate::canary::analysis::statistics::DriftLevel;
use crate::canary::analysis::statistics::QuantileDifference;
use crate::canary::analysis::two_samples::Decision;
use crate::canary::analysis::two_samples::MetricVerdict;
use crate::cli::exit::FAIL;
use crate::cli::exit::INCONCLUSIVE;
use crate::cli::show;
use crate::cli::show::outln;
use crate::service::reported::analysis::analyzed;
use crate::service::reported::analysis::analyzed_table;
use crate::text::numbers::equation;
use crate::text::numbers::number;
use crate::text::numbers::probability;
use from_prometheus::Asked;
use from_prometheus::Found;
use from_prometheus::PrometheusArgs;

/// The flags of `serin analyze`.
#[derive(Args, Debug)]
pub struct AnalyzeArgs {
    /// The baseline's values: a CSV file, a JSON array, or one number per line; - for standard input
    #[arg(value_name = "BASELINE", required_unless_present = "prometheus")]
    baseline: Option<String>,
    /// The canary's values
    #[arg(value_name = "CANARY", required_unless_present = "prometheus")]
    canary: Option<String>,
    /// Column of the values, by name or by position from 1 [default: the only one]
    #[arg(long, value_name = "NAME|INDEX")]
    column: Option<String>,
    /// Compare several columns: a CSV file with one line per metric and the columns metric, better
    /// (higher or lower), margin, effect_threshold, min_samples, weight, critical
    #[arg(long, value_name = "FILE", conflicts_with_all =
          ["column", "lower_is_better", "margin", "effect_threshold", "min_samples"])]
    metrics: Option<String>,
    /// A lower value is better, as for a latency or a cost
    #[arg(long)]
    lower_is_better: bool,
    /// Test non-inferiority instead: how much worse the canary's mean may be, for example 5% of the
    /// baseline's, or 3 in the unit of the values
    #[arg(long, value_name = "PERCENT%|AMOUNT")]
    margin: Option<String>,
    /// Significance level [default: 0.05]
    #[arg(long, value_name = "P")]
    p_threshold: Option<f64>,
    /// Smallest Cohen's d that matters [default: 0.2]
    #[arg(long, value_name = "D")]
    effect_threshold: Option<f64>,
    /// Values that each file needs; with fewer, the decision is wait [default: 30]
    #[arg(long, value_name = "N")]
    min_samples: Option<u64>,
    /// With --metrics: correction of the p-values: holm, benjamini_hochberg or none [default: holm]
    #[arg(long, value_name = "METHOD", requires = "metrics")]
    correction: Option<String>,
    /// With --metrics: minimum score for promote [default: 95]
    #[arg(long, value_name = "SCORE", requires = "metrics")]
    promote_score: Option<f64>,
    /// With --metrics: roll back if the score can no longer exceed this [default: 60]
    #[arg(long, value_name = "SCORE", requires = "metrics")]
    rollback_score: Option<f64>,
    #[command(flatten)]
    over_time: PrometheusArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints the comparison; exit code 0 to promote, 1 to roll back, 3 to wait.
///
/// # Errors
/// When a file cannot be read as numbers, Prometheus has none, or an option is out of its range.
pub fn run(args: &AnalyzeArgs) -> anyhow::Result<ExitCode> {
    let files = [&args.baseline, &args.canary, &args.metrics];
    if files.into_iter().flatten().filter(|path| *path == STANDARD_INPUT).count() > 1 {
        bail!("standard input can be read only once; use files for the others");
    }
    let decision = match &args.metrics {
        Some(path) => several(args, path)?,
        None => single(args)?,
    };
    Ok(match decision {
        Decision::Promote => ExitCode::SUCCESS,
        Decision::Rollback => ExitCode::from(FAIL),
        Decision::Wait => ExitCode::from(INCONCLUSIVE),
    })
}

fn single(args: &AnalyzeArgs) -> anyhow::Result<Decision> {
    let margin = args.margin.as_deref().map(parsed_margin).transpose().map_err(flag)?;
    let options = AnalysisOptions::checked(AnalysisOverrides {
        p_threshold: args.p_threshold,
        effect_threshold: args.effect_threshold,
        min_samples: args.min_samples,
        higher_is_better: Some(!args.lower_is_better),
        margin,
    })
    .map_err(flag)?;
    let (baseline, canary, asked) = match args.over_time.found()? {
        Some(Found { baseline, canary, asked }) => (baseline, canary, Some(asked)),
        None => {
            let (baseline, canary) = args.files()?;
            let numbers = |path: &str| columns::read(path)?.numbers(args.column.as_deref());
            (numbers(baseline)?, numbers(canary)?, None)
        }
    };
    let (baseline, canary) = (Sample::of(&baseline)?, Sample::of(&canary)?);
    let analysis = analyzed(&baseline, &canary, options);
    if args.json {
        show::json(&Answer { analysis: &analysis, prometheus: asked.as_ref() })?;
    } else {
        print(&analysis, &baseline, &canary);
        if let Some(asked) = asked {
            outln!("\n{}", show::wrapped(&asked.sentence(), "  "));
        }
    }
    Ok(analysis.decision)
}

/// The answer as JSON.
#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    analysis: &'a Analysis,
    #[serde(skip_serializing_if = "Option::is_none")]
    prometheus: Option<&'a Asked>,
}

impl AnalyzeArgs {
    /// The files that are compared.
    fn files(&self) -> anyhow::Result<(&str, &str)> {
        let files = self.baseline.as_deref().zip(self.canary.as_deref());
        files.context("name two files, BASELINE and CANARY; or use --prometheus")
    }
}

fn several(args: &AnalyzeArgs, path: &str) -> anyhow::Result<Decision> {
    let correction = args
        .correction
        .as_deref()
        .map(|name| {
            let found = Correction::ALL.into_iter().find(|(of, _)| *of == name);
            let allowed = "holm, benjamini_hochberg or none";
            found.map(|(_, correction)| correction).with_context(|| {
                format!("--correction: {name:?} is not a correction; use {allowed}")
            })
        })
        .transpose()?;
    let options = TableOptions {
        p_threshold: args.p_threshold,
        correction,
        promote_score: args.promote_score,
        rollback_score: args.rollback_score,
    };
    let (baseline, canary) = args.files()?;
    let (baseline, canary) = (columns::read(baseline)?, columns::read(canary)?);
    let metrics = metrics_file::metrics(&columns::read(path)?, &baseline, &canary)
        .with_context(|| format!("--metrics {}", path.escape_debug()))?;
    let analysis = analyzed_table(metrics, options)?;
    if args.json {
        show::json(&analysis)?;
    } else {
        print_table(&analysis);
    }
    Ok(analysis.decision)
}

/// The error with the flag instead of the field.
fn flag(error: OptionError) -> anyhow::Error {
    match error {
        OptionError::OutOfRange { field, value, allowed } => {
            let flag = field.replace('_', "-");
            anyhow::anyhow!("--{flag}: {value} is out of range; use {allowed}")
        }
        OptionError::MarginAndEffect => anyhow::anyhow!(
            "--margin and --effect-threshold exclude each other; use --margin to show that the canary is \
             not worse, or --effect-threshold to look for a difference"
        ),
    }
}

fn print(analysis: &Analysis, baseline: &Sample, canary: &Sample) {
    print_decision(analysis.decision, "", &analysis.reason);
    let header = ["", "samples", "mean", "std", "p5", "p50", "p95"];
    let rows = [("baseline", baseline), ("canary", canary)].map(|(name, sample)| {
        let points = sample.points();
        let (moments, quantile) = (points.moments(), |q| points.quantile(q));
        let numbers =
            [moments.mean(), moments.std_dev(), quantile(0.05), quantile(0.5), quantile(0.95)];
        [name.to_owned(), points.total().to_string()]
            .into_iter()
            .chain(numbers.map(|value| value.map_or_else(dash, number)))
    });
    for line in show::aligned(header, rows) {
        outln!("  {line}");
    }
    let lines = statistics(&analysis.stats);
    if !lines.is_empty() {
        outln!();
    }
    for (name, value) in lines {
        outln!("  {}  {value}", show::styled(show::FAINT, format!("{name:<19}")));
    }
}

fn print_decision(decision: Decision, suffix: &str, reason: &str) {
    let style = match decision {
        Decision::Promote => show::GOOD,
        Decision::Rollback => show::BAD,
        Decision::Wait => show::WAIT,
    };
    outln!("{}{suffix}", show::styled(style, decision.word()));
    outln!("{}\n", show::wrapped(reason, "  "));
}

/// The statistics by name; empty with too few samples.
fn statistics(stats: &AnalysisStats) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    let Some(interval) = stats.bootstrap_ci_95 else { return lines };
    let p = |value: Option<f64>| value.map_or_else(dash, |value| equation("p", value));
    let difference = |value: f64, interval: Option<[f64; 2]>| {
        let ends = interval.map_or_else(String::new, |ends| {
            let [low, high] = ends.map(number);
            format!("  (95 % interval {low} to {high})")
        });
        format!("{}{ends}", number(value))
    };
    match &stats.rates {
        Some(rates) => {
            lines.push(("Fisher", p(Some(rates.fisher_pvalue))));
            lines.push(("difference of rates", difference(rates.difference, Some(rates.ci_95))));
        }
        None => {
            lines.push(("Mann-Whitney", p(stats.mann_whitney_pvalue)));
            lines.push(("Kolmogorov-Smirnov", p(stats.ks_pvalue)));
            lines.push(("Welch's t", p(stats.welch_pvalue)));
            let means = stats.canary_mean.zip(stats.baseline_mean).map(|(c, b)| c - b);
            let means = means.map_or_else(dash, |means| difference(means, Some(interval)));
            lines.push(("difference of means", means));
        }
    }
    let d = stats.cohens_d.map_or_else(|| "-  (neither varies)".to_owned(), |d| format!("{d:.3}"));
    lines.push(("Cohen's d", d));
    if let Some(quantiles) = &stats.quantiles {
        let of = |quantile: &QuantileDifference| difference(quantile.difference, quantile.ci_95);
        lines.push(("difference of p50", of(&quantiles.p50)));
        lines.push(("difference of p95", of(&quantiles.p95)));
        lines.push(("difference of p99", of(&quantiles.p99)));
    }
    if let Some(drift) = &stats.drift {
        lines.push(("drift", drift_text(drift)));
    }
    lines
}

fn drift_text(drift: &Drift) -> String {
    let level = match drift.level {
        DriftLevel::Chance => "chance explains it",
        DriftLevel::Small => "small: below 0.1",
        DriftLevel::Moderate => "moderate: 0.1 to 0.25",
        DriftLevel::Large => "large: 0.25 or more",
    };
    format!("PSI {} ({level}), Wasserstein {}", number(drift.psi), number(drift.wasserstein))
}

fn print_table(table: &TableAnalysis) {
    let score = format!("  score {:.0} of 100", table.score);
    print_decision(table.decision, &score, &table.reason);
    let header = ["metric", "baseline", "canary", "difference", "adjusted p", "weight", "verdict"];
    let lines = show::aligned(header, table.metrics.iter().map(row));
    let verdicts = table.metrics.iter().map(|metric| Some(metric.analysis.verdict));
    for (line, verdict) in lines.iter().zip([None].into_iter().chain(verdicts)) {
        outln!("  {}", verdict.map_or_else(|| line.clone(), |one| colored(line, one)));
    }
    outln!();
    for metric in &table.metrics {
        let reason = format!("{}: {}", metric.metric.as_str(), metric.analysis.reason);
        outln!("{}", show::wrapped(&reason, "  "));
    }
}

fn row(metric: &MetricAnalysis) -> Vec<String> {
    let stats = &metric.analysis.stats;
    let difference = stats.canary_mean.zip(stats.baseline_mean).map(|(c, b)| c - b);
    let critical = if metric.critical { " (critical)" } else { "" };
    let mut cells = vec![format!("{}{critical}", metric.metric.as_str())];
    cells.extend(
        [stats.baseline_mean, stats.canary_mean, difference]
            .map(|value| value.map_or_else(dash, number)),
    );
    cells.push(metric.adjusted_pvalue.map_or_else(dash, probability));
    cells.push(number(metric.weight));
    cells.push(metric.analysis.verdict.word().to_owned());
    cells
}

/// The line with its last word, the verdict, in color.
fn colored(line: &str, verdict: MetricVerdict) -> String {
    let style = match verdict {
        MetricVerdict::Pass => show::GOOD,
        MetricVerdict::Fail => show::BAD,
        MetricVerdict::Inconclusive | MetricVerdict::Waiting => show::WAIT,
    };
    let before = line.strip_suffix(verdict.word()).unwrap_or(line);
    format!("{before}{}", show::styled(style, verdict.word()))
}

fn dash() -> String {
    "-".to_owned()
}
