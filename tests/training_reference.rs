//! A model of ours and scikit-learn's on the same rows: coefficients, probabilities and quality agree.
//!
//! `scripts/reference_training.py` makes the data and writes what scikit-learn learns from it.

use std::path::Path;

use serde::Deserialize;
use serin::model::Dataset;
use serin::model::TrainingOptions;
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
