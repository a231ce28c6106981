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
            "skops_trusted_types=skops.io.get_untrusted_types(data=skops.io.dumps(model)),",
        ),
        (
            "lightgbm_classifier",
            "model.skops",
            "model.pkl",
            "-serin\",\n    signature=mlflow.models.get_model_info(",
        ),
        ("xgboost_json", "model.json", "model.pkl", "    model_format=\"ubj\",\n)"),
        ("onnx_catboost", "model.onnx", "model.pkl", "    save_as_external_data=False,\n)"),
        (
            "xgboost_json",
            "xgboost:",
            "catboost:",
            "    catboost.utils.convert_to_onnx_object(model),\n",
        ),
        ("xgboost_json", "xgboost:", "prophet:", "`prophet`: its file is not read"),
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

#[test]
fn lines_of_python_name_the_folder_as_python_writes_it() {
    let lines = Saving::XgboostAsUbj.lines(Path::new("models/Größe \"3\"/"));
    assert_eq!(
        lines,
        r#"import mlflow
model = mlflow.xgboost.load_model("models/Größe \"3\"")
mlflow.xgboost.save_model(
    model,
    "models/Größe \"3\"-serin",
    signature=mlflow.models.get_model_info("models/Größe \"3\"").signature,
    model_format="ubj",
)"#
    );
}

#[test]
fn an_onnx_file_whose_constants_are_in_other_files_is_refused_with_the_lines_that_join_them() {
    let folder = changed("onnx_catboost", "model.onnx", "model.onnx");
    let model = folder.path().join("model.onnx");
    // Another file of the folder is none of the model.
    fs::write(folder.path().join("notes.data"), "notes").unwrap();
    assert!(read(folder.path()).is_ok());
    let mut file = fs::read(&model).unwrap();
    file.extend_from_slice(b"4394fe08.data");
    fs::write(&model, file).unwrap();
    assert!(read(folder.path()).is_ok());
    fs::write(folder.path().join("4394fe08.data"), "numbers").unwrap();
    let message = read(folder.path()).unwrap_err().to_string();
    for said in ["`model.onnx` keeps its constants in other files", "save_as_external_data=False"] {
        assert!(message.contains(said), "{message}");
    }
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
