//! Ticks: closing one, what Prometheus has for them, reading the newest evidence without closing one, and logging what it
//! changed.

use std::time::Duration;

use super::Control;
use super::checkpoint::INTERVAL;
use super::sequential_judge::Newest;
use crate::canary::judge::sentences;
use crate::service::reported::prometheus::client::Client;
use crate::service::reported::prometheus::observer::Observer;
use crate::service::serving::live::Live;
use crate::service::serving::recorder::Observed;
use crate::service::status::changes::Change;
use crate::service::status::changes::Look;
use crate::service::status::changes::Seen;

impl Control {
    /// Closes a tick now. The ticker does so once a second; tests with a manual clock call it themselves.
    pub fn tick(&self) {
        self.closed_tick(&self.serving.live.load());
    }

    /// Closes a tick and returns the samples so far, of all replicas.
    pub(crate) fn closed_tick(&self, live: &Live) -> Observed {
        let mut judge = self.judge.lock();
        let at = self.clock.wall();
        let taken = live.recorder.take();
        judge.tick(live, &taken, &self.reported, at);
        drop(judge);
        live.recorder.with_others(taken.observed)
    }

    /// What asks Prometheus for the queries of rollouts; `None` if the settings name none.
    pub(crate) fn observer(&self) -> Option<Observer> {
        let client = Client::new(self.settings.prometheus.clone()?);
        Some(Observer::new(client, self.clock.clone(), self.reported.clone()))
    }

    /// Asks Prometheus what is due; how long until something may be due.
    pub(crate) fn observe(&self, observer: &mut Observer) -> Duration {
        // In a fleet the leader asks.
        if !self.decides() {
            return INTERVAL;
        }
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

    /// Logs what has changed in the running rollout since the last call and is in no journal entry.
    pub(crate) fn log_changes(&self, seen: &mut Seen) {
        let position = self.position.load();
        let (Some(rollout), live) = (&position.state.rollout, &position.live) else { return };
        let evidence = self.newest_evidence(live).map(|newest| newest.evidence);
        let evidence = evidence.map(|evidence| evidence.accepting_shift(rollout.accepts_shift()));
        let concluded = evidence.as_ref().map(|evidence| evidence.verdict());
        let breaker = live.canary.as_ref().and_then(|canary_slot| canary_slot.breaker.as_ref());
        let look = Look {
            rollout: rollout.id,
            canary: &rollout.canary.name,
            stable: &position.state.stable.name,
            verdict: concluded.as_ref().map(|(verdict, _)| *verdict),
            breaker: breaker.map(|breaker| breaker.status()),
        };
        for change in seen.changes(&look) {
            match change {
                // In a fleet the leader says it.
                Change::Verdict { .. } if !self.decides() => {}
                Change::Verdict { sentence, is_harm } => {
                    let judgement =
                        self.judged(rollout, &live.recorder.observed(), evidence.clone());
                    let reasons = concluded.iter().flat_map(|(_, reasons)| reasons);
                    let reasons: Vec<_> = reasons.cloned().collect();
                    let why = sentences::reasons(&judgement, &reasons).join("; ");
                    match is_harm {
                        true => tracing::warn!("{sentence}: {why}"),
                        false => tracing::info!("{sentence}: {why}"),
                    }
                }
                Change::Opened(sentence) => tracing::warn!("{sentence}"),
                Change::Closed(sentence) => tracing::info!("{sentence}"),
            }
        }
    }
}
