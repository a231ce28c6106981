//! Post-promotion monitoring: what late labels say about the version that was promoted.

use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::canary::Judgement;
use crate::canary::Metric;
use crate::canary::SequentialVerdict;
use crate::canary::policy::post_promotion::HarmAction;
use crate::canary::rollout::state::PostPromotion;

/// A promotion that is still monitored.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PostPromotionStatus {
    /// The rollout that was promoted.
    pub rollout: u64,
    /// The version that a revert would make stable again.
    pub previous: String,
    /// When monitoring ends.
    pub until: Timestamp,
    /// What happens if labels show harm.
    pub action: HarmAction,
    /// The harm that labels show, in a sentence.
    pub harm: Option<String>,
    /// The metrics of the rollout's policy.
    pub metrics: Vec<Metric>,
    /// What the sequential judge concludes.
    pub sequential: Option<SequentialVerdict>,
    /// When the newest tick closed.
    pub as_of: Option<Timestamp>,
}

impl PostPromotionStatus {
    /// The status of this promotion, judged by its labels.
    pub(crate) fn new(
        promotion: &PostPromotion,
        judgement: Judgement,
        as_of: Option<Timestamp>,
    ) -> PostPromotionStatus {
        PostPromotionStatus {
            rollout: promotion.rollout.id,
            previous: promotion.previous.name.clone(),
            until: promotion.until,
            action: promotion.rollout.policy.post_promotion.action,
            harm: promotion.harm(&judgement).map(|cause| cause.sentence(Some(&judgement))),
            metrics: promotion.rollout.policy.judge.metrics.clone(),
            sequential: judgement.sequential.map(|it| it.conclusion),
            as_of,
        }
    }
}
