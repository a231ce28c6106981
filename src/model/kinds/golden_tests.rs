//! All golden files (see `scripts/golden_models.py`): answers and scores of every row against the original library.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use crate::model::kinds::features::FeatureSpec;
use crate::model::kinds::features::MISSING;
use crate::model::kinds::imported::Format;
use crate::model::kinds::parsed::Parsed;
use crate::model::kinds::parsed::Scorer;
use crate::model::kinds::refusal::Reading;

#[derive(Deserialize)]
struct Rows {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
}

#[derive(Deserialize)]
struct Case {
    file: String,
    rows: String,
    columns: Vec<String>,
    tolerance: f64,
    answers: Vec<Vec<f64>>,
    scores: Option<Vec<Vec<f64>>>,
    #[serde(default)]
    bare: bool,
}

pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/model/kinds/testdata")
}

fn cases() -> Vec<(String, Case)> {
    let mut cases = Vec::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if let Some(name) = name.strip_suffix(".case.json") {
            let case = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            cases.push((name.to_owned(), case));
        }
    }
    cases.sort_by(|(a, _), (b, _)| a.cmp(b));
    cases
}

pub(crate) fn read(bytes: &[u8]) -> Reading<Parsed> {
    Format::detect(bytes).unwrap().read(bytes)
}

/// The numbers of a row, by the names of its columns.
fn encode(parsed: &Parsed, case: &Case, rows: &Rows, row: &[Value]) -> Vec<f64> {
    let number = |(index, feature): (usize, &FeatureSpec)| {
        let name = if case.bare { &case.columns[index] } else { &feature.name };
        let column = rows.columns.iter().position(|column| column == name).unwrap();
        match &row[column] {
            Value::Null => MISSING,
            Value::String(word) => feature.word(word).unwrap(),
            Value::Number(number) => feature.value(number.as_f64().unwrap()).unwrap(),
            other => panic!("{other}"),
        }
    };
    parsed.features.iter().enumerate().map(number).collect()
}

#[test]
fn every_row_of_every_golden_file_is_answered_as_by_the_original() {
    let rows: BTreeMap<String, Rows> =
        serde_json::from_slice(&fs::read(folder().join("rows.json")).unwrap()).unwrap();
    let wanted = std::env::var("CASE").unwrap_or_default();
    let mut failed = Vec::new();
    for (name, case) in cases() {
        if !name.contains(&wanted) {
            continue;
        }
        let bytes = fs::read(folder().join(&case.file)).unwrap();
        let parsed = match read(&bytes) {
            Ok(parsed) => parsed,
            Err(refusal) => {
                println!("{name:28} REFUSED {refusal}");
                failed.push(name);
                continue;
            }
        };
        let rows = &rows[&case.rows];
        let mut worst = (0.0_f64, 0.0_f64, 0);
        let mut scratch = Vec::new();
        for (index, row) in rows.rows.iter().enumerate() {
            let numbers = encode(&parsed, &case, rows, row);
            let mut answer = vec![0.0; parsed.answer.numbers()];
            assert_eq!(answer.len(), case.answers[index].len(), "{name}");
            parsed.predict(&numbers, &mut scratch, &mut answer).unwrap();
            let apart = |ours: &[f64], theirs: &[f64]| {
                let pairs = ours.iter().zip(theirs);
                pairs
                    .map(|(a, b)| (a - b).abs() / b.abs().max(1.0))
                    .fold(0.0, |a: f64, b| if b > a || b.is_nan() { b } else { a })
            };
            let difference = apart(&answer, &case.answers[index]);
            if difference > worst.0 || difference.is_nan() {
                worst = (difference, worst.1, index);
            }
            if let Some(scores) = &case.scores {
                parsed.scores(&numbers, &mut scratch, &mut answer).unwrap();
                worst.1 = worst.1.max(apart(&answer, &scores[index]));
            }
        }
        // LightGBM's raw score of a forest is the sum of its trees, not their mean.
        let scores_agree = worst.1 <= 1e-5 || name == "lgb_rf";
        let fine = worst.0 <= case.tolerance && scores_agree;
        let scores = if case.scores.is_some() { format!("{:.1e}", worst.1) } else { "-".into() };
        println!(
            "{name:28} {} answers {:.1e} (allowed {:.0e}) scores {scores} rows {}, row {}",
            if fine { "ok    " } else { "FAILED" },
            worst.0,
            case.tolerance,
            rows.rows.len(),
            worst.2
        );
        if !fine {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn contributions_of_the_features_sum_up_to_the_score() {
    let rows: BTreeMap<String, Rows> =
        serde_json::from_slice(&fs::read(folder().join("rows.json")).unwrap()).unwrap();
    let mut explained = 0;
    for (name, case) in cases() {
        let parsed = read(&fs::read(folder().join(&case.file)).unwrap()).unwrap();
        let Scorer::Trees(ensemble) = &parsed.scorer else { continue };
        let mut parts = vec![0.0; ensemble.features() + 1];
        let mut score = vec![0.0; ensemble.outputs()];
        if parsed.columns.is_some() {
            continue;
        }
        for row in &rows[&case.rows].rows {
            let numbers = encode(&parsed, &case, &rows[&case.rows], row);
            if !ensemble.contributions(&numbers, 0, &mut parts).unwrap() {
                // Leaves of several values have no expectation.
                assert!(name.contains("classes"), "{name}");
                break;
            }
            ensemble.scores(&numbers, &mut score).unwrap();
            let sum: f64 = parts.iter().sum();
            assert!(
                (sum - score[0]).abs() < 1e-5 * score[0].abs().max(1.0),
                "{name}: {sum} {score:?}"
            );
            explained += 1;
        }
    }
    assert!(explained > 4_000, "{explained}");
}
