//! One rollout as it ended.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::list::is_under_way;
use super::list::now;
use super::recomputed::Recomputed;
use super::what_if::WhatIf;
use crate::canary::Entry;
use crate::canary::Event;
use crate::canary::Judgement;
use crate::canary::Policy;
use crate::canary::rollout::outline::Outline;
use crate::service::status::Status;
use crate::service::status::history::HistoryEntry;
use crate::service::status::report::Report;
use crate::service::status::report::rows::MetricRow;
use crate::service::status::report::words::Times;

/// The newest entries of a rollout that are listed.
const ENTRIES: usize = 500;

/// A rollout as it ended, or as it is.
#[derive(Serialize, ToSchema)]
pub struct PastRollout {
    /// The outline.
    #[serde(flatten)]
    pub outline: Outline,
    /// When this was asked.
    pub asked_at: Timestamp,
    /// The policy of the deployment.
    pub policy: Box<Policy>,
    /// How it ended in words, with the metrics at its end.
    pub report: Report,
    /// The labels that came after the promotion; left out if none were judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub late_labels: Option<LateLabels>,
    /// What is stored to recompute its verdicts.
    pub stored_ticks: StoredTicks,
    /// Its entries in the journal, at most 500 of the newest.
    pub entries: Vec<HistoryEntry>,
    /// The recomputed verdicts; left out if they were not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recomputed: Option<Vec<Recomputed>>,
    /// What another policy would have said; left out if that was not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub what_if: Option<WhatIf>,
}

/// What labels showed after a promotion.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct LateLabels {
    /// When it was judged.
    pub at: Timestamp,
    /// A row for each metric of labels.
    pub metrics: Vec<MetricRow>,
}

/// What is stored of the ticks of a rollout, which its verdicts are recomputed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StoredTicks {
    /// All of them.
    All,
    /// Those after this many: older ones were deleted, or are from before a restart with another version.
    After(u64),
    /// None.
    None,
}

impl StoredTicks {
    /// What this means for those who want to recompute verdicts.
    pub fn sentence(self) -> Option<String> {
        match self {
            StoredTicks::All => None,
            StoredTicks::After(ticks) => Some(format!(
                "The store has the ticks of this rollout only from tick {} on: later verdicts can be recomputed, and \
                 other margins cannot be tried.",
                ticks + 1
            )),
            StoredTicks::None => Some(
                "The store has no ticks of this rollout: it keeps those of the newest rollouts. Its verdicts cannot be \
                 recomputed, and other margins cannot be tried."
                    .to_owned(),
            ),
        }
    }
}

impl PastRollout {
    /// The rollout of these entries, which all are its own.
    pub(crate) fn new(
        outline: &Outline,
        entries: &[Entry],
        policy: Box<Policy>,
        status: &Status,
        stored_ticks: StoredTicks,
    ) -> PastRollout {
        let times = Times::utc(outline.started_at);
        let is_under_way = is_under_way(outline, status);
        let mut report = match is_under_way {
            true => Report::new(status, &Times::utc(status.at)),
            false => {
                let last = last_judgement(entries);
                Report::of_past(outline, &policy, last.map(|(_, it)| it), &times)
            }
        };
        let omitted = entries.len().saturating_sub(ENTRIES);
        if !is_under_way {
            report.notes.extend(doubts(outline, entries, &times));
        }
        if omitted > 0 {
            report.notes.push(format!("Not shown: the {omitted} oldest entries of the journal."));
        }
        let late = entries.iter().rev().find(|entry| entry.event.is_post_promotion());
        let late = late.and_then(|entry| Some((entry.at, entry.event.judgement()?)));
        PastRollout {
            outline: now(outline, status),
            asked_at: status.at,
            late_labels: late.map(|(at, judgement)| LateLabels {
                at,
                metrics: Report::late(&policy, judgement),
            }),
            policy,
            report,
            stored_ticks,
            entries: entries.iter().skip(omitted).cloned().map(HistoryEntry::from).collect(),
            recomputed: None,
            what_if: None,
        }
    }
}

/// The newest judgement before the end of the rollout, or at it, with its entry.
fn last_judgement(entries: &[Entry]) -> Option<(&Entry, &Judgement)> {
    let of_rollout = entries.iter().rev().filter(|entry| !entry.event.is_post_promotion());
    of_rollout.filter_map(|entry| Some((entry, entry.event.judgement()?))).next()
}

/// What the metrics at the end do not rest on.
fn doubts(outline: &Outline, entries: &[Entry], times: &Times) -> Option<String> {
    let end = entries
        .iter()
        .rev()
        .find(|entry| matches!(entry.event, Event::Promoted { .. } | Event::RolledBack { .. }));
    match (last_judgement(entries), end) {
        (_, None) => Some(format!(
            "The end of rollout {} is not in the journal yet; it will be once the store can be written.",
            outline.id
        )),
        (None, Some(_)) => Some(
            "The journal has no evidence of this rollout: it ended before anything was judged."
                .to_owned(),
        ),
        (Some((entry, _)), Some(end)) if entry.sequence < end.sequence => Some(format!(
            "The journal has no evidence of the end. The metrics are those of {}, at \"{}\".",
            times.time(entry.at),
            entry.event.sentence()
        )),
        (Some(_), Some(_)) => None,
    }
}
