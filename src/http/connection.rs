//! Connection: a stream whose client has to send each request head in time.
//!
//! actix limits the time for the first head of a connection only. This stream follows heads and answers, and fails
//! when a later head is late. A failed stream is closed.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::time::Sleep;
use tokio::time::sleep;

use crate::service::clock::Clock;

/// How long a client may take to send the head of a request.
pub(super) const HEAD_DEADLINE: Duration = Duration::from_secs(5);

/// How long an idle connection stays open.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Lets actix, which can answer 408 or close in peace, be the first to act.
const MARGIN: Duration = Duration::from_secs(1);

/// A connection with a deadline for each head.
pub(super) struct Connection<S> {
    stream: S,
    progress: Progress,
    clock: Arc<dyn Clock>,
    timer: Pin<Box<Sleep>>,
}

/// What a connection waits for.
struct Progress {
    waits_for: WaitsFor,
    line: Line,
    /// When the client is late, by the steady clock; `None` while the server has to act.
    deadline: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WaitsFor {
    /// The first byte of a head.
    Request,
    /// The rest of a head.
    Head,
    /// The answer, and perhaps the body, which has a deadline of its own.
    Answer,
}

/// The current line of a head. An empty line ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// Nothing but line breaks so far.
    BeforeFirst,
    Empty,
    Text,
}

impl Progress {
    fn new(now: Duration) -> Progress {
        let deadline = Some(now + HEAD_DEADLINE + MARGIN);
        Progress { waits_for: WaitsFor::Head, line: Line::BeforeFirst, deadline }
    }

    /// Follows bytes from the client. Returns whether the deadline is earlier than before.
    fn read(&mut self, bytes: &[u8], now: Duration) -> bool {
        if self.waits_for == WaitsFor::Answer || bytes.is_empty() {
            return false;
        }
        for byte in bytes {
            self.line = match (byte, self.line) {
                (b'\r', line) => line,
                (b'\n', Line::BeforeFirst) => Line::BeforeFirst,
                (b'\n', Line::Text) => Line::Empty,
                (b'\n', Line::Empty) => {
                    self.waits_for = WaitsFor::Answer;
                    self.deadline = None;
                    return false;
                }
                (_, _) => Line::Text,
            };
        }
        let is_first = self.waits_for == WaitsFor::Request;
        if is_first {
            self.waits_for = WaitsFor::Head;
            self.deadline = Some(now + HEAD_DEADLINE + MARGIN);
        }
        is_first
    }

    /// Follows bytes to the client.
    fn wrote(&mut self, bytes: &[u8], now: Duration) {
        // An interim answer asks for the body.
        if bytes.starts_with(b"HTTP/1.1 100 ") {
            return;
        }
        self.waits_for = WaitsFor::Request;
        self.line = Line::BeforeFirst;
        // Bounds heads that began before this answer, too.
        self.deadline = Some(now + KEEP_ALIVE + HEAD_DEADLINE + MARGIN);
    }
}

impl<S> Connection<S> {
    pub(super) fn new(stream: S, clock: Arc<dyn Clock>) -> Connection<S> {
        let progress = Progress::new(clock.steady());
        Connection { stream, progress, clock, timer: Box::pin(sleep(HEAD_DEADLINE + MARGIN)) }
    }

    /// Whether the client is late. Otherwise the task is woken when it may be.
    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        while self.timer.as_mut().poll(context).is_ready() {
            let now = self.clock.steady();
            let left = self.progress.deadline.map(|deadline| deadline.saturating_sub(now));
            match left {
                Some(Duration::ZERO) => return true,
                // The timer is set lazily: most deadlines are replaced long before they pass.
                Some(left) => self.timer.set(sleep(left)),
                None => self.timer.set(sleep(KEEP_ALIVE)),
            }
        }
        false
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        match read {
            Poll::Pending if this.is_late(context) => {
                Poll::Ready(Err(io::Error::from(io::ErrorKind::TimedOut)))
            }
            Poll::Ready(Ok(())) => {
                let bytes = buffer.filled().get(before..).unwrap_or_default();
                if this.progress.waits_for != WaitsFor::Answer
                    && this.progress.read(bytes, this.clock.steady())
                {
                    this.timer.set(sleep(HEAD_DEADLINE + MARGIN));
                }
                read
            }
            Poll::Pending | Poll::Ready(Err(_)) => read,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        if matches!(written, Poll::Ready(Ok(_))) {
            this.progress.wrote(bytes, this.clock.steady());
        }
        written
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";
    const HEAD: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

    /// Seconds until the client is late after these bytes.
    fn left(progress: &Progress, now: Duration) -> Option<u64> {
        progress.deadline.map(|deadline| (deadline - now).as_secs())
    }

    #[test]
    fn every_head_has_a_deadline_and_no_answer_has_one() {
        let now = Duration::from_secs(100);
        let mut progress = Progress::new(now);
        assert_eq!(left(&progress, now), Some(6), "the first head");
        progress.read(HEAD, now);
        assert_eq!(left(&progress, now), None, "the answer");
        progress.wrote(ANSWER, now);
        assert_eq!(left(&progress, now), Some(81), "idle");
        assert!(progress.read(&HEAD[..3], now));
        assert_eq!(left(&progress, now), Some(6), "the second head");
        assert!(!progress.read(&HEAD[3..9], now + Duration::from_secs(4)));
        assert_eq!(left(&progress, now), Some(6), "further bytes do not extend it");
        progress.read(&HEAD[9..], now);
        assert_eq!(left(&progress, now), None);
    }

    #[test]
    fn line_breaks_alone_are_no_head_and_bare_ones_end_one() {
        let now = Duration::from_secs(100);
        let mut progress = Progress::new(now);
        progress.read(b"\r\n\r\n\r\n", now);
        assert_eq!(left(&progress, now), Some(6));
        progress.read(b"GET / HTTP/1.1\nhost: x\n\n", now);
        assert_eq!(left(&progress, now), None);
    }

    #[test]
    fn a_body_that_the_server_asks_for_is_no_head() {
        let now = Duration::from_secs(100);
        let mut progress = Progress::new(now);
        progress.read(HEAD, now);
        progress.wrote(b"HTTP/1.1 100 Continue\r\n\r\n", now);
        progress.read(b"{\"features\"", now);
        assert_eq!(left(&progress, now), None);
    }

    #[test]
    fn a_head_that_began_before_an_answer_has_a_deadline() {
        let now = Duration::from_secs(100);
        let mut progress = Progress::new(now);
        progress.read(&[HEAD, &HEAD[..5]].concat(), now);
        progress.wrote(ANSWER, now);
        assert_eq!(left(&progress, now), Some(81));
    }
}
