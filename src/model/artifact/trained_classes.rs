//! Artifact of a model that serin trained with three classes or more.

use std::sync::Arc;

use super::Artifact;
use super::PROBE_TOLERANCE;
use super::card;
use super::card::Card;
use super::card::ClassTerms;
use super::card::Origin;
use super::card::TrainedClasses;
use super::codec;
use super::codec::ClassesPayload;
use super::digest::Digest;
use super::error::ArtifactError;
use super::first_rows;
use super::replay;
use crate::model::Model;
use crate::model::kinds::multinomial::MultinomialRegression;
use crate::model::schema::Schema;

impl Artifact {
    pub(super) fn of_classes(
        bytes: &[u8],
        payload: ClassesPayload,
        digest: Digest,
        version: u32,
    ) -> Result<Self, ArtifactError> {
        check_numbers(&payload)?;
        let ClassesPayload { features, classes, intercepts, coefficients, .. } = payload;
        let ClassesPayload { training, holdout, missing, probes, inputs, .. } = payload;
        let schema = Schema::new(features)?.with_missing(missing.clone());
        let model =
            MultinomialRegression::new(schema.clone(), &classes, &intercepts, &coefficients)?;
        replay(&model, &probes, PROBE_TOLERANCE)?;
        inputs.iter().try_for_each(|inputs| inputs.check(&schema))?;
        let weights = coefficients.chunks(schema.encoded_width().max(1));
        let terms = classes.into_iter().zip(intercepts).zip(weights);
        let terms = terms.map(|((class, intercept), weights)| ClassTerms {
            class,
            intercept,
            coefficients: card::coefficients(&schema, weights),
        });
        let trained = TrainedClasses { terms: terms.collect(), training, holdout };
        let card = Card {
            kind: "multinomial_regression",
            digest,
            size_bytes: bytes.len() as u64,
            format_version: Some(version),
            features: schema,
            missing: card::MISSING_RULE,
            missing_values: missing,
            output: model.output().clone(),
            kept_rows: first_rows(&probes),
            inputs,
            origin: Origin::TrainedClasses(Box::new(trained)),
        };
        Ok(Self { bytes: bytes.into(), model: Arc::new(model), card })
    }

    /// Makes an artifact of a trained model of many classes, with the checks of a file.
    pub(crate) fn seal_classes(payload: &ClassesPayload) -> Result<Self, ArtifactError> {
        Self::from_bytes(&codec::encode_classes(payload)?)
    }
}

/// Checks what no other check covers.
fn check_numbers(payload: &ClassesPayload) -> Result<(), ArtifactError> {
    let fields = [
        ("the holdout report", payload.holdout.numbers().find(|n| !n.is_finite())),
        ("the l2 of the training", Some(payload.training.l2).filter(|n| !n.is_finite())),
    ];
    match fields.into_iter().find_map(|(field, found)| Some((field, found?))) {
        Some((field, value)) => Err(ArtifactError::NotFinite { field, value }),
        None if payload.probes.is_empty() => Err(ArtifactError::NoProbes),
        None if !has_classes_of(payload) => Err(ArtifactError::Payload {
            problem: "the holdout report has other classes than the model".to_owned(),
        }),
        None => Ok(()),
    }
}

/// Whether the report is about the classes of the model, in their order.
fn has_classes_of(payload: &ClassesPayload) -> bool {
    let count = payload.classes.len();
    let confusion = payload.holdout.confusion.as_deref().unwrap_or_default();
    let reported = payload.holdout.classes.iter().map(|it| &it.class);
    reported.eq(&payload.classes)
        && (confusion.is_empty() || confusion.len() == count)
        && confusion.iter().all(|row| row.len() == count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::artifact::card::TrainingDescription;
    use crate::model::artifact::class_report::report;
    use crate::model::artifact::codec::Probe;
    use crate::model::output::Output;
    use crate::model::output::OutputKind;
    use crate::model::schema::Feature;
    use crate::model::schema::FeatureKind;
    use crate::model::schema::Missing;
    use crate::model::schema::Value;
    use crate::model::schema::features::Features;

    /// A model of one number and one category, and three classes.
    fn payload() -> ClassesPayload {
        let levels = vec!["monthly".to_owned(), "yearly".to_owned()];
        let classes = ["basic", "silver", "gold"].map(str::to_owned).to_vec();
        let features = vec![
            Feature { name: "x".into(), kind: FeatureKind::Numeric { mean: 10.0, scale: 4.0 } },
            Feature { name: "c".into(), kind: FeatureKind::Categorical { levels } },
        ];
        let intercepts = vec![0.5, 0.0, -0.5];
        let coefficients = vec![1.0, 0.5, -0.5, 0.0, 0.25, -0.25, -1.0, -0.75, 0.75];
        let schema = Schema::new(features.clone()).unwrap();
        let model = MultinomialRegression::new(schema, &classes, &intercepts, &coefficients);
        let model = model.unwrap();
        let values = vec![Value::Number(12.0), Value::Text("monthly".into())];
        let row = model.schema().row(Features::Ordered(values.clone())).unwrap();
        let output = model.predict(&row).unwrap();
        let outputs = [[0.7, 0.2, 0.1], [0.5, 0.4, 0.1], [0.1, 0.2, 0.7]];
        let outputs = outputs.map(|numbers| Output::of_many(numbers.to_vec()));
        ClassesPayload {
            holdout: report(&classes, &[0, 1, 2], &outputs).unwrap(),
            features,
            classes,
            intercepts,
            coefficients,
            training: TrainingDescription {
                source: "rows.csv".into(),
                rows: 100,
                training_rows: 80,
                target: "tier".into(),
                positive: None,
                l2: 1.0,
                holdout: "20 % at random".into(),
                seed: 42,
                warnings: Vec::new(),
            },
            missing: Missing::default().and(&["-999".to_owned()]),
            probes: vec![Probe::new(values, &output)],
            inputs: None,
        }
    }

    #[test]
    fn a_written_artifact_reads_back_unchanged_and_says_its_classes() {
        let sealed = Artifact::seal_classes(&payload()).unwrap();
        let read = Artifact::from_bytes(sealed.to_bytes()).unwrap();
        assert_eq!(read.card(), sealed.card());
        assert_eq!(read.card().format_version, Some(6));
        assert_eq!(read.card().missing_values, payload().missing);
        let classes = payload().classes;
        assert_eq!(read.card().output, OutputKind::Probabilities { classes });
        assert_eq!((read.card().trained(), read.card().target()), (None, None));
        let json = serde_json::to_value(read.card()).unwrap();
        assert_eq!(json["kind"], "multinomial_regression");
        assert_eq!(json["training"]["positive"], serde_json::Value::Null);
        assert_eq!(json["terms"][2]["class"], "gold");
        assert_eq!(json["terms"][2]["coefficients"][0]["weight"], -1.0);
        assert_eq!(json["holdout"]["classes"][1]["recall"], 0.0);
    }

    #[test]
    fn a_forged_file_with_a_correct_digest_is_refused_for_its_contents() {
        type Forgery = fn(&mut ClassesPayload);
        let cases: [(&str, Forgery); 15] = [
            ("2 names for 3 intercepts", |p| {
                p.classes.truncate(2);
                p.holdout.classes.truncate(2);
                p.holdout.confusion = None;
            }),
            ("3 names for 2 intercepts", |p| p.intercepts.truncate(2)),
            ("8 found, 9 required", |p| p.coefficients.truncate(8)),
            ("an intercept: NaN", |p| p.intercepts[1] = f64::NAN),
            ("a coefficient of `c`: inf", |p| p.coefficients[8] = f64::INFINITY),
            ("the holdout report: NaN", |p| p.holdout.baseline_brier = f64::NAN),
            ("the holdout report: inf", |p| p.holdout.classes[2].auc = Some(f64::INFINITY)),
            ("the l2 of the training: NaN", |p| p.training.l2 = f64::NAN),
            ("other classes than the model", |p| p.classes[0] = "free".to_owned()),
            ("other classes than the model", |p| {
                p.holdout.confusion = Some(vec![vec![1, 2, 3], vec![4]]);
            }),
            ("is not the name of a class", |p| {
                p.classes[0] = "a\nb".to_owned();
                p.holdout.classes[0].class = "a\nb".to_owned();
            }),
            ("features: no features", |p| p.features.clear()),
            ("probes: none", |p| p.probes.clear()),
            (", expected ", |p| p.probes[0].more[1] += 1e-11),
            (", expected ", |p| p.probes[0].more.truncate(1)),
        ];
        for (expected, forge) in cases {
            let mut forged = payload();
            forge(&mut forged);
            let bytes = codec::encode_classes(&forged).unwrap();
            let message = Artifact::from_bytes(&bytes).unwrap_err().to_string();
            assert!(message.contains(expected), "{message} should contain {expected}");
        }
    }

    #[test]
    fn every_change_of_a_byte_of_the_payload_is_refused_or_harmless() {
        let good = Artifact::seal_classes(&payload()).unwrap().to_bytes().to_vec();
        for position in 0..good.len() {
            let mut bytes = good.clone();
            bytes[position] ^= 1;
            assert!(Artifact::from_bytes(&bytes).is_err(), "byte {position}");
            assert!(Artifact::from_bytes(&good[..position]).is_err(), "{position} bytes");
        }
        let body = &good[44..];
        for position in 0..body.len() {
            for value in [0, 1, 127, 250, 251, 252, 253, 254, 255] {
                let mut body = body.to_vec();
                body[position] = value;
                if let Ok(artifact) = Artifact::from_bytes(&codec::seal_as(6, &body)) {
                    let model = artifact.model();
                    let values = model.schema().features().iter().map(|_| Value::Missing).collect();
                    let row = model.schema().row(Features::Ordered(values)).unwrap();
                    assert!(model.output().allows(&model.predict(&row).unwrap()));
                }
            }
        }
    }
}
