//! `serin import`: a model that another library trained.

use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::inspect;
use super::library::LibraryArgs;
use crate::cli::show;
use crate::cli::show::outln;
use crate::model::Artifact;
use crate::model::Dataset;
use crate::model::artifact::card::Target;
use crate::model::importing::Column;
use crate::model::importing::ImportOptions;
use crate::model::importing::import;
use crate::model::importing::is_answer;
use crate::model::importing::mlflow;
use crate::model::schema::Missing;
use crate::text::files::check_whole;

/// Import a model of LightGBM, XGBoost, scikit-learn or ONNX, and compare its answers with the original's.
#[derive(Args, Clone, Debug)]
pub struct ImportArgs {
    /// Model file: LightGBM's text (.txt, .lgb), XGBoost's .json or .ubj, .skops of scikit-learn, .onnx, coefficients
    /// as JSON (serin.model/v1), or a model folder of MLflow.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// CSV file with rows of inputs and the original's answers, which the imported model must repeat.
    #[arg(long, value_name = "CSV")]
    pub expect: Option<PathBuf>,

    /// Column of the original's answers in the --expect file: probabilities of the positive class, or scores. A model
    /// of many classes has a column for each, named COL:CLASS.
    #[arg(long, value_name = "COL", default_value = "expected", requires = "expect")]
    pub expect_column: String,

    /// Largest difference from the original's answers, of a score above 1 as a share of it; if any row differs by
    /// more, nothing is written.
    #[arg(long, value_name = "NUMBER", default_value_t = 1e-5, requires = "expect")]
    pub tolerance: f64,

    /// CSV file whose header has the names of the inputs, if the model file has none or writes them in another way.
    #[arg(long, value_name = "CSV")]
    pub schema_from: Option<PathBuf>,

    /// Column that the model predicts, for serin inspect --data.
    #[arg(long, value_name = "COL", requires = "positive")]
    pub target: Option<String>,

    /// Value of the target that the model gives the probability of.
    #[arg(long, value_name = "VALUE", requires = "target")]
    pub positive: Option<String>,

    /// The label of two classes is 1 at and above this probability [default: that of the file, or 0.5].
    #[arg(long, value_name = "PROBABILITY")]
    pub threshold: Option<f64>,

    /// Further texts that mean a missing value in requests, separated by commas; a number means all of its value.
    #[arg(long, value_name = "TEXTS", value_delimiter = ',')]
    pub missing: Vec<String>,

    /// The only texts that mean a missing value besides blanks, for a model in which NA or None is a word.
    #[arg(long, value_name = "TEXTS", value_delimiter = ',', conflicts_with = "missing")]
    pub missing_only: Option<Vec<String>>,

    #[command(flatten)]
    library: LibraryArgs,

    /// Model file to write; its folder must exist.
    #[arg(long, short, value_name = "FILE")]
    pub out: PathBuf,

    /// Print JSON: the card of the model.
    #[arg(long)]
    pub json: bool,
}

/// Imports the file, and prints what it contains.
///
/// # Errors
///
/// When the file is not a model that serin serves, or does not answer as the original does.
pub fn run(args: &ImportArgs) -> anyhow::Result<ExitCode> {
    let what = || format!("import {}", args.file.display());
    anyhow::ensure!(
        (0.0..=0.01).contains(&args.tolerance),
        "--tolerance: {}; use a number from 0 to 0.01, for example 1e-5",
        args.tolerance
    );
    let is_same =
        args.out.canonicalize().ok().is_some_and(|out| Some(out) == args.file.canonicalize().ok());
    anyhow::ensure!(
        !is_same,
        "--out {}: this is the file to import, which would be lost; name another file",
        args.out.display()
    );
    args.library.open()?;
    check_whole(&args.out).with_context(|| format!("--out {}", args.out.display()))?;
    let folder = match args.file.is_dir() {
        true => Some(mlflow::read(&args.file).with_context(what)?),
        false => None,
    };
    let (file, signature) = match folder {
        Some(folder) => (folder.file, folder.columns),
        None => (Artifact::read_bytes(&args.file).with_context(what)?, None),
    };
    let columns = args.schema_from.as_ref().map(|path| {
        Dataset::header(path).with_context(|| format!("--schema-from {}", path.display()))
    });
    let columns = columns.transpose()?.map(|names| -> Vec<Column> {
        // The file may be the one with the answers.
        let names = names.into_iter().filter(|name| !is_answer(name, &args.expect_column));
        names.map(|name| Column { name, kind: None }).collect()
    });
    let columns = columns.or(signature);
    let target = args.target.clone().zip(args.positive.clone());
    let options = ImportOptions {
        source: source(&args.file),
        threshold: args.threshold,
        target: target.map(|(column, positive)| Target { column, positive }),
        missing: match &args.missing_only {
            Some(texts) => Missing::only(texts),
            None => Missing::default().and(&args.missing),
        },
        tolerance: args.tolerance,
        answers: args.expect_column.clone(),
    };
    let model =
        import(file, columns.as_deref(), args.expect.as_deref(), options).with_context(what)?;
    model.write(&args.out).with_context(|| args.out.display().to_string())?;
    if args.json {
        show::json(model.card())?;
    } else {
        outln!("{}", inspect::summary(&args.out, model.card()));
    }
    Ok(ExitCode::SUCCESS)
}

/// The name of the file or folder, also of `.`.
fn source(path: &Path) -> String {
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = path.file_name().or_else(|| whole.file_name());
    name.unwrap_or_default().to_string_lossy().into_owned()
}
