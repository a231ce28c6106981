//! `serin check`: judge the canary, with an exit code that can gate a pipeline.

use std::process::ExitCode;

use clap::Args;

use super::FAIL;
use super::INCONCLUSIVE;
use super::client::ServerArgs;
use super::show;

/// The flags of `serin check`.
#[derive(Args, Debug)]
pub struct CheckArgs {
    #[command(flatten)]
    server: ServerArgs,
}

/// Prints the health check; exit code 0 for ok, 1 for an alert or harm found at any time, 3 for too
/// little data.
///
/// # Errors
/// When the server cannot be asked, or has no canary.
pub fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let health = args.server.client().get("/admin/check-canary-health")?.done()?;
    if args.server.json {
        anstream::println!("{}", show::json(&health));
    } else {
        let harmful = health["always_valid"]["verdict"] == "rollback";
        let word = if harmful { "alert".into() } else { show::text(&health["status"]) };
        anstream::println!("{}", show::health_word(&word));
        for sentence in show::text(&health["message"]).split("; ") {
            anstream::println!("{}", show::wrapped(sentence, "  "));
        }
        for line in show::watch(&health, "  ") {
            anstream::println!("{line}");
        }
        for line in show::tracks(&health["stable"], Some(&health["canary"])) {
            anstream::println!("{line}");
        }
    }
    if health["always_valid"]["verdict"] == "rollback" {
        return Ok(ExitCode::from(FAIL));
    }
    Ok(match &*show::text(&health["status"]) {
        "ok" => ExitCode::SUCCESS,
        "alert" => ExitCode::from(FAIL),
        _ => ExitCode::from(INCONCLUSIVE),
    })
}
