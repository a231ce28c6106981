//! What another policy would have said of a rollout.

use serde::Serialize;
use utoipa::ToSchema;

use crate::canary::JudgePolicy;
use crate::canary::judge::sentences;
use crate::canary::judge::what_if::Course;
use crate::canary::judge::what_if::Moment;
use crate::service::status::report::words::Times;
use crate::text::numbers::count;

/// What another policy would have said of a rollout. How it would have gone on after another verdict is unknown: the
/// observations end where it ended.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct WhatIf {
    /// What the verdict would have been and when, or why that is unknown.
    pub message: String,
    /// The other policy.
    pub policy: JudgePolicy,
    /// The verdicts under the policy of the deployment; `null` where they are unknown.
    pub as_it_was: Option<Course>,
    /// Those under the other policy.
    pub what_if: Option<Course>,
}

impl WhatIf {
    /// What this policy would have said.
    pub(crate) fn new(policy: JudgePolicy, was: Course, would: Course, times: &Times) -> WhatIf {
        let message = match (&would.rollback, &would.promote) {
            (Some(first), promote) => {
                let before = promote.as_ref().filter(|promote| promote.tick < first.tick);
                let before = before.map(|promote| {
                    format!(
                        "It would have passed {}, and then been rolled back: ",
                        when(promote, times)
                    )
                });
                let begin = before.unwrap_or_else(|| "A rollback: ".to_owned());
                format!(
                    "{begin}{}, {}.",
                    sentences::verdict(&policy, &first.conclusion),
                    when(first, times)
                )
            }
            (None, Some(first)) => {
                let seen = sentences::verdict(&policy, &first.conclusion);
                format!("A pass: {seen}, {}.", when(first, times))
            }
            (None, None) => {
                let seen = sentences::verdict(&policy, &would.end.conclusion);
                format!(
                    "No verdict up to the end: {}.",
                    seen.trim_start_matches("no verdict yet; ")
                )
            }
        };
        WhatIf { message, policy, as_it_was: Some(was), what_if: Some(would) }
    }

    /// Why it is unknown.
    pub(crate) fn unknown(policy: JudgePolicy, why: &str) -> WhatIf {
        let message = format!("Unknown: {why}.");
        WhatIf { message, policy, as_it_was: None, what_if: None }
    }
}

fn when(moment: &Moment, times: &Times) -> String {
    let at = moment.at.map(|at| format!("at {}, ", times.time(at))).unwrap_or_default();
    format!("{at}after {}", count(moment.canary_requests, "canary request"))
}
