//! Wakeups for threads that sleep until there is work.

use std::time::Duration;

use parking_lot::Condvar;
use parking_lot::Mutex;

/// Wakes every thread that waits on it.
#[derive(Default)]
pub struct Wakeup {
    /// How often it was signaled. Written by any thread that has work for others. A mutex, because the
    /// condition variable needs one; it is held for a few instructions.
    signals: Mutex<u64>,
    signaled: Condvar,
}

impl Wakeup {
    /// Wakes all that wait, and keeps those from falling asleep that have not seen this signal.
    pub fn wake(&self) {
        *self.signals.lock() += 1;
        self.signaled.notify_all();
    }

    /// How often it was signaled so far. Read before looking for work, so that a signal in between is
    /// not missed.
    pub fn signals(&self) -> u64 {
        *self.signals.lock()
    }

    /// Sleeps until there are more signals than `seen`, at most for so long.
    pub fn wait(&self, seen: u64, at_most: Duration) {
        let mut signals = self.signals.lock();
        if *signals == seen {
            self.signaled.wait_for(&mut signals, at_most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_before_the_wait_is_not_missed() {
        let wakeup = Wakeup::default();
        let seen = wakeup.signals();
        wakeup.wake();
        wakeup.wait(seen, Duration::from_secs(3600));
        assert_eq!(wakeup.signals(), seen + 1);
    }
}
