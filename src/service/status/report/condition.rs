//! The headline of a report: how the rollout is doing, in a word and a sentence.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::rows::MetricRow;
use super::rows::MetricState;
use super::silence::silence;
use super::words::Times;
use super::words::capitalized;
use super::words::duration;
use crate::canary::judge::coverage::Coverage;
use crate::canary::judge::sentences;
use crate::canary::policy::fault::with_faults;
use crate::canary::policy::post_promotion::HarmAction;
use crate::canary::rollout::state::Ended;
use crate::canary::rollout::state::Outcome;
use crate::service::serving::circuit_breaker::BreakerState;
use crate::service::status::features::FeaturesStatus;
use crate::service::status::health::Health;
use crate::service::status::health::HealthStatus;
use crate::service::status::overview::RolloutState;
use crate::service::status::overview::RolloutStatus;
use crate::service::status::overview::Status;
use crate::service::status::plan::NextAction;
use crate::text::lists::list;
use crate::text::numbers::count;

/// How a rollout is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// No rollout yet.
    Stable,
    /// The last rollout was promoted.
    Promoted,
    /// The last rollout was promoted and is monitored.
    Monitoring,
    /// The last rollout was rolled back.
    RolledBack,
    /// The last rollout reached its deadline without a verdict.
    NoVerdict,
    /// The last promotion was undone.
    Reverted,
    /// Too little data to judge.
    Waiting,
    /// Enough data, and no conclusion yet.
    Holding,
    /// No harm, and enough data for a promotion.
    Healthy,
    /// Something that a person should look at.
    Warning,
    /// The canary does harm.
    Harm,
    /// The circuit breaker keeps requests from the canary.
    BreakerOpen,
    /// The store is lost: the canary keeps its share, and no step can be taken.
    Frozen,
    /// The rollout is on hold.
    Paused,
    /// The rollout waits for approval.
    AwaitingApproval,
}

/// A condition, and why.
pub(super) struct Headline {
    pub(super) condition: Condition,
    /// The subject: who gets what.
    pub(super) text: String,
    /// One sentence.
    pub(super) why: Option<String>,
}

impl Headline {
    pub(super) fn new(status: &Status, rows: &[MetricRow], times: &Times) -> Headline {
        match (&status.rollout, &status.canary) {
            (Some(rollout), Some(canary)) => {
                let (condition, why) = running(status, rollout, rows, times);
                let text = match condition {
                    Condition::BreakerOpen => {
                        let stable = &status.stable.version.name;
                        format!("{} gets probes only; {stable} answers", canary.name)
                    }
                    _ => format!(
                        "{} gets {} % of the traffic{}",
                        canary.name,
                        status.share_now(),
                        shadow(status)
                    ),
                };
                Headline { condition, text, why: Some(why) }
            }
            (None, _) | (_, None) => idle(status, rows, times),
        }
    }
}

fn shadow(status: &Status) -> String {
    match status.shadow.as_ref().map(|shadow| shadow.percent).filter(|percent| *percent > 0.0) {
        Some(percent) => format!(" and {percent} % in shadow"),
        None => String::new(),
    }
}

fn idle(status: &Status, rows: &[MetricRow], times: &Times) -> Headline {
    let stable = &status.stable;
    let since = format!("{} since {}", stable.version.name, times.time(stable.since));
    let Some(last) = &status.last_rollout else {
        let (condition, text) = (Condition::Stable, format!("{since}; no canary"));
        return Headline { condition, text, why: None };
    };
    let Ended { canary, at, reason, outcome, .. } = last;
    let (name, at) = (&canary.name, times.time(*at));
    let answers = format!("{} answers all requests.", stable.version.name);
    match (outcome, &status.post_promotion) {
        (Outcome::RolledBack, _) => Headline {
            condition: Condition::RolledBack,
            text: format!("{name} at {at}: {reason}"),
            why: Some(answers),
        },
        (Outcome::NoVerdict, _) => Headline {
            condition: Condition::NoVerdict,
            text: format!("{name} ended at {at}: {reason}"),
            why: Some(format!("{answers} The canary is not quarantined.")),
        },
        (Outcome::Reverted, _) => Headline {
            condition: Condition::Reverted,
            text: format!("{name} at {at}: {reason}"),
            why: Some(answers),
        },
        (Outcome::Promoted, Some(monitored)) => {
            let until = times.time(monitored.until);
            let then = match monitored.action {
                HarmAction::Revert => {
                    format!(
                        "if they show harm, serin goes back to {} by itself",
                        monitored.previous
                    )
                }
                HarmAction::Report => "if they show harm, serin reports it".to_owned(),
            };
            Headline {
                condition: Condition::Monitoring,
                text: format!("{name}, promoted at {at}, by late labels until {until}"),
                why: Some(match &monitored.harm {
                    Some(harm) => harm.clone(),
                    None if rows.iter().all(|row| row.state == MetricState::Off) => {
                        format!(
                            "No label has come yet, so nothing is judged. Labels come late: {then}."
                        )
                    }
                    None => format!("No harm in late labels so far; {then}."),
                }),
            }
        }
        (Outcome::Promoted, None) => Headline {
            condition: Condition::Promoted,
            text: format!("{name} at {at}; it answers all requests"),
            why: None,
        },
    }
}

fn running(
    status: &Status,
    rollout: &RolloutStatus,
    rows: &[MetricRow],
    times: &Times,
) -> (Condition, String) {
    let plan = rollout.plan.as_ref();
    let health = status.health.as_ref();
    let is_harm = health.is_some_and(|health| health.harm_detected)
        || plan.is_some_and(|plan| plan.next == NextAction::RollBack);
    let breaker = status.breaker.as_ref().filter(|it| it.state == BreakerState::Open);
    if let Some(lost) = &status.store_lost
        && !is_harm
        && breaker.is_none()
    {
        let share = match lost.canary_is_off {
            true => "without the canary".to_owned(),
            false => format!("with {} % for the canary", status.traffic_percent),
        };
        let why = format!(
            "Nothing can be saved since {} ({}). Predictions go on {share}; the rollout waits; the only command accepted is a rollback.",
            times.time(lost.since),
            lost.cause,
        );
        return (Condition::Frozen, why);
    }
    match status.state {
        RolloutState::Paused => {
            return (
                Condition::Paused,
                concern(status)
                    .unwrap_or_else(|| "The canary keeps its share until you decide.".to_owned()),
            );
        }
        RolloutState::AwaitingApproval => {
            let why = match rows.iter().any(MetricRow::is_open) {
                true => "The step is over; not every guardrail passes yet".to_owned(),
                false => "The step is over and every guardrail passes".to_owned(),
            };
            let caveat = plan.filter(|plan| plan.lacks_compared_answers);
            let caveat = caveat.map_or_else(String::new, |_| {
                format!(" {}.", capitalized(sentences::WRONG_ANSWERS_MAY_BE_MISSED))
            });
            let positions = status.features.as_ref().and_then(FeaturesStatus::positions);
            let positions = positions.map_or_else(String::new, |positions| format!(" {positions}"));
            return (Condition::AwaitingApproval, format!("{why}.{caveat}{positions}"));
        }
        RolloutState::Running | RolloutState::Idle => {}
    }
    if is_harm {
        return (Condition::Harm, harm(status, rollout, rows));
    }
    if let Some(breaker) = breaker {
        let failures = breaker.consecutive_failures;
        let why = format!(
            "It failed {} in a row, so {} answers in its place.",
            count(u64::from(failures), "request"),
            status.stable.version.name
        );
        return (Condition::BreakerOpen, why);
    }
    let is_in_shadow = status.shadow.as_ref().is_some_and(|shadow| shadow.percent > 0.0);
    if status.traffic_percent == 0.0 && !is_in_shadow {
        return (
            Condition::Waiting,
            "The canary gets no requests, so nothing is judged.".to_owned(),
        );
    }
    if let Some(silence) = silence(status, rollout) {
        return (Condition::Waiting, silence);
    }
    let warm_up =
        plan.map_or(0.0, |plan| plan.warm_up_until.duration_since(status.at).as_secs_f64());
    if warm_up > 0.0 {
        let left = duration(warm_up);
        return (
            Condition::Waiting,
            format!("Warming up for {left} more; nothing is judged before."),
        );
    }
    match health.map(|health| health.status) {
        Some(HealthStatus::Warning) => {
            if let Some(concern) = concern(status).or_else(|| outweighed(rows)) {
                return (Condition::Warning, concern);
            }
        }
        Some(HealthStatus::Ok) => return (Condition::Healthy, covered(health)),
        Some(HealthStatus::Harm | HealthStatus::InsufficientData) | None => {}
    }
    open(status, rows)
}

/// What was checked, and what was not.
fn covered(health: Option<&Health>) -> String {
    let Some(Health { checked, not_checked, .. }) = health else { return String::new() };
    let coverage = Coverage { checked: checked.clone(), not_checked: not_checked.clone() };
    format!("{}.", capitalized(&coverage.sentence()))
}

/// The metrics that are not decided, and how long it may take.
fn open(status: &Status, rows: &[MetricRow]) -> (Condition, String) {
    let of = |is_meant: fn(&&MetricRow) -> bool| -> Vec<String> {
        rows.iter()
            .filter(|row| row.is_open())
            .filter(is_meant)
            .map(|row| row.metric.clone())
            .collect()
    };
    let health = status.health.as_ref();
    let reason = health.and_then(|health| health.reasons.first());
    if let Some(reason) = reason.filter(|_| health.is_some_and(|it| !it.possible_harm.is_empty())) {
        return (Condition::Holding, format!("{}.", capitalized(reason)));
    }
    let lacking = of(|row| row.state == MetricState::Waiting && row.detail.is_some());
    if !lacking.is_empty() {
        return (Condition::Waiting, format!("Too few samples to judge {}.", list(&lacking)));
    }
    if let Some(concern) = concern(status) {
        return (Condition::Holding, concern);
    }
    let forecast = health.and_then(|health| health.forecast.as_ref());
    let verdict = forecast.and_then(|it| it.forecast.verdict);
    let undecided = of(|_| true);
    let range = verdict.and_then(|verdict| sentences::within(&verdict.range?));
    let when = match (verdict.and_then(|verdict| verdict.seconds), range) {
        (Some(seconds), Some(range)) if seconds > 0.0 => format!("a verdict probably {range}"),
        (Some(seconds), None) if seconds > 0.0 => format!("about {} more", duration(seconds)),
        // A forecast is made from the rate of requests.
        (Some(_) | None, _) if status.rollout.as_ref().is_some_and(|it| !it.judges_requests()) => {
            "each interval adds an observation".to_owned()
        }
        (Some(_) | None, _) => "no end in sight at the present difference".to_owned(),
    };
    let why = match (undecided.is_empty(), status.traffic_percent, reason) {
        (false, _, _) => {
            format!("Not settled yet: {}; {when}.", list(&undecided))
        }
        (true, 0.0, _) => "Nothing is open in shadow; the other metrics need traffic.".to_owned(),
        (true, 100.0, _) => "The canary gets all requests: nothing to compare it with.".to_owned(),
        (true, _, Some(reason)) => format!("{}.", capitalized(reason)),
        (true, _, None) => "No verdict yet.".to_owned(),
    };
    (Condition::Holding, why)
}

/// What a person should look at: harm in a segment, lost requests, different inputs.
fn concern(status: &Status) -> Option<String> {
    let diagnostics = &status.health.as_ref()?.diagnostics;
    let findings = diagnostics.segments.iter().flat_map(|segments| &segments.findings);
    let rows = match status.shadow.as_ref().is_some_and(|shadow| shadow.pairs > 0) {
        true => "; GET /admin/disagreements has the rows that differ most",
        false => "",
    };
    let accept = match status.state {
        RolloutState::Paused => "; serin resume accepts it",
        RolloutState::Running | RolloutState::Idle | RolloutState::AwaitingApproval => "",
    };
    let shift = diagnostics.shift.iter().filter(|_| !diagnostics.shift_accepted);
    let shift = shift.map(|shift| format!("{shift}{rows}{accept}"));
    let mut sentences = findings.map(|finding| finding.sentence.clone()).chain(shift);
    let lost = || diagnostics.sample_ratio.as_ref().and_then(|ratio| ratio.message.clone());
    let differ = || diagnostics.input_balance.as_ref().and_then(|inputs| inputs.message.clone());
    sentences
        .next()
        .or_else(lost)
        .or_else(differ)
        .map(|sentence| format!("{}.", capitalized(&sentence)))
}

/// The metrics that fail and are outweighed by the others, if there are any.
fn outweighed(rows: &[MetricRow]) -> Option<String> {
    let failing = rows.iter().filter(|row| row.role.acts() && row.state == MetricState::Fail);
    let failing: Vec<String> = failing.map(|row| row.metric.clone()).collect();
    let are_any = !failing.is_empty();
    are_any.then(|| format!("The score outweighs the harm in {}.", list(&failing)))
}

/// What harm there is: the failing metrics, or the reason of the plan or the health check.
fn harm(status: &Status, rollout: &RolloutStatus, rows: &[MetricRow]) -> String {
    let failing = rows.iter().filter(|row| row.role.acts() && row.state == MetricState::Fail);
    let failing: Vec<String> = failing
        .map(|row| match (&row.difference, &row.margin) {
            (Some(difference), Some(margin)) => {
                format!("{} {difference} ({margin})", row.metric)
            }
            (_, None) | (None, _) => match &row.detail {
                Some(detail) => format!("{} ({detail})", row.metric),
                None => row.metric.clone(),
            },
        })
        .collect();
    if !failing.is_empty() {
        let slowdown = status.simulate_slowdown.then_some(status.delay_ms);
        let faults = with_faults(slowdown, status.injection.as_ref());
        let stable = &status.stable.version.name;
        return format!("{} against {stable}{faults}.", capitalized(&list(&failing)));
    }
    let by_plan = rollout.plan.as_ref().and_then(|plan| plan.reasons.first());
    let reasons = status.health.as_ref().and_then(|health| health.reasons.first());
    let sentence =
        concern(status).or_else(|| by_plan.or(reasons).map(|it| format!("{}.", capitalized(it))));
    sentence.unwrap_or_else(|| "The canary does harm.".to_owned())
}
