//! `serin train`: data to model files.
//!
//! Alone it trains the two default models on made-up data; with `--data` it trains one on a CSV file.

#![expect(clippy::print_stdout, reason = "the command line prints its result")]

use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use serde_json::json;

use super::inspect;
use crate::model::Artifact;
use crate::model::Dataset;
use crate::model::TrainingOptions;
use crate::model::dataset::DatasetOptions;
use crate::model::train;
use crate::model::training::Holdout;
use crate::model::training::defaults;

/// Train models: without --data the two default ones, with it one on a CSV file.
#[derive(Args, Clone, Debug)]
pub struct TrainArgs {
    /// Folder to write to: model_v1.bin and model_v2.bin, or the --data file's name with .bin.
    #[arg(long, env = "SERIN_MODELS", value_name = "DIR", default_value = "models")]
    pub models: PathBuf,

    /// CSV file to train on: a header, one row a line, blanks where a value is not known.
    #[arg(long, value_name = "FILE", requires_all = ["target", "positive"])]
    pub data: Option<PathBuf>,

    /// Column to learn.
    #[arg(long, value_name = "COL", requires = "data")]
    pub target: Option<String>,

    /// The target's value that counts as 1; every other counts as 0.
    #[arg(long, value_name = "VALUE", requires = "data")]
    pub positive: Option<String>,

    /// Columns to leave out, such as identifiers; several after one flag, or separated by commas.
    #[arg(long, value_name = "COL", num_args = 1.., value_delimiter = ',', requires = "data")]
    pub drop: Vec<String>,

    /// Where to write the model trained on --data, instead of --models.
    #[arg(long, value_name = "FILE", requires = "data")]
    pub out: Option<PathBuf>,

    /// Penalty on the squared coefficients, above 0 (1 / C of scikit-learn).
    #[arg(long, value_name = "NUMBER", default_value_t = 1.0)]
    pub l2: f64,

    /// Share of the rows to hold out at random and judge the model on; 0.2 unless given.
    #[arg(long, value_name = "SHARE", conflicts_with = "holdout_every")]
    pub test_fraction: Option<f64>,

    /// Hold out every N-th row instead: those with index % N == N - 1.
    #[arg(long, value_name = "N")]
    pub holdout_every: Option<usize>,

    /// Seed of the random holdout and of the made-up data; the same seed gives the same bytes.
    #[arg(long, value_name = "N", default_value_t = 42)]
    pub seed: u64,

    /// Probability at and above which the label is 1.
    #[arg(long, value_name = "PROBABILITY", default_value_t = 0.5)]
    pub threshold: f64,

    /// Print JSON: for each model its path and its card.
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

/// Trains, writes, and prints a report.
///
/// # Errors
///
/// Whatever is wrong with the options, the data or the folder, worded for the terminal.
pub fn run(args: &TrainArgs) -> anyhow::Result<ExitCode> {
    let trained = match &args.data {
        None => train_defaults(args)?,
        Some(data) => vec![train_on(data.clone(), args)?],
    };
    if args.json {
        let models: Vec<_> = trained
            .iter()
            .map(|(path, model)| json!({"path": path.display().to_string(), "card": model.card()}))
            .collect();
        println!("{}", serde_json::to_string_pretty(&json!({ "models": models }))?);
    } else {
        for (path, model) in &trained {
            anstream::println!("{}", inspect::summary(path, model.card()));
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
    // clap demands these two beside --data; the words are for whoever calls this otherwise.
    let target = args.target.clone().context("train: no --target; name the column to learn")?;
    let positive = args.positive.clone().context("train: no --positive; name the value for 1")?;
    let options = DatasetOptions { target, positive, drop: args.drop.clone() };
    let what = || format!("train {}", data.display());
    let dataset = Dataset::from_csv(&data, &options).with_context(what)?;
    let model = train(&dataset, &args.options()).with_context(what)?;
    let out = args.out.clone().unwrap_or_else(|| default_out(&data, &args.models));
    if let Some(folder) = out.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("{}: the folder cannot be made", folder.display()))?;
    }
    model.write(&out).with_context(|| out.display().to_string())?;
    Ok((out, model))
}

/// The data's name with `.bin`, in the models' folder.
fn default_out(data: &Path, models: &Path) -> PathBuf {
    let mut name = data.file_stem().unwrap_or_default().to_owned();
    name.push(".bin");
    models.join(name)
}
