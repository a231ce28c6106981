//! MLflow's scoring server, and what SageMaker asks of a container: `/invocations`, `/ping`, `/version`.

use actix_web::http::header;

use super::csv_rows;
use super::model::check_ready;
use super::predict::Answered;
use super::rows_protocol;
use super::rows_protocol::Members;
use crate::http::answer::Answer;
use crate::http::answer::Call;
use crate::http::answer::text;
use crate::http::openapi::requests::CsvRows;
use crate::http::openapi::requests::MlflowRequest;
use crate::http::predicting;
use crate::http::predicting::Asked;
use crate::http::predicting::Attributes;
use crate::http::predicting::Done;
use crate::http::predicting::Protocol;
use crate::http::predicting::Sent;
use crate::http::predicting::Written;
use crate::http::problem::Problem;
use crate::http::reading::body::is_csv;
use crate::http::shared::Shared;

/// Whether the server takes requests.
#[utoipa::path(
    get,
    path = "/ping",
    tag = "MLflow",
    operation_id = "ping",
    responses((status = 200, description = "It does", body = String, content_type = "text/plain")),
)]
pub async fn ping(call: Call) -> Answer {
    check_ready(&call.shared)?;
    text("ok\n")
}

/// The same as `/ping`.
#[utoipa::path(
    get,
    path = "/health",
    tag = "MLflow",
    operation_id = "mlflow_health",
    responses((status = 200, description = "The server takes requests", body = String, content_type = "text/plain")),
)]
pub async fn health(call: Call) -> Answer {
    ping(call).await
}

/// The version of serin.
#[utoipa::path(
    get,
    path = "/version",
    tag = "MLflow",
    operation_id = "version",
    responses((status = 200, description = "Its name and version", body = String, content_type = "text/plain")),
)]
pub async fn version(_: Call) -> Answer {
    text(concat!("serin/", env!("CARGO_PKG_VERSION")))
}

/// Answers rows, in the forms of MLflow or as CSV.
#[utoipa::path(
    post,
    path = "/invocations",
    tag = "MLflow",
    operation_id = "invocations",
    request_body(content((MlflowRequest = "application/json"), (CsvRows = "text/csv"))),
    responses((status = 200, description = "The answers", body = Answered)),
)]
pub async fn invocations(call: Call) -> Answer {
    let content_type = call.request.headers().get(header::CONTENT_TYPE);
    let is_csv = content_type.and_then(|it| it.to_str().ok()).is_some_and(is_csv);
    predicting::answer(Invocation { is_csv }, call).await
}

struct Invocation {
    is_csv: bool,
}

const MEMBERS: Members = Members {
    forms: &["dataframe_split", "dataframe_records", "instances", "inputs"],
    parameters: "params",
    ignored: None,
    example: r#"{"dataframe_split": {"columns": ["a", "b"], "data": [[0.5, 1.2]]}}"#,
};

impl Protocol for Invocation {
    type Form<'a> = ();

    fn read<'a>(&'a self, sent: Sent<'a>, shared: &Shared) -> Result<(Asked<'a>, ()), Problem> {
        if !self.is_csv {
            return Ok((rows_protocol::read(&MEMBERS, sent, shared)?, ()));
        }
        let mut asked = Attributes::default().checked(sent.headers, shared)?;
        let live = shared.service.serving.live.load();
        let unknown = shared.settings.unknown_fields.into();
        asked.inputs.rows = csv_rows::read(sent.body, &live, unknown)?;
        Ok((asked, ()))
    }

    fn write(&self, done: &Done, (): &(), shared: &Shared) -> Result<Written, Problem> {
        rows_protocol::write(done, shared)
    }
}
