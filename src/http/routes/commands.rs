//! Commands under `/admin`: each body becomes a command, and the answer is what it led to.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header;
use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;
use utoipa::ToSchema;

use crate::canary::Weight;
use crate::canary::policy::Mode;
use crate::canary::policy::fault::InjectionFields;
use crate::canary::policy::metric_overrides::JudgePolicyOverride;
use crate::canary::policy::plan::Plan;
use crate::canary::policy::plan::PlannedStep;
use crate::canary::policy::post_promotion::PostPromotionPolicy;
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

/// The header of commands.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only describes the header")]
struct IfMatch {
    /// The revision (`ETag`) that the command is meant for. If the state has changed since, it is refused with 412.
    #[param(rename = "If-Match", pattern = r#"^(\*|[0-9]{1,18}|"[0-9]{1,18}")$"#)]
    if_match: Option<String>,
}

/// The body of `promote-canary`.
#[derive(Deserialize, ToSchema)]
#[schema(as = PromoteBody)]
#[serde(deny_unknown_fields)]
struct Promote {
    #[serde(default)]
    force: bool,
    /// One line of text, for the journal.
    #[schema(
        max_length = 1000,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]*$"
    )]
    reason: Option<String>,
}

/// Makes the canary stable.
///
/// Refused while the evidence does not pass, unless it is forced with a reason.
#[utoipa::path(
    post,
    path = "/admin/promote-canary",
    tag = "rollout",
    operation_id = "promote_canary",
    params(IfMatch),
    request_body = Option<Promote>,
    responses((status = 200, description = "What the command led to", body = Effect, headers(("ETag" = String, description = "The revision, for `If-Match`")))),
)]
pub async fn promote(call: Call) -> Answer {
    let Promote { force, reason } = order(&call, None)?;
    command(&call, Command::Promote { force, reason }).await
}

/// The body of `rollback-canary`.
#[derive(Deserialize, ToSchema)]
#[schema(as = RollBackBody)]
#[serde(deny_unknown_fields)]
struct RollBack {
    /// One line of text, for the journal.
    #[schema(
        max_length = 1000,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]*$"
    )]
    reason: Option<String>,
    #[serde(default)]
    quarantine: bool,
}

/// Takes the canary out of the traffic.
#[utoipa::path(
    post,
    path = "/admin/rollback-canary",
    tag = "rollout",
    operation_id = "rollback_canary",
    params(IfMatch),
    request_body = Option<RollBack>,
    responses((status = 200, description = "What the command led to", body = Effect, headers(("ETag" = String, description = "The revision, for `If-Match`")))),
)]
pub async fn roll_back(call: Call) -> Answer {
    let RollBack { reason, quarantine } = order(&call, None)?;
    command(&call, Command::RollBack { reason, quarantine }).await
}

/// The body of `revert`.
#[derive(Deserialize, ToSchema)]
#[schema(as = RevertBody)]
#[serde(deny_unknown_fields)]
struct Revert {
    /// One line of text, for the journal.
    #[schema(
        max_length = 1000,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]*$"
    )]
    reason: Option<String>,
}

/// Makes the version stable again that the newest promotion replaced.
#[utoipa::path(
    post,
    path = "/admin/revert",
    tag = "rollout",
    operation_id = "revert",
    params(IfMatch),
    request_body = Option<Revert>,
    responses((status = 200, description = "What the command led to", body = Effect, headers(("ETag" = String, description = "The revision, for `If-Match`")))),
)]
pub async fn revert(call: Call) -> Answer {
    let Revert { reason } = order(&call, None)?;
    command(&call, Command::Revert { reason }).await
}

/// Keeps the rollout at its step.
#[utoipa::path(
    post,
    path = "/admin/pause-canary",
    tag = "rollout",
    operation_id = "pause_canary",
    params(IfMatch),
    request_body = Option<Nothing>,
    responses((status = 200, description = "What the command led to", body = Effect, headers(("ETag" = String, description = "The revision, for `If-Match`")))),
)]
pub async fn pause(call: Call) -> Answer {
    let Nothing {} = order(&call, None)?;
    command(&call, Command::Pause).await
}

/// Lets a paused rollout go on, or approves the promotion that waits for it.
#[utoipa::path(
    post,
    path = "/admin/resume-canary",
    tag = "rollout",
    operation_id = "resume_canary",
    params(IfMatch),
    request_body = Option<Nothing>,
    responses((status = 200, description = "What the command led to", body = Effect, headers(("ETag" = String, description = "The revision, for `If-Match`")))),
)]
pub async fn resume(call: Call) -> Answer {
    let Nothing {} = order(&call, None)?;
    command(&call, Command::Resume).await
}

/// The body of `set-traffic`.
#[derive(Deserialize, ToSchema)]
#[schema(as = SetTrafficBody)]
#[serde(deny_unknown_fields)]
struct SetTraffic {
    /// The canary's share of traffic.
    #[schema(minimum = 0, maximum = 100, multiple_of = 0.01, examples(25))]
    percent: f64,
    /// The share of stable's requests that it answers in shadow; 0 by default.
    #[schema(minimum = 0, maximum = 100, multiple_of = 0.01)]
    shadow_percent: Option<f64>,
}

/// Sets the canary's share of traffic.
#[utoipa::path(
    post,
    path = "/admin/set-traffic",
    tag = "rollout",
    operation_id = "set_traffic",
    params(IfMatch),
    request_body = SetTraffic,
    responses((status = 200, description = "What the command led to", body = Effect, headers(("ETag" = String, description = "The revision, for `If-Match`")))),
)]
pub async fn set_traffic(call: Call) -> Answer {
    let body: SetTraffic = order(&call, Some(r#"{"percent": 25}"#))?;
    let weight = share("percent", Some(body.percent))?.unwrap_or_default();
    let shadow = share("shadow_percent", body.shadow_percent)?.unwrap_or_default();
    command(&call, Command::SetTraffic { weight, shadow }).await
}

/// The body of `inject`. It replaces the faults of an earlier request.
#[derive(Deserialize, ToSchema)]
#[schema(as = InjectBody)]
#[serde(deny_unknown_fields)]
struct Inject {
    /// Delay of the canary's predictions, in milliseconds.
    #[schema(maximum = 60000)]
    delay_ms: Option<u32>,
    /// Share of the canary's requests that fail.
    #[schema(minimum = 0, maximum = 1)]
    error_rate: Option<f64>,
    /// Added to the canary's probabilities.
    #[schema(minimum = -1, maximum = 1)]
    score_shift: Option<f64>,
    /// Only requests in all of these segments are affected.
    #[serde(default)]
    segment: BTreeMap<String, String>,
    /// The same as an empty body.
    off: Option<bool>,
}

/// Injects faults into the canary, in place of those of an earlier request. An empty body ends them.
#[utoipa::path(
    post,
    path = "/admin/inject",
    tag = "rollout",
    operation_id = "inject",
    params(IfMatch),
    request_body = Option<Inject>,
    responses((status = 200, description = "What the command led to", body = Effect, headers(("ETag" = String, description = "The revision, for `If-Match`")))),
)]
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
#[derive(Deserialize, ToSchema)]
#[schema(as = SlowdownBody)]
#[serde(deny_unknown_fields)]
struct Slowdown {
    /// Flips it if left out.
    enabled: Option<bool>,
    /// The delay of the canary's predictions, in milliseconds.
    #[schema(maximum = 60000)]
    delay_ms: Option<u32>,
}

/// The answer of `toggle-slowdown`.
#[derive(Serialize, ToSchema)]
struct SlowdownAnswer {
    simulate_slowdown: bool,
    delay_ms: u32,
}

/// Turns the slowdown of the canary on or off.
#[utoipa::path(
    post,
    path = "/admin/toggle-slowdown",
    tag = "rollout",
    operation_id = "toggle_slowdown",
    params(IfMatch),
    request_body = Option<Slowdown>,
    responses((status = 200, description = "Whether the canary is slowed down", body = SlowdownAnswer, headers(("ETag" = String, description = "The revision, for `If-Match`")))),
)]
pub async fn toggle_slowdown(call: Call) -> Answer {
    let Slowdown { enabled, delay_ms } = order(&call, None)?;
    let command = Command::SetSlowdown { enabled, delay_ms };
    let status = run(&call, command, Service::command).await?;
    let (simulate_slowdown, delay_ms) = (status.simulate_slowdown, status.delay_ms);
    json_at(status.revision, &SlowdownAnswer { simulate_slowdown, delay_ms })
}

/// The body of `deploy-canary`. Every field but the path overrides the configuration.
#[derive(Deserialize, ToSchema)]
#[schema(as = DeployBody)]
#[serde(deny_unknown_fields)]
struct Deploy {
    /// A file of the models folder.
    #[schema(examples("models/model_v2.bin"))]
    model_path: String,
    /// The canary's share of traffic.
    #[schema(minimum = 0, maximum = 100, examples(10))]
    traffic_percent: Option<f64>,
    /// The share of stable's requests that the canary answers in shadow.
    #[schema(minimum = 0, maximum = 100, examples(0))]
    shadow_percent: Option<f64>,
    /// How long it is observed before a promotion is accepted.
    #[serde(default, with = "OptionalDurationWithin::<0, MONTH>")]
    #[schema(value_type = Option<String>, examples("10m"))]
    bake: Option<Duration>,
    mode: Option<Mode>,
    /// Changes to the plan.
    #[serde(default)]
    #[schema(value_type = Plan)]
    plan: Changes,
    /// The same as `plan.steps`.
    #[schema(value_type = Option<Vec<PlannedStep>>)]
    steps: Option<serde_json::Value>,
    /// Changes to the policy of the judge.
    #[serde(default)]
    policy: JudgePolicyOverride,
    /// Changes to what happens after a promotion.
    #[serde(default)]
    #[schema(value_type = PostPromotionPolicy)]
    post_promotion: Changes,
    /// One line of text, for the journal.
    #[schema(
        max_length = 1000,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]*$"
    )]
    reason: Option<String>,
    #[serde(default)]
    override_quarantine: bool,
}

const DEPLOY_EXAMPLE: &str = r#"{"model_path": "models/model_v2.bin"}"#;

/// Deploys a model of the models folder as the canary.
#[utoipa::path(
    post,
    path = "/admin/deploy-canary",
    tag = "rollout",
    operation_id = "deploy_canary",
    params(IfMatch),
    request_body = Deploy,
    responses((status = 200, description = "What the command led to", body = Effect, headers(("ETag" = String, description = "The revision, for `If-Match`")))),
)]
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
