//! Rollouts of a journal in outline: which model, how far it came, how it ended and why.

use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::event::Event;
use super::journal::Entry;
use super::journal::ReplayError;
use super::journal::follow;
use super::state::Outcome;
use super::state::State;
use super::state::Version;
use crate::canary::judge::judgement::Judgement;
use crate::canary::policy::Mode;
use crate::canary::traffic::weight::Weight;

/// A rollout in outline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Outline {
    /// Counted from 1.
    pub id: u64,
    /// The canary.
    pub canary: Version,
    /// The version that was stable.
    pub stable: Version,
    /// Who was to decide: a person or the plan.
    pub mode: Mode,
    /// When the canary was deployed.
    pub started_at: Timestamp,
    /// When it was promoted or rolled back; `null` while it is under way.
    pub ended_at: Option<Timestamp>,
    /// When its promotion was undone; left out if it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverted_at: Option<Timestamp>,
    /// How it ended; `null` while it is under way.
    pub outcome: Option<Outcome>,
    /// Who decided the outcome.
    pub by: Option<Mode>,
    /// Why it ended like this.
    pub reason: Option<String>,
    /// The largest share of the traffic that it had as a canary, in percent.
    pub largest_percent: Weight,
    /// Requests that were routed to it as a canary, as far as the journal and the present step know.
    pub canary_requests: u64,
    /// Whether there were more: of keys that came back, or of a step that ended without a judgement.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more_requests: bool,
    /// Its first entry in the journal.
    pub first_entry: u64,
    /// Its last one so far.
    pub last_entry: u64,
}

/// All rollouts of a journal, oldest first.
#[derive(Debug, Default)]
pub struct Outlines {
    state: Option<State>,
    revision: u64,
    all: Vec<Outline>,
}

impl Outlines {
    /// The entry up to which the journal was followed.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The rollouts, oldest first.
    pub fn all(&self) -> &[Outline] {
        &self.all
    }

    /// Follows the journal by one entry.
    ///
    /// # Errors
    /// When the entry is not possible after the ones before it. The outlines can then follow no further.
    pub fn follow(&mut self, entry: &Entry) -> Result<(), ReplayError> {
        let before = self.state.take();
        let stable = before.as_ref().map(|state| state.stable.clone());
        let state = follow(before, entry)?;
        let event = &entry.event;
        if let Event::CanaryDeployed { canary, policy, .. } = event {
            self.all.push(Outline {
                id: state.rollouts,
                canary: canary.clone(),
                stable: stable.unwrap_or_else(|| canary.clone()),
                mode: policy.mode,
                started_at: entry.at,
                ended_at: None,
                reverted_at: None,
                outcome: None,
                by: None,
                reason: None,
                largest_percent: policy.weight,
                canary_requests: 0,
                more_requests: false,
                first_entry: entry.sequence,
                last_entry: entry.sequence,
            });
        }
        if let Some(outline) = self.all.last_mut() {
            outline.take_in(entry, &state);
        }
        self.revision = entry.sequence;
        self.state = Some(state);
        Ok(())
    }
}

impl Outline {
    /// The share that it came to: all of the traffic, if it was promoted.
    pub fn reached(&self) -> f64 {
        match self.outcome {
            Some(Outcome::Promoted | Outcome::Reverted) => 100.0,
            Some(Outcome::RolledBack | Outcome::NoVerdict) | None => self.largest_percent.percent(),
        }
    }

    /// Takes in an entry of this rollout, which led to this state.
    fn take_in(&mut self, entry: &Entry, state: &State) {
        self.last_entry = entry.sequence;
        let weight = state.rollout.as_ref().map(|rollout| rollout.weight());
        self.largest_percent = self.largest_percent.max(weight.unwrap_or(Weight::ZERO));
        match &entry.event {
            Event::TrafficSet { judgement, .. } | Event::Advanced { judgement } => {
                self.count(Some(judgement));
            }
            Event::Promoted { judgement, by, .. } => {
                self.count(Some(judgement));
                self.end(entry.at, *by, state);
            }
            Event::RolledBack { judgement, by, .. } => {
                self.count(judgement.as_deref());
                self.end(entry.at, *by, state);
            }
            Event::Reverted { by, .. } => {
                let promoted_at = self.ended_at;
                self.end(entry.at, *by, state);
                (self.ended_at, self.reverted_at) = (promoted_at, Some(entry.at));
            }
            Event::Initialized { .. }
            | Event::CanaryDeployed { .. }
            | Event::ApprovalAwaited { .. }
            | Event::Paused { .. }
            | Event::Held { .. }
            | Event::Resumed { .. }
            | Event::SlowdownSet { .. }
            | Event::Injected { .. }
            | Event::HarmReported { .. }
            | Event::MonitoringEnded { .. } => {}
        }
    }

    /// Counts the requests of a step that ends with this judgement.
    fn count(&mut self, judgement: Option<&Judgement>) {
        let Some(judgement) = judgement else {
            self.more_requests = true;
            return;
        };
        let inputs = &judgement.evidence.inputs;
        self.canary_requests += inputs.canary.requests;
        self.more_requests |= inputs.repeated > 0;
    }

    fn end(&mut self, at: Timestamp, by: Mode, state: &State) {
        let last = state.last.as_ref();
        self.outcome = last.map(|last| last.outcome);
        self.reason = last.map(|last| last.reason.clone());
        (self.ended_at, self.by) = (Some(at), Some(by));
    }
}

#[cfg(test)]
#[path = "outline_tests.rs"]
mod tests;
