//! `serin train`: the two default models on synthetic data, or one model on a CSV file.

use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use serde::Serialize;

use super::inspect;
use crate::cli::show;
use crate::cli::show::outln;
use crate::model::Artifact;
use crate::model::Card;
use crate::model::Dataset;
use crate::model::TrainingOptions;
use crate::model::dataset::DatasetOptions;
use crate::model::train;
use crate::model::training::Holdout;
use crate::model::training::defaults;

/// Train the two default models, or with --data one model on a CSV file.
#[derive(Args, Clone, Debug)]
pub struct TrainArgs {
    /// Output folder for model_v1.bin and model_v2.bin, or for the model named after the --data file.
    #[arg(long, env = "SERIN_MODELS", value_name = "DIR", default_value = "models")]
    pub models: PathBuf,

    /// CSV file to train on: a header, one row per line, missing values left blank.
    #[arg(long, value_name = "FILE", requires_all = ["target", "positive"])]
    pub data: Option<PathBuf>,

    /// Column to predict.
    #[arg(long, value_name = "COL", requires = "data")]
    pub target: Option<String>,

    /// Value of the target that counts as 1; every other value counts as 0.
    #[arg(long, value_name = "VALUE", requires = "data")]
    pub positive: Option<String>,

    /// Columns to ignore, such as identifiers; separate several with spaces or commas.
    #[arg(long, value_name = "COL", num_args = 1.., value_delimiter = ',', requires = "data")]
    pub drop: Vec<String>,

    /// Output file for the model trained on --data, instead of a file in --models.
    #[arg(long, value_name = "FILE", requires = "data")]
    pub out: Option<PathBuf>,

    /// L2 penalty on the coefficients, above 0 to 1e9 (1 / C of scikit-learn).
    #[arg(long, value_name = "NUMBER", default_value_t = 1.0)]
    pub l2: f64,

    /// Share of the rows held out at random for evaluation, between 0 and 1 [default: 0.2].
    #[arg(long, value_name = "SHARE", conflicts_with = "holdout_every")]
    pub test_fraction: Option<f64>,

    /// Hold out every N-th row instead (index % N == N - 1); N is at least 2.
    #[arg(long, value_name = "N")]
    pub holdout_every: Option<usize>,

    /// Random seed; the same seed and data give the same bytes.
    #[arg(long, value_name = "N", default_value_t = 42)]
    pub seed: u64,

    /// Probability at and above which the label is 1, 0 to 1.
    #[arg(long, value_name = "PROBABILITY", default_value_t = 0.5)]
    pub threshold: f64,

    /// Print JSON: path and card of each model.
    #[arg(long)]
    pub json: bool,
}

impl TrainArgs {
    fn options(&self) -> TrainingOptions {
        let holdout = match (self.holdout_every, self.test_fraction) {
            (Some(every), _) => Holdout::Every(every),
            (None, Some(fraction)) => Holdout::Fraction(fraction),
            (None, None) => Holdout::default(),
        };
        TrainingOptions { l2: self.l2, holdout, seed: self.seed, threshold: self.threshold }
    }
}

#[derive(Serialize)]
struct TrainedModels<'a> {
    models: Vec<Trained<'a>>,
}

#[derive(Serialize)]
struct Trained<'a> {
    path: &'a Path,
    card: &'a Card,
}

/// Trains, writes, and prints a report.
///
/// # Errors
/// When an option, the data or the output folder is invalid.
pub fn run(args: &TrainArgs) -> anyhow::Result<ExitCode> {
    let trained = match &args.data {
        None => train_defaults(args)?,
        Some(data) => vec![train_on(data.clone(), args)?],
    };
    if args.json {
        let models = trained.iter();
        let models = models.map(|(path, model)| Trained { path, card: model.card() }).collect();
        show::json(&TrainedModels { models })?;
    } else {
        for (path, model) in &trained {
            outln!("{}", inspect::summary(path, model.card()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn train_defaults(args: &TrainArgs) -> anyhow::Result<Vec<(PathBuf, Artifact)>> {
    let models = defaults::train_default_models(&args.options()).context("train")?;
    let paths = defaults::write_models(&args.models, models.clone()).context("train")?;
    Ok(paths.into_iter().zip(models.into_iter().map(|(_, model)| model)).collect())
}

fn train_on(data: PathBuf, args: &TrainArgs) -> anyhow::Result<(PathBuf, Artifact)> {
    // clap requires both with --data.
    let target = args.target.clone().context("--target is missing; use the column to predict")?;
    let positive = args.positive.clone().context("--positive is missing; use the value of a 1")?;
    let options = DatasetOptions { target, positive, drop: args.drop.clone() };
    let what = || format!("train {}", data.display());
    let dataset = Dataset::from_csv(&data, &options).with_context(what)?;
    let model = train(&dataset, &args.options()).with_context(what)?;
    let out = args.out.clone().unwrap_or_else(|| default_out(&data, &args.models));
    if let Some(folder) = out.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot create the folder {}", folder.display()))?;
    }
    model.write(&out).with_context(|| out.display().to_string())?;
    Ok((out, model))
}

/// The name of the data file with `.bin`, in the models folder.
fn default_out(data: &Path, models: &Path) -> PathBuf {
    let mut name = data.file_stem().unwrap_or_default().to_owned();
    name.push(".bin");
    models.join(name)
}
