//! `serin history`: what happened, one line per event. [`report`]: one rollout in a file.

pub mod report;

use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::client::ServerArgs;
use super::page::Page;
use crate::canary::Event;
use crate::canary::Weight;
use crate::canary::policy::Mode;
use crate::canary::rollout::cause::Cause;
use crate::cli::show;
use crate::service::status::history::History;
use crate::service::status::history::HistoryEntry;

/// The flags of `serin history`.
#[derive(Args, Debug)]
pub struct HistoryArgs {
    /// Print at most this many entries
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    /// Print entries after this revision; without it, the newest entries
    #[arg(long, value_name = "REVISION")]
    after: Option<u64>,
    #[command(flatten)]
    server: ServerArgs,
}

/// Prints the journal.
///
/// # Errors
/// When the server cannot be reached.
pub fn run(args: &HistoryArgs) -> anyhow::Result<ExitCode> {
    let after = args.after.map(|after| format!("&after={after}")).unwrap_or_default();
    let path = format!("/admin/history?limit={}{after}", args.limit);
    let reply = args.server.client().get(&path)?;
    if args.server.json && reply.ok {
        show::json(&reply.body)?;
        return Ok(ExitCode::SUCCESS);
    }
    let server = &args.server;
    let zone = server.times(Timestamp::UNIX_EPOCH).zone;
    page(&reply.done()?, &zone, server.verbose, show::width()).print();
    Ok(ExitCode::SUCCESS)
}

/// The journal as a page of this width; verbose, with the evidence of each event.
pub fn page(history: &History, zone: &TimeZone, verbose: bool, width: usize) -> Page {
    let mut page = Page::new(width);
    let mut line = Line::default();
    let mut day = None;
    let header = ["#", "time", "event", "version", "share", "by", "why"].map(str::to_owned);
    let lines: Vec<_> = history.entries.iter().map(|entry| (entry, line.after(entry))).collect();
    let widest = |cell: fn(&Line) -> &String, header: &str| {
        let cells = lines.iter().map(|(_, line)| cell(line).chars().count());
        cells.chain([header.len()]).max().unwrap_or(0)
    };
    let event = widest(|line| &line.event, &header[2]);
    let others = 34 + event;
    let version = widest(|line| &line.version, &header[3]).min(width.saturating_sub(others).max(8));
    for (entry, line) in &lines {
        let at = entry.entry.at.to_zoned(zone.clone());
        if day.replace(at.date()) != Some(at.date()) {
            page.lines.push(show::styled(show::STRONG, at.strftime("%A, %B %-d, %Y (%Z)")));
        }
        let cells = format!(
            "{:>4}  {}  {:event$}  {:version$}  {:>6}  {:6}  ",
            entry.entry.sequence,
            at.strftime("%H:%M:%S"),
            line.event,
            cut(&show::plain(&line.version), version),
            line.share,
            line.by,
        );
        let why = show::plain(&line.why);
        let below = || textwrap::Options::new(width).initial_indent(BELOW).subsequent_indent(BELOW);
        if cells.chars().count() + why.chars().count() <= width {
            page.lines.push(format!("{cells}{why}").trim_end().to_owned());
        } else {
            page.lines.push(cells.trim_end().to_owned());
            page.lines.extend(textwrap::wrap(&why, below()).iter().map(|it| it.to_string()));
        }
        if verbose {
            let sentence = show::plain(&entry.sentence);
            let wrapped = textwrap::wrap(&sentence, below());
            page.lines.extend(wrapped.iter().map(|it| show::styled(show::FAINT, it)));
        }
    }
    page
}

/// The text in at most this many columns.
fn cut(text: &str, width: usize) -> String {
    match text.char_indices().nth(width) {
        Some(_) => text.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
        None => text.to_owned(),
    }
}

/// The indent of texts that do not fit on the line of their event.
const BELOW: &str = "                ";

/// One line: the event and its consequences.
#[derive(Clone, Default)]
struct Line {
    event: String,
    version: String,
    share: String,
    by: &'static str,
    why: String,
    /// The shares of the plan.
    steps: Vec<Weight>,
    weight: Weight,
}

impl Line {
    fn set(&mut self, weight: Weight) {
        self.weight = weight;
        self.share = weight.to_string();
    }

    /// The line of the next entry. Version and share are those that an earlier event has set.
    fn after(&mut self, entry: &HistoryEntry) -> Line {
        let event = &entry.entry.event;
        let by = |mode: &Mode| match mode {
            Mode::Manual => "person",
            Mode::Automatic => "serin",
        };
        let given = |reason: &Option<String>| reason.clone().unwrap_or_default();
        (self.by, self.why) = match event {
            Event::Initialized { stable } => {
                self.version.clone_from(&stable.name);
                ("serin", "first stable model".to_owned())
            }
            Event::CanaryDeployed { canary, policy, reason, library, .. } => {
                self.version.clone_from(&canary.name);
                self.set(policy.weight);
                self.steps = policy.plan.steps.iter().map(|step| step.weight).collect();
                let library = library.as_ref().map(|library| format!("in {library}"));
                let why: Vec<String> = reason.iter().cloned().chain(library).collect();
                ("person", why.join("; "))
            }
            Event::TrafficSet { weight, .. } => {
                self.set(*weight);
                ("person", String::new())
            }
            Event::Advanced { judgement } => {
                let larger = self.steps.iter().find(|step| **step > self.weight).copied();
                self.set(larger.unwrap_or(self.weight));
                let inputs = &judgement.evidence.inputs;
                let (canary, stable) = (inputs.canary.requests, inputs.stable.requests);
                let seen = format!("{canary} canary and {stable} stable requests");
                ("serin", format!("step {} over: {seen}", judgement.step))
            }
            Event::ApprovalAwaited { .. } => ("serin", "every step is over".to_owned()),
            Event::Paused { cause: Cause::Person(None), .. } | Event::Resumed { .. } => {
                ("person", String::new())
            }
            Event::Paused { cause, .. } => ("serin", cause.sentence(None)),
            Event::Injected { injection, .. } => ("person", injection.in_words()),
            Event::SlowdownSet { .. } => ("person", entry.sentence.clone()),
            Event::Held { .. } | Event::HarmReported { .. } | Event::MonitoringEnded { .. } => {
                ("serin", entry.sentence.clone())
            }
            Event::Promoted { forced, reason, by: who, .. } => {
                self.share = "100 %".to_owned();
                let forced = if *forced { "by override: " } else { "" };
                (by(who), format!("{forced}{}", given(reason)))
            }
            Event::RolledBack { cause, judgement, by: who, .. }
            | Event::Reverted { cause, judgement, by: who, .. } => {
                self.share = "0 %".to_owned();
                (by(who), cause.sentence(judgement.as_deref()))
            }
        };
        self.event = event.name().trim_start_matches("canary_").replace('_', " ");
        self.clone()
    }
}
