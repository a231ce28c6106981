//! The report of a rollout that has ended.

use super::condition::Condition;
use super::rows::MetricRow;
use super::view::Report;
use super::view::judged;
use super::view::late;
use super::words::Times;
use super::words::capitalized;
use super::words::duration;
use crate::canary::Judgement;
use crate::canary::Policy;
use crate::canary::Samples;
use crate::canary::policy::Mode;
use crate::canary::rollout::outline::Outline;
use crate::canary::rollout::state::Outcome;
use crate::service::status::health::Health;

impl Report {
    /// The report of a rollout that ended like this, with the metrics of a judgement.
    pub fn of_past(
        outline: &Outline,
        policy: &Policy,
        judgement: Option<&Judgement>,
        times: &Times,
    ) -> Report {
        let (canary, stable) = (&outline.canary.name, &outline.stable.name);
        let reached = format!("{canary}, which got up to {} % of the traffic", outline.reached());
        let (condition, headline) = match outline.outcome {
            Some(Outcome::Promoted) => {
                (Condition::Promoted, format!("{canary}, in place of {stable}"))
            }
            Some(Outcome::Reverted) => {
                (Condition::Reverted, format!("{canary}, which had taken the place of {stable}"))
            }
            Some(Outcome::NoVerdict) => (Condition::NoVerdict, reached),
            Some(Outcome::RolledBack) | None => (Condition::RolledBack, reached),
        };
        Report {
            condition,
            headline,
            why: outline.reason.as_deref().map(sentence),
            next: ended(outline, times),
            next_at: None,
            missing: None,
            checklists: Vec::new(),
            start: None,
            metrics: judgement
                .map(|judgement| metrics(outline, policy, judgement))
                .unwrap_or_default(),
            notes: Vec::new(),
        }
    }

    /// The metrics of labels alone, which are judged after a promotion.
    pub fn late(policy: &Policy, judgement: &Judgement) -> Vec<MetricRow> {
        let sequential = judgement.sequential.as_ref();
        late(&policy.judge.metrics, sequential.map(|it| &it.conclusion))
    }
}

/// A reason as a sentence. It may be what a person wrote.
fn sentence(reason: &str) -> String {
    let end = if reason.ends_with(['.', '!', '?', '"']) { "" } else { "." };
    format!("{}{end}", capitalized(reason))
}

fn metrics(outline: &Outline, policy: &Policy, judgement: &Judgement) -> Vec<MetricRow> {
    let none = Samples::default();
    let health = Health::new(judgement, &none, None, None, &Default::default());
    // The prior of that time is not known.
    let health = Health { bayesian: Vec::new(), ..health };
    let is_compared = !outline.largest_percent.is_certain();
    judged(&policy.judge.metrics, policy.mode, &health, is_compared)
}

/// When it ended, and by whom.
fn ended(outline: &Outline, times: &Times) -> String {
    let by = match outline.by {
        Some(Mode::Manual) => " by a person",
        Some(Mode::Automatic) => " by serin",
        None => "",
    };
    let Some(ended_at) = outline.ended_at else { return "not in the journal yet.".to_owned() };
    let lasted = duration(ended_at.duration_since(outline.started_at).as_secs_f64());
    let ended = times.time(ended_at);
    match outline.reverted_at {
        None => format!("{ended}{by}, after {lasted}."),
        Some(at) => format!(
            "promoted {ended} after {lasted}, and reverted {}{by}, {} later.",
            times.time(at),
            duration(at.duration_since(ended_at).as_secs_f64())
        ),
    }
}
