//! Models on the rows of one file: quality of each, and the difference row by row.

use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use anyhow::bail;
use serde::Serialize;

use super::cards;
use super::paired;
use super::paired::Difference;
use crate::cli::local::reading::ReadingArgs;
use crate::cli::show;
use crate::cli::show::outln;
use crate::model::Artifact;
use crate::model::Dataset;
use crate::model::HoldoutReport;
use crate::model::artifact::report::log_loss;
use crate::model::artifact::report::report;
use crate::model::dataset::DatasetOptions;
use crate::stats::brier;
use crate::text::lists::quoted;
use crate::text::numbers::share;

/// What was measured.
#[derive(Serialize)]
struct Comparison<'m> {
    data: String,
    models: Vec<Measured<'m>>,
    /// The second model minus the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    differences: Option<Differences>,
    /// The model with the lower log-loss, if the difference is more than noise.
    #[serde(skip_serializing_if = "Option::is_none")]
    better: Option<&'m Path>,
}

/// The quality of one model.
#[derive(Serialize)]
struct Measured<'m> {
    path: &'m Path,
    digest: String,
    #[serde(flatten)]
    quality: HoldoutReport,
    #[serde(skip)]
    probabilities: Vec<f64>,
}

/// The differences between two models.
#[derive(Serialize)]
struct Differences {
    auc: Difference,
    log_loss: Difference,
    brier: Difference,
}

/// Prints the quality of the models on the rows of a file, and which of two is better.
///
/// # Errors
/// When the file is not data of the models, or they predict different targets.
pub(super) fn print(
    models: &[(PathBuf, Artifact)],
    data: &Path,
    reading: &ReadingArgs,
    as_json: bool,
) -> anyhow::Result<()> {
    if let [(one, first), (other, second)] = models {
        let cards = [first, second].map(Artifact::card);
        if let Some(targets) = cards::other_targets(cards) {
            let [ours, theirs] = targets.map(|target| cards::in_words(&target));
            bail!(
                "{} predicts {ours} and {} predicts {theirs}; compare models of the same target",
                one.display(),
                other.display(),
            );
        }
    }
    let mut outcomes = Vec::new();
    let mut measured = Vec::new();
    for (path, model) in models {
        let rows =
            rows(model, data, reading).with_context(|| format!("--data {}", data.display()))?;
        measured.push(of_model(path, model, &rows)?);
        if !outcomes.is_empty() && outcomes != rows.labels() {
            bail!(
                "--data {}: the models read different values of {} as missing; say which with --missing-only",
                data.display(),
                quoted(rows.target())
            );
        }
        outcomes = rows.labels().to_vec();
    }
    let differences = match &measured[..] {
        [first, second] => Differences::of(first, second, &outcomes),
        _ => None,
    };
    let better = differences.as_ref().filter(|found| !found.log_loss.is_noise());
    let better =
        better.map(|found| models[usize::from(found.log_loss.difference < 0.0)].0.as_path());
    let data = data.display().to_string();
    let comparison = Comparison { data, models: measured, differences, better };
    if as_json { show::json(&comparison) } else { show(&comparison) }
}

/// The rows with the features of a model, whatever else is in the file.
fn rows(model: &Artifact, data: &Path, reading: &ReadingArgs) -> anyhow::Result<Dataset> {
    let card = model.card();
    let target = card.target().context(
        "the model does not say what it predicts; import it again with --target and --positive",
    )?;
    let options = reading.applied(DatasetOptions::of_model(card, target));
    Ok(Dataset::from_csv(data, &options)?)
}

fn of_model<'m>(path: &'m Path, model: &Artifact, rows: &Dataset) -> anyhow::Result<Measured<'m>> {
    let (logistic, digest) = (model.model(), model.card().digest.to_string());
    let probability = |row: usize| -> anyhow::Result<f64> {
        let features = logistic.schema().row(rows.features(row))?;
        Ok(logistic.predict(&features)?.score())
    };
    let count = rows.labels().len();
    let probabilities = (0..count).map(probability).collect::<anyhow::Result<Vec<f64>>>()?;
    let quality = report(rows.labels(), &probabilities, model.card().threshold)
        .context("the rows do not contain both classes")?;
    Ok(Measured { path, digest, quality, probabilities })
}

impl Differences {
    fn of(first: &Measured<'_>, second: &Measured<'_>, outcomes: &[bool]) -> Option<Self> {
        let both = [&first.probabilities[..], &second.probabilities[..]];
        Some(Self {
            auc: paired::areas(both, outcomes)?,
            log_loss: paired::losses(both, outcomes, |p, outcome| log_loss(outcome, p))?,
            brier: paired::losses(both, outcomes, brier)?,
        })
    }
}

fn show(comparison: &Comparison<'_>) -> anyhow::Result<()> {
    let models = &comparison.models;
    let names: Vec<String> =
        models.iter().map(|model| show::plain(&model.path.display().to_string()).into()).collect();
    let differences = comparison.differences.as_ref();
    let mut header = vec![""];
    header.extend(names.iter().map(String::as_str));
    if differences.is_some() {
        header.extend(["difference", "standard error"]);
    }
    let row = |name: &str, value: fn(&HoldoutReport) -> String, difference: Option<&Difference>| {
        let values = models.iter().map(|model| value(&model.quality));
        let difference = difference.map(|found| {
            [format!("{:+.5}", found.difference), format!("{:.5}", found.standard_error)]
        });
        [name.to_owned()]
            .into_iter()
            .chain(values)
            .chain(difference.into_iter().flatten())
            .collect::<Vec<String>>()
    };
    let rows = [
        row("AUC", |found| format!("{:.5}", found.auc), differences.map(|all| &all.auc)),
        row(
            "log-loss",
            |found| format!("{:.5}", found.log_loss),
            differences.map(|all| &all.log_loss),
        ),
        row("Brier", |found| format!("{:.5}", found.brier), differences.map(|all| &all.brier)),
        row("accuracy", |found| share(found.accuracy), None),
    ];
    let quality = &models[0].quality;
    let (rows_found, base_rate) = (quality.rows, share(quality.base_rate));
    let data = show::plain(&comparison.data);
    let measured = format!("{data}: {rows_found} rows, base rate {base_rate}");
    outln!("{}\n", show::wrapped(&measured, ""));
    show::aligned(header, rows).iter().for_each(|line| outln!("{line}"));
    for (name, model) in names.iter().zip(models).filter(|(_, model)| model.quality.auc < 0.5) {
        let hint = format!(
            "{name} ranks these rows worse than chance (AUC {:.5}): the labels of the file may be inverted against \
             those of its training data.",
            model.quality.auc
        );
        outln!("\n{}", show::wrapped(&hint, ""));
    }
    if let (Some(differences), [_, _]) = (differences, &names[..]) {
        outln!("\n{}", verdict(&differences.log_loss, &names));
    }
    Ok(())
}

/// Which model is better, by the log-loss, which both order and level of the probabilities enter.
fn verdict(log_loss: &Difference, names: &[String]) -> String {
    let [low, high] = log_loss.interval;
    if log_loss.is_noise() {
        return show::wrapped(
            &format!(
                "Within noise: the log-loss of {} minus that of {} is {low:+.5} to {high:+.5} (95 % interval), \
                 so this data does not show which model is better.",
                names[1], names[0]
            ),
            "",
        );
    }
    let is_second = log_loss.difference < 0.0;
    let [least, most] = if is_second { [-high, -low] } else { [low, high] };
    show::wrapped(
        &format!(
            "{} is better: its log-loss is lower by {least:.5} to {most:.5} (95 % interval).",
            names[usize::from(is_second)]
        ),
        "",
    )
}
