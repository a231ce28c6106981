//! Questions to the service: status, health check, history. They read and write nothing.

use super::Control;
use super::ledger::Ledger;
use crate::canary::Entry;
use crate::canary::Refusal;
use crate::service::status::Status;
use crate::service::status::health::Health;
use crate::service::status::overview::StatusInputs;
use crate::service::status::quality::QualityStatus;
use crate::store::StoreError;

impl Control {
    /// The status of everything.
    pub fn status(&self) -> Status {
        self.status_of(&self.ledger.lock())
    }

    /// The health check of the canary.
    ///
    /// # Errors
    /// When there is no canary.
    pub fn health(&self) -> Result<Health, Refusal> {
        let ledger = self.ledger.lock();
        let rollout = ledger.state.running()?;
        let live = self.serving.live.load();
        let observed = live.recorder.observed();
        let newest = self.newest_evidence(&live);
        let as_of = newest.as_ref().map(|it| it.as_of);
        let judgement = self.judged(rollout, &observed, newest.map(|it| it.evidence));
        let forecast = self.judge.lock().forecast(rollout, self.clock.wall());
        Ok(Health::new(&judgement, &observed.all(), forecast, as_of))
    }

    /// Journal entries after a revision, in order.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn history(&self, after: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.store.entries(after, limit)
    }

    /// The newest journal entries, in order.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn newest_history(&self, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let after = self.store.newest_sequence()?.saturating_sub(limit as u64);
        self.store.entries(after, limit)
    }

    /// The status under the ledger's lock.
    pub(crate) fn status_of(&self, ledger: &Ledger) -> Status {
        let state = &ledger.state;
        let live = self.serving.live.load();
        let observed = live.recorder.observed();
        let now = self.clock.wall();
        let newest = self.newest_evidence(&live);
        let as_of = newest.as_ref().map(|it| it.as_of);
        let evidence = newest.map(|it| it.evidence);
        let promotion = state.post_promotion.as_deref();
        let promoted = promotion.map(|it| self.judged_after(it, evidence.clone()));
        let judged = state.rollout.as_ref().map(|rollout| {
            let judgement = self.judged(rollout, &observed, evidence);
            let action = self.next_action(rollout, &live, &observed, &judgement);
            (judgement, action)
        });
        let forecast =
            state.rollout.as_ref().and_then(|rollout| self.judge.lock().forecast(rollout, now));
        Status::new(StatusInputs {
            revision: ledger.revision,
            state,
            live: &live,
            observed: &observed,
            judged,
            promoted,
            forecast,
            as_of,
            quality: QualityStatus::of(&self.reported.feedback),
            notifications: self.notifications.status(),
            totals: self.serving.totals(),
            shadow_waiting: self.serving.shadow.waiting(),
            now,
            uptime: self.clock.steady().saturating_sub(self.started),
        })
    }
}
