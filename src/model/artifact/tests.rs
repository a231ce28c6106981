//! Damaged, forged and foreign files are refused.

use proptest::prelude::*;

use super::card::TrainingDescription;
use super::limits::NEWEST_VERSION;
use super::limits::OLDEST_VERSION;
use super::report::report;
use super::*;
use crate::model::schema::Feature;
use crate::model::schema::FeatureKind;
use crate::model::schema::Missing;
use crate::model::schema::Value;

/// A model of one number and one category: 0.25 + 2 (x - 10) / 4 + (0.5 monthly, -0.75 yearly).
fn payload() -> Payload {
    let levels = vec!["monthly".to_owned(), "yearly".to_owned()];
    let probability = 1.0 / (1.0 + f64::exp(-(0.25 - 5.0 + 0.5 * 12.0 + 0.5)));
    Payload {
        features: vec![
            Feature { name: "x".into(), kind: FeatureKind::Numeric { mean: 10.0, scale: 4.0 } },
            Feature { name: "c".into(), kind: FeatureKind::Categorical { levels } },
        ],
        intercept: 0.25,
        coefficients: vec![2.0, 0.5, -0.75],
        threshold: 0.5,
        training: TrainingDescription {
            source: "rows.csv".into(),
            rows: 100,
            training_rows: 80,
            target: "churn".into(),
            positive: Some("Yes".into()),
            l2: 1.0,
            holdout: "20 % at random".into(),
            seed: 42,
            warnings: vec!["column `x`: odd".into()],
        },
        holdout: report(&[true, false], &[0.7, 0.2], 0.5).unwrap(),
        probes: vec![Probe {
            values: vec![Value::Number(12.0), Value::Text("monthly".into())],
            first: probability,
            more: Vec::new(),
        }],
        missing: Missing::default().and(&["-999".to_owned()]),
        inputs: None,
    }
}

fn refusal(bytes: &[u8]) -> String {
    Artifact::from_bytes(bytes).unwrap_err().to_string()
}

#[test]
fn a_written_artifact_reads_back_unchanged() {
    let artifact = Artifact::seal(&payload()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.bin");
    artifact.write(&path).unwrap();
    artifact.write(&path).unwrap();

    let read = Artifact::read(&path).unwrap();
    assert_eq!(read.to_bytes(), artifact.to_bytes());
    assert_eq!(read.card(), artifact.card());
    assert_eq!(read.digest(), artifact.digest());
    assert_eq!(read.card().trained().unwrap().coefficients[1].level.as_deref(), Some("yearly"));
    let values = payload().probes.remove(0).values;
    let row = read.model().schema().row(Features::Ordered(values)).unwrap();
    assert_eq!(read.model().predict(&row), artifact.model().predict(&row));
    let names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["model.bin"], "no temporary file stays behind");
}

#[test]
fn the_markers_of_missing_values_are_those_of_training() {
    let artifact = Artifact::from_bytes(Artifact::seal(&payload()).unwrap().to_bytes()).unwrap();
    assert_eq!(artifact.card().missing_values, payload().missing);
    assert_eq!(artifact.model().schema().missing(), &payload().missing);
    let card = serde_json::to_value(artifact.card()).unwrap();
    let expected = serde_json::json!({ "usual": true, "further": ["-999"] });
    assert_eq!(card["missing_values"], expected);
}

/// Written by a release that wrote version 2.
const VERSION_2: &[u8] = include_bytes!("testdata/version_2.bin");

#[test]
fn a_file_of_version_2_is_read_with_the_usual_markers() {
    let artifact = Artifact::from_bytes(VERSION_2).unwrap();
    let card = artifact.card();
    assert_eq!((card.format_version, &card.missing_values), (Some(2), &Missing::default()));
    assert_eq!(artifact.to_bytes(), VERSION_2);
    let model = artifact.model();
    let row = |value| model.schema().row(Features::Ordered(vec![value, Value::Missing])).unwrap();
    let of = |value| model.predict(&row(value)).unwrap();
    assert_eq!(of(Value::Text("NA".into())), of(Value::Missing));
    // Its payload is not one of the present version, and the other way round.
    assert!(refusal(&codec::seal(&VERSION_2[44..])).starts_with("payload: "));
    let present = codec::encode(&payload()).unwrap();
    assert!(refusal(&codec::seal_as(2, &present[44..])).contains("it ends after"));
}

/// Whether this release reads files of this version.
fn is_read(version: &[u8]) -> bool {
    (OLDEST_VERSION..=NEWEST_VERSION).any(|read| version == read.to_le_bytes())
}

#[test]
fn every_change_of_a_single_byte_is_refused() {
    let good = Artifact::seal(&payload()).unwrap().to_bytes().to_vec();
    for position in 0..good.len() {
        for change in 1..=255_u8 {
            let mut bytes = good.clone();
            bytes[position] ^= change;
            let expected = match position {
                0..8 => "magic: ",
                // The digest covers the version: the same bytes are not a file of another one.
                8..12 if is_read(&bytes[8..12]) => "digest: ",
                8..12 => "format version: ",
                _ => "digest: ",
            };
            let message = refusal(&bytes);
            assert!(message.starts_with(expected), "byte {position} ^ {change}: {message}");
        }
    }
}

#[test]
fn every_truncation_and_every_appended_byte_is_refused() {
    let good = Artifact::seal(&payload()).unwrap().to_bytes().to_vec();
    for length in 0..good.len() {
        let message = refusal(&good[..length]);
        let expected = if length < 44 { "the file is truncated" } else { "changed or truncated" };
        assert!(message.contains(expected), "{length} bytes: {message}");
    }
    for appendix in [&[0_u8][..], b"\n", b"SERINMDL", &[0xff; 1000]] {
        let message = refusal(&[&good, appendix].concat());
        assert!(message.starts_with("digest: "), "{message}");
    }
}

#[test]
fn a_forged_file_with_a_correct_digest_is_refused_for_its_contents() {
    type Forgery = fn(&mut Payload);
    let cases: [(&str, Forgery); 18] = [
        ("the intercept: NaN", |p| p.intercept = f64::NAN),
        ("a coefficient: inf", |p| p.coefficients[1] = f64::INFINITY),
        ("the holdout report: NaN", |p| p.holdout.auc = f64::NAN),
        ("the holdout report: NaN", |p| p.holdout.calibration[3].observed = f64::NAN),
        ("the l2 of the training: NaN", |p| p.training.l2 = f64::NAN),
        ("2 found, 3 required", |p| p.coefficients.truncate(2)),
        ("4 found, 3 required", |p| p.coefficients.push(0.0)),
        ("threshold: 1.5", |p| p.threshold = 1.5),
        ("threshold: NaN", |p| p.threshold = f64::NAN),
        ("features: no features", |p| p.features.clear()),
        ("scale -1", |p| p.features[0].kind = FeatureKind::Numeric { mean: 0.0, scale: -1.0 }),
        ("scale 0", |p| p.features[0].kind = FeatureKind::Numeric { mean: 0.0, scale: 0.0 }),
        ("mean NaN", |p| p.features[0].kind = FeatureKind::Numeric { mean: f64::NAN, scale: 1.0 }),
        ("out of order", |p| {
            let levels = vec!["yearly".to_owned(), "monthly".to_owned()];
            p.features[1].kind = FeatureKind::Categorical { levels };
        }),
        ("probes: none", |p| p.probes.clear()),
        ("probe 0: the schema refuses its input", |p| p.probes[0].values.truncate(1)),
        ("probe 0: the schema refuses its input", |p| {
            p.probes[0].values[0] = Value::Number(f64::NAN)
        }),
        (", expected ", |p| p.probes[0].first += 1e-11),
    ];
    for (expected, forge) in cases {
        let mut forged = payload();
        forge(&mut forged);
        let message = refusal(&codec::encode(&forged).unwrap());
        assert!(message.contains(expected), "{message} should contain {expected}");
    }
}

#[test]
fn a_probe_that_answers_nan_is_refused() {
    let mut forged = payload();
    forged.probes[0].first = f64::NAN;
    assert!(refusal(&codec::encode(&forged).unwrap()).contains("expected NaN"));
}

#[test]
fn a_payload_of_hostile_bytes_is_refused_whatever_it_claims() {
    let good = Artifact::seal(&payload()).unwrap().to_bytes()[44..].to_vec();
    // Every position claims 2^63 items, bytes or characters (253 starts a 64-bit number).
    for position in 0..good.len() {
        let mut body = good.clone();
        body.splice(position..=position, [253, 0, 0, 0, 0, 0, 0, 0, 128]);
        refused_or_usable(&body);
        body.truncate(position + 9);
        refused_or_usable(&body);
    }
    // Bytes at the limits of the number encoding, with a correct digest.
    for position in 0..good.len() {
        for value in [0, 1, 2, 127, 250, 251, 252, 253, 254, 255] {
            let mut body = good.clone();
            body[position] = value;
            refused_or_usable(&body);
        }
    }
    for body in [&[][..], &[0], &[255; 100], &[251; 100], &[253; 4096]] {
        assert!(refusal(&codec::seal(body)).starts_with("payload: "));
    }
    let message = refusal(&codec::seal(&[&good[..], &[0]].concat()));
    assert!(message.contains("it ends after"), "{message}");
}

/// With a correct digest a changed byte may be harmless (a word of a description); a model that loads
/// then still predicts.
fn refused_or_usable(body: &[u8]) {
    if let Ok(artifact) = Artifact::from_bytes(&codec::seal(body)) {
        let model = artifact.model();
        let values = model.schema().features().iter().map(|_| Value::Missing).collect();
        let row = model.schema().row(Features::Ordered(values)).unwrap();
        assert!((0.0..=1.0).contains(&model.predict(&row).unwrap().score()));
    }
}

#[test]
fn a_path_without_a_regular_file_of_allowed_size_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let message = |path: &Path| Artifact::read(path).unwrap_err().to_string();
    assert!(message(&folder.path().join("absent.bin")).contains("cannot be read"));
    assert!(message(folder.path()).contains("not a regular file"));
    if Path::new("/dev/zero").exists() {
        assert!(message(Path::new("/dev/zero")).contains("not a regular file"));
    }
    let large = folder.path().join("large.bin");
    File::create(&large).unwrap().set_len(MAX_ARTIFACT_BYTES as u64 + 1).unwrap();
    let size = MAX_ARTIFACT_BYTES + 1;
    assert!(message(&large).starts_with(&format!("size: {size} bytes")));
    let empty = folder.path().join("empty.bin");
    File::create(&empty).unwrap();
    assert!(message(&empty).contains("truncated"));
}

#[test]
fn a_file_that_cannot_be_written_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let artifact = Artifact::seal(&payload()).unwrap();
    let absent = folder.path().join("absent").join("model.bin");
    let message = artifact.write(&absent).unwrap_err().to_string();
    assert!(message.contains("failed to create a temporary file"), "{message}");

    let occupied = folder.path().join("occupied");
    fs::create_dir_all(occupied.join("by a folder")).unwrap();
    let message = artifact.write(&occupied).unwrap_err().to_string();
    assert!(message.contains("failed to rename into place"), "{message}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Artifact::from_bytes(&body);
        refused_or_usable(&body);
    }
}
