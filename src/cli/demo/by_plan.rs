//! The scenarios in which serin decides, by a plan.

use serde_json::Value;
use serde_json::json;

use super::story::Met;
use super::story::Story;
use crate::canary::policy::segments::GivenSegments;
use crate::canary::policy::segments::GivenValue;
use crate::canary::policy::segments::GivenValues;

/// Where the users of a slow region and their neighbours are.
const REGIONS: [&str; 4] = ["north", "south", "east", "west"];

/// `region = ["north", ...]`, as a configuration declares it.
pub fn regions() -> GivenSegments {
    let values = REGIONS.map(|region| GivenValue::Text(region.to_owned()));
    GivenSegments::from([("region".to_owned(), GivenValues::Listed(values.to_vec()))])
}

/// A canary that begins to fail, and is taken back before anybody has looked.
///
/// # Errors
/// When the server does not answer.
pub fn error_spike(story: &mut Story) -> anyhow::Result<()> {
    story.title("An error spike is taken back by serin itself");
    let plan = json!({
        "steps": [{ "weight": 10, "bake": "10m" }, { "weight": 50, "bake": "10m" }],
        "warm_up": "0s", "look": "200ms",
    });
    deploy(story, &json!({ "plan": plan }))?;
    story.traffic(story.share())?;
    story.say("from now on a fifth of the canary's requests fails (POST /admin/inject)");
    story.post("inject", &json!({ "error_rate": 0.2 }))?;
    let met = story.traffic_until_decided(&[])?;
    tell(story, &met);
    let last = &met.status["last_rollout"];
    story.expect("serin has taken the canary back", last["outcome"] == "rolled_back", &met.status);
    let nobody = met.failed == 0 && met.fallbacks > 0;
    story.expect("stable answered whoever it failed: no user saw an error", nobody, last);
    let again =
        story.client.post("/admin/deploy-canary", &json!({ "model_path": "model_v2.bin" }))?;
    story.expect("it is in quarantine, and does not come back by accident", !again.ok, &again.body);
    story.journal()
}

/// A canary that is well, and climbs by itself.
///
/// # Errors
/// When the server does not answer.
pub fn slow_ramp(story: &mut Story) -> anyhow::Result<()> {
    story.title("A healthy canary climbs from 1 to 50 % and is promoted, by itself");
    let step = |weight: u32| json!({ "weight": weight, "bake": "1s" });
    let steps = [1, 5, 25, 50].map(step);
    let plan = json!({ "steps": steps, "warm_up": "0s", "look": "200ms", "min_samples": 20 });
    deploy(story, &json!({ "plan": plan }))?;
    let met = story.traffic_until_decided(&[])?;
    tell(story, &met);
    let shares: Vec<f64> = met.shares.iter().filter_map(Value::as_f64).collect();
    // A step may be over between two looks at it.
    let climbs = shares.len() > 1 && shares.is_sorted();
    story.expect("its share only grew", climbs, &json!(met.shares));
    let promoted = met.status["stable"]["version"] == "model_v2";
    story.expect("model_v2 is stable now", promoted, &met.status);
    story.expect("no prediction failed", met.failed == 0, &json!(met.failed));
    story.journal()
}

/// A canary that is slow for a quarter of its users only, and is held.
///
/// # Errors
/// When the server does not answer.
pub fn slow_region(story: &mut Story) -> anyhow::Result<()> {
    story.title("A canary that is slow in one region only is held, and the region is named");
    let plan = json!({
        "steps": [{ "weight": 50, "bake": "10m" }], "warm_up": "0s", "look": "200ms",
    });
    // The typical request decides, and on the whole that is as fast as before.
    let policy = json!({ "metrics": [{ "name": "latency", "test": "rank" }] });
    deploy(story, &json!({ "plan": plan, "policy": policy }))?;
    story.say(&format!("each request says where its user is: {}", REGIONS.join(", ")));
    story.say("the canary takes 5 ms longer in the north (POST /admin/inject)");
    story.post("inject", &json!({ "delay_ms": 5, "segment": { "region": "north" } }))?;
    let met = story.traffic_until_decided(&REGIONS)?;
    tell(story, &met);
    let held = met.status["state"] == "paused";
    story.expect("serin holds the rollout, for a person to look at it", held, &met.status);
    let findings = &met.status["health"]["segments"]["findings"];
    let named: Vec<&Value> =
        findings.as_array().into_iter().flatten().map(|finding| &finding["segment"]).collect();
    story.expect("the north is named, and no other region", named == ["region=north"], findings);
    let refused = story.client.post("/admin/promote-canary", &json!({}))?;
    story.expect("a promotion is refused", !refused.ok, &refused.body);
    story.expect("no prediction failed", met.failed == 0, &json!(met.failed));
    story.journal()
}

/// Puts model_v2 on trial, by the plan in this body.
fn deploy(story: &mut Story, body: &Value) -> anyhow::Result<()> {
    story.say("model_v2 is deployed with a plan: serin looks at it five times a second");
    let mut body = body.clone();
    body["model_path"] = json!("models/model_v2.bin");
    let status = story.post("deploy-canary", &body)?;
    let automatic = status["rollout"]["mode"] == "automatic";
    story.expect("serin drives this rollout", automatic, &status);
    Ok(())
}

fn tell(story: &Story, met: &Met) {
    let Met { predictions, fallbacks, seconds, .. } = met;
    story.say(&format!(
        "{seconds:.1} s and {predictions} predictions later serin has decided; stable answered {fallbacks} of \
         them for the canary"
    ));
}
