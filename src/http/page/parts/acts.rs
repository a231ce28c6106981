//! The acts: what a person can do now, each with what follows from it.

use askama::Template;

use crate::canary::Verdict;
use crate::canary::policy::Mode;
use crate::service::serving::circuit_breaker::BreakerState;
use crate::service::status::health::HealthStatus;
use crate::service::status::overview::RolloutState;
use crate::service::status::overview::Status;
use crate::service::status::report::Condition;
use crate::text::numbers::count;
use crate::text::numbers::two_digits;

/// The buttons, and a panel for each that sends its command.
#[derive(Debug, Default, Template)]
#[template(path = "acts.html")]
pub(super) struct Acts {
    acts: Vec<Act>,
}

/// A command, sent to a route under `/admin`, as its panel.
#[derive(Debug, Template)]
#[template(path = "panel.html")]
pub(super) struct Act {
    /// The id of its panel.
    pub(super) id: String,
    route: &'static str,
    /// The class of its color: `go`, `back`, `stop` or none.
    color: &'static str,
    label: &'static str,
    /// The heading of its panel.
    question: String,
    /// What follows.
    consequences: Vec<String>,
    fields: Vec<Field>,
    /// The label of the button that sends it.
    confirm: &'static str,
}

/// What a deployment from the page takes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Deploy {
    /// The share that is offered, in percent.
    ByHand { percent: f64 },
    /// The shares of the plan in words.
    ByPlan { steps: String },
}

/// A member of the command's body.
#[derive(Debug)]
enum Field {
    /// A line of text for the journal.
    Reason { is_required: bool },
    /// A share in percent, and the member that has it.
    Percent(&'static str, f64),
    /// A member with this value, which a person does not choose.
    Hidden(&'static str, String),
    /// A member that the person may choose.
    Choice { name: &'static str, label: &'static str },
}

const REASON: Field = Field::Reason { is_required: false };
const WHY: Field = Field::Reason { is_required: true };

impl Acts {
    /// What can be done in this condition.
    pub(super) fn new(status: &Status, condition: Condition) -> Acts {
        let acts = match (&status.canary, &status.rollout, &status.post_promotion) {
            (Some(canary), Some(_), _) => of_rollout(status, condition, &canary.name),
            (None, _, Some(promotion)) => vec![Act {
                id: id_of("revert"),
                route: "revert",
                color: "back",
                label: "Revert",
                question: format!("Revert to {}?", promotion.previous),
                consequences: vec![format!(
                    "{} answers everybody from the next request on; {} is taken out of the traffic.",
                    promotion.previous, status.stable.version.name
                )],
                fields: vec![WHY],
                confirm: "Revert now",
            }],
            (Some(_) | None, None, None) | (None, Some(_), None) | (Some(_), None, Some(_)) => {
                Vec::new()
            }
        };
        Acts { acts }
    }
}

fn id_of(route: &str) -> String {
    format!("act-{route}")
}

/// The deployment of a file of the models folder by hand with this share, or by a plan with these steps.
pub(super) fn deployment(status: &Status, (file, version): (&str, &str), how: &Deploy) -> Act {
    let stable = &status.stable.version.name;
    let (mut fields, mut consequences) =
        (vec![Field::Hidden("model_path", file.to_owned())], Vec::new());
    match how {
        Deploy::ByHand { percent } => {
            fields.push(Field::Percent("traffic_percent", *percent));
            consequences.push(format!(
                "{version} gets this share of the traffic from the next request on; {stable} answers the rest."
            ));
            consequences.push(
                "serin judges it and changes nothing by itself: you promote it or roll it back."
                    .to_owned(),
            );
        }
        Deploy::ByPlan { steps } => {
            consequences.push(format!(
                "serin gives {version} its shares by the plan ({steps}); {stable} answers the rest."
            ));
            consequences.push(
                "serin promotes it at the end, and rolls it back as soon as harm is found."
                    .to_owned(),
            );
        }
    }
    consequences.extend(status.post_promotion.as_ref().map(|promotion| {
        format!(
            "The promotion of {stable} is then no longer monitored, and cannot be reverted to {}.",
            promotion.previous
        )
    }));
    fields.push(REASON);
    // The names of files have characters that an id cannot have.
    let mut id = blake3::hash(file.as_bytes()).to_hex().to_string();
    id.truncate(16);
    Act {
        id: format!("deploy-{id}"),
        route: "deploy-canary",
        color: "",
        label: "Deploy as canary",
        question: format!("Deploy {version} as canary?"),
        consequences,
        fields,
        confirm: "Deploy now",
    }
}

/// The acts on a canary. Where it does harm, the rollback comes first with a color, and the promotion last.
fn of_rollout(status: &Status, condition: Condition, canary: &str) -> Vec<Act> {
    if status.store_lost.is_some() {
        // All others are refused.
        return vec![rollback(status, canary)];
    }
    let mut acts = Vec::new();
    let is_urgent = matches!(condition, Condition::Harm | Condition::BreakerOpen);
    if is_urgent {
        acts.push(Act { color: "stop", ..rollback(status, canary) });
    }
    match status.state {
        RolloutState::AwaitingApproval => acts.push(Act {
            id: id_of("resume-canary"),
            route: "resume-canary",
            color: "go",
            label: "Approve",
            question: format!("Approve {canary}?"),
            consequences: vec![
                "The plan goes on with its next step, or with the promotion after the last."
                    .to_owned(),
            ],
            fields: Vec::new(),
            confirm: "Approve now",
        }),
        RolloutState::Paused => acts.push(Act {
            id: id_of("resume-canary"),
            route: "resume-canary",
            color: "",
            label: "Resume",
            question: format!("Resume the rollout of {canary}?"),
            consequences: vec!["The rollout goes on where it was paused.".to_owned()],
            fields: Vec::new(),
            confirm: "Resume now",
        }),
        RolloutState::Running | RolloutState::Idle => {}
    }
    if !is_urgent {
        acts.push(promotion(status, canary));
    }
    if status.state == RolloutState::Running {
        acts.push(pause(status, canary));
    }
    acts.push(share(status, canary));
    acts.push(slowdown(status, canary));
    acts.push(if is_urgent { promotion(status, canary) } else { rollback(status, canary) });
    acts
}

fn promotion(status: &Status, canary: &str) -> Act {
    let stable = &status.stable.version.name;
    let follows =
        format!("{canary} answers everybody from the next request on, in place of {stable}.");
    let passes = status.health.as_ref().is_some_and(|health| health.verdict == Verdict::Promote);
    let is_paused = status.state == RolloutState::Paused;
    let is_ok = status.health.as_ref().is_some_and(|health| health.status == HealthStatus::Ok);
    let is_broken =
        status.breaker.as_ref().is_some_and(|breaker| breaker.state != BreakerState::Closed);
    if passes && !is_paused && !is_broken {
        return Act {
            id: id_of("promote-canary"),
            route: "promote-canary",
            // An approval is asked for first, and nobody is invited past a warning.
            color: if is_ok && status.state == RolloutState::Running { "go" } else { "" },
            label: "Promote",
            question: format!("Promote {canary}?"),
            consequences: vec![follows],
            fields: vec![REASON],
            confirm: "Promote now",
        };
    }
    let against = if is_paused {
        vec!["The rollout is paused.".to_owned()]
    } else if is_broken {
        vec!["Against it: its circuit breaker is open, so only probes reach it.".to_owned()]
    } else {
        let reasons = status.health.iter().flat_map(|health| &health.reasons);
        reasons.map(|reason| format!("Against it: {reason}.")).collect()
    };
    Act {
        id: id_of("promote-canary"),
        route: "promote-canary",
        color: "",
        label: "Promote",
        question: format!("Promote {canary} against the evidence?"),
        consequences: against.into_iter().chain([follows]).collect(),
        fields: vec![Field::Hidden("force", "true".to_owned()), WHY],
        confirm: "Promote anyway",
    }
}

fn pause(status: &Status, canary: &str) -> Act {
    let by_plan = status.rollout.as_ref().is_some_and(|rollout| rollout.mode != Mode::Manual);
    let mut consequences =
        vec![format!("{canary} keeps {} % of the traffic.", two_digits(status.traffic_percent))];
    if by_plan {
        consequences.push("The plan takes no step until the rollout is resumed.".to_owned());
    }
    Act {
        id: id_of("pause-canary"),
        route: "pause-canary",
        color: "",
        label: "Pause",
        question: format!("Pause the rollout of {canary}?"),
        consequences,
        fields: Vec::new(),
        confirm: "Pause now",
    }
}

fn share(status: &Status, canary: &str) -> Act {
    Act {
        id: id_of("set-traffic"),
        route: "set-traffic",
        color: "",
        label: "Set share",
        question: format!("Which share of the traffic is {canary} to get?"),
        consequences: vec!["A new step begins: its requests are counted from zero.".to_owned()],
        fields: vec![Field::Percent("percent", status.traffic_percent)],
        confirm: "Set the share",
    }
}

fn slowdown(status: &Status, canary: &str) -> Act {
    let (label, question, consequence, confirm) = match status.simulate_slowdown {
        true => (
            "End slowdown",
            format!("End the slowdown of {canary}?"),
            "Its predictions are no longer delayed.".to_owned(),
            "End the slowdown",
        ),
        false => (
            "Slow down",
            format!("Slow {canary} down, to rehearse a rollback?"),
            format!(
                "Each of its predictions takes {} ms longer, for real clients too, until you end it.",
                status.delay_ms
            ),
            "Slow it down",
        ),
    };
    Act {
        id: id_of("toggle-slowdown"),
        route: "toggle-slowdown",
        color: "",
        label,
        question,
        consequences: vec![consequence],
        fields: Vec::new(),
        confirm,
    }
}

fn rollback(status: &Status, canary: &str) -> Act {
    let requests = status.tracks.canary.requests;
    let so_far = count(requests, "request");
    Act {
        id: id_of("rollback-canary"),
        route: "rollback-canary",
        color: "back",
        label: "Roll back",
        question: format!("Roll back {canary}?"),
        consequences: vec![
            format!("{so_far} of this step went to {canary}."),
            format!("{} answers everybody from the next request on.", status.stable.version.name),
        ],
        fields: vec![REASON, Field::Choice { name: "quarantine", label: "Quarantine the model" }],
        confirm: "Roll back now",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::service::status::report::Report;
    use crate::service::status::report::tests::rollout;
    use crate::service::status::report::words::Times;

    fn acts(status: &Status) -> Vec<Act> {
        let times = Times::utc(status.at);
        Acts::new(status, Report::new(status, &times).condition).acts
    }

    fn labels(status: &Status) -> Vec<&'static str> {
        acts(status).iter().map(|act| act.label).collect()
    }

    #[test]
    fn a_harmful_canary_is_rolled_back_by_the_first_button() {
        let harmful = acts(&rollout("fail", Some(0.004), json!({})));
        assert_eq!((harmful[0].label, harmful[0].color), ("Roll back", "stop"));
        let others = harmful[1..].iter().map(|act| act.color);
        assert!(others.clone().all(str::is_empty), "{:?}", others.collect::<Vec<_>>());
        assert_eq!(harmful.iter().filter(|act| act.label == "Roll back").count(), 1);
    }

    #[test]
    fn without_its_store_a_server_offers_a_rollback_alone() {
        let lost =
            json!({ "store_lost": { "since": "2026-11-25T14:05:00Z", "cause": "disk full" } });
        assert_eq!(labels(&rollout("pass", Some(0.0), lost)), ["Roll back"]);
        let slow = rollout("pass", Some(0.0), json!({ "simulate_slowdown": true }));
        let all = ["Promote", "Pause", "Set share", "End slowdown", "Roll back"];
        assert_eq!(labels(&slow), all);
    }

    #[test]
    fn an_open_breaker_takes_the_color_off_a_promotion() {
        let open = json!({ "state": "open", "consecutive_failures": 5, "opened": 1 });
        for (breaker, color, confirm) in
            [(json!(null), "go", "Promote now"), (open, "", "Promote anyway")]
        {
            let status = rollout("pass", Some(0.0), json!({ "breaker": breaker }));
            let acts = acts(&status);
            let promotion = acts.iter().find(|act| act.label == "Promote").unwrap();
            assert_eq!((promotion.color, promotion.confirm), (color, confirm));
        }
    }
}
