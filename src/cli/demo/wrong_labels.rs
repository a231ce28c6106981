//! Scenario of a model that was trained on the wrong labels: fast, never failing, and useless.

use std::path::Path;

use anyhow::Context;
use serde_json::json;

use super::customers::customers;
use super::story::Story;
use crate::canary::rollout::state::Outcome;
use crate::model::dataset::Dataset;
use crate::model::training::TrainingOptions;
use crate::model::training::synthetic::Churn;
use crate::model::training::synthetic::churn;
use crate::model::training::train;
use crate::service::status::health::HealthStatus;

/// The file of the model in the models folder.
const FILE: &str = "model_wrong.bin";

/// Trains the model: the data of model_v2, with customers who stayed counted as customers who left.
///
/// # Errors
/// When the model cannot be trained or written.
pub fn train_into(models: &Path) -> anyhow::Result<()> {
    let right = churn(&Churn::v2(42))?;
    let (positive, left) = right.labels().two().context("the labels have two classes")?;
    let labels = left.iter().map(|left| !left).collect();
    let (target, positive) = (right.target().to_owned(), positive.to_owned());
    let source = "synthetic churn with inverted labels".to_owned();
    let wrong = Dataset::new(source, target, positive, right.columns().to_vec(), labels)?;
    train(&wrong, &TrainingOptions::default())?.write(&models.join(FILE))?;
    Ok(())
}

/// It is not promoted: neither by a person who asks the health check, nor by a plan.
///
/// # Errors
/// When the server does not answer.
pub fn useless_model(story: &mut Story) -> anyhow::Result<()> {
    story.title("A model trained on the wrong labels is not promoted");
    story.say("deploy it as the canary with 10 % of the traffic; it is fast and never fails");
    story.post("deploy-canary", &json!({ "model_path": FILE }))?;
    let customers = customers()?;
    for features in customers.iter().take(1000) {
        story.predict(&json!({ "features": features }))?;
    }
    let health = story.status()?.health;
    let is_harm = health.as_ref().is_some_and(|health| health.status == HealthStatus::Harm);
    story.expect("the health check finds harm in its scores", is_harm, &health);
    story.expect_refusal("its promotion is refused", "promote-canary", &json!({}))?;
    story.report()?;
    story.post("rollback-canary", &json!({ "reason": "wrong labels" }))?;
    story.say("deploy it by a plan that starts with 10 % of the traffic");
    let plan = json!({
        "steps": [{ "weight": 10, "bake": "1s" }, { "weight": 50, "bake": "1s" }],
        "warm_up": "0s", "look": "200ms", "min_samples": 20,
    });
    story.post("deploy-canary", &json!({ "model_path": FILE, "plan": plan }))?;
    let mut status = story.status()?;
    for some in customers.chunks(50) {
        for features in some {
            story.predict(&json!({ "features": features }))?;
        }
        status = story.status()?;
        if status.canary.is_none() {
            break;
        }
    }
    let last = status.last_rollout.as_ref();
    let is_rolled_back = last.is_some_and(|last| last.outcome == Outcome::RolledBack);
    story.expect("serin has rolled it back", is_rolled_back, &status);
    let by_score = last.is_some_and(|last| last.reason.contains("score"));
    story.expect("because of its scores", by_score, &last);
    story.journal()
}
