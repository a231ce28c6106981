//! What may happen to a rollout, and what becomes of it: the state machine.
//!
//! ```text
//!            CanaryDeployed              Paused
//!   idle ───────────────────▶ running ◀────────▶ paused
//!    ▲                          │  ▲   Resumed     │
//!    └──── Promoted, RolledBack ┘  └ TrafficSet    └──▶ RolledBack, Promoted by override ──▶ idle
//! ```
//!
//! [`apply`] is the only way from one [`State`] to the next, for live commands and for replay
//! alike. It checks the event against the state, and it performs nothing: what the service has to
//! do with its samples comes back as a value. Deliberately absent: a clock, a store, a default arm.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;
use thiserror::Error;

use super::judge::Judgement;
use super::judge::Verdict;
use super::policy::Mode;
use super::policy::Policy;
use super::weight::Weight;

/// A model version: its name, the file it was deployed from, and what is in that file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Version {
    /// `model_v1`: the file's name without its ending.
    pub name: String,
    /// The file's path inside the models folder.
    pub file: String,
    /// The digest of the artifact, in hexadecimal: the version's identity.
    pub digest: String,
}

/// Everything that must survive a restart, evidence aside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The version that is trusted. There is always exactly one.
    pub stable: Version,
    /// Since when.
    pub stable_since: Timestamp,
    /// The attempt to replace it, if one is under way.
    pub rollout: Option<Rollout>,
    /// How the attempt before ended.
    pub last: Option<Ended>,
    /// The injected delay.
    pub slowdown: Slowdown,
    /// Artifacts that may not come back, by digest, with the reason.
    pub quarantine: BTreeMap<String, String>,
    /// How many rollouts were begun.
    pub rollouts: u64,
}

/// One attempt to replace stable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rollout {
    /// Counted from 1.
    pub id: u64,
    /// The version on trial.
    pub canary: Version,
    /// Its policy, as it was when it was deployed; the weight is the one in force now.
    pub policy: Policy,
    /// The salt of its split.
    #[serde(with = "salt")]
    pub salt: u128,
    /// When it was deployed.
    pub started_at: Timestamp,
    /// Counted from 1; every change of weight begins a step, and evidence starts anew with it.
    pub step: u32,
    /// When this step began.
    pub step_started_at: Timestamp,
    /// Whether a person has put it on hold.
    pub phase: Phase,
}

/// Whether a rollout goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It goes on.
    Running,
    /// It keeps its weight, and nothing but a rollback or a named override ends it.
    Paused,
}

/// A delay injected into the canary's predictions, for demonstrations and tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slowdown {
    /// Whether it is on.
    pub enabled: bool,
    /// How long it is, in milliseconds.
    pub delay_ms: u32,
}

/// How a rollout ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// Which.
    pub rollout: u64,
    /// The version that was on trial.
    pub canary: Version,
    /// What became of it.
    pub outcome: Outcome,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

/// What became of a canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is stable now.
    Promoted,
    /// It was taken back.
    RolledBack,
}

/// What happened. Each event of the journal is one of these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    /// serin started for the first time, with this stable version.
    Initialized {
        /// The trusted version.
        stable: Version,
    },
    /// A canary went on trial.
    CanaryDeployed {
        /// The version on trial.
        canary: Version,
        /// Its policy.
        policy: Policy,
        /// The salt of its split.
        #[serde(with = "salt")]
        salt: u128,
        /// Why, if a reason was given.
        reason: Option<String>,
        /// Whether a quarantine was overridden, which takes a reason.
        override_quarantine: bool,
    },
    /// The canary's share changed.
    TrafficSet {
        /// The rollout it is about.
        rollout: u64,
        /// The new share.
        weight: Weight,
        /// What had been seen at the old share.
        judgement: Box<Judgement>,
    },
    /// The rollout was put on hold.
    Paused {
        /// The rollout it is about.
        rollout: u64,
    },
    /// The rollout goes on.
    Resumed {
        /// The rollout it is about.
        rollout: u64,
    },
    /// The injected delay was changed.
    SlowdownSet {
        /// On or off, and how long.
        slowdown: Slowdown,
    },
    /// The canary became stable.
    Promoted {
        /// What it was decided on.
        judgement: Box<Judgement>,
        /// The reason of the person who overrode a judgement that does not pass.
        override_reason: Option<String>,
    },
    /// The canary was taken back.
    RolledBack {
        /// The rollout it is about.
        rollout: u64,
        /// Why.
        reason: String,
        /// Whether this artifact may come back only by override.
        quarantine: bool,
        /// What had been seen.
        judgement: Option<Box<Judgement>>,
    },
}

/// What [`apply`] makes of an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Transition {
    /// The event is to be journalled; this is the state after it.
    Changed {
        /// The state after the event.
        state: Box<State>,
        /// What the service has to do with its samples.
        samples: SamplesEffect,
    },
    /// All is as the event would have it already: nothing to journal.
    Unchanged,
}

/// What becomes of the samples collected so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SamplesEffect {
    /// They go on being collected.
    Keep,
    /// They belong to the past; collecting starts from nothing.
    StartAnew,
}

/// Why an event cannot happen in this state.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum Refusal {
    /// Only one canary at a time.
    #[error(
        "canary {canary} (rollout {rollout}) is active; promote it or roll it back before \
         deploying another"
    )]
    CanaryActive {
        /// The canary's name.
        canary: String,
        /// Its rollout.
        rollout: u64,
    },
    /// There is nothing to do it to.
    #[error("no canary is active; deploy one with POST /admin/deploy-canary")]
    NoCanary,
    /// The event was meant for another rollout or step than the one under way.
    #[error("rollout {meant} is not the one under way ({running}); look at the status and retry")]
    OtherRollout {
        /// The rollout the event names.
        meant: u64,
        /// The rollout under way.
        running: u64,
    },
    /// The judgement is of an earlier step or of another artifact.
    #[error("the judgement is stale: it is not of the current step and artifact; judge again")]
    StaleJudgement,
    /// The judgement does not pass.
    #[error(
        "the canary does not pass ({}); wait for more evidence, roll it back, or override with \
         \"force\": true and a reason", .reasons.join("; ")
    )]
    NotPassing {
        /// What was concluded.
        verdict: Verdict,
        /// Why.
        reasons: Vec<String>,
    },
    /// The rollout is on hold.
    #[error("rollout {rollout} is paused; resume it first, or override with \"force\": true")]
    IsPaused {
        /// Which.
        rollout: u64,
    },
    /// This artifact may not come back.
    #[error(
        "artifact {digest} is in quarantine ({reason}); to deploy it all the same, pass \
         \"override_quarantine\": true with a reason"
    )]
    Quarantined {
        /// The artifact.
        digest: String,
        /// Why it is there.
        reason: String,
    },
    /// An override must say why.
    #[error("an override needs a reason; pass \"reason\": \"...\"")]
    ReasonMissing,
    /// The first event was there already.
    #[error("the journal has a first event already")]
    AlreadyInitialized,
}

impl State {
    /// The state after the first event.
    pub fn initial(stable: Version, at: Timestamp) -> State {
        State {
            stable,
            stable_since: at,
            rollout: None,
            last: None,
            slowdown: Slowdown { enabled: false, delay_ms: super::policy::DEFAULT_DELAY_MS },
            quarantine: BTreeMap::new(),
            rollouts: 0,
        }
    }

    /// The rollout under way.
    ///
    /// # Errors
    /// When there is none.
    pub fn running(&self) -> Result<&Rollout, Refusal> {
        self.rollout.as_ref().ok_or(Refusal::NoCanary)
    }
}

impl Rollout {
    /// The canary's share of traffic now.
    pub fn weight(&self) -> Weight {
        self.policy.weight
    }

    /// How long the canary has been on trial at this step.
    pub fn elapsed(&self, now: Timestamp) -> Duration {
        now.duration_since(self.step_started_at).try_into().unwrap_or(Duration::ZERO)
    }

    /// Who decides.
    pub fn mode(&self) -> Mode {
        self.policy.mode
    }
}

/// The state after `event`, or why it cannot happen now.
///
/// # Errors
/// See [`Refusal`].
pub fn apply(state: &State, event: &Event, at: Timestamp) -> Result<Transition, Refusal> {
    match event {
        Event::Initialized { .. } => Err(Refusal::AlreadyInitialized),
        Event::CanaryDeployed { canary, policy, salt, reason, override_quarantine } => {
            if let Some(rollout) = &state.rollout {
                let canary = rollout.canary.name.clone();
                return Err(Refusal::CanaryActive { canary, rollout: rollout.id });
            }
            check_quarantine(state, canary, reason.as_deref(), *override_quarantine)?;
            let mut next = state.clone();
            next.rollouts += 1;
            next.quarantine.remove(&canary.digest);
            next.rollout = Some(Rollout {
                id: next.rollouts,
                canary: canary.clone(),
                policy: policy.clone(),
                salt: *salt,
                started_at: at,
                step: 1,
                step_started_at: at,
                phase: Phase::Running,
            });
            changed(next, SamplesEffect::StartAnew)
        }
        Event::TrafficSet { rollout, weight, judgement } => {
            let running = named(state, *rollout)?;
            check_current(running, judgement)?;
            if running.weight() == *weight {
                return Ok(Transition::Unchanged);
            }
            let mut running = running.clone();
            running.policy.weight = *weight;
            running.step += 1;
            running.step_started_at = at;
            changed(with_rollout(state, running), SamplesEffect::StartAnew)
        }
        Event::Paused { rollout } => turn(state, *rollout, Phase::Paused),
        Event::Resumed { rollout } => turn(state, *rollout, Phase::Running),
        Event::SlowdownSet { slowdown } => {
            if state.slowdown == *slowdown {
                return Ok(Transition::Unchanged);
            }
            changed(State { slowdown: *slowdown, ..state.clone() }, SamplesEffect::Keep)
        }
        Event::Promoted { judgement, override_reason } => {
            let running = named(state, judgement.rollout)?;
            check_current(running, judgement)?;
            if override_reason.is_none() {
                check_passing(running, judgement)?;
            }
            let reason = override_reason.clone().unwrap_or_else(|| judgement.reasons.join("; "));
            let mut next = ended(state, running, Outcome::Promoted, reason, at);
            next.stable = running.canary.clone();
            next.stable_since = at;
            changed(next, SamplesEffect::StartAnew)
        }
        Event::RolledBack { rollout, reason, quarantine, judgement: _ } => {
            if state.rollout.is_none() {
                return Ok(Transition::Unchanged);
            }
            let running = named(state, *rollout)?;
            let mut next = ended(state, running, Outcome::RolledBack, reason.clone(), at);
            if *quarantine {
                next.quarantine.insert(running.canary.digest.clone(), reason.clone());
            }
            changed(next, SamplesEffect::StartAnew)
        }
    }
}

fn changed(state: State, samples: SamplesEffect) -> Result<Transition, Refusal> {
    Ok(Transition::Changed { state: Box::new(state), samples })
}

fn named(state: &State, rollout: u64) -> Result<&Rollout, Refusal> {
    let running = state.running()?;
    if running.id != rollout {
        return Err(Refusal::OtherRollout { meant: rollout, running: running.id });
    }
    Ok(running)
}

fn with_rollout(state: &State, rollout: Rollout) -> State {
    State { rollout: Some(rollout), ..state.clone() }
}

fn turn(state: &State, rollout: u64, phase: Phase) -> Result<Transition, Refusal> {
    let running = named(state, rollout)?;
    if running.phase == phase {
        return Ok(Transition::Unchanged);
    }
    changed(with_rollout(state, Rollout { phase, ..running.clone() }), SamplesEffect::Keep)
}

/// The state after a rollout, whatever became of it: no canary, and the delay is off.
fn ended(
    state: &State,
    rollout: &Rollout,
    outcome: Outcome,
    reason: String,
    at: Timestamp,
) -> State {
    let canary = rollout.canary.clone();
    State {
        rollout: None,
        last: Some(Ended { rollout: rollout.id, canary, outcome, at, reason }),
        slowdown: Slowdown { enabled: false, ..state.slowdown },
        ..state.clone()
    }
}

fn check_quarantine(
    state: &State,
    canary: &Version,
    reason: Option<&str>,
    override_quarantine: bool,
) -> Result<(), Refusal> {
    let Some(why) = state.quarantine.get(&canary.digest) else { return Ok(()) };
    if !override_quarantine {
        return Err(Refusal::Quarantined { digest: canary.digest.clone(), reason: why.clone() });
    }
    if reason.is_none() {
        return Err(Refusal::ReasonMissing);
    }
    Ok(())
}

fn check_current(running: &Rollout, judgement: &Judgement) -> Result<(), Refusal> {
    let of_this = judgement.rollout == running.id
        && judgement.step == running.step
        && judgement.digest == running.canary.digest;
    if of_this { Ok(()) } else { Err(Refusal::StaleJudgement) }
}

fn check_passing(running: &Rollout, judgement: &Judgement) -> Result<(), Refusal> {
    match running.phase {
        Phase::Paused => return Err(Refusal::IsPaused { rollout: running.id }),
        Phase::Running => {}
    }
    match judgement.verdict {
        Verdict::Promote => Ok(()),
        Verdict::Rollback | Verdict::Hold => Err(Refusal::NotPassing {
            verdict: judgement.verdict,
            reasons: judgement.reasons.clone(),
        }),
    }
}

/// A 128-bit salt as hexadecimal text, because JSON numbers hold no 128 bits.
mod salt {
    use serde::Deserialize;
    use serde::Deserializer;
    use serde::Serializer;
    use serde::de::Error;

    pub fn serialize<S: Serializer>(salt: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{salt:032x}"))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        let text = String::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map_err(D::Error::custom)
    }
}
