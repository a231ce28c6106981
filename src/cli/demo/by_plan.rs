//! The scenarios in which serin decides, by a plan.

use serde_json::Value;
use serde_json::json;

use super::story::Met;
use super::story::Story;

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
    deploy(story, &plan)?;
    story.traffic(story.share())?;
    story.say("from now on a fifth of the canary's requests fails (POST /admin/inject)");
    story.post("inject", &json!({ "error_rate": 0.2 }))?;
    let met = story.traffic_until_it_ends()?;
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
    deploy(story, &json!({ "steps": steps, "warm_up": "0s", "look": "200ms", "min_samples": 20 }))?;
    let met = story.traffic_until_it_ends()?;
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

fn deploy(story: &mut Story, plan: &Value) -> anyhow::Result<()> {
    story.say("model_v2 is deployed with a plan: serin looks at it five times a second");
    let body = json!({ "model_path": "models/model_v2.bin", "plan": plan });
    let status = story.post("deploy-canary", &body)?;
    let automatic = status["rollout"]["mode"] == "automatic";
    story.expect("serin drives this rollout", automatic, &status);
    Ok(())
}

fn tell(story: &Story, met: &Met) {
    let Met { predictions, fallbacks, seconds, .. } = met;
    story.say(&format!(
        "{seconds:.1} s and {predictions} predictions later it is over; stable answered {fallbacks} of \
         them for the canary"
    ));
}
