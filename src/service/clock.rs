//! Clock: the only place that reads the machine's time.
//!
//! The machine's date may jump: NTP corrects it, a person sets it, a virtual machine wakes up. Then a bake time must
//! not be skipped and a warm-up must not last for hours. So serin's date continues steadily while anything waits, and
//! follows the machine's date in between. Replicas that share a database follow the date of the database instead.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use jiff::Timestamp;

use crate::store::Steady;

/// Time: the wall clock for people, a steady one for durations.
pub trait Clock: Send + Sync {
    /// The time since some fixed moment; it never goes back.
    fn steady(&self) -> Duration;

    /// The date and time. As steady as [`steady`](Self::steady) until [`set`](Self::set) is called.
    fn wall(&self) -> Timestamp;

    /// The machine's date.
    fn machine(&self) -> Timestamp;

    /// Goes on from this date. To be called while nothing waits.
    fn set(&self, date: Timestamp);
}

/// The machine's clock.
pub struct SystemClock {
    origin: Instant,
    /// The date at the origin, in milliseconds; more digits would be noise.
    origin_ms: AtomicI64,
}

impl Default for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one clock that may ask")]
    fn default() -> SystemClock {
        let clock = SystemClock { origin: Instant::now(), origin_ms: AtomicI64::new(0) };
        clock.set(clock.machine());
        clock
    }
}

/// The machine's steady clock, for a store.
pub fn steady() -> Steady {
    let clock = SystemClock::default();
    Arc::new(move || clock.steady())
}

/// The date, given that at the origin and the time since.
fn date(origin_ms: i64, since: Duration) -> Timestamp {
    let origin = Timestamp::from_millisecond(origin_ms).unwrap_or(Timestamp::MAX);
    let since = Duration::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
    origin.saturating_add(since).unwrap_or(Timestamp::MAX)
}

/// The date at the origin, given that now.
fn origin_ms(now: Timestamp, since: Duration) -> i64 {
    let since = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    now.as_millisecond().saturating_sub(since)
}

impl Clock for SystemClock {
    fn steady(&self) -> Duration {
        self.origin.elapsed()
    }

    fn wall(&self) -> Timestamp {
        date(self.origin_ms.load(Ordering::Relaxed), self.steady())
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one clock that may ask")]
    fn machine(&self) -> Timestamp {
        Timestamp::now()
    }

    fn set(&self, date: Timestamp) {
        self.origin_ms.store(origin_ms(date, self.steady()), Ordering::Relaxed);
    }
}

/// A clock that stands still until it is advanced, for tests.
pub struct ManualClock {
    nanoseconds: AtomicU64,
    origin_ms: AtomicI64,
    /// The machine's date at the origin.
    machine_ms: AtomicI64,
}

impl ManualClock {
    /// A clock that shows `begin`.
    pub fn new(begin: Timestamp) -> ManualClock {
        let begin_ms = begin.as_millisecond();
        ManualClock {
            nanoseconds: AtomicU64::new(0),
            origin_ms: begin_ms.into(),
            machine_ms: begin_ms.into(),
        }
    }

    /// Moves the machine's date forward or back.
    pub fn move_machine(&self, by_ms: i64) {
        self.machine_ms.fetch_add(by_ms, Ordering::SeqCst);
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
        date(self.origin_ms.load(Ordering::SeqCst), self.steady())
    }

    fn machine(&self) -> Timestamp {
        date(self.machine_ms.load(Ordering::SeqCst), self.steady())
    }

    fn set(&self, date: Timestamp) {
        self.origin_ms.store(origin_ms(date, self.steady()), Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_does_not_jump_before_it_follows_the_machine() {
        let begin = Timestamp::from_second(1_800_000_000).unwrap();
        let after = |seconds: i64| Timestamp::from_second(1_800_000_000 + seconds).unwrap();
        let clock = ManualClock::new(begin);
        for (set, followed) in [(7200, 7210), (-14400, -7180)] {
            let before = clock.wall();
            clock.move_machine(set * 1000);
            assert_eq!(clock.wall(), before);
            clock.advance(Duration::from_secs(10));
            assert_eq!(clock.wall().duration_since(before).as_secs(), 10);
            clock.set(clock.machine());
            assert_eq!(clock.wall(), after(followed));
        }
        clock.set(after(50));
        assert_eq!(clock.wall(), after(50));
    }

    #[test]
    fn the_system_clock_shows_the_date_of_the_machine() {
        let clock = SystemClock::default();
        let before = clock.wall();
        assert!(before > Timestamp::from_second(1_700_000_000).unwrap());
        clock.set(before.saturating_add(Duration::from_secs(60)).unwrap());
        assert!(clock.wall() >= before.saturating_add(Duration::from_secs(60)).unwrap());
    }
}
