//! The words for what a report says: one set for the page, the terminal and Markdown.

use super::condition::Condition;
use super::rows::MetricState;
use crate::canary::policy::metric::Role;
use crate::service::status::health::HealthStatus;

/// How a word is meant. A color only repeats it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Nothing to decide.
    Calm,
    /// Good news.
    Passes,
    /// Undecided, or for a person to decide.
    Holds,
    /// Bad news.
    Fails,
    /// Of no weight.
    Muted,
}

impl Condition {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Condition::Stable => "No canary",
            Condition::Promoted | Condition::Monitoring => "Promoted",
            Condition::RolledBack => "Rolled back",
            Condition::NoVerdict => "No verdict",
            Condition::Reverted => "Reverted",
            Condition::Waiting => "Waiting",
            Condition::Holding => "Holding",
            Condition::Healthy => "Passing",
            Condition::Warning => "Warning",
            Condition::Harm => "Harmful",
            Condition::BreakerOpen => "Breaker open",
            Condition::Frozen => "Frozen",
            Condition::Paused => "Paused",
            Condition::AwaitingApproval => "Awaiting approval",
        }
    }

    /// How the word is meant.
    pub fn tone(self) -> Tone {
        match self {
            Condition::Stable | Condition::Paused | Condition::AwaitingApproval => Tone::Calm,
            Condition::Healthy | Condition::Promoted | Condition::Monitoring => Tone::Passes,
            Condition::NoVerdict | Condition::Waiting | Condition::Holding | Condition::Warning => {
                Tone::Holds
            }
            Condition::RolledBack
            | Condition::Reverted
            | Condition::Harm
            | Condition::BreakerOpen
            | Condition::Frozen => Tone::Fails,
        }
    }

    /// What the health check says of a canary in this condition, whatever else there is: a pause, an open breaker.
    #[must_use]
    pub fn judged(self, status: HealthStatus) -> Condition {
        match status {
            HealthStatus::Ok => Condition::Healthy,
            HealthStatus::Warning => Condition::Warning,
            HealthStatus::Harm => Condition::Harm,
            HealthStatus::InsufficientData if self == Condition::Waiting => Condition::Waiting,
            HealthStatus::InsufficientData => Condition::Holding,
        }
    }
}

impl MetricState {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            MetricState::Pass => "passes",
            MetricState::Fail => "fails",
            MetricState::Shifted => "shifted",
            MetricState::Waiting => "waiting",
            MetricState::Inconclusive => "inconclusive",
            MetricState::NoHarm => "no harm found",
            MetricState::Off => "off",
        }
    }

    /// How the word is meant.
    pub fn tone(self) -> Tone {
        match self {
            MetricState::Pass => Tone::Passes,
            MetricState::Fail => Tone::Fails,
            MetricState::Shifted | MetricState::Waiting | MetricState::Inconclusive => Tone::Holds,
            MetricState::NoHarm => Tone::Calm,
            MetricState::Off => Tone::Muted,
        }
    }
}

impl Role {
    /// The word for it, as in the settings.
    pub fn word(self) -> &'static str {
        match self {
            Role::Guardrail => "guardrail",
            Role::Signal => "signal",
            Role::Advisory => "advisory",
        }
    }

    /// The word for the role of a metric, and what it means in a few words. Not required: a promotion does not wait for it.
    pub fn explained(self, required: bool) -> (&'static str, &'static str) {
        match self {
            Role::Guardrail if !required => {
                ("optional guardrail", "must not fail, and a promotion does not wait for it")
            }
            Role::Guardrail => {
                (self.word(), "must not fail, and a promotion waits until it passes")
            }
            Role::Signal => (self.word(), "a failure holds the rollout"),
            Role::Advisory => (self.word(), "shown only, decides nothing"),
        }
    }
}
