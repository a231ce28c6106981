//! Following the journal: what other replicas have appended takes effect here, as if it had been decided here.

use std::sync::Arc;
use std::time::Duration;

use crate::canary::State;
use crate::canary::Version;
use crate::canary::rollout::apply::SamplesEffect;
use crate::canary::rollout::apply::Transition;
use crate::canary::rollout::apply::apply;
use crate::service::control::Control;
use crate::service::control::error::CommandError;
use crate::service::control::ledger::Ledger;
use crate::service::control::startup::limits;
use crate::service::control::startup::load_or_warn;
use crate::service::serving::live::Loaded;
use crate::store::StoreError;

/// How long to wait for an entry before the journal is asked again.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a question waits for a command.
const FOR_COMMANDS: Duration = Duration::from_millis(250);

/// How long to wait after an error.
const AFTER_ERROR: Duration = Duration::from_millis(200);

impl Control {
    /// Waits for an entry of another replica, follows it, and logs a new error. Returns how long to wait before the next
    /// call.
    pub(crate) fn await_entry(&self, trouble: &mut Option<String>) -> Duration {
        let known = self.position.load().revision;
        match self.store.wait_for_entry(known, PATIENCE) {
            Ok(newest) if newest > known => match self.follow_journal() {
                Ok(()) => {
                    *trouble = None;
                    Duration::ZERO
                }
                Err(cause) => {
                    let cause = cause.to_string();
                    if trouble.as_ref() != Some(&cause) {
                        tracing::error!(%cause, "an entry of another replica cannot be followed; trying again");
                    }
                    *trouble = Some(cause);
                    AFTER_ERROR
                }
            },
            Ok(_) => Duration::ZERO,
            // The ticker logs that the store fails.
            Err(_) => AFTER_ERROR,
        }
    }

    /// Follows what other replicas have appended so far.
    ///
    /// # Errors
    /// When the store cannot be read, or a pending rollback cannot be appended.
    pub(crate) fn follow_journal(&self) -> Result<(), CommandError> {
        self.follow_others(&mut self.ledger.lock())
    }

    /// Follows what other replicas have appended, so that an answer is never older than a command that any replica has
    /// answered. While the store is lost, or a command waits for it, what is known has to do.
    pub fn follow_answered_commands(&self) {
        if !self.is_shared() || self.store_lost.lock().is_some() {
            return;
        }
        let known = self.position.load().revision;
        if self.store.newest_sequence().is_ok_and(|newest| newest > known)
            && let Some(mut ledger) = self.ledger.try_lock_for(FOR_COMMANDS)
        {
            // The thread that waits for entries logs what fails.
            let _ = self.follow_others(&mut ledger);
        }
    }

    /// The same under the ledger.
    pub(crate) fn follow_others(&self, ledger: &mut Ledger) -> Result<(), CommandError> {
        self.flush_pending_rollback(ledger)?;
        let before = ledger.state.clone();
        self.catch_up(ledger, &before)
    }

    /// Follows the journal from a state that it has led to: that of the ledger, or the one before a rollback that was not
    /// appended.
    pub(crate) fn catch_up(&self, ledger: &mut Ledger, from: &State) -> Result<(), CommandError> {
        let has_diverged = ledger.state != *from;
        let (mut state, mut revision) = (from.clone(), ledger.revision);
        let mut samples = if has_diverged { SamplesEffect::StartAnew } else { SamplesEffect::Keep };
        let mut sentences = Vec::new();
        for entry in self.store.entries_from(revision) {
            let entry = entry?;
            match apply(&state, &entry.event, entry.at) {
                Ok(Transition::Changed { state: next, samples: effect }) => {
                    state = *next;
                    if effect == SamplesEffect::StartAnew {
                        samples = effect;
                    }
                }
                Ok(Transition::Unchanged) => {}
                Err(refusal) => {
                    let cause = format!("entry {} is not possible: {refusal}", entry.sequence);
                    let what = "a journal".to_owned();
                    return Err(StoreError::Damaged { what, cause }.into());
                }
            }
            // Loading a model may take time, and a rollback waits for nothing.
            if let (true, Some(slot)) =
                (entry.event.is_rollback(), &self.serving.live.load().canary)
                && entry.event.rollout() == Some(slot.rollout)
            {
                slot.lane.close_for_good();
            }
            revision = entry.sequence;
            sentences.push((entry.event.name(), entry.event.sentence()));
        }
        if revision == ledger.revision && !has_diverged {
            return Ok(());
        }
        let loaded = self.loaded_for(&state)?;
        let live = self.install(&state, samples, loaded);
        ledger.move_to(state, revision, live);
        self.notifications.wake();
        for (event, sentence) in sentences {
            tracing::info!(revision, %event, "by another replica: {sentence}");
        }
        Ok(())
    }

    /// The versions of a state that are not loaded yet. A canary that cannot be loaded is left out, with a warning.
    fn loaded_for(&self, state: &State) -> Result<Vec<Arc<Loaded>>, CommandError> {
        let live = self.serving.live.load();
        let known = |version: &Version| {
            let canary = live.canary.as_ref().map(|slot| &slot.loaded);
            let mut all = canary.into_iter().chain([&live.stable]).chain(&live.previous);
            all.any(|loaded| loaded.version == *version)
        };
        let canary = state.rollout.as_ref().map(|rollout| &rollout.canary);
        let previous = state.post_promotion.as_ref().map(|promotion| &promotion.previous);
        let needed = [Some(&state.stable), canary, previous];
        let mut loaded: Vec<Arc<Loaded>> = Vec::new();
        for version in needed.into_iter().flatten().filter(|version| !known(version)) {
            let found = load_or_warn(version, &*self.store, &self.registry)?;
            if found.is_none() && *version == state.stable {
                // Without it, this replica would answer with another stable version than the journal says.
                let what = format!("the stable model {}", version.name);
                let cause = "it is neither there nor, unchanged, in the models folder".to_owned();
                return Err(StoreError::Damaged { what, cause }.into());
            }
            loaded.extend(found);
        }
        if let Some(canary) = canary
            && let Some(found) = loaded.iter().find(|it| it.version == *canary)
        {
            let stable = loaded.iter().find(|it| it.version == state.stable);
            let stable = stable.unwrap_or(&live.stable);
            let tried = found.tried(stable, &state.clients.may_lack, limits(&self.settings));
            found.trial.get_or_init(|| tried);
        }
        Ok(loaded)
    }
}
