//! `serin inspect`: contents of a model file, or two of them compared.

mod cards;
mod on_data;
mod paired;

use std::fmt::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::reading::ReadingArgs;
use crate::cli::show;
use crate::cli::show::outln;
use crate::cli::show::styled;
use crate::model::Artifact;
use crate::model::Card;
use crate::model::artifact::comparison::worse_than_chance;
use crate::model::schema::FeatureKind;
use crate::text::numbers::share;

/// Maximum number of coefficients printed; `--json` has them all.
const COEFFICIENTS: usize = 12;

/// Maximum number of levels printed for a category.
const LEVELS: usize = 6;

/// Check a model file and print its card: training data, quality, features, coefficients. Of two files print
/// what differs.
#[derive(Args, Clone, Debug)]
pub struct InspectArgs {
    /// Model file, or two to compare.
    #[arg(value_name = "FILE", required = true, num_args = 1..=2)]
    pub files: Vec<PathBuf>,

    /// Measure quality on the rows of this CSV file, and the difference between two models row by row. Use
    /// rows that neither was trained on. Missing values are marked as in training, unless flags say otherwise.
    #[arg(long, value_name = "CSV")]
    pub data: Option<PathBuf>,

    #[command(flatten)]
    reading: ReadingArgs,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Loads the files, which checks them in full, and prints what they contain.
///
/// # Errors
///
/// When a file is not a valid model file, or the data is not of the models.
pub fn run(args: &InspectArgs) -> anyhow::Result<ExitCode> {
    let read = |path: &PathBuf| -> anyhow::Result<(PathBuf, Artifact)> {
        let model = Artifact::read(path).with_context(|| format!("inspect {}", path.display()))?;
        Ok((path.clone(), model))
    };
    let models = args.files.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?;
    match (&models[..], &args.data) {
        (models, Some(data)) => on_data::print(models, data, &args.reading, args.json)?,
        ([one, other], None) => cards::print([one, other], args.json)?,
        (models, None) => {
            for (path, model) in models {
                let card = model.card();
                if args.json {
                    show::json(card)?;
                } else {
                    outln!("{}\n{}", summary(path, card), details(card));
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A card in ten lines: kind, training data, quality on the holdout.
pub(crate) fn summary(path: &Path, card: &Card) -> String {
    let (training, holdout) = (&card.training, &card.holdout);
    let facts = [
        ("model", format!("logistic regression, {} bytes", card.size_bytes)),
        ("digest", card.digest.to_string()),
        ("data", training.source.clone()),
        (
            "target",
            format!(
                "{} = {}, from {} of {} rows",
                training.target, training.positive, training.training_rows, training.rows
            ),
        ),
        (
            "holdout",
            format!(
                "{} rows ({}), seed {}, l2 {}",
                holdout.rows, training.holdout, training.seed, training.l2
            ),
        ),
        ("AUC", format!("{:.4}  (0.5 is chance, 1 is perfect)", holdout.auc)),
        ("log-loss", format!("{:.4}", holdout.log_loss)),
        ("Brier", format!("{:.4}", holdout.brier)),
        (
            "accuracy",
            format!(
                "{} at threshold {}  (base rate {})",
                share(holdout.accuracy),
                card.threshold,
                share(holdout.base_rate)
            ),
        ),
    ];
    let mut text = heading(&show::plain(&path.display().to_string()));
    for (name, value) in facts {
        let name = format!("  {name:<8}  ");
        let _ = write!(text, "\n{}", show::hanging(&name, &show::plain(&value)));
    }
    let hint = (holdout.auc < 0.5).then(|| format!("the model {}", worse_than_chance(card)));
    for warning in training.warnings.iter().chain(&hint) {
        let name = format!("  {}: ", styled(show::WAIT, "warning"));
        let _ = write!(text, "\n{}", show::hanging(&name, &show::plain(warning)));
    }
    text + "\n"
}

/// The details of a card: features, coefficients, calibration.
fn details(card: &Card) -> String {
    let features = card.features.features().iter().map(|feature| {
        let values = match &feature.kind {
            FeatureKind::Numeric { mean, scale } => {
                format!("mean {}, standard deviation {}", short(*mean), short(*scale))
            }
            FeatureKind::Categorical { levels } => {
                let shown: Vec<&str> = levels.iter().take(LEVELS).map(String::as_str).collect();
                let rest = levels.len().saturating_sub(LEVELS);
                let more = if rest > 0 { format!(", and {rest} more") } else { String::new() };
                format!("{}{more}", show::plain(&shown.join(", ")))
            }
        };
        paragraph(&format!("{}: {}, {values}", show::plain(&feature.name), feature.kind))
    });
    let terms = card.coefficients.iter().take(COEFFICIENTS).map(|term| {
        let level = term.level.as_ref().map(|level| format!(" = {level}")).unwrap_or_default();
        let name = show::plain(&format!("{}{level}", term.feature)).into_owned();
        [name, format!("{:+.4}", term.weight)]
    });
    let intercept = ["(intercept)".to_owned(), format!("{:+.4}", card.intercept)];
    let calibration = card.holdout.calibration.iter().filter(|bin| bin.rows > 0).map(|bin| {
        [
            format!("{:.1} to {:.1}", bin.from, bin.to),
            bin.rows.to_string(),
            format!("{:.3}", bin.predicted),
            format!("{:.3}", bin.observed),
        ]
    });
    let mut terms = show::aligned(["term", "log-odds"], [intercept].into_iter().chain(terms));
    let rest = card.coefficients.len().saturating_sub(COEFFICIENTS);
    if rest > 0 {
        terms.push(format!("and {rest} smaller ones (--json has all)"));
    }
    let mut features: Vec<String> = features.collect();
    features.push(paragraph(&show::plain(&missing(card))));
    features.push(paragraph(card.missing));
    let header = ["predicted", "rows", "mean predicted", "observed"];
    [
        ("Features, in order", features),
        ("Terms, largest first (numbers: per standard deviation)", terms),
        ("Calibration on the holdout", show::aligned(header, calibration)),
    ]
    .map(|(title, lines)| format!("{}\n  {}\n", heading(title), lines.join("\n  ")))
    .join("\n")
}

/// What means a missing value.
fn missing(card: &Card) -> String {
    let markers = card.missing_values.in_words();
    match card.format_version {
        2 => format!("missing values: {markers} (the file of version 2 does not say which others)"),
        _ => format!("missing values: {markers}"),
    }
}

/// A text in lines that fit behind the indent of a detail.
fn paragraph(text: &str) -> String {
    show::hanging("    ", text).trim_start().to_owned()
}

fn heading(text: &str) -> String {
    styled(show::STRONG, text)
}

/// Four significant digits; `--json` has them all.
fn short(number: f64) -> String {
    let decimals = 3.0 - number.abs().max(1e-6).log10().floor();
    format!("{number:.*}", decimals.clamp(0.0, 9.0) as usize)
}
