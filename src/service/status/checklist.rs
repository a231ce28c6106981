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
    let watch = judgement.watch.as_ref();
    let objections = watch.map_or_else(Vec::new, |watch| watch.objections());
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
            detail: watch.map_or_else(String::new, |watch| {
                sentences::reasons(judgement, &watch.verdict().1).join("; ")
            }),
        },
        ChecklistItem {
            item: "not paused".into(),
            done: running,
            detail: if running { "running" } else { "paused" }.to_owned(),
        },
    ]
}
