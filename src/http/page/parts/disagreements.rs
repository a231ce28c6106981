//! Disagreements: the requests on which the versions differ most in shadow.
//!
//! Without their features, which are data of customers: `GET /admin/disagreements` shows them, and takes the token of
//! `/admin`. The page is open to everyone who may read `/metrics`.

use askama::Template;
use serde_json::Value;

use super::metrics::with_minus;
use crate::service::serving::shadow::disagreements::Answer;
use crate::service::serving::shadow::disagreements::Disagreement;
use crate::service::status::overview::Status;
use crate::service::status::report::words::Times;
use crate::service::status::shadow::ShadowStatus;
use crate::text::numbers::count;
use crate::text::numbers::number;
use crate::text::numbers::share;

/// The requests on which the versions differ most in shadow.
#[derive(Debug, Template)]
#[template(path = "disagreements.html")]
pub(super) struct Disagreements {
    /// What was compared; `None` if nothing is.
    heading: Option<String>,
    /// Why no request is shown.
    empty: Option<String>,
    rows: Vec<Row>,
}

#[derive(Debug, PartialEq)]
struct Row {
    at: String,
    stable: String,
    canary: String,
    difference: String,
    /// The labels of stable and of the canary, if they differ, or that of both.
    labels: Option<(String, Option<String>)>,
    /// How often it was sent, if more than once.
    times: Option<u64>,
}

impl Disagreements {
    /// Of these requests of a rollout, the largest difference first.
    pub(super) fn new(
        status: &Status,
        (rollout, worst): &(Option<u64>, Vec<Disagreement>),
        times: &Times,
    ) -> Disagreements {
        let is_of_this =
            status.rollout.as_ref().is_some_and(|running| Some(running.id) == *rollout);
        let worst = if is_of_this { worst.as_slice() } else { &[] };
        let rows: Vec<Row> = worst.iter().map(|one| Row::new(one, times)).collect();
        let heading = match &status.shadow {
            Some(shadow) => Some(heading(shadow)),
            None if rows.is_empty() => None,
            None => Some("of earlier steps; nothing is compared at this one".to_owned()),
        };
        let empty = status.shadow.as_ref().filter(|_| rows.is_empty()).map(why_empty);
        Disagreements { heading, empty, rows }
    }
}

fn heading(shadow: &ShadowStatus) -> String {
    if shadow.pairs == 0 {
        return "no pair at this step".to_owned();
    }
    let pairs = count(shadow.pairs, "pair");
    match shadow.agreement_rate {
        Some(rate) => format!("{pairs} at this step, {} of labels agree", share(rate)),
        None => format!("{pairs} at this step"),
    }
}

fn why_empty(shadow: &ShadowStatus) -> String {
    let ShadowStatus { pairs, failures, .. } = shadow;
    match (pairs, failures) {
        (0, 0) => "No request was answered by both versions at this step yet.".to_owned(),
        (0, _) => format!(
            "Nothing to compare: in shadow the canary failed {}.",
            count(*failures, "request")
        ),
        _ if shadow.largest_difference == 0.0 => {
            "Both versions gave the same answer to every request.".to_owned()
        }
        _ => "The server has restarted since, and keeps the largest differences in memory only."
            .to_owned(),
    }
}

impl Row {
    fn new(one: &Disagreement, times: &Times) -> Row {
        let label = |answer: &Answer| answer.label.as_ref().map(text);
        let labels = label(&one.stable).zip(label(&one.canary));
        let is_probability = one.stable.score.is_none();
        Row {
            at: times.time(one.at),
            stable: answer(&one.stable),
            canary: answer(&one.canary),
            difference: with_minus(&match is_probability {
                true => format!("{:+.3}", one.difference),
                false if one.difference > 0.0 => format!("+{}", number(one.difference)),
                false => number(one.difference),
            }),
            labels: labels.map(|(stable, canary)| {
                let flipped = (stable != canary).then_some(canary);
                (stable, flipped)
            }),
            times: (one.count > 1).then_some(one.count),
        }
    }
}

/// The number of an answer; of many classes that of its label.
fn answer(of: &Answer) -> String {
    let class = || {
        let by_class = of.probabilities.as_ref()?;
        by_class.get(of.label.as_ref()?.as_str()?)?.as_f64()
    };
    match (of.probability.or_else(class), of.score) {
        (Some(probability), _) => format!("{probability:.3}"),
        (None, Some(score)) => number(score),
        (None, None) => "–".to_owned(),
    }
}

/// A label without quotes.
fn text(label: &Value) -> String {
    label.as_str().map_or_else(|| label.to_string(), str::to_owned)
}

#[cfg(test)]
#[path = "disagreements_tests.rs"]
mod tests;
