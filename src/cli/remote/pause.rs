//! `serin pause` and `serin resume`: put the rollout on hold, and let it go on.

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

/// Posts to this route and prints the status.
///
/// # Errors
/// When the server cannot be asked, or has no canary.
pub fn run(args: &PauseArgs, route: &str) -> anyhow::Result<ExitCode> {
    let status = args.server.client().post(&format!("/admin/{route}"), &json!({}))?.done()?;
    status::print(&status, args.server.json);
    Ok(ExitCode::SUCCESS)
}
