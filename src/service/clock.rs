//! Clock: the only place that reads the machine's time.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use jiff::Timestamp;

/// Time: the wall clock for people, a steady one for durations.
pub trait Clock: Send + Sync {
    /// The time since some fixed moment; it never goes back.
    fn steady(&self) -> Duration;

    /// The date and time.
    fn wall(&self) -> Timestamp;
}

/// The machine's clock.
pub struct SystemClock {
    origin: Instant,
}

impl Default for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one clock that may ask")]
    fn default() -> SystemClock {
        SystemClock { origin: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn steady(&self) -> Duration {
        self.origin.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one clock that may ask")]
    fn wall(&self) -> Timestamp {
        let now = Timestamp::now();
        // To the millisecond; more digits would be noise.
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }
}

/// A clock that stands still until it is advanced, for tests.
pub struct ManualClock {
    begin: Timestamp,
    nanoseconds: AtomicU64,
}

impl ManualClock {
    /// A clock that shows `begin`.
    pub fn new(begin: Timestamp) -> ManualClock {
        ManualClock { begin, nanoseconds: AtomicU64::new(0) }
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(by, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn steady(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds.load(Ordering::SeqCst))
    }

    fn wall(&self) -> Timestamp {
        self.begin.saturating_add(self.steady()).unwrap_or(Timestamp::MAX)
    }
}
