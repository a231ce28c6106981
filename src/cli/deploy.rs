//! `serin deploy`: put a model on trial.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::client::ServerArgs;
use super::status;

/// The flags of `serin deploy`.
#[derive(Args, Debug)]
pub struct DeployArgs {
    /// Model file in the server's models folder
    model: String,
    /// Share of traffic, in percent
    #[arg(long, value_name = "PERCENT")]
    traffic: Option<f64>,
    /// Minimum time of each step, like 30m
    #[arg(long, value_name = "DURATION")]
    bake: Option<String>,
    /// Why, for the journal
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Deploy it although it is in quarantine; needs --reason
    #[arg(long, requires = "reason")]
    override_quarantine: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Deploys and prints the status.
///
/// # Errors
/// When the server cannot be asked, or refuses.
pub fn run(args: &DeployArgs) -> anyhow::Result<ExitCode> {
    let body = json!({
        "model_path": args.model,
        "traffic_percent": args.traffic,
        "bake": args.bake,
        "reason": args.reason,
        "override_quarantine": args.override_quarantine,
    });
    let status = args.server.client().post("/admin/deploy-canary", &body)?.done()?;
    status::print(&status, args.server.json);
    Ok(ExitCode::SUCCESS)
}
