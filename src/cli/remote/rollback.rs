//! `serin rollback`: roll the canary back.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::client::ServerArgs;
use super::status;

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

/// Rolls back and prints the outcome; without a canary there is nothing to do.
///
/// # Errors
/// When the server cannot be reached, or refuses.
pub fn run(args: &RollbackArgs) -> anyhow::Result<ExitCode> {
    let body = json!({ "reason": args.reason, "quarantine": args.quarantine });
    let reply = args.server.client().post("/admin/rollback-canary", &body)?;
    status::print_outcome(reply, &args.server)
}
