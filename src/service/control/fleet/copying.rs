//! Copy of a store into another one: from one machine to a database, and back.

use super::report::Report;
use crate::canary::Chunk;
use crate::canary::LogRecord;
use crate::canary::Samples;
use crate::canary::State;
use crate::canary::rollout::journal::follow;
use crate::service::reported::feedback;
use crate::service::serving::recorder::Observed;
use crate::store::Checkpoint;
use crate::store::KeyedSamples;
use crate::store::ReplicaId;
use crate::store::Role;
use crate::store::Store;
use crate::store::StoreError;

/// What was copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Entries of the journal.
    pub entries: u64,
    /// Ticks of the tick log.
    pub ticks: u64,
    /// Model files.
    pub artifacts: u64,
    /// Labels of the running rollout.
    pub labels: u64,
    /// Shares of observations that no leader has judged yet. They stay behind.
    pub left_behind: u64,
}

/// Copies everything into an empty store. Nothing may write to the first one meanwhile.
///
/// # Errors
/// When a store fails, the second one is not empty, or the first one has grown meanwhile.
pub fn copy(from: &dyn Store, to: &dyn Store) -> Result<Copied, StoreError> {
    let found = to.newest_sequence()?;
    if found > 0 {
        let cause = format!("it has a journal of {found} entries already");
        return Err(StoreError::Foreign { path: "the second store".to_owned(), cause });
    }
    let mut copied = Copied::default();
    let mut state: Option<State> = None;
    for entry in from.entries_from(0) {
        let entry = entry?;
        state = Some(follow(state.take(), &entry).map_err(|cause| StoreError::Damaged {
            what: "a journal".to_owned(),
            cause: cause.to_string(),
        })?);
        to.append(entry.sequence - 1, entry.at, &entry.event)?;
        copied.entries = entry.sequence;
    }
    if let Some(state) = &state {
        copied.artifacts = copy_artifacts(from, to, state)?;
        to.save_state(copied.entries, state)?;
    }
    feedback::copy_key(from, to)?;
    for (target, up_to) in from.delivered()? {
        to.save_delivered(&target, up_to)?;
    }
    copy_evidence(from, to, &mut copied)?;
    copied.left_behind = from.shares(&Default::default(), usize::MAX)?.len() as u64;
    let grown = from.newest_sequence()?;
    if grown > copied.entries {
        let cause = format!(
            "the first store has grown from {} to {grown} entries meanwhile; stop its servers, and begin again with an \
             empty second store",
            copied.entries
        );
        return Err(StoreError::Damaged { what: "the copy".to_owned(), cause });
    }
    Ok(copied)
}

fn copy_artifacts(from: &dyn Store, to: &dyn Store, state: &State) -> Result<u64, StoreError> {
    let canary = state.rollout.iter().map(|rollout| &rollout.canary.digest);
    let previous = state.post_promotion.iter().map(|promotion| &promotion.previous.digest);
    let mut copied = 0;
    for digest in canary.chain(previous).chain([&state.stable.digest]) {
        if let Some(bytes) = from.artifact(digest)? {
            to.save_artifact(digest, &bytes)?;
            copied += 1;
        }
    }
    Ok(copied)
}

/// The tick log of each rollout, and the newest checkpoint last.
fn copy_evidence(from: &dyn Store, to: &dyn Store, copied: &mut Copied) -> Result<(), StoreError> {
    let newest = from.checkpoint(ReplicaId::ONLY)?;
    for chunk in from.chunks(ReplicaId::ONLY)? {
        let records = records_of(from, chunk)?;
        copied.ticks += records.len().saturating_sub(1) as u64;
        let checkpoint = match &newest {
            Some(newest) if newest.rollout == chunk.rollout => newest.clone(),
            _ => of_rollout(chunk.rollout),
        };
        to.save_checkpoint(ReplicaId::ONLY, &checkpoint, &records)?;
    }
    let Some(mut newest) = newest else { return Ok(()) };
    newest.new_labels = from.labels(ReplicaId::ONLY, newest.rollout)?;
    copied.labels = newest.new_labels.len() as u64;
    newest.taken.clear();
    let samples = samples_of(from, &newest)?;
    if to.role() == Role::Alone {
        newest.samples = samples.first;
        newest.pairs = samples.pairs;
        if let Some(repeated) = samples.repeated {
            let keys = newest.keys.get_or_insert_with(|| KeyedSamples {
                repeated: None,
                seen: Default::default(),
                shadowed: None,
            });
            keys.repeated = Some(repeated);
        }
    } else {
        let (step, canary) = (Some((newest.rollout, newest.step)), Some(newest.digest.clone()));
        let report = Report { revision: copied.entries, step, canary, samples };
        to.report(&report.written(), &[])?;
    }
    to.save_checkpoint(ReplicaId::ONLY, &newest, &[])
}

/// A chunk as it was written.
fn records_of(store: &dyn Store, chunk: Chunk) -> Result<Vec<LogRecord>, StoreError> {
    let snapshot = store.snapshot(ReplicaId::ONLY, chunk)?;
    let snapshot = snapshot.into_iter().map(|monitors| LogRecord::Snapshot(Box::new(monitors)));
    let ticks = store.ticks(ReplicaId::ONLY, chunk)?;
    Ok(snapshot.chain(ticks.into_iter().map(LogRecord::Tick)).collect())
}

/// The samples of the step of a checkpoint, of all replicas.
fn samples_of(store: &dyn Store, newest: &Checkpoint) -> Result<Observed, StoreError> {
    if store.role() == Role::Alone {
        let repeated = newest.keys.as_ref().and_then(|keys| keys.repeated.clone());
        let (first, pairs) = (newest.samples.clone(), newest.pairs.clone());
        return Ok(Observed { first, repeated, pairs });
    }
    let mut samples = Observed::default();
    for replica in store.replicas()? {
        let report = Report::of(&replica);
        if report.step == Some((newest.rollout, newest.step)) {
            samples.merge(&report.samples);
        }
    }
    Ok(samples)
}

/// A checkpoint that only names a rollout.
fn of_rollout(rollout: u64) -> Checkpoint {
    Checkpoint {
        rollout,
        step: 0,
        digest: String::new(),
        routed: 0,
        samples: Samples::default(),
        keys: None,
        monitors: None,
        labels: None,
        new_labels: Vec::new(),
        pairs: None,
        taken: Default::default(),
    }
}
