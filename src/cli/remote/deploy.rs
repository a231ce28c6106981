//! `serin deploy`: put a model on trial.

use std::process::ExitCode;

use anyhow::anyhow;
use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::json;

use super::client::ServerArgs;
use super::status;
use crate::canary::policy::plan::Template;
use crate::canary::policy::plan_overrides::GivenStep;
use crate::cli::numbers::finite;

/// The flags of `serin deploy`.
#[derive(Args, Debug)]
pub struct DeployArgs {
    /// Model file in the server's models folder
    model: String,
    /// Share of traffic, in percent
    #[arg(long, value_name = "PERCENT", value_parser = finite)]
    traffic: Option<f64>,
    /// Share of stable's requests that the canary is asked in shadow, in percent; without --traffic, no
    /// user meets it
    #[arg(long, value_name = "PERCENT", value_parser = finite)]
    shadow: Option<f64>,
    /// Minimum time of each step, like 30m
    #[arg(long, value_name = "DURATION")]
    bake: Option<String>,
    /// Let serin drive the rollout by this plan
    #[arg(long, value_name = "TEMPLATE", value_parser = PossibleValuesParser::new(Template::ALL.map(Template::name)),
          conflicts_with_all = ["traffic", "shadow", "bake"])]
    plan: Option<String>,
    /// Its steps, like 1%:10m,5%:10m,50%; a step without a time waits until it is resumed, and a first one
    /// of 0% shadows
    #[arg(long, value_name = "STEPS", conflicts_with_all = ["traffic", "shadow", "bake"])]
    steps: Option<String>,
    /// After its promotion, wait so long for late labels, like 24h
    #[arg(long, value_name = "DURATION")]
    watch: Option<String>,
    /// Go back to the version before if these show harm, instead of reporting it
    #[arg(long)]
    revert: bool,
    /// Why, for the journal
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Deploy it although it is in quarantine; needs --reason
    #[arg(long, requires = "reason")]
    override_quarantine: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Deploys and prints the status.
///
/// # Errors
/// When the server cannot be asked, or refuses.
pub fn run(args: &DeployArgs) -> anyhow::Result<ExitCode> {
    let mut plan = serde_json::Map::new();
    if let Some(template) = &args.plan {
        plan.insert("template".to_owned(), json!(template));
    }
    if let Some(steps) = &args.steps {
        plan.insert("steps".to_owned(), json!(planned(steps)?));
    }
    let mut post_promotion = serde_json::Map::new();
    if let Some(watch) = &args.watch {
        post_promotion.insert("watch".to_owned(), json!(watch));
    }
    if args.revert {
        post_promotion.insert("action".to_owned(), json!("revert"));
    }
    let body = json!({
        "model_path": args.model,
        "plan": plan,
        "post_promotion": post_promotion,
        "traffic_percent": args.traffic,
        "shadow_percent": args.shadow,
        "bake": args.bake,
        "reason": args.reason,
        "override_quarantine": args.override_quarantine,
    });
    let status = args.server.client().post("/admin/deploy-canary", &body)?.done()?;
    status::print(&status, args.server.json);
    Ok(ExitCode::SUCCESS)
}

/// `1%:10m,5%` as the steps of a plan.
fn planned(steps: &str) -> anyhow::Result<Vec<GivenStep>> {
    let step = |text: &str| {
        let (share, bake) = text.split_once(':').map_or((text, None), |(a, b)| (a, Some(b)));
        let weight: f64 =
            finite(share.trim_end().strip_suffix('%').unwrap_or(share)).map_err(|_| {
                anyhow!("--steps: {text:?} is no step; give a share and a time, like 5%:10m")
            })?;
        Ok(GivenStep { weight, shadow: None, bake: bake.map(|bake| bake.trim().to_owned()) })
    };
    steps.split(',').map(step).collect()
}
