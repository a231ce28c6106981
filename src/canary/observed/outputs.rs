//! Outputs that are not one probability: what is kept of them, and what a tick has of them.

use serde::Deserialize;
use serde::Serialize;

use super::gaps::Any;
use super::gaps::Difference;
use super::gaps::Gaps;
use super::gaps::UnitInterval;
use crate::canary::traffic::weight::Weight;
use crate::stats::Layout;
use crate::stats::LayoutMismatch;
use crate::stats::Summary;

/// The means over the rows of a request of what a version answered. One value per request, because its rows were
/// assigned to a track together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Means<'a> {
    /// Of the probability of the positive class.
    Probability(f64),
    /// Of the probability of each class.
    Probabilities(&'a [f64]),
    /// Of the score.
    Score(f64),
}

/// Summaries of the numbers of such outputs, or of their differences in shadow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Numbers {
    /// One for each class, in their order.
    Classes(Vec<Summary>),
    /// Of scores of any size.
    Score(Summary),
}

impl Numbers {
    /// Without values, for this many classes with this layout.
    pub(crate) fn of_classes(count: usize, layout: Layout) -> Numbers {
        Numbers::Classes((0..count).map(|_| Summary::new(layout)).collect())
    }

    /// Without values, for scores.
    pub(crate) fn of_scores() -> Numbers {
        Numbers::Score(Summary::new(Layout::Any))
    }

    /// Adds a value for each class; ignored by numbers of another kind.
    pub(crate) fn record_classes(&mut self, values: impl Iterator<Item = f64>) {
        if let Numbers::Classes(classes) = self {
            classes.iter_mut().zip(values).for_each(|(class, value)| class.record(value));
        }
    }

    /// Adds a score; ignored by numbers of another kind.
    pub(crate) fn record_score(&mut self, value: f64) {
        if let Numbers::Score(scores) = self {
            scores.record(value);
        }
    }

    /// The summary of each class.
    pub fn classes(&self) -> &[Summary] {
        match self {
            Numbers::Classes(classes) => classes,
            Numbers::Score(_) => &[],
        }
    }

    /// The summary of the scores.
    pub fn score(&self) -> Option<&Summary> {
        match self {
            Numbers::Classes(_) => None,
            Numbers::Score(score) => Some(score),
        }
    }

    /// Adds what was seen at another time or place.
    ///
    /// # Errors
    /// When the other is of another kind or number of classes.
    pub(crate) fn merge(&mut self, other: &Numbers) -> Result<(), LayoutMismatch> {
        match (self, other) {
            (Numbers::Classes(ours), Numbers::Classes(theirs)) if ours.len() == theirs.len() => {
                ours.iter_mut().zip(theirs).try_for_each(|(one, other)| one.merge(other))
            }
            (Numbers::Score(ours), Numbers::Score(theirs)) => ours.merge(theirs),
            // A mismatch of kinds is one of layouts.
            (Numbers::Classes(_) | Numbers::Score(_), _) => {
                Summary::new(Layout::UnitInterval).merge(&Summary::new(Layout::Any))
            }
        }
    }

    /// The same for numbers that are there from the first output on.
    pub(crate) fn merge_into(
        into: &mut Option<Box<Numbers>>,
        other: Option<&Numbers>,
    ) -> Result<(), LayoutMismatch> {
        match (into, other) {
            (_, None) => Ok(()),
            (Some(ours), Some(theirs)) => ours.merge(theirs),
            (none, Some(theirs)) => {
                *none = Some(Box::new(theirs.clone()));
                Ok(())
            }
        }
    }

    /// Whether the classes have this layout, and scores theirs.
    pub(crate) fn is_sound(&self, of_classes: Layout) -> bool {
        let has = |summary: &Summary, layout| summary.histogram().layout() == layout;
        match self {
            Numbers::Classes(classes) => classes.iter().all(|one| has(one, of_classes)),
            Numbers::Score(score) => has(score, Layout::Any),
        }
    }
}

/// The values of each class since an earlier state, and the scores; `None` if it is not an earlier state.
fn since(now: Option<&Numbers>, earlier: Option<&Numbers>) -> Option<(Vec<Values>, Values)> {
    let values = |now: &Summary, earlier: Option<&Summary>| match earlier {
        Some(earlier) => now.values_since(earlier),
        None => now.values_since(&Summary::new(now.histogram().layout())),
    };
    match (now, earlier) {
        (None, None) => Some(Default::default()),
        (None, Some(_)) => None,
        (Some(Numbers::Classes(now)), earlier) => {
            let earlier = earlier.map_or(&[][..], Numbers::classes);
            let classes =
                now.iter().enumerate().map(|(class, now)| values(now, earlier.get(class)));
            Some((classes.collect::<Option<Vec<Values>>>()?, Values::new()))
        }
        (Some(Numbers::Score(now)), earlier) => {
            Some((Vec::new(), values(now, earlier.and_then(Numbers::score))?))
        }
    }
}

/// Values with their counts; each is the middle of its bucket, in ascending order.
type Values = Vec<(f64, u64)>;

/// What a tick has of outputs that are not one probability.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OutputsIncrement {
    /// Stable.
    pub stable: TrackOutputs,
    /// The canary.
    pub canary: TrackOutputs,
    /// Differences of the pairs in shadow.
    pub pairs: PairOutputs,
    /// Errors of scores whose outcomes arrived, by the weight at the time of the prediction.
    pub errors: Vec<ErrorIncrement>,
}

/// Outputs of one track.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrackOutputs {
    /// The probabilities of each class.
    pub classes: Vec<ClassValues>,
    /// The scores.
    #[serde(with = "Gaps::<Any>")]
    pub score: Vec<(f64, u64)>,
}

/// Probabilities of one class.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassValues(#[serde(with = "Gaps::<UnitInterval>")] pub Vec<(f64, u64)>);

/// Differences of outputs to the same requests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PairOutputs {
    /// The differences of each class.
    pub classes: Vec<ClassDifferences>,
    /// The differences of the scores.
    #[serde(with = "Gaps::<Any>")]
    pub score: Vec<(f64, u64)>,
}

/// Differences of the probabilities of one class.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassDifferences(#[serde(with = "Gaps::<Difference>")] pub Vec<(f64, u64)>);

/// Absolute errors of scores that were predicted at one weight.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorIncrement {
    /// The canary's share of traffic when the predictions were made.
    pub weight: Weight,
    /// Stable.
    #[serde(with = "Gaps::<Any>")]
    pub stable: Vec<(f64, u64)>,
    /// The canary.
    #[serde(with = "Gaps::<Any>")]
    pub canary: Vec<(f64, u64)>,
}

impl OutputsIncrement {
    /// Whether there was none.
    pub fn is_empty(&self) -> bool {
        *self == OutputsIncrement::default()
    }
}

impl TrackOutputs {
    pub(super) fn between(
        earlier: Option<&Numbers>,
        now: Option<&Numbers>,
    ) -> Option<TrackOutputs> {
        let (classes, score) = since(now, earlier)?;
        Some(TrackOutputs { classes: classes.into_iter().map(ClassValues).collect(), score })
    }

    /// The probabilities of a class.
    pub fn class(&self, class: usize) -> &[(f64, u64)] {
        self.classes.get(class).map_or(&[], |values| &values.0)
    }
}

impl PairOutputs {
    pub(super) fn between(earlier: Option<&Numbers>, now: Option<&Numbers>) -> Option<PairOutputs> {
        let (classes, score) = since(now, earlier)?;
        Some(PairOutputs { classes: classes.into_iter().map(ClassDifferences).collect(), score })
    }

    /// The differences of a class.
    pub fn class(&self, class: usize) -> &[(f64, u64)] {
        self.classes.get(class).map_or(&[], |values| &values.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_merge_with_their_own_kind_and_are_read_back() {
        let mut classes = Numbers::of_classes(3, Layout::UnitInterval);
        classes.record_classes([0.25, 0.25, 0.5].into_iter());
        classes.record_score(7.0);
        let mut twice = classes.clone();
        twice.merge(&classes).unwrap();
        assert_eq!(twice.classes()[2].count(), 2);
        let mut score = Numbers::of_scores();
        score.record_score(1e9);
        score.record_classes([0.5].into_iter());
        assert_eq!(score.score().unwrap().mean(), Some(1e9));
        assert!(score.merge(&classes).is_err());
        assert!(twice.merge(&Numbers::of_classes(2, Layout::UnitInterval)).is_err());
        assert!(classes.is_sound(Layout::UnitInterval) && !classes.is_sound(Layout::Difference));
        for numbers in [twice, score] {
            let text = serde_json::to_string(&numbers).unwrap();
            assert_eq!(serde_json::from_str::<Numbers>(&text).unwrap(), numbers);
        }
    }

    #[test]
    fn an_increment_has_what_came_since() {
        let mut numbers = Numbers::of_classes(2, Layout::UnitInterval);
        numbers.record_classes([0.2, 0.8].into_iter());
        let earlier = numbers.clone();
        numbers.record_classes([0.4, 0.6].into_iter());
        let both = TrackOutputs::between(None, Some(&numbers)).unwrap();
        assert_eq!(both.class(0).len(), 2);
        let one = TrackOutputs::between(Some(&earlier), Some(&numbers)).unwrap();
        assert!((one.class(1)[0].0 - 0.6).abs() < 1e-3 && one.class(1).len() == 1);
        assert!(one.class(2).is_empty() && one.score.is_empty());
        assert_eq!(TrackOutputs::between(Some(&numbers), Some(&earlier)), None);
        assert_eq!(TrackOutputs::between(Some(&numbers), None), None);
    }
}
