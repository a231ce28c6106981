//! Damaged model files: every reader refuses them or answers, without a panic, within 32 MB and a stack of 256 kB.
//!
//! The corpus are the golden files, artifacts made of them, trained models, and the folders of MLflow. Each file is
//! changed at random by a seed that is its own, so that a failure names the file and the number of the mutant and can be
//! repeated:
//! `CASE=xgb_binary.ubj MUTANTS=20000 cargo test --test fuzz`. By default, each file has 40 mutants.

#![expect(clippy::unwrap_used, reason = "the helpers of a test")]

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread;

use peak_alloc::PeakAlloc;
use serin::model::Artifact;
use serin::model::Dataset;
use serin::model::Features;
use serin::model::TrainingOptions;
use serin::model::Value;
use serin::model::dataset::DatasetOptions;
use serin::model::importing::ImportOptions;
use serin::model::importing::import;
use serin::model::importing::mlflow;
use serin::model::schema::Missing;
use serin::model::train;

#[path = "../src/model/kinds/mutation_tests.rs"]
mod mutation;

use mutation::Random;
use mutation::mutant;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Bytes that a mutant may take in addition to what the test holds.
const MEMORY: usize = 32 << 20;

/// The memory that is measured is that of the process, so the tests take turns.
static TURN: Mutex<()> = Mutex::new(());

/// Bytes of the stack, an eighth of what a thread has.
const STACK: usize = 256 << 10;

/// What a reader does with bytes.
type Reader = fn(&[u8]);

/// Loads a model file, and lets it answer.
fn load(bytes: &[u8]) {
    let Ok(artifact) = Artifact::from_bytes(bytes) else { return };
    // ONNX needs a library to answer, which is not there.
    if artifact.card().kind == "onnx" {
        return;
    }
    let model = artifact.model();
    for number in [None, Some(0.0), Some(-1.0), Some(1e300), Some(3.0)] {
        let value = |is_numeric: bool| match (number, is_numeric) {
            (None, _) => Value::Missing,
            (Some(number), true) => Value::Number(number),
            (Some(_), false) => Value::Text("Never seen".into()),
        };
        let features = model.schema().features().iter();
        let values = features.map(|feature| value(feature.kind.is_numeric())).collect();
        let row = model.schema().row(Features::Ordered(values)).unwrap();
        model.predict(&row).unwrap();
    }
}

/// Loads the payload of an artifact, whose digest is made to fit.
fn load_sealed(bytes: &[u8]) {
    let Some((head, body)) = bytes.split_at_checked(44) else { return load(bytes) };
    let mut sealed = head.to_vec();
    let mut hasher = blake3::Hasher::new();
    hasher.update(&head[..12]).update(body);
    sealed[12..].copy_from_slice(hasher.finalize().as_bytes());
    sealed.extend_from_slice(body);
    load(&sealed);
}

/// Reads the `MLmodel` of a folder that has no other file.
fn read_folder(bytes: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("MLmodel"), bytes).unwrap();
    assert!(mlflow::read(folder.path()).is_err(), "a file from outside of the folder");
}

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// The file as `serin import` writes it.
fn artifact(file: &[u8]) -> Option<Vec<u8>> {
    let options = ImportOptions {
        source: "model".to_owned(),
        threshold: None,
        target: None,
        missing: Missing::default(),
        tolerance: 1e-5,
        answers: "expected".to_owned(),
    };
    Some(import(file.to_vec(), None, None, options).ok()?.to_bytes().to_vec())
}

/// Models of two and of three classes as `serin train` writes them.
fn trained() -> [(String, Vec<u8>, Reader); 2] {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference");
    [("training", "churned"), ("training_classes", "tier")].map(|(name, target)| {
        let options = DatasetOptions { target: target.to_owned(), ..DatasetOptions::default() };
        let data = Dataset::from_csv(&folder.join(format!("{name}.csv")), &options).unwrap();
        let model = train(&data, &TrainingOptions::default()).unwrap();
        (format!("{name}.bin"), model.to_bytes().to_vec(), load_sealed as Reader)
    })
}

/// A model file of each format version.
fn stored() -> Vec<(String, Vec<u8>)> {
    let files = files("src/model/artifact/testdata").into_iter();
    let files = files.filter(|path| path.extension().is_some_and(|kind| kind == "bin"));
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    files.map(|path| (name(&path), fs::read(&path).unwrap())).collect()
}

/// Files with the reader that takes them.
fn corpus() -> Vec<(String, Vec<u8>, Reader)> {
    let mut corpus: Vec<(String, Vec<u8>, Reader)> = Vec::new();
    for path in files("src/model/kinds/testdata") {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.ends_with(".case.json") || name == "rows.json" || !path.is_file() {
            continue;
        }
        let file = fs::read(path).unwrap();
        if let Some(artifact) = artifact(&file) {
            corpus.push((format!("{name}.bin"), artifact, load_sealed));
        }
        corpus.push((name, file, load));
    }
    corpus.extend(stored().into_iter().map(|(name, bytes)| (name, bytes, load_sealed as Reader)));
    for path in files("src/model/importing/testdata").into_iter().filter(|path| path.is_dir()) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        corpus.push((name, fs::read(path.join("MLmodel")).unwrap(), read_folder));
    }
    corpus.extend(trained());
    corpus
}

/// Small files that declare much or repeat little, made of files that are read.
fn hostile() -> Vec<(String, Vec<u8>)> {
    let mut hostile: Vec<(String, Vec<u8>)> = Vec::new();
    let golden = |name: &str| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/model/kinds/testdata");
        fs::read(folder.join(name)).unwrap()
    };
    let text = |name: &str| String::from_utf8(golden(name)).unwrap();
    let with = |whole: &str, from: &str, to: &str| {
        assert!(whole.contains(from), "{from}");
        whole.replacen(from, to, 1).into_bytes()
    };
    // Each as large as the limits of lists let it become before they end it.
    let lightgbm = text("lgb_categories.txt");
    let categories = lightgbm.rfind("pandas_categorical:").unwrap();
    let frame = |list: String| format!("{}pandas_categorical:{list}", &lightgbm[..categories]);
    hostile.push((
        "lightgbm: numbers".to_owned(),
        frame(format!("[[{}1]]", "1,".repeat(3_000_000))).into(),
    ));
    hostile.push((
        "lightgbm: words".to_owned(),
        frame(format!("[[{}\"\"]]", "\"\",".repeat(400_000))).into(),
    ));
    hostile.push((
        "lightgbm: lists".to_owned(),
        frame(format!("[{}[]]", "[],".repeat(2_000_000))).into(),
    ));
    let many = format!("feature_names={}", "a ".repeat(4_000_000));
    hostile.push(("lightgbm: names".to_owned(), with(&lightgbm, "feature_names=", &many)));
    let many = format!("threshold={}", "1 ".repeat(4_000_000));
    hostile.push(("lightgbm: thresholds".to_owned(), with(&lightgbm, "threshold=", &many)));

    let xgboost = text("xgb_categories_json.xgb.json");
    let lists = [
        ("xgboost: names", "\"feature_names\":[", "\"\","),
        ("xgboost: types", "\"feature_types\":[", "\"\","),
        ("xgboost: iterations", "\"iteration_indptr\":[", "0,"),
        ("xgboost: outputs", "\"tree_info\":[", "0,"),
        ("xgboost: categories", "\"values\":[", "9,"),
        ("xgboost: features", "\"enc\":[", "{\"values\":[]},"),
    ];
    for (name, list, item) in lists {
        hostile.push((
            name.to_owned(),
            with(&xgboost, list, &format!("{list}{}", item.repeat(2_000_000))),
        ));
    }
    // Lengths of texts and lists that are declared alone: 2^26 items in each place of a container.
    for (version, bytes) in stored() {
        let (head, body) = bytes.split_at(44);
        // The file of another library is in the middle, and has its own cases.
        let places = (0..body.len()).filter(|at| *at < 700 || *at + 2_000 > body.len());
        for place in places {
            let mut bytes = [head, &body[..place], &[252, 0, 0, 0, 4]].concat();
            bytes.extend_from_slice(&body[place + 1..]);
            hostile.push((format!("{version}: a length in place {place}"), bytes));
        }
    }
    hostile
}

#[test]
fn what_a_hostile_file_declares_takes_no_memory() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    for (name, bytes) in hostile() {
        let reader = if name.starts_with("version_") { load_sealed } else { load };
        measured(&name, bytes, reader);
    }
}

/// Runs a reader within the limits.
fn measured(name: &str, bytes: Vec<u8>, reader: Reader) {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let run = thread::Builder::new().stack_size(STACK).spawn(move || reader(&bytes));
    let outcome = run.unwrap().join();
    let peak = ALLOCATOR.peak_usage().saturating_sub(before);
    assert!(outcome.is_ok(), "{name} panicked");
    assert!(peak <= MEMORY, "{name} took {peak} bytes");
}

#[test]
fn a_damaged_file_is_refused_or_answers_within_its_memory_and_stack() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mutants: usize = std::env::var("MUTANTS").ok().map_or(40, |text| text.parse().unwrap());
    let wanted = std::env::var("CASE").unwrap_or_default();
    let corpus = corpus();
    let formats =
        ["lgb_", "xgb_", "sk_", "skops_", "coefficients_", ".bin", "xgboost_booster", "training_"];
    for format in formats {
        assert!(corpus.iter().any(|(name, _, _)| name.contains(format)), "no {format}");
    }
    for (name, original, reader) in corpus {
        if !name.contains(&wanted) {
            continue;
        }
        let mut random = Random::new();
        for number in 0..mutants {
            let bytes = mutant(&original, &mut random);
            measured(&format!("{name}: mutant {number}"), bytes, reader);
        }
    }
}
