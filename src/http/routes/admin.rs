//! Reports under `/admin`: health, status, models and history. None of them changes anything.

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::web::Data;
use actix_web::web::Query;
use serde::Deserialize;
use serde_json::json;

use crate::http::answer::ask;
use crate::http::problem::Problem;
use crate::http::shared::Shared;
use crate::service::Service;
use crate::service::status::history::History;
use crate::service::status::report::Reported;

/// The query of `history`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    limit: Option<usize>,
    after: Option<u64>,
}

const DEFAULT_PAGE: usize = 100;
const MAX_PAGE: usize = 1000;

/// `GET /admin/check-canary-health`
pub async fn health(request: HttpRequest, shared: Data<Shared>) -> HttpResponse {
    ask(request, shared, |service| Ok(service.health()?), |_| None).await
}

/// `GET /admin/status`
pub async fn status(request: HttpRequest, shared: Data<Shared>) -> HttpResponse {
    let reported = |service: &Service| Ok(Reported::from(service.status()));
    ask(request, shared, reported, |reported| Some(reported.status.revision)).await
}

/// `GET /admin/models`
pub async fn models(request: HttpRequest, shared: Data<Shared>) -> HttpResponse {
    ask(
        request,
        shared,
        |service| Ok(json!({ "models": service.control.registry().list() })),
        |_| None,
    )
    .await
}

/// `GET /admin/history?limit=&after=`
pub async fn history(request: HttpRequest, shared: Data<Shared>) -> HttpResponse {
    let (limit, after) = match page(request.query_string()) {
        Ok(page) => page,
        Err(problem) => return problem.response(request.path()),
    };
    ask(
        request,
        shared,
        move |service| {
            let entries = match after {
                Some(after) => service.history(after, limit)?,
                None => service.newest_history(limit)?,
            };
            Ok(History::new(entries))
        },
        |_| None,
    )
    .await
}

fn page(query: &str) -> Result<(usize, Option<u64>), Problem> {
    let Page { limit, after } =
        Query::from_query(query).map(Query::into_inner).map_err(|cause| {
            Problem::query(format!("{cause}; use whole numbers for limit and after"))
        })?;
    let limit = limit.unwrap_or(DEFAULT_PAGE);
    if limit > MAX_PAGE {
        return Err(Problem::query(format!("limit: {limit} is out of range; use 0 to {MAX_PAGE}")));
    }
    Ok((limit, after))
}
