//! All golden files (see `scripts/golden_models.py`): answers and scores of every row against the original library.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use crate::model::explanation::Unit;
use crate::model::kinds::ensemble::Link;
use crate::model::kinds::features::FeatureKind;
use crate::model::kinds::features::FeatureSpec;
use crate::model::kinds::features::UNKNOWN;
use crate::model::kinds::features::Values;
use crate::model::kinds::imported::Format;
use crate::model::kinds::parsed::Parsed;
use crate::model::kinds::parsed::Scorer;
use crate::model::kinds::refusal::Reading;
use crate::model::schema::Missing;

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

/// The number of a value of this kind.
pub(crate) fn number_of(kind: &FeatureKind, value: &Value) -> f64 {
    use crate::model::schema::features::Value as Cell;
    let cell = match (kind, value) {
        (_, Value::Null) => Cell::Missing,
        (FeatureKind::Unused, Value::String(_)) => return UNKNOWN,
        (FeatureKind::Numbers(_), Value::String(text)) => Cell::Number(text.parse().unwrap()),
        (_, Value::String(word)) => Cell::Text(word.into()),
        (_, number) => Cell::Number(number.as_f64().unwrap()),
    };
    Values::of(kind).number(&cell, &Missing::only(&[])).unwrap()
}

/// The numbers of a row, by the names of its columns.
fn encode(parsed: &Parsed, case: &Case, rows: &Rows, row: &[Value]) -> Vec<f64> {
    let number = |(index, feature): (usize, &FeatureSpec)| {
        let name = if case.bare { &case.columns[index] } else { &feature.name };
        let column = rows.columns.iter().position(|column| column == name).unwrap();
        number_of(&feature.kind, &row[column])
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

/// Files whose answers are not explained: their scores become answers in a way that no unit has.
const UNEXPLAINED: [&str; 2] = ["lgb_sqrt", "lgb_xentropy"];

/// Baseline and contributions of every row and class, in the unit that the model names, against its own scores and
/// answers. XGBoost adds its leaves in single precision, so that its score differs from their sum in the seventh digit.
#[test]
fn baseline_and_contributions_sum_up_to_every_answer() {
    let rows: BTreeMap<String, Rows> =
        serde_json::from_slice(&fs::read(folder().join("rows.json")).unwrap()).unwrap();
    let mut explained = BTreeMap::new();
    for (name, case) in cases() {
        let parsed = read(&fs::read(folder().join(&case.file)).unwrap()).unwrap();
        let Some(explains) = parsed.explains() else {
            assert!(UNEXPLAINED.contains(&name.as_str()), "{name}");
            continue;
        };
        let is_single = name.contains("xgb");
        let tolerance = if is_single { 1e-5 } else { 1e-9 };
        let link = match &parsed.scorer {
            Scorer::Trees(trees) => trees.link(),
            Scorer::Linear(linear) => linear.link(),
            Scorer::Onnx(_) => panic!("{name}"),
        };
        let scale = if let Link::Sigmoid { scale } = link { scale } else { 1.0 };
        let outputs = parsed.answer.numbers();
        let (mut scratch, mut answer, mut scores) =
            (Vec::new(), vec![0.0; outputs], vec![0.0; outputs]);
        for row in &rows[&case.rows].rows {
            let numbers = encode(&parsed, &case, &rows[&case.rows], row);
            parsed.predict(&numbers, &mut scratch, &mut answer).unwrap();
            parsed.scores(&numbers, &mut scratch, &mut scores).unwrap();
            if answer.iter().any(|number| !number.is_finite()) {
                continue;
            }
            let mut sums = Vec::new();
            for (output, score) in scores.iter().enumerate() {
                let parts = parsed.contributions(&numbers, output, &mut scratch).unwrap().unwrap();
                assert_eq!(parts.len(), parsed.features.len() + 1, "{name}");
                let sum: f64 = parts.iter().sum();
                let allowed = tolerance * (scale * score).abs().max(1.0);
                assert!((sum - scale * score).abs() < allowed, "{name}: {sum} {score}");
                sums.push(sum);
            }
            let mut from_sums: Vec<f64> = match explains.adds_up_to {
                Unit::LogOdds => sums.iter().map(|sum| 1.0 / (1.0 + (-sum).exp())).collect(),
                Unit::LogScore => sums.iter().map(|sum| sum.exp()).collect(),
                Unit::Probability | Unit::Score | Unit::ClassScore => sums,
            };
            if explains.adds_up_to == Unit::ClassScore {
                link.apply(&mut from_sums);
            }
            for (found, answer) in from_sums.iter().zip(&answer) {
                let allowed = tolerance * answer.abs().max(1.0);
                assert!((found - answer).abs() < allowed, "{name}: {found} {answer}");
            }
            let many = if outputs > 1 { "classes " } else { "" };
            *explained
                .entry(format!("{many}{:?} {:?}", explains.method, explains.adds_up_to))
                .or_insert(0) += 1;
        }
    }
    let found: Vec<&str> = explained.keys().map(String::as_str).collect();
    let expected = [
        "Linear LogOdds",
        "Linear Score",
        "Path LogOdds",
        "Path LogScore",
        "Path Probability",
        "Path Score",
        "classes Linear ClassScore",
        "classes Path ClassScore",
        "classes Path LogOdds",
        "classes Path Probability",
    ];
    assert_eq!(found, expected, "{explained:?}");
    assert!(explained.values().all(|rows| *rows > 60), "{explained:?}");
}

/// The columns that a pipeline makes of an input count for the input: a contribution changes only with its own value.
#[test]
fn what_a_pipeline_makes_of_an_input_counts_for_the_input() {
    let rows: BTreeMap<String, Rows> =
        serde_json::from_slice(&fs::read(folder().join("rows.json")).unwrap()).unwrap();
    let mut changed = 0;
    for (name, case) in cases() {
        let parsed = read(&fs::read(folder().join(&case.file)).unwrap()).unwrap();
        let is_linear = matches!(parsed.scorer, Scorer::Linear(_));
        if parsed.columns.is_none() || !is_linear || parsed.explains().is_none() {
            continue;
        }
        let mut scratch = Vec::new();
        let all = &rows[&case.rows].rows;
        for pair in all.windows(2) {
            let [one, other] =
                [&pair[0], &pair[1]].map(|row| encode(&parsed, &case, &rows[&case.rows], row));
            let before = parsed.contributions(&one, 0, &mut scratch).unwrap().unwrap();
            for input in 0..one.len() {
                let mut row = one.clone();
                row[input] = other[input];
                let after = parsed.contributions(&row, 0, &mut scratch).unwrap().unwrap();
                for (at, (before, after)) in before.iter().zip(&after).enumerate() {
                    let is_same = before.to_bits() == after.to_bits() || before.is_nan();
                    assert!(at == input || is_same, "{name}: {input} {at}");
                    changed += usize::from(at == input && before != after);
                }
            }
        }
    }
    assert!(changed > 100, "{changed}");
}
