//! The conditions of a promotion, and which of them are met.

use std::borrow::Cow;

use serde::Deserialize;
use serde::Serialize;

use crate::canary::Judgement;
use crate::canary::Rollout;
use crate::canary::Verdict;
use crate::canary::judge::sentences;
use crate::canary::rollout::state::Phase;

/// One condition of a promotion.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChecklistItem {
    /// The condition.
    pub item: Cow<'static, str>,
    /// Whether it holds.
    pub done: bool,
    /// The numbers.
    pub detail: String,
}

/// The conditions under which this rollout may be promoted.
pub(crate) fn checklist(rollout: &Rollout, judgement: &Judgement) -> Vec<ChecklistItem> {
    let inputs = &judgement.evidence.inputs;
    let enough = judgement.evidence.latency.is_some();
    let (at_once, reasons) = judgement.health();
    let sequential = judgement.sequential.as_ref();
    let objections = sequential.map_or_else(Vec::new, |sequential| sequential.objections());
    let running = rollout.phase != Phase::Paused;
    vec![
        ChecklistItem {
            item: "samples".into(),
            done: enough,
            detail: format!(
                "canary {}, stable {}, each needs {}",
                inputs.canary.latency.count(),
                inputs.stable.latency.count(),
                judgement.policy.min_samples,
            ),
        },
        ChecklistItem {
            item: "no alert".into(),
            done: at_once == Verdict::Promote,
            detail: sentences::reasons(judgement, &reasons).join("; "),
        },
        ChecklistItem {
            item: "no objection from the sequential judge".into(),
            done: objections.is_empty(),
            detail: sequential.map_or_else(String::new, |sequential| {
                sentences::reasons(judgement, &sequential.verdict().1).join("; ")
            }),
        },
        ChecklistItem {
            item: "not paused".into(),
            done: running,
            detail: if running { "running" } else { "paused" }.to_owned(),
        },
    ]
}
