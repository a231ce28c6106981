//! Commands under `/admin`: each body becomes a command, and the answer is what it led to.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header;
use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::canary::Weight;
use crate::canary::policy::Mode;
use crate::canary::policy::fault::InjectionFields;
use crate::canary::policy::metric_overrides::JudgePolicyOverride;
use crate::http::answer::Answer;
use crate::http::answer::Call;
use crate::http::answer::json_at;
use crate::http::problem::Kind;
use crate::http::problem::Problem;
use crate::http::reading::body;
use crate::http::reading::body::Nothing;
use crate::service::Command;
use crate::service::CommandError;
use crate::service::Deployment;
use crate::service::Service;
use crate::service::status::Status;
use crate::service::status::report::Effect;
use crate::text::fields::Changes;
use crate::text::ranges::MONTH;
use crate::text::ranges::OptionalDurationWithin;

/// The body of `promote-canary`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Promote {
    #[serde(default)]
    force: bool,
    reason: Option<String>,
}

/// `POST /admin/promote-canary`
pub async fn promote(call: Call) -> Answer {
    let Promote { force, reason } = order(&call, None)?;
    command(&call, Command::Promote { force, reason }).await
}

/// The body of `rollback-canary`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RollBack {
    reason: Option<String>,
    #[serde(default)]
    quarantine: bool,
}

/// `POST /admin/rollback-canary`
pub async fn roll_back(call: Call) -> Answer {
    let RollBack { reason, quarantine } = order(&call, None)?;
    command(&call, Command::RollBack { reason, quarantine }).await
}

/// The body of `revert`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revert {
    reason: Option<String>,
}

/// `POST /admin/revert`
pub async fn revert(call: Call) -> Answer {
    let Revert { reason } = order(&call, None)?;
    command(&call, Command::Revert { reason }).await
}

/// `POST /admin/pause-canary`
pub async fn pause(call: Call) -> Answer {
    let Nothing {} = order(&call, None)?;
    command(&call, Command::Pause).await
}

/// `POST /admin/resume-canary`
pub async fn resume(call: Call) -> Answer {
    let Nothing {} = order(&call, None)?;
    command(&call, Command::Resume).await
}

/// The body of `set-traffic`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetTraffic {
    percent: f64,
    /// 0 by default.
    shadow_percent: Option<f64>,
}

/// `POST /admin/set-traffic`
pub async fn set_traffic(call: Call) -> Answer {
    let body: SetTraffic = order(&call, Some(r#"{"percent": 25}"#))?;
    let weight = share("percent", Some(body.percent))?.unwrap_or_default();
    let shadow = share("shadow_percent", body.shadow_percent)?.unwrap_or_default();
    command(&call, Command::SetTraffic { weight, shadow }).await
}

/// The body of `inject`. It replaces the faults of an earlier request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Inject {
    delay_ms: Option<u32>,
    error_rate: Option<f64>,
    score_shift: Option<f64>,
    #[serde(default)]
    segment: BTreeMap<String, String>,
    /// The same as an empty body.
    off: Option<bool>,
}

/// `POST /admin/inject`
pub async fn inject(call: Call) -> Answer {
    let Inject { delay_ms, error_rate, score_shift, segment, off } = order(&call, None)?;
    let given = InjectionFields { delay_ms, error_rate, score_shift, segment };
    match off {
        Some(false) => Err(Problem::field("off: false has no effect; omit it")),
        Some(true) if given != InjectionFields::default() => {
            Err(Problem::field("off: true excludes every fault; send one or the other"))
        }
        Some(true) | None => command(&call, Command::Inject(given)).await,
    }
}

/// The body of `toggle-slowdown`; without one, the slowdown flips.
#[derive(Deserialize)]
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

/// `POST /admin/toggle-slowdown`
pub async fn toggle_slowdown(call: Call) -> Answer {
    let Slowdown { enabled, delay_ms } = order(&call, None)?;
    let command = Command::SetSlowdown { enabled, delay_ms };
    let status = run(&call, command, Service::command).await?;
    let (simulate_slowdown, delay_ms) = (status.simulate_slowdown, status.delay_ms);
    json_at(status.revision, &SlowdownAnswer { simulate_slowdown, delay_ms })
}

/// The body of `deploy-canary`. Every field but the path overrides the configuration.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Deploy {
    model_path: String,
    traffic_percent: Option<f64>,
    shadow_percent: Option<f64>,
    #[serde(default, with = "OptionalDurationWithin::<0, MONTH>")]
    bake: Option<Duration>,
    mode: Option<Mode>,
    #[serde(default)]
    plan: Changes,
    /// The same as `plan.steps`.
    steps: Option<serde_json::Value>,
    #[serde(default)]
    policy: JudgePolicyOverride,
    #[serde(default)]
    post_promotion: Changes,
    reason: Option<String>,
    #[serde(default)]
    override_quarantine: bool,
}

const DEPLOY_EXAMPLE: &str = r#"{"model_path": "models/model_v2.bin"}"#;

/// `POST /admin/deploy-canary`
pub async fn deploy(call: Call) -> Answer {
    let deployment = deployment(order(&call, Some(DEPLOY_EXAMPLE))?)?;
    let status = run(&call, deployment, Service::deploy).await?;
    json_at(status.revision, &Effect::of_deployment(&status))
}

fn deployment(body: Deploy) -> Result<Deployment, Problem> {
    let mut plan = body.plan;
    if let Some(steps) = body.steps {
        plan.insert("steps".to_owned(), steps);
    }
    Ok(Deployment {
        model_path: body.model_path,
        weight: share("traffic_percent", body.traffic_percent)?,
        shadow: share("shadow_percent", body.shadow_percent)?,
        bake: body.bake,
        mode: body.mode,
        plan,
        judge: body.policy,
        post_promotion: body.post_promotion,
        reason: body.reason,
        override_quarantine: body.override_quarantine,
    })
}

fn share(field: &str, percent: Option<f64>) -> Result<Option<Weight>, Problem> {
    let weight = percent.map(Weight::from_percent).transpose();
    weight.map_err(|cause| Problem::field(format_args!("{field}: {cause}")))
}

/// The order in the body; without an example an empty body means `{}`.
fn order<T: DeserializeOwned>(call: &Call, example: Option<&str>) -> Result<T, Problem> {
    match example {
        Some(example) => body::parse(&call.body, example),
        None => body::parse_or_default(&call.body),
    }
}

/// Runs a command; the answer is what it led to.
async fn command(call: &Call, command: Command) -> Answer {
    let status = run(call, command, Service::command).await?;
    json_at(status.revision, &Effect::of(&status))
}

/// Carries out an order if the revision is the one that the client expects.
async fn run<T: Send + 'static>(
    call: &Call,
    order: T,
    act: fn(&Service, T, Option<u64>) -> Result<Status, CommandError>,
) -> Result<Status, Problem> {
    let if_revision = if_match(&call.request)?;
    call.ask(move |service| act(service, order, if_revision)).await
}

/// The revision in `If-Match`, as an entity tag or a bare number.
fn if_match(request: &HttpRequest) -> Result<Option<u64>, Problem> {
    let Some(value) = request.headers().get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or("?");
    if text == "*" {
        return Ok(None);
    }
    let quoted = text.strip_prefix("W/").unwrap_or(text);
    let digits = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(quoted);
    let revision = if digits.bytes().all(|b| b.is_ascii_digit()) { digits } else { "" }.parse();
    revision.map(Some).map_err(|_| {
        let detail = format!("If-Match: {text:?} is not a revision; use the ETag of /admin/status");
        Problem::new(Kind::InvalidIfMatch, detail)
    })
}
