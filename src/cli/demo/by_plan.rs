//! Scenarios in which serin decides, by a plan.

use serde_json::Value;
use serde_json::json;

use super::story::Met;
use super::story::Story;
use crate::canary::policy::Mode;
use crate::canary::policy::segments::SegmentSettings;
use crate::canary::policy::segments::TextOrNumber;
use crate::canary::policy::segments::ValueSettings;
use crate::canary::rollout::state::Outcome;
use crate::service::status::overview::RolloutState;

/// The regions of the users; in one of them the canary is slow.
const REGIONS: [&str; 4] = ["north", "south", "east", "west"];

/// `region = ["north", ...]`, as the settings declare it.
pub fn regions() -> SegmentSettings {
    let values = REGIONS.map(|region| TextOrNumber::Text(region.to_owned()));
    SegmentSettings::from([("region".to_owned(), ValueSettings::Listed(values.to_vec()))])
}

/// A canary that starts to fail, and is rolled back at once.
///
/// # Errors
/// When the server does not answer.
pub fn error_spike(story: &mut Story) -> anyhow::Result<()> {
    story.title("serin rolls back a canary with an error spike");
    let plan = json!({
        "steps": [{ "weight": 10, "bake": "10m" }, { "weight": 50, "bake": "10m" }],
        "warm_up": "0s", "look": "200ms",
    });
    deploy(story, &json!({ "plan": plan }))?;
    story.traffic(story.share())?;
    story.say("make a fifth of the canary's requests fail (POST /admin/inject)");
    story.post("inject", &json!({ "error_rate": 0.2 }))?;
    let met = story.traffic_until_decided(&[])?;
    summarize(story, &met);
    let outcome = met.status.last_rollout.as_ref().map(|last| last.outcome);
    let is_rolled_back = outcome == Some(Outcome::RolledBack);
    story.expect("serin has rolled the canary back", is_rolled_back, &met.status);
    let is_shielded = met.failed == 0 && met.fallbacks > 0;
    story.expect("stable answered for it: no user saw an error", is_shielded, &met.fallbacks);
    let again = json!({ "model_path": "model_v2.bin" });
    story.expect_refusal(
        "it is quarantined: deploying it again is refused",
        "deploy-canary",
        &again,
    )?;
    story.report()?;
    story.journal()
}

/// A healthy canary that gets more traffic step by step and is promoted.
///
/// # Errors
/// When the server does not answer.
pub fn slow_ramp(story: &mut Story) -> anyhow::Result<()> {
    story.title("A healthy canary goes from shadow to 50 % and is promoted, by its plan");
    let step = |weight: u32| json!({ "weight": weight, "bake": "1s" });
    let steps = [0, 1, 5, 25, 50].map(step);
    let plan = json!({ "steps": steps, "warm_up": "0s", "look": "200ms", "min_samples": 20 });
    deploy(story, &json!({ "plan": plan }))?;
    let met = story.traffic_until_decided(&[])?;
    summarize(story, &met);
    // A step may be over between two looks.
    let climbs = met.shares.len() > 1 && met.shares.is_sorted();
    story.expect("its share only grew", climbs, &met.shares);
    let promoted = met.status.stable.version.name == "model_v2";
    story.expect("model_v2 is stable now", promoted, &met.status);
    story.expect("no prediction failed", met.failed == 0, &met.failed);
    story.journal()
}

/// A canary that is slow for a quarter of its users, and is paused.
///
/// # Errors
/// When the server does not answer.
pub fn slow_region(story: &mut Story) -> anyhow::Result<()> {
    story.title("A canary that is slow in one region only is paused, and the region is named");
    let plan = json!({
        "steps": [{ "weight": 50, "bake": "10m" }], "warm_up": "0s", "look": "200ms",
    });
    // The rank test compares typical requests, which are as fast as before.
    let policy = json!({ "metrics": [{ "name": "latency", "test": "rank" }] });
    deploy(story, &json!({ "plan": plan, "policy": policy }))?;
    story.say(&format!("each request names the region of its user: {}", REGIONS.join(", ")));
    story.say("slow the canary down by 5 ms in the north (POST /admin/inject)");
    story.post("inject", &json!({ "delay_ms": 5, "segment": { "region": "north" } }))?;
    let met = story.traffic_until_decided(&REGIONS)?;
    summarize(story, &met);
    let is_paused = met.status.state == RolloutState::Paused;
    story.expect("serin pauses the rollout for a person to decide", is_paused, &met.status);
    let segments = met.status.health.as_ref().and_then(|it| it.diagnostics.segments.as_ref());
    let findings = segments.iter().flat_map(|segments| &segments.findings);
    let named: Vec<&str> = findings.map(|finding| finding.segment.as_str()).collect();
    story.expect("the north is named, and no other region", named == ["region=north"], &named);
    story.report()?;
    story.expect_refusal("a promotion is refused", "promote-canary", &json!({}))?;
    story.expect("no prediction failed", met.failed == 0, &met.failed);
    story.journal()
}

/// Deploys model_v2 with the plan in this body.
fn deploy(story: &mut Story, body: &Value) -> anyhow::Result<()> {
    story.say("deploy model_v2 with a plan; serin checks it five times a second");
    let mut body = body.clone();
    body["model_path"] = json!("models/model_v2.bin");
    let status = story.post("deploy-canary", &body)?;
    let mode = status.rollout.as_ref().map(|rollout| rollout.mode);
    story.expect("serin runs this rollout", mode == Some(Mode::Automatic), &status);
    Ok(())
}

fn summarize(story: &Story, met: &Met) {
    let Met { predictions, fallbacks, seconds, .. } = met;
    story.say(&format!(
        "after {seconds:.1} s and {predictions} predictions serin has decided; stable answered {fallbacks} \
         predictions for the canary"
    ));
}
