//! A model on the rows of a file: its quality.

use std::path::Path;

use anyhow::Context;
use anyhow::bail;
use serde::Serialize;

use crate::cli::local::compare::scored;
use crate::cli::local::compare::scored::Failed;
use crate::cli::local::compare::scored::Scored;
use crate::cli::local::reading;
use crate::cli::local::reading::ReadingArgs;
use crate::cli::show;
use crate::cli::show::outln;
use crate::model::Artifact;
use crate::model::HoldoutReport;
use crate::model::artifact::report::report;
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
    quality: HoldoutReport,
}

/// Prints the quality of the model on the rows of a file.
///
/// # Errors
/// When the file is not data of the model, or has no outcomes of both classes.
pub(super) fn print(
    path: &Path,
    model: &Artifact,
    data: &Path,
    reading: &ReadingArgs,
    as_json: bool,
) -> anyhow::Result<()> {
    let (quality, failed) = quality(path, model, data, reading)
        .with_context(|| format!("--data {}", data.display()))?;
    let (digest, data) = (model.card().digest.to_string(), data.display().to_string());
    if as_json {
        return show::json(&Measured { data, path, digest, failed, quality });
    }
    let (rows, base_rate) = (quality.rows, share(quality.base_rate));
    let measured = format!("{}: {rows} rows, base rate {base_rate}", show::plain(&data));
    outln!("{}\n", show::wrapped(&measured, ""));
    let name = show::plain(&path.display().to_string()).into_owned();
    if let Some(failures) = failed.in_words(&name) {
        outln!("{}\n", show::wrapped(&show::plain(&failures), ""));
    }
    let number = |name: &str, value: f64| [name.to_owned(), format!("{value:.5}")];
    let rows = [
        number("AUC", quality.auc),
        number("log-loss", quality.log_loss),
        number("Brier", quality.brier),
        ["accuracy".to_owned(), share(quality.accuracy)],
    ];
    show::aligned(["", name.as_str()], rows).iter().for_each(|line| outln!("{line}"));
    if quality.auc < 0.5 {
        let hint = format!(
            "{name} ranks these rows worse than chance (AUC {:.5}): the labels of the file may be inverted against \
             those of its training data.",
            quality.auc
        );
        outln!("\n{}", show::wrapped(&hint, ""));
    }
    Ok(())
}

fn quality(
    path: &Path,
    model: &Artifact,
    data: &Path,
    reading: &ReadingArgs,
) -> anyhow::Result<(HoldoutReport, Failed)> {
    reading::read_again(data)?;
    let card = model.card();
    let Some(threshold) = card.output.threshold() else {
        bail!("the model answers {}; --data measures models of two classes", card.output);
    };
    let target = card.target().context(
        "the model does not say what it predicts; import it again with --target and --positive",
    )?;
    let positive = Some(target.positive.as_str());
    let outcomes = scored::outcomes(model, data, reading, &target.column, positive)?;
    let scored = Scored::new(path, model, data, reading)?;
    let rows = outcomes.of_rows.iter().zip(&scored.scores);
    let answered = rows.filter(|(_, score)| !score.is_nan());
    let (outcomes, scores): (Vec<bool>, Vec<f64>) =
        answered.filter_map(|(outcome, score)| Some(((*outcome)?, *score))).unzip();
    let quality = report(&outcomes, &scores, threshold)
        .context("the rows that the model answers do not contain both classes")?;
    Ok((quality, scored.failed))
}
