//! Evidence of the running rollout after a restart: samples, keys, monitors, labels.

use std::sync::Arc;

use jiff::Timestamp;

use crate::canary::Labels;
use crate::canary::Monitors;
use crate::canary::Rollout;
use crate::canary::State;
use crate::canary::judge::monitors::ALGORITHM;
use crate::canary::judge::tick_log;
use crate::canary::judge::tick_log::Unsaved;
use crate::service::control::sequential_judge::SequentialJudge;
use crate::service::reported::feedback::Feedback;
use crate::service::serving::keys::seen_keys::RolloutKeys;
use crate::service::serving::live::Live;
use crate::service::serving::recorder::Observed;
use crate::service::serving::recorder::Recorder;
use crate::store::Checkpoint;
use crate::store::KeyedSamples;
use crate::store::ReplicaId;
use crate::store::Store;
use crate::store::StoreError;

/// The newest checkpoint, if it belongs to the rollout of this state. An unreadable one is lost evidence; the server
/// starts without it.
pub(in crate::service::control) fn checkpoint_of(
    state: &State,
    store: &dyn Store,
) -> Option<Checkpoint> {
    let rollout = state.judged()?;
    let saved = store.checkpoint(ReplicaId::ONLY).unwrap_or_else(|cause| {
        tracing::warn!(%cause, "the newest checkpoint cannot be read");
        None
    });
    saved.filter(|it| (it.rollout, &it.digest) == (rollout.id, &rollout.canary.digest))
}

/// The keys seen before the restart, if any.
pub(in crate::service::control) fn rollout_keys(
    rollout: &Rollout,
    saved: Option<&Checkpoint>,
) -> Option<Arc<RolloutKeys>> {
    let KeyedSamples { seen, shadowed, .. } = saved?.keys.clone()?;
    let shadowed = shadowed.unwrap_or_default();
    Some(Arc::new(RolloutKeys::restored(rollout.salt, seen, shadowed)))
}

/// The sequential judge of the restored rollout. Continues from the checkpoint, even one of an earlier step,
/// or starts from stable's samples so far.
pub(super) fn restored_judge(
    state: &State,
    saved: Option<&Checkpoint>,
    live: &Live,
    store: &dyn Store,
    now: Timestamp,
) -> SequentialJudge {
    let Some(rollout) = state.judged() else { return SequentialJudge::default() };
    let seen = live.recorder.observed();
    // Samples that were not restored are lost, so nothing counts twice.
    let kept = saved.and_then(|saved| saved.monitors.clone());
    let has_samples_only = saved.is_some_and(|saved| saved.monitors.is_none());
    let monitors = kept.or_else(|| logged(store, rollout.id)).unwrap_or_else(|| {
        if has_samples_only {
            tracing::warn!(
                rollout = rollout.id,
                "the evidence of this rollout is of another version; the sequential judge starts from the beginning, \
                 and samples, keys and labels are kept"
            );
        } else {
            // Also the case after a crash in the first second of a rollout.
            tracing::info!(
                rollout = rollout.id,
                "no evidence of this rollout was saved; the sequential judge starts from the beginning"
            );
        }
        Monitors::new(&rollout.policy.judge, &seen.first.stable)
    });
    // Evidence of another algorithm is a snapshot to continue from; this one could not recompute it.
    let is_of_this = monitors.algorithm() == ALGORITHM;
    let monitors = monitors.taken_over();
    let kept = if is_of_this { unsaved(store, rollout.id, &monitors) } else { Ok(None) };
    let begins = || Unsaved::beginning(&monitors);
    let unsaved = kept.map(|kept| kept.unwrap_or_else(begins)).unwrap_or_else(|cause| {
        tracing::warn!(%cause, "the tick log cannot be read; a new one starts");
        begins()
    });
    let is_new = monitors.ticks() == 0;
    let mut judge = SequentialJudge::over(rollout, monitors, unsaved, seen, now);
    if let Some(canary_slot) = &live.canary {
        canary_slot.segments.learn(judge.segments());
        if is_new && !has_samples_only {
            // All keys so far came in the warm-up.
            canary_slot.keys.forget();
        }
    }
    if state.rollout.is_none() {
        judge.post_promotion();
    }
    judge
}

/// Restores the labels of the checkpoint, if they belong to the current rollout.
pub(super) fn labelled(
    state: &State,
    saved: Option<&Checkpoint>,
    store: &dyn Store,
    feedback: &Feedback,
) {
    let rollout = state.judged();
    feedback.follow(rollout);
    let Some(rollout) = rollout else { return };
    match labels_of(rollout, saved, store) {
        Ok((labels, seen)) => feedback.restore(labels, seen),
        Err(cause) => tracing::warn!(%cause, "the labels of the running rollout are lost"),
    }
}

/// The labels of a rollout, and the fingerprints of its labeled predictions.
pub(in crate::service::control) fn labels_of(
    rollout: &Rollout,
    saved: Option<&Checkpoint>,
    store: &dyn Store,
) -> Result<(Labels, Vec<u64>), StoreError> {
    let labels = saved.and_then(|saved| saved.labels.clone());
    Ok((labels.unwrap_or_default(), store.labels(ReplicaId::ONLY, rollout.id)?))
}

/// The monitors that the tick log of a rollout leads to: a failure is final even if the checkpoint is lost.
fn logged(store: &dyn Store, rollout: u64) -> Option<Monitors> {
    let chunks = store.chunks(ReplicaId::ONLY).ok()?;
    let newest = chunks.into_iter().rfind(|chunk| chunk.rollout == rollout)?;
    let (snapshot, ticks) = (
        store.snapshot(ReplicaId::ONLY, newest).ok()??,
        store.ticks(ReplicaId::ONLY, newest).ok()?,
    );
    let end = ticks.last().map_or(newest.start, |tick| tick.number);
    let monitors = tick_log::replay(snapshot, &ticks, end).ok()?;
    tracing::warn!(rollout, ticks = end, "the evidence is restored from the tick log");
    Some(monitors)
}

/// The end of the log, if it leads to these monitors.
pub(in crate::service::control) fn unsaved(
    store: &dyn Store,
    rollout: u64,
    monitors: &Monitors,
) -> Result<Option<Unsaved>, StoreError> {
    let chunks = store.chunks(ReplicaId::ONLY)?;
    let newest = chunks.into_iter().rfind(|chunk| chunk.rollout == rollout);
    let Some(newest) = newest else { return Ok(None) };
    let ticks = store.ticks(ReplicaId::ONLY, newest)?;
    let end = ticks.last().map_or(newest.start, |tick| tick.number);
    let leads_here = end == monitors.ticks();
    Ok(leads_here.then(|| Unsaved::after(&ticks)))
}

/// The recorder of the current step, with the samples of its checkpoint.
pub(super) fn restored(state: &State, saved: Option<&Checkpoint>, workers: usize) -> Recorder {
    let step = state.rollout.as_ref().map(|rollout| rollout.step);
    let Some(saved) = saved.filter(|saved| Some(saved.step) == step) else {
        return Recorder::new(workers);
    };
    let repeated = saved.keys.as_ref().and_then(|keys| keys.repeated.clone());
    let before = Observed { first: saved.samples.clone(), repeated, pairs: saved.pairs.clone() };
    Recorder::restored(workers, before, saved.routed).unwrap_or_else(|| {
        tracing::warn!("the samples of the current step do not add up; they are discarded");
        Recorder::new(workers)
    })
}
