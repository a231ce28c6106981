//! `serin promote`: make the canary stable.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::client::ServerArgs;
use super::status;
use crate::cli::exit::FAIL;
use crate::cli::exit::INCONCLUSIVE;

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

/// Promotes and prints the outcome; exit code 1 if the canary does not pass or is paused, 3 if there is
/// too little evidence.
///
/// # Errors
/// When the server cannot be reached.
pub fn run(args: &PromoteArgs) -> anyhow::Result<ExitCode> {
    let body = json!({ "force": args.force, "reason": args.reason });
    let reply = args.server.client().post("/admin/promote-canary", &body)?;
    let refused = match &*reply.problem().code {
        "not_passing" | "paused" => Some(FAIL),
        "insufficient_data" => Some(INCONCLUSIVE),
        _ => None,
    };
    if let Some(code) = refused {
        anstream::eprintln!("serin: not promoted: {}", reply.problem().detail);
        return Ok(ExitCode::from(code));
    }
    status::print_outcome(reply, &args.server)
}
