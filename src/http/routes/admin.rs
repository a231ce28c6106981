//! Reports under `/admin`: health, status, models and history. None of them changes anything.

use actix_web::web::Query;
use serde_json::json;

use crate::http::answer::Answer;
use crate::http::answer::Call;
use crate::http::answer::json;
use crate::http::answer::json_at;
use crate::http::problem::Kind;
use crate::http::problem::Problem;
use crate::service::Service;
use crate::service::status::history::History;
use crate::service::status::report::Reported;

const DEFAULT_PAGE: usize = 100;
const MAX_PAGE: usize = 1000;

/// `GET /admin/check-canary-health`
pub async fn health(call: Call) -> Answer {
    json(&call.ask(Service::health).await?)
}

/// `GET /admin/status`
pub async fn status(call: Call) -> Answer {
    let reported = |service: &Service| Ok::<_, Problem>(Reported::from(service.status()));
    let reported = call.ask(reported).await?;
    json_at(reported.status.revision, &reported)
}

/// `GET /admin/models`
pub async fn models(call: Call) -> Answer {
    let listed = |service: &Service| Ok::<_, Problem>(service.control.registry().list());
    json(&json!({ "models": call.ask(listed).await? }))
}

/// `GET /admin/history?limit=&after=`
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
        let number: u64 = value.parse().map_err(|_| {
            invalid(format!("{name}: {value:?} is not a number; use a whole number from 0"))
        })?;
        if place.replace(number).is_some() {
            return Err(invalid(format!("{name}: sent twice; send it once")));
        }
    }
    let limit = limit.map_or(DEFAULT_PAGE, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    if limit > MAX_PAGE {
        return Err(invalid(format!("limit: {limit} is out of range; use 0 to {MAX_PAGE}")));
    }
    Ok((limit, after))
}
