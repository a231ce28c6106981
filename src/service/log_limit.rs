//! Log limit: one line in ten seconds for trouble that anyone can cause, with the number of times.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

const INTERVAL: Duration = Duration::from_secs(10);

/// Limits one line of the log.
#[derive(Default)]
pub struct LogLimit {
    /// Milliseconds of the steady clock from which the next line may be written.
    next: AtomicU64,
    /// Times since the last line.
    count: AtomicU64,
}

impl LogLimit {
    /// A limit that lets the first line through.
    pub const fn new() -> LogLimit {
        LogLimit { next: AtomicU64::new(0), count: AtomicU64::new(0) }
    }

    /// Counts one time; if a line is due, how often it happened since the last line.
    pub fn due(&self, now: Duration) -> Option<u64> {
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let relaxed = Ordering::Relaxed;
        self.count.fetch_add(1, relaxed);
        let (now, next) = (milliseconds(now), milliseconds(now.saturating_add(INTERVAL)));
        let due = self.next.load(relaxed);
        let is_due = now >= due && self.next.compare_exchange(due, next, relaxed, relaxed).is_ok();
        is_due.then(|| self.count.swap(0, relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_trouble_is_one_line_in_ten_seconds_with_its_count() {
        let limit = LogLimit::new();
        let at = |seconds| limit.due(Duration::from_secs(seconds));
        assert_eq!(at(3), Some(1));
        assert_eq!([at(3), at(4), at(12)], [None; 3]);
        assert_eq!(at(13), Some(4));
        assert_eq!(at(14), None);
    }
}
