//! Trials of trained and scripted canaries: rows, failures, time, missing features.

use std::sync::Arc;

use super::*;
use crate::model::Artifact;
use crate::model::Execution;
use crate::model::Model;
use crate::model::PredictError;
use crate::model::Schema;
use crate::model::TrainingOptions;
use crate::model::Value;
use crate::model::training::synthetic;
use crate::model::training::synthetic::Churn;
use crate::model::training::train;

struct Version {
    inference: Inference,
    card: Option<Card>,
}

impl Version {
    fn of(artifact: &Artifact) -> Version {
        Version { inference: Inference::new(artifact.model()), card: Some(artifact.card().clone()) }
    }

    fn with(model: impl Model + 'static, card: &Card) -> Version {
        Version { inference: Inference::new(Arc::new(model)), card: Some(card.clone()) }
    }

    fn tried(&self) -> Tried<'_> {
        Tried { inference: &self.inference, card: self.card.as_ref() }
    }
}

fn limits(redact: &[String]) -> Limits<'_> {
    Limits { deadline: Duration::from_millis(100), redact }
}

fn trial(canary: &Version, stable: &Version) -> Trial {
    Trial::new(canary.tried(), stable.tried(), &BTreeSet::new(), limits(&[]))
}

fn churn(churn: &Churn) -> Artifact {
    train(&synthetic::churn(churn).unwrap(), &TrainingOptions::default()).unwrap()
}

/// A model that answers as a function says, on a thread of its own.
struct Scripted {
    schema: Schema,
    output: OutputKind,
    answer: fn(&[Value<'_>]) -> Result<Output, PredictError>,
}

impl Model for Scripted {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn output(&self) -> &OutputKind {
        &self.output
    }

    fn predict(&self, row: &Row<'_>) -> Result<Output, PredictError> {
        (self.answer)(row.values())
    }

    fn execution(&self) -> Execution {
        Execution::Pooled
    }
}

/// The card of a model with the features `x` and `word`, which keeps these rows.
fn card_of(digest_of: &Artifact, rows: &[(f64, &str)]) -> Card {
    let row =
        |(x, word): &(f64, &str)| vec![Value::Number(*x), Value::Text((*word).to_owned().into())];
    Card {
        features: words().model().schema().clone(),
        kept_rows: rows.iter().map(row).collect(),
        ..digest_of.card().clone()
    }
}

/// A regression on `x` and `word`.
fn words() -> Artifact {
    let file = r#"{"format": "serin.model/v1", "model": "linear_regression", "intercept": 0, "features": [
        {"name": "x", "kind": "number", "coefficient": 1},
        {"name": "word", "kind": "category", "levels": ["a", "b"], "coefficients": [0, 1]}]}"#;
    Artifact::from_bytes(file.as_bytes()).unwrap()
}

fn scripted(
    output: OutputKind,
    answer: fn(&[Value<'_>]) -> Result<Output, PredictError>,
) -> Scripted {
    Scripted { schema: words().model().schema().clone(), output, answer }
}

fn x(values: &[Value<'_>]) -> f64 {
    let Value::Number(x) = values[0] else { panic!("{values:?}") };
    x
}

const ROWS: [(f64, &str); 3] = [(0.0, "a"), (1.0, "b"), (3.0, "b")];

/// Two versions of these outputs that keep [`ROWS`], and the canary one more.
fn versions(
    output: &OutputKind,
    canary: fn(&[Value<'_>]) -> Result<Output, PredictError>,
    stable: fn(&[Value<'_>]) -> Result<Output, PredictError>,
) -> [Version; 2] {
    let (v1, v2) = (churn(&Churn::v1(42)), churn(&Churn::v2(42)));
    let more: Vec<(f64, &str)> = ROWS.into_iter().chain([(9.0, "c")]).collect();
    [
        Version::with(scripted(output.clone(), canary), &card_of(&v2, &more)),
        Version::with(scripted(output.clone(), stable), &card_of(&v1, &ROWS)),
    ]
}

#[test]
fn answers_are_compared_on_the_rows_of_both_files() {
    let [canary, stable] = [churn(&Churn::v2(42)), churn(&Churn::v1(42))];
    let found = trial(&Version::of(&canary), &Version::of(&stable)).on_kept_rows.unwrap();
    let mut rows = Vec::new();
    for row in canary.card().kept_rows.iter().chain(stable.card().kept_rows.iter()) {
        // Each row counts once.
        if !rows.contains(row) {
            rows.push(row.clone());
        }
    }
    let answers: Vec<[Output; 2]> = rows
        .iter()
        .map(|values| {
            [&canary, &stable].map(|artifact| {
                let model = artifact.model();
                let row = model.schema().row(Features::Ordered(values.clone())).unwrap();
                model.predict(&row).unwrap()
            })
        })
        .collect();
    let label = |artifact: &Artifact, output: &Output| {
        artifact.model().output().label(output).map(|label| format!("{label:?}"))
    };
    let flips = answers.iter().filter(|[a, b]| label(&canary, a) != label(&stable, b)).count();
    let sizes = answers.iter().map(|[a, b]| (a.score() - b.score()).abs());
    assert_eq!(found.rows as usize, answers.len());
    assert_eq!(found.label_flips, Some(flips as u64));
    let largest = found.largest.unwrap();
    assert_eq!(largest.difference.abs(), sizes.fold(0.0, f64::max));
    assert_eq!(largest.difference, largest.canary - largest.stable);
    assert_eq!(largest.features.len(), 5);
    assert_eq!((found.canary_failures, found.stable_failures, found.not_asked), (0, 0, 0));
}

#[test]
fn the_same_artifact_and_files_without_rows_say_nothing() {
    let one = churn(&Churn::v1(42));
    assert_eq!(trial(&Version::of(&one), &Version::of(&one)).on_kept_rows, None);
    let file = Version::of(&words());
    assert!(file.card.as_ref().unwrap().kept_rows.is_empty());
    let other = Version { card: Some(card_of(&one, &[])), ..Version::of(&words()) };
    assert_eq!(trial(&file, &other).on_kept_rows, None);
    let unknown = Version { card: None, ..Version::of(&one) };
    assert_eq!(trial(&unknown, &file).on_kept_rows, None);
}

#[test]
fn a_row_of_both_files_counts_once_and_redacted_features_are_not_shown() {
    let [canary, stable] = versions(
        &OutputKind::Score,
        |values| Ok(Output::of(100.0 * x(values))),
        |values| Ok(Output::of(x(values))),
    );
    let redact = ["word".to_owned()];
    let found =
        Trial::new(canary.tried(), stable.tried(), &BTreeSet::new(), limits(&redact)).on_kept_rows;
    let found = found.unwrap();
    assert_eq!((found.rows, found.label_flips), (4, None));
    assert_eq!(
        found.message,
        "On 4 rows of the model files canary and stable differ by at most 891 (900 instead of 9)."
    );
    let largest = found.largest.unwrap();
    assert_eq!(serde_json::to_string(&largest.features).unwrap(), r#"{"x":9.0}"#);
}

#[test]
fn flips_and_the_class_with_the_largest_difference_are_named() {
    let classes = ["basic", "gold"].map(str::to_owned).to_vec();
    let [canary, stable] = versions(
        &OutputKind::Probabilities { classes },
        |values| Ok(Output::of_many(vec![0.4, if x(values) > 2.0 { 0.1 } else { 0.45 }])),
        |_| Ok(Output::of_many(vec![0.4, 0.5])),
    );
    let found = trial(&canary, &stable).on_kept_rows.unwrap();
    assert_eq!(
        found.message,
        "On 4 rows of the model files the canary flips 2 labels; largest difference 0.4 for class `gold` \
         (0.1 instead of 0.5)."
    );
    let half = OutputKind::Probability { threshold: 0.5 };
    let [canary, stable] =
        versions(&half, |_| Ok(Output::of(0.123_456_7)), |_| Ok(Output::of(0.2)));
    let found = trial(&canary, &stable).on_kept_rows.unwrap();
    assert_eq!(
        found.message,
        "On 4 rows of the model files the canary flips no label; largest difference 0.07654 (0.1235 instead of 0.2)."
    );
    let [canary, stable] = versions(&half, |_| Ok(Output::of(0.2)), |_| Ok(Output::of(0.2)));
    let found = trial(&canary, &stable).on_kept_rows.unwrap();
    assert_eq!(found.message, "On 4 rows of the model files canary and stable answer the same.");
}

#[test]
fn a_row_without_an_answer_is_counted_and_not_compared() {
    let [canary, stable] = versions(
        &OutputKind::Score,
        |values| match x(values) {
            1.0 => Err(PredictError::Failed { problem: "no answer to 1".to_owned() }),
            3.0 => panic!("no answer to 3"),
            x => Ok(Output::of(x)),
        },
        |values| Ok(Output::of(if x(values) == 9.0 { f64::NAN } else { 0.0 })),
    );
    let found = trial(&canary, &stable).on_kept_rows.unwrap();
    let counts = (found.rows, found.canary_failures, found.stable_failures, found.not_asked);
    assert_eq!(counts, (1, 2, 1, 0));
    assert_eq!(
        found.message,
        "On 4 rows of the model files canary and stable answer the same; the canary has no answer to 2 of them; stable \
         has no answer to 1 of them."
    );
}

#[test]
fn a_canary_that_hangs_ends_the_comparison() {
    let [canary, stable] = versions(
        &OutputKind::Score,
        |values| {
            if x(values) > 0.0 {
                std::thread::sleep(Duration::from_secs(20));
            }
            Ok(Output::of(0.0))
        },
        |_| Ok(Output::of(0.0)),
    );
    let found = trial(&canary, &stable).on_kept_rows.unwrap();
    assert_eq!((found.rows, found.not_asked), (1, 3));
    let why = "the canary missed its deadline before 3 of them were compared.";
    assert!(found.message.ends_with(why), "{}", found.message);
}

#[test]
fn both_parts_of_a_trial_share_its_time() {
    let [canary, stable] = versions(
        &OutputKind::Score,
        |_| {
            std::thread::sleep(Duration::from_millis(700));
            Ok(Output::of(0.0))
        },
        |_| Ok(Output::of(0.0)),
    );
    let may_lack = BTreeSet::from(["x".to_owned(), "word".to_owned()]);
    let limits = Limits { deadline: Duration::from_secs(60), redact: &[] };
    let found = Trial::new(canary.tried(), stable.tried(), &may_lack, limits);
    let rows = found.on_kept_rows.unwrap();
    assert!(rows.not_asked > 0 && rows.canary_failures == 0, "{rows:?}");
    assert!(rows.message.contains("the time was over before "), "{}", rows.message);
    assert_eq!(
        found.not_tried.as_deref(),
        Some("2 of the features that requests may lack were not tried: the time was over.")
    );
    assert!(found.fails_without.is_empty());
}

#[test]
fn a_late_answer_says_nothing_of_the_feature_that_is_missing() {
    let [canary, stable] = versions(
        &OutputKind::Score,
        |values| match [&values[0], &values[1]] {
            [_, Value::Missing] => Err(PredictError::Failed { problem: "no word".to_owned() }),
            [Value::Missing, _] => {
                std::thread::sleep(Duration::from_secs(20));
                Ok(Output::of(0.0))
            }
            _ => Ok(Output::of(0.0)),
        },
        |_| Ok(Output::of(0.0)),
    );
    let may_lack = BTreeSet::from(["x".to_owned(), "word".to_owned()]);
    let found = Trial::new(canary.tried(), stable.tried(), &may_lack, limits(&[]));
    assert_eq!(found.fails_without, BTreeSet::from(["word".to_owned()]));
    assert_eq!(
        found.not_tried.as_deref(),
        Some(
            "1 of the features that requests may lack was not tried: the canary missed its deadline."
        )
    );
}

#[test]
fn features_without_which_the_canary_has_no_answer_are_found() {
    let file = |features: &str| {
        let file = format!(
            r#"{{"format": "serin.model/v1", "model": "logistic_regression", "intercept": 0, "features": [{features}]}}"#
        );
        Version::of(&Artifact::from_bytes(file.as_bytes()).unwrap())
    };
    let number = |name: &str, more: &str| {
        format!(r#"{{"name": "{name}", "kind": "number", "coefficient": 1{more}}}"#)
    };
    let stable = file(&number("a", ""));
    let all = [number("a", ""), number("b", ""), number("c", r#", "missing": 3"#)].join(",");
    let canary = file(&all);
    let names = |names: &[&str]| -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    };
    let of = |canary: &Version, may_lack: &[&str]| {
        Trial::new(canary.tried(), stable.tried(), &names(may_lack), limits(&[])).fails_without
    };
    assert_eq!(of(&canary, &[]), names(&["b"]), "requests have stable's features");
    assert_eq!(of(&canary, &["a", "x"]), names(&["a", "b"]), "earlier clients lack it");
    let filled = file(&[number("a", ""), number("c", r#", "missing": 3"#)].join(","));
    assert_eq!(of(&filled, &[]), names(&[]));
    let trained = Version::of(&churn(&Churn::v1(42)));
    assert_eq!(of(&trained, &[]), names(&[]), "training has a mean for each");
}
