//! What happens after a promotion? Labels come late, so its predictions are judged for a while longer, with
//! the version before it kept ready, and what they show is reported or undone.
//!
//! Nothing is split any more: what is judged are the labels of predictions that both versions made before
//! the promotion. Only metrics of labels are heard, because nothing else can say anything new.

use jiff::Timestamp;

use super::refusal::Refusal;
use super::state::Ended;
use super::state::Outcome;
use super::state::PostPromotion;
use super::state::Rollout;
use super::state::State;
use super::state::Version;
use crate::canary::judge::judgement::Judgement;
use crate::canary::judge::sentences;
use crate::canary::judge::verdict::Classification;
use crate::canary::policy::HarmAction;
use crate::canary::policy::Mode;
use crate::canary::policy::metric::Metric;

/// What is to be done now.
#[derive(Clone, Debug, PartialEq)]
pub enum PostPromotionAction {
    /// Nothing.
    Wait,
    /// To end the watch: its time is over.
    End,
    /// To say that the promoted version does harm.
    Report,
    /// To make the previous version stable again, for this reason.
    Revert(String),
}

impl PostPromotion {
    /// The watch after a promotion; `None` if the policy has none.
    pub fn of(
        rollout: &Rollout,
        previous: &Version,
        judgement: &Judgement,
        at: Timestamp,
    ) -> Option<PostPromotion> {
        let after = rollout.policy.post_promotion;
        if after.watch.is_zero() {
            return None;
        }
        let failing = failing(judgement);
        Some(PostPromotion {
            rollout: rollout.clone(),
            previous: previous.clone(),
            until: at.saturating_add(after.watch).unwrap_or(Timestamp::MAX),
            overruled: failing.into_iter().map(|(metric, _)| metric.name.clone()).collect(),
            is_reported: false,
        })
    }

    /// What harm the labels show that was not overruled, in a sentence.
    pub fn harm(&self, judgement: &Judgement) -> Option<String> {
        let failing = failing(judgement);
        let new = failing.into_iter().filter(|(metric, _)| !self.overruled.contains(&metric.name));
        let sentences: Vec<String> = new.map(|(_, sentence)| sentence).collect();
        (!sentences.is_empty())
            .then(|| format!("labels show that it does harm: {}", sentences.join("; ")))
    }

    /// What is to be done now, with this judgement of all labels so far. `is_ready`: whether the previous
    /// version is there to go back to; what cannot be reverted is reported.
    pub fn next(
        &self,
        judgement: &Judgement,
        is_ready: bool,
        now: Timestamp,
    ) -> PostPromotionAction {
        let action = self.rollout.policy.post_promotion.action;
        let remedy = if is_ready { action } else { HarmAction::Report };
        match (self.harm(judgement), remedy) {
            (Some(reason), HarmAction::Revert) => PostPromotionAction::Revert(reason),
            (Some(_), HarmAction::Report) if !self.is_reported => PostPromotionAction::Report,
            (Some(_), HarmAction::Report) | (None, _) if now >= self.until => {
                PostPromotionAction::End
            }
            (Some(_), HarmAction::Report) | (None, _) => PostPromotionAction::Wait,
        }
    }
}

/// The metrics of labels that act and have failed, each with its sentence.
pub(crate) fn failing(judgement: &Judgement) -> Vec<(&Metric, String)> {
    let Some(watch) = &judgement.watch else { return Vec::new() };
    let evidence = watch.policy.metrics.iter().zip(&watch.conclusion.metrics);
    evidence
        .filter(|(metric, evidence)| {
            let hears = metric.source.is_of_labels() && metric.role.acts();
            hears && evidence.classification == Classification::Fail
        })
        .map(|(metric, evidence)| (metric, sentences::metric(metric, evidence)))
        .collect()
}

impl State {
    /// The rollout whose evidence goes on: the one under way, or the promoted one that is still watched.
    pub fn judged(&self) -> Option<&Rollout> {
        let watched = self.post_promotion.as_deref().map(|care| &care.rollout);
        self.rollout.as_ref().or(watched)
    }

    /// The watch over the promotion of this rollout.
    ///
    /// # Errors
    /// When none, or another one's, lasts.
    pub fn care_of(&self, rollout: u64) -> Result<&PostPromotion, Refusal> {
        let care = self.post_promotion.as_deref().ok_or(Refusal::NothingToRevert)?;
        if care.rollout.id != rollout {
            return Err(Refusal::OtherRollout { meant: rollout, running: care.rollout.id });
        }
        Ok(care)
    }

    /// Whether a deployment may end the watch that lasts: one that only reports it ends; one that would
    /// revert takes an override with a reason.
    pub(crate) fn check_not_watched(
        &self,
        reason: Option<&str>,
        is_override: bool,
        at: Timestamp,
    ) -> Result<(), Refusal> {
        let Some(care) = self.post_promotion.as_deref().filter(|care| at < care.until) else {
            return Ok(());
        };
        match care.rollout.policy.post_promotion.action {
            HarmAction::Report => Ok(()),
            HarmAction::Revert if is_override && reason.is_some() => Ok(()),
            HarmAction::Revert if is_override => Err(Refusal::ReasonMissing),
            HarmAction::Revert => Err(Refusal::UnderWatch {
                version: care.rollout.canary.name.clone(),
                until: care.until,
            }),
        }
    }

    /// The state once the version before the promotion is stable again.
    pub(crate) fn reverted(
        &self,
        care: &PostPromotion,
        reason: &str,
        by: Mode,
        at: Timestamp,
    ) -> State {
        let mut next = self.clone();
        let promoted = care.rollout.canary.clone();
        // One artifact may have been deployed beside itself, and stable is never in quarantine for it.
        if promoted.digest != care.previous.digest {
            next.quarantine.insert(promoted.digest.clone(), reason.to_owned());
        }
        let cool_down_until = match by {
            Mode::Manual => self.cool_down_until(at),
            Mode::Automatic => {
                let until = at.saturating_add(care.rollout.policy.plan.cool_down).ok();
                until.max(self.cool_down_until(at))
            }
        };
        next.last = Some(Ended {
            rollout: care.rollout.id,
            canary: promoted,
            outcome: Outcome::Reverted,
            at,
            reason: reason.to_owned(),
            cool_down_until,
        });
        (next.stable, next.stable_since) = (care.previous.clone(), at);
        next.post_promotion = None;
        next
    }
}

#[cfg(test)]
#[path = "post_promotion_tests.rs"]
mod tests;
