//! The scenario of a canary that is silently wrong, and that no user meets.

use anyhow::Context;
use serde_json::Value;
use serde_json::json;

use super::story::Story;
use crate::model::dataset::Column;
use crate::model::dataset::ColumnValues;
use crate::model::training::synthetic::Churn;
use crate::model::training::synthetic::churn;

/// More requests than it takes; then the story has gone wrong.
const MAX_REQUESTS: usize = 4000;

/// Requests between two looks at the status.
const BETWEEN_LOOKS: usize = 50;

/// Scores that have moved, while latency and errors are fine: found by comparing the answers to the same
/// requests, before the canary has answered anybody.
///
/// # Errors
/// When the server does not answer.
pub fn silently_wrong(story: &mut Story) -> anyhow::Result<()> {
    story.title("A canary that is silently wrong is found in shadow, before any user meets it");
    story.say("model_v2 is deployed with a plan that begins in shadow: it answers nobody");
    let plan = json!({
        "steps": [{ "weight": 0, "bake": "10m" }, { "weight": 10, "bake": "10m" }],
        "warm_up": "0s", "look": "200ms",
    });
    let body = json!({ "model_path": "models/model_v2.bin", "plan": plan });
    let status = story.post("deploy-canary", &body)?;
    let shadows = status["traffic_percent"] == 0.0 && status["shadow"]["percent"] == 100.0;
    story.expect("it is asked all of stable's requests in the background", shadows, &status);
    story.say("its scores are 0.12 too high (POST /admin/inject); latency and errors are fine");
    story.post("inject", &json!({ "score_shift": 0.12 }))?;
    let (mut asked, mut by_canary, mut failed) = (0, 0, 0);
    let mut status = status;
    for customers in customers()?.chunks(BETWEEN_LOOKS) {
        for features in customers {
            let reply = story.client.post("/predict", &json!({ "features": features }))?;
            asked += 1;
            by_canary += u64::from(reply.body["model_used"] == "canary");
            failed += u64::from(!reply.ok);
        }
        status = story.client.get("/admin/status")?.done()?;
        if status["canary"].is_null() {
            break;
        }
    }
    story.say(&format!("{asked} predictions: {by_canary} by the canary, {failed} failed"));
    let last = &status["last_rollout"];
    story.expect("serin has taken the canary back", last["outcome"] == "rolled_back", &status);
    let reason = last["reason"].as_str().unwrap_or_default();
    story.expect("because of its scores", reason.contains("shadow_score"), last);
    story.expect("no user has met it", by_canary == 0 && failed == 0, &json!(by_canary));
    let worst = story.client.get("/admin/disagreements")?.done()?;
    let kept = worst["disagreements"].as_array().is_some_and(|kept| !kept.is_empty());
    story.expect("the requests on which the two differ most are kept", kept, &worst);
    story.journal()
}

/// Customers of all kinds: what one asks again and again tells little.
fn customers() -> anyhow::Result<Vec<Vec<Value>>> {
    let data = churn(&Churn { rows: MAX_REQUESTS, ..Churn::v1(11) })?;
    let row = |row: usize| {
        let of_row = |column: &Column| match &column.values {
            ColumnValues::Numeric(numbers) => json!(numbers.get(row).copied().flatten()),
            ColumnValues::Categorical(texts) => json!(texts.get(row).cloned().flatten()),
        };
        data.columns().iter().map(of_row).collect()
    };
    let rows: Vec<Vec<Value>> = (0..MAX_REQUESTS).map(row).collect();
    rows.first().context("there are no customers")?;
    Ok(rows)
}
