//! Tests of the inputs in the status.

use std::sync::Arc;

use super::*;
use crate::model::Features;
use crate::model::Schema;
use crate::model::Value;
use crate::model::inputs::InputHistogram;
use crate::model::inputs::Inputs;
use crate::model::schema::Feature;
use crate::model::schema::FeatureKind;
use crate::service::serving::inputs::InputPlan;
use crate::service::serving::inputs::InputSampler;
use crate::service::serving::inputs::Tally;
use crate::service::serving::inputs::plan::Counted;

/// A number and a word, both with four equal bins in 400 rows of training.
fn schema() -> (Schema, Inputs) {
    let words = || ["a", "b", "c", "d"].map(str::to_owned).to_vec();
    let feature = |name: &str, kind| Feature { name: name.to_owned(), kind };
    let schema = Schema::new(vec![
        feature("x", FeatureKind::Number),
        feature("word", FeatureKind::Categorical { levels: words() }),
    ]);
    let x =
        InputHistogram { counts: vec![100; 4], ..InputHistogram::of_edges(vec![1.0, 2.0, 3.0]) };
    let word =
        InputHistogram { counts: vec![100, 100, 100, 100, 0], ..InputHistogram::of_words(words()) };
    (schema.unwrap(), Inputs { rows: 400, features: vec![x, word] })
}

/// The status after these rows, of a model with or without inputs of training.
fn status(
    rows: impl Iterator<Item = (Tally, Value<'static>, Value<'static>)>,
    has_training: bool,
) -> Option<InputsStatus> {
    let (schema, inputs) = schema();
    let inputs = Some(&inputs).filter(|_| has_training);
    let plan = InputPlan::new(&schema, &[], Counted { schema: &schema, inputs }, None);
    let sampler = InputSampler::new(Arc::new(plan), false, 1);
    for (tally, x, word) in rows {
        let row = schema.row(Features::Ordered(vec![x, word])).unwrap();
        sampler.offer(tally, &[row]);
    }
    let version = (Track::Stable, inputs.map(|it| it.rows));
    InputsStatus::new(&sampler.sampled(), [version].into_iter())
}

fn word(number: u32) -> Value<'static> {
    Value::Text(["a", "b", "c", "d"][number as usize % 4].into())
}

#[test]
fn traffic_as_in_training_has_not_drifted() {
    assert_eq!(status(std::iter::empty(), true), None);
    let usual = |number: u32| {
        let x = f64::from(number / 4 % 4) + 0.5;
        (Tally::Traffic, Value::Number(x), word(number))
    };
    let few = status((0..99).map(usual), true).unwrap();
    assert!(few.against_training[0].features.is_empty() && few.messages.is_empty());
    let found = status((0..400).map(usual), true).unwrap();
    assert_eq!((found.rows, found.against_training[0].compared), (400, 2));
    assert!(found.messages.is_empty() && found.between_tracks.is_none());
    for one in &found.against_training[0].features {
        assert!(one.psi < 1e-12 && one.p_value == 1.0, "{one:?}");
        assert_eq!(one.level, DriftLevel::Chance);
    }
    // Four bins: (4 - 1)(1/400 + 1/400).
    assert_eq!(found.against_training[0].features[0].psi_by_chance, 0.015);
    let old = status((0..400).map(usual), false).unwrap();
    assert_eq!(old.against_training[0].training_rows, None);
    assert_eq!((old.against_training[0].compared, old.messages.len()), (0, 0));
}

#[test]
fn drifted_features_are_named_with_what_has_changed() {
    let drifted = |number: u32| {
        let x = if number.is_multiple_of(2) { Value::Missing } else { Value::Number(9.0) };
        let word = if number.is_multiple_of(3) { Value::Text("new".into()) } else { word(number) };
        (Tally::Traffic, x, word)
    };
    let found = status((0..600).map(drifted), true).unwrap();
    let [x, word] = &found.against_training[0].features[..] else { panic!() };
    assert_eq!((x.feature.as_str(), x.level, x.share), ("x", DriftLevel::Large, 0.5));
    assert_eq!((word.values.as_str(), word.training_share), ("other words", 0.0));
    let [message] = &found.messages[..] else { panic!("{:?}", found.messages) };
    assert!(message.starts_with("Inputs have drifted from the training of stable: `x` (PSI "));
    assert!(message.contains("33.3 % now"), "{message}");
}

#[test]
fn a_track_that_gets_other_inputs_is_found() {
    let fair = |number: u32| {
        let tally = if number * 7 % 10 < 3 { Tally::Canary } else { Tally::Stable };
        (tally, Value::Number(f64::from(number / 10 % 4)), word(number / 40))
    };
    let found = status((0..1000).map(fair), false).unwrap().between_tracks.unwrap();
    assert_eq!((found.stable_rows, found.canary_rows), (700, 300));
    assert!(!found.differs && found.message.is_none(), "{found:?}");
    // A client sends `a` again until the canary answers.
    let biased = |number: u32| {
        let (tally, x, other) = fair(number);
        let word = if tally == Tally::Canary { word(0) } else { other };
        (tally, x, word)
    };
    let found = status((0..1000).map(biased), true).unwrap();
    let message = found.messages[0].clone();
    let balance = found.between_tracks.unwrap();
    assert!(balance.differs && !balance.features[1].differs, "{balance:?}");
    assert_eq!(
        (balance.features[0].feature.as_str(), balance.features[0].canary_share),
        ("word", 1.0)
    );
    assert!(message.starts_with("The tracks get different inputs: `word` (`a`: "), "{message}");
}
