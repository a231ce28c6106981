//! `serin import`: files of other libraries, compared with the answers of the original.

#![expect(clippy::unwrap_used, reason = "the helpers of a test")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Output;

use serde_json::Value;
use tempfile::tempdir;

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/model/kinds/testdata").join(name)
}

#[path = "shared/executable.rs"]
mod executable;

/// Runs serin in this folder.
fn serin(folder: &Path, arguments: &[&str]) -> Output {
    executable::serin(folder).args(arguments).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8([&output.stdout[..], &output.stderr[..]].concat()).unwrap()
}

/// Copies a golden file into the folder, with its rows and the original's answers as expected.csv.
fn prepare(folder: &Path, name: &str) -> String {
    let json =
        |name: &str| -> Value { serde_json::from_slice(&fs::read(golden(name)).unwrap()).unwrap() };
    let (case, rows) = (json(&format!("{name}.case.json")), json("rows.json"));
    let rows = &rows[case["rows"].as_str().unwrap()];
    let names = rows["columns"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
    let mut csv = format!("{},expected\n", names.collect::<Vec<_>>().join(","));
    let answers = case["answers"].as_array().unwrap();
    for (row, answer) in rows["rows"].as_array().unwrap().iter().zip(answers) {
        for value in row.as_array().unwrap() {
            match value {
                Value::Null => csv.push(','),
                Value::String(word) => write!(csv, "{word},").unwrap(),
                number => write!(csv, "{number},").unwrap(),
            }
        }
        writeln!(csv, "{}", answer[0]).unwrap();
    }
    fs::write(folder.join("expected.csv"), csv).unwrap();
    let file = case["file"].as_str().unwrap().to_owned();
    fs::copy(golden(&file), folder.join(&file)).unwrap();
    file
}

#[test]
fn an_import_shows_what_was_compared_and_inspect_shows_it_again() {
    for (name, library) in [
        ("lgb_categories", "LightGBM"),
        ("xgb_binary", "XGBoost"),
        ("sk_pipe_logistic", "scikit-learn"),
        ("coefficients_logistic", "coefficients (serin.model/v1)"),
    ] {
        let folder = tempdir().unwrap();
        let file = prepare(folder.path(), name);
        let imported =
            serin(folder.path(), &["import", &file, "--expect", "expected.csv", "--out", "m.bin"]);
        let shown = text(&imported);
        assert_eq!(imported.status.code(), Some(0), "{shown}");
        for said in [library, &file, "74 rows of expected.csv", "a probability"] {
            assert!(shown.contains(said), "{said}: {shown}");
        }
        let inspected = text(&serin(folder.path(), &["inspect", "m.bin"]));
        assert!(inspected.starts_with(shown.trim_end()), "{inspected}\n{shown}");
        assert!(inspected.contains("balance: numeric"), "{inspected}");
        assert!(inspected.lines().all(|line| line.chars().count() <= 80), "{inspected}");
        let card = serin(folder.path(), &["inspect", "m.bin", "--json"]);
        let card: Value = serde_json::from_slice(&card.stdout).unwrap();
        assert_eq!(card["import"]["parity"]["rows"], 74);
        // As its library wrote it, it says that nothing was compared.
        let raw = text(&serin(folder.path(), &["inspect", &file]));
        assert!(raw.contains("were not compared with those of the original"), "{raw}");
    }
}

#[test]
fn a_comparison_of_few_rows_is_worth_a_warning() {
    let folder = tempdir().unwrap();
    let file = prepare(folder.path(), "lgb_categories");
    let csv = fs::read_to_string(folder.path().join("expected.csv")).unwrap();
    let one: Vec<&str> = csv.lines().take(2).collect();
    fs::write(folder.path().join("one.csv"), one.join("\n")).unwrap();
    let shown =
        text(&serin(folder.path(), &["import", &file, "--expect", "one.csv", "--out", "m.bin"]));
    assert!(shown.contains("1 row of one.csv"), "{shown}");
    assert!(shown.contains("so few rows show little"), "{shown}");
}

#[test]
fn a_model_folder_of_mlflow_is_imported_with_the_names_of_its_signature() {
    let folder = tempdir().unwrap();
    let mlflow = golden("../../importing/testdata");
    for name in ["xgboost_bare", "sklearn_pipeline"] {
        let (model, csv) = (mlflow.join(name), mlflow.join(format!("{name}.csv")));
        let (model, csv) = (model.to_str().unwrap(), csv.to_str().unwrap());
        let imported = serin(folder.path(), &["import", model, "--expect", csv, "--out", "m.bin"]);
        assert_eq!(imported.status.code(), Some(0), "{}", text(&imported));
        let shown = text(&serin(folder.path(), &["inspect", "m.bin"]));
        for said in [name, &format!("40 rows of {name}.csv"), "tenure months: numeric"] {
            assert!(shown.contains(said), "{said}: {shown}");
        }
    }
    let refused = serin(folder.path(), &["import", ".", "--out", "m.bin"]);
    assert!(text(&refused).contains("this folder has no file MLmodel"), "{}", text(&refused));
}

/// A logistic regression of two categories, one of which pandas would read as missing.
const LISTED: &str = r#"{
  "format": "serin.model/v1", "model": "logistic_regression", "intercept": 0.0,
  "features": [
    {"name": "internet", "kind": "category", "levels": ["DSL", "None"], "coefficients": [1.0, -2.0]},
    {"name": "age", "kind": "number", "coefficient": 0.5}
  ]
}"#;

#[test]
fn a_marker_that_the_model_lists_as_a_category_is_a_word_in_files_as_in_requests() {
    let folder = tempdir().unwrap();
    let path = folder.path();
    fs::write(path.join("m.json"), LISTED).unwrap();
    // NA is not among the categories: missing, which adds nothing.
    let mut csv = "internet,age,churned,expected\n".to_owned();
    let mut log_loss = 0.0;
    for row in 0..60 {
        let age = f64::from(row % 7) - 3.0;
        let (word, coefficient) = [("DSL", 1.0), ("None", -2.0), ("NA", 0.0)][row as usize % 3];
        let probability = 1.0 / (1.0 + f64::exp(-(coefficient + 0.5 * age)));
        let outcome = if row % 2 == 0 { "yes" } else { "no" };
        writeln!(csv, "{word},{age},{outcome},{probability}").unwrap();
        log_loss -= f64::ln(if row % 2 == 0 { probability } else { 1.0 - probability }) / 60.0;
    }
    fs::write(path.join("rows.csv"), csv).unwrap();
    let target = ["--target", "churned", "--positive", "yes"];
    let import =
        ["import", "m.json", "--expect", "rows.csv", "--tolerance", "1e-9", "--out", "m.bin"];
    let imported = serin(path, &[&import[..], &target].concat());
    assert_eq!(imported.status.code(), Some(0), "{}", text(&imported));
    let compare = ["compare", "m.bin", "m.json", "--data", "rows.csv", "--segment", "internet"];
    let compared = serin(path, &[&compare[..], &["--json"]].concat());
    let compared: Value = serde_json::from_slice(&compared.stdout).unwrap();
    let found: Vec<String> = compared["segments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["value"].to_string())
        .collect();
    assert_eq!(found, ["\"DSL\"", "\"None\"", "null"], "{compared}");
    let inspected = serin(path, &["inspect", "m.bin", "--data", "rows.csv", "--json"]);
    let inspected: Value = serde_json::from_slice(&inspected.stdout).unwrap();
    let found = inspected["log_loss"].as_f64().unwrap();
    assert!((found - log_loss).abs() < 1e-9, "{found} {log_loss}");
}

#[test]
fn what_differs_from_the_original_is_refused_and_nothing_is_written() {
    let folder = tempdir().unwrap();
    // The rows and answers are those of the second.
    let file = prepare(folder.path(), "lgb_binary");
    let other = prepare(folder.path(), "xgb_binary");
    let refused =
        serin(folder.path(), &["import", &file, "--expect", "expected.csv", "--out", "m.bin"]);
    let message = text(&refused);
    assert_eq!(refused.status.code(), Some(2), "{message}");
    for said in
        ["parity: ", "of 74 rows differ", "1e-5", "the original answered", "Most rows differ"]
    {
        assert!(message.contains(said), "{said}: {message}");
    }
    assert!(!folder.path().join("m.bin").exists());
    for (arguments, said) in [
        (vec!["import", &other, "--expect", "none.csv", "--out", "m.bin"], "none.csv"),
        (vec!["import", "none.txt", "--out", "m.bin"], "import none.txt: cannot be read"),
        (vec!["import", &other, "--out", &other], "this is the file to import"),
        (vec!["import", "expected.csv", "--out", "m.bin"], "pickle and joblib are never read"),
        (vec!["import", &other, "--out", "none/m.bin"], "--out none/m.bin"),
        (
            vec![
                "import",
                &other,
                "--expect",
                "expected.csv",
                "--tolerance",
                "nan",
                "--out",
                "m.bin",
            ],
            "--tolerance",
        ),
        (vec!["import", &other, "--threshold", "2", "--out", "m.bin"], "threshold: 2"),
        (
            vec![
                "import",
                &other,
                "--expect",
                "expected.csv",
                "--expect-column",
                "answer",
                "--out",
                "m.bin",
            ],
            "`answer`",
        ),
    ] {
        let refused = serin(folder.path(), &arguments);
        let message = text(&refused);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}: {message}");
        assert!(message.contains(said), "{said}: {message}");
    }
}

#[test]
fn the_classes_are_shown_with_the_one_whose_probability_is_answered() {
    let folder = tempdir().unwrap();
    let file = prepare(folder.path(), "sk_forest_labels");
    let import = |positive: &str| {
        let target = ["--target", "plan", "--positive", positive];
        let arguments = ["import", &file, "--expect", "expected.csv", "--out", "m.bin"];
        serin(folder.path(), &[&arguments[..], &target].concat())
    };
    let refused = import("No");
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
    assert!(text(&refused).contains("use --positive `Yes`"), "{}", text(&refused));
    assert!(!folder.path().join("m.bin").exists());
    let shown = text(&import("Yes"));
    assert!(shown.contains("`No`, `Yes`; the probability is of `Yes`"), "{shown}");
}
