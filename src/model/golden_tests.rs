//! Model files of every format version, as the releases wrote them, with their answers: each later release reads them
//! and answers the same, to the bit.
//!
//! A new version gets its file by `cargo test --lib write_golden_files -- --ignored`, which writes the files
//! that are not there and changes none.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;
use serde::Serialize;

use crate::model::Artifact;
use crate::model::Features;
use crate::model::artifact::codec;
use crate::model::artifact::codec::Contents;
use crate::model::artifact::limits::CLASSES_VERSION;
use crate::model::artifact::limits::FORMAT_VERSION;
use crate::model::artifact::limits::IMPORTED_VERSION;
use crate::model::artifact::limits::INPUTS_VERSION;
use crate::model::artifact::limits::NEWEST_VERSION;
use crate::model::artifact::limits::OLDEST_VERSION;
use crate::model::artifact::limits::TRAINED_CLASSES_VERSION;
use crate::model::dataset::Dataset;
use crate::model::dataset::DatasetOptions;
use crate::model::importing::ImportOptions;
use crate::model::importing::import;
use crate::model::schema::Missing;
use crate::model::training;
use crate::model::training::TrainingOptions;

/// Rows by position, as clients send them, with the answers of the release that wrote the file.
#[derive(Serialize, Deserialize)]
struct Answered {
    rows: Vec<serde_json::Value>,
    answers: Vec<Vec<f64>>,
}

/// The versions that this release writes.
const WRITTEN: [u32; 5] =
    [FORMAT_VERSION, IMPORTED_VERSION, CLASSES_VERSION, TRAINED_CLASSES_VERSION, INPUTS_VERSION];

fn path(version: u32, kind: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/model/artifact/testdata");
    folder.join(format!("version_{version}.{kind}"))
}

fn answers(artifact: &Artifact, rows: &[serde_json::Value]) -> Vec<Vec<f64>> {
    let answer = |row: &serde_json::Value| {
        let model = artifact.model();
        let text = row.to_string();
        let features: Features<'_> = serde_json::from_str(&text).unwrap();
        let row = model.schema().row(features).unwrap();
        model.predict(&row).unwrap().numbers().to_vec()
    };
    rows.iter().map(answer).collect()
}

#[test]
fn a_file_of_every_version_answers_as_the_release_that_wrote_it() {
    for version in OLDEST_VERSION..=NEWEST_VERSION {
        let bytes = fs::read(path(version, "bin")).unwrap();
        // Reading it replays its probes.
        let artifact = Artifact::from_bytes(&bytes).unwrap();
        assert_eq!(artifact.card().format_version, Some(version));
        assert_eq!(artifact.to_bytes(), bytes);
        let answered: Answered =
            serde_json::from_slice(&fs::read(path(version, "json")).unwrap()).unwrap();
        assert!(answered.rows.len() >= 5, "version {version}");
        assert_eq!(answers(&artifact, &answered.rows), answered.answers, "version {version}");
    }
}

/// A release that writes a version writes the bytes of its golden file.
#[test]
fn a_version_that_is_written_still_has_the_bytes_of_its_file() {
    for version in WRITTEN {
        let bytes = fs::read(path(version, "bin")).unwrap();
        let again = match codec::decode(&bytes).unwrap().contents {
            Contents::Trained(payload) => codec::encode(&payload).unwrap(),
            Contents::TrainedClasses(payload) => codec::encode_classes(&payload).unwrap(),
            Contents::Imported(payload) => codec::encode_imported(&payload).unwrap(),
        };
        assert_eq!(again, bytes, "version {version}");
    }
}

#[test]
#[ignore = "writes the golden files of the versions that have none"]
fn write_golden_files_of_the_present() {
    for version in WRITTEN {
        if path(version, "bin").exists() {
            continue;
        }
        let (artifact, rows) = match version {
            FORMAT_VERSION | INPUTS_VERSION => trained(Some("Yes")),
            TRAINED_CLASSES_VERSION => trained(None),
            IMPORTED_VERSION => imported("lgb_categories"),
            _ => imported("sk_logistic_classes"),
        };
        assert_eq!(artifact.card().format_version, Some(version));
        let answers = answers(&artifact, &rows);
        fs::write(path(version, "bin"), artifact.to_bytes()).unwrap();
        let answered = serde_json::to_vec(&Answered { rows, answers }).unwrap();
        fs::write(path(version, "json"), answered).unwrap();
    }
}

/// What `serin train` makes of 200 rows with numbers, words and missing values; without a positive value of all three
/// classes.
fn trained(positive: Option<&str>) -> (Artifact, Vec<serde_json::Value>) {
    let mut csv = "tenure,charge,contract,churn\n".to_owned();
    for row in 0_u32..200 {
        let (tenure, charge) = (row * 37 % 73, f64::from(row * 61 % 997) / 8.0);
        let charge = if row % 11 == 0 { "-999".to_owned() } else { charge.to_string() };
        let contract = ["monthly", "one year", "two years", ""][(row * 7 % 13 % 4) as usize];
        let churn = match (row * 29 % 31) + 20 {
            chance if positive.is_none() && chance + 20 < tenure => "Perhaps",
            chance if chance > tenure => "Yes",
            _ => "No",
        };
        csv.push_str(&format!("{tenure},{charge},{contract},{churn}\n"));
    }
    let options = DatasetOptions {
        target: "churn".to_owned(),
        positive: positive.map(str::to_owned),
        missing: Missing::default().and(&["-999".to_owned()]),
        ..DatasetOptions::default()
    };
    let dataset =
        Dataset::from_reader(io::Cursor::new(csv), "rows.csv".to_owned(), &options).unwrap();
    let artifact = training::train(&dataset, &TrainingOptions::default()).unwrap();
    let rows = serde_json::json!([
        [12, 70.35, "monthly"],
        [0, 18.25, "two years"],
        [72, null, "one year"],
        [null, 99, null],
        [-1e300, 5e-324, "never seen"],
        [33, -999, "NA"],
        [1e300, 29.850000381469727, "monthly"],
    ]);
    (artifact, rows.as_array().unwrap().clone())
}

/// What `serin import --expect` makes of a golden file of another library, with its first rows and the last ones.
fn imported(name: &str) -> (Artifact, Vec<serde_json::Value>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/model/kinds/testdata");
    let json = |name: &str| -> serde_json::Value {
        serde_json::from_slice(&fs::read(folder.join(name)).unwrap()).unwrap()
    };
    let (case, data) = (json(&format!("{name}.case.json")), json("rows.json"));
    let data = &data[case["rows"].as_str().unwrap()];
    let columns: Vec<&str> =
        data["columns"].as_array().unwrap().iter().filter_map(|it| it.as_str()).collect();
    let rows = data["rows"].as_array().unwrap();
    let answers = case["answers"].as_array().unwrap();
    let classes = answers[0].as_array().unwrap().len();
    let mut csv = columns.join(",");
    match classes {
        1 => csv.push_str(",expected"),
        many => (0..many).for_each(|class| csv.push_str(&format!(",expected:{class}"))),
    }
    for (row, answer) in rows.iter().zip(answers) {
        let values = row.as_array().unwrap().iter().chain(answer.as_array().unwrap());
        let cells = values.map(|value| match value {
            serde_json::Value::Null => String::new(),
            serde_json::Value::String(word) => word.clone(),
            number => number.to_string(),
        });
        csv.push('\n');
        csv.push_str(&cells.collect::<Vec<_>>().join(","));
    }
    let expected = tempfile::tempdir().unwrap();
    let path = expected.path().join("expected.csv");
    fs::write(&path, csv).unwrap();
    let file = case["file"].as_str().unwrap();
    let options = ImportOptions {
        source: file.to_owned(),
        threshold: None,
        target: None,
        missing: Missing::default(),
        tolerance: 1e-5,
        answers: "expected".to_owned(),
    };
    let bytes = fs::read(folder.join(file)).unwrap();
    let artifact = import(bytes, None, Some(&path), options).unwrap();
    let some = rows.iter().take(6).chain(rows.iter().rev().take(14));
    (artifact, some.cloned().collect())
}
