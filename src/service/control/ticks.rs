//! Ticks: closing one, and reading the newest evidence without closing one.

use super::Control;
use super::sequential_judge::Newest;
use crate::service::serving::live::Live;
use crate::service::serving::recorder::Observed;

impl Control {
    /// Closes a tick now. The ticker does so once a second; tests with a manual clock call it themselves.
    pub fn tick(&self) {
        self.closed_tick(&self.serving.live.load());
    }

    /// Closes a tick and returns the samples so far.
    pub(crate) fn closed_tick(&self, live: &Live) -> Observed {
        let mut judge = self.judge.lock();
        let at = self.clock.wall();
        let taken = live.recorder.take();
        judge.tick(live, &taken, &self.reported, at);
        taken.observed
    }

    /// The newest evidence. Closes no tick.
    pub(crate) fn newest_evidence(&self, live: &Live) -> Option<Newest> {
        self.judge.lock().newest(live)
    }
}
