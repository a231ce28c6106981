//! The outcomes of the rows of a file, as the models answer them.

use std::path::Path;

use anyhow::Context;
use anyhow::bail;
use serde::Serialize;

use crate::cli::local::reading::ReadingArgs;
use crate::model::Artifact;
use crate::model::Dataset;
use crate::model::OutputKind;
use crate::model::artifact::card::Target;
use crate::model::dataset::ColumnValues;
use crate::model::dataset::DatasetOptions;
use crate::model::dataset::for_model;
use crate::model::schema::Missing;
use crate::text::lists::did_you_mean;
use crate::text::lists::listed;
use crate::text::lists::quoted;

/// What happened in a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::cli::local) enum Outcome {
    /// Whether it was the positive value of two.
    Two(bool),
    /// The place of the class among those of the model.
    Class(usize),
    /// The number that a score predicts.
    Number(f64),
}

/// Outcomes, and what they are the outcomes of.
pub(in crate::cli::local) struct Labeled {
    pub(in crate::cli::local) target: Of,
    /// One for each row; `None` for a row without.
    pub(in crate::cli::local) of_rows: Vec<Option<Outcome>>,
}

/// What the outcomes are of.
#[derive(Clone, Serialize)]
pub(in crate::cli::local) struct Of {
    pub(in crate::cli::local) column: String,
    /// The value that counts as 1, of two classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli::local) positive: Option<String>,
}

impl Of {
    /// `Churn` = `Yes`, or `price`.
    pub(in crate::cli::local) fn in_words(&self) -> String {
        let Self { column, positive } = self;
        match positive {
            None => quoted(column),
            Some(positive) => format!("{} = {}", quoted(column), quoted(positive)),
        }
    }
}

/// A file, and what the flags say about its outcomes.
pub(in crate::cli::local) struct Asked<'a> {
    pub(in crate::cli::local) data: &'a Path,
    pub(in crate::cli::local) reading: &'a ReadingArgs,
    /// `--target`.
    pub(in crate::cli::local) target: Option<&'a str>,
    /// `--positive`.
    pub(in crate::cli::local) positive: Option<&'a str>,
}

impl Asked<'_> {
    /// The outcomes; `None` if no target is known, or the file does not have that of the models.
    ///
    /// # Errors
    /// When the models predict different targets, or the column does not have values that they answer.
    pub(in crate::cli::local) fn outcomes(
        &self,
        models: &[(&Path, &Artifact)],
    ) -> anyhow::Result<Option<Labeled>> {
        let Some((_, first)) = models.first() else { return Ok(None) };
        let output = &first.card().output;
        let (column, positive) = match output {
            OutputKind::Probability { .. } => match self.of_two(models)? {
                None => return Ok(None),
                Some((column, positive)) => (column, positive),
            },
            OutputKind::Probabilities { .. } | OutputKind::Score => {
                if let Some(positive) = self.positive {
                    bail!(
                        "--positive {positive}: only a model of two classes has a positive value, and {} answers \
                         {output}; leave out --positive",
                        models[0].0.display()
                    );
                }
                let Some(column) = self.of_many(models)? else { return Ok(None) };
                (column, None)
            }
        };
        let read = |model: &Artifact| self.read(model, &column, positive.as_deref());
        let (of_rows, positive) = read(first)?;
        for (_, other) in &models[1..] {
            if read(other)?.0 != of_rows {
                bail!(
                    "the models read different values of `{column}` as missing; say which with --missing-only"
                );
            }
        }
        Ok(Some(Labeled { target: Of { column, positive }, of_rows }))
    }

    /// The column of the outcomes of many classes or of scores, if it is known.
    fn of_many(&self, models: &[(&Path, &Artifact)]) -> anyhow::Result<Option<String>> {
        if let Some(column) = self.target {
            return Ok(Some(column.to_owned()));
        }
        let mut known = models.iter().filter_map(|(_, model)| model.card().target_column());
        let Some(first) = known.next().map(str::to_owned) else { return Ok(None) };
        if known.any(|other| other != first) {
            bail!(
                "the models predict different targets; name the column of the outcomes with --target"
            );
        }
        Ok(Dataset::header(self.data)?.contains(&first).then_some(first))
    }

    /// The column of the outcomes of two classes, and its positive value, if it is known.
    fn of_two(
        &self,
        models: &[(&Path, &Artifact)],
    ) -> anyhow::Result<Option<(String, Option<String>)>> {
        let known: Vec<(&Path, Target)> = models
            .iter()
            .filter_map(|(path, model)| Some((*path, model.card().target()?)))
            .collect();
        if let [(a, ours), (b, theirs)] = &known[..]
            && ours != theirs
            && (self.target.is_none() || ours.column == theirs.column)
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
                a.display(),
                ours.in_words(),
                b.display(),
                theirs.in_words(),
            );
        }
        for (path, target) in &known {
            if let Some(positive) = self.positive
                && self.target == Some(&target.column)
                && positive != target.positive
            {
                bail!(
                    "--positive {positive}: {} predicts {}; leave out --positive, or compare models of `{positive}`",
                    path.display(),
                    target.in_words()
                );
            }
        }
        let known = known.iter().map(|(_, target)| target);
        Ok(match (self.target, known.clone().next()) {
            (Some(column), first) => {
                let same = known.clone().find(|target| target.column == column);
                // Under another name the outcomes have the values that the models know, if they agree.
                let agreed =
                    first.filter(|first| known.clone().all(|it| it.positive == first.positive));
                let positive = same.or(agreed).map(|target| target.positive.clone());
                Some((column.to_owned(), self.positive.map(str::to_owned).or(positive)))
            }
            (None, Some(Target { column, positive })) => Dataset::header(self.data)?
                .contains(column)
                .then(|| (column.clone(), Some(positive.clone()))),
            (None, None) => None,
        })
    }

    /// The outcomes of the rows with the model's markers of missing values, and the positive value of two classes.
    fn read(
        &self,
        model: &Artifact,
        column: &str,
        positive: Option<&str>,
    ) -> anyhow::Result<(Vec<Option<Outcome>>, Option<String>)> {
        let missing = model.card().missing_values.clone();
        let options = DatasetOptions { target: column.to_owned(), missing, ..Default::default() };
        match &model.card().output {
            OutputKind::Probability { .. } => {
                let positive = positive.map(str::to_owned);
                let options = self.reading.applied(DatasetOptions { positive, ..options });
                let found = for_model::outcomes(self.data, &options)?;
                let of_rows = found.of_rows.into_iter().map(|it| it.map(Outcome::Two));
                Ok((of_rows.collect(), Some(found.positive)))
            }
            OutputKind::Probabilities { classes } => {
                let options = self.reading.applied(options);
                let missing = with_classes(&options.missing, classes);
                let options = DatasetOptions { missing, ..options };
                Ok((self.classes(column, classes, options)?, None))
            }
            OutputKind::Score => {
                let numeric = vec![column.to_owned()];
                let options = self.reading.applied(DatasetOptions { numeric, ..options });
                let values = self.column(column, options).with_context(|| {
                    format!("the models answer a score, so {} has numbers", quoted(column))
                })?;
                let ColumnValues::Numeric(numbers) = values else { return Ok((Vec::new(), None)) };
                let known = |number: f64| (!number.is_nan()).then_some(Outcome::Number(number));
                Ok((numbers.into_iter().map(known).collect(), None))
            }
        }
    }

    fn column(&self, name: &str, options: DatasetOptions) -> anyhow::Result<ColumnValues> {
        let options = DatasetOptions { only: Some(Vec::new()), ..options };
        let mut columns = for_model::columns(self.data, &options)?;
        let values = columns.pop().map(|column| column.values);
        let is_known = match &values {
            None => false,
            Some(ColumnValues::Numeric(numbers)) => numbers.iter().any(|number| !number.is_nan()),
            Some(ColumnValues::Categorical(words)) => !words.texts().is_empty(),
        };
        match values {
            Some(values) if is_known => Ok(values),
            _ => bail!(
                "target {}: every row is blank; choose another column with --target",
                quoted(name)
            ),
        }
    }

    fn classes(
        &self,
        column: &str,
        classes: &[String],
        options: DatasetOptions,
    ) -> anyhow::Result<Vec<Option<Outcome>>> {
        let categorical = vec![column.to_owned()];
        let values = self.column(column, DatasetOptions { categorical, ..options })?;
        let ColumnValues::Categorical(words) = values else { return Ok(Vec::new()) };
        let places: Vec<Option<usize>> =
            words.texts().iter().map(|text| place(text, classes)).collect();
        let rows = || (0..words.rows()).map(|row| words.code(row));
        if let Some(row) = rows().position(|code| code.is_some_and(|code| places[code].is_none())) {
            let text = words.text(row).unwrap_or_default();
            let count = rows().filter(|code| *code == words.code(row)).count();
            bail!(
                "row {}: the target {} is {}, in {count} rows, and the models have no such class{}; their classes are \
                 {}; correct it, or leave it blank if it is missing",
                row + 1,
                quoted(column),
                quoted(text),
                did_you_mean(text, classes.iter().map(String::as_str)),
                listed(classes.iter().map(String::as_str)),
            );
        }
        Ok(rows().map(|code| places[code?].map(Outcome::Class)).collect())
    }
}

/// The markers without those that are names of classes: a target of `None` and `Severe` has two classes.
fn with_classes(missing: &Missing, classes: &[String]) -> Missing {
    if classes.iter().any(|class| missing.is(class)) {
        missing.without_usual()
    } else {
        missing.clone()
    }
}

/// The place of a class by its name; numbers are compared as numbers.
fn place(text: &str, classes: &[String]) -> Option<usize> {
    let number = |text: &str| text.parse().ok().filter(|number: &f64| number.is_finite());
    let is_same = |class: &String| number(class).is_some_and(|one| number(text) == Some(one));
    classes.iter().position(|class| class == text).or_else(|| classes.iter().position(is_same))
}
