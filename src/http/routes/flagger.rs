//! `POST /hooks/flagger/...`: webhooks of Flagger.
//!
//! Flagger takes 200 for yes. It prints the body of any other answer, but of 429 and 5xx, which it may repeat. No hook
//! changes anything here. The token comes in the metadata of the hook, because Flagger sets no headers.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use super::verdict;
use crate::canary::Verdict;
use crate::http::access::log_refused;
use crate::http::answer::Answer;
use crate::http::answer::Call;
use crate::http::answer::text;
use crate::http::problem::Kind;
use crate::http::problem::Problem;
use crate::http::reading::body;
use crate::service::status::gate::GateVerdict;
use crate::text::lists::one_line;

/// What Flagger posts, whatever the type of the hook: it does not say which.
#[derive(Deserialize, ToSchema)]
#[schema(as = FlaggerHook)]
struct Hook<M> {
    name: String,
    namespace: String,
    #[serde(default)]
    phase: String,
    /// Left out if the hook has none.
    #[serde(default)]
    metadata: M,
}

/// The sender of a hook, whatever else is wrong with it.
#[derive(Deserialize)]
struct Sender {
    #[serde(default)]
    metadata: serde_json::Value,
}

impl Sender {
    /// The token in the metadata.
    fn token(&self) -> Option<&str> {
        self.metadata.get("token")?.as_str()
    }
}

/// The metadata of a gate.
#[derive(Default, Deserialize, ToSchema)]
#[schema(as = GateMetadata)]
#[serde(deny_unknown_fields)]
struct OfGate {
    #[serde(rename = "token")]
    _token: Option<String>,
    /// The version that is meant; without it, the running rollout's.
    version: Option<String>,
    /// What a gate answers until there is a verdict.
    #[serde(default)]
    hold: OnHold,
}

/// What a gate answers until there is a verdict.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum OnHold {
    Yes,
    #[default]
    No,
}

/// The metadata of a rollback.
#[derive(Default, Deserialize, ToSchema)]
#[schema(as = RollbackMetadata)]
#[serde(deny_unknown_fields)]
struct OfRollback {
    #[serde(rename = "token")]
    _token: Option<String>,
    version: Option<String>,
}

/// The metadata of an event. Flagger adds that of the hook to it.
#[derive(Default, Deserialize, ToSchema)]
#[schema(as = EventMetadata)]
struct OfEvent {
    #[serde(rename = "token")]
    _token: Option<String>,
    #[serde(default, rename = "eventMessage")]
    message: String,
    #[serde(default, rename = "eventType")]
    kind: String,
}

const EXAMPLE: &str = r#"{"name": "podinfo", "namespace": "test", "phase": "Progressing"}"#;

/// Webhook of Flagger: yes if the verdict is `promote`.
#[utoipa::path(
    post,
    path = "/hooks/flagger/gate",
    tag = "rollout",
    operation_id = "flagger_gate",
    request_body = Hook<OfGate>,
    responses((status = 200, description = "Yes", body = String, content_type = "text/plain")),
)]
pub async fn gate(call: Call) -> Answer {
    let hook: Hook<OfGate> = read(&call)?;
    let OfGate { version, hold, .. } = hook.metadata;
    let GateVerdict { verdict, reason, is_known, .. } = verdict::given(&call, version).await?;
    let is_open = match verdict {
        Verdict::Promote => true,
        // A misspelled version would keep the gate open for ever.
        Verdict::Hold => hold == OnHold::Yes && is_known,
        Verdict::Rollback => false,
    };
    answer(is_open, verdict, &reason)
}

/// Webhook of Flagger: yes, roll back, if the verdict is `rollback`.
#[utoipa::path(
    post,
    path = "/hooks/flagger/rollback",
    tag = "rollout",
    operation_id = "flagger_rollback",
    request_body = Hook<OfRollback>,
    responses((status = 200, description = "Yes, roll back", body = String, content_type = "text/plain")),
)]
pub async fn rollback(call: Call) -> Answer {
    let hook: Hook<OfRollback> = read(&call)?;
    let asked = verdict::given(&call, hook.metadata.version).await?;
    answer(asked.verdict == Verdict::Rollback, asked.verdict, &asked.reason)
}

/// Characters of an event that are logged.
const LOGGED: usize = 512;

/// Webhook of Flagger: logs what Flagger does.
#[utoipa::path(
    post,
    path = "/hooks/flagger/event",
    tag = "rollout",
    operation_id = "flagger_event",
    request_body = Hook<OfEvent>,
    responses((status = 200, description = "It is logged", body = String, content_type = "text/plain")),
)]
pub async fn event(call: Call) -> Answer {
    let hook: Hook<OfEvent> = read(&call)?;
    let logged = |text: &str| one_line(&text.chars().take(LOGGED).collect::<String>());
    let canary = logged(&format!("{}.{}", hook.name, hook.namespace));
    let (phase, message) = (logged(&hook.phase), logged(&hook.metadata.message));
    match hook.metadata.kind.as_str() {
        "Warning" => tracing::warn!(canary, phase, "Flagger says: {message}"),
        _ => tracing::info!(canary, phase, "Flagger says: {message}"),
    }
    text("logged\n")
}

/// The hook in the body, if its sender may ask. What is wrong with a hook is logged: Flagger takes any refusal of a
/// rollback for "no", so that a misspelled one would never roll back and never say why.
fn read<M: Default + DeserializeOwned>(call: &Call) -> Result<Hook<M>, Problem> {
    let hook = sender(call).and_then(|()| body::parse(&call.body, EXAMPLE));
    let now = call.shared.service.serving.clock.steady();
    hook.inspect_err(|problem| log_refused(now, &call.request, problem))
}

/// Checks the sender of a hook.
fn sender(call: &Call) -> Result<(), Problem> {
    let (settings, headers) = (&call.shared.settings, call.request.headers());
    let sender: Sender = body::parse(&call.body, EXAMPLE)?;
    let of_metrics = settings.metrics_token.as_ref();
    settings.access.check_gate(headers, sender.token(), of_metrics).map_err(|problem| match problem
        .kind()
    {
        Kind::Unauthorized => Problem::new(
            Kind::Unauthorized,
            "this server requires a token; send it as `token` in the metadata of the hook",
        ),
        _ => problem,
    })
}

fn answer(is_yes: bool, verdict: Verdict, reason: &str) -> Answer {
    let line = format!("{}: {reason}", verdict.word());
    match is_yes {
        true => text(one_line(&line) + "\n"),
        false => Err(Problem::new(Kind::GateClosed, line)),
    }
}
