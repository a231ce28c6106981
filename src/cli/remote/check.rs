//! `serin check`: judge the canary, with an exit code that can gate a pipeline.

use std::process::ExitCode;

use clap::Args;

use super::client::ServerArgs;
use crate::cli::exit::FAIL;
use crate::cli::exit::INCONCLUSIVE;
use crate::cli::show;

/// The flags of `serin check`.
#[derive(Args, Debug)]
pub struct CheckArgs {
    #[command(flatten)]
    server: ServerArgs,
}

/// Prints the health check; exit code 0 if a promotion would pass, 1 for an alert or harm found at any
/// time, 3 for too little data.
///
/// # Errors
/// When the server cannot be asked, or has no canary.
pub fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let health = args.server.client().get("/admin/check-canary-health")?.done()?;
    let (word, code) = if health["harm_is_shown"] == true {
        ("alert", FAIL)
    } else if health["verdict"] == "promote" {
        ("ok", 0)
    } else {
        ("insufficient_data", INCONCLUSIVE)
    };
    if args.server.json {
        anstream::println!("{}", show::json(&health));
    } else {
        anstream::println!("{}", show::health_word(word));
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
    Ok(ExitCode::from(code))
}
