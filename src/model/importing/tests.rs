//! Imports of the golden files: the answers of the original are repeated, and what differs is refused.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use serde_json::Value as Json;
use tempfile::TempDir;
use tempfile::tempdir;

use super::*;
use crate::model::Features;
use crate::model::Value;

mod classes_and_names;

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/model/kinds/testdata").join(name)
}

fn json(name: &str) -> Json {
    serde_json::from_slice(&fs::read(golden(name)).unwrap()).unwrap()
}

/// The rows of a golden file with its original's answers, as CSV.
fn expected(case: &Json, change: impl Fn(usize, &str) -> Option<String>) -> String {
    let rows = json("rows.json");
    let rows = &rows[case["rows"].as_str().unwrap()];
    let columns: Vec<&str> =
        case["columns"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let all: Vec<&str> =
        rows["columns"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let answers = case["answers"].as_array().unwrap();
    let numbers = answers[0].as_array().unwrap().len();
    let heads: Vec<String> = match numbers {
        1 => vec!["expected".to_owned()],
        many => (0..many).map(|class| format!("expected:{class}")).collect(),
    };
    let mut text = format!("{},{}\n", columns.join(","), heads.join(","));
    for (number, (row, answer)) in rows["rows"].as_array().unwrap().iter().zip(answers).enumerate()
    {
        for column in &columns {
            let place = all.iter().position(|one| one == column).unwrap();
            let cell = match &row[place] {
                Json::Null => String::new(),
                Json::String(word) => word.clone(),
                number => number.to_string(),
            };
            let _ = write!(text, "{},", change(number, &cell).unwrap_or(cell));
        }
        let answer: Vec<String> =
            answer.as_array().unwrap().iter().map(|it| it.to_string().replace('"', "")).collect();
        let _ = writeln!(text, "{}", answer.join(","));
    }
    text
}

struct Import {
    folder: TempDir,
    file: Vec<u8>,
    options: ImportOptions,
}

impl Import {
    fn of(case: &Json) -> Self {
        let name = case["file"].as_str().unwrap();
        let options = ImportOptions {
            source: name.to_owned(),
            threshold: None,
            target: None,
            missing: Missing::default(),
            tolerance: 1e-5,
            answers: "expected".to_owned(),
        };
        Self { folder: tempdir().unwrap(), file: fs::read(golden(name)).unwrap(), options }
    }

    fn compared(&self, csv: &str) -> Result<Artifact, ImportingError> {
        let path = self.folder.path().join("expected.csv");
        fs::write(&path, csv).unwrap();
        import(self.file.clone(), None, Some(&path), self.options.clone())
    }
}

const CASES: [&str; 17] = [
    "lgb_missing.case.json",
    "lgb_categories.case.json",
    "xgb_binary.case.json",
    "xgb_categories.case.json",
    "sk_forest.case.json",
    "sk_pipe_logistic.case.json",
    "coefficients_logistic.case.json",
    // Many classes and scores.
    "lgb_multiclass.case.json",
    "lgb_multiclassova.case.json",
    "xgb_multiclass.case.json",
    "sk_forest_classes.case.json",
    "sk_logistic_classes.case.json",
    "lgb_regression.case.json",
    "lgb_poisson.case.json",
    "xgb_regression.case.json",
    "sk_forest_regression.case.json",
    "sk_linear.case.json",
];

#[test]
fn an_imported_model_answers_as_the_original_and_is_read_back() {
    for name in CASES {
        let case = json(name);
        let import = Import::of(&case);
        let artifact = import.compared(&expected(&case, |_, _| None)).unwrap();
        let Some(card) = artifact.card().imported() else { panic!("{name}") };
        let parity = card.parity.as_ref().unwrap();
        assert_eq!(parity.rows, case["answers"].as_array().unwrap().len() as u64);
        assert!(parity.largest_difference <= 1e-12, "{name}: {parity:?}");
        assert_eq!((parity.rows_above, parity.source.as_str()), (0, "expected.csv"));
        let path = import.folder.path().join("model.bin");
        artifact.write(&path).unwrap();
        let read = Artifact::read(&path).unwrap();
        assert_eq!(read.card(), artifact.card());
        // The file is in the artifact as its library wrote it.
        let bytes = artifact.to_bytes();
        assert!(bytes.windows(import.file.len()).any(|part| part == import.file), "{name}");
    }
}

#[test]
fn one_category_written_in_another_way_is_refused_with_the_worst_row() {
    let case = json("lgb_categories.case.json");
    let import = Import::of(&case);
    // In some rows the category decides nothing.
    let refusal = |flipped: usize| {
        let csv = expected(&case, |row, cell| {
            (row == flipped && cell == "Month-to-month").then(|| "Two year".to_owned())
        });
        Some((flipped + 1, import.compared(&csv).err()?.to_string()))
    };
    let (number, message) = (0..60).find_map(refusal).unwrap();
    assert!(message.starts_with("parity: 1 of "), "{message}");
    let row = format!("in row {number}: the original answered");
    for said in [&row, "`Two year`", "a category that is written in another way"] {
        assert!(message.contains(said), "{message}");
    }
}

/// pandas writes a column of booleans so.
#[test]
fn true_and_false_are_one_and_zero_where_the_input_is_a_number() {
    let case = json("lgb_missing.case.json");
    let import = Import::of(&case);
    let csv = expected(&case, |_, cell| match cell {
        "1.0" => Some("True".to_owned()),
        "0.0" => Some("False".to_owned()),
        _ => None,
    });
    assert!(csv.contains("True") && csv.contains("False"));
    import.compared(&csv).unwrap();
}

#[test]
fn an_input_is_not_taken_for_the_answers() {
    let case = json("lgb_missing.case.json");
    let mut import = Import::of(&case);
    import.options.answers = "tenure".to_owned();
    let message = import.compared(&expected(&case, |_, _| None)).unwrap_err().to_string();
    assert!(message.starts_with("column `tenure`: it is an input of the model"), "{message}");
}

#[test]
fn the_usual_mistakes_in_the_answers_are_named() {
    let case = json("lgb_missing.case.json");
    let import = Import::of(&case);
    let changed = |change: &dyn Fn(f64) -> String| {
        let mut case = case.clone();
        for answer in case["answers"].as_array_mut().unwrap() {
            answer[0] = Json::String(change(answer[0].as_f64().unwrap()));
        }
        let csv = expected(&case, |_, _| None).replace('"', "");
        import.compared(&csv).unwrap_err().to_string()
    };
    let other = changed(&|answer| (1.0 - answer).to_string());
    assert!(other.contains("the probability of the other class"), "{other}");
    let scores = changed(&|answer| (answer / (1.0 - answer)).ln().to_string());
    assert!(scores.contains("scores before the sigmoid"), "{scores}");
    let labels = changed(&|answer| if answer > 0.5 { "1" } else { "0" }.to_owned());
    assert!(labels.contains("probabilities, not labels"), "{labels}");
    let missing = changed(&|_| String::new());
    assert!(missing.contains("row 1: no answer in column `expected`"), "{missing}");
}

#[test]
fn a_file_as_its_library_wrote_it_is_an_artifact() {
    for name in CASES {
        let case = json(name);
        let file = fs::read(golden(case["file"].as_str().unwrap())).unwrap();
        let artifact = Artifact::from_bytes(&file).unwrap();
        assert_eq!(artifact.to_bytes(), file);
        let card = serde_json::to_value(artifact.card()).unwrap();
        assert_eq!(
            (&card["format_version"], &card["import"]["parity"]),
            (&Json::Null, &Json::Null)
        );
        let model = artifact.model();
        let nothing = vec![Value::Missing; model.schema().features().len()];
        assert!(model.schema().row(Features::Ordered(nothing)).is_ok(), "{name}");
    }
}

/// The expected answers are those of the formula in Python.
#[test]
fn the_example_of_the_documentation_is_a_model_that_answers_as_its_formula() {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/models.md")).unwrap();
    let blocks = text.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next());
    let example = blocks.into_iter().find(|block| block.contains("serin.model/v1")).unwrap();
    let artifact = Artifact::from_bytes(example.as_bytes()).unwrap();
    let card = artifact.card();
    assert_eq!((card.kind, card.output.threshold()), ("coefficients", Some(0.35)));
    let model = artifact.model();
    let rows = [
        (
            r#"{"tenure": 12, "monthly_charges": 70.35, "contract": "Month-to-month"}"#,
            0.9111985075146303,
        ),
        (
            r#"{"tenure": null, "monthly_charges": 20.05, "contract": "Two year"}"#,
            0.2499179381064359,
        ),
        (r#"{"tenure": 5, "monthly_charges": 99, "contract": "Weekly"}"#, 0.9139773472997752),
        (r#"{"tenure": 5, "monthly_charges": 99, "contract": null}"#, 0.9570243484763065),
    ];
    for (features, expected) in rows {
        let row = model.schema().row(serde_json::from_str(features).unwrap()).unwrap();
        let answer = model.predict(&row).unwrap().score();
        assert!((answer - expected).abs() < 1e-15, "{features}: {answer}");
    }
    // An import keeps its threshold unless it names another.
    let options = Import::of(&json("coefficients_logistic.case.json")).options;
    let imported = |threshold| {
        let options = ImportOptions { threshold, ..options.clone() };
        import(example.as_bytes().to_vec(), None, None, options).unwrap().card().output.threshold()
    };
    assert_eq!((imported(None), imported(Some(0.6))), (Some(0.35), Some(0.6)));
    let wrong = example.replace("0.911199", "0.9");
    let message = Artifact::from_bytes(wrong.as_bytes()).unwrap_err().to_string();
    assert!(message.starts_with("probes[0]: the model answers 0.91119"), "{message}");
}

#[test]
fn classes_have_the_names_of_the_file_of_the_columns_or_numbers() {
    let classes = |artifact: &Artifact| artifact.model().output().classes().to_vec();
    let case = json("lgb_multiclass.case.json");
    let import = Import::of(&case);
    // LightGBM's file has no names.
    let raw = Artifact::from_bytes(&import.file).unwrap();
    assert_eq!(classes(&raw), ["0", "1", "2"]);
    let named = |names: [&str; 3]| {
        let mut csv = expected(&case, |_, _| None);
        for (number, name) in names.iter().enumerate() {
            csv = csv.replacen(&format!("expected:{number}"), &format!("expected:{name}"), 1);
        }
        import.compared(&csv)
    };
    let artifact = named(["none", "some", "all"]).unwrap();
    assert_eq!(classes(&artifact), ["none", "some", "all"]);
    let read = Artifact::from_bytes(artifact.to_bytes()).unwrap();
    assert_eq!(classes(&read), ["none", "some", "all"]);
    assert_eq!(serde_json::to_value(read.card()).unwrap()["classes"][1], "some");
    let message = named(["a", "b", ""]).unwrap_err().to_string();
    assert!(message.contains("classes: \"\" is empty, repeated"), "{message}");
    let csv = expected(&case, |_, _| None).replacen("expected:2", "other", 1);
    let message = import.compared(&csv).unwrap_err().to_string();
    assert!(message.contains("it has `expected:0`, `expected:1`"), "{message}");
    // scikit-learn's file has them, in the order of its numbers.
    let case = json("sk_logistic_classes.case.json");
    let import = Import::of(&case);
    let csv = expected(&case, |_, _| None);
    let [first, second] = ["expected:0", "expected:1"];
    let swapped = csv.replacen(first, "expected:x", 1).replacen(second, first, 1);
    let swapped = swapped.replacen("expected:x", second, 1);
    let message = import.compared(&swapped).unwrap_err().to_string();
    assert!(message.contains("for class `"), "{message}");
    assert!(message.contains("name the classes in another order"), "{message}");
    let message = import.compared(&csv.replacen(first, "expected:x", 1)).unwrap_err().to_string();
    assert!(message.contains("needs the columns `expected:0`, `expected:1`"), "{message}");
}

#[test]
fn the_tolerance_of_a_score_is_a_share_of_it() {
    let case = json("lgb_regression.case.json");
    let import = Import::of(&case);
    let times = |factor: f64| {
        let mut case = case.clone();
        for answer in case["answers"].as_array_mut().unwrap() {
            answer[0] = Json::from(answer[0].as_f64().unwrap() * factor);
        }
        import.compared(&expected(&case, |_, _| None))
    };
    let artifact = times(1.0 + 0.9e-5).unwrap();
    assert_eq!(artifact.model().output(), &crate::model::OutputKind::Score);
    let message = times(1.0 + 1.1e-5).unwrap_err().to_string();
    assert!(message.contains("Most rows differ"), "{message}");
    let target = Target { column: "spend".to_owned(), positive: "1".to_owned() };
    let options = ImportOptions { target: Some(target), ..import.options };
    let message = super::import(import.file, None, None, options).unwrap_err().to_string();
    assert!(message.starts_with("positive: the model answers a score"), "{message}");
}

#[test]
fn a_threshold_for_a_score_or_many_classes_is_refused() {
    for name in ["lgb_regression.case.json", "lgb_multiclass.case.json"] {
        let Import { file, mut options, .. } = Import::of(&json(name));
        options.threshold = Some(0.4);
        let message = super::import(file, None, None, options).unwrap_err().to_string();
        assert!(message.starts_with("threshold: the model answers "), "{message}");
        assert!(message.ends_with("leave out --threshold, which is for two classes"), "{message}");
    }
}

/// The CSV file with the original's answers has no markers left, so that only a request shows what they do.
#[test]
fn a_marker_in_a_request_is_a_missing_value_as_in_a_file() {
    let mut import = Import::of(&json("xgb_categories.case.json"));
    import.options.missing = Missing::default().and(&["-999".to_owned(), "unknown".to_owned()]);
    let artifact = super::import(import.file, None, None, import.options).unwrap();
    let artifact = Artifact::from_bytes(artifact.to_bytes()).unwrap();
    let model = artifact.model();
    let features = model.schema().features();
    let is_numeric = |at: usize| features[at].kind.is_numeric();
    let answer = |at: usize, value: &Json| {
        let plain = |at: usize| match &features[at].kind {
            crate::model::schema::FeatureKind::Categorical { levels } => Json::from(&*levels[0]),
            _ => Json::from(20),
        };
        let mut values: Vec<Json> = (0..features.len()).map(plain).collect();
        values[at] = value.clone();
        let text = Json::from(values).to_string();
        let row = model.schema().row(serde_json::from_str(&text).unwrap()).unwrap();
        model.predict(&row).unwrap().score()
    };
    let mut differ = [false; 2];
    for at in 0..features.len() {
        let missing = answer(at, &Json::Null);
        let (markers, other) = match is_numeric(at) {
            true => (["-999", "-999.0", "\"-999\"", "\"NA\"", "\"unknown\""], Json::from(-998)),
            false => {
                (["-999", "\"-999\"", "\"NA\"", "\" NA \"", "\"unknown\""], Json::from("Else"))
            }
        };
        for marker in markers {
            let marker: Json = serde_json::from_str(marker).unwrap();
            assert_eq!(answer(at, &marker), missing, "{} {marker}", features[at].name);
        }
        differ[usize::from(is_numeric(at))] |= answer(at, &other) != missing;
    }
    assert!(differ[1], "a number that is not a marker is not missing");
}

#[test]
fn a_marker_that_the_file_lists_is_a_word_and_an_unlisted_one_is_missing() {
    let file = r#"{"format": "serin.model/v1", "model": "linear_regression", "intercept": 1, "features": [
        {"name": "c", "kind": "category", "levels": ["None", "a"], "coefficients": [2, 4], "missing": "a"},
        {"name": "x", "kind": "number", "coefficient": 1, "missing": 8}],
        "probes": [{"features": {"c": "None", "x": 0}, "expected": 3}, {"features": ["NA", 0], "expected": 5}]}"#;
    let mut options = Import::of(&json(CASES[0])).options;
    // The probe that serin adds, of zeros, stays one of zeros.
    options.missing = Missing::default().and(&["0".to_owned()]);
    let artifact = import(file.as_bytes().to_vec(), None, None, options).unwrap();
    let model = artifact.model();
    for (features, expected) in [
        (r#"["None", 1]"#, 4.0),
        (r#"["NA", 1]"#, 6.0),
        (r#"["other", 1]"#, 2.0),
        (r#"["other", 0]"#, 9.0),
        (r#"["other", "0.0"]"#, 9.0),
        (r#"["0", null]"#, 13.0),
    ] {
        let row = model.schema().row(serde_json::from_str(features).unwrap()).unwrap();
        assert_eq!(model.predict(&row).unwrap().score(), expected, "{features}");
    }
}

#[test]
fn other_files_are_refused_with_what_they_are() {
    let refusal = |file: &[u8]| Artifact::from_bytes(file).unwrap_err().to_string();
    for pickled in [&b"\x80\x04\x95\x1c\x00\x00"[..], b"BZh91AY&SY"] {
        assert!(refusal(pickled).starts_with("magic: not a model file"), "{}", refusal(pickled));
        let options = Import::of(&json(CASES[0])).options;
        let message = import(pickled.to_vec(), None, None, options).unwrap_err().to_string();
        assert!(message.contains("pickle and joblib are never read"), "{message}");
    }
}

#[test]
fn the_inputs_get_the_names_of_the_data() {
    let case = json("lgb_missing.case.json");
    let import_as = |columns: &[&str]| {
        let Import { file, options, .. } = Import::of(&case);
        let column = |name: &&str| Column { name: (*name).to_owned(), kind: None };
        let columns: Vec<Column> = columns.iter().map(column).collect();
        import(file, Some(&columns), None, options)
    };
    let names = ["x", "tenure", "monthly", "total", "senior", "tickets", "balance"];
    let artifact = import_as(&names).unwrap();
    let found: Vec<&str> = artifact.card().features.feature_names().collect();
    assert_eq!(found, &names[1..]);
    let message = import_as(&["Tenure", "monthly"]).unwrap_err().to_string();
    assert!(
        message.contains("`tenure`: the data has no such column (did you mean `Tenure`?)"),
        "{message}"
    );
}
