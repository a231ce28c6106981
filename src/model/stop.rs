//! Stop: ends a prediction from another thread.

use std::fmt;

use parking_lot::Mutex;

/// A signal to end one prediction whose answer no longer matters.
///
/// Models of serin's own evaluators end by themselves and ignore it. A model that another library runs
/// tells how to end a run.
#[derive(Default)]
pub struct Stop(Mutex<State>);

#[derive(Default)]
enum State {
    #[default]
    Open,
    /// A run is under way, with the means to end it.
    Running(Box<dyn Fn() + Send>),
    Stopped,
}

impl Stop {
    /// Ends the run that is under way, and every later one.
    pub fn now(&self) {
        let before = std::mem::replace(&mut *self.0.lock(), State::Stopped);
        if let State::Running(end) = before {
            end();
        }
    }

    /// Does this work, which `end` ends from another thread. `None`: it was stopped before.
    pub fn during<T>(
        &self,
        end: impl Fn() + Send + 'static,
        work: impl FnOnce() -> T,
    ) -> Option<T> {
        match &mut *self.0.lock() {
            State::Stopped => return None,
            state => *state = State::Running(Box::new(end)),
        }
        let _over = Over(self);
        Some(work())
    }
}

/// Forgets how to end a run that is over, even after a panic.
struct Over<'s>(&'s Stop);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        let mut state = self.0.0.lock();
        if let State::Running(_) = *state {
            *state = State::Open;
        }
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stop")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn a_stop_ends_the_run_under_way_once_and_refuses_later_ones() {
        let ended = Arc::new(AtomicUsize::new(0));
        let end = || {
            let ended = ended.clone();
            move || {
                ended.fetch_add(1, Ordering::Relaxed);
            }
        };
        let stop = Stop::default();
        assert_eq!(stop.during(end(), || 1), Some(1));
        assert_eq!(stop.during(end(), || stop.now()), Some(()));
        assert_eq!(ended.load(Ordering::Relaxed), 1);
        stop.now();
        assert_eq!(stop.during(end(), || 2), None);
        assert_eq!(ended.load(Ordering::Relaxed), 1);
    }
}
