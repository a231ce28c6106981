//! Connection: a stream whose client has to send each request head in time.
//!
//! actix limits the time for the first head of a connection only. This stream follows bytes and the requests under way,
//! and fails when a later head is late. A failed stream is closed.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::time::Sleep;
use tokio::time::sleep;

use super::departure::Departure;
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
    under_way: UnderWay,
    departure: Departure,
    clock: Arc<dyn Clock>,
    timer: Timer,
}

/// Wakes the connection's task no later than its deadline. It is set as rarely as possible: most deadlines are replaced
/// long before they pass.
struct Timer {
    sleep: Pin<Box<Sleep>>,
    /// When it wakes, by the steady clock.
    at: Duration,
    /// Whom it wakes; `None` until it is set.
    wakes: Option<Waker>,
}

impl Timer {
    fn new(now: Duration, after: Duration) -> Timer {
        Timer { sleep: Box::pin(sleep(after)), at: now + after, wakes: None }
    }

    fn set(&mut self, now: Duration, after: Duration) {
        self.sleep.set(sleep(after));
        (self.at, self.wakes) = (now + after, None);
    }

    /// Whether it is over. Otherwise the task is woken then.
    fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        let is_set = self.wakes.as_ref().is_some_and(|waker| waker.will_wake(context.waker()));
        // Cheaper than to set it again for the same task.
        if is_set && !self.sleep.is_elapsed() {
            return false;
        }
        self.wakes = Some(context.waker().clone());
        self.sleep.as_mut().poll(context).is_ready()
    }
}

/// The requests of a connection that are being handled. A client may send the next head, and even its body, before it
/// has an answer, so bytes alone do not tell what is being waited for.
#[derive(Clone, Default)]
pub(super) struct UnderWay(Rc<Cell<usize>>);

/// One request, from its head until its answer is known.
pub(super) struct Handled(UnderWay);

impl UnderWay {
    /// A head has arrived.
    pub(super) fn begin(&self) -> Handled {
        self.0.update(|requests| requests + 1);
        Handled(self.clone())
    }

    fn any(&self) -> bool {
        self.0.get() > 0
    }
}

impl Drop for Handled {
    fn drop(&mut self) {
        self.0.0.update(|requests| requests.saturating_sub(1));
    }
}

/// What a connection waits for.
struct Progress {
    waits_for: WaitsFor,
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

impl Progress {
    fn new(now: Duration) -> Progress {
        Progress { waits_for: WaitsFor::Head, deadline: Some(now + HEAD_DEADLINE + MARGIN) }
    }

    /// A head has arrived whole, and its request is under way.
    fn answering(&mut self) {
        self.waits_for = WaitsFor::Answer;
        self.deadline = None;
    }

    /// Follows bytes from the client.
    fn read(&mut self, now: Duration) {
        if self.waits_for == WaitsFor::Request {
            self.waits_for = WaitsFor::Head;
            self.deadline = Some(now + HEAD_DEADLINE + MARGIN);
        }
    }

    /// Follows bytes to the client while no request is under way.
    fn wrote(&mut self, now: Duration) {
        self.waits_for = WaitsFor::Request;
        // Bounds heads that began before this answer, too.
        self.deadline = Some(now + KEEP_ALIVE + HEAD_DEADLINE + MARGIN);
    }
}

impl<S> Connection<S> {
    pub(super) fn new(stream: S, clock: Arc<dyn Clock>) -> Connection<S> {
        let now = clock.steady();
        let (progress, timer) = (Progress::new(now), Timer::new(now, HEAD_DEADLINE + MARGIN));
        let (under_way, departure) = (UnderWay::default(), Departure::default());
        Connection { stream, progress, under_way, departure, clock, timer }
    }

    /// Its requests under way, for those who handle them.
    pub(super) fn under_way(&self) -> UnderWay {
        self.under_way.clone()
    }

    /// Whether its client leaves, for those who handle its requests.
    pub(super) fn departure(&self) -> Departure {
        self.departure.clone()
    }

    /// Whether the client is late. Otherwise the task is woken when it may be.
    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        // Only a head that did not arrive at once needs an earlier timer than the one of the idle connection.
        if self.progress.deadline.is_some_and(|deadline| deadline < self.timer.at) {
            self.set_timer(self.clock.steady());
        }
        while self.timer.is_over(context) {
            let now = self.clock.steady();
            if self.progress.deadline.is_some_and(|deadline| deadline <= now) {
                return true;
            }
            self.set_timer(now);
        }
        false
    }

    fn set_timer(&mut self, now: Duration) {
        let left = self.progress.deadline.map(|deadline| deadline.saturating_sub(now));
        self.timer.set(now, left.unwrap_or(KEEP_ALIVE));
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.under_way.any() {
            this.progress.answering();
        }
        let (before, has_room) = (buffer.filled().len(), buffer.remaining() > 0);
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        match read {
            Poll::Pending if this.is_late(context) => {
                Poll::Ready(Err(io::Error::from(io::ErrorKind::TimedOut)))
            }
            Poll::Ready(Ok(())) => {
                if has_room && buffer.filled().len() == before {
                    this.departure.happens();
                }
                if this.progress.waits_for == WaitsFor::Request && buffer.filled().len() > before {
                    this.progress.read(this.clock.steady());
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
        // With a request under way these are the answer before it, or an interim one that asks for its body. A client
        // that does not read its answer has the same deadline, from the first write that it delays.
        let delays = written.is_pending() && this.progress.waits_for == WaitsFor::Answer;
        if (matches!(written, Poll::Ready(Ok(_))) || delays) && !this.under_way.any() {
            this.progress.wrote(this.clock.steady());
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
    use crate::service::clock::SystemClock;

    /// Seconds until the client is late.
    fn left(progress: &Progress, now: Duration) -> Option<u64> {
        progress.deadline.map(|deadline| (deadline - now).as_secs())
    }

    #[test]
    fn every_head_has_a_deadline_and_no_answer_has_one() {
        let now = Duration::from_secs(100);
        let mut progress = Progress::new(now);
        assert_eq!(left(&progress, now), Some(6), "the first head");
        progress.read(now + Duration::from_secs(4));
        assert_eq!(left(&progress, now), Some(6), "bytes do not extend it");
        progress.answering();
        assert_eq!(left(&progress, now), None, "the answer");
        progress.wrote(now);
        assert_eq!(left(&progress, now), Some(81), "idle, or a head that began before the answer");
        progress.read(now);
        assert_eq!(left(&progress, now), Some(6), "the second head");
        progress.read(now + Duration::from_secs(4));
        assert_eq!(left(&progress, now), Some(6), "further bytes do not extend it");
        progress.answering();
        assert_eq!(left(&progress, now), None);
    }

    /// A stream that takes everything and always has a byte.
    struct Endless;

    impl AsyncRead for Endless {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            buffer.put_slice(b"x");
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Endless {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn the_body_of_the_next_request_is_no_head() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _inside = runtime.enter();
        let mut connection = Connection::new(Endless, Arc::new(SystemClock::default()));
        let mut context = Context::from_waker(Waker::noop());
        let mut read = |connection: &mut Connection<Endless>| {
            let mut bytes = [0; 4];
            let mut bytes = ReadBuf::new(&mut bytes);
            assert!(Pin::new(&mut *connection).poll_read(&mut context, &mut bytes).is_ready());
            connection.progress.waits_for
        };
        let write = |connection: &mut Connection<Endless>| {
            let mut context = Context::from_waker(Waker::noop());
            assert!(Pin::new(&mut *connection).poll_write(&mut context, b"answer").is_ready());
        };
        let requests = connection.under_way();
        let first = requests.begin();
        assert_eq!(read(&mut connection), WaitsFor::Answer);
        // Its answer is known, and the next request has begun before it is written.
        drop(first);
        let second = requests.begin();
        write(&mut connection);
        assert_eq!(read(&mut connection), WaitsFor::Answer);
        drop(second);
        write(&mut connection);
        assert_eq!(read(&mut connection), WaitsFor::Head);
        // Or it begins once the answer is written.
        let _third = requests.begin();
        assert_eq!(read(&mut connection), WaitsFor::Answer);
        assert_eq!(connection.progress.deadline, None);
    }
}
