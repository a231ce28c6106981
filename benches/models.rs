//! Load time of model files, and time per row without HTTP: one row at a time, and batches of 1,000.
//!
//! `scripts/bench_models.py` makes the files, and measures the originals in the same run:
//!
//!     cargo bench --bench models -- FOLDER
//!
//! FOLDER holds `NAME.bin` and `NAME.json`, an array of rows by position. Prints a line of JSON for each model. Exit
//! code 1 if a row of a model that runs on the request's thread takes longer than the limit.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use program::Fallible;
use program::exit_code;
use program::tell;
use serin::model::Artifact;
use serin::model::Execution;
use serin::model::Features;
use serin::model::Model;
use serin::model::Row;

#[path = "shared/program.rs"]
mod program;

/// Of a model of 100 trees. Boosting has as many for each class.
const LIMIT_MICROSECONDS: f64 = 10.0;
const LOADS: usize = 5;
const ROUNDS: usize = 11;
const BATCH: usize = 1000;

fn main() -> ExitCode {
    match program::arguments().as_deref() {
        None => ExitCode::SUCCESS,
        Some([folder, _bench]) => exit_code(measure(Path::new(folder))),
        Some(_) => exit_code(Err("name the folder with the models: -- FOLDER".into())),
    }
}

/// Whether each model that runs on the request's thread kept the limit.
fn measure(folder: &Path) -> Fallible<bool> {
    let mut models: Vec<_> = fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    models.sort_by_key(fs::DirEntry::file_name);
    models.retain(|entry| entry.path().extension().is_some_and(|end| end == "bin"));
    if models.is_empty() {
        return Err(format!("{}: no NAME.bin with NAME.json", folder.display()).into());
    }
    let mut kept = true;
    for entry in models {
        kept &= of_model(&entry.path())?;
    }
    Ok(kept)
}

fn of_model(path: &Path) -> Fallible<bool> {
    let text = fs::read_to_string(path.with_extension("json"))?;
    let rows: Vec<Features<'_>> = serde_json::from_str(&text)?;
    if rows.len() < BATCH {
        return Err(format!("{}: {} rows; use {BATCH} or more", path.display(), rows.len()).into());
    }
    let load = median(LOADS, || Artifact::read(path).map(drop))? * 1e3;
    let model = Artifact::read(path)?.model();
    let single = median(ROUNDS, || {
        rows[..BATCH].iter().try_for_each(|values| {
            model.predict(&row(&*model, values)?)?;
            Fallible::Ok(())
        })
    })? * 1e6
        / BATCH as f64;
    let batch = median(ROUNDS, || {
        let rows: Vec<Row<'_>> =
            rows[..BATCH].iter().map(|values| row(&*model, values)).collect::<Fallible<_>>()?;
        model.predict_many(&rows)?;
        Fallible::Ok(())
    })? * 1e6
        / BATCH as f64;
    let inline = model.execution() == Execution::Inline;
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let line = serde_json::json!({
        "model": name, "load_ms": load, "single_us": single, "batch_us": batch, "inline": inline,
    });
    tell(&line.to_string());
    let limit = LIMIT_MICROSECONDS * model.output().numbers() as f64;
    Ok(!inline || single < limit)
}

/// The row as the server makes it from the values of a request.
fn row<'a>(model: &'a dyn Model, values: &Features<'a>) -> Fallible<Row<'a>> {
    let borrowed = match values {
        Features::Ordered(values) => Features::Ordered(values.clone()),
        Features::Named(_) => return Err("rows must be arrays, in the order of the model".into()),
    };
    Ok(model.schema().row(borrowed)?)
}

/// Median of the seconds, after a round that does not count.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures the machine's own time")]
fn median<E>(rounds: usize, mut work: impl FnMut() -> Result<(), E>) -> Result<f64, E> {
    let mut seconds = Vec::new();
    for _ in 0..=rounds {
        let start = Instant::now();
        work()?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.remove(0);
    seconds.sort_by(f64::total_cmp);
    Ok(seconds[rounds / 2])
}
