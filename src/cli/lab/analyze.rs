//! `serin analyze`: compare two files of numbers, with an exit code that can gate a pipeline.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use serde_json::json;

use super::columns;
use super::columns::STANDARD_INPUT;
use crate::canary::Analysis;
use crate::canary::judge::two_samples::AnalysisOptions;
use crate::canary::judge::two_samples::Decision;
use crate::canary::judge::two_samples::GivenOptions;
use crate::canary::judge::two_samples::Sample;
use crate::cli::exit::FAIL;
use crate::cli::exit::INCONCLUSIVE;
use crate::cli::show;
use crate::service::reported::analysis::analyzed;
use crate::text::numbers::number;
use crate::text::numbers::probability;

/// The flags of `serin analyze`.
#[derive(Args, Debug)]
pub struct AnalyzeArgs {
    /// The baseline's values: a CSV file, a JSON array, or one number a line; - for standard input
    #[arg(value_name = "BASELINE")]
    baseline: String,
    /// The canary's values
    #[arg(value_name = "CANARY")]
    canary: String,
    /// Column of the values, by name or by position from 1 [default: the only one]
    #[arg(long, value_name = "NAME|INDEX")]
    column: Option<String>,
    /// A smaller value is a better one, as for a latency or a cost
    #[arg(long)]
    lower_is_better: bool,
    /// A p-value below it counts [default: 0.05]
    #[arg(long, value_name = "P")]
    p_threshold: Option<f64>,
    /// A Cohen's d of at least this size counts [default: 0.2]
    #[arg(long, value_name = "D")]
    effect_threshold: Option<f64>,
    /// Values that each file must have; with fewer, the answer is to wait [default: 30]
    #[arg(long, value_name = "N")]
    min_samples: Option<u64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints the comparison; exit code 0 to promote, 1 to roll back, 3 to wait.
///
/// # Errors
/// When a file cannot be read as numbers, or an option is out of its range.
pub fn run(args: &AnalyzeArgs) -> anyhow::Result<ExitCode> {
    let options = AnalysisOptions::checked(GivenOptions {
        p_threshold: args.p_threshold,
        effect_threshold: args.effect_threshold,
        min_samples: args.min_samples,
        higher_is_better: Some(!args.lower_is_better),
    })
    .map_err(|error| {
        let (flag, value) = (error.field.replace('_', "-"), &error.value);
        anyhow::anyhow!("--{flag} = {value} is out of range; give {}", error.allowed)
    })?;
    if args.baseline == STANDARD_INPUT && args.canary == STANDARD_INPUT {
        bail!("both are standard input, which can be read once; give a file for one of them");
    }
    let sample = |path: &str| -> anyhow::Result<Sample> {
        Ok(Sample::of(&columns::read(path, args.column.as_deref())?)?)
    };
    let (baseline, canary) = (sample(&args.baseline)?, sample(&args.canary)?);
    let analysis = analyzed(&baseline, &canary, options);
    if args.json {
        anstream::println!("{}", show::json(&json!(analysis)));
    } else {
        print(&analysis, &baseline, &canary);
    }
    Ok(match analysis.decision {
        Decision::Promote => ExitCode::SUCCESS,
        Decision::Rollback => ExitCode::from(FAIL),
        Decision::Wait => ExitCode::from(INCONCLUSIVE),
    })
}

fn print(analysis: &Analysis, baseline: &Sample, canary: &Sample) {
    let style = match analysis.decision {
        Decision::Promote => show::GOOD,
        Decision::Rollback => show::BAD,
        Decision::Wait => show::WAIT,
    };
    anstream::println!("{}", show::styled(style, analysis.decision.word()));
    anstream::println!("{}\n", show::wrapped(&analysis.reason, "  "));
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
        anstream::println!("  {line}");
    }
    let stats = &analysis.stats;
    let Some(interval) = stats.bootstrap_ci_95 else { return };
    anstream::println!();
    let p =
        |value: Option<f64>| value.map_or_else(dash, |value| format!("p = {}", probability(value)));
    let [low, high] = interval.map(number);
    let difference = stats.canary_mean.zip(stats.baseline_mean).map(|(c, b)| c - b);
    for (name, value) in [
        ("Mann-Whitney", p(stats.mann_whitney_pvalue)),
        ("Kolmogorov-Smirnov", p(stats.ks_pvalue)),
        ("Welch's t", p(stats.welch_pvalue)),
        (
            "Cohen's d",
            stats.cohens_d.map_or_else(|| "-  (neither varies)".to_owned(), |d| format!("{d:.3}")),
        ),
        (
            "difference of means",
            format!("{}  (95 % interval {low} to {high})", difference.map_or_else(dash, number)),
        ),
    ] {
        anstream::println!("  {}  {value}", show::styled(show::FAINT, format!("{name:<19}")));
    }
}

fn dash() -> String {
    "-".to_owned()
}
