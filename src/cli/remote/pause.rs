//! `serin pause` and `serin resume`: put the rollout on hold, and continue it.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::client::ServerArgs;
use super::status;

/// The flags of `serin pause` and `serin resume`.
#[derive(Args, Debug)]
pub struct PauseArgs {
    #[command(flatten)]
    server: ServerArgs,
}

/// Posts to this route and prints the outcome.
///
/// # Errors
/// When the server cannot be reached, or has no canary.
pub fn run(args: &PauseArgs, route: &str) -> anyhow::Result<ExitCode> {
    let reply = args.server.client().post(&format!("/admin/{route}"), &json!({}))?;
    status::print_outcome(reply, &args.server)
}
