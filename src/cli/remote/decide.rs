//! `serin promote`, `rollback`, `revert`, `pause` and `resume`: what a person decides about a rollout.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;
use serde_json::json;

use super::client::ServerArgs;
use super::status;
use crate::cli::exit::FAIL;
use crate::cli::exit::INCONCLUSIVE;
use crate::cli::show;

/// The flags of `serin promote`.
#[derive(Args, Debug)]
pub struct PromoteArgs {
    /// Promote even if the judgement does not pass; needs --reason
    #[arg(long, requires = "reason")]
    force: bool,
    /// Reason, for the journal
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
}

/// The flags of `serin rollback`.
#[derive(Args, Debug)]
pub struct RollbackArgs {
    /// Reason, for the journal
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Quarantine the artifact: it can be deployed again only by override
    #[arg(long)]
    quarantine: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// The flags of `serin revert`.
#[derive(Args, Debug)]
pub struct RevertArgs {
    /// Reason, for the journal
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
}

/// The flags of `serin pause` and `serin resume`.
#[derive(Args, Debug)]
pub struct PauseArgs {
    #[command(flatten)]
    server: ServerArgs,
}

/// Promotes; exit code 1 if the canary does not pass or is paused, 3 if there is too little evidence.
///
/// # Errors
/// When the server cannot be reached, or has no canary.
pub fn promote(args: &PromoteArgs) -> anyhow::Result<ExitCode> {
    let body = json!({ "force": args.force, "reason": args.reason });
    let reply = args.server.client().post("/admin/promote-canary", &body)?;
    let refused = match &*reply.problem().code {
        "not_passing" | "paused" => Some(FAIL),
        "insufficient_data" => Some(INCONCLUSIVE),
        _ => None,
    };
    if let Some(code) = refused {
        show::error(&format!("not promoted: {}", reply.refusal()));
        return Ok(ExitCode::from(code));
    }
    status::print_effect(reply, &args.server)
}

/// Rolls back; without a canary there is nothing to do.
///
/// # Errors
/// When the server cannot be reached, or refuses.
pub fn roll_back(args: &RollbackArgs) -> anyhow::Result<ExitCode> {
    let body = json!({ "reason": args.reason, "quarantine": args.quarantine });
    post("rollback-canary", &body, &args.server)
}

/// Reverts the newest promotion.
///
/// # Errors
/// When the server cannot be reached, or monitors no promotion.
pub fn revert(args: &RevertArgs) -> anyhow::Result<ExitCode> {
    post("revert", &json!({ "reason": args.reason }), &args.server)
}

/// Pauses the rollout.
///
/// # Errors
/// When the server cannot be reached, or has no canary.
pub fn pause(args: &PauseArgs) -> anyhow::Result<ExitCode> {
    post("pause-canary", &json!({}), &args.server)
}

/// Resumes the rollout.
///
/// # Errors
/// When the server cannot be reached, or has no canary.
pub fn resume(args: &PauseArgs) -> anyhow::Result<ExitCode> {
    post("resume-canary", &json!({}), &args.server)
}

fn post(route: &str, body: &Value, server: &ServerArgs) -> anyhow::Result<ExitCode> {
    status::print_effect(server.client().post(&format!("/admin/{route}"), body)?, server)
}
