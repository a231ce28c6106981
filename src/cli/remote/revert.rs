//! `serin revert`: undo a recent promotion while it is monitored.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::client::ServerArgs;
use super::status;

/// The flags of `serin revert`.
#[derive(Args, Debug)]
pub struct RevertArgs {
    /// Reason, for the journal
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    server: ServerArgs,
}

/// Reverts and prints the outcome.
///
/// # Errors
/// When the server cannot be reached, or monitors no promotion.
pub fn run(args: &RevertArgs) -> anyhow::Result<ExitCode> {
    let body = json!({ "reason": args.reason });
    let reply = args.server.client().post("/admin/revert", &body)?;
    status::print_outcome(reply, &args.server)
}
