//! The one thing to do where nothing happens: send traffic, or deploy a model.

use serde::Serialize;
use utoipa::ToSchema;

use super::condition::Condition;
use super::next::cool_down;
use super::silence::silence;
use crate::service::status::overview::Status;

/// The one thing to do where nothing happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Start {
    /// What the command does.
    pub words: &'static str,
    /// The command, without the address of the server.
    pub command: &'static str,
}

impl Start {
    /// What to do in this state; `None` while something happens.
    pub(super) fn of(status: &Status, condition: Condition) -> Option<Start> {
        // Then commands are refused.
        if status.store_lost.is_some() {
            return None;
        }
        match (&status.rollout, condition) {
            // A plan is refused while the newest promotion is monitored.
            (None, _) if status.post_promotion.is_some() => None,
            (None, _) if cool_down(status).is_some() => Some(Start {
                words: "Deploy a model of the models folder, by a plan once the cool-down is over",
                command: "serin deploy MODEL --plan standard",
            }),
            (None, _) => Some(Start {
                words: "Deploy a model of the models folder",
                command: "serin deploy MODEL --plan standard",
            }),
            (Some(rollout), Condition::Waiting) => silence(status, rollout).map(|_| Start {
                words: "Send some traffic: random rows, with the values that the model has seen in training",
                command: "serin load",
            }),
            (Some(_), _) => None,
        }
    }
}
