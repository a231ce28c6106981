//! The policy of a rollout, and the models that it compared.

use askama::Template;

use crate::canary::Metric;
use crate::canary::Version;
use crate::canary::policy::Mode;
use crate::canary::policy::source::MarginKind;
use crate::canary::policy::source::Unit;
use crate::service::status::past::PastRollout;
use crate::stats::Margin;
use crate::text::durations::duration;
use crate::text::durations::words;
use crate::text::lists::short_digest;
use crate::text::numbers::grouped;
use crate::text::numbers::number;
use crate::text::numbers::percent;

/// The policy and the models.
#[derive(Debug, Template)]
#[template(path = "policy.html")]
pub(super) struct PolicyPart {
    facts: Vec<(&'static str, String)>,
    metrics: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    name: String,
    role: &'static str,
    tolerated: String,
    accepted: String,
    samples: String,
}

impl PolicyPart {
    pub(super) fn new(past: &PastRollout) -> PolicyPart {
        let (outline, policy) = (&past.outline, &past.policy);
        let mut facts = vec![
            ("Canary", model(&outline.canary)),
            ("Stable", model(&outline.stable)),
            (
                "Decided by",
                match policy.mode {
                    Mode::Manual => {
                        "a person, beginning with ".to_owned() + &policy.weight.to_string()
                    }
                    Mode::Automatic => "serin, by plan".to_owned(),
                },
            ),
        ];
        if policy.mode == Mode::Automatic {
            let steps = policy.plan.steps.iter().map(|step| match step.bake {
                Some(bake) => format!("{} for {}", step.weight, words(bake)),
                None => format!("{} until approved", step.weight),
            });
            facts.push(("Steps", steps.collect::<Vec<_>>().join(", ")));
            facts.push(("Requests of each step", grouped(policy.plan.min_samples)));
        }
        facts.push(("Probability of a false rollback", number(policy.judge.alpha)));
        PolicyPart { facts, metrics: policy.judge.metrics.iter().map(Row::new).collect() }
    }
}

impl Row {
    fn new(metric: &Metric) -> Row {
        Row {
            name: metric.name.to_string(),
            role: metric.role.explained(metric.required).0,
            tolerated: margin(metric, metric.tolerated),
            accepted: margin(metric, metric.accepted),
            samples: grouped(metric.min_samples),
        }
    }
}

fn model(version: &Version) -> String {
    format!("{}, digest {}", version.name, short_digest(&version.digest))
}

/// `10 % + 0.5 ms`.
pub(super) fn margin(metric: &Metric, margin: Margin) -> String {
    let properties = metric.source.properties();
    let is_of_spread = properties.margin == MarginKind::OfSpread;
    let relative = (margin.relative > 0.0).then(|| match is_of_spread {
        true => format!("{} sd", number(margin.relative)),
        false => format!("{} %", number(percent(margin.relative))),
    });
    let absolute = (margin.absolute > 0.0).then(|| match properties.unit {
        Unit::Seconds => duration(margin.absolute),
        Unit::Share => format!("{} pt", number(percent(margin.absolute))),
        Unit::Number | Unit::Probability => number(margin.absolute),
    });
    let parts: Vec<String> = relative.into_iter().chain(absolute).collect();
    match (parts.is_empty(), is_of_spread) {
        (true, _) => "nothing".to_owned(),
        (false, true) => parts.join(" or "),
        (false, false) => parts.join(" + "),
    }
}
