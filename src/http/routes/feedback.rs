//! `POST /feedback`: actual outcomes of predictions, one or many. It needs the admin
//! token if there is one.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::canary::Track;
use crate::http::answer::Answer;
use crate::http::answer::Call;
use crate::http::answer::json;
use crate::http::problem::Classified;
use crate::http::problem::Problem;
use crate::http::reading::body;
use crate::http::shared::Shared;
use crate::service::reported::feedback::GivenOutcome;
use crate::service::reported::feedback::NOT_COUNTED;

/// The body: one label, or a list.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Feedback {
    prediction_id: Option<String>,
    #[serde(default)]
    outcome: Option<Outcome>,
    /// Many labels.
    #[schema(min_items = 1, max_items = 1000)]
    feedback: Option<Vec<Label>>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = FeedbackLabel)]
#[serde(deny_unknown_fields)]
struct Label {
    prediction_id: String,
    outcome: Outcome,
}

/// An outcome as clients write it.
#[derive(Clone, Deserialize, ToSchema)]
#[schema(as = ActualOutcome)]
#[serde(
    untagged,
    expecting = "not an outcome; use 0, 1, true or false (whether the positive class occurred), of many classes the \
                 name of the one that occurred, and of a score the number that occurred"
)]
enum Outcome {
    Bool(bool),
    Number(f64),
    Text(String),
}

impl From<Outcome> for GivenOutcome {
    fn from(given: Outcome) -> GivenOutcome {
        match given {
            Outcome::Bool(outcome) => GivenOutcome::Bool(outcome),
            Outcome::Number(number) => GivenOutcome::Number(number),
            Outcome::Text(text) => GivenOutcome::Text(text),
        }
    }
}

/// The answer.
#[derive(ToSchema)]
#[schema(as = FeedbackAnswer)]
#[serde(untagged)]
#[expect(dead_code, reason = "only describes the answer")]
enum Answered {
    One(One),
    Many(Results),
}

/// The result of one label.
#[derive(Serialize, ToSchema)]
#[schema(as = FeedbackResult)]
struct One {
    /// `recorded` or `not_counted`.
    status: &'static str,
    /// The track whose quality it counts for.
    counts_for: Option<Track>,
    /// Why it is not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// The result of a list of labels.
#[derive(Serialize, ToSchema)]
#[schema(as = FeedbackResults)]
struct Results {
    recorded: usize,
    not_counted: usize,
    /// Why some were not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    refused: Vec<Refused>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = RefusedLabel)]
struct Refused {
    index: usize,
    code: &'static str,
    detail: String,
}

/// Maximum number of labels in a request.
const MAX_LABELS: usize = 1000;

const EXAMPLE: &str = r#"{"prediction_id": "AQEKAC...", "outcome": 1}"#;

/// Records actual outcomes of predictions, one or many.
#[utoipa::path(
    post,
    path = "/feedback",
    tag = "predictions",
    operation_id = "feedback",
    request_body = Feedback,
    responses((status = 200, description = "The outcome of each label", body = Answered)),
)]
pub async fn feedback(call: Call) -> Answer {
    let shared = &call.shared;
    let missing = |field| Problem::missing(field, EXAMPLE);
    match body::parse(&call.body, EXAMPLE)? {
        Feedback { feedback: Some(labels), prediction_id: None, outcome: None } => {
            if !(1..=MAX_LABELS).contains(&labels.len()) {
                let count = labels.len();
                return Err(Problem::field(format_args!(
                    "feedback: {count} labels; send 1 to {MAX_LABELS} per request"
                )));
            }
            json(&many(shared, &labels))
        }
        Feedback { feedback: Some(_), .. } => Err(Problem::field(
            "feedback excludes prediction_id and outcome; send one label, or a list",
        )),
        Feedback { feedback: None, prediction_id, outcome } => {
            let id = prediction_id.ok_or_else(|| missing("prediction_id"))?;
            let outcome = outcome.ok_or_else(|| missing("outcome"))?;
            json(&match shared.service.label(&id, outcome)? {
                counts_for @ Some(_) => One { status: "recorded", counts_for, reason: None },
                None => One { status: "not_counted", counts_for: None, reason: Some(NOT_COUNTED) },
            })
        }
    }
}

/// Records each label on its own: an invalid one does not affect the others.
fn many(shared: &Shared, labels: &[Label]) -> Results {
    let mut results = Results { recorded: 0, not_counted: 0, reason: None, refused: Vec::new() };
    for (index, Label { prediction_id, outcome }) in labels.iter().enumerate() {
        match shared.service.label(prediction_id, outcome.clone()) {
            Ok(Some(_)) => results.recorded += 1,
            Ok(None) => {
                results.not_counted += 1;
                results.reason = Some(NOT_COUNTED);
            }
            Err(error) => {
                let (code, detail) = (error.kind().code(), error.to_string());
                results.refused.push(Refused { index, code, detail });
            }
        }
    }
    results
}
