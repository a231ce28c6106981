//! Everything under `/admin`: each request becomes a command or a question to the service.
//!
//! The service may wait for the disk, so it is asked on a thread that drives no connections.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web;
use actix_web::web::Data;
use actix_web::web::Payload;
use serde::Deserialize;
use serde::Serialize;

use crate::canary::Weight;
use crate::canary::policy::Mode;
use crate::canary::policy::metric_overrides::GivenJudgePolicy;
use crate::canary::policy::plan_overrides::GivenPlan;
use crate::canary::policy::plan_overrides::GivenStep;
use crate::canary::policy::post_promotion_overrides::PostPromotionOverride;
use crate::http::Shared;
use crate::http::answer::blocking;
use crate::http::answer::json;
use crate::http::answer::respond;
use crate::http::problem::Problem;
use crate::http::reading::body;
use crate::http::reading::body::ContentType;
use crate::http::reading::body::Nothing;
use crate::service::Command;
use crate::service::CommandError;
use crate::service::Deployment;
use crate::service::Service;
use crate::service::status::Status;
use crate::service::status::history::History;
use crate::text::durations::parsed_duration;

/// The body of `deploy-canary`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Deploy {
    model_path: String,
    traffic_percent: Option<f64>,
    shadow_percent: Option<f64>,
    bake: Option<String>,
    mode: Option<Mode>,
    /// What the rollout does by itself otherwise than the configuration says.
    #[serde(default)]
    plan: GivenPlan,
    /// The same as `plan.steps`.
    steps: Option<Vec<GivenStep>>,
    /// What is judged otherwise than the configuration says.
    #[serde(default)]
    policy: GivenJudgePolicy,
    /// What happens after the promotion otherwise than the configuration says.
    #[serde(default)]
    post_promotion: PostPromotionOverride,
    reason: Option<String>,
    #[serde(default)]
    override_quarantine: bool,
}

/// The body of `toggle-slowdown`; without one, the slowdown flips.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Slowdown {
    enabled: Option<bool>,
    delay_ms: Option<u32>,
}

/// The answer of `toggle-slowdown`.
#[derive(Serialize)]
struct SlowdownAnswer {
    simulate_slowdown: bool,
    delay_ms: u32,
}

/// The body of `promote-canary`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Promote {
    #[serde(default)]
    force: bool,
    reason: Option<String>,
}

/// The body of `rollback-canary`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RollBack {
    reason: Option<String>,
    #[serde(default)]
    quarantine: bool,
}

/// The body of `revert`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Revert {
    reason: Option<String>,
}

/// The body of `set-traffic`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Traffic {
    percent: f64,
    /// Left out, none.
    shadow_percent: Option<f64>,
}

/// The query of `history`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    limit: Option<usize>,
    after: Option<u64>,
}

const DEFAULT_PAGE: usize = 100;
const MAX_PAGE: usize = 1000;

/// `POST /admin/deploy-canary`
pub async fn deploy(request: HttpRequest, payload: Payload, shared: Data<Shared>) -> HttpResponse {
    let parse = |bytes: &[u8]| {
        if bytes.is_empty() {
            return Err(Problem::empty_body(r#"{"model_path": "models/model_v2.bin"}"#));
        }
        let body: Deploy = body::parse(bytes)?;
        let mut plan = body.plan;
        if body.steps.is_some() {
            plan.steps = body.steps;
        }
        let bake = body.bake.as_deref().map(|bake| parsed_duration("bake", bake)).transpose()?;
        Ok(Deployment {
            model_path: body.model_path,
            weight: share("traffic_percent", body.traffic_percent)?,
            shadow: share("shadow_percent", body.shadow_percent)?,
            bake,
            mode: body.mode,
            plan,
            judge: body.policy,
            post_promotion: body.post_promotion,
            reason: body.reason,
            override_quarantine: body.override_quarantine,
        })
    };
    let outcome = carried_out(&request, payload, shared, parse, Service::deploy).await;
    respond(&request, outcome.and_then(|status| json(&status, Some(status.revision))))
}

/// `POST /admin/promote-canary`
pub async fn promote(request: HttpRequest, payload: Payload, shared: Data<Shared>) -> HttpResponse {
    command(request, payload, shared, |bytes| {
        let Promote { force, reason } = body::parse_or_default(bytes)?;
        Ok(Command::Promote { force, reason })
    })
    .await
}

/// `POST /admin/rollback-canary`
pub async fn rollback(
    request: HttpRequest,
    payload: Payload,
    shared: Data<Shared>,
) -> HttpResponse {
    command(request, payload, shared, |bytes| {
        let RollBack { reason, quarantine } = body::parse_or_default(bytes)?;
        Ok(Command::RollBack { reason, quarantine })
    })
    .await
}

/// `POST /admin/revert`
pub async fn revert(request: HttpRequest, payload: Payload, shared: Data<Shared>) -> HttpResponse {
    command(request, payload, shared, |bytes| {
        let Revert { reason } = body::parse_or_default(bytes)?;
        Ok(Command::Revert { reason })
    })
    .await
}

/// `POST /admin/pause-canary`
pub async fn pause(request: HttpRequest, payload: Payload, shared: Data<Shared>) -> HttpResponse {
    command(request, payload, shared, |bytes| {
        body::parse_or_default(bytes).map(|Nothing {}| Command::Pause)
    })
    .await
}

/// `POST /admin/resume-canary`
pub async fn resume(request: HttpRequest, payload: Payload, shared: Data<Shared>) -> HttpResponse {
    command(request, payload, shared, |bytes| {
        body::parse_or_default(bytes).map(|Nothing {}| Command::Resume)
    })
    .await
}

/// `POST /admin/set-traffic`
pub async fn set_traffic(
    request: HttpRequest,
    payload: Payload,
    shared: Data<Shared>,
) -> HttpResponse {
    command(request, payload, shared, |bytes| {
        if bytes.is_empty() {
            return Err(Problem::empty_body(r#"{"percent": 25}"#));
        }
        let body: Traffic = body::parse(bytes)?;
        let weight = share("percent", Some(body.percent))?.unwrap_or_default();
        let shadow = share("shadow_percent", body.shadow_percent)?.unwrap_or_default();
        Ok(Command::SetTraffic { weight, shadow })
    })
    .await
}

/// `POST /admin/toggle-slowdown`
pub async fn slowdown(
    request: HttpRequest,
    payload: Payload,
    shared: Data<Shared>,
) -> HttpResponse {
    let parse = |bytes: &[u8]| {
        let Slowdown { enabled, delay_ms } = body::parse_or_default(bytes)?;
        Ok(Command::SetSlowdown { enabled, delay_ms })
    };
    let outcome =
        carried_out(&request, payload, shared, parse, Service::command).await.and_then(|status| {
            let answer = SlowdownAnswer {
                simulate_slowdown: status.simulate_slowdown,
                delay_ms: status.delay_ms,
            };
            json(&answer, Some(status.revision))
        });
    respond(&request, outcome)
}

/// `GET /admin/check-canary-health`
pub async fn health(request: HttpRequest, shared: Data<Shared>) -> HttpResponse {
    ask(request, shared, |service| Ok(service.health()?), |_| None).await
}

/// `GET /admin/status`
pub async fn status(request: HttpRequest, shared: Data<Shared>) -> HttpResponse {
    ask(request, shared, |service| Ok(service.status()), |status| Some(status.revision)).await
}

/// `GET /admin/models`
pub async fn models(request: HttpRequest, shared: Data<Shared>) -> HttpResponse {
    ask(
        request,
        shared,
        |service| Ok(serde_json::json!({ "models": service.registry().list() })),
        |_| None,
    )
    .await
}

/// `GET /admin/history?limit=&after=`
pub async fn history(request: HttpRequest, shared: Data<Shared>) -> HttpResponse {
    let page = web::Query::<Page>::from_query(request.query_string());
    let (limit, after) = match page {
        Ok(page) => (page.limit.unwrap_or(DEFAULT_PAGE), page.after),
        Err(cause) => {
            return Problem::query(format!("{cause}; limit and after are whole numbers"))
                .response(request.path());
        }
    };
    if limit > MAX_PAGE {
        return Problem::query(format!("limit = {limit} is out of range; give 0 to {MAX_PAGE}"))
            .response(request.path());
    }
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

fn share(field: &str, percent: Option<f64>) -> Result<Option<Weight>, Problem> {
    let weight = percent.map(Weight::from_percent).transpose();
    weight.map_err(|cause| Problem::field(format!("{field} = {cause}")))
}

/// Parses a command, carries it out, and answers with the new status.
pub(crate) async fn command(
    request: HttpRequest,
    payload: Payload,
    shared: Data<Shared>,
    parse: impl FnOnce(&[u8]) -> Result<Command, Problem>,
) -> HttpResponse {
    let outcome = carried_out(&request, payload, shared, parse, Service::command).await;
    respond(&request, outcome.and_then(|status| json(&status, Some(status.revision))))
}

async fn carried_out<T: Send + 'static>(
    request: &HttpRequest,
    payload: Payload,
    shared: Data<Shared>,
    parse: impl FnOnce(&[u8]) -> Result<T, Problem>,
    act: fn(&Service, T, Option<u64>) -> Result<Status, CommandError>,
) -> Result<Status, Problem> {
    let if_revision = if_match(request)?;
    let bytes = body::read(request, payload, ContentType::Required, &shared.settings).await?;
    let order = parse(&bytes)?;
    let service = shared.service.clone();
    blocking(move || Ok(act(&service, order, if_revision)?)).await
}

/// Asks the service something that changes nothing.
pub(crate) async fn ask<T: Serialize + Send + 'static>(
    request: HttpRequest,
    shared: Data<Shared>,
    question: impl FnOnce(&Service) -> Result<T, Problem> + Send + 'static,
    revision: impl FnOnce(&T) -> Option<u64>,
) -> HttpResponse {
    let service: Arc<Service> = shared.service.clone();
    let outcome = blocking(move || question(&service)).await;
    respond(&request, outcome.and_then(|answer| json(&answer, revision(&answer))))
}

fn if_match(request: &HttpRequest) -> Result<Option<u64>, Problem> {
    let Some(value) = request.headers().get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or("?");
    if text == "*" {
        return Ok(None);
    }
    let quoted = text.strip_prefix("W/").unwrap_or(text);
    let digits = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(quoted);
    let revision = if digits.bytes().all(|b| b.is_ascii_digit()) { digits } else { "" }.parse();
    revision.map(Some).map_err(|_| Problem::if_match(text))
}
