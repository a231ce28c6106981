//! Golden folders of MLflow (see `scripts/golden_mlflow.py`), and folders that are refused.

use super::*;
use crate::model::importing::ImportOptions;
use crate::model::importing::import;
use crate::model::schema::Missing;

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/model/importing/testdata").join(name)
}

/// Imports a folder and compares it with the answers of the model that MLflow loads.
fn compared(name: &str, folder: &Path) -> Result<Artifact, String> {
    let Folder { file, columns } = read(folder).map_err(|refusal| refusal.to_string())?;
    let options = ImportOptions {
        source: name.to_owned(),
        threshold: None,
        target: None,
        missing: Missing::default(),
        tolerance: 1e-7,
        answers: "expected".to_owned(),
    };
    let expected = golden(&format!("{name}.csv"));
    import(file, columns.as_deref(), Some(&expected), options).map_err(|cause| cause.to_string())
}

const FOLDERS: [&str; 7] = [
    "sklearn_pipeline",
    "sklearn_forest",
    "xgboost_booster",
    "xgboost_json",
    "xgboost_bare",
    "lightgbm_booster",
    "lightgbm_classifier",
];

#[test]
fn every_flavor_answers_as_the_model_that_mlflow_loads_under_the_names_of_the_signature() {
    for name in FOLDERS {
        let artifact = compared(name, &golden(name)).unwrap();
        let parity = artifact.card().imported().and_then(|import| import.parity.as_ref()).unwrap();
        assert_eq!((parity.rows, parity.rows_above), (40, 0), "{name}");
        let names: Vec<&str> = artifact.card().features.feature_names().collect();
        assert_eq!(&names[..3], ["tenure months", "monthly", "tickets"], "{name}");
    }
}

/// A copy of a golden folder with a changed `MLmodel`.
fn changed(name: &str, from: &str, to: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(golden(name)).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    let path = folder.path().join("MLmodel");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{name}: {from}");
    fs::write(path, text.replace(from, to)).unwrap();
    folder
}

#[test]
fn what_is_not_read_is_refused_with_its_key_and_what_helps() {
    let cases = [
        (
            "sklearn_forest",
            "serialization_format: skops",
            "serialization_format: cloudpickle",
            "skops_trusted_types=[\"sklearn.tree._tree.Tree\", \"sklearn.ensemble.",
        ),
        (
            "lightgbm_classifier",
            "model.skops",
            "model.pkl",
            "-data\", serialization_format=\"skops\")",
        ),
        ("xgboost_json", "xgboost:", "catboost:", "`catboost`: its file is not read"),
        ("xgboost_json", "\n  xgboost:", "\nother:", "a Python program is not run"),
        ("xgboost_json", "flavors:", "flavours:", "MLmodel: it has no flavors"),
        ("xgboost_json", "data: model.json", "data: ../model.json", "is not in the folder"),
        ("xgboost_json", "data: model.json", "data: /etc/hostname", "is not in the folder"),
        ("xgboost_json", "data: model.json", "data: none.json", "`none.json`: cannot be read"),
        ("xgboost_json", "\"type\": \"long\"", "\"type\": \"datetime\"", "the type `datetime`"),
        ("xgboost_json", "\"type\": \"long\"", "\"type\": \"string\"", "the signature has strings"),
        ("xgboost_json", "'[{", "'[[{", "MLmodel: signature.inputs: "),
        ("xgboost_json", "flavors:", "flavors", "MLmodel: line 1: it is not `key: value`"),
        ("xgboost_bare", "{\"type\": \"long\"", "{\"type\": \"tensor\"", "unknown column `f0`"),
    ];
    for (name, from, to, expected) in cases {
        let folder = changed(name, from, to);
        let message = compared(name, folder.path()).unwrap_err();
        assert!(message.contains(expected), "{message} should contain {expected}");
    }
    let empty = tempfile::tempdir().unwrap();
    assert!(read(empty.path()).unwrap_err().to_string().contains("has no file MLmodel"));
    fs::write(empty.path().join("MLmodel"), vec![b'\n'; MAX_BYTES + 1]).unwrap();
    assert!(read(empty.path()).unwrap_err().to_string().contains("at most 1048576 are read"));
}

#[cfg(unix)]
#[test]
fn a_link_out_of_the_folder_is_not_followed() {
    let folder = changed("xgboost_json", "data: model.json", "data: link.json");
    let outside = golden("xgboost_json/model.json");
    std::os::unix::fs::symlink(outside, folder.path().join("link.json")).unwrap();
    let message = compared("xgboost_json", folder.path()).unwrap_err();
    assert!(message.contains("`link.json` is not in the folder"), "{message}");
}
