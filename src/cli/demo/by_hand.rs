//! The two scenarios in which a person decides.

use serde_json::json;

use super::story::Story;

/// A canary that becomes slow, and a person who takes it back.
///
/// # Errors
/// When the server does not answer.
pub fn slow_canary(story: &mut Story, delay_ms: u64) -> anyhow::Result<()> {
    story.title("A slow canary is rolled back");
    story.deploy()?;
    story.traffic(story.share())?;
    story.health("no alert, because nothing is slow yet", "ok")?;

    story.say(&format!("the canary is slowed down by {delay_ms} ms"));
    let slow = story.post("toggle-slowdown", &json!({ "enabled": true, "delay_ms": delay_ms }))?;
    story.expect("the slowdown is on", slow["simulate_slowdown"] == true, &slow);
    story.traffic(story.share())?;
    story.say("fast and slow samples of the canary are judged together, since it was deployed");
    story.health("an alert, because the canary is slower than allowed", "alert")?;
    let refused = story.client.post("/admin/promote-canary", &json!({}))?;
    story.expect("a promotion is refused", !refused.ok, &refused.body);

    story.say("the canary is rolled back");
    let status = story.post("rollback-canary", &json!({ "reason": "slower than stable" }))?;
    story.expect("no canary is left", status["canary"].is_null(), &status);
    let stable = status["stable"]["version"] == "model_v1";
    story.expect("model_v1 is stable as before", stable, &status);
    story.traffic(0)
}

/// A canary that is well, and a person who promotes it.
///
/// # Errors
/// When the server does not answer.
pub fn healthy_canary(story: &mut Story) -> anyhow::Result<()> {
    story.title("A healthy canary is promoted");
    story.deploy()?;
    story.traffic(story.share())?;
    story.health("no alert", "ok")?;

    story.say("the canary is promoted");
    let status = story.post("promote-canary", &json!({}))?;
    let promoted = status["stable"]["version"] == "model_v2" && status["canary"].is_null();
    story.expect("model_v2 is stable now", promoted, &status);
    story.traffic(0)?;
    story.journal()
}
