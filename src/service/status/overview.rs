//! The answer of `/admin/status`: everything at a glance.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::features::FeaturesStatus;
use super::health::Health;
use super::inputs::InputsStatus;
use super::plan::PlanStatus;
use super::post_promotion::PostPromotionStatus;
use super::quality::QualityStatus;
use super::shadow::ShadowStatus;
use super::tracks::Tracks;
use crate::canary::Judgement;
use crate::canary::Metric;
use crate::canary::Rollout;
use crate::canary::Version;
use crate::canary::policy::Mode;
use crate::canary::policy::fault::Injection;
use crate::canary::rollout::next_action::Action;
use crate::canary::rollout::state::Ended;
use crate::canary::rollout::state::Phase;
use crate::canary::rollout::state::Quarantined;
use crate::service::notify::TargetStatus;
use crate::service::reported::prometheus::status::QueryStatus;
use crate::service::serving::circuit_breaker::BreakerState;
use crate::service::serving::circuit_breaker::BreakerStatus;
use crate::service::serving::shadow::trial::OnKeptRows;
use crate::service::serving::totals::Totals;

/// Everything at a glance.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// The number of journal entries so far; also the `ETag`.
    pub revision: u64,
    /// When this was asked.
    pub at: Timestamp,
    /// Whether a rollout is under way, and what it does.
    pub state: RolloutState,
    /// The stable version.
    pub stable: StableStatus,
    /// The canary; `null` without one.
    pub canary: Option<Version>,
    /// The library that computes the canary; none if serin does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary_library: Option<String>,
    /// The canary's share of traffic, in percent; 0 without one.
    pub traffic_percent: f64,
    /// The rollout under way.
    pub rollout: Option<RolloutStatus>,
    /// The circuit breaker; `null` without a canary, or if it is turned off.
    pub breaker: Option<BreakerStatus>,
    /// What was observed at the current step.
    pub tracks: Tracks,
    /// What the canary answers in shadow; `null` without a shadow.
    pub shadow: Option<ShadowStatus>,
    /// The health check; `null` without a canary.
    pub health: Option<Health>,
    /// The newest promotion, while it is monitored.
    pub post_promotion: Option<PostPromotionStatus>,
    /// What is out of the ordinary: a rollback that waits for the journal, or a store that fails. In the status that a
    /// command returns, a side effect of the command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Since when nothing can be saved, and why; left out while the store is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_lost: Option<StoreLost>,
    /// In which features the canary differs from stable, and what the cards of both say against it, or against the
    /// comparison.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// How canary and stable answer the rows that their model files keep; left out if neither keeps any, and once
    /// the answers to as many requests are compared in shadow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_kept_rows: Option<OnKeptRows>,
    /// What the latest requests lack for a version; left out if nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<FeaturesStatus>,
    /// The inputs of the latest requests against those of training, and between the tracks; left out before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<InputsStatus>,
    /// How the queries of the rollout's metrics are doing; left out if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queries: Vec<QueryStatus>,
    /// Prediction quality by the labels so far; `null` if none are collected.
    pub quality: Option<QualityStatus>,
    /// How the last rollout ended.
    pub last_rollout: Option<Ended>,
    /// Artifacts that may be deployed only by override, by digest.
    pub quarantine: BTreeMap<String, Quarantined>,
    /// Whether the canary is slowed down on purpose.
    pub simulate_slowdown: bool,
    /// By how much.
    pub delay_ms: u32,
    /// Notification targets, and how far each is.
    pub notifications: Vec<TargetStatus>,
    /// Faults injected into the canary.
    pub injection: Option<Injection>,
    /// Counts since this process started; unlike `tracks` they never fall.
    pub totals: Totals,
    /// How long this process has been serving.
    pub uptime_seconds: f64,
    /// The replicas that share the store; left out where only one process can open it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<FleetStatus>,
}

/// A store in which nothing can be saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StoreLost {
    /// When a save failed for the first time.
    pub since: Timestamp,
    /// Why the last one did, and what to do.
    pub cause: String,
    /// Whether the canary gets no traffic from this server until it can save again (`--canary-off-after`).
    #[serde(default)]
    pub canary_is_off: bool,
}

/// The replicas that share the store with this one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FleetStatus {
    /// The replica that has answered, by its name.
    pub replica: String,
    /// Whether it judges and decides for all.
    pub leads: bool,
    /// All replicas that have reported in the last minute and have not ended, this one among them.
    pub replicas: Vec<ReplicaStatus>,
}

/// One replica.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReplicaStatus {
    /// Its host and port, or the name given to it.
    pub name: String,
    /// Its id, another one after each start.
    pub id: String,
    /// Whether it judges and decides for all.
    pub leads: bool,
    /// Whether it has reported in the last five seconds.
    pub is_up: bool,
    /// How long ago it reported, in seconds.
    pub silent_seconds: f64,
    /// The newest journal entry that it follows.
    pub revision: u64,
    /// The digest of the canary that it has loaded; `null` without one.
    pub canary: Option<String>,
}

impl Status {
    /// The status with this note, if there is one, in place of its own.
    #[must_use]
    pub(crate) fn noting(self, note: Option<String>) -> Status {
        Status { note: note.or(self.note), ..self }
    }

    /// The share that the canary gets at this moment, in percent: not its share of the split while its circuit breaker
    /// is open, or nothing could be saved for long.
    pub fn share_now(&self) -> f64 {
        let is_open = self.breaker.as_ref().is_some_and(|it| it.state != BreakerState::Closed);
        let is_off = self.store_lost.as_ref().is_some_and(|lost| lost.canary_is_off);
        match &self.canary {
            Some(_) if !is_open && !is_off => self.traffic_percent,
            _ => 0.0,
        }
    }
}

/// Whether a rollout is under way, and what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RolloutState {
    /// No canary.
    Idle,
    /// The rollout goes on.
    Running,
    /// The rollout is on hold.
    Paused,
    /// The rollout waits for approval.
    AwaitingApproval,
}

/// The stable version.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct StableStatus {
    /// Name, file and digest.
    #[serde(flatten)]
    pub version: Version,
    /// When it became stable.
    pub since: Timestamp,
    /// The library that computes it, such as `ONNX Runtime 1.32.0`; none if serin does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub library: Option<String>,
}

/// The rollout under way.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RolloutStatus {
    /// Counted from 1.
    pub id: u64,
    /// Counted from 1.
    pub step: u32,
    /// Who decides: a person or the plan.
    pub mode: Mode,
    /// When the canary was deployed.
    pub started_at: Timestamp,
    /// When this step began.
    pub step_started_at: Timestamp,
    /// How long the step has lasted.
    pub elapsed_seconds: f64,
    /// The minimum duration of the step; `null` if it lasts until a person resumes the rollout.
    pub bake_seconds: Option<f64>,
    /// The rest of it.
    pub remaining_bake_seconds: Option<f64>,
    /// When the newest request came, to a second; left out before the first since the start of the process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_request_at: Option<Timestamp>,
    /// The metrics of its policy, in the order of their evidence.
    pub metrics: Vec<Metric>,
    /// Its plan; `null` if a person decides.
    pub plan: Option<PlanStatus>,
}

impl RolloutState {
    /// The state of a rollout in this phase.
    pub(crate) fn new(phase: Option<Phase>) -> RolloutState {
        match phase {
            None => RolloutState::Idle,
            Some(Phase::Running) => RolloutState::Running,
            Some(Phase::Paused) => RolloutState::Paused,
            Some(Phase::AwaitingApproval) => RolloutState::AwaitingApproval,
        }
    }
}

impl RolloutStatus {
    /// See [`JudgePolicy::judges_requests`](crate::canary::JudgePolicy::judges_requests).
    pub fn judges_requests(&self) -> bool {
        self.metrics.iter().any(|metric| metric.source.is_of_requests())
    }

    /// The status of a rollout, with its judgement and the next action of its plan.
    pub(crate) fn new(
        rollout: &Rollout,
        now: Timestamp,
        judged: Option<&(Judgement, Action)>,
        last_request_at: Option<Timestamp>,
    ) -> RolloutStatus {
        let (elapsed, bake) = (rollout.elapsed(now), rollout.bake());
        let seconds = |duration: Duration| (duration.as_secs_f64() * 1e3).round() / 1e3;
        RolloutStatus {
            id: rollout.id,
            step: rollout.step,
            mode: rollout.mode(),
            started_at: rollout.started_at,
            step_started_at: rollout.step_started_at,
            elapsed_seconds: seconds(elapsed),
            bake_seconds: bake.map(seconds),
            remaining_bake_seconds: bake.map(|bake| seconds(bake.saturating_sub(elapsed))),
            last_request_at,
            metrics: rollout.policy.judge.metrics.clone(),
            plan: judged
                .and_then(|(judgement, action)| PlanStatus::new(rollout, judgement, action)),
        }
    }
}
