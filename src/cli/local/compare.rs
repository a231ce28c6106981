//! `serin compare`: two models on the same rows, before either gets traffic.

mod comparison;
mod decision;
mod figures;
mod page;
pub(super) mod scored;
mod segments;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use anyhow::bail;
use clap::Args;

use self::comparison::Comparison;
use self::scored::Labeled;
use self::scored::Scored;
use super::library::LibraryArgs;
use super::reading;
use super::reading::ReadingArgs;
use crate::canary::analysis::two_samples::Decision;
use crate::cli::exit::FAIL;
use crate::cli::exit::INCONCLUSIVE;
use crate::cli::show;
use crate::model::Artifact;
use crate::model::Dataset;
use crate::model::artifact::card::Target;
use crate::model::dataset::for_model::Outcomes;

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

    /// Column of the outcomes [default: what the models predict, if the file has that column].
    #[arg(long, value_name = "COL")]
    pub target: Option<String>,

    /// Value of the target that the models give the probability of [default: as the models say].
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
    let outcomes = outcomes(args, [&models[0], &models[1]]).with_context(what)?;
    let mut both = Vec::new();
    for (path, model) in paths.into_iter().zip(&models) {
        let scored = Scored::new(path, model, &args.data, &args.reading);
        both.push(scored.with_context(|| format!("{}, {}", what(), path.display()))?);
    }
    let segments =
        segments::read(&args.data, &args.segment, args.reading.options()).with_context(what)?;
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

/// The outcomes; `None` if no target is known or the file does not have it.
fn outcomes(args: &CompareArgs, models: [&Artifact; 2]) -> anyhow::Result<Option<Labeled>> {
    let known = models.map(|model| model.card().target());
    if let [Some(ours), Some(theirs)] = &known
        && ours != theirs
        && (args.target.is_none() || ours.column == theirs.column)
    {
        // The probabilities of two values of one column are opposites, whatever the outcomes are called.
        let remedy = match ours.column == theirs.column {
            true => {
                "compare models of the same value: train or import one again with another --positive"
            }
            false => {
                "compare models of the same target, or name the outcomes with --target and --positive"
            }
        };
        bail!(
            "{} predicts {} and {} predicts {}; {remedy}",
            args.a.display(),
            ours.in_words(),
            args.b.display(),
            theirs.in_words(),
        );
    }
    for (path, target) in [&args.a, &args.b].into_iter().zip(&known) {
        if let (Some(target), Some(positive)) = (target, &args.positive)
            && args.target.as_ref() == Some(&target.column)
            && *positive != target.positive
        {
            bail!(
                "--positive {positive}: {} predicts {}; leave out --positive, or compare models of `{positive}`",
                path.display(),
                target.in_words()
            );
        }
    }
    let known: Vec<Target> = known.into_iter().flatten().collect();
    let (column, positive) = match (&args.target, known.first()) {
        (Some(column), _) => {
            let same = known.iter().find(|target| target.column == *column);
            // Under another name the outcomes have the values that the models know, if they agree.
            let agreed = known
                .first()
                .filter(|first| known.iter().all(|target| target.positive == first.positive));
            let positive = same.or(agreed).map(|target| target.positive.clone());
            (column.clone(), args.positive.clone().or(positive))
        }
        (None, Some(Target { column, positive })) => {
            if !Dataset::header(&args.data)?.contains(column) {
                return Ok(None);
            }
            (column.clone(), Some(positive.clone()))
        }
        (None, None) => return Ok(None),
    };
    let read = |model: &Artifact| {
        scored::outcomes(model, &args.data, &args.reading, &column, positive.as_deref())
    };
    let [Outcomes { positive, of_rows }, theirs] = [read(models[0])?, read(models[1])?];
    if of_rows != theirs.of_rows {
        bail!(
            "the models read different values of `{column}` as missing; say which with --missing-only"
        );
    }
    Ok(Some(Labeled { target: Target { column, positive }, of_rows }))
}
