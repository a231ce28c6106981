//! Largest disagreements: the rows of a rollout's shadow on which canary and stable differ most.
//!
//! Kept in memory until the next deployment.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value as Json;
use utoipa::ToSchema;

use crate::canary::observed::pairs::Pair;
use crate::model::Label;
use crate::model::Output;
use crate::model::OutputKind;
use crate::model::Row;
use crate::model::Schema;
use crate::model::Value;

/// Number of disagreements that are kept.
pub const MAX: usize = 10;

/// About how many bytes of features are kept of each: enough for some hundred numbers.
const MAX_BYTES: usize = 4096;

/// The longest text that is kept of a value, in characters.
const MAX_TEXT: usize = 100;

/// A row on which the two differ.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Disagreement {
    /// When it was first compared.
    pub at: Timestamp,
    /// The step of the rollout.
    pub step: u32,
    /// How often the same row was among the worst.
    pub count: u64,
    /// Its features by name, without redacted ones.
    pub features: Map<String, Json>,
    /// How many features are omitted because they exceed the size limit.
    pub omitted: usize,
    /// Stable's answer.
    pub stable: Answer,
    /// The canary's answer.
    pub canary: Answer,
    /// Difference of the probabilities or scores, canary minus stable; of many classes that of the class that differs
    /// most.
    pub difference: f64,
}

/// The answer of a version, in the fields of `/predict`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Answer {
    /// Its probability, of two classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// Its label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<Json>,
    /// Its probabilities by class, of many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probabilities: Option<Map<String, Json>>,
    /// Its score.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
}

impl Answer {
    /// The answer with this output.
    pub(crate) fn new(kind: &OutputKind, output: &Output) -> Answer {
        let label = kind.label(output).map(|label| match label {
            Label::Binary(label) => Json::from(label),
            Label::Class(class) => Json::from(class),
        });
        let answer = Answer { label, ..Answer::default() };
        let first = Some(output.score());
        match kind {
            OutputKind::Probability { .. } => Answer { probability: first, ..answer },
            OutputKind::Probabilities { classes } => {
                let numbers = output.numbers().iter().map(|number| Json::from(*number));
                let by_class = classes.iter().cloned().zip(numbers).collect();
                Answer { probabilities: Some(by_class), ..answer }
            }
            OutputKind::Score => Answer { score: first, ..answer },
        }
    }
}

impl Disagreement {
    /// The disagreement of these answers of stable and canary to a row.
    pub(crate) fn new(
        at: Timestamp,
        step: u32,
        schema: &Schema,
        row: &Row<'_>,
        redact: &[String],
        answers: [Option<Answer>; 2],
        difference: f64,
    ) -> Disagreement {
        let (features, omitted) = shown(schema, row, redact);
        let [stable, canary] = answers.map(Option::unwrap_or_default);
        Disagreement { at, step, count: 1, features, omitted, stable, canary, difference }
    }

    fn is_same_as(&self, other: &Disagreement) -> bool {
        (&self.stable, &self.canary, &self.features)
            == (&other.stable, &other.canary, &other.features)
    }
}

/// The values by name within the size limit, and how many are omitted.
pub(crate) fn shown(
    schema: &Schema,
    row: &Row<'_>,
    redact: &[String],
) -> (Map<String, Json>, usize) {
    let (mut features, mut bytes, mut omitted) = (Map::new(), 0, 0);
    let values = row.values().iter().chain(std::iter::repeat(&Value::Missing));
    for (feature, value) in schema.features().iter().zip(values) {
        if redact.contains(&feature.name) {
            continue;
        }
        let value = match value {
            Value::Text(text) if text.chars().count() > MAX_TEXT => {
                Json::from(text.chars().take(MAX_TEXT).chain("...".chars()).collect::<String>())
            }
            other => other.clone().into_json(),
        };
        let text = value.as_str().map_or(0, str::len);
        let more = feature.name.len() + text + 16;
        if bytes + more > MAX_BYTES {
            omitted += 1;
        } else {
            bytes += more;
            features.insert(feature.name.clone(), value);
        }
    }
    (features, omitted)
}

/// The largest disagreements of one rollout, the largest first.
#[derive(Debug, Default)]
pub(crate) struct Disagreements {
    rollout: Option<u64>,
    worst: Vec<Disagreement>,
}

impl Disagreements {
    /// Forgets those of another rollout.
    pub(crate) fn of_rollout(&mut self, rollout: u64) {
        if self.rollout != Some(rollout) {
            *self = Disagreements { rollout: Some(rollout), worst: Vec::new() };
        }
    }

    /// The row of this pair that is among the worst, if one is.
    pub(crate) fn is_among_them(&self, pair: &Pair<'_>) -> Option<usize> {
        let (place, difference) = pair.largest()?;
        let is_large = match self.worst.last() {
            Some(least) if self.worst.len() >= MAX => difference.abs() >= least.difference.abs(),
            Some(_) | None => difference != 0.0,
        };
        is_large.then_some(place)
    }

    /// Adds a disagreement, dropping the smallest if there are too many.
    pub(crate) fn keep(&mut self, found: Option<Disagreement>) {
        let Some(found) = found else { return };
        if let Some(known) = self.worst.iter_mut().find(|known| known.is_same_as(&found)) {
            known.count = known.count.saturating_add(1);
            return;
        }
        let place =
            self.worst.partition_point(|known| known.difference.abs() >= found.difference.abs());
        self.worst.insert(place, found);
        self.worst.truncate(MAX);
    }

    pub(crate) fn rollout(&self) -> Option<u64> {
        self.rollout
    }

    pub(crate) fn all(&self) -> &[Disagreement] {
        &self.worst
    }
}
