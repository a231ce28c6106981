//! What training promises beyond its figures.

use super::super::dataset::Column;
use super::super::dataset::ColumnValues;
use super::*;
use crate::model::artifact::codec;
use crate::model::training::synthetic;

/// Forty rows, every fourth positive; the numbers are the row's, the words the caller's.
fn data(word: fn(usize) -> Option<&'static str>, number: fn(usize) -> Option<f64>) -> Dataset {
    let words = (0..40).map(|row| word(row).map(str::to_owned)).collect();
    let columns = vec![
        Column { name: "word".into(), values: ColumnValues::Categorical(words) },
        Column {
            name: "number".into(),
            values: ColumnValues::Numeric((0..40).map(number).collect()),
        },
    ];
    let labels = (0..40).map(|row| row % 4 == 0).collect();
    Dataset::new("rows".into(), "y".into(), "1".into(), columns, labels).unwrap()
}

fn counted(row: usize) -> Option<f64> {
    Some(row as f64)
}

/// Holds out rows 4, 9, 14 and so on.
fn fifths() -> TrainingOptions {
    TrainingOptions { holdout: Holdout::Every(5), ..TrainingOptions::default() }
}

#[test]
fn nothing_about_the_holdout_enters_the_model() {
    let word = |row| Some(if row % 5 == 4 { "held out" } else { ["a", "b"][row % 2] });
    let number = |row| Some(if row % 5 == 4 { 1e6 } else { row as f64 });
    let card = train(&data(word, number), &fifths()).unwrap().card().clone();
    let levels = vec!["a".to_owned(), "b".to_owned()];
    assert_eq!(card.features.features()[0].kind, FeatureKind::Categorical { levels });
    let FeatureKind::Numeric { mean, .. } = card.features.features()[1].kind else {
        panic!("the second column is numeric")
    };
    assert_eq!(mean, 19.0);
    assert_eq!((card.training.training_rows, card.holdout.rows), (32, 8));
}

#[test]
fn blanks_are_filled_with_the_mean_of_the_training_rows() {
    let number = |row| counted(row).filter(|_| row % 5 != 0);
    let model = train(&data(|row| Some(["a", "b"][row % 2]), number), &fifths()).unwrap().model();
    let FeatureKind::Numeric { mean, .. } = model.schema().features()[1].kind else {
        panic!("the second column is numeric")
    };
    let answer = |number| {
        let values = vec![Value::Missing, number];
        model.predict(&model.schema().row(Features::Ordered(values)).unwrap()).unwrap().score()
    };
    assert!((answer(Value::Missing) - answer(Value::Number(mean))).abs() < 1e-12);
}

#[test]
fn a_column_that_cannot_be_trained_on_is_refused_by_name() {
    let word = |row: usize| Some(["a", "b"][row % 2]);
    let cases = [
        (data(|row| (row % 5 == 4).then_some("a"), counted), "column `word`: blank in every"),
        (data(word, |row| (row % 5 == 4).then_some(1.0)), "column `number`: blank in every"),
        (data(word, |row| Some(row as f64 * 1e307)), "column `number`: the values are too large"),
        (data(|_| Some("a"), |_| Some(1.0)), "every column is constant"),
    ];
    for (data, expected) in cases {
        let message = train(&data, &fifths()).unwrap_err().to_string();
        assert!(message.contains(expected), "{message} should contain {expected}");
    }
}

#[test]
fn a_part_without_both_classes_is_refused() {
    let options = TrainingOptions { holdout: Holdout::Fraction(0.01), ..fifths() };
    let message = train(&data(|row| Some(["a", "b"][row % 2]), counted), &options).unwrap_err();
    assert!(
        message.to_string().contains("the 0 holdout rows do not contain both classes"),
        "{message}"
    );
}

#[test]
fn probes_come_from_the_schema_and_not_from_the_rows() {
    let made = synthetic::Churn { rows: 300, ..synthetic::Churn::v1(1) };
    let data = synthetic::churn(&made).unwrap();
    let artifact = train(&data, &TrainingOptions::default()).unwrap();
    let (payload, _) = codec::decode(artifact.to_bytes()).unwrap();
    assert_eq!(payload.probes.len(), PROBES);
    for probe in payload.probes {
        let probe = Features::Ordered(probe.values);
        assert!((0..300).all(|row| data.features(row) != probe));
    }
}
