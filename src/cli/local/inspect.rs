//! `serin inspect`: contents of a model file.

#![expect(clippy::print_stdout, reason = "the command line prints its result")]

use std::fmt::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

use anstyle::AnsiColor;
use anstyle::Style;
use anyhow::Context;
use clap::Args;
use comfy_table::CellAlignment;
use comfy_table::Table;
use comfy_table::presets;

use crate::cli::show;
use crate::model::Artifact;
use crate::model::Card;
use crate::model::schema::FeatureKind;

/// Maximum number of coefficients printed; `--json` has them all.
const COEFFICIENTS: usize = 12;

/// Maximum number of levels printed for a category.
const LEVELS: usize = 6;

/// Check a model file and print its card: training data, quality, features, coefficients.
#[derive(Args, Clone, Debug)]
pub struct InspectArgs {
    /// Model file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Loads the file, which checks it in full, and prints its card.
///
/// # Errors
///
/// When the file is not a valid model file.
pub fn run(args: &InspectArgs) -> anyhow::Result<ExitCode> {
    let artifact =
        Artifact::read(&args.file).with_context(|| format!("inspect {}", args.file.display()))?;
    let card = artifact.card();
    if args.json {
        println!("{}", serde_json::to_string_pretty(card)?);
    } else {
        anstream::println!("{}\n{}", summary(&args.file, card), details(card));
    }
    Ok(ExitCode::SUCCESS)
}

/// A card in ten lines: kind, training data, quality on the holdout.
pub(crate) fn summary(path: &Path, card: &Card) -> String {
    let (training, holdout) = (&card.training, &card.holdout);
    let mut facts = facts();
    facts.add_row(["model", &format!("logistic regression, {} bytes", card.size_bytes)]);
    facts.add_row(["digest", &card.digest.to_string()]);
    facts.add_row(["data", &show::plain(&training.source)]);
    let learned =
        format!("{} = {}", show::plain(&training.target), show::plain(&training.positive));
    facts.add_row([
        "target",
        &format!("{learned}, from {} of {} rows", training.training_rows, training.rows),
    ]);
    let held = format!(
        "{} rows ({}), seed {}, l2 {}",
        holdout.rows, training.holdout, training.seed, training.l2
    );
    facts.add_row(["holdout", &held]);
    facts.add_row(["AUC", &format!("{:.4}  (0.5 is chance, 1 is perfect)", holdout.auc)]);
    facts.add_row(["log-loss", &format!("{:.4}", holdout.log_loss)]);
    facts.add_row(["Brier", &format!("{:.4}", holdout.brier)]);
    let accuracy = format!(
        "{:.1} % at threshold {}  (base rate {:.1} %)",
        100.0 * holdout.accuracy,
        card.threshold,
        100.0 * holdout.base_rate
    );
    facts.add_row(["accuracy", &accuracy]);
    let mut text =
        format!("{}\n{}\n", heading(&show::plain(&path.display().to_string())), facts.trim_fmt());
    for warning in &training.warnings {
        let _ = writeln!(text, " {WARNING}warning{WARNING:#}: {}", show::plain(warning));
    }
    text
}

/// The details of a card: features, coefficients, calibration.
fn details(card: &Card) -> String {
    let mut features = table(["feature", "kind", "values"]);
    for feature in card.features.features() {
        let values = match &feature.kind {
            FeatureKind::Numeric { mean, scale } => {
                format!("mean {}, standard deviation {}", short(*mean), short(*scale))
            }
            FeatureKind::Categorical { levels } => {
                let shown = levels.iter().take(LEVELS).map(String::as_str).collect::<Vec<_>>();
                let rest = levels.len().saturating_sub(LEVELS);
                let more = if rest > 0 { format!(", and {rest} more") } else { String::new() };
                format!("{}{more}", show::plain(&shown.join(", ")))
            }
        };
        features.add_row([
            show::plain(&feature.name).into_owned(),
            feature.kind.to_string(),
            values,
        ]);
    }

    let mut terms = table(["term", "log-odds"]);
    terms.add_row(["(intercept)".to_owned(), format!("{:+.4}", card.intercept)]);
    for term in card.coefficients.iter().take(COEFFICIENTS) {
        let level = term.level.as_ref().map(|level| format!(" = {level}")).unwrap_or_default();
        terms.add_row([
            show::plain(&format!("{}{level}", term.feature)).into_owned(),
            format!("{:+.4}", term.weight),
        ]);
    }
    align_right(&mut terms, 1..2);
    let rest = card.coefficients.len().saturating_sub(COEFFICIENTS);
    let more = if rest > 0 {
        format!(" and {rest} smaller ones (--json has all)\n")
    } else {
        String::new()
    };

    let mut calibration = table(["predicted", "rows", "mean predicted", "observed"]);
    for bin in card.holdout.calibration.iter().filter(|bin| bin.rows > 0) {
        calibration.add_row([
            format!("{:.1} to {:.1}", bin.from, bin.to),
            bin.rows.to_string(),
            format!("{:.3}", bin.predicted),
            format!("{:.3}", bin.observed),
        ]);
    }
    align_right(&mut calibration, 1..4);

    format!(
        "{}\n{features}\n {}\n\n{}\n{terms}\n{more}\n{}\n{calibration}",
        heading("Features, in order"),
        card.missing,
        heading("Terms, largest first (numbers: per standard deviation)"),
        heading("Calibration on the holdout"),
    )
}

const WARNING: Style = AnsiColor::Yellow.on_default().bold();

/// Bold text on a terminal; `anstream` strips the codes elsewhere.
fn heading(text: &str) -> String {
    let bold = Style::new().bold();
    format!("{bold}{text}{bold:#}")
}

/// A table of names and values without borders.
fn facts() -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table
}

/// A table with a header.
fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN);
    table.set_header(header);
    table
}

fn align_right(table: &mut Table, columns: std::ops::Range<usize>) {
    for index in columns {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// Four significant digits; `--json` has them all.
fn short(number: f64) -> String {
    let decimals = 3.0 - number.abs().max(1e-6).log10().floor();
    format!("{number:.*}", decimals.clamp(0.0, 9.0) as usize)
}
