//! Audit: recomputes the verdicts of the journal from the evidence in the store.
//!
//! A verdict rests on the inputs of the health check, which are in its journal entry, and on the state of the
//! sequential judge, which the tick log reproduces. Both are judged under the policy of the deployment. The
//! whole judgement, numbers and enums, must equal the one in the journal; sentences are not part of it.

mod limit;
mod past;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use thiserror::Error;

use super::Control;
use crate::canary::Chunk;
use crate::canary::Entry;
use crate::canary::Event;
use crate::canary::JudgePolicy;
use crate::canary::Judgement;
use crate::canary::LoggedTick;
use crate::canary::Monitors;
use crate::canary::Policy;
use crate::canary::Version;
use crate::canary::judge::evidence::SequentialEvidence;
use crate::canary::judge::monitors::ALGORITHM;
use crate::canary::judge::tick_log::LogError;
use crate::canary::judge::verdict::Concern;
use crate::canary::judge::what_if::Course;
use crate::canary::judge::what_if::Following;
use crate::canary::policy::Mode;
use crate::store::ReplicaId;
use crate::store::Store;
use crate::store::StoreError;
use crate::text::durations::words;
use crate::text::fields::FieldError;

pub use crate::service::status::past::Outcome;
pub use crate::service::status::past::Recomputed;
pub use limit::Limit;
pub use past::Question;
pub use past::Which;

/// Why an old verdict cannot be recomputed.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The journal has no such rollout.
    #[error("rollout {0} is not in the journal; name one that is")]
    NoRollout(u64),
    /// The journal has none.
    #[error("there has been no rollout yet; serin deploy MODEL starts one")]
    NoneYet,
    /// The other policy is invalid.
    #[error("{0}")]
    Policy(FieldError),
    /// The log does not hold this tick.
    #[error(
        "the tick log of rollout {rollout} does not hold tick {ticks}: it is not saved yet, or older than the \
         chunks that are kept"
    )]
    NotKept {
        /// The rollout.
        rollout: u64,
        /// The requested tick.
        ticks: u64,
    },
    /// A metric of another policy was not recorded.
    #[error(
        "rollout {rollout} has no values of a metric that this policy judges; leave out recorded metrics \
         that it did not judge"
    )]
    NotRecorded {
        /// The rollout.
        rollout: u64,
    },
    /// It took longer than it may.
    #[error(
        "the answer takes longer than {}, the most that a server spends on one question: it came to tick {tick} of {ticks}; \
         serin replay --rollout {rollout} reads a store in a file without this limit, also while the server runs",
        words(*time)
    )]
    TooLong {
        /// The rollout.
        rollout: u64,
        /// The tick that it came to.
        tick: u64,
        /// The last tick that it had to read.
        ticks: u64,
        /// How long it may take.
        time: Duration,
    },
    /// The client that asked has closed its side of the connection.
    #[error(
        "the client closed its side of the connection, which ends a replay; keep it open until the answer"
    )]
    Abandoned,
    /// The log does not reach that far, or is damaged.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl ReplayError {
    /// Whether there is no answer at all. Others are an answer: why a verdict cannot be recomputed.
    fn ends_all(&self) -> bool {
        matches!(self, ReplayError::Store(_) | ReplayError::TooLong { .. } | ReplayError::Abandoned)
    }
}

/// One rollout in the journal.
#[derive(Clone, Debug)]
pub struct RolloutRecord {
    /// Counted from 1.
    pub rollout: u64,
    /// The canary.
    pub canary: Version,
    /// The version that was stable.
    pub stable: Version,
    /// The policy of the deployment.
    pub policy: Box<Policy>,
    /// Its entries, from the deployment on.
    pub entries: Vec<Entry>,
}

impl RolloutRecord {
    /// The largest number of ticks that a verdict was given after.
    pub fn judged_ticks(&self) -> Option<u64> {
        let judged = self.entries.iter().filter_map(|entry| entry.event.judgement());
        let sequential = judged.filter_map(|it| it.sequential.as_ref());
        sequential.map(|sequential| sequential.conclusion.ticks).max()
    }

    /// From when on a shift of the scores holds nothing: who decides by hand accepts it with the promotion.
    fn shift_accepted_at(&self) -> Option<Timestamp> {
        if self.policy.mode.is_manual() {
            return Some(Timestamp::MIN);
        }
        let is_held = |entry: &&Entry| matches!(&entry.event, Event::Held { concerns, .. } if concerns.contains(&Concern::Shift));
        let mut after = self.entries.iter().skip_while(|entry| !is_held(entry));
        after.find(|entry| matches!(entry.event, Event::Resumed { .. })).map(|entry| entry.at)
    }
}

/// The rollouts of the journal.
///
/// # Errors
/// When the store cannot be read.
pub fn rollouts(store: &dyn Store) -> Result<Vec<RolloutRecord>, StoreError> {
    let mut rollouts = Vec::<RolloutRecord>::new();
    let mut stable = None;
    for entry in store.entries_from(0) {
        let entry = entry?;
        match &entry.event {
            Event::Initialized { stable: first } => stable = Some(first.clone()),
            Event::CanaryDeployed { canary, policy, .. } => {
                let (canary, policy) = (canary.clone(), policy.clone());
                let stable = stable.clone().unwrap_or_else(|| canary.clone());
                let rollout = rollouts.len() as u64 + 1;
                let entries = Vec::new();
                rollouts.push(RolloutRecord { rollout, canary, stable, policy, entries });
            }
            Event::Promoted { .. } => stable = rollouts.last().map(|it| it.canary.clone()),
            Event::Reverted { .. } => stable = rollouts.last().map(|it| it.stable.clone()),
            _ => {}
        }
        if let Some(rollout) = rollouts.last_mut() {
            rollout.entries.push(entry);
        }
    }
    Ok(rollouts)
}

/// Every verdict of a rollout, recomputed.
///
/// # Errors
/// When the store cannot be read, or the limit is reached. Missing or damaged evidence is a result, not an error.
pub fn recomputed(
    store: &dyn Store,
    record: &RolloutRecord,
    limit: &Limit,
) -> Result<Vec<Recomputed>, ReplayError> {
    let mut tape = Tape::new(store, record, limit);
    let mut outcomes = Vec::new();
    for entry in &record.entries {
        let Some(judgement) = entry.event.judgement() else { continue };
        let ticks = judgement.sequential.as_ref().map(|sequential| sequential.conclusion.ticks);
        let (outcome, detail) = match ticks.map(|ticks| tape.at(ticks)) {
            None => compared(judgement, &again(record, entry, judgement, None), ALGORITHM),
            Some(Ok((sequential, algorithm))) => {
                compared(judgement, &again(record, entry, judgement, Some(sequential)), algorithm)
            }
            Some(Err(cause)) if cause.ends_all() => return Err(cause),
            Some(Err(
                cause @ (ReplayError::NotKept { .. } | ReplayError::Log(LogError::NotYet { .. })),
            )) => match compared(judgement, &judgement.recomputed(), ALGORITHM) {
                (Outcome::Equal, _) => (Outcome::NotKept, Some(cause.to_string())),
                differs => differs,
            },
            Some(Err(cause)) => (Outcome::Differs, Some(cause.to_string())),
        };
        outcomes.push(Recomputed {
            rollout: record.rollout,
            sequence: entry.sequence,
            at: entry.at,
            event: entry.event.name(),
            verdict: judgement.verdict,
            ticks,
            outcome,
            detail,
        });
    }
    Ok(outcomes)
}

/// The verdicts over all ticks of a rollout, under its own policy and under another one. What a person accepted stays
/// accepted. The ticks are read once: while the rollout goes on, a second reading would find more of them.
///
/// # Errors
/// When the beginning of the rollout is not kept, the other policy judges what was not recorded, or the limit is reached.
pub fn courses(
    store: &dyn Store,
    record: &RolloutRecord,
    other: &JudgePolicy,
    limit: &Limit,
) -> Result<(Course, Course), ReplayError> {
    let rollout = record.rollout;
    let not_kept = || ReplayError::NotKept { rollout, ticks: 0 };
    let chunks = chunks_of(store, rollout)?;
    let first = chunks.first().filter(|chunk| chunk.start == 0).ok_or_else(not_kept)?;
    let snapshot = store.snapshot(ReplicaId::ONLY, *first)?.ok_or_else(not_kept)?;
    let beginning = |policy| {
        let following = Following::beginning(&snapshot, policy, record.shift_accepted_at());
        following.ok_or(ReplayError::NotRecorded { rollout })
    };
    let (mut was, mut would) = (beginning(&record.policy.judge)?, beginning(other)?);
    let newest = || -> Result<u64, StoreError> {
        let Some(last) = chunks.last() else { return Ok(0) };
        let ticks = store.ticks(ReplicaId::ONLY, *last)?;
        Ok(ticks.last().map_or(last.start, |tick| tick.number))
    };
    let mut so_far = 0;
    for chunk in &chunks {
        for tick in store.ticks(ReplicaId::ONLY, *chunk)? {
            limit.check(rollout, so_far, newest)?;
            so_far = tick.number;
            was.follow(&tick)?;
            would.follow(&tick)?;
        }
    }
    Ok((was.course(), would.course()))
}

/// The judgement that follows from the policy of the deployment, the inputs of the entry, and the evidence of the
/// sequential judge.
fn again(
    record: &RolloutRecord,
    entry: &Entry,
    judgement: &Judgement,
    sequential: Option<SequentialEvidence>,
) -> Judgement {
    // After a promotion only labels are judged, in either mode.
    let mode = if entry.event.is_post_promotion() { Mode::Automatic } else { record.policy.mode };
    let (policy, inputs) = (record.policy.health, judgement.evidence.inputs);
    let accepts = judgement.sequential.as_ref().is_some_and(|it| it.shift_accepted);
    let sequential = sequential.map(|sequential| sequential.accepting_shift(accepts));
    Judgement::new(
        record.rollout,
        judgement.step,
        &record.canary.digest,
        policy,
        inputs,
        mode,
        sequential,
    )
}

fn compared(entry: &Judgement, again: &Judgement, algorithm: u32) -> (Outcome, Option<String>) {
    // As text, which is what the journal holds: it also distinguishes 0 from -0.
    let [was, is] = [entry, again].map(|one| serde_json::to_string(one).unwrap_or_default());
    if was == is {
        return (Outcome::Equal, None);
    }
    let [was, is] = [entry, again].map(|one| serde_json::to_value(one).unwrap_or_default());
    let place = difference("judgement", &was, &is);
    if algorithm != ALGORITHM {
        let detail = format!("recorded by judge version {algorithm}, this is {ALGORITHM}; {place}");
        return (Outcome::OtherVersion, Some(detail));
    }
    (Outcome::Differs, Some(place))
}

/// The first place where two values differ.
fn difference(place: &str, was: &serde_json::Value, is: &serde_json::Value) -> String {
    use serde_json::Value;
    let inner = match (was, is) {
        (Value::Object(was), Value::Object(is)) => {
            let keys = was.keys().chain(is.keys());
            keys.map(|key| (format!("{place}.{key}"), was.get(key), is.get(key)))
                .find(|(_, was, is)| was != is)
        }
        (Value::Array(was), Value::Array(is)) => (0..was.len().max(is.len()))
            .map(|n| (format!("{place}[{n}]"), was.get(n), is.get(n)))
            .find(|(_, was, is)| was != is),
        _ => None,
    };
    match inner {
        Some((place, was, is)) => {
            difference(&place, was.unwrap_or(&Value::Null), is.unwrap_or(&Value::Null))
        }
        None => format!("{place} is {was} in the journal, and comes to {is}"),
    }
}

fn chunks_of(store: &dyn Store, rollout: u64) -> Result<Vec<Chunk>, StoreError> {
    let mut chunks = store.chunks(ReplicaId::ONLY)?;
    chunks.retain(|chunk| chunk.rollout == rollout);
    Ok(chunks)
}

/// The tick log of a rollout, read forward, so that ascending ticks are each taken in once.
struct Tape<'a> {
    store: &'a dyn Store,
    record: &'a RolloutRecord,
    limit: &'a Limit,
    position: Option<Position>,
}

struct Position {
    chunk: Chunk,
    algorithm: u32,
    monitors: Monitors,
    ticks: Vec<LoggedTick>,
}

impl<'a> Tape<'a> {
    fn new(store: &'a dyn Store, record: &'a RolloutRecord, limit: &'a Limit) -> Tape<'a> {
        Tape { store, record, limit, position: None }
    }

    /// The evidence after this many ticks, and the version of the judge.
    fn at(&mut self, ticks: u64) -> Result<(SequentialEvidence, u32), ReplayError> {
        let rollout = self.record.rollout;
        let not_kept = || ReplayError::NotKept { rollout, ticks };
        let chunks = chunks_of(self.store, rollout)?;
        // At the boundary of two chunks, the earlier one has the tick.
        let chunk = *chunks
            .iter()
            .rfind(|chunk| chunk.start < ticks)
            .or_else(|| chunks.iter().rfind(|chunk| chunk.start == ticks))
            .ok_or_else(not_kept)?;
        let reusable = self
            .position
            .take()
            .filter(|position| position.chunk == chunk && position.monitors.ticks() <= ticks);
        let Position { algorithm, mut monitors, ticks: logged, .. } = match reusable {
            Some(position) => position,
            None => {
                let monitors = self.store.snapshot(ReplicaId::ONLY, chunk)?.ok_or_else(not_kept)?;
                let (algorithm, ticks) =
                    (monitors.algorithm(), self.store.ticks(ReplicaId::ONLY, chunk)?);
                Position { chunk, algorithm, monitors, ticks }
            }
        };
        let next = logged.partition_point(|tick| tick.number <= monitors.ticks());
        for tick in logged[next..].iter().take_while(|tick| tick.number <= ticks) {
            let last = || Ok(self.record.judged_ticks().unwrap_or(ticks));
            self.limit.check(rollout, monitors.ticks(), last)?;
            tick.taken_in(&mut monitors)?;
        }
        if monitors.ticks() != ticks {
            return Err(LogError::NotYet { newest: monitors.ticks(), asked: ticks }.into());
        }
        let evidence = SequentialEvidence::new(&self.record.policy.judge, &monitors);
        self.position = Some(Position { chunk, algorithm, monitors, ticks: logged });
        Ok((evidence, algorithm))
    }
}

impl Control {
    /// The evidence of the sequential judge after this many ticks of a rollout, recomputed from the policy in the
    /// journal and the tick log. Blocks for up to about a second.
    ///
    /// # Errors
    /// See [`ReplayError`].
    pub fn replayed(&self, rollout: u64, ticks: u64) -> Result<SequentialEvidence, ReplayError> {
        let store = Arc::clone(&self.store);
        let rollouts = rollouts(&*store)?;
        let record = rollouts.iter().find(|it| it.rollout == rollout);
        let record = record.ok_or(ReplayError::NoRollout(rollout))?;
        let limit = Limit::default();
        let mut tape = Tape::new(&*store, record, &limit);
        tape.at(ticks).map(|(evidence, _)| evidence)
    }
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
