//! What does a promotion take, and what of it is there?

use serde::Serialize;

use crate::canary::Judgement;
use crate::canary::Rollout;
use crate::canary::Verdict;
use crate::canary::rollout::state::Phase;

/// One condition of a promotion.
#[derive(Clone, Debug, Serialize)]
pub struct ChecklistItem {
    /// The condition.
    pub item: &'static str,
    /// Whether it is met.
    pub done: bool,
    /// The numbers.
    pub detail: String,
}

/// What a promotion of this rollout takes.
pub(crate) fn checklist(rollout: &Rollout, judgement: &Judgement) -> Vec<ChecklistItem> {
    let inputs = &judgement.evidence.inputs;
    let enough = judgement.evidence.latency.is_some();
    let (at_once, reasons) = judgement.health();
    let watch = judgement.watch.as_ref();
    let objections = watch.map_or_else(Vec::new, |watch| watch.objections());
    let running = rollout.phase != Phase::Paused;
    vec![
        ChecklistItem {
            item: "samples",
            done: enough,
            detail: format!(
                "canary {}, stable {}, each needs {}",
                inputs.canary.latency.count(),
                inputs.stable.latency.count(),
                judgement.policy.min_samples,
            ),
        },
        ChecklistItem {
            item: "no alert",
            done: at_once == Verdict::Promote,
            detail: reasons.join("; "),
        },
        ChecklistItem {
            item: "nothing against it at any time",
            done: objections.is_empty(),
            detail: watch.map_or_else(String::new, |watch| watch.verdict().1.join("; ")),
        },
        ChecklistItem {
            item: "not paused",
            done: running,
            detail: if running { "running" } else { "paused" }.to_owned(),
        },
    ]
}
