//! The answer of a command.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::condition::Condition;
use super::view::Report;
use super::words::Times;
use crate::canary::Version;
use crate::canary::policy::fault::Injection;
use crate::canary::rollout::state::Ended;
use crate::service::status::overview::RolloutState;
use crate::service::status::overview::StableStatus;
use crate::service::status::overview::Status;

/// What a command led to: the part of the status that commands change. The fields that the status has too have the
/// same names and values there.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Effect {
    /// The number of journal entries so far; also the `ETag`.
    pub revision: u64,
    /// Whether a rollout is under way, and what it does.
    pub state: RolloutState,
    /// The stable version.
    pub stable: StableStatus,
    /// The canary; `null` without one.
    pub canary: Option<Version>,
    /// The canary's share of traffic, in percent; 0 without one.
    pub traffic_percent: f64,
    /// The rollout under way, counted from 1.
    pub rollout_id: Option<u64>,
    /// How the last rollout ended, if none is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_rollout: Option<Ended>,
    /// Faults injected into the canary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub injection: Option<Injection>,
    /// How the rollout is doing, as in the report of the status.
    pub condition: Condition,
    /// Which version gets what; times are in UTC.
    pub headline: String,
    /// What happens next and when.
    pub next: String,
    /// What else to know: side effects of the command, and after a deployment what the model cards say, and how the
    /// versions answer the rows of the model files.
    pub notes: Vec<String>,
}

impl Effect {
    /// The effect of a command that led to this status.
    pub fn of(status: &Status) -> Effect {
        let times = Times::utc(status.at);
        let report = Report::new(status, &times);
        let rollout_id = status.rollout.as_ref().map(|rollout| rollout.id);
        Effect {
            revision: status.revision,
            state: status.state,
            stable: status.stable.clone(),
            canary: status.canary.clone(),
            traffic_percent: status.traffic_percent,
            rollout_id,
            last_rollout: status.last_rollout.clone().filter(|_| rollout_id.is_none()),
            injection: status.injection.clone(),
            condition: report.condition,
            headline: report.headline,
            next: report.next,
            notes: status.note.iter().cloned().collect(),
        }
    }

    /// The effect of a deployment.
    pub fn of_deployment(status: &Status) -> Effect {
        let mut effect = Effect::of(status);
        effect.notes.extend(status.warnings.iter().cloned());
        effect.notes.extend(status.on_kept_rows.iter().map(|it| it.message.clone()));
        effect
    }
}
