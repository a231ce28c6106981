//! Scenarios in which a person decides.

use serde_json::json;

use super::story::Story;
use crate::service::status::health::HealthStatus;

/// A canary that becomes slow, and a person who rolls it back.
///
/// # Errors
/// When the server does not answer.
pub fn slow_canary(story: &mut Story, delay_ms: u64) -> anyhow::Result<()> {
    story.title("A slow canary is rolled back");
    story.deploy()?;
    story.traffic(story.share())?;
    story.health("no harm found, because nothing is slow yet", HealthStatus::Ok)?;

    story.say(&format!("slow the canary down by {delay_ms} ms (POST /admin/toggle-slowdown)"));
    let slow = story.post("toggle-slowdown", &json!({ "enabled": true, "delay_ms": delay_ms }))?;
    story.expect("the slowdown is on", slow.simulate_slowdown, &slow);
    story.traffic(story.share())?;
    story.say("the health check covers all samples since the deployment, fast and slow");
    story.health("harm: the canary is slower than tolerated", HealthStatus::Harm)?;
    story.report()?;
    story.expect_refusal("a promotion is refused", "promote-canary", &json!({}))?;

    story.say("roll the canary back");
    let status = story.post("rollback-canary", &json!({ "reason": "slower than stable" }))?;
    story.expect("no canary is left", status.canary.is_none(), &status);
    let stable = status.stable.version.name == "model_v1";
    story.expect("model_v1 is stable as before", stable, &status);
    story.traffic(0)
}

/// A healthy canary, and a person who promotes it.
///
/// # Errors
/// When the server does not answer.
pub fn healthy_canary(story: &mut Story) -> anyhow::Result<()> {
    story.title("A healthy canary is promoted");
    story.deploy()?;
    story.traffic(story.share())?;
    story.health("no harm found", HealthStatus::Ok)?;

    story.say("promote the canary");
    let status = story.post("promote-canary", &json!({}))?;
    let promoted = status.stable.version.name == "model_v2" && status.canary.is_none();
    story.expect("model_v2 is stable now", promoted, &status);
    story.traffic(0)?;
    story.journal()
}
