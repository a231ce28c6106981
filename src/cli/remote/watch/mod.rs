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
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

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
    Stop,
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
    stop_on_signals(send);
    let mut screen = Screen::open().context("the terminal cannot be used")?;
    let clock = SystemClock::default();
    let (mut answered, mut failure) = (clock.steady(), None);
    loop {
        for one in newest(&news) {
            match one {
                News::Seen(newer) => (seen, answered, failure) = (*newer, clock.steady(), None),
                News::NoAnswer(why) => failure = Some(why),
                News::Stop => return Ok(ExitCode::SUCCESS),
            }
        }
        let age = clock.steady().saturating_sub(answered);
        let is_stale = failure.is_some() || age > STALE_AFTER;
        let stale = is_stale.then(|| Stale { seconds: age.as_secs(), why: failure.clone() });
        let view = View { seen: &seen, server: &args.url, stale };
        screen.draw(|canvas| view.lines(canvas))?;
        if screen.is_left()? {
            return Ok(ExitCode::SUCCESS);
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
            Err(mpsc::TryRecvError::Disconnected) => return vec![News::Stop],
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

/// Lets SIGTERM and SIGHUP end the loop, which restores the terminal.
fn stop_on_signals(send: Sender<News>) {
    std::thread::spawn(move || -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut terminate = signal(SignalKind::terminate())?;
            let mut hangup = signal(SignalKind::hangup())?;
            let mut interrupt = signal(SignalKind::interrupt())?;
            let mut quit = signal(SignalKind::quit())?;
            tokio::select! {
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
                _ = interrupt.recv() => {}
                _ = quit.recv() => {}
            }
            io::Result::Ok(())
        })?;
        // Fails only if the loop has ended already.
        let _ = send.send(News::Stop);
        Ok(())
    });
}
