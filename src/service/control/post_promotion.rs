//! Post-promotion monitoring: each look judges the labels received and acts as the policy says.

use super::Control;
use super::error::CommandError;
use super::ledger::Ledger;
use crate::canary::Event;
use crate::canary::Judgement;
use crate::canary::judge::evidence::SequentialEvidence;
use crate::canary::policy::Mode;
use crate::canary::rollout::post_promotion::PostPromotionAction;
use crate::canary::rollout::state::PostPromotion;
use crate::service::serving::recorder::Observed;

impl Control {
    /// Looks at the monitored promotion, if there is one, and acts.
    pub(crate) fn look_after(&self, ledger: &mut Ledger) -> Result<(), CommandError> {
        let Some(promotion) = ledger.state.post_promotion.as_deref() else { return Ok(()) };
        let rollout = promotion.rollout.id;
        let judgement = Box::new(self.judged_after_tick(promotion));
        let event = match promotion.next(
            &judgement,
            self.serving.live.load().previous.is_some(),
            self.clock.wall(),
        ) {
            PostPromotionAction::Wait => return Ok(()),
            PostPromotionAction::End => Event::MonitoringEnded { rollout },
            PostPromotionAction::Report => Event::HarmReported { judgement },
            PostPromotionAction::Revert(cause) => {
                let by = Mode::Automatic;
                Event::Reverted { rollout, cause, judgement: Some(judgement), by }
            }
        };
        self.commit(ledger, &event, None)
    }

    /// The judgement that a decision after a promotion rests on: closes a tick first.
    pub(crate) fn judged_after_tick(&self, promotion: &PostPromotion) -> Judgement {
        let live = self.serving.live.load();
        self.closed_tick(&live);
        self.judged_after(promotion, self.newest_evidence(&live).map(|it| it.evidence))
    }

    /// The judgement of a promoted version on this evidence, by the labels alone.
    pub(crate) fn judged_after(
        &self,
        promotion: &PostPromotion,
        sequential: Option<SequentialEvidence>,
    ) -> Judgement {
        let none = Observed::default();
        let rollout = &promotion.rollout;
        let (digest, policy) = (&rollout.canary.digest, rollout.policy.health);
        // Traffic is not split, so the health check has nothing to compare.
        let mode = Mode::Automatic;
        Judgement::new(
            rollout.id,
            rollout.step,
            digest,
            policy,
            (&none.first).into(),
            mode,
            sequential,
        )
    }

    /// A note for a deployment that ends post-promotion monitoring.
    pub(crate) fn monitoring_note(ledger: &Ledger) -> Option<String> {
        let promotion = ledger.state.post_promotion.as_deref()?;
        let rollout = &promotion.rollout;
        Some(format!(
            "monitoring of the promoted {} (rollout {}) ended with this deployment, before {}; {} can no \
             longer be reverted to",
            rollout.canary.name, rollout.id, promotion.until, promotion.previous.name
        ))
    }
}
