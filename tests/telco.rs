//! The Telco churn data, trained here and in scikit-learn: the figures agree.
//!
//! scikit-learn 1.9.1, `LogisticRegression(C=1)`, the same columns, split and encoding. The data is not
//! part of the repository; without it the test says so and passes.

#![expect(clippy::print_stdout, reason = "a skipped test must say so")]
#![expect(clippy::unwrap_used, reason = "the helpers of a test")]

use std::path::PathBuf;

use serin::model::Artifact;
use serin::model::Dataset;
use serin::model::TrainingOptions;
use serin::model::dataset::DatasetOptions;
use serin::model::train;
use serin::model::training::Holdout;

fn telco() -> Option<Dataset> {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data/telco-customer-churn.csv");
    if !path.exists() {
        println!("skipped: {} is not there", path.display());
        return None;
    }
    let drop = vec!["customerID".to_owned()];
    let options = DatasetOptions { target: "Churn".into(), positive: "Yes".into(), drop };
    Some(Dataset::from_csv(&path, &options).unwrap())
}

fn fifths() -> TrainingOptions {
    TrainingOptions { holdout: Holdout::Every(5), ..TrainingOptions::default() }
}

fn assert_near(what: &str, found: f64, expected: f64, tolerance: f64) {
    println!("{what}: {found:.5} (scikit-learn {expected})");
    assert!((found - expected).abs() <= tolerance, "{what}: {found}, expected {expected}");
}

#[test]
fn the_telco_model_is_the_one_scikit_learn_fits() {
    let Some(data) = telco() else { return };
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

#[test]
fn training_twice_gives_the_same_bytes_and_the_file_reads_back() {
    let Some(data) = telco() else { return };
    let [one, other] = [0, 1].map(|_| train(&data, &fifths()).unwrap());
    assert_eq!(one.to_bytes(), other.to_bytes());
    let read = Artifact::from_bytes(one.to_bytes()).unwrap();
    assert_eq!(read.card(), one.card());
    println!("{} bytes", one.to_bytes().len());
}
