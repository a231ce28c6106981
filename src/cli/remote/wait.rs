//! `serin wait`: wait for the end of the rollout, with an exit code that can gate a pipeline.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use super::client::Client;
use super::client::Reply;
use super::client::ServerArgs;
use super::page::Page;
use crate::canary::rollout::state::Outcome;
use crate::cli::exit::FAIL;
use crate::cli::exit::INCONCLUSIVE;
use crate::cli::numbers;
use crate::cli::show;
use crate::service::clock::Clock as _;
use crate::service::clock::SystemClock;
use crate::service::status::Status;
use crate::service::status::overview::RolloutState;
use crate::service::status::report::Report;
use crate::service::status::report::words::duration;

/// The flags of `serin wait`.
#[derive(Args, Debug)]
pub struct WaitArgs {
    /// Stop waiting after this time, with exit code 3; without it, wait as long as the rollout takes
    #[arg(long, value_name = "DURATION")]
    timeout: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
}

/// Between two requests.
const PAUSE: Duration = Duration::from_secs(1);

/// A server that restarts may not answer for this long.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until no rollout is under way and prints how the last one ended; exit code 0 for a promotion, 1 for a
/// rollback, 3 for an end without a verdict or a timeout. A rollout that has ended before counts, too: it may have been
/// over before the command asked. Says on standard error when the rollout waits for a person.
///
/// # Errors
/// When the server cannot be reached, or never had a canary.
pub fn run(args: &WaitArgs) -> anyhow::Result<ExitCode> {
    let (client, clock) = (args.server.client(), SystemClock::default());
    let timeout = args.timeout.as_deref().map(|text| numbers::duration("timeout", text));
    let timeout = timeout.transpose()?;
    let mut status: Status = client.get("/admin/status")?.done()?;
    let first = status.rollout.as_ref().map(|rollout| rollout.id);
    let mut said = None;
    loop {
        let report = Report::new(&status, &args.server.times(status.at));
        if status.rollout.as_ref().map(|rollout| rollout.id) != first || first.is_none() {
            return ended(first, &status, &report, args.server.json);
        }
        let left = timeout.map(|timeout| timeout.saturating_sub(clock.steady()));
        if left.is_some_and(|left| left.is_zero()) {
            show::error(&format!("the rollout has not ended yet: {}", report.headline));
            return Ok(ExitCode::from(INCONCLUSIVE));
        }
        let waits = matches!(status.state, RolloutState::AwaitingApproval | RolloutState::Paused);
        if waits && said.replace(status.revision) != Some(status.revision) {
            let why = report.why.as_deref().unwrap_or_default();
            show::error(&format!(
                "{}: {why} {}",
                report.condition.word().to_lowercase(),
                report.next
            ));
        }
        std::thread::sleep(left.map_or(PAUSE, |left| left.min(PAUSE)));
        status = patiently(&client, &clock, left.unwrap_or(PATIENCE).min(PATIENCE))?;
    }
}

/// Prints how this rollout ended, or the last one if there was none to wait for.
fn ended(
    rollout: Option<u64>,
    status: &Status,
    report: &Report,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let last = status.last_rollout.as_ref();
    let last = last.context("no rollout was started yet; start one with serin deploy")?;
    if let Some(id) = rollout.filter(|id| *id != last.rollout) {
        show::error(&format!("rollout {id} ended, and others followed; see serin history"));
        return Ok(ExitCode::from(INCONCLUSIVE));
    }
    if json {
        show::json(last)?;
    } else {
        let mut page = Page::new(show::width());
        if rollout.is_none() {
            page.paragraph(&format!(
                "No rollout is under way. Rollout {} of {} ended {} ago:",
                last.rollout,
                last.canary.name,
                duration(status.at.duration_since(last.at).as_secs_f64()),
            ));
        }
        if status.rollout.is_some() {
            page.paragraph(&format!("Rollout {} ended: {}", last.rollout, last.reason));
        } else {
            page.headline(status, report);
            page.next(report);
        }
        page.print();
    }
    Ok(match last.outcome {
        Outcome::Promoted => ExitCode::SUCCESS,
        Outcome::RolledBack | Outcome::Reverted => ExitCode::from(FAIL),
        Outcome::NoVerdict => ExitCode::from(INCONCLUSIVE),
    })
}

/// The status, even if the server restarts and does not answer for this long.
fn patiently(client: &Client, clock: &SystemClock, patience: Duration) -> anyhow::Result<Status> {
    let start = clock.steady();
    loop {
        match client.get("/admin/status") {
            Err(_) if clock.steady().saturating_sub(start) < patience => std::thread::sleep(PAUSE),
            reply => return reply.and_then(Reply::done),
        }
    }
}
