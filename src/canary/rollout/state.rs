//! What is known at any moment: who is trusted, who is on trial, and how the last trial ended.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use super::refusal::Refusal;
use crate::canary::judge::verdict::Concern;
use crate::canary::policy::DEFAULT_DELAY_MS;
use crate::canary::policy::Mode;
use crate::canary::policy::Policy;
use crate::canary::policy::fault::Injection;
use crate::canary::policy::metric::MetricName;
use crate::canary::policy::metric::Source;
use crate::canary::policy::plan::PlannedStep;
use crate::canary::traffic::weight::Weight;

/// A model version: its name, the file it was deployed from, and what is in that file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Version {
    /// `model_v1`: the file's name without its ending.
    #[serde(rename = "version")]
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
    /// The newest promotion, while it is watched. Only without a rollout under way.
    #[serde(default)]
    pub post_promotion: Option<Box<PostPromotion>>,
}

/// A promotion that is still watched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PostPromotion {
    /// The rollout, as it was when it was promoted.
    pub rollout: Rollout,
    /// The version that was stable before, ready to be so again.
    pub previous: Version,
    /// When the watch ends.
    pub until: Timestamp,
    /// Metrics whose harm was known when a person promoted all the same.
    pub overruled: Vec<MetricName>,
    /// Whether harm was reported.
    pub is_reported: bool,
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
    #[serde(with = "super::salt")]
    pub salt: u128,
    /// When it was deployed.
    pub started_at: Timestamp,
    /// Counted from 1; every change of weight begins a step, and evidence starts anew with it.
    pub step: u32,
    /// When this step began.
    pub step_started_at: Timestamp,
    /// Whether it goes on, and who has to say so.
    pub phase: Phase,
    /// Which step of its plan it is at, counted from 0; without a plan 0.
    #[serde(default)]
    pub position: usize,
    /// Whether a person has agreed to leave this step of the plan.
    #[serde(default)]
    pub approved: bool,
    /// When a rollout by plan has taken too long.
    #[serde(default)]
    pub deadline_at: Option<Timestamp>,
    /// What serin has held it for, by name; a person has seen it or is to.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub concerns: BTreeSet<Concern>,
    /// What is broken in the canary on purpose.
    #[serde(default)]
    pub injection: Injection,
}

/// Whether a rollout goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It goes on.
    Running,
    /// A person has put it on hold: it keeps its weight, and nothing but a rollback or a named override
    /// ends it.
    Paused,
    /// The plan waits for a person: it keeps its weight until one resumes it, promotes it, or rolls it
    /// back.
    AwaitingApproval,
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
    /// Until when no other rollout by plan begins: there if serin took this one back.
    #[serde(default)]
    pub cool_down_until: Option<Timestamp>,
}

/// What became of a canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is stable now.
    Promoted,
    /// It was taken back.
    RolledBack,
    /// It was promoted, and then taken back.
    Reverted,
}

impl Slowdown {
    /// No delay; the next one is as long as the default unless it is told otherwise.
    pub const OFF: Slowdown = Slowdown { enabled: false, delay_ms: DEFAULT_DELAY_MS };
}

impl State {
    /// The state after the first event.
    pub fn initial(stable: Version, at: Timestamp) -> State {
        State {
            stable,
            stable_since: at,
            rollout: None,
            last: None,
            slowdown: Slowdown::OFF,
            quarantine: BTreeMap::new(),
            rollouts: 0,
            post_promotion: None,
        }
    }

    /// The rollout under way.
    ///
    /// # Errors
    /// When there is none.
    pub fn running(&self) -> Result<&Rollout, Refusal> {
        self.rollout.as_ref().ok_or(Refusal::NoCanary)
    }

    /// Until when nothing is deployed by plan, if that is later than this.
    pub fn cool_down_until(&self, at: Timestamp) -> Option<Timestamp> {
        let until = self.last.as_ref().and_then(|last| last.cool_down_until);
        until.filter(|until| at < *until)
    }
}

impl Rollout {
    /// The canary's share of traffic now.
    pub fn weight(&self) -> Weight {
        self.policy.weight
    }

    /// The share of stable's requests that the canary is asked in shadow now.
    pub fn shadow(&self) -> Weight {
        self.policy.shadow
    }

    /// How long the canary has been on trial at this step.
    pub fn elapsed(&self, now: Timestamp) -> Duration {
        now.duration_since(self.step_started_at).try_into().unwrap_or(Duration::ZERO)
    }

    /// The metrics that are judged by values measured elsewhere.
    pub fn recorded_metrics(&self) -> impl Iterator<Item = MetricName> + '_ {
        let metrics = self.policy.judge.metrics.iter();
        metrics.filter(|metric| metric.source == Source::Recorded).map(|metric| metric.name.clone())
    }

    /// Whether anything is judged by what became of predictions.
    pub fn judges_labels(&self) -> bool {
        self.policy.judge.metrics.iter().any(|metric| metric.source.is_of_labels())
    }

    /// Who decides.
    pub fn mode(&self) -> Mode {
        self.policy.mode
    }

    /// What is broken in the canary on purpose, if anything is.
    pub fn injected(&self) -> Option<&Injection> {
        Some(&self.injection).filter(|injection| !injection.is_none())
    }

    /// The next step of the plan and its place: the next whose share is larger, because a person may have
    /// changed the share meanwhile.
    pub fn following_step(&self) -> Option<(usize, PlannedStep)> {
        let mut steps = self.policy.plan.steps.iter().copied().enumerate();
        steps.find(|(_, step)| step.weight > self.weight())
    }

    /// What is observed before this enters no judgement.
    pub fn warm_until(&self) -> Timestamp {
        match self.policy.mode {
            Mode::Manual => self.started_at,
            Mode::Automatic => {
                self.started_at.saturating_add(self.policy.plan.warm_up).unwrap_or(Timestamp::MAX)
            }
        }
    }

    /// How long this step lasts at least; `None` until a person lets it go on.
    pub fn bake(&self) -> Option<Duration> {
        match self.policy.mode {
            Mode::Manual => Some(self.policy.bake),
            Mode::Automatic => self.policy.plan.steps.get(self.position).and_then(|step| step.bake),
        }
    }
}
