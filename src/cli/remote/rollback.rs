//! `serin rollback`: take the canary back.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::client::ServerArgs;
use super::status;

/// The flags of `serin rollback`.
#[derive(Args, Debug)]
pub struct RollbackArgs {
    /// Why, for the journal
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Let this artifact come back only by override
    #[arg(long)]
    quarantine: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Rolls back and prints the status. Without a canary there is nothing to do, and that is fine.
///
/// # Errors
/// When the server cannot be asked, or refuses.
pub fn run(args: &RollbackArgs) -> anyhow::Result<ExitCode> {
    let body = json!({ "reason": args.reason, "quarantine": args.quarantine });
    let status = args.server.client().post("/admin/rollback-canary", &body)?.done()?;
    status::print(&status, args.server.json);
    Ok(ExitCode::SUCCESS)
}
