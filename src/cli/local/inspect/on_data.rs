//! A model on the rows of a file: its quality.

use std::path::Path;

use anyhow::Context;
use anyhow::bail;
use serde::Serialize;

use crate::cli::local::compare::outcomes::Asked;
use crate::cli::local::compare::quality::Known;
use crate::cli::local::compare::quality::Quality;
use crate::cli::local::compare::scored::Failed;
use crate::cli::local::compare::scored::Scored;
use crate::cli::local::reading;
use crate::cli::show;
use crate::cli::show::outln;
use crate::model::Artifact;
use crate::model::OutputKind;
use crate::text::numbers::number;
use crate::text::numbers::share;

/// What was measured.
#[derive(Serialize)]
struct Measured<'m> {
    data: String,
    path: &'m Path,
    digest: String,
    #[serde(flatten)]
    failed: Failed,
    #[serde(flatten)]
    quality: Quality,
}

/// Prints the quality of the model on the rows of a file.
///
/// # Errors
/// When the file is not data of the model, or has no outcomes that show a quality.
pub(super) fn print(
    path: &Path,
    model: &Artifact,
    asked: &Asked<'_>,
    as_json: bool,
) -> anyhow::Result<()> {
    let (quality, failed) =
        quality(path, model, asked).with_context(|| format!("--data {}", asked.data.display()))?;
    let (digest, data) = (model.card().digest.to_string(), asked.data.display().to_string());
    if as_json {
        return show::json(&Measured { data, path, digest, failed, quality });
    }
    let outcomes = match &quality {
        Quality::TwoClasses { report, .. } => format!(", base rate {}", share(report.base_rate)),
        Quality::Classes { .. } => String::new(),
        Quality::Scores { mean_outcome, .. } => {
            format!(", outcomes of {} on average", number(*mean_outcome))
        }
    };
    let measured = format!("{}: {} rows{outcomes}", show::plain(&data), quality.rows());
    outln!("{}\n", show::wrapped(&measured, ""));
    let name = show::plain(&path.display().to_string()).into_owned();
    if let Some(failures) = failed.in_words(&name) {
        outln!("{}\n", show::wrapped(&show::plain(&failures), ""));
    }
    let rows = quality.figures().into_iter().map(|figure| [figure.name.to_owned(), figure.value]);
    show::aligned(["", name.as_str()], rows).iter().for_each(|line| outln!("{line}"));
    if let Some(hint) = quality.hint(&name) {
        outln!("\n{}", show::wrapped(&hint, ""));
    }
    Ok(())
}

fn quality(path: &Path, model: &Artifact, asked: &Asked<'_>) -> anyhow::Result<(Quality, Failed)> {
    reading::read_again(asked.data)?;
    if asked.target.is_none() && model.card().target_column().is_none() {
        let positive = match model.card().output {
            OutputKind::Probability { .. } => " and --positive",
            OutputKind::Probabilities { .. } | OutputKind::Score => "",
        };
        bail!(
            "the model does not say what it predicts; name the column of the outcomes with --target{positive}"
        );
    }
    // Without the column, the error names those of the file.
    let asked = Asked { target: asked.target.or(model.card().target_column()), ..*asked };
    let labeled = asked.outcomes(&[(path, model)])?;
    let labeled = labeled.context("the file has no column of outcomes")?;
    let scored = Scored::new(path, model, asked.data, asked.reading)?;
    let known = Known::new(&scored, &labeled.of_rows, 0..scored.answers.len());
    Ok((known.quality()?, scored.failed))
}
