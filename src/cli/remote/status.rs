//! `serin status`: how the server and its rollout are doing.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::client::Reply;
use super::client::ServerArgs;
use super::page::Page;
use super::watch;
use crate::canary::judge::verdict::MetricEvidence;
use crate::canary::rollout::state::Quarantined;
use crate::cli::show;
use crate::cli::show::outln;
use crate::service::status::Status;
use crate::service::status::report::Effect;
use crate::service::status::report::Report;
use crate::service::status::report::words::Times;
use crate::text::lists::short_digest;
use crate::text::numbers::number;
use crate::text::numbers::p_value;

/// The flags of `serin status`.
#[derive(Args, Debug)]
pub struct StatusArgs {
    /// Show it as a full screen that follows the rollout, until q or Ctrl-C; where the output is not a terminal, print it
    /// every second
    #[arg(long, conflicts_with = "json")]
    watch: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// At most this many names of what is in quarantine; the others are counted.
const MAX_QUARANTINED: usize = 5;

/// Prints the status.
///
/// # Errors
/// When the server cannot be reached.
pub fn run(args: &StatusArgs) -> anyhow::Result<ExitCode> {
    if args.watch && watch::is_possible() {
        return watch::run(&args.server);
    }
    let client = args.server.client();
    loop {
        let reply = client.get("/admin/status")?;
        if args.server.json && reply.ok {
            show::json(&reply.body)?;
            return Ok(ExitCode::SUCCESS);
        }
        let status: Status = reply.done()?;
        let page = page(&status, &args.server.times(status.at), args.server.verbose, show::width());
        if !args.watch {
            page.print();
            return Ok(ExitCode::SUCCESS);
        }
        page.print();
        outln!();
        if show::reader_is_gone() {
            return Ok(ExitCode::SUCCESS);
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// Prints what a command has led to: headline, reason and next step, with times as `args` say.
///
/// # Errors
/// When the server refused.
pub fn print_effect(reply: Reply, args: &ServerArgs) -> anyhow::Result<ExitCode> {
    print_effect_as(reply, args, |status, times| {
        let report = Report::new(status, times);
        let mut page = Page::new(show::width());
        page.headline(status, &report);
        page.next(&report);
        page
    })
}

/// Prints what a command has led to as this page of the new status, with the notes of the answer at its end.
///
/// # Errors
/// When the server refused.
pub fn print_effect_as(
    reply: Reply,
    args: &ServerArgs,
    page_of: impl FnOnce(&Status, &Times) -> Page,
) -> anyhow::Result<ExitCode> {
    if args.json && reply.ok {
        show::json(&reply.body)?;
        return Ok(ExitCode::SUCCESS);
    }
    let effect: Effect = reply.done()?;
    let mut notes = effect.notes;
    let mut page = match args.client().get("/admin/status").and_then(Reply::done::<Status>) {
        Ok(status) if args.verbose => {
            let times = args.times(status.at);
            let shown = Report::new(&status, &times).notes;
            notes.retain(|note| !shown.contains(note));
            page(&status, &times, true, show::width())
        }
        Ok(status) => page_of(&status, &args.times(status.at)),
        // The command has succeeded all the same.
        Err(_) => {
            let mut page = Page::new(show::width());
            page.labelled(effect.condition.word(), show::STRONG, &effect.headline);
            page
        }
    };
    notes.iter().for_each(|note| page.paragraph(note));
    page.print();
    Ok(ExitCode::SUCCESS)
}

/// The status as a page of this width.
pub fn page(status: &Status, times: &Times, verbose: bool, width: usize) -> Page {
    let report = Report::new(status, times);
    let mut page = Page::new(width);
    page.headline(status, &report);
    page.next(&report);
    let has_canary = status.rollout.is_some();
    if has_canary || verbose {
        page.gap();
        page.tracks(&status.tracks, has_canary);
    }
    if !report.metrics.is_empty() {
        page.gap();
        page.metrics(&report.metrics);
    }
    // Without a canary, the next step names the command.
    let start = report.start.filter(|_| has_canary);
    let start = start.map(|start| format!("{}: {}", start.words, start.command));
    let rest: Vec<&String> = report.missing.iter().chain(&start).chain(&report.notes).collect();
    if !rest.is_empty() || has_canary {
        page.gap();
        rest.into_iter().for_each(|text| page.paragraph(text));
    }
    if verbose {
        details(&mut page, status, times);
    } else {
        quarantine(&mut page, status);
    }
    if has_canary && !verbose {
        let open = report.metrics.iter().find(|row| row.is_open());
        let explain = open.map(|row| format!(", serin explain {}", row.metric));
        page.paragraph(&format!("More: serin status -v{}", explain.unwrap_or_default()));
    }
    page
}

/// The names of what is in quarantine, on a line.
fn quarantine(page: &mut Page, status: &Status) {
    let names = status.quarantine.values().map(|it| it.version.as_str());
    let names: Vec<&str> = names.collect::<BTreeSet<&str>>().into_iter().collect();
    let (shown, rest) = names.split_at(names.len().min(MAX_QUARANTINED));
    let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
    if !shown.is_empty() {
        page.labelled("Quarantine", show::STRONG, &format!("{}{more}", shown.join(", ")));
    }
}

/// Plan, p-values, forecast, shadow, labels, quarantine.
fn details(page: &mut Page, status: &Status, times: &Times) {
    page.quality(status);
    let sequential = status.health.as_ref().and_then(|health| health.sequential.as_ref());
    if let Some(sequential) = sequential {
        let row = |one: &MetricEvidence| {
            vec![
                one.metric.to_string(),
                p_value(one.harm_p_value),
                number(one.harm_threshold),
                p_value(one.proven_p_value),
                number(one.proven_threshold),
            ]
        };
        let header = ["metric", "harm p", "fails below", "non-inferiority p", "passes below"];
        page.gap();
        page.table(&header, &sequential.metrics.iter().map(row).collect::<Vec<_>>(), &[0]);
    }
    page.gap();
    if let Some(health) = &status.health {
        page.labelled("Tests", show::STRONG, &health.message);
        if let Some(forecast) = &health.forecast {
            page.labelled("Forecast", show::STRONG, &forecast.message);
        }
    }
    let drifted = status.inputs.iter().flat_map(|inputs| &inputs.messages);
    drifted.for_each(|message| page.labelled("Inputs", show::STRONG, message));
    if let Some(shadow) = &status.shadow {
        page.labelled("Shadow", show::STRONG, &shadow.message);
    }
    if let Some(plan) = status.rollout.as_ref().and_then(|rollout| rollout.plan.as_ref()) {
        page.labelled("Plan", show::STRONG, &plan.steps_in_words());
        if let Some(deadline) = plan.deadline_at {
            page.labelled("Deadline", show::STRONG, &times.time(deadline));
        }
        plan.reasons.iter().for_each(|reason| page.labelled("", show::STRONG, reason));
    }
    let stable = &status.stable;
    let digest = short_digest(&stable.version.digest);
    let stable =
        format!("{} since {}, digest {digest}", stable.version.file, times.time(stable.since));
    page.labelled("Stable", show::STRONG, &stable);
    let canary = status.canary_library.as_ref().map(|library| ("canary", library));
    let libraries = status.stable.library.as_ref().map(|library| ("stable", library));
    for (track, library) in libraries.into_iter().chain(canary) {
        page.labelled("Library", show::STRONG, &format!("{library} computes the {track} model"));
    }
    for (digest, Quarantined { version, reason }) in &status.quarantine {
        let text = format!("{version} (digest {}): {reason}", short_digest(digest));
        page.labelled("Quarantine", show::STRONG, &text);
    }
    for target in &status.notifications {
        let text = format!("{}: up to journal entry {}", target.target, target.position);
        page.labelled("Notify", show::STRONG, &text);
    }
}
