//! `serin train`: the two default models on synthetic data, or one model on a CSV file.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use anyhow::anyhow;
use anyhow::bail;
use clap::Args;
use indicatif::ProgressBar;
use indicatif::ProgressStyle;
use serde::Serialize;

use super::inspect;
use super::reading::ReadingArgs;
use crate::cli::show::outln;
use crate::model::Artifact;
use crate::model::Card;
use crate::model::Dataset;
use crate::model::DatasetError;
use crate::model::TrainingOptions;
use crate::model::dataset::Classes;
use crate::model::dataset::DatasetOptions;
use crate::model::dataset::Labels;
use crate::model::train;
use crate::model::training::Holdout;
use crate::model::training::defaults;
use crate::text::files::check_whole;

/// Train the two default models, or with --data one model on a CSV file.
#[derive(Args, Clone, Debug)]
pub struct TrainArgs {
    /// Output folder for model_v1.bin and model_v2.bin, or for the model named after the --data file.
    #[arg(long, env = "SERIN_MODELS", value_name = "DIR", default_value = "models")]
    pub models: PathBuf,

    /// CSV file to train on, or - for standard input: a header, one row per line. Separators, decimal
    /// commas, UTF-16 and gzip are recognized.
    #[arg(long, value_name = "FILE", requires = "target")]
    pub data: Option<PathBuf>,

    /// Column to predict: two classes, or 3 to 100.
    #[arg(long, value_name = "COL", requires = "data")]
    pub target: Option<String>,

    /// Value of the target that counts as 1; every other value counts as 0. Not needed for 0 and 1, no
    /// and yes, false and true. Without it all classes of a target of 3 to 100 values are learned.
    #[arg(long, value_name = "VALUE", requires = "data")]
    pub positive: Option<String>,

    /// Column to ignore, such as an identifier; repeat for several.
    #[arg(long, value_name = "COL", requires = "data")]
    pub drop: Vec<String>,

    /// Column of numbers, even if it looks like codes; repeat for several.
    #[arg(long, value_name = "COL", requires = "data")]
    pub numeric: Vec<String>,

    /// Column of words, even if it looks like numbers, or a target whose numbers are codes of classes; repeat for
    /// several.
    #[arg(long, value_name = "COL", requires = "data")]
    pub categorical: Vec<String>,

    /// Leave out rows without a target instead of refusing them.
    #[arg(long, requires = "data")]
    pub skip_unlabeled: bool,

    #[command(flatten)]
    reading: ReadingArgs,

    /// Output file for the model trained on --data, instead of a file in --models; - for standard output.
    #[arg(long, value_name = "FILE", requires = "data")]
    pub out: Option<PathBuf>,

    /// L2 penalty on the coefficients, above 0 to 1e9 (1 / C of scikit-learn).
    #[arg(long, value_name = "NUMBER", default_value_t = 1.0)]
    pub l2: f64,

    /// Share of the rows of each class held out at random for evaluation, between 0 and 1 [default: 0.2].
    #[arg(long, value_name = "SHARE", conflicts_with = "holdout_every")]
    pub test_fraction: Option<f64>,

    /// Hold out every N-th row instead (index % N == N - 1); N is at least 2.
    #[arg(long, value_name = "N")]
    pub holdout_every: Option<usize>,

    /// Random seed; the same seed and data give the same bytes.
    #[arg(long, value_name = "N", default_value_t = 42)]
    pub seed: u64,

    /// Probability at and above which the label is 1, 0 to 1, for two classes [default: 0.5].
    #[arg(long, value_name = "PROBABILITY")]
    pub threshold: Option<f64>,

    /// Print JSON: path and card of each model.
    #[arg(long)]
    pub json: bool,
}

impl TrainArgs {
    fn dataset_options(&self) -> anyhow::Result<DatasetOptions> {
        // clap requires it with --data.
        let target =
            self.target.clone().context("--target is missing; use the column to predict")?;
        Ok(self.reading.applied(DatasetOptions {
            target,
            positive: self.positive.clone(),
            drop: self.drop.clone(),
            numeric: self.numeric.clone(),
            categorical: self.categorical.clone(),
            skips_unlabeled: self.skip_unlabeled,
            ..DatasetOptions::default()
        }))
    }

    fn options(&self) -> TrainingOptions {
        let holdout = match (self.holdout_every, self.test_fraction) {
            (Some(every), _) => Holdout::Every(every),
            (None, Some(fraction)) => Holdout::Fraction(fraction),
            (None, None) => Holdout::default(),
        };
        let TrainingOptions { threshold, .. } = TrainingOptions::default();
        let threshold = self.threshold.unwrap_or(threshold);
        TrainingOptions { l2: self.l2, holdout, seed: self.seed, threshold }
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
    // The model itself is on standard output then.
    let to_error = trained.iter().any(|(path, _)| is_standard_output(path));
    let report = if args.json {
        let models = trained.iter();
        let models = models.map(|(path, model)| Trained { path, card: model.card() }).collect();
        serde_json::to_string_pretty(&TrainedModels { models })?
    } else {
        let summaries = trained.iter().map(|(path, model)| inspect::summary(path, model.card()));
        summaries.collect::<Vec<String>>().join("\n")
    };
    if to_error {
        anstream::eprintln!("{report}");
    } else {
        outln!("{report}");
    }
    Ok(ExitCode::SUCCESS)
}

fn train_defaults(args: &TrainArgs) -> anyhow::Result<Vec<(PathBuf, Artifact)>> {
    let models = defaults::train_default_models(&args.options()).context("train")?;
    let paths = defaults::write_models(&args.models, models.clone()).context("train")?;
    Ok(paths.into_iter().zip(models.into_iter().map(|(_, model)| model)).collect())
}

fn train_on(data: PathBuf, args: &TrainArgs) -> anyhow::Result<(PathBuf, Artifact)> {
    let what = || format!("train {}", data.display());
    // Everything that can be wrong without the data, before reading it.
    args.options().check().with_context(what)?;
    let options = args.dataset_options()?;
    let out = match &args.out {
        Some(out) => out.clone(),
        None if is_standard(&data) => bail!("--out is missing; with --data - name the model file"),
        None => default_out(&data, &args.models),
    };
    check_out(&out)?;
    let dataset = read(&data, &options).with_context(what)?;
    if let (Labels::Many(Classes { names, .. }), Some(threshold)) =
        (dataset.labels(), args.threshold)
    {
        bail!(
            "--threshold {threshold}: the target has {} classes, and the label is the most probable one; leave the \
             threshold out, or learn one class against the others with --positive",
            names.len()
        );
    }
    let fitting = ProgressBar::new_spinner().with_message("fitting");
    fitting.enable_steady_tick(Duration::from_millis(200));
    let model = train(&dataset, &args.options()).with_context(what)?;
    fitting.finish_and_clear();
    if is_standard_output(&out) {
        let mut output = std::io::stdout().lock();
        output.write_all(model.to_bytes()).and_then(|()| output.flush()).context("--out")?;
        return Ok((out, model));
    }
    if let Some(folder) = out.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot create the folder {}", folder.display()))?;
    }
    model.write(&out).with_context(|| out.display().to_string())?;
    Ok((out, model))
}

/// Reads the data, with a progress bar on a terminal.
fn read(data: &Path, options: &DatasetOptions) -> Result<Dataset, DatasetError> {
    if is_standard(data) {
        return Dataset::from_reader(std::io::stdin(), "standard input".to_owned(), options);
    }
    let file = File::open(data).map_err(|cause| DatasetError::Unreadable { cause })?;
    let size = file.metadata().map_or(0, |found| found.len());
    let style =
        ProgressStyle::with_template("reading [{bar:40}] {bytes} of {total_bytes}, {eta} left");
    let bar = ProgressBar::new(size);
    let bar = if let Ok(style) = style { bar.with_style(style) } else { bar };
    let source = data.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let dataset = Dataset::from_reader(bar.wrap_read(file), source, options);
    bar.finish_and_clear();
    dataset
}

/// Whether a path names standard input or output.
fn is_standard(path: &Path) -> bool {
    path == Path::new("-")
}

fn is_standard_output(path: &Path) -> bool {
    is_standard(path) || path == Path::new("/dev/stdout")
}

/// Finds out before the training whether the model can be written. Missing folders are created later.
fn check_out(out: &Path) -> anyhow::Result<()> {
    if is_standard_output(out) {
        return Ok(());
    }
    let has_folder = |path: &&Path| {
        path.parent().is_none_or(|folder| folder == Path::new("") || folder.exists())
    };
    // The name of the first folder to create, or the file's.
    let checked = out.ancestors().find(has_folder).unwrap_or(out);
    check_whole(checked).map_err(|error| anyhow!("--out: {} {error}", out.display()))
}

/// The name of the data file with `.bin`, in the models folder.
fn default_out(data: &Path, models: &Path) -> PathBuf {
    let mut name = data.file_stem().unwrap_or_default().to_owned();
    name.push(".bin");
    models.join(name)
}
