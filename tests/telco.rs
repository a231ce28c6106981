//! The Telco churn data, trained here and in scikit-learn: the figures agree.
//!
//! scikit-learn 1.9.1, `LogisticRegression(C=1)`, the same columns, split and encoding. The data is not
//! part of the repository: `make external-data` runs this test.

#![expect(clippy::print_stdout, reason = "prints the figures next to scikit-learn's")]
#![expect(clippy::unwrap_used, reason = "the helpers of a test")]

use std::env;
use std::path::Path;

use serin::model::Dataset;
use serin::model::TrainingOptions;
use serin::model::dataset::DatasetOptions;
use serin::model::train;
use serin::model::training::Holdout;

fn telco() -> Dataset {
    let path = env::var("SERIN_TELCO_CSV").unwrap();
    let drop = vec!["customerID".to_owned()];
    let positive = Some("Yes".to_owned());
    let options =
        DatasetOptions { target: "Churn".into(), positive, drop, ..DatasetOptions::default() };
    Dataset::from_csv(Path::new(&path), &options).unwrap()
}

fn fifths() -> TrainingOptions {
    TrainingOptions { holdout: Holdout::Every(5), ..TrainingOptions::default() }
}

fn assert_near(what: &str, found: f64, expected: f64, tolerance: f64) {
    println!("{what}: {found:.5} (scikit-learn {expected})");
    assert!((found - expected).abs() <= tolerance, "{what}: {found}, expected {expected}");
}

#[test]
#[ignore = "needs data that is not in the repository: make external-data"]
fn the_telco_model_is_the_one_scikit_learn_fits() {
    let data = telco();
    let artifact = train(&data, &fifths()).unwrap();

    let holdout = &artifact.card().holdout;
    assert_eq!(holdout.rows, 1408);
    assert_eq!(artifact.card().coefficients.len(), 45);
    assert_near("AUC", holdout.auc, 0.83713, 0.001);
    assert_near("log-loss", holdout.log_loss, 0.43095, 0.002);
    assert_near("Brier", holdout.brier, 0.13818, 0.001);
    assert_near("accuracy", holdout.accuracy, 0.8054, 0.003);

    let model = artifact.model();
    let rows = [4, 9, 14, 19, 24].map(|row| model.schema().row(data.features(row)).unwrap());
    let outputs = model.predict_many(&rows).unwrap();
    let expected = [0.69658, 0.01224, 0.45425, 0.56661, 0.02598];
    for (row, (found, expected)) in outputs.into_iter().zip(expected).enumerate() {
        assert_near(&format!("holdout row {row}"), found.score(), expected, 0.005);
    }
}
