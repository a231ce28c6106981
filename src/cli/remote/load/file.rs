//! Rows of a CSV file, and what really happened in each.

use std::path::Path;

use anyhow::Context;
use anyhow::bail;
use serde_json::Map;
use serde_json::Value as Json;
use serde_json::json;

use super::row::Row;
use super::served::Answers;
use super::served::Served;
use crate::cli::remote::reports::outcome;
use crate::model::Dataset;
use crate::model::dataset::Column;
use crate::model::dataset::DatasetOptions;
use crate::model::dataset::for_model;
use crate::model::training::random::Stream;
use crate::text::lists::did_you_mean;
use crate::text::lists::listed;
use crate::text::lists::quoted;
use crate::text::numbers::grouped;

/// The rows of a file.
pub(super) struct FileRows {
    name: String,
    columns: Vec<Column>,
    /// Empty without labels.
    outcomes: Vec<Option<Json>>,
    /// Those that come in this pass, the next one last.
    order: Vec<usize>,
}

impl FileRows {
    /// Reads the features of the model, and the column of labels.
    ///
    /// # Errors
    /// When the file cannot be read, lacks a column, or has values that the model does not answer.
    pub(super) fn read(
        path: &Path,
        labels: Option<&str>,
        positive: Option<&str>,
        served: &Served,
    ) -> anyhow::Result<FileRows> {
        let name = path.display().to_string();
        let options = DatasetOptions::of_schema(&served.schema, String::new());
        let columns = for_model::columns(path, &options).with_context(|| name.clone())?;
        let outcomes = match labels {
            None => Vec::new(),
            Some(column) => {
                outcomes(path, column, positive, served).with_context(|| name.clone())?
            }
        };
        Ok(FileRows { name, columns, outcomes, order: Vec::new() })
    }

    fn rows(&self) -> usize {
        self.columns.first().map_or(0, Column::rows)
    }

    pub(super) fn in_words(&self) -> String {
        let labels = match self.outcomes.iter().flatten().count() {
            0 => String::new(),
            known => format!(", {} of them with a label", grouped(known as u64)),
        };
        let rows = grouped(self.rows() as u64);
        format!("{rows} rows of {} in random order, again and again{labels}", self.name)
    }

    pub(super) fn next(&mut self, stream: &mut Stream) -> Row {
        if self.order.is_empty() {
            self.order = (0..self.rows()).collect();
            stream.shuffle(&mut self.order);
        }
        let row = self.order.pop().unwrap_or_default();
        let value = |column: &Column| (column.name.clone(), column.value(row).into_json());
        Row {
            features: self.columns.iter().map(value).collect::<Map<String, Json>>().into(),
            outcome: self.outcomes.get(row).cloned().flatten(),
        }
    }
}

/// What happened in each row, as the model's answers are labelled.
fn outcomes(
    path: &Path,
    column: &str,
    positive: Option<&str>,
    served: &Served,
) -> anyhow::Result<Vec<Option<Json>>> {
    let header = Dataset::header(path)?;
    let names = || header.iter().map(String::as_str);
    if !names().any(|name| name == column) {
        let near = did_you_mean(column, names());
        bail!("--labels: no column {}{near}; the columns are {}", quoted(column), listed(names()));
    }
    let options = DatasetOptions {
        target: column.to_owned(),
        missing: served.schema.missing().clone(),
        ..DatasetOptions::default()
    };
    let target = match &served.answers {
        None => {
            bail!("--labels: the server reports what its model answers with --admin-token alone")
        }
        Some(Answers::Two(target)) => target,
        Some(Answers::Classes(_) | Answers::Score) if positive.is_some() => {
            bail!("--positive: only a model of two classes has a positive value; leave it out")
        }
        Some(Answers::Score) => {
            let options = DatasetOptions { numeric: vec![column.to_owned()], ..options };
            return values(path, options);
        }
        Some(Answers::Classes(classes)) => {
            let categorical = vec![column.to_owned()];
            let is_marker = classes.iter().any(|class| options.missing.is(class));
            let missing =
                if is_marker { options.missing.without_usual() } else { options.missing.clone() };
            let found = values(path, DatasetOptions { categorical, missing, ..options })?;
            let known = classes.iter().map(|class| outcome(class)).collect::<Vec<Json>>();
            if let Some(other) = found.iter().flatten().find(|it| !known.contains(it)) {
                let classes = listed(classes.iter().map(String::as_str));
                bail!(
                    "--labels {column}: {other} is not a class of the model; its classes are {classes}"
                );
            }
            return Ok(found);
        }
    };
    // Under another name the outcomes have the values that the model knows.
    let positive = positive.map(str::to_owned).or(target.as_ref().map(|it| it.positive.clone()));
    let found = for_model::outcomes(path, &DatasetOptions { positive, ..options })?;
    Ok(found.of_rows.into_iter().map(|happened| Some(json!(u8::from(happened?)))).collect())
}

/// The values of the target column, as `/feedback` takes them.
fn values(path: &Path, options: DatasetOptions) -> anyhow::Result<Vec<Option<Json>>> {
    let options = DatasetOptions { only: Some(Vec::new()), ..options };
    let column =
        for_model::columns(path, &options)?.pop().context("the column of labels is empty")?;
    let value = |row: usize| match column.value(row).into_json() {
        Json::Null => None,
        Json::String(text) => Some(outcome(&text)),
        number => Some(number),
    };
    Ok((0..column.rows()).map(value).collect())
}
