//! `POST /feedback`: actual outcomes of predictions, one or many. Open to every client of `/predict`.

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

/// The body: one label, or a list.
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

/// Whether the outcome was the positive class.
#[derive(Clone, Copy)]
struct Outcome(bool);

/// The result of a list of labels.
#[derive(Serialize)]
struct Results {
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

/// Maximum number of labels in a request.
const MAX_LABELS: usize = 1000;

const EXAMPLE: &str = r#"{"prediction_id": "AQEKAC...", "outcome": 1}"#;

/// Records labels.
pub async fn feedback(
    request: HttpRequest,
    payload: Payload,
    shared: Data<Shared>,
) -> HttpResponse {
    let outcome = record(&request, payload, &shared).await;
    respond(&request, outcome)
}

async fn record(
    request: &HttpRequest,
    payload: Payload,
    shared: &Shared,
) -> Result<HttpResponse, Problem> {
    let bytes = body::read(request, payload, ContentType::Optional, &shared.settings).await?;
    if bytes.is_empty() {
        return Err(Problem::empty_body(EXAMPLE));
    }
    let missing =
        |field| Problem::field(format!("{field} is missing; send JSON, for example {EXAMPLE}"));
    match body::parse(&bytes)? {
        Feedback { feedback: Some(labels), prediction_id: None, outcome: None } => {
            if !(1..=MAX_LABELS).contains(&labels.len()) {
                let count = labels.len();
                return Err(Problem::field(format!(
                    "feedback: {count} labels; send 1 to {MAX_LABELS} per request"
                )));
            }
            json(&many(shared, &labels), None)
        }
        Feedback { feedback: Some(_), .. } => Err(Problem::field(
            "feedback excludes prediction_id and outcome; send one label, or a list",
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

/// Records each label on its own: an invalid one does not affect the others.
fn many(shared: &Shared, labels: &[Label]) -> Results {
    let mut results = Results { recorded: 0, not_counted: 0, refused: Vec::new() };
    for (index, Label { prediction_id, outcome }) in labels.iter().enumerate() {
        match shared.service.label(prediction_id, outcome.0) {
            Ok(Some(_)) => results.recorded += 1,
            Ok(None) => results.not_counted += 1,
            Err(error) => {
                let (code, detail) = Problem::from(error).parts();
                results.refused.push(Refused { index, code, detail });
            }
        }
    }
    results
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
        out.write_str("outcome to be 0, 1, true or false (whether the positive class occurred),")
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
