//! `serin load`: traffic for a running server, at random times as independent users send it.
//!
//! - `args`: the flags. `served`: what the server says about its model. `rows`: what is sent; `drawn` at random, or of a `file`.
//! - `senders`: requests under way at once. `labels`: outcomes that come late. `tally`: what came of it.
//! - `stop`: Ctrl-C.

pub mod args;
mod drawn;
mod file;
mod labels;
mod row;
mod rows;
mod senders;
mod served;
mod stop;
mod tally;

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;

use self::args::LoadArgs;
use self::labels::Labels;
use self::rows::Rows;
use self::senders::Job;
use self::senders::Senders;
use self::served::Served;
use self::stop::Stop;
use self::tally::Tally;
use super::client::Client;
use crate::cli::exit::FAIL;
use crate::cli::numbers;
use crate::cli::show;
use crate::cli::show::out;
use crate::cli::show::outln;
use crate::model::training::random::Stream;
use crate::service::clock::Clock as _;
use crate::service::clock::SystemClock;
use crate::text::numbers::count;

/// Pauses between two looks at the clock are at most this long.
const NAP: Duration = Duration::from_millis(50);

/// How often the status is printed.
const EVERY: Duration = Duration::from_secs(1);

/// Behind by more than this, as after a suspended machine, requests are not made up for.
const BEHIND: Duration = Duration::from_secs(5);

/// How long the end waits for requests that are under way.
const PATIENCE: Duration = Duration::from_secs(2);

/// Sends requests until the time is over, or Ctrl-C; exit code 1 if none was answered.
///
/// # Errors
/// Names the flag that is not valid. When the server cannot be reached at the start, or the file does not fit its model.
pub fn run(args: &LoadArgs) -> anyhow::Result<ExitCode> {
    let rate = numbers::in_range("rate", args.rate, 0.01, 10_000.0)?;
    let length = args.duration.as_deref().map(|text| numbers::duration("for", text)).transpose()?;
    let delay = labels::delay(&args.label_delay)?;
    let client = args.server.client();
    let served = Served::of(&client, args.data.is_some())?;
    let mut traffic = Traffic {
        rows: Rows::of(args, &served)?,
        version: served.version.into(),
        stream: Stream::new(args.seed),
        delay,
        keys: args.keys,
    };
    let stop = Stop::on_signals().context("cannot watch for Ctrl-C")?;
    let clock = Arc::new(SystemClock::default());
    let tally = Arc::new(Tally::default());
    let labels = args.labels.as_ref().map(|_| Labels::start(args.server.client(), &clock, &tally));
    let mut senders = Senders::new(&args.server, &clock, &tally, labels.clone());
    let screen = Screen { is_terminal: std::io::stdout().is_terminal(), json: args.server.json };
    screen.say(&format!(
        "{} to {}: {}",
        rate_in_words(rate),
        args.server.url,
        traffic.rows.in_words()
    ));

    let start = clock.steady();
    let (mut next, mut shown, mut was_away) = (start, start, false);
    while !stop.is_asked() && !show::reader_is_gone() {
        let now = clock.steady();
        if length.is_some_and(|length| now.saturating_sub(start) >= length) {
            break;
        }
        if now.saturating_sub(next) > BEHIND {
            next = now;
        }
        while next <= now {
            senders.send(now, || traffic.job());
            next += Duration::from_secs_f64(traffic.stream.exponential(1.0 / rate));
        }
        if now.saturating_sub(shown) >= EVERY {
            shown += EVERY;
            if was_away != tally.is_away() {
                was_away = !was_away;
                screen.say(&tally.away_in_words(&args.server.url));
            }
            if tally.takes_other_version() {
                traffic.follow(args, &client, &screen);
            }
            screen.line(&tally.line(now.saturating_sub(start)));
        }
        std::thread::sleep(next.saturating_sub(clock.steady()).min(NAP));
    }
    let took = clock.steady().saturating_sub(start);
    let patience = clock.steady() + PATIENCE;
    while senders.are_under_way() && clock.steady() < patience {
        std::thread::sleep(NAP);
    }
    if let Some(labels) = &labels {
        finish(labels, &stop, &clock, &screen);
    }
    screen.end();
    let (summary, answered) = tally.summary(took);
    match args.server.json {
        true => show::json(&summary)?,
        false => outln!("{}", show::wrapped(&summary.in_words(), "")),
    }
    Ok(if answered > 0 { ExitCode::SUCCESS } else { ExitCode::from(FAIL) })
}

/// Waits for the labels that are not due yet, unless the person wants to end.
fn finish(labels: &Labels, stop: &Stop, clock: &SystemClock, screen: &Screen) {
    let mut shown = None;
    while labels.waiting() > 0 && !stop.is_asked() && !labels.is_stuck() {
        let second = clock.steady().as_secs();
        if shown.replace(second) != Some(second) {
            let verb = if labels.waiting() == 1 { "is" } else { "are" };
            screen.line(&format!("{} {verb} still to come", count(labels.waiting(), "label")));
        }
        std::thread::sleep(NAP);
    }
    labels.give_up();
}

/// What is sent.
struct Traffic {
    rows: Rows,
    /// The stable version that the rows are made for.
    version: Arc<str>,
    stream: Stream,
    /// Shortest and longest delay of a label, in seconds.
    delay: (f64, f64),
    keys: Option<u64>,
}

impl Traffic {
    fn job(&mut self) -> Job {
        let row = self.rows.next(&mut self.stream);
        let mut body = json!({ "features": row.features });
        if let Some(keys) = self.keys {
            let key = (self.stream.uniform() * keys as f64) as u64 + 1;
            body["key"] = json!(format!("user-{key}"));
        }
        let (from, to) = self.delay;
        let label = row.outcome.map(|outcome| {
            let delay = from + (to - from) * self.stream.uniform();
            (outcome, Duration::from_secs_f64(delay))
        });
        Job { body, label, version: self.version.clone() }
    }

    /// Makes rows for the version that is stable now.
    fn follow(&mut self, args: &LoadArgs, client: &Client, screen: &Screen) {
        let asked = Served::of(client, args.data.is_some());
        let of_other = |served: Served| match served.version == *self.version {
            true => Ok(None),
            false => Ok(Some((Rows::of(args, &served)?, served.version))),
        };
        match asked.and_then(of_other) {
            Ok(None) => {}
            Ok(Some((rows, version))) => {
                screen.say(&format!("{version} is stable now; its features are sent"));
                (self.rows, self.version) = (rows, version.into());
            }
            Err(error) => {
                screen.say(&format!(
                    "another version is stable now, and the rows stay as they are: {error:#}"
                ));
            }
        }
    }
}

/// Where the status is printed: a line that is overwritten on a terminal, and one after the other elsewhere.
struct Screen {
    is_terminal: bool,
    json: bool,
}

/// Moves the cursor to the first column, and clears the line.
const CLEAR_LINE: &str = "\r\x1b[2K";

impl Screen {
    fn line(&self, text: &str) {
        match (self.json, self.is_terminal) {
            (true, _) => {}
            (false, true) => {
                let width = show::width().saturating_sub(1);
                out!("{CLEAR_LINE}{}", text.chars().take(width).collect::<String>());
            }
            (false, false) => outln!("{text}"),
        }
    }

    /// A sentence that stays.
    fn say(&self, text: &str) {
        self.end();
        if !self.json {
            outln!("{}", show::wrapped(text, ""));
        }
    }

    /// Ends the line that is overwritten.
    fn end(&self) {
        if self.is_terminal && !self.json {
            out!("{CLEAR_LINE}");
        }
    }
}

fn rate_in_words(rate: f64) -> String {
    match rate {
        1.0 => "1 request per second".to_owned(),
        _ => format!("{rate} requests per second"),
    }
}
