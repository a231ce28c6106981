//! Rollouts of the past: read from the journal, and judged again from the store.

use std::sync::Arc;

use super::Limit;
use super::ReplayError;
use super::RolloutRecord;
use super::chunks_of;
use super::courses;
use super::recomputed;
use crate::canary::Event;
use crate::canary::JudgePolicy;
use crate::canary::judge::what_if::Changes;
use crate::canary::rollout::outline::Outline;
use crate::canary::rollout::outline::Outlines;
use crate::service::control::Control;
use crate::service::status::Status;
use crate::service::status::past::PastRollout;
use crate::service::status::past::Rollouts;
use crate::service::status::past::StoredTicks;
use crate::service::status::past::WhatIf;
use crate::service::status::report::words::Times;
use crate::store::Store;
use crate::store::StoreError;

/// Which rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The newest.
    Latest,
    /// That with this number.
    Number(u64),
}

/// What is asked of a rollout.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// Which rollout.
    pub which: Which,
    /// Whether its verdicts are to be recomputed.
    pub recompute: bool,
    /// Another policy to try.
    pub changes: Changes,
}

impl Question {
    /// Whether the answer takes seconds of a core.
    pub fn is_heavy(&self) -> bool {
        self.recompute || self.changes.are_given()
    }
}

/// How often rollouts and status are read until they are of one revision.
const ATTEMPTS: u32 = 8;

impl Control {
    /// The newest rollouts with a number below `before`, at most `limit` of them.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn rollouts(&self, before: Option<u64>, limit: usize) -> Result<Rollouts, StoreError> {
        let in_memory = self.store.bytes().is_none() && self.store_lost.lock().is_none();
        self.at_one_revision(|all, status| Rollouts::new(all, status, in_memory, before, limit))
    }

    /// A rollout as it ended, or as it is. Blocks up to the limit if the question is heavy.
    ///
    /// # Errors
    /// When there is no such rollout, the journal cannot be read, the other policy is invalid, or the limit is reached.
    /// Ticks that are not stored are no error: the answer says so.
    pub fn past_rollout(
        &self,
        question: &Question,
        limit: &Limit,
    ) -> Result<PastRollout, ReplayError> {
        let (status, outline) = self.at_one_revision(|all, status| {
            (status.clone(), chosen(all, question.which).cloned())
        })?;
        let outline = outline.ok_or(match question.which {
            Which::Latest => ReplayError::NoneYet,
            Which::Number(number) => ReplayError::NoRollout(number),
        })?;
        let store = Arc::clone(&self.store);
        let record = record(&*store, &outline)?;
        let (entries, policy) = (&record.entries, record.policy.clone());
        let stored = match chunks_of(&*store, outline.id)?.first() {
            None => StoredTicks::None,
            Some(first) if first.start == 0 => StoredTicks::All,
            Some(first) => StoredTicks::After(first.start),
        };
        let changed = question
            .changes
            .are_given()
            .then(|| question.changes.over(&record.policy.judge, &record.policy.health));
        let changed = changed.transpose().map_err(ReplayError::Policy)?;
        let mut past = PastRollout::new(&outline, entries, policy, &status, stored);
        if question.recompute {
            past.recomputed = Some(recomputed(&*store, &record, limit)?);
        }
        past.what_if =
            changed.map(|policy| what_if(&*store, &record, policy, limit)).transpose()?;
        Ok(past)
    }

    /// Reads the rollouts and the status at one revision, so that none has ended in the one and goes on in the other.
    /// Commands that follow each other too quickly for that, and a store that cannot be written, leave them apart.
    fn at_one_revision<T>(&self, read: impl Fn(&[Outline], &Status) -> T) -> Result<T, StoreError> {
        let mut attempts = 0;
        loop {
            let status = self.status();
            attempts += 1;
            let found = self.with_outlines(|outlines| {
                let is_one = outlines.revision() == status.revision || attempts == ATTEMPTS;
                is_one.then(|| read(outlines.all(), &status))
            })?;
            if let Some(found) = found {
                return Ok(found);
            }
        }
    }

    /// Reads what the journal has got since the last time.
    fn with_outlines<T>(&self, read: impl FnOnce(&Outlines) -> T) -> Result<T, StoreError> {
        let mut outlines = self.outlines.lock();
        for entry in self.store.entries_from(outlines.revision()) {
            if let Err(cause) = outlines.follow(&entry?) {
                *outlines = Outlines::default();
                let what = "the journal".to_owned();
                return Err(StoreError::Damaged { what, cause: cause.to_string() });
            }
        }
        Ok(read(&outlines))
    }
}

fn chosen(all: &[Outline], which: Which) -> Option<&Outline> {
    match which {
        Which::Latest => all.last(),
        Which::Number(number) => all.iter().find(|outline| outline.id == number),
    }
}

/// The entries of a rollout.
fn record(store: &dyn Store, outline: &Outline) -> Result<RolloutRecord, ReplayError> {
    let before = outline.first_entry.saturating_sub(1);
    let entries = store.entries(before, (outline.last_entry - before) as usize)?;
    let Some(Event::CanaryDeployed { canary, policy, .. }) = entries.first().map(|it| &it.event)
    else {
        return Err(ReplayError::NoRollout(outline.id));
    };
    Ok(RolloutRecord {
        rollout: outline.id,
        canary: canary.clone(),
        stable: outline.stable.clone(),
        policy: policy.clone(),
        entries,
    })
}

/// What another policy would have said.
fn what_if(
    store: &dyn Store,
    record: &RolloutRecord,
    policy: JudgePolicy,
    limit: &Limit,
) -> Result<WhatIf, ReplayError> {
    let (was, would) = match courses(store, record, &policy, limit) {
        Ok(courses) => courses,
        Err(cause) if cause.ends_all() => return Err(cause),
        Err(ReplayError::NotKept { .. }) => {
            let why = "it takes all ticks since the deployment, and the store no longer has them";
            return Ok(WhatIf::unknown(policy, why));
        }
        Err(cause) => return Ok(WhatIf::unknown(policy, &cause.to_string())),
    };
    if let Some(ticks) = record.judged_ticks().filter(|ticks| *ticks > was.ticks) {
        let why =
            format!("a verdict was given after {ticks} ticks, and only {} are stored", was.ticks);
        return Ok(WhatIf::unknown(policy, &why));
    }
    let times = record.entries.first().map(|first| Times::utc(first.at));
    let times = times.unwrap_or_else(|| Times::utc(jiff::Timestamp::UNIX_EPOCH));
    Ok(WhatIf::new(policy, was, would, &times))
}
