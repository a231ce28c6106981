//! Post-promotion monitoring: late labels are judged for a while after a promotion.
//!
//! Traffic is no longer split, so the evidence is the labels of predictions that both versions made before
//! the promotion; only metrics of labels count. The previous version stays ready, and harm is reported or
//! reverted as the policy says.

use jiff::Timestamp;

use super::cause::Cause;
use super::refusal::Refusal;
use super::state::Ended;
use super::state::Outcome;
use super::state::PostPromotion;
use super::state::Quarantined;
use super::state::Rollout;
use super::state::State;
use super::state::Version;
use super::state::between;
use crate::canary::judge::judgement::Judgement;
use crate::canary::judge::verdict::Classification;
use crate::canary::judge::verdict::MetricEvidence;
use crate::canary::policy::Mode;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::metric::MetricName;
use crate::canary::policy::post_promotion::HarmAction;

/// The next action of the monitoring.
#[derive(Clone, Debug, PartialEq)]
pub enum PostPromotionAction {
    /// Wait.
    Wait,
    /// End the monitoring: its time is over.
    End,
    /// Report that the promoted version is worse.
    Report,
    /// Make the previous version stable again.
    Revert(Cause),
}

impl PostPromotion {
    /// The monitoring of a promotion; `None` if the policy has none.
    pub fn of(
        rollout: &Rollout,
        previous: &Version,
        judgement: &Judgement,
        at: Timestamp,
    ) -> Option<PostPromotion> {
        let after = rollout.policy.post_promotion;
        if after.monitor.is_zero() {
            return None;
        }
        let failing = failing(judgement);
        Some(PostPromotion {
            rollout: rollout.clone(),
            previous: previous.clone(),
            until: at.saturating_add(after.monitor).unwrap_or(Timestamp::MAX),
            overruled: failing.into_iter().map(|(metric, _)| metric.name.clone()).collect(),
            is_reported: false,
        })
    }

    /// The harm that the labels show, without metrics that a person overruled.
    pub fn harm(&self, judgement: &Judgement) -> Option<Cause> {
        let names = failing(judgement).into_iter().map(|(metric, _)| metric.name.clone());
        let new: Vec<MetricName> = names.filter(|name| !self.overruled.contains(name)).collect();
        (!new.is_empty()).then_some(Cause::LateHarm(new))
    }

    /// The next action, given the judgement of all labels so far. `is_ready`: whether the previous version
    /// is loaded; harm that cannot be reverted is reported.
    pub fn next(
        &self,
        judgement: &Judgement,
        is_ready: bool,
        now: Timestamp,
    ) -> PostPromotionAction {
        let action = self.rollout.policy.post_promotion.action;
        let remedy = if is_ready { action } else { HarmAction::Report };
        match (self.harm(judgement), remedy) {
            (Some(cause), HarmAction::Revert) => PostPromotionAction::Revert(cause),
            (Some(_), HarmAction::Report) if !self.is_reported => PostPromotionAction::Report,
            (Some(_), HarmAction::Report) | (None, _) if now >= self.until => {
                PostPromotionAction::End
            }
            (Some(_), HarmAction::Report) | (None, _) => PostPromotionAction::Wait,
        }
    }
}

/// The failed guardrails and signals of labels.
pub(crate) fn failing(judgement: &Judgement) -> Vec<(&Metric, &MetricEvidence)> {
    let Some(sequential) = &judgement.sequential else { return Vec::new() };
    let evidence = sequential.policy.metrics.iter().zip(&sequential.conclusion.metrics);
    evidence
        .filter(|(metric, evidence)| {
            let hears = metric.source.is_of_labels() && metric.role.acts();
            hears && evidence.classification == Classification::Fail
        })
        .collect()
}

impl State {
    /// The rollout that collects evidence: the current one, or the promoted one during monitoring.
    pub fn judged(&self) -> Option<&Rollout> {
        let promoted = self.post_promotion.as_deref().map(|promotion| &promotion.rollout);
        self.rollout.as_ref().or(promoted)
    }

    /// The monitoring of this rollout.
    ///
    /// # Errors
    /// When no rollout or another one is monitored.
    pub fn monitored(&self, rollout: u64) -> Result<&PostPromotion, Refusal> {
        let promotion = self.post_promotion.as_deref().ok_or(Refusal::NothingToRevert)?;
        if promotion.rollout.id != rollout {
            return Err(Refusal::OtherRollout { meant: rollout, running: promotion.rollout.id });
        }
        Ok(promotion)
    }

    /// Whether a deployment can end the monitoring: if it would revert, only with an override and a reason.
    pub(crate) fn check_not_monitored(
        &self,
        reason: Option<&str>,
        is_override: bool,
        at: Timestamp,
    ) -> Result<(), Refusal> {
        let Some(promotion) =
            self.post_promotion.as_deref().filter(|promotion| at < promotion.until)
        else {
            return Ok(());
        };
        match promotion.rollout.policy.post_promotion.action {
            HarmAction::Report => Ok(()),
            HarmAction::Revert if is_override && reason.is_some() => Ok(()),
            HarmAction::Revert if is_override => Err(Refusal::ReasonMissing),
            HarmAction::Revert => Err(Refusal::PromotionMonitored {
                version: promotion.rollout.canary.name.clone(),
                left: between(at, promotion.until),
            }),
        }
    }

    /// The state after a revert: the previous version is stable again.
    pub(crate) fn reverted(
        &self,
        promotion: &PostPromotion,
        reason: &str,
        by: Mode,
        at: Timestamp,
    ) -> State {
        let mut next = self.clone();
        let promoted = promotion.rollout.canary.clone();
        // An artifact can be deployed as its own canary; stable must not be quarantined.
        if promoted.digest != promotion.previous.digest {
            let (version, reason) = (promoted.name.clone(), reason.to_owned());
            next.quarantine.insert(promoted.digest.clone(), Quarantined { version, reason });
        }
        let cool_down_until = match by {
            Mode::Manual => self.cool_down_until(at),
            Mode::Automatic => {
                let until = at.saturating_add(promotion.rollout.policy.plan.cool_down).ok();
                until.max(self.cool_down_until(at))
            }
        };
        next.last = Some(Ended {
            rollout: promotion.rollout.id,
            canary: promoted,
            outcome: Outcome::Reverted,
            at,
            reason: reason.to_owned(),
            cool_down_until,
        });
        (next.stable, next.stable_since) = (promotion.previous.clone(), at);
        let change = &promotion.rollout.features;
        next.clients.replace(&change.added, &change.dropped);
        next.post_promotion = None;
        next
    }
}

#[cfg(test)]
#[path = "post_promotion_tests.rs"]
mod tests;
