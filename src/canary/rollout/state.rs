//! State: the stable version, the current rollout, and how the last one ended.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::refusal::Refusal;
use crate::canary::judge::bayesian::prior::EarlierEffects;
use crate::canary::judge::judgement::Judgement;
use crate::canary::judge::verdict::Concern;
use crate::canary::policy::DEFAULT_DELAY_MS;
use crate::canary::policy::Mode;
use crate::canary::policy::Policy;
use crate::canary::policy::fault::Injection;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::metric::MetricName;
use crate::canary::policy::plan::PlannedStep;
use crate::canary::traffic::weight::Weight;

/// A model version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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

/// Everything that follows from the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The stable version. There is always exactly one.
    pub stable: Version,
    /// Since when it is stable.
    pub stable_since: Timestamp,
    /// The current rollout.
    pub rollout: Option<Rollout>,
    /// How the previous rollout ended.
    pub last: Option<Ended>,
    /// The injected delay.
    pub slowdown: Slowdown,
    /// Quarantined artifacts by digest.
    pub quarantine: BTreeMap<String, Quarantined>,
    /// Rollouts started so far.
    pub rollouts: u64,
    /// The newest promotion while it is monitored. Never together with a rollout.
    #[serde(default)]
    pub post_promotion: Option<Box<PostPromotion>>,
    /// What clients of earlier versions send and leave out.
    #[serde(default)]
    pub clients: Clients,
    /// What earlier rollouts have shown: the prior of the Bayesian reading. No verdict depends on it.
    #[serde(default, skip_serializing_if = "EarlierEffects::is_empty")]
    pub earlier: EarlierEffects,
}

/// The features in which a canary differs from stable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FeatureChange {
    /// Those that only the canary takes.
    pub added: Vec<String>,
    /// Those that only stable takes.
    pub dropped: Vec<String>,
}

impl FeatureChange {
    /// Whether they differ in none.
    pub fn is_none(&self) -> bool {
        self.added.is_empty() && self.dropped.is_empty()
    }
}

/// What clients may still send and leave out because versions with other features were deployed before: a promotion, a
/// rollback or a revert must not turn their requests into errors.
///
/// The names are never forgotten, since an old client may send them at any time. Only deployments add names, each at
/// most 1 MiB of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clients {
    /// Features that requests may have, although no version takes them now.
    pub may_send: BTreeSet<String>,
    /// Features of stable that requests may lack: it replaced a version without them.
    pub may_lack: BTreeSet<String>,
}

impl Clients {
    /// Takes note of a canary: clients may send its features from now on.
    pub(super) fn meet(&mut self, change: &FeatureChange) {
        self.may_send.extend(change.added.iter().cloned());
    }

    /// Takes note that stable dropped some features and takes others instead.
    pub(super) fn replace(&mut self, dropped: &[String], added: &[String]) {
        self.may_send.extend(dropped.iter().cloned());
        self.may_lack.extend(added.iter().cloned());
    }
}

/// An artifact that is deployed again only by override.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Quarantined {
    /// The version that it was when it was quarantined.
    pub version: String,
    /// Why.
    pub reason: String,
}

/// A promotion under monitoring.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PostPromotion {
    /// The rollout, as it was when it was promoted.
    pub rollout: Rollout,
    /// The previous stable version, ready for a revert.
    pub previous: Version,
    /// The end of the monitoring.
    pub until: Timestamp,
    /// Metrics whose harm was known when a person promoted anyway.
    pub overruled: Vec<MetricName>,
    /// Whether harm was reported.
    pub is_reported: bool,
}

/// One attempt to replace stable with a canary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rollout {
    /// Counted from 1.
    pub id: u64,
    /// The canary version.
    pub canary: Version,
    /// The policy of the deployment, with the current weight.
    pub policy: Policy,
    /// The salt of its traffic split.
    #[serde(with = "super::salt")]
    pub salt: u128,
    /// When it was deployed.
    pub started_at: Timestamp,
    /// Counted from 1; every change of weight starts a step with new evidence.
    pub step: u32,
    /// When this step started.
    pub step_started_at: Timestamp,
    /// Whether it runs, or waits for a person.
    pub phase: Phase,
    /// The index of the plan's current step; 0 without a plan.
    #[serde(default)]
    pub position: usize,
    /// Whether a person has approved leaving this step.
    #[serde(default)]
    pub approved: bool,
    /// The deadline of a rollout by plan.
    #[serde(default)]
    pub deadline_at: Option<Timestamp>,
    /// The concerns serin has paused it for; they do not pause it again.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub concerns: BTreeSet<Concern>,
    /// The fault injected into the canary.
    #[serde(default)]
    pub injection: Injection,
    /// The features in which the canary differs from stable.
    #[serde(default, skip_serializing_if = "FeatureChange::is_none")]
    pub features: FeatureChange,
}

/// Whether a rollout runs or waits for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It runs.
    Running,
    /// Paused: it keeps its weight until it is resumed, rolled back, or promoted by override.
    Paused,
    /// Waiting for approval: it keeps its weight until it is resumed, promoted or rolled back.
    AwaitingApproval,
}

/// A delay injected into the canary's predictions, for demonstrations and tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Slowdown {
    /// Whether the delay is on.
    pub enabled: bool,
    /// The delay in milliseconds.
    pub delay_ms: u32,
}

/// How a rollout ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Ended {
    /// The rollout.
    pub rollout: u64,
    /// The canary version.
    pub canary: Version,
    /// The outcome.
    pub outcome: Outcome,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
    /// The earliest start of the next rollout by plan, if serin rolled this one back.
    #[serde(default)]
    pub cool_down_until: Option<Timestamp>,
}

/// The outcome of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RolloutOutcome)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The canary became stable.
    Promoted,
    /// The canary was rolled back.
    RolledBack,
    /// The deadline passed without a verdict: stable answers all requests, and nothing is held against the
    /// canary.
    NoVerdict,
    /// The canary was promoted, and the promotion reverted.
    Reverted,
}

/// The time from one moment to a later one; zero if it is not later.
pub(super) fn between(from: Timestamp, to: Timestamp) -> Duration {
    to.duration_since(from).try_into().unwrap_or(Duration::ZERO)
}

impl Slowdown {
    /// No delay, with the default duration for the next one.
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
            clients: Clients::default(),
            earlier: EarlierEffects::default(),
        }
    }

    /// The current rollout.
    ///
    /// # Errors
    /// When there is none.
    pub fn running(&self) -> Result<&Rollout, Refusal> {
        self.rollout.as_ref().ok_or(Refusal::NoCanary)
    }

    /// Learns from the evidence that a rollout ended with. An injected fault and an artifact that is its own canary say
    /// nothing of new versions.
    pub(super) fn learn(&mut self, rollout: &Rollout, stable: &Version, judgement: &Judgement) {
        let is_meant = rollout.injected().is_none() && !self.slowdown.enabled;
        if is_meant && rollout.canary.digest != stable.digest {
            self.earlier.learn(judgement);
        }
    }

    /// The end of the cool-down, if it is after `at`.
    pub fn cool_down_until(&self, at: Timestamp) -> Option<Timestamp> {
        let until = self.last.as_ref().and_then(|last| last.cool_down_until);
        until.filter(|until| at < *until)
    }
}

impl Rollout {
    /// The canary's current share of traffic.
    pub fn weight(&self) -> Weight {
        self.policy.weight
    }

    /// The current shadow share.
    pub fn shadow(&self) -> Weight {
        self.policy.shadow
    }

    /// How long this step has lasted.
    pub fn elapsed(&self, now: Timestamp) -> Duration {
        between(self.step_started_at, now)
    }

    /// The metrics whose values come from outside.
    pub fn metrics_from_outside(&self) -> impl Iterator<Item = &Metric> {
        self.policy.judge.metrics.iter().filter(|metric| metric.source.is_from_outside())
    }

    /// Whether any metric uses labels.
    pub fn judges_labels(&self) -> bool {
        self.policy.judge.metrics.iter().any(|metric| metric.source.is_of_labels())
    }

    /// Whether a person has accepted a shift of the scores by resuming the rollout.
    pub fn accepts_shift(&self) -> bool {
        match self.phase {
            Phase::Running | Phase::AwaitingApproval => self.concerns.contains(&Concern::Shift),
            Phase::Paused => false,
        }
    }

    /// Who decides.
    pub fn mode(&self) -> Mode {
        self.policy.mode
    }

    /// The injected fault, if there is one.
    pub fn injected(&self) -> Option<&Injection> {
        Some(&self.injection).filter(|injection| !injection.is_none())
    }

    /// The next step of the plan with its index: the next with a larger share, because a person may have
    /// changed the share.
    pub fn following_step(&self) -> Option<(usize, PlannedStep)> {
        let mut steps = self.policy.plan.steps.iter().copied().enumerate();
        steps.find(|(_, step)| step.weight > self.weight())
    }

    /// Whether the plan says that a person has to agree to leave this step.
    pub fn plan_needs_approval(&self) -> bool {
        let is_last = self.following_step().is_none();
        self.bake().is_none() || (is_last && self.policy.plan.approval)
    }

    /// Whether it waits for approval only because too few answers were compared, at the step before stable is gone.
    pub fn waits_for_answers_alone(&self) -> bool {
        let following = self.following_step();
        let is_last = following.is_none_or(|(_, step)| step.weight.basis_points() == Weight::WHOLE);
        self.phase == Phase::AwaitingApproval && is_last && !self.plan_needs_approval()
    }

    /// The end of the warm-up; observations before it are not judged.
    pub fn warm_until(&self) -> Timestamp {
        match self.policy.mode {
            Mode::Manual => self.started_at,
            Mode::Automatic => {
                self.started_at.saturating_add(self.policy.plan.warm_up).unwrap_or(Timestamp::MAX)
            }
        }
    }

    /// Whether a shadow has lasted as long as the plan waits for pairs.
    pub fn is_shadow_over(&self, now: Timestamp) -> bool {
        let step = self.policy.plan.steps.get(self.position).filter(|_| self.weight().is_zero());
        let at_most = step.and_then(|step| step.at_most);
        at_most.is_some_and(|at_most| self.elapsed(now) >= at_most)
    }

    /// The bake time of this step; `None` if it waits for approval instead.
    pub fn bake(&self) -> Option<Duration> {
        match self.policy.mode {
            Mode::Manual => Some(self.policy.bake),
            Mode::Automatic => self.policy.plan.steps.get(self.position).and_then(|step| step.bake),
        }
    }
}
