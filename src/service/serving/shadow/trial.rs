//! Trial of a canary before its first request: how its answers differ from stable's on the rows that the model files
//! keep, and without which features it has none.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value as Json;
use tokio::time::Instant;
use tokio::time::timeout_at;
use utoipa::ToSchema;

use super::disagreements::shown;
use crate::canary::observed::samples::Failure;
use crate::model::Card;
use crate::model::Features;
use crate::model::Output;
use crate::model::OutputKind;
use crate::model::Row;
use crate::model::schema::Joint;
use crate::model::schema::joint::Seen;
use crate::model::schema::joint::Selection;
use crate::service::serving::inference::Inference;
use crate::service::serving::inference::InferenceError;
use crate::text::lists::quoted;
use crate::text::numbers::number;
use crate::text::numbers::two_numbers;

/// What a trial of the canary has found.
#[derive(Debug, Default)]
pub struct Trial {
    /// How canary and stable answer the rows of both model files; `None` if neither file keeps any.
    pub on_kept_rows: Option<OnKeptRows>,
    /// Features that requests may lack, and without which the canary has no answer.
    pub fails_without: BTreeSet<String>,
    /// How many further such features were not tried, and why, in a sentence; `None` if all were.
    pub not_tried: Option<String>,
}

/// How canary and stable answer the rows that their model files keep.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OnKeptRows {
    /// Rows that both answered.
    pub rows: u64,
    /// Rows with different labels; `null` for scores, which have none.
    pub label_flips: Option<u64>,
    /// The row on which they differ most; `null` if they answer the same.
    pub largest: Option<LargestDifference>,
    /// Rows that the canary did not answer.
    pub canary_failures: u64,
    /// Rows that stable did not answer.
    pub stable_failures: u64,
    /// Rows that were left when the trial ended; `message` says why it did.
    pub not_asked: u64,
    /// All of it in a sentence.
    pub message: String,
}

/// The largest difference of the probabilities or scores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LargestDifference {
    /// Canary minus stable.
    pub difference: f64,
    /// The class, of many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Stable's number.
    pub stable: f64,
    /// The canary's.
    pub canary: f64,
    /// The features of the row by name, without redacted ones.
    pub features: Map<String, Json>,
    /// How many features are left out because the row is large.
    pub omitted: usize,
}

/// A version to try: the means to run it, and its card.
#[derive(Clone, Copy)]
pub(crate) struct Tried<'v> {
    pub(crate) inference: &'v Inference,
    pub(crate) card: Option<&'v Card>,
}

/// What bounds a trial, and what it may show.
#[derive(Clone, Copy)]
pub(crate) struct Limits<'s> {
    /// How long a prediction may take.
    pub(crate) deadline: Duration,
    /// Features whose values are never shown.
    pub(crate) redact: &'s [String],
}

/// How long a trial may take in all. A person waits for the deployment.
const BUDGET: Duration = Duration::from_secs(2);

/// The most features that are left out one by one.
const MAX_LEFT_OUT: usize = 1000;

impl Trial {
    /// Tries the canary against stable, where requests may lack these features of stable. Blocks, and runs the models
    /// on a thread that drives no other futures. A version that does not answer is no error.
    pub(crate) fn new(
        canary: Tried<'_>,
        stable: Tried<'_>,
        may_lack: &BTreeSet<String>,
        limits: Limits<'_>,
    ) -> Trial {
        let run = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
            let runtime = runtime.ok()?;
            Some(runtime.block_on(async {
                let end = Instant::now() + BUDGET;
                let on_kept_rows = compared(canary, stable, limits, end).await;
                let (fails_without, not_tried) =
                    fails_without(canary, stable, may_lack, limits, end).await;
                Trial { on_kept_rows, fails_without, not_tried }
            }))
        };
        let tried = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("trial".to_owned());
            thread.spawn_scoped(scope, run).ok()?.join().ok()?
        });
        tried.unwrap_or_default()
    }
}

/// Why a part of a trial ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// The trial has used up its time.
    TimeOver,
    /// A version has missed its deadline. It would on the next row, too.
    Late,
    /// Predictions hang in every thread of a version.
    Busy,
    /// Requests occupy every thread of a version.
    Overloaded,
}

impl Cut {
    /// What has happened to this version.
    fn of(self, version: &str) -> String {
        match self {
            Cut::TimeOver => "the time was over".to_owned(),
            Cut::Late => format!("{version} missed its deadline"),
            Cut::Busy => format!("{version} was busy with predictions that hang"),
            Cut::Overloaded => format!("{version} was overloaded"),
        }
    }
}

/// Waits for an answer until the end of the trial; `None` if the version has none.
async fn answer<T>(
    end: Instant,
    asked: impl Future<Output = Result<T, InferenceError>>,
) -> Result<Option<T>, Cut> {
    // A model on this thread answers without a moment at which the timeout could end it.
    if Instant::now() >= end {
        return Err(Cut::TimeOver);
    }
    match timeout_at(end, asked).await {
        Err(_) => Err(Cut::TimeOver),
        Ok(Ok(answer)) => Ok(Some(answer)),
        Ok(Err(InferenceError::Overloaded)) => Err(Cut::Overloaded),
        Ok(Err(InferenceError::Failed { failure, .. })) => match failure {
            Failure::Deadline => Err(Cut::Late),
            Failure::Busy => Err(Cut::Busy),
            Failure::Error | Failure::Panic | Failure::NotAProbability | Failure::BreakerOpen => {
                Ok(None)
            }
        },
    }
}

async fn compared(
    canary: Tried<'_>,
    stable: Tried<'_>,
    limits: Limits<'_>,
    end: Instant,
) -> Option<OnKeptRows> {
    let (ours, theirs) = canary.card.zip(stable.card)?;
    // The same artifact gives the same answers.
    if ours.digest == theirs.digest {
        return None;
    }
    let (joint, rows) = rows_of(ours, theirs);
    if rows.is_empty() {
        return None;
    }
    let selections =
        [&canary, &stable].map(|it| Selection::new(joint.schema(), it.inference.model().schema()));
    let kinds = [&canary, &stable].map(|it| it.inference.model().output());
    let mut found = OnKeptRows {
        label_flips: kinds[0].has_labels().then_some(0),
        not_asked: rows.len() as u64,
        ..OnKeptRows::default()
    };
    // What has been found until then counts all the same.
    let mut ended = None;
    'rows: for row in &rows {
        let mut answers = [None, None];
        let versions = [("the canary", &canary), ("stable", &stable)];
        for (((name, version), selection), place) in
            versions.into_iter().zip(&selections).zip(&mut answers)
        {
            let asked = [selection.of(row)];
            match answer(end, version.inference.run(&asked, limits.deadline)).await {
                Ok(outputs) => *place = outputs.and_then(|outputs| outputs.into_iter().next()),
                Err(cut) => {
                    ended = Some(cut.of(name));
                    break 'rows;
                }
            }
        }
        found.not_asked -= 1;
        let is_larger = found.add(kinds, &answers);
        if let (true, Some(largest)) = (is_larger, &mut found.largest) {
            (largest.features, largest.omitted) = shown(joint.schema(), row, limits.redact);
        }
    }
    found.message = found.sentence(rows.len(), ended.as_deref());
    Some(found)
}

/// The rows of both model files, as requests to both versions; each once.
fn rows_of(canary: &Card, stable: &Card) -> (Joint, Vec<Row<'static>>) {
    let all = stable.features.feature_names().map(str::to_owned).collect();
    let joint = Joint::new(&stable.features, Some(&canary.features), &all, &BTreeSet::new());
    let mut rows: Vec<Row<'static>> = Vec::new();
    for card in [canary, stable] {
        for values in card.kept_rows.iter() {
            let names = card.features.feature_names().map(|name| name.to_owned().into());
            let named = Features::Named(names.zip(values.iter().cloned()).collect());
            let Ok(row) = joint.row(named, &mut Seen::default()) else { continue };
            let row = row.into_owned();
            if !rows.contains(&row) {
                rows.push(row);
            }
        }
    }
    (joint, rows)
}

impl OnKeptRows {
    /// Adds the answers to a row, the canary's first. Whether they differ more than those before.
    fn add(&mut self, kinds: [&OutputKind; 2], answers: &[Option<Output>; 2]) -> bool {
        let (canary, stable) = match answers {
            [Some(canary), Some(stable)] => (canary, stable),
            [canary, stable] => {
                self.canary_failures += u64::from(canary.is_none());
                self.stable_failures += u64::from(stable.is_none());
                return false;
            }
        };
        self.rows += 1;
        let is_flip = kinds[0].label(canary) != kinds[1].label(stable);
        self.label_flips = self.label_flips.map(|flips| flips + u64::from(is_flip));
        let pairs = canary.numbers().iter().zip(stable.numbers()).enumerate();
        let size = |(_, (canary, stable)): &(usize, (&f64, &f64))| (*canary - *stable).abs();
        let Some(most) = pairs.max_by(|a, b| size(a).total_cmp(&size(b))) else { return false };
        let before = self.largest.as_ref().map_or(0.0, |largest| largest.difference.abs());
        let is_larger = size(&most) > before;
        if is_larger {
            let (class, (canary, stable)) = most;
            self.largest = Some(LargestDifference {
                difference: canary - stable,
                class: kinds[0].classes().get(class).cloned(),
                stable: *stable,
                canary: *canary,
                features: Map::new(),
                omitted: 0,
            });
        }
        is_larger
    }

    /// In a sentence, of this many rows, and why the comparison ended before all of them.
    fn sentence(&self, all: usize, ended: Option<&str>) -> String {
        let rows = match all {
            1 => "On the row that the model files keep".to_owned(),
            all => format!("On {all} rows of the model files"),
        };
        let flips = self.label_flips.map(|flips| match flips {
            0 => "the canary flips no label".to_owned(),
            1 => "the canary flips 1 label".to_owned(),
            flips => format!("the canary flips {flips} labels"),
        });
        let largest = self.largest.as_ref().map(|it| {
            let class = it.class.as_ref().map(|class| format!(" for class {}", quoted(class)));
            let [canary, stable] = two_numbers(rounded(it.canary), rounded(it.stable));
            let size = number(rounded(it.difference.abs()));
            let answers = format!("({canary} instead of {stable})");
            match self.label_flips {
                Some(_) => {
                    format!("largest difference {size}{} {answers}", class.unwrap_or_default())
                }
                None => format!("canary and stable differ by at most {size} {answers}"),
            }
        });
        let mut parts: Vec<String> = match (self.rows, largest) {
            (0, _) => Vec::new(),
            (_, None) => vec!["canary and stable answer the same".to_owned()],
            (_, Some(largest)) => flips.into_iter().chain([largest]).collect(),
        };
        let failures = [("the canary", self.canary_failures), ("stable", self.stable_failures)];
        parts.extend(failures.into_iter().filter(|(_, failures)| *failures > 0).map(
            |(who, failures)| match failures {
                1 => format!("{who} has no answer to 1 of them"),
                failures => format!("{who} has no answer to {failures} of them"),
            },
        ));
        parts.extend(ended.map(|why| match self.not_asked {
            1 => format!("{why} before 1 of them was compared"),
            left => format!("{why} before {left} of them were compared"),
        }));
        format!("{rows} {}.", parts.join("; "))
    }
}

/// To four digits, or four decimals.
fn rounded(value: f64) -> f64 {
    let digits = if value == 0.0 { 0.0 } else { value.abs().log10().floor().min(0.0) };
    let unit = 10_f64.powf(3.0 - digits);
    let rounded = (value * unit).round() / unit;
    if rounded.is_finite() { rounded } else { value }
}

/// The features that requests may lack and without which the canary has no answer, and how many were not tried. A model
/// that answers a row of missing values answers without any of them. An answer that is late, or for which the canary has
/// no thread, says nothing of a feature.
async fn fails_without(
    canary: Tried<'_>,
    stable: Tried<'_>,
    may_lack: &BTreeSet<String>,
    limits: Limits<'_>,
    end: Instant,
) -> (BTreeSet<String>, Option<String>) {
    let (ours, theirs) = (canary.inference.model().schema(), stable.inference.model().schema());
    let added = ours.not_in(theirs).map(|feature| feature.name.as_str());
    let lacked = may_lack.iter().map(String::as_str).filter(|name| ours.feature(name).is_some());
    let candidates: BTreeSet<&str> = added.chain(lacked).collect();
    let (mut found, mut left) = (BTreeSet::new(), candidates.len());
    let ended = try_without(canary, &candidates, limits, end, (&mut found, &mut left)).await;
    let why = match ended {
        Err(cut) => cut.of("the canary"),
        Ok(()) => format!("a trial leaves out {MAX_LEFT_OUT} at most"),
    };
    let not_tried = match left {
        0 => None,
        1 => Some(format!("1 of the features that requests may lack was not tried: {why}.")),
        left => {
            Some(format!("{left} of the features that requests may lack were not tried: {why}."))
        }
    };
    (found, not_tried)
}

/// Adds the features without which the canary has no answer to `found`, and counts down those that are left to try.
async fn try_without(
    canary: Tried<'_>,
    candidates: &BTreeSet<&str>,
    limits: Limits<'_>,
    end: Instant,
    (found, left): (&mut BTreeSet<String>, &mut usize),
) -> Result<(), Cut> {
    let (inference, deadline) = (canary.inference, limits.deadline);
    if candidates.is_empty() {
        return Ok(());
    }
    let of_nothing = answer(end, inference.answer_without(|_| true, deadline)).await?;
    // A model that fails on an ordinary row as well has another reason.
    if of_nothing.is_some()
        || answer(end, inference.answer_without(|_| false, deadline)).await?.is_none()
    {
        *left = 0;
        return Ok(());
    }
    for name in candidates.iter().take(MAX_LEFT_OUT) {
        let without = inference.answer_without(|it| it == *name, deadline);
        if answer(end, without).await?.is_none() {
            found.insert((*name).to_owned());
        }
        *left -= 1;
    }
    Ok(())
}

#[cfg(test)]
#[path = "trial_tests.rs"]
mod tests;
