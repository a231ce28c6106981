//! `serin check`: judge the canary, with an exit code that can gate a pipeline.

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::client::ServerArgs;
use super::markdown;
use super::page::Page;
use crate::canary::Refusal;
use crate::canary::Verdict;
use crate::cli::exit::FAIL;
use crate::cli::exit::INCONCLUSIVE;
use crate::cli::show;
use crate::cli::show::out;
use crate::cli::show::outln;
use crate::cli::show::styled;
use crate::service::status::Status;
use crate::service::status::health::Health;
use crate::service::status::health::HealthStatus;
use crate::service::status::report::Report;

/// The flags of `serin check`.
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// Print Markdown, for the summary of a pipeline
    #[arg(long, conflicts_with_all = ["json", "verbose"])]
    markdown: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Prints the judgement; exit code 0 if a promotion would be accepted, 1 for harm, 3 for too little
/// evidence.
///
/// # Errors
/// When the server cannot be reached, or has no canary.
pub fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let status: Status = args.server.client().get("/admin/status")?.done()?;
    let health = status.health.as_ref().context(Refusal::NoCanary)?;
    let code = match health.status {
        HealthStatus::Ok => 0,
        HealthStatus::Warning if health.verdict == Verdict::Promote => 0,
        HealthStatus::Harm => FAIL,
        HealthStatus::Warning | HealthStatus::InsufficientData => INCONCLUSIVE,
    };
    if args.server.json {
        show::json(&Health { features: status.features.clone(), ..health.clone() })?;
        return Ok(ExitCode::from(code));
    }
    let times = args.server.times(status.at);
    let report = Report::new(&status, &times);
    let judged = report.condition.judged(health.status);
    let (word, style) = (judged.word(), show::style_of(judged.tone()));
    if args.server.verbose {
        outln!("{}", styled(style, word));
        super::status::page(&status, &times, true, show::width()).print();
        return Ok(ExitCode::from(code));
    }
    if args.markdown {
        out!("{}", markdown::page(word, &report));
        return Ok(ExitCode::from(code));
    }
    let mut page = Page::new(show::width());
    page.labelled(word, style, &report.headline);
    report.why.iter().for_each(|why| page.labelled("", style, why));
    page.gap();
    page.tracks(&status.tracks, true);
    page.gap();
    page.metrics(&report.metrics);
    report.missing.iter().chain(&report.notes).for_each(|text| page.paragraph(text));
    page.print();
    Ok(ExitCode::from(code))
}
