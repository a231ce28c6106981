//! `GET /verdict`: the verdict for gates, in an answer that always succeeds.

use actix_web::web::Query;

use crate::http::answer::Answer;
use crate::http::answer::Call;
use crate::http::answer::json;
use crate::http::problem::Kind;
use crate::http::problem::Problem;
use crate::service::Service;
use crate::service::status::gate::GateVerdict;
use crate::service::status::report::Reported;

/// The verdict for a gate, which may be asked for at any time.
///
/// The answer is 200 in every state, also without a canary.
#[utoipa::path(
    get,
    path = "/verdict",
    tag = "rollout",
    operation_id = "verdict",
    params(
        ("version" = Option<String>, Query, min_length = 1, description = "The version that is meant; the canary by default"),
    ),
    responses((status = 200, description = "The verdict with its reason", body = GateVerdict)),
)]
pub async fn verdict(call: Call) -> Answer {
    let version = version(call.request.query_string())?;
    json(&given(&call, version).await?)
}

/// The verdict on the version of this name, or on the canary.
pub(super) async fn given(call: &Call, version: Option<String>) -> Result<GateVerdict, Problem> {
    let given = move |service: &Service| {
        service.control.follow_answered_commands();
        let reported = Reported::from(service.status());
        Ok::<_, Problem>(GateVerdict::new(&reported, version.as_deref()))
    };
    call.ask(given).await
}

fn version(query: &str) -> Result<Option<String>, Problem> {
    let invalid = |detail: String| Problem::new(Kind::InvalidQuery, detail);
    let pairs: Query<Vec<(String, String)>> =
        Query::from_query(query).map_err(|_| invalid(format!("{query:?} is not a query")))?;
    let mut version = None;
    for (name, value) in pairs.into_inner() {
        if name != "version" {
            return Err(invalid(format!("`{name}` is unknown; use `version`")));
        }
        if value.is_empty() {
            return Err(invalid(
                "version: it is empty; name a version, for example model_v2".into(),
            ));
        }
        if version.replace(value).is_some() {
            return Err(invalid("version: sent twice; send it once".into()));
        }
    }
    Ok(version)
}
