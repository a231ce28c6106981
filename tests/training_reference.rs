//! A model of ours and scikit-learn's on the same rows: coefficients, probabilities and quality agree.
//!
//! `scripts/reference_training.py` makes the data and writes what scikit-learn learns from it, of two and of three classes.

use std::path::Path;

use serde::Deserialize;
use serin::model::Dataset;
use serin::model::TrainingOptions;
use serin::model::artifact::card::Coefficient;
use serin::model::dataset::DatasetOptions;
use serin::model::train;
use serin::model::training::Holdout;

/// Both fits stop when their gradients are tiny, so that their numbers agree further than anyone needs.
const TOLERANCE: f64 = 1e-6;

#[derive(Deserialize)]
struct Reference {
    terms: Vec<(String, Option<String>)>,
    fits: Vec<Fit>,
}

#[derive(Deserialize)]
struct Fit {
    l2: f64,
    intercept: f64,
    coefficients: Vec<f64>,
    probabilities: Vec<f64>,
    auc: f64,
    log_loss: f64,
    brier: f64,
}

#[test]
fn predictions_agree_with_scikit_learn_to_a_millionth() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference");
    let text = std::fs::read_to_string(folder.join("training.json")).unwrap();
    let reference: Reference = serde_json::from_str(&text).unwrap();
    assert_eq!(reference.fits.len(), 4);
    let options = DatasetOptions { target: "churned".into(), ..DatasetOptions::default() };
    let data = Dataset::from_csv(&folder.join("training.csv"), &options).unwrap();
    for fit in reference.fits {
        let holdout = Holdout::Every(5);
        let options = TrainingOptions { l2: fit.l2, holdout, ..TrainingOptions::default() };
        let artifact = train(&data, &options).unwrap();
        let near = |what: &str, found: f64, expected: f64| {
            let l2 = fit.l2;
            assert!((found - expected).abs() < TOLERANCE, "l2 {l2}, {what}: {found}, {expected}");
        };

        let card = artifact.card();
        near("intercept", card.trained().unwrap().intercept, fit.intercept);
        assert_eq!(card.trained().unwrap().coefficients.len(), fit.coefficients.len());
        for ((feature, level), expected) in reference.terms.iter().zip(fit.coefficients) {
            let found = card
                .trained()
                .unwrap()
                .coefficients
                .iter()
                .find(|term| (&term.feature, &term.level) == (feature, level));
            near(feature, found.unwrap().weight, expected);
        }
        near("AUC", card.trained().unwrap().holdout.auc, fit.auc);
        near("log-loss", card.trained().unwrap().holdout.log_loss, fit.log_loss);
        near("Brier", card.trained().unwrap().holdout.brier, fit.brier);

        let model = artifact.model();
        for (index, expected) in fit.probabilities.into_iter().enumerate() {
            let row = model.schema().row(data.features(5 * index + 4)).unwrap();
            near("probability", model.predict(&row).unwrap().score(), expected);
        }
    }
}

#[derive(Deserialize)]
struct ClassesReference {
    terms: Vec<(String, Option<String>)>,
    fits: Vec<ClassesFit>,
}

#[derive(Deserialize)]
struct ClassesFit {
    l2: f64,
    classes: Vec<String>,
    intercepts: Vec<f64>,
    coefficients: Vec<Vec<f64>>,
    probabilities: Vec<Vec<f64>>,
    log_loss: f64,
    brier: f64,
    accuracy: f64,
    rows: Vec<u64>,
    recall: Vec<f64>,
    precision: Vec<f64>,
    auc: Vec<f64>,
    confusion: Vec<Vec<u64>>,
}

/// The weight of a term, found by its name.
fn weight(found: &[Coefficient], term: &(String, Option<String>)) -> Option<f64> {
    let is_term = |one: &&Coefficient| (&one.feature, &one.level) == (&term.0, &term.1);
    found.iter().find(is_term).map(|one| one.weight)
}

#[test]
fn predictions_of_many_classes_agree_with_scikit_learn_to_a_millionth() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference");
    let text = std::fs::read_to_string(folder.join("training_classes.json")).unwrap();
    let reference: ClassesReference = serde_json::from_str(&text).unwrap();
    assert_eq!(reference.fits.len(), 4);
    let options = DatasetOptions { target: "tier".into(), ..DatasetOptions::default() };
    let data = Dataset::from_csv(&folder.join("training_classes.csv"), &options).unwrap();
    let mut largest = [("weight", 0.0_f64), ("probability", 0.0), ("figure", 0.0)];
    for fit in reference.fits {
        let holdout = Holdout::Every(5);
        let options = TrainingOptions { l2: fit.l2, holdout, ..TrainingOptions::default() };
        let artifact = train(&data, &options).unwrap();
        let mut near = |what: usize, name: &str, found: f64, expected: f64| {
            let (difference, l2) = ((found - expected).abs(), fit.l2);
            largest[what].1 = largest[what].1.max(difference);
            assert!(difference < TOLERANCE, "l2 {l2}, {name}: {found}, {expected}");
        };
        let trained = artifact.card().trained_classes().unwrap();
        let names: Vec<&String> = trained.terms.iter().map(|terms| &terms.class).collect();
        assert!(names.into_iter().eq(&fit.classes), "{:?}", trained.terms);
        let of_classes = trained.terms.iter().zip(fit.intercepts).zip(fit.coefficients);
        for ((found, intercept), coefficients) in of_classes {
            near(0, "intercept", found.intercept, intercept);
            assert_eq!(found.coefficients.len(), coefficients.len());
            for (term, expected) in reference.terms.iter().zip(coefficients) {
                near(0, &term.0, weight(&found.coefficients, term).unwrap(), expected);
            }
        }

        let found = &trained.holdout;
        near(2, "log-loss", found.log_loss, fit.log_loss);
        near(2, "Brier", found.brier, fit.brier);
        near(2, "accuracy", found.accuracy, fit.accuracy);
        assert_eq!(found.confusion, Some(fit.confusion));
        for (class, found) in found.classes.iter().enumerate() {
            assert_eq!(found.rows, fit.rows[class]);
            near(2, "recall", found.recall.unwrap(), fit.recall[class]);
            // scikit-learn has 0 where a class is never predicted.
            near(2, "precision", found.precision.unwrap_or(0.0), fit.precision[class]);
            near(2, "AUC", found.auc.unwrap(), fit.auc[class]);
        }

        let model = artifact.model();
        for (index, expected) in fit.probabilities.into_iter().enumerate() {
            let row = model.schema().row(data.features(5 * index + 4)).unwrap();
            let output = model.predict(&row).unwrap();
            assert_eq!(output.numbers().len(), expected.len());
            for (found, expected) in output.numbers().iter().zip(expected) {
                near(1, "probability", *found, expected);
            }
        }
    }
    println!("largest differences: {largest:?}");
}
