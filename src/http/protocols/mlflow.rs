//! MLflow's scoring server, and what SageMaker asks of a container: `/invocations`, `/ping`, `/version`.

use actix_web::http::header;

use super::csv_rows;
use super::model::check_ready;
use super::rows_protocol;
use super::rows_protocol::Members;
use crate::http::answer::Answer;
use crate::http::answer::Call;
use crate::http::answer::text;
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

/// `GET /ping` and `GET /health`
pub async fn ping(call: Call) -> Answer {
    check_ready(&call.shared)?;
    text("ok\n")
}

/// `GET /version`
pub async fn version(_: Call) -> Answer {
    text(concat!("serin/", env!("CARGO_PKG_VERSION")))
}

/// `POST /invocations`
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
