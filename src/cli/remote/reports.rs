//! `serin feedback` and `serin record`: outcomes of predictions, and values measured elsewhere.

use std::fs::File;
use std::io;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use anyhow::bail;
use clap::Args;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use super::client::Client;
use super::client::ServerArgs;
use super::page::Page;
use crate::cli::exit::FAIL;
use crate::cli::numbers::finite;
use crate::cli::show;
use crate::text::numbers::count;
use crate::text::numbers::grouped;

/// The flags of `serin feedback`.
#[derive(Args, Debug)]
pub struct FeedbackArgs {
    /// Id of the prediction, from its answer
    #[arg(value_name = "PREDICTION_ID", requires = "outcome", required_unless_present = "file")]
    prediction_id: Option<String>,
    /// What occurred: 0, 1, true or false; of many classes the name, of a regression the number
    #[arg(value_name = "OUTCOME")]
    outcome: Option<String>,
    /// CSV file with the columns prediction_id and outcome; - for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["prediction_id", "outcome"])]
    file: Option<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
}

/// The flags of `serin record`.
#[derive(Args, Debug)]
pub struct RecordArgs {
    /// Version that the value was measured on: baseline (or stable) or canary
    #[arg(value_name = "VERSION")]
    version: String,
    /// The value
    #[arg(value_name = "VALUE", allow_hyphen_values = true, value_parser = finite)]
    value: f64,
    /// Metric of the value
    #[arg(long, value_name = "NAME", default_value = "score")]
    metric: String,
    /// Key of the request, if its track was drawn by key
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
}

/// The most labels in a request.
pub(in crate::cli::remote) const BATCH: usize = 1000;

/// The most refusals that are printed.
const MAX_SHOWN: usize = 10;

/// The answer to one label.
#[derive(Deserialize)]
struct Recorded {
    status: String,
    counts_for: Option<String>,
    #[serde(default)]
    reason: Option<String>,
}

/// The answer to a list.
#[derive(Debug, Default, Deserialize)]
pub(in crate::cli::remote) struct Results {
    pub(in crate::cli::remote) recorded: u64,
    pub(in crate::cli::remote) not_counted: u64,
    #[serde(default)]
    pub(in crate::cli::remote) reason: Option<String>,
    pub(in crate::cli::remote) refused: Vec<Refused>,
}

#[derive(Debug, Deserialize)]
pub(in crate::cli::remote) struct Refused {
    index: u64,
    pub(in crate::cli::remote) detail: String,
}

/// Reports one outcome, or all of a file; exit code 1 if the server refused some of them.
///
/// # Errors
/// When the file cannot be read, the server cannot be reached, or it refuses the only outcome.
pub fn feedback(args: &FeedbackArgs) -> anyhow::Result<ExitCode> {
    let client = args.server.client();
    let (Some(id), Some(outcome)) = (&args.prediction_id, &args.outcome) else {
        let file =
            args.file.as_deref().context("give a prediction id and its outcome, or --file")?;
        return file_of(file, &client, &args.server);
    };
    let reply = client.post("/feedback", &label(id, outcome))?;
    if args.server.json && reply.ok {
        show::json(&reply.body)?;
        return Ok(ExitCode::SUCCESS);
    }
    let Recorded { status, counts_for, reason } = reply.done()?;
    let mut page = Page::new(show::width());
    page.paragraph(&match (counts_for, reason) {
        (Some(track), _) => format!("The outcome is {status}; it counts for {track}."),
        (None, Some(reason)) => format!("The outcome is not counted: {reason}."),
        (None, None) => "The outcome is not counted.".to_owned(),
    });
    page.print();
    Ok(ExitCode::SUCCESS)
}

/// Reports the outcomes of a file in requests of a thousand.
fn file_of(path: &Path, client: &Client, server: &ServerArgs) -> anyhow::Result<ExitCode> {
    let name = path.display();
    let source: Box<dyn Read> = match path.as_os_str() == "-" {
        true => Box::new(io::stdin()),
        false => Box::new(File::open(path).with_context(|| format!("{name}"))?),
    };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(source);
    let header = reader.headers().with_context(|| format!("{name}"))?.clone();
    let place = |column: &str| {
        let found = header.iter().position(|it| it == column);
        found.with_context(|| format!("{name}: no column {column}; it has {}", joined(&header)))
    };
    let (id, outcome) = (place("prediction_id")?, place("outcome")?);
    let mut labels = Vec::new();
    for record in reader.records() {
        let record = record.with_context(|| format!("{name}"))?;
        let cell = |place: usize| record.get(place).unwrap_or_default();
        labels.push(label(cell(id), cell(outcome)));
    }
    if labels.is_empty() {
        bail!("{name}: no rows; give a prediction id and its outcome in each");
    }
    let mut all = Results::default();
    for (number, batch) in labels.chunks(BATCH).enumerate() {
        let reply = client.post("/feedback", &json!({ "feedback": batch }))?;
        let done = reply.done::<Results>();
        let done = done.with_context(|| {
            format!("{name}: the outcomes from row {} on were not sent", number * BATCH + 1)
        })?;
        all.recorded += done.recorded;
        all.not_counted += done.not_counted;
        all.reason = all.reason.or(done.reason);
        let first = (number * BATCH) as u64;
        let placed = |one: Refused| Refused { index: first + one.index, ..one };
        all.refused.extend(done.refused.into_iter().map(placed));
    }
    print(&all, server)?;
    Ok(if all.refused.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FAIL) })
}

fn print(all: &Results, server: &ServerArgs) -> anyhow::Result<()> {
    let Results { recorded, not_counted, reason, refused } = all;
    if server.json {
        let refusal = |one: &Refused| json!({ "row": one.index + 1, "detail": one.detail });
        return show::json(&json!({
            "recorded": recorded,
            "not_counted": not_counted,
            "reason": reason,
            "refused": refused.iter().map(refusal).collect::<Vec<Value>>(),
        }));
    }
    let mut page = Page::new(show::width());
    page.paragraph(&format!(
        "{} recorded, {} not counted, {} refused.",
        count(*recorded, "outcome"),
        grouped(*not_counted),
        grouped(refused.len() as u64),
    ));
    if let Some(reason) = reason {
        page.paragraph(&format!("Not counted: {reason}."));
    }
    for one in refused.iter().take(MAX_SHOWN) {
        page.labelled(&format!("row {}", one.index + 1), show::BAD, &one.detail);
    }
    if refused.len() > MAX_SHOWN {
        page.paragraph(&format!("... and {} more.", refused.len() - MAX_SHOWN));
    }
    page.print();
    Ok(())
}

/// Reports a value.
///
/// # Errors
/// When the server cannot be reached, or refuses.
pub fn record(args: &RecordArgs) -> anyhow::Result<ExitCode> {
    let mut body = json!({ "version": args.version, "score": args.value, "metric": args.metric });
    if let Some(key) = &args.key {
        body["key"] = json!(key);
    }
    let reply = args.server.client().post("/record", &body)?;
    if args.server.json && reply.ok {
        show::json(&reply.body)?;
        return Ok(ExitCode::SUCCESS);
    }
    let _: Value = reply.done()?;
    let mut page = Page::new(show::width());
    page.paragraph(&format!("{} {} recorded for {}.", args.metric, args.value, args.version));
    page.print();
    Ok(ExitCode::SUCCESS)
}

fn label(prediction_id: &str, text: &str) -> Value {
    json!({ "prediction_id": prediction_id, "outcome": outcome(text) })
}

/// An outcome as the server reads it: a number or a boolean where it looks like one, and a class otherwise.
pub(in crate::cli::remote) fn outcome(text: &str) -> Value {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
    match (text, number) {
        ("true", _) => json!(true),
        ("false", _) => json!(false),
        (_, Some(number)) => json!(number),
        (text, None) => json!(text),
    }
}

fn joined(header: &csv::StringRecord) -> String {
    crate::text::lists::listed(header.iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_a_number_a_boolean_or_a_class() {
        assert_eq!(outcome("1"), json!(1.0));
        assert_eq!(outcome("-2.5e3"), json!(-2500.0));
        assert_eq!(outcome("true"), json!(true));
        assert_eq!(outcome("gold"), json!("gold"));
        assert_eq!(outcome("inf"), json!("inf"), "JSON has no infinity");
    }
}
