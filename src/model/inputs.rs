//! Inputs of training: how often each feature had which values, against which later traffic is compared.
//!
//! `learning` counts them in the training rows. No row is kept, but single values are: the deciles of a number, its
//! smallest and its largest value.

pub(crate) mod learning;

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::artifact::error::ArtifactError;
use super::schema::Feature;
use super::schema::Missing;
use super::schema::Schema;
use super::schema::Value;
use crate::text::bounded::list;
use crate::text::bounded::texts;

/// Features that are counted, the first of a model: a file of more stays small, and so do the counts of a server.
pub const MAX_INPUTS: usize = 1_000;

/// Nine deciles, nine values just below one of them, and the ends of the range.
const MAX_EDGES: usize = 20;

/// Words that are counted by themselves.
pub const MAX_WORDS: usize = 20;

/// The values of each feature in some rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = TrainingInputs)]
pub struct Inputs {
    /// Rows that were counted.
    pub rows: u64,
    /// One for each feature, in the order of the schema; at most [`MAX_INPUTS`].
    #[serde(deserialize_with = "list::<_, _, MAX_INPUTS>")]
    pub features: Vec<InputHistogram>,
}

/// How often a feature had which values.
///
/// ```text
/// number     (.., e_0] (e_0, e_1] ... (e_m, ..)      one bin more than edges
/// category   one bin for each word, and one for all others
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct InputHistogram {
    /// Rows without a value.
    pub missing: u64,
    /// The upper ends of the bins of a number, ascending; empty for a category.
    #[serde(deserialize_with = "list::<_, _, MAX_EDGES>")]
    pub edges: Vec<f64>,
    /// The words of a category, ascending; empty for a number.
    #[serde(deserialize_with = "texts::<_, MAX_WORDS>")]
    pub words: Vec<String>,
    /// Rows in each bin.
    #[serde(deserialize_with = "list::<_, _, { MAX_EDGES + 1 }>")]
    pub counts: Vec<u64>,
}

impl InputHistogram {
    /// A histogram without rows, with these edges.
    pub(crate) fn of_edges(edges: Vec<f64>) -> Self {
        let counts = vec![0; edges.len() + 1];
        Self { missing: 0, edges, words: Vec::new(), counts }
    }

    /// A histogram without rows, with these words, which ascend.
    pub(crate) fn of_words(words: Vec<String>) -> Self {
        let counts = vec![0; words.len() + 1];
        Self { missing: 0, edges: Vec::new(), words, counts }
    }

    /// How many places values have: missing, and the bins.
    pub fn places(&self) -> usize {
        self.counts.len() + 1
    }

    /// The place of a value: 0 if it is missing, then the bins. These are the model's markers of missing values.
    pub fn place(&self, value: &Value<'_>, missing: &Missing) -> usize {
        match value {
            Value::Missing => 0,
            Value::Number(number) if number.is_nan() || missing.numbers().contains(number) => 0,
            Value::Number(number) => 1 + self.edges.partition_point(|edge| edge < number),
            Value::Text(text) => match self.words.binary_search_by(|it| it.as_str().cmp(text)) {
                Ok(place) => 1 + place,
                Err(_) if missing.is(text) => 0,
                Err(_) => self.counts.len(),
            },
        }
    }

    /// Rows at each place.
    pub fn at_places(&self) -> impl Iterator<Item = u64> + '_ {
        std::iter::once(self.missing).chain(self.counts.iter().copied())
    }

    /// A place in words: `missing`, `2 to 5`, `monthly`.
    pub fn place_in_words(&self, place: usize) -> String {
        let Some(bin) = place.checked_sub(1) else { return "missing".to_owned() };
        if self.edges.is_empty() {
            return self.words.get(bin).map_or_else(|| "other words".to_owned(), Clone::clone);
        }
        let below = bin.checked_sub(1).and_then(|it| self.edges.get(it));
        match (below, self.edges.get(bin)) {
            // The first edge is just below the smallest value.
            (None, edge) => {
                // Not -0.
                let least = edge.map_or(0.0, |it| it.next_up() + 0.0);
                format!("below {least}")
            }
            (Some(edge), None) => format!("above {edge}"),
            (Some(below), Some(edge)) if below.next_up() == *edge => edge.to_string(),
            (Some(below), Some(edge)) => {
                let (from, to) = (rounded_up(*below), rounded_up(*edge));
                let below = if to > *edge { "below " } else { "" };
                format!("{from} to {below}{to}")
            }
        }
    }

    /// Whether it fits a feature with this many rows.
    fn is_of(&self, feature: &Feature, rows: u64) -> bool {
        let bins = match feature.kind.is_numeric() {
            true if self.words.is_empty() => self.edges.len(),
            false if self.edges.is_empty() => self.words.len(),
            _ => return false,
        };
        let sum = self.at_places().try_fold(0_u64, u64::checked_add);
        self.counts.len() == bins + 1
            && sum == Some(rows)
            && self.edges.iter().all(|edge| edge.is_finite())
            && self.edges.windows(2).all(|pair| pair[0] < pair[1])
            && self.words.windows(2).all(|pair| pair[0] < pair[1])
    }
}

impl Inputs {
    /// Checks that these are the inputs of a model with this schema.
    ///
    /// # Errors
    /// [`ArtifactError::Payload`] names the feature.
    pub(crate) fn check(&self, schema: &Schema) -> Result<(), ArtifactError> {
        let features = schema.features();
        let refuse = |problem: String| Err(ArtifactError::Payload { problem });
        if self.features.len() != features.len().min(MAX_INPUTS) {
            let found = self.features.len();
            return refuse(format!("{found} histograms of inputs for {} features", features.len()));
        }
        let wrong = features.iter().zip(&self.features).find(|(it, one)| !one.is_of(it, self.rows));
        match wrong {
            Some((feature, _)) => {
                refuse(format!("the histogram of the input `{}` is not possible", feature.name))
            }
            None => Ok(()),
        }
    }
}

/// An edge that is just below a value as that value.
fn rounded_up(edge: f64) -> f64 {
    let next = edge.next_up();
    let digits = |number: f64| number.to_string().len();
    if digits(next) < digits(edge) { next } else { edge }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::schema::FeatureKind;

    #[test]
    fn values_have_places_also_where_training_had_none() {
        let histogram = InputHistogram::of_edges(vec![0.0, 10.0]);
        let missing = Missing::only(&["-999".to_owned()]);
        let place = |number| histogram.place(&Value::Number(number), &missing);
        assert_eq!([-1.0, 0.0, 0.5, 10.0, 11.0].map(place), [1, 1, 2, 2, 3]);
        assert_eq!([-999.0, f64::NAN].map(place), [0, 0]);
        assert_eq!(histogram.place(&Value::Missing, &missing), 0);
        let words = InputHistogram::of_words(vec!["a".to_owned(), "c".to_owned()]);
        let place = |text: &'static str| words.place(&Value::Text(text.into()), &missing);
        assert_eq!(["a", "c", "b", "-999"].map(place), [1, 2, 3, 0]);
        assert_eq!((words.places(), histogram.places()), (4, 4));
    }

    #[test]
    fn places_have_words() {
        let edges = vec![1.0_f64.next_down(), 1.0, 5.0_f64.next_down(), 5.0, 9.0];
        let histogram = InputHistogram::of_edges(edges);
        let words: Vec<String> =
            (0..histogram.places()).map(|place| histogram.place_in_words(place)).collect();
        assert_eq!(words, ["missing", "below 1", "1", "1 to below 5", "5", "5 to 9", "above 9"]);
        let from_zero = InputHistogram::of_edges(vec![0.0_f64.next_down(), 2.0]);
        assert_eq!(from_zero.place_in_words(1), "below 0");
        let words = InputHistogram::of_words(vec!["a".to_owned()]);
        assert_eq!(words.place_in_words(1), "a");
        assert_eq!(words.place_in_words(2), "other words");
    }

    #[test]
    fn impossible_histograms_are_refused() {
        let kind = FeatureKind::Number;
        let schema = Schema::new(vec![Feature { name: "x".into(), kind }]).unwrap();
        let good = InputHistogram { missing: 1, counts: vec![1, 2], ..of(&[3.0]) };
        let refused = |features: Vec<InputHistogram>| {
            Inputs { rows: 4, features }.check(&schema).map_err(|it| it.to_string()).err()
        };
        assert_eq!(refused(vec![good.clone()]), None);
        let cases = [
            vec![],
            vec![good.clone(), good.clone()],
            vec![InputHistogram { missing: 2, ..good.clone() }],
            vec![InputHistogram { missing: u64::MAX, ..good.clone() }],
            vec![InputHistogram { counts: vec![3], ..good.clone() }],
            vec![InputHistogram { edges: vec![f64::NAN], ..good.clone() }],
            vec![InputHistogram { words: vec!["a".to_owned()], edges: vec![], ..good.clone() }],
            vec![InputHistogram { missing: 1, counts: vec![1, 1, 1], ..of(&[3.0, 3.0]) }],
        ];
        for features in cases {
            let message = refused(features.clone());
            assert!(message.is_some_and(|it| it.contains("input")), "{features:?}");
        }
    }

    fn of(edges: &[f64]) -> InputHistogram {
        InputHistogram::of_edges(edges.to_vec())
    }
}
