//! `serin deploy`: deploy a model as the canary.

use std::process::ExitCode;

use anyhow::anyhow;
use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::Value;
use serde_json::json;

use super::client::ServerArgs;
use super::page::Page;
use super::status;
use super::wait;
use crate::canary::policy::plan::Template;
use crate::cli::numbers::finite;
use crate::cli::show;
use crate::service::status::Status;
use crate::service::status::report::PROMOTE_ONCE_PASSING;
use crate::service::status::report::words::duration;
use crate::text::numbers::number;
use crate::text::numbers::two_digits;

/// The flags of `serin deploy`.
#[derive(Args, Debug)]
pub struct DeployArgs {
    /// Model file in the server's models folder: its name, or a path that leads there
    model: String,
    /// Share of traffic, in percent
    #[arg(long, value_name = "PERCENT", value_parser = finite)]
    traffic: Option<f64>,
    /// Share of stable's requests that the canary also gets in shadow, in percent; without --traffic, it
    /// answers no user
    #[arg(long, value_name = "PERCENT", value_parser = finite)]
    shadow: Option<f64>,
    /// Recommended minimum duration, for example 30m
    #[arg(long, value_name = "DURATION")]
    bake: Option<String>,
    /// Let serin run the rollout by this plan
    #[arg(long, value_name = "TEMPLATE", value_parser = PossibleValuesParser::new(Template::ALL.map(Template::name)),
          conflicts_with_all = ["traffic", "shadow", "bake"])]
    plan: Option<String>,
    /// Steps of the plan, for example 1%:10m,5%:10m,50%; a step without a duration waits for serin resume,
    /// and a first step of 0% is in shadow
    #[arg(long, value_name = "STEPS", conflicts_with_all = ["traffic", "shadow", "bake"])]
    steps: Option<String>,
    /// The model is meant to score differently: show shifts of the scores, and let them decide nothing
    #[arg(long)]
    expect_shift: bool,
    /// Monitor late labels for this long after the promotion, for example 24h
    #[arg(long, value_name = "DURATION")]
    monitor: Option<String>,
    /// Revert the promotion if late labels show harm, instead of reporting it
    #[arg(long)]
    revert: bool,
    /// Reason, for the journal
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Deploy it even if it is in quarantine, during the cool-down after a rollback by serin, or while a promotion is
    /// monitored; needs --reason
    #[arg(long, requires = "reason")]
    override_quarantine: bool,
    /// Wait for the end of a rollout by plan, or for a verdict on one by hand; exit code as of serin wait
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Deploys and prints the outcome.
///
/// # Errors
/// When the server cannot be reached, or refuses.
pub fn run(args: &DeployArgs) -> anyhow::Result<ExitCode> {
    let mut plan = serde_json::Map::new();
    if let Some(template) = &args.plan {
        plan.insert("template".to_owned(), json!(template));
    }
    if let Some(steps) = &args.steps {
        plan.insert("steps".to_owned(), json!(planned(steps)?));
    }
    let mut post_promotion = serde_json::Map::new();
    if let Some(monitor) = &args.monitor {
        post_promotion.insert("monitor".to_owned(), json!(monitor));
    }
    if args.revert {
        post_promotion.insert("action".to_owned(), json!("revert"));
    }
    let mut policy = serde_json::Map::new();
    if args.expect_shift {
        policy.insert("expect_shift".to_owned(), json!(true));
    }
    let body = json!({
        "model_path": args.model,
        "policy": policy,
        "plan": plan,
        "post_promotion": post_promotion,
        "traffic_percent": args.traffic,
        "shadow_percent": args.shadow,
        "bake": args.bake,
        "reason": args.reason,
        "override_quarantine": args.override_quarantine,
    });
    let reply = args.server.client().post("/admin/deploy-canary", &body)?;
    if args.wait && args.server.json {
        // One document, that of the end.
        reply.done::<Value>()?;
        return wait::after_deployment(&args.server);
    }
    let code = status::print_effect_as(reply, &args.server, |status, _| {
        let mut page = Page::new(show::width());
        outcome(status).iter().for_each(|line| page.paragraph(line));
        page
    })?;
    if args.wait { wait::after_deployment(&args.server) } else { Ok(code) }
}

/// Who gets what from now on, how long it takes, and how to follow it.
fn outcome(status: &Status) -> Vec<String> {
    let (Some(rollout), Some(canary)) = (&status.rollout, &status.canary) else {
        return vec!["The rollout has already ended: serin history".to_owned()];
    };
    let percent = status.traffic_percent;
    let shadow = status.shadow.as_ref().map(|shadow| shadow.percent).filter(|it| *it > 0.0);
    let shadow = shadow.map(|it| format!(" and {it} % of stable's requests in shadow"));
    let plan = rollout.plan.as_ref().map(|plan| format!(", plan: {}", plan.steps_in_words()));
    let (shadow, steps) = (shadow.unwrap_or_default(), plan.unwrap_or_default());
    let id = rollout.id;
    let name = &canary.name;
    let mut lines =
        vec![format!("{name} gets {percent} % of the traffic{shadow} (rollout {id}{steps}).")];
    lines.push(match &rollout.plan {
        None => PROMOTE_ONCE_PASSING.to_owned(),
        Some(plan) => {
            let least = match &plan.time {
                Some(time) => format!(
                    "At {} requests/s, as before it, the plan takes at least {}",
                    number(two_digits(time.requests_per_second)),
                    duration(time.at_least_seconds)
                ),
                None => {
                    let least = plan.plan.least_seconds(f64::INFINITY);
                    format!("The plan takes at least {}", duration(least))
                }
            };
            let deadline = plan.deadline_at.map(|it| it.duration_since(rollout.started_at));
            let deadline = deadline.map(|it| format!("; deadline {}", duration(it.as_secs_f64())));
            format!("{least}{}.", deadline.unwrap_or_default())
        }
    });
    lines.push("Follow it: serin status --watch".to_owned());
    lines
}

/// `1%:10m,5%` as the steps of a plan.
fn planned(steps: &str) -> anyhow::Result<Vec<Value>> {
    let step = |text: &str| {
        let (share, bake) = text.split_once(':').map_or((text, None), |(a, b)| (a, Some(b)));
        let weight: f64 =
            finite(share.trim_end().strip_suffix('%').unwrap_or(share)).map_err(|_| {
                anyhow!("--steps: {text:?} is not a step; use a share and a duration, for example 5%:10m")
            })?;
        Ok(json!({ "weight": weight, "bake": bake.map(str::trim) }))
    };
    steps.split(',').map(step).collect()
}
