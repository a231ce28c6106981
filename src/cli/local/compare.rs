//! `serin compare`: two models on the same rows, before either gets traffic.

mod comparison;
mod decision;
mod figures;
pub(super) mod outcomes;
mod page;
pub(super) mod quality;
pub(super) mod scored;
mod segments;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use anyhow::bail;
use clap::Args;

use self::comparison::Comparison;
use self::outcomes::Asked;
use self::scored::Scored;
use super::library::LibraryArgs;
use super::reading;
use super::reading::ReadingArgs;
use crate::canary::analysis::two_samples::Decision;
use crate::cli::exit::FAIL;
use crate::cli::exit::INCONCLUSIVE;
use crate::cli::show;
use crate::model::Artifact;

/// Compare two models on the same rows, before either gets traffic.
#[derive(Args, Clone, Debug)]
pub struct CompareArgs {
    /// Model file of the baseline, such as the stable model.
    #[arg(value_name = "A")]
    pub a: PathBuf,

    /// Model file to compare with it, such as the next canary.
    #[arg(value_name = "B")]
    pub b: PathBuf,

    /// CSV file with rows that neither model was trained on. Missing values are marked as in training, unless flags
    /// say otherwise.
    #[arg(long, value_name = "CSV")]
    pub data: PathBuf,

    /// Column of the outcomes [default: what models of two classes predict, if the file has that column].
    #[arg(long, value_name = "COL")]
    pub target: Option<String>,

    /// Value of the target that models of two classes give the probability of [default: as the models say].
    #[arg(long, value_name = "VALUE", requires = "target")]
    pub positive: Option<String>,

    /// Also compare within each value of this column; repeat for several.
    #[arg(long, value_name = "COL")]
    pub segment: Vec<String>,

    #[command(flatten)]
    reading: ReadingArgs,

    #[command(flatten)]
    library: LibraryArgs,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Prints the comparison.
///
/// # Errors
/// When a file is not a model, the data does not have its features, or the models predict different targets.
pub fn run(args: &CompareArgs) -> anyhow::Result<ExitCode> {
    args.library.open()?;
    let read = |path: &PathBuf| {
        Artifact::read(path).with_context(|| format!("compare {}", path.display()))
    };
    let models = [read(&args.a)?, read(&args.b)?];
    let paths = [args.a.as_path(), args.b.as_path()];
    let what = || format!("--data {}", args.data.display());
    reading::read_again(&args.data).with_context(what)?;
    let [ours, theirs] = models.each_ref().map(|model| &model.card().output);
    if !ours.is_same_as(theirs) {
        bail!(
            "{} answers {ours} and {} answers {theirs}; compare models with the same output",
            args.a.display(),
            args.b.display()
        );
    }
    let asked = Asked {
        data: &args.data,
        reading: &args.reading,
        target: args.target.as_deref(),
        positive: args.positive.as_deref(),
    };
    let named = [(paths[0], &models[0]), (paths[1], &models[1])];
    let outcomes = asked.outcomes(&named).with_context(what)?;
    let mut both = Vec::new();
    for (path, model) in paths.into_iter().zip(&models) {
        let scored = Scored::new(path, model, &args.data, &args.reading);
        both.push(scored.with_context(|| format!("{}, {}", what(), path.display()))?);
    }
    // A category that a model lists is a value of the segments as well, also where it is a marker of missing values.
    let reading = models
        .iter()
        .fold(args.reading.options(), |options, model| options.with_listed(model.model().schema()));
    let segments = segments::read(&args.data, &args.segment, reading).with_context(what)?;
    let [a, b] = &both[..] else { bail!("compare takes two models") };
    let comparison =
        Comparison::of(&args.data, [a, b], outcomes.as_ref(), &segments).with_context(what)?;
    if args.json {
        show::json(&comparison)?
    } else {
        page::print(&comparison)
    }
    Ok(match comparison.decision {
        Decision::Promote => ExitCode::SUCCESS,
        Decision::Rollback => ExitCode::from(FAIL),
        Decision::Wait => ExitCode::from(INCONCLUSIVE),
    })
}
