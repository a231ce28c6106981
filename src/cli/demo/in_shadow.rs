//! Scenario of a canary with wrong scores that is found in shadow.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use super::customers::customers;
use super::story::Story;
use crate::canary::rollout::state::Outcome;

/// Requests between two looks.
const BETWEEN_LOOKS: usize = 50;

/// Shifted scores while latency and errors are fine: found by comparing both versions' answers to the same
/// requests.
///
/// # Errors
/// When the server does not answer.
pub fn silently_wrong(story: &mut Story) -> anyhow::Result<()> {
    story.title("A canary with wrong scores is found in shadow, before it answers any user");
    story.say("deploy model_v2 with a plan that starts in shadow: it answers no user");
    let plan = json!({
        "steps": [{ "weight": 0, "bake": "10m" }, { "weight": 10, "bake": "10m" }],
        "warm_up": "0s", "look": "200ms",
    });
    let body = json!({ "model_path": "models/model_v2.bin", "plan": plan });
    let status = story.post("deploy-canary", &body)?;
    let percent = status.shadow.as_ref().map(|shadow| shadow.percent);
    let is_in_shadow = status.traffic_percent == 0.0 && percent == Some(100.0);
    story.expect("it gets all of stable's requests in the background", is_in_shadow, &status);
    story.say("shift its scores by 0.3 (POST /admin/inject); latency and errors are fine");
    story.post("inject", &json!({ "score_shift": 0.3 }))?;
    let (mut sent, mut by_canary, mut failed) = (0, 0, 0);
    let mut status = status;
    for customers in customers()?.chunks(BETWEEN_LOOKS) {
        for features in customers {
            sent += 1;
            match story.predict(&json!({ "features": features }))? {
                Some(predicted) => by_canary += u64::from(predicted.is_by_canary()),
                None => failed += 1,
            }
        }
        status = story.status()?;
        if status.canary.is_none() {
            break;
        }
    }
    story.say(&format!("{sent} predictions: {by_canary} by the canary, {failed} failed"));
    let last = status.last_rollout.as_ref();
    let is_rolled_back = last.is_some_and(|last| last.outcome == Outcome::RolledBack);
    story.expect("serin has rolled the canary back", is_rolled_back, &status);
    // The scores, or the labels that follow from them.
    let names = ["shadow_score", "shadow_flips"];
    let by_score = last.is_some_and(|last| names.iter().any(|name| last.reason.contains(name)));
    story.expect("because of its scores", by_score, &last);
    story.expect("it has answered no user", by_canary == 0 && failed == 0, &by_canary);
    let found: Found = story.client.get("/admin/disagreements")?.done()?;
    let is_kept = !found.disagreements.is_empty();
    story.expect("the requests with the largest differences are kept", is_kept, &is_kept);
    story.report()?;
    story.journal()
}

/// The answer of `/admin/disagreements`, as far as the scenario reads it.
#[derive(Deserialize)]
struct Found {
    disagreements: Vec<IgnoredAny>,
}
