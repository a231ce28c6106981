//! `serin revert`: make the version before a promotion stable again.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::client::ServerArgs;
use super::status;

/// The flags of `serin revert`.
#[derive(Args, Debug)]
pub struct RevertArgs {
    /// Why, for the journal
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    server: ServerArgs,
}

/// Reverts and prints the status.
///
/// # Errors
/// When the server cannot be asked, or watches over no promotion.
pub fn run(args: &RevertArgs) -> anyhow::Result<ExitCode> {
    let body = json!({ "reason": args.reason });
    let status = args.server.client().post("/admin/revert", &body)?.done()?;
    status::print(&status, args.server.json);
    Ok(ExitCode::SUCCESS)
}
