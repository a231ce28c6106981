//! Plan of counting inputs: for each feature a histogram whose bins are those of training.
//!
//! Both versions were trained on data of their own, so a feature of both is counted in the bins of each, once if they
//! are equal. Without a histogram of training, bins come from what the model knows of the feature.

use std::collections::BTreeMap;
use std::ops::Range;

use smallvec::SmallVec;

use crate::canary::Track;
use crate::model::Row;
use crate::model::Schema;
use crate::model::Value;
use crate::model::inputs::InputHistogram;
use crate::model::inputs::Inputs;
use crate::model::inputs::MAX_INPUTS;
use crate::model::inputs::MAX_WORDS;
use crate::model::schema::Feature;
use crate::model::schema::FeatureKind;
use crate::model::schema::Missing;
use crate::text::lists::quoted;

/// What is counted.
#[derive(Debug)]
pub(crate) struct InputPlan {
    columns: Vec<InputColumn>,
    /// Of stable and of the canary.
    missing: [Missing; 2],
    slots: usize,
    /// Features that are beyond the limit.
    pub(crate) skipped: usize,
}

/// A feature in the bins of a version.
#[derive(Debug)]
pub(crate) struct InputColumn {
    pub(crate) feature: String,
    /// The version whose bins these are.
    pub(crate) track: Track,
    /// Its inputs of training; without rows if the version has none.
    pub(crate) training: InputHistogram,
    pub(crate) has_training: bool,
    /// Where rows have it.
    place: usize,
    /// Its first slot.
    first: usize,
    /// Whether the slots are those of another column.
    is_shared: bool,
}

/// A version whose inputs are counted.
#[derive(Clone, Copy)]
pub(crate) struct Counted<'s> {
    pub(crate) schema: &'s Schema,
    pub(crate) inputs: Option<&'s Inputs>,
}

impl InputPlan {
    /// The plan for rows of this schema, without the values at the redacted places. Stable comes first; at most
    /// [`MAX_INPUTS`] columns are counted.
    pub(crate) fn new(
        rows: &Schema,
        redacted: &[usize],
        stable: Counted<'_>,
        canary: Option<Counted<'_>>,
    ) -> Self {
        let places: BTreeMap<&str, usize> = rows.feature_names().zip(0..).collect();
        let markers = |version: Option<Counted<'_>>| {
            version.map_or_else(Missing::default, |it| it.schema.missing().clone())
        };
        let mut plan = Self {
            columns: Vec::new(),
            missing: [markers(Some(stable)), markers(canary)],
            slots: 0,
            skipped: 0,
        };
        for (track, version) in [(Track::Stable, Some(stable)), (Track::Canary, canary)] {
            let Some(Counted { schema, inputs }) = version else { continue };
            for (number, feature) in schema.features().iter().enumerate() {
                let place = places.get(feature.name.as_str());
                let Some(place) = place.filter(|place| !redacted.contains(place)) else { continue };
                let training = inputs.and_then(|it| it.features.get(number));
                plan.add(track, *place, feature, training);
            }
        }
        plan
    }

    fn add(
        &mut self,
        track: Track,
        place: usize,
        feature: &Feature,
        training: Option<&InputHistogram>,
    ) {
        let stable = self.columns.iter().take(place + 1).rev();
        let stable =
            (track == Track::Canary).then(|| stable.clone().find(|it| it.place == place)).flatten();
        // Stable's bins do for a feature of both.
        if stable.is_some() && training.is_none() {
            return;
        }
        if self.columns.len() == MAX_INPUTS {
            self.skipped += 1;
            return;
        }
        let has_training = training.is_some();
        let training = training.cloned().unwrap_or_else(|| usual(&feature.kind));
        let has_bins_of = |other: &&InputColumn| {
            let other = &other.training;
            (&other.edges, &other.words) == (&training.edges, &training.words)
        };
        let is_marked_alike = self.missing[0] == self.missing[1];
        let shared = stable.filter(|it| is_marked_alike && has_bins_of(it)).map(|it| it.first);
        let column = InputColumn {
            feature: feature.name.clone(),
            track,
            has_training,
            place,
            first: shared.unwrap_or(self.slots),
            is_shared: shared.is_some(),
            training,
        };
        self.slots += if column.is_shared { 0 } else { column.training.places() };
        self.columns.push(column);
    }

    /// The columns: those of stable, then those of the canary.
    pub(crate) fn columns(&self) -> &[InputColumn] {
        &self.columns
    }

    /// How many slots there are.
    pub(crate) fn slots(&self) -> usize {
        self.slots
    }

    /// The slots in which a row counts.
    pub(crate) fn of_row(&self, row: &Row<'_>) -> SmallVec<[u32; 32]> {
        let [of_stable, of_canary] = &self.missing;
        let counted = self.columns.iter().filter(|column| !column.is_shared);
        let slot = |column: &InputColumn| {
            let missing = match column.track {
                Track::Stable => of_stable,
                Track::Canary => of_canary,
            };
            let value = row.values().get(column.place).unwrap_or(&Value::Missing);
            (column.first + column.training.place(value, missing)) as u32
        };
        counted.map(slot).collect()
    }
}

impl InputColumn {
    /// The slots of its places.
    pub(crate) fn slots(&self) -> Range<usize> {
        self.first..self.first + self.training.places()
    }

    /// The counts of its places among those of all slots.
    pub(crate) fn of<'c>(&self, slots: &'c [u64]) -> &'c [u64] {
        slots.get(self.slots()).unwrap_or_default()
    }

    /// A place in words.
    pub(crate) fn place_in_words(&self, place: usize) -> String {
        let values = self.training.place_in_words(place);
        // Words are the client's.
        let is_word = place > 0 && place <= self.training.words.len();
        if is_word { quoted(&values) } else { values }
    }
}

/// Bins where no histogram of training is known: deciles of a normal distribution with the mean and standard deviation
/// of training, powers of ten, or the first words.
fn usual(kind: &FeatureKind) -> InputHistogram {
    match kind {
        FeatureKind::Numeric { mean, scale } => {
            // scipy.stats.norm.ppf([0.6, 0.7, 0.8, 0.9])
            const DECILES: [f64; 4] = [0.2533, 0.5244, 0.8416, 1.2816];
            let below = DECILES.iter().rev().map(|it| -it);
            let deviations = below.chain([0.0]).chain(DECILES);
            ascending(deviations.map(|it| mean + it * scale))
        }
        FeatureKind::Number => {
            const POWERS: [f64; 9] = [1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0, 1e3, 1e4, 1e6];
            let below = POWERS.iter().rev().map(|it| -it);
            ascending(below.chain([0.0_f64.next_down(), 0.0]).chain(POWERS))
        }
        FeatureKind::Categorical { levels } => {
            InputHistogram::of_words(levels.iter().take(MAX_WORDS).cloned().collect())
        }
    }
}

fn ascending(edges: impl Iterator<Item = f64>) -> InputHistogram {
    let mut edges: Vec<f64> = edges.filter(|edge| edge.is_finite()).collect();
    edges.dedup();
    InputHistogram::of_edges(edges)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Features;

    fn feature(name: &str, kind: FeatureKind) -> Feature {
        Feature { name: name.to_owned(), kind }
    }

    fn histogram(edges: &[f64]) -> InputHistogram {
        InputHistogram::of_edges(edges.to_vec())
    }

    fn slots(plan: &InputPlan, schema: &Schema, json: &str) -> Vec<u32> {
        let features: Features<'_> = serde_json::from_str(json).unwrap();
        plan.of_row(&schema.row(features).unwrap()).to_vec()
    }

    #[test]
    fn a_feature_is_counted_in_the_bins_of_both_versions() {
        let numbers = || vec![feature("x", FeatureKind::Number), feature("y", FeatureKind::Number)];
        let schema = Schema::new(numbers()).unwrap();
        let of = |edges: [&[f64]; 2]| Inputs { rows: 0, features: edges.map(histogram).to_vec() };
        let (stable, canary) = (of([&[0.0], &[0.0]]), of([&[0.0], &[0.0, 5.0]]));
        let counted = |inputs| Counted { schema: &schema, inputs: Some(inputs) };
        let plan = InputPlan::new(&schema, &[], counted(&stable), Some(counted(&canary)));
        // `x` shares its bins; `y` has three places of stable and four of the canary.
        assert_eq!((plan.columns().len(), plan.slots()), (4, 10));
        assert_eq!(slots(&plan, &schema, "[1, 7]"), [2, 5, 9]);
        assert_eq!(slots(&plan, &schema, "[null, -1]"), [0, 4, 7]);
        let found: Vec<u64> = (0..10).collect();
        assert_eq!(plan.columns()[2].of(&found), [0, 1, 2]);
        assert_eq!(plan.columns()[3].of(&found), [6, 7, 8, 9]);
        // A canary without inputs of training has no bins of its own.
        let bare = Counted { schema: &schema, inputs: None };
        let plan = InputPlan::new(&schema, &[], counted(&stable), Some(bare));
        assert_eq!((plan.columns().len(), plan.slots()), (2, 6));
        let plan = InputPlan::new(&schema, &[0], counted(&stable), None);
        assert_eq!(plan.columns().iter().map(|it| it.feature.as_str()).collect::<Vec<_>>(), ["y"]);
    }

    #[test]
    fn features_without_a_histogram_have_bins_all_the_same() {
        let levels = vec!["a".to_owned(), "b".to_owned()];
        let schema = Schema::new(vec![
            feature("n", FeatureKind::Numeric { mean: 10.0, scale: 1.0 }),
            feature("raw", FeatureKind::Number),
            feature("word", FeatureKind::Categorical { levels }),
        ])
        .unwrap();
        let bare = Counted { schema: &schema, inputs: None };
        let plan = InputPlan::new(&schema, &[], bare, None);
        assert!(plan.columns().iter().all(|column| !column.has_training));
        let [n, raw, word] = plan.columns() else { panic!() };
        assert_eq!([n, raw, word].map(|it| it.training.places()), [11, 22, 4]);
        assert_eq!(slots(&plan, &schema, r#"[10, 0, "b"]"#), [5, 11 + 11, 33 + 2]);
        assert_eq!(slots(&plan, &schema, r#"[99, 1e9, "c"]"#), [10, 11 + 21, 33 + 3]);
    }

    #[test]
    fn of_many_features_the_first_are_counted() {
        let many = |from: usize, count: usize| {
            let features =
                (from..from + count).map(|it| feature(&format!("f{it}"), FeatureKind::Number));
            Schema::new(features.collect()).unwrap()
        };
        let schema = many(0, MAX_INPUTS + 7);
        let bare = |schema| Counted { schema, inputs: None };
        let plan = InputPlan::new(&schema, &[], bare(&schema), None);
        assert_eq!((plan.columns().len(), plan.skipped), (MAX_INPUTS, 7));
    }
}
