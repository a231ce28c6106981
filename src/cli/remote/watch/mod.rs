//! `serin status --watch` on a terminal: the page of the server as a full screen, drawn anew as it changes.
//!
//! - `screen`: the terminal: keys, size, what is drawn, and its restoration.
//! - `view`: the lines of a screen, a pure function of what was answered and of the size.
//! - `table`: the metrics with their bars; `bars`: intervals and shares in characters.

mod bars;
mod canvas;
mod screen;
mod table;
mod view;
#[cfg(test)]
mod view_tests;

use std::io;
use std::process::ExitCode;
use std::sync::mpsc;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::Sender;
use std::time::Duration;

use anyhow::Context;
use rustix::process::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

use self::screen::Key;
use self::screen::Screen;
use self::view::Seen;
use self::view::Stale;
use self::view::View;
use super::client::Client;
use super::client::Reply;
use super::client::ServerArgs;
use crate::service::clock::Clock as _;
use crate::service::clock::SystemClock;
use crate::service::status::Status;
use crate::service::status::history::History;

pub(super) use self::screen::is_possible;

/// Between two questions.
const PAUSE: Duration = Duration::from_secs(1);

/// An answer older than this is stale, even if the next one may still come.
const STALE_AFTER: Duration = Duration::from_secs(4);

/// Entries of the journal that are asked for: more than lines of most terminals.
const ENTRIES: usize = 50;

/// What the threads that wait tell the one that draws.
enum News {
    Seen(Box<Seen>),
    /// Why there was no answer.
    NoAnswer(String),
    /// A signal that ends the process.
    End,
    /// A signal that stops the process until it goes on.
    Suspend,
    /// The process goes on after it was stopped.
    Continued,
}

/// Shows the status until `q`, Ctrl-C or a signal.
///
/// # Errors
/// When the server does not answer at first, or the terminal cannot be used.
pub(super) fn run(args: &ServerArgs) -> anyhow::Result<ExitCode> {
    let client = args.client();
    let mut seen = ask(&client, args, None)?;
    let (send, news) = mpsc::channel();
    follow(client, args.clone(), seen.clone(), send.clone());
    hear_signals(send);
    let mut screen = Screen::open().context("the terminal cannot be used")?;
    let clock = SystemClock::default();
    let (mut answered, mut failure) = (clock.steady(), None);
    loop {
        for one in newest(&news) {
            match one {
                News::Seen(newer) => (seen, answered, failure) = (*newer, clock.steady(), None),
                News::NoAnswer(why) => failure = Some(why),
                News::End => return Ok(ExitCode::SUCCESS),
                News::Suspend => screen.suspend()?,
                News::Continued => screen.take_over()?,
            }
        }
        let age = clock.steady().saturating_sub(answered);
        let is_stale = failure.is_some() || age > STALE_AFTER;
        let stale = is_stale.then(|| Stale { seconds: age.as_secs(), why: failure.clone() });
        let view = View { seen: &seen, server: &args.url, stale };
        screen.draw(|canvas| view.lines(canvas))?;
        match screen.key()? {
            Some(Key::Leave) => return Ok(ExitCode::SUCCESS),
            Some(Key::Suspend) => screen.suspend()?,
            None => {}
        }
    }
}

/// All that has come in.
fn newest(news: &Receiver<News>) -> Vec<News> {
    let mut all = Vec::new();
    loop {
        match news.try_recv() {
            Ok(one) => all.push(one),
            Err(mpsc::TryRecvError::Empty) => return all,
            // Only a panic ends the threads that send.
            Err(mpsc::TryRecvError::Disconnected) => return vec![News::End],
        }
    }
}

/// The status, and the journal if it has grown.
fn ask(client: &Client, args: &ServerArgs, before: Option<&Seen>) -> anyhow::Result<Seen> {
    let status: Status = client.get("/admin/status").and_then(Reply::done)?;
    let history = match before.filter(|before| before.status.revision == status.revision) {
        Some(before) => before.history.clone(),
        None => {
            let path = format!("/admin/history?limit={ENTRIES}");
            client.get(&path).and_then(Reply::done::<History>)?.entries
        }
    };
    let times = args.times(status.at);
    Ok(Seen { status, history, times })
}

/// Asks once a second, for as long as someone listens.
fn follow(client: Client, args: ServerArgs, mut seen: Seen, send: Sender<News>) {
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(PAUSE);
            let one = match ask(&client, &args, Some(&seen)) {
                Ok(newer) => {
                    seen = newer;
                    News::Seen(Box::new(seen.clone()))
                }
                Err(error) => News::NoAnswer(format!("{error:#}")),
            };
            if send.send(one).is_err() {
                return;
            }
        }
    });
}

/// Lets signals end or stop the loop, which restores the terminal before.
fn hear_signals(send: Sender<News>) {
    std::thread::spawn(move || -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let of = |kind: Signal| signal(SignalKind::from_raw(kind.as_raw()));
            let mut suspend = of(Signal::TSTP)?;
            let mut continued = of(Signal::CONT)?;
            let mut terminate = of(Signal::TERM)?;
            let mut hangup = of(Signal::HUP)?;
            let mut interrupt = of(Signal::INT)?;
            let mut quit = of(Signal::QUIT)?;
            loop {
                let one = tokio::select! {
                    _ = suspend.recv() => News::Suspend,
                    _ = continued.recv() => News::Continued,
                    _ = terminate.recv() => News::End,
                    _ = hangup.recv() => News::End,
                    _ = interrupt.recv() => News::End,
                    _ = quit.recv() => News::End,
                };
                // Fails only if the loop has ended already.
                if send.send(one).is_err() {
                    return io::Result::Ok(());
                }
            }
        })
    });
}
