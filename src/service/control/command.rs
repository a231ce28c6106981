//! Commands: what an operator may request, and the event that each becomes. `commit` makes it take effect.

mod deployment;

use std::time::Duration;

use parking_lot::MutexGuard;

use super::Control;
use super::ledger::Ledger;
use crate::canary::Event;
use crate::canary::Judgement;
use crate::canary::Refusal;
use crate::canary::Rollout;
use crate::canary::State;
use crate::canary::Weight;
use crate::canary::judge::evidence::SequentialEvidence;
use crate::canary::judge::health_check::Inputs;
use crate::canary::policy::DEFAULT_DELAY_MS;
use crate::canary::policy::MAX_DELAY_MS;
use crate::canary::policy::MAX_REASON_BYTES;
use crate::canary::policy::Mode;
use crate::canary::policy::fault::Injection;
use crate::canary::policy::fault::InjectionFields;
use crate::canary::policy::health::HealthPolicy;
use crate::canary::policy::metric_overrides::JudgePolicyOverride;
use crate::canary::rollout::cause::Cause;
use crate::canary::rollout::state::Outcome;
use crate::canary::rollout::state::Slowdown;
use crate::service::serving::circuit_breaker::BreakerState;
use crate::service::serving::circuit_breaker::BreakerStatus;
use crate::service::serving::recorder::Observed;
use crate::service::status::Status;
use crate::service::status::features::FeaturesStatus;
use crate::store::Role;
use crate::text::fields::Changes;
use crate::text::fields::FieldError;
use crate::text::lists::is_one_line;
use crate::text::numbers::count;

pub use super::error::CommandError;

/// A canary to deploy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Deployment {
    /// The model file.
    pub model_path: String,
    /// Its share of traffic; `None`: the default.
    pub weight: Option<Weight>,
    /// The share of stable's requests that it gets in shadow; `None`: none.
    pub shadow: Option<Weight>,
    /// How long the step bakes; `None`: the default.
    pub bake: Option<Duration>,
    /// Who decides; `None`: the default.
    pub mode: Option<Mode>,
    /// Overrides of the plan.
    pub plan: Changes,
    /// Overrides of the metrics.
    pub judge: JudgePolicyOverride,
    /// Overrides of post-promotion monitoring.
    pub post_promotion: Changes,
    /// The reason, for the journal.
    pub reason: Option<String>,
    /// Whether to deploy it even if its artifact is quarantined.
    pub override_quarantine: bool,
}

/// A command to the running rollout.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Change the canary's share.
    SetTraffic {
        /// The new share.
        weight: Weight,
        /// The share of stable's requests that it gets in shadow.
        shadow: Weight,
    },
    /// Pause the rollout.
    Pause,
    /// Resume it.
    Resume,
    /// Turn the injected delay on or off; `None` flips it.
    SetSlowdown {
        /// On or off.
        enabled: Option<bool>,
        /// The delay; `None`: as before.
        delay_ms: Option<u32>,
    },
    /// Inject a fault into the canary, or remove it.
    Inject(InjectionFields),
    /// Make the canary stable.
    Promote {
        /// Whether to promote against the judgement, which needs a reason.
        force: bool,
        /// The reason, for the journal.
        reason: Option<String>,
    },
    /// Make the version before the newest promotion stable again.
    Revert {
        /// The reason; required.
        reason: Option<String>,
    },
    /// Roll the canary back.
    RollBack {
        /// The reason, for the journal.
        reason: Option<String>,
        /// Whether to quarantine the artifact, so that only an override deploys it again.
        quarantine: bool,
    },
}

impl Control {
    /// Executes a command and returns the new status. Blocks until the event is in the journal.
    ///
    /// # Errors
    /// See [`CommandError`].
    pub fn command(
        &self,
        command: Command,
        if_revision: Option<u64>,
    ) -> Result<Status, CommandError> {
        // Before the ledger, which another command may hold while it waits for the disk. Reopened when the rollback
        // is refused.
        let is_rollback = matches!(command, Command::RollBack { .. });
        let _closed = is_rollback.then(|| self.serving.close_lane()).flatten();
        let mut ledger = self.ledger_at(if_revision, is_rollback)?;
        let note = match &command {
            Command::Promote { .. } => {
                let features = FeaturesStatus::of(&self.serving.live.load());
                features.and_then(|features| features.of_promotion())
            }
            _ => nothing_to_roll_back(&ledger.state, &command),
        };
        let event = self.event(&ledger.state, command)?;
        self.commit(&mut ledger, &event, None)?;
        Ok(self.status_of(&ledger).noting(note))
    }

    /// The ledger, if it is at the revision that the caller expects. A rollback of a rollout that this process knows does
    /// not wait for a store that fails.
    fn ledger_at(
        &self,
        if_revision: Option<u64>,
        is_rollback: bool,
    ) -> Result<MutexGuard<'_, Ledger>, CommandError> {
        let mut ledger = self.ledger.lock();
        self.flush_pending_rollback(&mut ledger)?;
        if self.store.role() != Role::Alone {
            let followed = self.follow_others(&mut ledger);
            if !is_rollback || ledger.state.rollout.is_none() {
                followed?;
            }
        }
        match if_revision {
            Some(expected) if expected != ledger.revision => {
                Err(CommandError::Revision { expected, actual: ledger.revision })
            }
            Some(_) | None => Ok(ledger),
        }
    }

    /// The event that a command becomes in this state.
    fn event(&self, state: &State, command: Command) -> Result<Event, CommandError> {
        Ok(match command {
            Command::SetTraffic { weight, shadow } => {
                let running = state.running()?;
                check_shadow(weight, shadow)?;
                let judgement = Box::new(self.judgement(running));
                Event::TrafficSet { rollout: running.id, weight, shadow, judgement }
            }
            Command::Pause => {
                Event::Paused { rollout: state.running()?.id, cause: Cause::Person(None) }
            }
            Command::Resume => Event::Resumed { rollout: state.running()?.id },
            Command::SetSlowdown { enabled, delay_ms } => {
                let slowdown = Slowdown {
                    enabled: enabled.unwrap_or(!state.slowdown.enabled),
                    delay_ms: checked_delay(delay_ms.unwrap_or(state.slowdown.delay_ms))?,
                };
                Event::SlowdownSet { slowdown }
            }
            Command::Inject(given) => self.injected(state, given)?,
            Command::Promote { force, reason } => {
                let judgement = Box::new(self.judgement(state.running()?));
                if !force {
                    self.check_breaker()?;
                }
                let reason = checked_reason(reason)?;
                Event::Promoted { judgement, forced: force, reason, by: Mode::Manual }
            }
            Command::Revert { reason } => {
                let promotion = state.post_promotion.as_deref().ok_or(Refusal::NothingToRevert)?;
                let reason = checked_reason(reason)?;
                Event::Reverted {
                    rollout: promotion.rollout.id,
                    cause: Cause::Person(reason),
                    judgement: Some(Box::new(self.judged_after_tick(promotion))),
                    by: Mode::Manual,
                }
            }
            Command::RollBack { reason, quarantine } => {
                let cause = Cause::Person(checked_reason(reason)?);
                let running = state.rollout.as_ref();
                Event::RolledBack {
                    rollout: running.map_or(0, |rollout| rollout.id),
                    cause,
                    quarantine,
                    judgement: running.map(|rollout| Box::new(self.judgement(rollout))),
                    by: Mode::Manual,
                }
            }
        })
    }

    /// Refuses to promote a canary whose circuit breaker is open. After many answers its failures may be too few for the
    /// judge.
    fn check_breaker(&self) -> Result<(), Refusal> {
        let live = self.serving.live.load();
        let breaker = live.canary.as_ref().and_then(|canary_slot| canary_slot.breaker.as_ref());
        match breaker.map(|breaker| breaker.status()) {
            None | Some(BreakerStatus { state: BreakerState::Closed, .. }) => Ok(()),
            Some(BreakerStatus { consecutive_failures, .. }) => {
                let failed = count(u64::from(consecutive_failures), "request");
                Err(Refusal::NotPassing {
                    waiting_helps: false,
                    why: format!("its circuit breaker is open: it failed {failed} in a row"),
                })
            }
        }
    }

    /// The event of an injection. Removing a fault is always allowed.
    fn injected(&self, state: &State, given: InjectionFields) -> Result<Event, CommandError> {
        let injection = Injection::try_from(given)?;
        if !injection.is_none() && !self.settings.allow_injection {
            return Err(CommandError::InjectionNotAllowed);
        }
        let declared = &self.declared_segments().keys;
        let is_known = |name: &String| declared.iter().any(|key| key.name.as_str() == name);
        if let Some(name) = injection.segment().keys().find(|name| !is_known(name)) {
            let names: Vec<&str> = declared.iter().map(|key| key.name.as_str()).collect();
            return Err(CommandError::Field(FieldError::out_of_range(
                "segment",
                name.clone(),
                if names.is_empty() {
                    "none, because [segments] in serin.toml declares none".to_owned()
                } else {
                    names.join(", ")
                },
            )));
        }
        Ok(Event::Injected { rollout: state.running()?.id, injection })
    }

    /// The judgement that a command rests on: closes a tick first. A follower asks what the leader has saved.
    fn judgement(&self, rollout: &Rollout) -> Judgement {
        if !self.decides()
            && let Err(cause) = self.save_checkpoint()
        {
            tracing::warn!(%cause, "the newest evidence of the leader cannot be read");
        }
        let live = self.serving.live.load();
        let observed = self.closed_tick(&live);
        let newest = self.newest_evidence(&live);
        self.judged(rollout, &observed, newest.map(|it| it.evidence))
    }

    /// The judgement of these samples and this evidence. Changes nothing.
    pub(crate) fn judged(
        &self,
        rollout: &Rollout,
        observed: &Observed,
        sequential: Option<SequentialEvidence>,
    ) -> Judgement {
        let (digest, policy) = (&rollout.canary.digest, rollout.policy.health);
        let inputs = health_inputs(&policy, rollout.mode(), observed);
        let accepts = rollout.accepts_shift();
        let sequential = sequential.map(|sequential| sequential.accepting_shift(accepts));
        Judgement::new(rollout.id, rollout.step, digest, policy, inputs, rollout.mode(), sequential)
    }
}

/// The inputs of the health check. By hand it tests the first request of each key only: all requests of a key are one
/// random draw. By plan it decides nothing, and its numbers are those of all requests.
fn health_inputs(policy: &HealthPolicy, mode: Mode, observed: &Observed) -> Inputs {
    match (&observed.repeated, mode) {
        (Some(repeated), Mode::Manual) => {
            Inputs { repeated: repeated.requests(), ..Inputs::new(policy, mode, &observed.first) }
        }
        _ => Inputs::new(policy, mode, &observed.all()),
    }
}

/// A note for a rollback without a canary, which may have been promoted a moment ago.
fn nothing_to_roll_back(state: &State, command: &Command) -> Option<String> {
    let Command::RollBack { quarantine, .. } = command else { return None };
    if state.rollout.is_some() {
        return None;
    }
    let mut note = "no canary is active, so nothing was rolled back".to_owned();
    if *quarantine {
        note.push_str(" and nothing was quarantined");
    }
    if let Some(promotion) = state.post_promotion.as_deref() {
        let (canary, previous) = (&promotion.rollout.canary.name, &promotion.previous.name);
        note.push_str(&format!(
            "; {canary} was promoted and is monitored; revert the promotion to return to {previous}"
        ));
    } else if let Some(last) = state.last.as_ref().filter(|it| it.outcome == Outcome::Promoted) {
        let (canary, at) = (&last.canary.name, last.at);
        note.push_str(&format!(
            "; {canary} was promoted at {at}; to return to the previous version, deploy and promote it"
        ));
    }
    Some(note)
}

/// Refuses a shadow while the canary has all traffic: stable then answers nothing that could be shadowed.
fn check_shadow(weight: Weight, shadow: Weight) -> Result<(), CommandError> {
    if weight.basis_points() == Weight::WHOLE && !shadow.is_zero() {
        return Err(CommandError::Field(FieldError::out_of_range(
            "shadow_percent",
            shadow.percent().to_string(),
            "0 while the canary has all traffic, because stable answers nothing",
        )));
    }
    Ok(())
}

fn checked_reason(reason: Option<String>) -> Result<Option<String>, CommandError> {
    match reason {
        Some(reason) if reason.len() > MAX_REASON_BYTES => {
            Err(CommandError::Field(FieldError::out_of_range(
                "reason",
                format!("a text of {} bytes", reason.len()),
                format!("at most {MAX_REASON_BYTES} bytes"),
            )))
        }
        Some(reason) if !is_one_line(&reason) => {
            Err(CommandError::Field(FieldError::out_of_range(
                "reason",
                format!("{reason:?}"),
                "one line of text without control characters",
            )))
        }
        Some(reason) if reason.trim().is_empty() => Ok(None),
        reason => Ok(reason),
    }
}

fn checked_delay(delay_ms: u32) -> Result<u32, CommandError> {
    if delay_ms > MAX_DELAY_MS {
        return Err(CommandError::Field(FieldError::out_of_range(
            "delay_ms",
            delay_ms.to_string(),
            format!("0 to {MAX_DELAY_MS} (default {DEFAULT_DELAY_MS})"),
        )));
    }
    Ok(delay_ms)
}
