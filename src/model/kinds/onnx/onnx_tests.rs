//! ONNX files: the golden ones (`scripts/golden_onnx.py`) answer as their originals do, and what could harm the
//! process is refused before ONNX Runtime sees it.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::engine::Engine;
use super::engine::EngineError;
use super::ports::Element;
use super::ports::Input;
use super::ports::Output;
use super::read;
use super::runtime;
use crate::model::kinds::features::FeatureSpec;
use crate::model::kinds::features::MISSING;
use crate::model::kinds::golden_tests;
use crate::model::kinds::mutation_tests::Random;
use crate::model::kinds::mutation_tests::mutant;
use crate::model::kinds::parsed::Answer;
use crate::model::stop::Stop;

#[path = "../../../../tests/shared/onnxruntime.rs"]
mod onnxruntime;

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
    bare: bool,
    tolerance: f64,
    answers: Vec<Vec<f64>>,
}

pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/model/kinds/onnx/testdata")
}

fn golden(name: &str) -> Vec<u8> {
    fs::read(folder().join(format!("{name}.onnx"))).unwrap()
}

/// Opens the library for this process.
fn open_runtime() {
    runtime::open(&onnxruntime::library()).unwrap();
}

fn cases() -> Vec<(String, Case)> {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<(String, Case)> = files
        .filter_map(|path| {
            let name = path.file_name()?.to_str()?.strip_suffix(".case.json")?.to_owned();
            Some((name, serde_json::from_slice(&fs::read(&path).unwrap()).unwrap()))
        })
        .collect();
    cases.sort_by(|(a, _), (b, _)| a.cmp(b));
    cases
}

/// The rows of a case as the numbers of its file's features, one after another.
fn numbers(case: &Case, features: &[FeatureSpec]) -> Vec<f64> {
    let rows = fs::read(golden_tests::folder().join("rows.json")).unwrap();
    let mut sets: BTreeMap<String, Rows> = serde_json::from_slice(&rows).unwrap();
    let set = sets.remove(&case.rows).unwrap();
    let place = |index: usize, feature: &FeatureSpec| {
        let name = if case.bare { &case.columns[index] } else { &feature.name };
        set.columns.iter().position(|column| column == name).unwrap()
    };
    let places: Vec<usize> = (0..features.len()).map(|at| place(at, &features[at])).collect();
    let number = |row: &[Value], at: usize| match &row[places[at]] {
        Value::Null => MISSING,
        word @ Value::String(_) => golden_tests::number_of(&features[at].kind, word),
        number => number.as_f64().unwrap(),
    };
    set.rows.iter().flat_map(|row| (0..features.len()).map(|at| number(row, at))).collect()
}

#[test]
fn every_golden_file_answers_as_its_original_does_and_trees_differ_next_to_a_threshold() {
    open_runtime();
    let mut differ = Vec::new();
    for (name, case) in cases() {
        let parsed = read(&fs::read(folder().join(&case.file)).unwrap()).unwrap();
        let numbers = numbers(&case, &parsed.features);
        let width = parsed.answer.numbers();
        let (mut worst, mut above) = (0.0_f64, 0);
        for (row, expected) in numbers.chunks(parsed.features.len()).zip(&case.answers) {
            let mut answer = vec![f64::NAN; width];
            parsed.predict(row, &mut Vec::new(), &mut answer).unwrap();
            assert_eq!(answer.len(), expected.len(), "{name}");
            let pairs = answer.iter().zip(expected);
            let apart = pairs.map(|(a, b)| (a - b).abs() / b.abs().max(1.0)).fold(0.0, f64::max);
            assert!(answer.iter().all(|number| number.is_finite()), "{name}");
            worst = worst.max(apart);
            above += usize::from(apart > case.tolerance);
        }
        println!(
            "{name:20} {} features, largest difference {worst:.1e}, {above} rows above",
            parsed.features.len()
        );
        if above > 0 {
            differ.push(name);
        }
    }
    assert_eq!(differ, ["forest"]);
}

#[test]
fn a_batch_answers_as_its_rows_do_whatever_its_size() {
    open_runtime();
    for name in ["pipeline", "network", "catboost", "logistic_double"] {
        let case = cases().into_iter().find(|(found, _)| found == name).unwrap().1;
        let parsed = read(&golden(name)).unwrap();
        let super::Scorer::Onnx(engine) = &parsed.scorer else { panic!("{name}") };
        let rows = numbers(&case, &parsed.features);
        let alone: Vec<f64> = rows
            .chunks(parsed.features.len())
            .flat_map(|row| engine.run(row, &Stop::default()).unwrap())
            .collect();
        // More rows than a run takes.
        let many = rows.repeat(9);
        let together = engine.run(&many, &Stop::default()).unwrap();
        assert_eq!(together.len(), 9 * alone.len(), "{name}");
        for (index, (a, b)) in together.iter().zip(alone.iter().cycle()).enumerate() {
            assert!((a - b).abs() <= 1e-6, "{name} {index}: {a} {b}");
        }
        assert!(engine.run(&[], &Stop::default()).unwrap().is_empty());
    }
}

#[test]
fn what_a_file_takes_and_answers_is_read_from_it() {
    let parsed = read(&golden("pipeline")).unwrap();
    let names: Vec<&str> = parsed.features.iter().map(|feature| feature.name.as_str()).collect();
    assert_eq!(names[..3], ["tenure", "monthly", "total"]);
    assert_eq!(names[6..], ["contract", "internet", "payment"]);
    let words = |at: usize| match &parsed.features[at].kind {
        crate::model::kinds::features::FeatureKind::Words(words) => words.join(", "),
        other => panic!("{other:?}"),
    };
    assert_eq!(words(6), "Month-to-month, One year, Two year");
    assert_eq!(words(7), "DSL, Fiber optic, No");
    assert_eq!(parsed.classes, ["0", "1"]);
    assert_eq!(parsed.objective, "output output_probability of skl2onnx");
    for (name, answer) in [
        ("logistic", Answer::Probability),
        ("logistic_double", Answer::Probability),
        ("logistic_words", Answer::Probability),
        ("network", Answer::Probability),
        ("catboost", Answer::Probability),
        ("classes", Answer::Classes(3)),
        ("regression", Answer::Score),
    ] {
        let parsed = read(&golden(name)).unwrap();
        assert_eq!(parsed.answer, answer, "{name}");
        assert_eq!(parsed.features[5].name, "f5", "{name}");
    }
    assert_eq!(read(&golden("logistic_words")).unwrap().classes, ["no", "yes"]);
}

#[test]
fn an_endless_run_ends_when_it_is_stopped() {
    open_runtime();
    // Past the check, which refuses loops.
    let input = Input { name: "x".to_owned(), element: Element::Float, columns: 1, is_flat: false };
    let output = Output { name: "p".to_owned(), columns: 1, keys: None, is_pair: false };
    let engine =
        Engine::new(&golden("refused_loop"), vec![input], output, 1, &[FeatureSpec::number("x")]);
    let stop = Arc::new(Stop::default());
    let (ended, end) = channel();
    {
        let (engine, stop) = (engine.clone(), stop.clone());
        thread::spawn(move || ended.send(engine.run(&[1.0], &stop).map_err(|it| it.to_string())));
    }
    // It does not end by itself.
    assert!(end.recv_timeout(Duration::from_millis(500)).is_err());
    stop.now();
    let failed = end.recv_timeout(Duration::from_secs(20)).unwrap().unwrap_err();
    assert!(failed.contains("terminate"), "{failed}");
    assert!(matches!(engine.run(&[1.0], &stop), Err(EngineError::Stopped)));
}

#[test]
fn a_mutant_is_refused_or_ends_and_never_harms_the_process() {
    open_runtime();
    let mutants: usize = env::var("MUTANTS").ok().map_or(60, |text| text.parse().unwrap());
    let wanted = env::var("CASE").unwrap_or_default();
    let (mut read_of, mut answered, mut all) = (0, 0, 0);
    for path in fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.ends_with(".onnx") || !name.contains(&wanted) {
            continue;
        }
        let original = fs::read(&path).unwrap();
        let mut random = Random::new();
        for _ in 0..mutants {
            let bytes = mutant(&original, &mut random);
            all += 1;
            let Ok(parsed) = read(&bytes) else { continue };
            read_of += 1;
            let mut answer = vec![0.0; parsed.answer.numbers()];
            for value in [0.0, -1.0, 1e30, f64::NAN] {
                let row = vec![value; parsed.features.len()];
                let outcome = parsed.predict(&row, &mut Vec::new(), &mut answer);
                answered += usize::from(outcome.is_ok());
            }
        }
        // Every beginning of a file is refused or read.
        for end in (0..original.len()).step_by(1 + original.len() / 200) {
            let _ = read(&original[..end]);
        }
    }
    println!("{all} mutants, {read_of} passed the check, {answered} answers");
    assert!(read_of > 0 && answered > 0);
}
