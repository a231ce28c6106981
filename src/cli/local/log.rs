//! Log of `serin serve`: lines are queued, and a thread of its own writes them.
//!
//! Standard error may stop accepting lines: Ctrl-S in the terminal, a pager, a stuck log driver. The server must not
//! wait for it, so lines that do not fit into the queue are dropped and counted. The count is logged once lines can be
//! written again.

use std::io;
use std::io::IsTerminal as _;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::SyncSender;
use std::sync::mpsc::TrySendError;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use clap::ValueEnum;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Lines that wait to be written: a burst of commands, and less than 1 MB.
const QUEUE: usize = 1024;

/// How long the end of the process waits for the last lines.
const PATIENCE: Duration = Duration::from_millis(500);

/// The format of log lines.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogFormat {
    /// Readable lines
    Text,
    /// JSON lines
    Json,
}

/// The log. Dropping it writes the lines that still wait, for at most [`PATIENCE`].
pub(crate) struct Log {
    queue: Queue,
}

impl Log {
    /// Starts the log of this process on standard error. A panic becomes a line of it.
    ///
    /// # Errors
    /// When the operating system refuses the thread.
    pub(crate) fn start(level: LevelFilter, format: LogFormat) -> io::Result<Log> {
        // Libraries log warnings and errors only.
        let quiet = level.min(LevelFilter::WARN);
        // Anyone can send malformed requests: a line for each would let them fill the disk.
        let malformed = if level >= LevelFilter::DEBUG { level } else { LevelFilter::OFF };
        let filter = Targets::new()
            .with_default(quiet)
            .with_target("actix_http", malformed)
            .with_target("serin", level);
        let queue = Queue::start(io::stderr(), QUEUE, |lines| {
            tracing::error!(
                lines,
                "log lines were dropped because standard error did not accept them"
            );
        })?;
        let lines = tracing_subscriber::fmt::layer().with_target(false).with_writer(queue.clone());
        let log = tracing_subscriber::registry().with(filter);
        let started = match format {
            LogFormat::Text => log.with(lines.with_ansi(io::stderr().is_terminal())).try_init(),
            LogFormat::Json => log.with(lines.json()).try_init(),
        };
        // Fails only if another server in this process has started the log.
        debug_assert!(started.is_ok(), "the log was started twice");
        // The default hook waits for standard error, whatever locks its thread holds.
        std::panic::set_hook(Box::new(|panic| tracing::error!("bug: {panic}")));
        Ok(Log { queue })
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.queue.flush(PATIENCE);
    }
}

/// The sending end of the queue. Writing to it never waits.
#[derive(Clone)]
struct Queue {
    sender: SyncSender<Message>,
    /// Lines dropped since the start. Written by whatever thread logs, read by the writing thread.
    dropped: Arc<AtomicU64>,
}

enum Message {
    Line(Vec<u8>),
    /// Answered once all lines before it are written.
    Flush(SyncSender<()>),
}

impl Queue {
    /// Starts the thread that writes to `out`, and logs how many lines were dropped.
    fn start(
        out: impl Write + Send + 'static,
        capacity: usize,
        report: impl Fn(u64) + Send + 'static,
    ) -> io::Result<Queue> {
        let (sender, waiting) = sync_channel(capacity);
        let dropped = Arc::<AtomicU64>::default();
        let queue = Queue { sender, dropped: dropped.clone() };
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_all(out, &waiting, &dropped, report))?;
        Ok(queue)
    }

    /// Waits until the lines so far are written, and how many were dropped, at most for so long.
    fn flush(&self, mut patience: Duration) {
        const STEP: Duration = Duration::from_millis(5);
        // The first round may log how many were dropped, and the second one waits for that line.
        for _ in 0..2 {
            let (done, written) = sync_channel(1);
            // The queue may be full.
            while let Err(TrySendError::Full(_)) =
                self.sender.try_send(Message::Flush(done.clone()))
            {
                if patience.is_zero() {
                    return;
                }
                std::thread::sleep(STEP);
                patience = patience.saturating_sub(STEP);
            }
            // If the time is over, standard error accepts no lines, and no place is left to say so.
            if written.recv_timeout(patience).is_err() {
                return;
            }
        }
    }
}

/// Writes lines until the process ends. A line that fails to write is lost, because there is nowhere else to report it.
fn write_all(
    mut out: impl Write,
    waiting: &Receiver<Message>,
    dropped: &AtomicU64,
    report: impl Fn(u64),
) {
    let mut reported = 0;
    for message in waiting {
        let flushed = match message {
            Message::Line(line) => {
                let _ = out.write_all(&line);
                None
            }
            Message::Flush(done) => {
                let _ = out.flush();
                Some(done)
            }
        };
        let lost = dropped.load(Ordering::Relaxed);
        if lost > reported {
            report(lost - reported);
            // If this line was dropped as well, the next one counts both.
            if dropped.load(Ordering::Relaxed) == lost {
                reported = lost;
            }
        }
        // Only now, so that a thread that waits for the flush finds the report in the queue.
        if let Some(done) = flushed {
            let _ = done.try_send(());
        }
    }
}

impl Write for Queue {
    /// Takes one line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.sender.try_send(Message::Line(line.to_vec())).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Queue {
    type Writer = Queue;

    fn make_writer(&self) -> Queue {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use super::*;
    use parking_lot::Mutex;

    /// Accepts a line only while nothing else holds it.
    #[derive(Clone, Default)]
    struct Terminal(Arc<Mutex<Vec<u8>>>);

    impl Write for Terminal {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.lock().write(line)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_written_in_order_and_a_flush_waits_for_them() {
        let terminal = Terminal::default();
        let mut queue = Queue::start(terminal.clone(), 100, |_| {}).unwrap();
        (0..50).for_each(|line| queue.write_all(format!("{line}\n").as_bytes()).unwrap());
        queue.flush(Duration::from_secs(60));
        let written = String::from_utf8(terminal.0.lock().clone()).unwrap();
        let expected: String = (0..50).map(|line| format!("{line}\n")).collect();
        assert_eq!(written, expected);
        assert_eq!(queue.dropped.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_terminal_that_stops_reading_costs_lines_and_no_time() {
        let terminal = Terminal::default();
        let stopped = terminal.0.lock();
        let mut queue = Queue::start(terminal.clone(), 10, |_| {}).unwrap();
        for _ in 0..30 {
            queue.write_all(b"line\n").unwrap();
        }
        // Ten wait, and the thread may have taken one more.
        let dropped = queue.dropped.load(Ordering::Relaxed);
        assert!((19..=20).contains(&dropped), "{dropped}");
        queue.flush(Duration::from_millis(20));
        drop(stopped);
        queue.flush(Duration::from_secs(60));
        assert_eq!(terminal.0.lock().len() as u64, (30 - dropped) * 5);
    }

    #[test]
    fn the_end_waits_for_the_number_of_dropped_lines() {
        let terminal = Terminal::default();
        let stopped = terminal.0.lock();
        let own = Arc::<OnceLock<Queue>>::default();
        let logs = own.clone();
        let report = move |lines| {
            let mut queue = logs.get().unwrap().clone();
            queue.write_all(format!("{lines} dropped\n").as_bytes()).unwrap();
        };
        let mut queue = Queue::start(terminal.clone(), 10, report).unwrap();
        assert!(own.set(queue.clone()).is_ok());
        for _ in 0..30 {
            queue.write_all(b"line\n").unwrap();
        }
        drop(stopped);
        queue.flush(Duration::from_secs(60));
        let written = String::from_utf8(terminal.0.lock().clone()).unwrap();
        let reported = written.lines().filter_map(|line| line.strip_suffix(" dropped"));
        let reported: u64 = reported.map(|lines| lines.parse::<u64>().unwrap()).sum();
        // A report may itself be dropped, and is then part of the next one.
        assert_eq!(reported, queue.dropped.load(Ordering::Relaxed), "{written}");
        assert!(reported > 0, "{written}");
    }
}
