//! `serin wait`: wait for a verdict or for the end of the rollout, with an exit code that can gate a pipeline.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use clap::ValueEnum;
use serde::Serialize;

use super::client::Client;
use super::client::Reply;
use super::client::ServerArgs;
use super::markdown;
use super::page::Page;
use crate::canary::Verdict;
use crate::canary::rollout::state::Outcome;
use crate::cli::exit::FAIL;
use crate::cli::exit::INCONCLUSIVE;
use crate::cli::numbers;
use crate::cli::show;
use crate::cli::show::out;
use crate::service::clock::Clock as _;
use crate::service::clock::SystemClock;
use crate::service::status::Status;
use crate::service::status::gate;
use crate::service::status::overview::RolloutState;
use crate::service::status::report::Report;
use crate::service::status::report::words::duration;

/// The flags of `serin wait`.
#[derive(Args, Debug)]
pub struct WaitArgs {
    /// Stop waiting after this time, with exit code 3; without it, wait as long as the rollout takes
    #[arg(long, value_name = "DURATION")]
    timeout: Option<String>,
    /// What to wait for: the end of the rollout, or a verdict on it
    #[arg(long = "for", value_enum, value_name = "EVENT", default_value_t = Event::Ended)]
    event: Event,
    /// Print Markdown, for the summary of a pipeline
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// What ends the wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Event {
    /// The rollout has ended: promoted, rolled back, or without a verdict
    Ended,
    /// A promotion would be accepted, or harm is shown; also the end of the rollout
    Verdict,
}

impl Event {
    /// That the wait begins.
    fn awaited(self) -> &'static str {
        match self {
            Event::Ended => {
                "waiting for the end of the rollout; Ctrl-C ends the wait, and the rollout goes on; "
            }
            Event::Verdict => {
                "waiting for a verdict; Ctrl-C ends the wait, and the rollout goes on; "
            }
        }
    }
}

/// What the rollout waits for now: `holding: model_v2 gets 10 % of the traffic. Not settled yet: latency; ...`.
fn progress(report: &Report, needs_a_person: bool) -> String {
    let why = report.why.iter().map(String::as_str);
    let next = needs_a_person.then_some(report.next.as_str());
    let more: Vec<&str> = why.chain(next).collect();
    format!("{}: {}. {}", report.condition.word().to_lowercase(), report.headline, more.join(" "))
}

/// How the outcome is printed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Json,
    Markdown,
}

impl Form {
    fn of(server: &ServerArgs, is_markdown: bool) -> Form {
        match (server.json, is_markdown) {
            (true, _) => Form::Json,
            (false, true) => Form::Markdown,
            (false, false) => Form::Text,
        }
    }
}

/// Between two requests.
const PAUSE: Duration = Duration::from_secs(1);

/// A server that restarts may not answer for this long.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until no rollout is under way, or until there is a verdict, and prints how it is; exit code 0 for a promotion
/// or a verdict that allows one, 1 for a rollback or harm, 3 for an end without a verdict or a timeout. A rollout that has
/// ended before counts, too: it may have been over before the command asked. Says on standard error what the rollout waits
/// for, at first and when that changes.
///
/// # Errors
/// When the server cannot be reached, or never had a canary.
pub fn run(args: &WaitArgs) -> anyhow::Result<ExitCode> {
    let timeout = args.timeout.as_deref().map(|text| numbers::duration("timeout", text));
    let form = Form::of(&args.server, args.markdown);
    wait_for(args.event, timeout.transpose()?, form, &args.server)
}

/// Waits for the end of a rollout by plan that was just deployed, or for a verdict on one by hand.
///
/// # Errors
/// When the server cannot be reached.
pub(super) fn after_deployment(server: &ServerArgs) -> anyhow::Result<ExitCode> {
    let status: Status = server.client().get("/admin/status")?.done()?;
    let is_by_hand = status.rollout.is_some_and(|rollout| rollout.plan.is_none());
    let event = if is_by_hand { Event::Verdict } else { Event::Ended };
    wait_for(event, None, Form::of(server, false), server)
}

fn wait_for(
    event: Event,
    timeout: Option<Duration>,
    form: Form,
    server: &ServerArgs,
) -> anyhow::Result<ExitCode> {
    let (client, clock) = (server.client(), SystemClock::default());
    let mut status: Status = client.get("/admin/status")?.done()?;
    let first = status.rollout.as_ref().map(|rollout| rollout.id);
    let mut said = None;
    loop {
        let report = Report::new(&status, &server.times(status.at));
        if status.rollout.as_ref().map(|rollout| rollout.id) != first || first.is_none() {
            return ended(first, &status, &report, form);
        }
        let verdict = gate::verdict(&status);
        if event == Event::Verdict && verdict != Verdict::Hold {
            return judged(verdict, &status, &report, form);
        }
        let left = timeout.map(|timeout| timeout.saturating_sub(clock.steady()));
        if left.is_some_and(|left| left.is_zero()) {
            let missing = match event {
                Event::Ended => "the rollout has not ended yet",
                Event::Verdict => "no verdict yet",
            };
            show::error(&format!("{missing}: {}", report.headline));
            return Ok(ExitCode::from(INCONCLUSIVE));
        }
        let needs_a_person =
            matches!(status.state, RolloutState::AwaitingApproval | RolloutState::Paused);
        let now =
            (report.condition, report.headline.clone(), needs_a_person.then_some(status.revision));
        if said.as_ref() != Some(&now) {
            let begins = if said.is_none() { event.awaited() } else { "" };
            show::error(&format!("{begins}{}", progress(&report, needs_a_person)));
            said = Some(now);
        }
        std::thread::sleep(left.map_or(PAUSE, |left| left.min(PAUSE)));
        status = patiently(&client, &clock, left.unwrap_or(PATIENCE).min(PATIENCE))?;
    }
}

/// Prints the verdict on a rollout under way.
fn judged(
    verdict: Verdict,
    status: &Status,
    report: &Report,
    form: Form,
) -> anyhow::Result<ExitCode> {
    print(form, &status.health, status, report)?;
    Ok(if verdict == Verdict::Promote { ExitCode::SUCCESS } else { ExitCode::from(FAIL) })
}

/// A sentence before the report; none in JSON.
fn say(form: Form, sentence: &str) {
    match form {
        Form::Json => {}
        Form::Markdown => out!("{}\n\n", markdown::escaped(sentence)),
        Form::Text => {
            let mut page = Page::new(show::width());
            page.paragraph(sentence);
            page.print();
        }
    }
}

fn print(
    form: Form,
    json: &impl Serialize,
    status: &Status,
    report: &Report,
) -> anyhow::Result<()> {
    match form {
        Form::Json => show::json(json)?,
        Form::Markdown => out!("{}", markdown::page(report.condition.word(), report)),
        Form::Text => {
            let mut page = Page::new(show::width());
            page.headline(status, report);
            page.next(report);
            page.print();
        }
    }
    Ok(())
}

/// Prints how this rollout ended, or the last one if there was none to wait for.
fn ended(
    rollout: Option<u64>,
    status: &Status,
    report: &Report,
    form: Form,
) -> anyhow::Result<ExitCode> {
    let last = status.last_rollout.as_ref();
    let last = last.context("no rollout was started yet; start one with serin deploy")?;
    if let Some(id) = rollout.filter(|id| *id != last.rollout) {
        show::error(&format!("rollout {id} ended, and others followed; see serin history"));
        return Ok(ExitCode::from(INCONCLUSIVE));
    }
    if rollout.is_none() {
        let ago = duration(status.at.duration_since(last.at).as_secs_f64());
        let (id, name) = (last.rollout, &last.canary.name);
        say(form, &format!("No rollout is under way. Rollout {id} of {name} ended {ago} ago:"));
    }
    match (form, &status.rollout) {
        (Form::Text | Form::Markdown, Some(_)) => {
            say(form, &format!("Rollout {} ended: {}", last.rollout, last.reason));
        }
        (_, _) => print(form, last, status, report)?,
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
