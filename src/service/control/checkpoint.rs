//! Checkpoints: samples, monitors and new ticks, saved in one transaction.
//!
//! Saved every second while evidence grows, before a command that rests on it, and at shutdown.
//!
//! A crash loses the samples since the last save, at most about [`INTERVAL`], and no event of the journal.

use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;

use super::Control;
use super::error::CommandError;
use super::startup::adopt_date;
use crate::canary::LogRecord;
use crate::canary::judge::tick_log;
use crate::service::serving::keys::seen_keys::KeySet;
use crate::service::serving::keys::seen_keys::RolloutKeys;
use crate::service::serving::recorder::Taken;
use crate::service::status::overview::StoreLost;
use crate::store::Checkpoint;
use crate::store::KeyedSamples;
use crate::store::ReplicaId;
use crate::store::StoreError;

/// How often the ticker closes a tick and saves.
pub const INTERVAL: Duration = Duration::from_secs(1);

impl Control {
    /// Closes a tick and saves the samples and ticks since the last save, if there are any. Blocks.
    ///
    /// # Errors
    /// When the store fails. Everything stays in memory, and the next call tries again.
    pub fn save_checkpoint(&self) -> Result<(), StoreError> {
        let mut saved = self.saved.lock();
        self.exchange()?;
        if !self.decides() {
            return Ok(());
        }
        let live = self.serving.live.load_full();
        let mut judge = self.judge.lock();
        // Without a canary, labels may still arrive for a promoted one.
        let (rollout, step, digest) = match (&live.canary, judge.promoted()) {
            (Some(canary_slot), _) => {
                (canary_slot.rollout, canary_slot.step, canary_slot.loaded.version.digest.clone())
            }
            (None, Some(promoted)) => promoted,
            (None, None) => {
                judge.count_arrivals(&live, self.clock.wall());
                return Ok(());
            }
        };
        let at = self.clock.wall();
        // Read under the lock, so that no other thread closes a tick that these samples lack.
        let taken = match &live.canary {
            Some(_) => live.recorder.take(),
            None => Taken::default(),
        };
        let is_judged = judge.tick(&live, &taken, &self.reported, at);
        let observed = taken.observed;
        if !is_judged {
            // A command is about to install another step; the next save finds it.
            return Ok(());
        }
        let now = (rollout, step, observed.requests());
        let Some(mut to_save) = judge.begin_saving() else { return Ok(()) };
        // Under the same lock, so that each label is either in a saved tick or still waits.
        let labels = self.reported.feedback.to_save(rollout);
        drop(judge);
        if *saved == now && to_save.records.is_empty() && labels.new.is_empty() {
            return Ok(());
        }
        let seen = |of: fn(&RolloutKeys) -> &KeySet| {
            let seen = live.canary.as_ref().map(|canary_slot| of(&canary_slot.keys).seen());
            seen.filter(|seen| !seen.is_empty())
        };
        let (answered, shadowed) = (seen(|it| &it.answered), seen(|it| &it.shadowed));
        let keys = (answered.is_some() || shadowed.is_some()).then(|| {
            let seen = answered.unwrap_or_default();
            KeyedSamples { repeated: observed.repeated, seen, shadowed }
        });
        let checkpoint = Checkpoint {
            rollout,
            step,
            digest,
            routed: live.recorder.routed(),
            samples: observed.first,
            keys,
            monitors: Some(to_save.monitors.clone()),
            labels: labels.labels,
            new_labels: labels.new,
            pairs: observed.pairs,
            taken: std::mem::take(&mut to_save.taken),
        };
        self.store.save_checkpoint(ReplicaId::ONLY, &checkpoint, &to_save.records)?;
        self.reported.feedback.saved(rollout, checkpoint.new_labels.len());
        self.judge.lock().saved(rollout, &to_save);
        *saved = now;
        if to_save.records.iter().any(|record| matches!(record, LogRecord::Snapshot(_))) {
            self.forget_chunks();
        }
        Ok(())
    }

    /// Follows the date while nothing waits: no rollout, no monitored promotion and no cool-down. A follower never waits.
    pub(crate) fn follow_date(&self) {
        let decides = self.decides();
        // Under the lock, so that no deployment begins in between. If a command holds it, the next turn follows.
        let Some(ledger) = self.ledger.try_lock() else { return };
        let state = &ledger.state;
        let is_waiting =
            state.judged().is_some() || state.cool_down_until(self.clock.wall()).is_some();
        if !is_waiting || !decides {
            // An earlier date would begin the last cool-down again.
            let ended = state.last.as_ref().map(|last| last.cool_down_until.unwrap_or(last.at));
            let at_least = ended.map_or(state.stable_since, |ended| ended.max(state.stable_since));
            // Without the database, the date goes on as before.
            let _ = adopt_date(&*self.clock, &*self.store, at_least);
        }
    }

    /// Saves a checkpoint and a rollback that is not in the journal yet, and logs what fails, once for each cause.
    ///
    /// # Errors
    /// As [`save_checkpoint`](Self::save_checkpoint).
    pub(crate) fn save_or_log(&self) -> Result<(), StoreError> {
        let start = self.clock.steady();
        let saved = self.save_checkpoint();
        self.store_health.durations.count(self.clock.steady().saturating_sub(start));
        let known = self.store_lost.lock().as_ref().map(|lost| lost.cause.clone());
        if let Err(cause) = &saved
            && known != Some(cause.to_string())
        {
            tracing::error!(%cause, "samples could not be saved; trying again");
        }
        let retried = self.retry_rollback().and_then(|()| self.follow_unsure_entry());
        if let Err(cause) = &retried
            && known != Some(cause.to_string())
        {
            tracing::error!(%cause, "trying again");
        }
        let settled = self.save_state().and(self.store.settle()).err().map(|it| it.to_string());
        self.store_health.saved(saved.is_ok() && retried.is_ok() && settled.is_none());
        let not_saved = saved.as_ref().err().map(StoreError::to_string);
        let not_retried = || retried.as_ref().err().map(CommandError::to_string);
        let before = self.follow_store(settled.clone().or(not_saved).or_else(not_retried));
        if let Some(cause) = settled.filter(|cause| before.is_none_or(|it| it.cause != *cause)) {
            tracing::error!("{cause}");
        }
        saved
    }

    /// Keeps why nothing can be saved, and since when. Returns what it was before.
    fn follow_store(&self, cause: Option<String>) -> Option<StoreLost> {
        let mut lost = self.store_lost.lock();
        let since = lost.as_ref().map_or_else(|| self.clock.wall(), |lost| lost.since);
        let canary_is_off = cause.is_some() && self.canary_is_off_since(since);
        self.turn_canary_off(canary_is_off);
        std::mem::replace(&mut *lost, cause.map(|cause| StoreLost { since, cause, canary_is_off }))
    }

    /// Whether the canary gets no traffic, if nothing could be saved since then.
    fn canary_is_off_since(&self, since: Timestamp) -> bool {
        let after = self.settings.canary_off_after;
        let lost_for = self.clock.wall().duration_since(since);
        !after.is_zero() && Duration::try_from(lost_for).is_ok_and(|lost_for| lost_for >= after)
    }

    /// Closes the canary's lane, or opens it again. What is answered meanwhile is not judged.
    fn turn_canary_off(&self, is_off: bool) {
        let mut canary_off = self.canary_off.lock();
        if !is_off {
            if canary_off.take().is_some() {
                tracing::info!("the store is back: the canary gets traffic again");
            }
        } else if canary_off.is_none() {
            *canary_off = self.serving.close_lane();
            if canary_off.is_some() {
                tracing::warn!("nothing could be saved for long: the canary gets no traffic");
            }
        }
    }

    /// Saves the state once the journal has grown by a hundred entries since the last save.
    fn save_state(&self) -> Result<(), StoreError> {
        // Entries that a start reads in about a millisecond.
        const ENTRIES: u64 = 100;
        let saved_at = self.state_saved_at.load(Ordering::Relaxed);
        let Some(ledger) = self.ledger.try_lock() else { return Ok(()) };
        let is_due = ledger.revision >= saved_at + ENTRIES && self.decides();
        if !is_due || ledger.pending_rollback.is_some() {
            return Ok(());
        }
        let position = ledger.position();
        drop(ledger);
        self.store.save_state(position.revision, &position.state)?;
        self.state_saved_at.store(position.revision, Ordering::Relaxed);
        Ok(())
    }

    /// Keeps the tick log within its bounds. A failure costs only space.
    fn forget_chunks(&self) {
        let bounds = self.judge.lock().bounds;
        let forgotten = self
            .store
            .chunks(ReplicaId::ONLY)
            .map(|chunks| tick_log::surplus(&chunks, &bounds))
            .and_then(|surplus| self.store.forget_chunks(ReplicaId::ONLY, &surplus));
        if let Err(cause) = forgotten {
            tracing::warn!(%cause, "old evidence is still in the store");
        }
    }
}
