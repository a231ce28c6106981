//! `serin inspect`: contents of a model file, or what differs between two.

mod cards;
mod classes;
mod on_data;

use std::fmt::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use anyhow::bail;
use clap::Args;

use super::compare::outcomes::Asked;
use super::library::LibraryArgs;
use super::reading::ReadingArgs;
use crate::cli::show;
use crate::cli::show::outln;
use crate::cli::show::styled;
use crate::model::Artifact;
use crate::model::Card;
use crate::model::OutputKind;
use crate::model::artifact::card::Coefficient;
use crate::model::artifact::card::Import;
use crate::model::artifact::card::Origin;
use crate::model::artifact::card::Trained;
use crate::model::artifact::comparison::worse_than_chance;
use crate::model::kinds::imported::Format;
use crate::model::schema::FeatureKind;
use crate::text::lists::listed;
use crate::text::numbers::grouped;
use crate::text::numbers::share;

/// Maximum number of coefficients printed; `--json` has them all.
const COEFFICIENTS: usize = 12;

/// Compared rows below which a comparison is worth a warning.
const FEW_ROWS: u64 = 30;

/// Maximum number of levels printed for a category.
const LEVELS: usize = 6;

/// Check a model file and print its card: training data, quality, features, coefficients. Of two files print
/// what differs.
#[derive(Args, Clone, Debug)]
pub struct InspectArgs {
    /// Model file, or two to compare.
    #[arg(value_name = "FILE", required = true, num_args = 1..=2)]
    pub files: Vec<PathBuf>,

    /// Measure the quality of one model on the rows of this CSV file, which it was not trained on; for two models use
    /// serin compare. Missing values are marked as in training, unless flags say otherwise.
    #[arg(long, value_name = "CSV")]
    pub data: Option<PathBuf>,

    /// Column of the outcomes [default: what the model predicts, if it says so].
    #[arg(long, value_name = "COL", requires = "data")]
    pub target: Option<String>,

    /// Value of the target that a model of two classes gives the probability of [default: as the model says].
    #[arg(long, value_name = "VALUE", requires = "target")]
    pub positive: Option<String>,

    #[command(flatten)]
    reading: ReadingArgs,

    #[command(flatten)]
    library: LibraryArgs,

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
    args.library.open()?;
    let read = |path: &PathBuf| -> anyhow::Result<(PathBuf, Artifact)> {
        let model = Artifact::read(path).with_context(|| format!("inspect {}", path.display()))?;
        Ok((path.clone(), model))
    };
    let models = args.files.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?;
    match (&models[..], &args.data) {
        ([(path, model)], Some(data)) => {
            let asked = Asked {
                data,
                reading: &args.reading,
                target: args.target.as_deref(),
                positive: args.positive.as_deref(),
            };
            on_data::print(path, model, &asked, args.json)?;
        }
        ([(one, _), (other, _), ..], Some(data)) => bail!(
            "--data: takes one model; compare two with serin compare {} {} --data {}",
            one.display(),
            other.display(),
            data.display()
        ),
        ([one, other], None) => cards::print([one, other], args.json)?,
        (models, _) => {
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

/// A card in ten lines: kind, origin, quality.
pub(crate) fn summary(path: &Path, card: &Card) -> String {
    let facts = match &card.origin {
        Origin::Trained(trained) => of_training(card, trained),
        Origin::TrainedClasses(trained) => classes::of_training(card, trained),
        Origin::Imported { import } => of_import(card, import),
    };
    let mut text = heading(&show::plain(&path.display().to_string()));
    for (name, value) in facts {
        let name = format!("  {name:<8}  ");
        let _ = write!(text, "\n{}", show::hanging(&name, &show::plain(&value)));
    }
    for warning in warnings(card) {
        let name = format!("  {}: ", styled(show::WAIT, "warning"));
        let _ = write!(text, "\n{}", show::hanging(&name, &show::plain(&warning)));
    }
    for table in card.trained_classes().iter().flat_map(|it| classes::figures(&it.holdout)) {
        let _ = write!(text, "\n\n {}", table.join("\n "));
    }
    text + "\n"
}

fn of_training(card: &Card, trained: &Trained) -> Vec<(&'static str, String)> {
    let (training, holdout) = (&trained.training, &trained.holdout);
    let fitted = format!(
        "{} = {}, from {} of {} rows",
        training.target,
        training.positive.as_deref().unwrap_or_default(),
        training.training_rows,
        training.rows
    );
    let split = format!(
        "{} rows ({}), seed {}, l2 {}",
        holdout.rows, training.holdout, training.seed, training.l2
    );
    let accuracy = format!(
        "{} at threshold {}  (base rate {})",
        share(holdout.accuracy),
        card.output.threshold().unwrap_or_default(),
        share(holdout.base_rate)
    );
    vec![
        ("model", format!("logistic regression, {} bytes", card.size_bytes)),
        ("digest", card.digest.to_string()),
        ("data", training.source.clone()),
        ("target", fitted),
        ("holdout", split),
        ("AUC", format!("{:.4}  (0.5 is chance, 1 is perfect)", holdout.auc)),
        ("log-loss", format!("{:.4}", holdout.log_loss)),
        ("Brier", format!("{:.4}", holdout.brier)),
        ("accuracy", accuracy),
    ]
}

fn of_import(card: &Card, import: &Import) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("model", format!("{}, {} bytes", import.format, card.size_bytes)),
        ("digest", card.digest.to_string()),
        ("from", import.source.clone().unwrap_or_else(|| "as its library wrote it".to_owned())),
        ("answers", answers(&card.output, &import.objective)),
    ];
    facts.extend(
        import.target.as_ref().map(|it| ("target", format!("{} = {}", it.column, it.positive))),
    );
    if let [first, second] = import.classes.as_slice() {
        let names = listed([first.as_str(), second.as_str()]);
        facts.push(("classes", format!("{names}; the probability is of `{second}`")));
    }
    facts.extend(import.library.map(|library| ("run by", library.to_owned())));
    facts.extend(import.parity.as_ref().map(|parity| ("parity", parity.in_words())));
    facts
}

/// What a model answers, with its objective in the words of its file.
fn answers(output: &OutputKind, objective: &str) -> String {
    match output {
        OutputKind::Probability { threshold } => {
            format!("a probability ({objective}), threshold {threshold}")
        }
        OutputKind::Probabilities { classes } => {
            let names = listed(classes.iter().map(String::as_str));
            format!("probabilities of {} classes ({objective}): {names}", classes.len())
        }
        OutputKind::Score => format!("a score ({objective})"),
    }
}

fn warnings(card: &Card) -> Vec<String> {
    match &card.origin {
        Origin::Trained(trained) => {
            let hint = (trained.holdout.auc < 0.5)
                .then(|| format!("the model {}", worse_than_chance(trained)));
            trained.training.warnings.iter().cloned().chain(hint).collect()
        }
        Origin::TrainedClasses(trained) => {
            let hint = classes::worse_than_shares(&trained.holdout);
            let hint = hint.map(|hint| format!("the model {hint}"));
            trained.training.warnings.iter().cloned().chain(hint).collect()
        }
        Origin::Imported { import } => {
            let uncompared = "its answers were not compared with those of the original model; import it with --expect";
            let unanswered =
                "without --onnxruntime it cannot run here, and its stored answers were not checked";
            let cannot_run = import.format == Format::Onnx && import.library.is_none();
            let uncompared = import.parity.is_none().then(|| uncompared.to_owned());
            let few = import.parity.as_ref().filter(|parity| parity.rows < FEW_ROWS);
            let few = few.map(|_| {
                "so few rows show little; compare some hundred, with missing values, rare categories and extremes"
                    .to_owned()
            });
            let constant = import.constant.map(|answer| {
                format!(
                    "the original answered {answer} for every row that was kept, which shows little; compare rows that \
                     differ in all columns"
                )
            });
            let cannot_run = cannot_run.then(|| unanswered.to_owned());
            uncompared.into_iter().chain(few).chain(constant).chain(cannot_run).collect()
        }
    }
}

/// The details of a card: features, and of a trained model coefficients and calibration.
fn details(card: &Card) -> String {
    let features = card.features.features().iter().map(|feature| {
        let values = match &feature.kind {
            FeatureKind::Numeric { mean, scale } => {
                format!(", mean {}, standard deviation {}", short(*mean), short(*scale))
            }
            FeatureKind::Number => String::new(),
            FeatureKind::Categorical { levels } => {
                let shown: Vec<&str> = levels.iter().take(LEVELS).map(String::as_str).collect();
                let rest = levels.len().saturating_sub(LEVELS);
                let more = if rest > 0 { format!(", and {rest} more") } else { String::new() };
                format!(", {}{more}", show::plain(&shown.join(", ")))
            }
        };
        paragraph(&format!("{}: {}{values}", show::plain(&feature.name), feature.kind))
    });
    let mut features: Vec<String> = features.collect();
    features.push(paragraph(&show::plain(&missing(card))));
    features.push(paragraph(card.missing));
    features.push(paragraph(&inputs(card)));
    let mut sections = vec![("Features, in order", features)];
    if let Some(trained) = card.trained() {
        let terms = terms(trained.intercept, &trained.coefficients);
        sections.push(("Terms, largest first (numbers: per standard deviation)", terms));
        sections.push(("Calibration on the holdout", calibration(trained)));
    }
    if let Some(trained) = card.trained_classes() {
        sections.push((
            "Terms of each class, largest first (numbers: per standard deviation)",
            classes::terms(trained),
        ));
    }
    let section = |(title, lines): (&str, Vec<String>)| {
        format!("{}\n  {}\n", heading(title), lines.join("\n  "))
    };
    sections.into_iter().map(section).collect::<Vec<_>>().join("\n")
}

fn terms(intercept: f64, coefficients: &[Coefficient]) -> Vec<String> {
    let terms = coefficients
        .iter()
        .take(COEFFICIENTS)
        .map(|term| [show::plain(&term.name()).into_owned(), format!("{:+.4}", term.weight)]);
    let intercept = ["(intercept)".to_owned(), format!("{intercept:+.4}")];
    let mut lines = show::aligned(["term", "log-odds"], [intercept].into_iter().chain(terms));
    let rest = coefficients.len().saturating_sub(COEFFICIENTS);
    if rest > 0 {
        lines.push(format!("and {rest} smaller ones (--json has all)"));
    }
    lines
}

fn calibration(trained: &Trained) -> Vec<String> {
    let bins = trained.holdout.calibration.iter().filter(|bin| bin.rows > 0).map(|bin| {
        [
            format!("{:.1} to {:.1}", bin.from, bin.to),
            bin.rows.to_string(),
            format!("{:.3}", bin.predicted),
            format!("{:.3}", bin.observed),
        ]
    });
    show::aligned(["predicted", "rows", "mean predicted", "observed"], bins)
}

/// What means a missing value.
fn missing(card: &Card) -> String {
    let markers = card.missing_values.in_words();
    match card.format_version {
        Some(2) => {
            format!("missing values: {markers} (the file of version 2 does not say which others)")
        }
        _ => format!("missing values: {markers}"),
    }
}

/// Which inputs of training the file has.
fn inputs(card: &Card) -> String {
    match &card.inputs {
        Some(inputs) => {
            let (rows, features) = (grouped(inputs.rows), grouped(inputs.features.len() as u64));
            let of = if card.imported().is_some() { "compared" } else { "training" };
            format!(
                "distribution of {features} features in {rows} {of} rows, for drift (--json has it)"
            )
        }
        None => {
            "no distribution of the features: a server cannot show how far its traffic has drifted"
                .to_owned()
        }
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
