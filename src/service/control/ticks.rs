//! Ticks: closing one, what Prometheus has for them, and reading the newest evidence without closing one.

use std::time::Duration;

use super::Control;
use super::sequential_judge::Newest;
use crate::service::reported::prometheus::client::Client;
use crate::service::reported::prometheus::observer::Observer;
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

    /// What asks Prometheus for the queries of rollouts; `None` if the settings name none.
    pub(crate) fn observer(&self) -> Option<Observer> {
        let client = Client::new(self.settings.prometheus.clone()?);
        Some(Observer::new(client, self.clock.clone(), self.reported.clone()))
    }

    /// Asks Prometheus what is due; how long until something may be due.
    pub(crate) fn observe(&self, observer: &mut Observer) -> Duration {
        let is_running = |rollout: u64| {
            let position = self.position.load();
            position.state.rollout.as_ref().is_some_and(|it| it.id == rollout)
        };
        observer.turn(self.position.load().state.rollout.as_ref(), is_running)
    }

    /// The newest evidence. Closes no tick.
    pub(crate) fn newest_evidence(&self, live: &Live) -> Option<Newest> {
        self.judge.lock().newest(live)
    }
}
