//! `POST /feedback`: what became of predictions, one or many. Open to whoever may predict.

use std::fmt;

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::web::Data;
use actix_web::web::Payload;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::de::Visitor;
use serde_json::json;

use crate::http::answer::json;
use crate::http::answer::respond;
use crate::http::problem::Problem;
use crate::http::reading::body;
use crate::http::reading::body::ContentType;
use crate::http::shared::Shared;
use crate::service::reported::feedback::NOT_COUNTED;

/// The body: one label, or many.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Feedback {
    prediction_id: Option<String>,
    #[serde(default)]
    outcome: Option<Outcome>,
    feedback: Option<Vec<Label>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Label {
    prediction_id: String,
    outcome: Outcome,
}

/// Whether the positive class came.
#[derive(Clone, Copy)]
struct Outcome(bool);

/// What became of many labels.
#[derive(Serialize)]
struct Taken {
    recorded: usize,
    not_counted: usize,
    refused: Vec<Refused>,
}

#[derive(Serialize)]
struct Refused {
    index: usize,
    code: &'static str,
    detail: String,
}

/// The most labels at once.
const MAX_AT_ONCE: usize = 1000;

const EXAMPLE: &str = r#"{"prediction_id": "AQEKAC...", "outcome": 1}"#;

/// Takes labels.
pub async fn feedback(
    request: HttpRequest,
    payload: Payload,
    shared: Data<Shared>,
) -> HttpResponse {
    let outcome = taken(&request, payload, &shared).await;
    respond(&request, outcome)
}

async fn taken(
    request: &HttpRequest,
    payload: Payload,
    shared: &Shared,
) -> Result<HttpResponse, Problem> {
    let bytes = body::read(request, payload, ContentType::Optional, &shared.settings).await?;
    if bytes.is_empty() {
        return Err(Problem::empty_body(EXAMPLE));
    }
    let missing = |field| Problem::field(format!("{field} is missing; send JSON like {EXAMPLE}"));
    match body::parse(&bytes)? {
        Feedback { feedback: Some(labels), prediction_id: None, outcome: None } => {
            if !(1..=MAX_AT_ONCE).contains(&labels.len()) {
                let count = labels.len();
                return Err(Problem::field(format!(
                    "feedback has {count} labels; give 1 to {MAX_AT_ONCE}, and the others in further \
                     requests"
                )));
            }
            json(&many(shared, &labels), None)
        }
        Feedback { feedback: Some(_), .. } => Err(Problem::field(
            "feedback is given beside prediction_id or outcome; give one label, or a list of them",
        )),
        Feedback { feedback: None, prediction_id, outcome } => {
            let id = prediction_id.ok_or_else(|| missing("prediction_id"))?;
            let Outcome(outcome) = outcome.ok_or_else(|| missing("outcome"))?;
            let answer = match shared.service.label(&id, outcome)? {
                Some(track) => json!({ "status": "recorded", "counts_for": track }),
                None => {
                    json!({ "status": "not_counted", "counts_for": null, "reason": NOT_COUNTED })
                }
            };
            json(&answer, None)
        }
    }
}

/// Each label by itself: a bad one keeps no good one out.
fn many(shared: &Shared, labels: &[Label]) -> Taken {
    let mut taken = Taken { recorded: 0, not_counted: 0, refused: Vec::new() };
    for (index, Label { prediction_id, outcome }) in labels.iter().enumerate() {
        match shared.service.label(prediction_id, outcome.0) {
            Ok(Some(_)) => taken.recorded += 1,
            Ok(None) => taken.not_counted += 1,
            Err(error) => {
                let (code, detail) = Problem::from(error).told();
                taken.refused.push(Refused { index, code, detail });
            }
        }
    }
    taken
}

impl<'de> Deserialize<'de> for Outcome {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Outcome, D::Error> {
        from.deserialize_any(OutcomeVisitor)
    }
}

struct OutcomeVisitor;

impl Visitor<'_> for OutcomeVisitor {
    type Value = Outcome;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("outcome to be 0, 1, true or false: whether the positive class came,")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Outcome, E> {
        Ok(Outcome(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Outcome, E> {
        match value {
            0 => Ok(Outcome(false)),
            1 => Ok(Outcome(true)),
            _ => Err(E::invalid_value(serde::de::Unexpected::Unsigned(value), &self)),
        }
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Outcome, E> {
        if value == 0.0 || value == 1.0 {
            return Ok(Outcome(value == 1.0));
        }
        Err(E::invalid_value(serde::de::Unexpected::Float(value), &self))
    }
}
