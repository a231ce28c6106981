//! The list of all rollouts.

use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::canary::rollout::outline::Outline;
use crate::canary::rollout::state::Outcome;
use crate::service::status::Status;
use crate::service::status::report::Condition;
use crate::service::status::report::Report;
use crate::service::status::report::words::Times;

/// Rollouts, the newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Rollouts {
    /// How many there have been.
    pub total: u64,
    /// How they ended.
    pub counts: Counts,
    /// When the first one began.
    pub since: Option<Timestamp>,
    /// How the one under way is doing; `null` without one.
    pub condition: Option<Condition>,
    /// Whether the store is in memory: it forgets them when the server stops.
    pub in_memory: bool,
    /// These rollouts. The reason of the one under way is that of the present.
    pub rollouts: Vec<Outline>,
}

/// How many rollouts ended in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RolloutCounts)]
pub struct Counts {
    /// Promoted, and not reverted since.
    pub promoted: u64,
    /// Rolled back.
    pub rolled_back: u64,
    /// Ended without a verdict.
    pub no_verdict: u64,
    /// Promoted, and reverted since.
    pub reverted: u64,
    /// Under way.
    pub under_way: u64,
}

impl Counts {
    fn of(outlines: &[Outline]) -> Counts {
        let mut counts = Counts::default();
        for outline in outlines {
            *match outline.outcome {
                Some(Outcome::Promoted) => &mut counts.promoted,
                Some(Outcome::RolledBack) => &mut counts.rolled_back,
                Some(Outcome::NoVerdict) => &mut counts.no_verdict,
                Some(Outcome::Reverted) => &mut counts.reverted,
                None => &mut counts.under_way,
            } += 1;
        }
        counts
    }
}

impl Rollouts {
    /// The newest of these rollouts with a number below `before`, at most `limit` of them.
    pub(crate) fn new(
        all: &[Outline],
        status: &Status,
        in_memory: bool,
        before: Option<u64>,
        limit: usize,
    ) -> Rollouts {
        let chosen = all.iter().rev().filter(|it| before.is_none_or(|before| it.id < before));
        let now = |outline: &Outline| now(outline, status);
        let newest = all.last().filter(|newest| is_under_way(newest, status));
        Rollouts {
            total: all.len() as u64,
            counts: Counts::of(all),
            since: all.first().map(|first| first.started_at),
            condition: newest.map(|_| Report::new(status, &Times::utc(status.at)).condition),
            in_memory,
            rollouts: chosen.take(limit).map(now).collect(),
        }
    }
}

/// Whether this rollout is the one of the status.
pub(super) fn is_under_way(outline: &Outline, status: &Status) -> bool {
    let is_same = status.rollout.as_ref().is_some_and(|rollout| rollout.id == outline.id);
    is_same && outline.outcome.is_none()
}

/// The outline with what is known of the present step.
pub(super) fn now(outline: &Outline, status: &Status) -> Outline {
    let mut outline = outline.clone();
    if is_under_way(&outline, status) {
        outline.canary_requests += status.tracks.canary.requests;
        outline.reason = Report::new(status, &Times::utc(status.at)).why;
    }
    outline
}
