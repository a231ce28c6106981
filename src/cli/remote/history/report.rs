//! `serin report`: a rollout as a page in a file.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use anyhow::bail;
use clap::Args;

use crate::cli::remote::client::ServerArgs;
use crate::cli::show;
use crate::cli::show::outln;
use crate::text::files::write_whole;

/// The flags of `serin report`.
#[derive(Args, Debug)]
pub struct ReportArgs {
    /// Number of the rollout, or latest
    #[arg(value_name = "ROLLOUT")]
    rollout: String,
    /// File to write
    #[arg(long, short, value_name = "FILE", default_value = "report.html")]
    output: PathBuf,
    #[command(flatten)]
    server: ServerArgs,
}

/// Writes the page of a rollout.
///
/// # Errors
/// When the server cannot be reached, has no such rollout, or the file cannot be written.
pub fn run(args: &ReportArgs) -> anyhow::Result<ExitCode> {
    let ReportArgs { rollout, output, server } = args;
    let is_number = !rollout.is_empty() && rollout.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number && rollout != "latest" {
        bail!(
            "{rollout:?} is not a rollout; use its number, as GET /admin/rollouts lists it, or latest"
        );
    }
    let client = server.client();
    if server.json {
        let reply = client.get(&format!("/admin/rollouts/{rollout}"))?;
        if !reply.ok {
            bail!("{}", reply.refusal());
        }
        show::json(&reply.body)?;
        return Ok(ExitCode::SUCCESS);
    }
    let page = client.get_text(&format!("/rollouts/{rollout}?form=file"))?;
    write_whole(output, page.as_bytes()).with_context(|| output.display().to_string())?;
    outln!(
        "{} is written; open it in a browser, or print it.",
        show::plain(&output.display().to_string())
    );
    Ok(ExitCode::SUCCESS)
}
