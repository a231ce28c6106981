//! Reports under `/admin`: health, status, models and history. None of them changes anything.

use actix_web::web::Query;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::answer::Answer;
use crate::http::answer::Call;
use crate::http::answer::json;
use crate::http::answer::json_at;
use crate::http::problem::Kind;
use crate::http::problem::Problem;
use crate::service::Service;
use crate::service::control::registry::Listed;
use crate::service::status::health::Health;
use crate::service::status::history::History;
use crate::service::status::report::Reported;

/// The answer of `models`.
#[derive(Serialize, ToSchema)]
struct Models {
    /// The version that is stable, with its inputs of training.
    stable: Listed,
    /// By path.
    models: Vec<Listed>,
}

const DEFAULT_PAGE: usize = 100;
const MAX_PAGE: u64 = 1000;

/// How the canary is doing.
///
/// The fixed-horizon tests on everything observed since the step began, and what the sequential judge concludes.
#[utoipa::path(
    get,
    path = "/admin/check-canary-health",
    tag = "rollout",
    operation_id = "check_canary_health",
    responses((status = 200, description = "The health check, also without a canary", body = Health)),
)]
pub async fn health(call: Call) -> Answer {
    json(&call.ask(Service::health).await?)
}

/// Everything at a glance.
#[utoipa::path(
    get,
    path = "/admin/status",
    tag = "rollout",
    operation_id = "status",
    responses((status = 200, description = "The status, with a report in words", body = Reported, headers(("ETag" = String, description = "The revision, for `If-Match`")))),
)]
pub async fn status(call: Call) -> Answer {
    let reported = |service: &Service| Ok::<_, Problem>(Reported::from(service.status()));
    let reported = call.ask(reported).await?;
    json_at(reported.status.revision, &reported)
}

/// The files of the models folder.
#[utoipa::path(
    get,
    path = "/admin/models",
    tag = "rollout",
    operation_id = "models",
    responses((status = 200, description = "Each file with its card, or why it is not a model", body = Models)),
)]
pub async fn models(call: Call) -> Answer {
    let listed = |service: &Service| {
        let stable = Listed::from(&*service.serving.live.load().stable);
        Ok::<_, Problem>(Models { stable, models: service.control.registry().list() })
    };
    json(&call.ask(listed).await?)
}

/// The journal: what happened, and why.
#[utoipa::path(
    get,
    path = "/admin/history",
    tag = "rollout",
    operation_id = "history",
    params(
        ("limit" = Option<usize>, Query, minimum = 0, maximum = 1000, description = "Maximum number of entries; 100 by default"),
        ("after" = Option<u64>, Query, minimum = 0, description = "The revision after which to begin"),
    ),
    responses((status = 200, description = "The newest entries, or those after `after`, oldest first", body = History)),
)]
pub async fn history(call: Call) -> Answer {
    let (limit, after) = page(call.request.query_string())?;
    let history = call.ask(move |service| {
        let entries = match after {
            Some(after) => service.history(after, limit),
            None => service.newest_history(limit),
        };
        entries.map(History::new)
    });
    json(&history.await?)
}

fn page(query: &str) -> Result<(usize, Option<u64>), Problem> {
    let invalid = |detail: String| Problem::new(Kind::InvalidQuery, detail);
    let pairs: Query<Vec<(String, String)>> =
        Query::from_query(query).map_err(|_| invalid(format!("{query:?} is not a query")))?;
    let (mut limit, mut after) = (None, None);
    for (name, value) in pairs.into_inner() {
        let place = match name.as_str() {
            "limit" => &mut limit,
            "after" => &mut after,
            _ => return Err(invalid(format!("`{name}` is unknown; use `limit` and `after`"))),
        };
        let is_whole = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        if !is_whole {
            let detail = format!("{name}: {value:?} is not a number; use a whole number from 0");
            return Err(invalid(detail));
        }
        // A number beyond all revisions is after all of them.
        let number = value.parse().unwrap_or(u64::MAX);
        if name == "limit" && number > MAX_PAGE {
            return Err(invalid(format!("limit: {value} is out of range; use 0 to {MAX_PAGE}")));
        }
        if place.replace(number).is_some() {
            return Err(invalid(format!("{name}: sent twice; send it once")));
        }
    }
    let limit = limit.and_then(|limit| usize::try_from(limit).ok());
    Ok((limit.unwrap_or(DEFAULT_PAGE), after))
}
