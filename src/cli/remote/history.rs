//! `serin history`: what happened, and why.

use std::process::ExitCode;

use clap::Args;

use super::client::ServerArgs;
use crate::cli::show;
use crate::cli::show::styled;

/// The flags of `serin history`.
#[derive(Args, Debug)]
pub struct HistoryArgs {
    /// How many entries at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    /// Begin after this revision; without it, the newest entries are shown
    #[arg(long, value_name = "REVISION")]
    after: Option<u64>,
    #[command(flatten)]
    server: ServerArgs,
}

/// Prints the journal.
///
/// # Errors
/// When the server cannot be asked.
pub fn run(args: &HistoryArgs) -> anyhow::Result<ExitCode> {
    let after = args.after.map(|after| format!("&after={after}")).unwrap_or_default();
    let path = format!("/admin/history?limit={}{after}", args.limit);
    let history = args.server.client().get(&path)?.done()?;
    if args.server.json {
        anstream::println!("{}", show::json(&history));
        return Ok(ExitCode::SUCCESS);
    }
    for entry in history["entries"].as_array().into_iter().flatten() {
        anstream::println!(
            "{:>4}  {}\n{}",
            entry["sequence"].as_u64().unwrap_or_default(),
            styled(show::FAINT, show::text(&entry["at"])),
            show::wrapped(&show::text(&entry["sentence"]), "      "),
        );
    }
    Ok(ExitCode::SUCCESS)
}
