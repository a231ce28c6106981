//! `serin disagreements` and `serin replay-recent`: what shadow traffic has shown, and more of it.

use std::process::ExitCode;

use clap::Args;
use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::client::ServerArgs;
use super::page::Page;
use crate::cli::show;
use crate::text::lists::listed;
use crate::text::numbers::count;
use crate::text::numbers::grouped;
use crate::text::numbers::number;

/// The flags of `serin disagreements`.
#[derive(Args, Debug)]
pub struct DisagreementsArgs {
    #[command(flatten)]
    server: ServerArgs,
}

/// The flags of `serin replay-recent`.
#[derive(Args, Debug)]
pub struct ReplayRecentArgs {
    #[command(flatten)]
    server: ServerArgs,
}

/// The answer of `/admin/disagreements`.
#[derive(Deserialize)]
struct Disagreements {
    rollout: Option<u64>,
    disagreements: Vec<Disagreement>,
    redacted: Vec<String>,
}

#[derive(Deserialize)]
struct Disagreement {
    count: u64,
    features: Map<String, Value>,
    omitted: usize,
    stable: Map<String, Value>,
    canary: Map<String, Value>,
    difference: f64,
}

/// The answer of `/admin/replay-recent`.
#[derive(Deserialize)]
struct Replayed {
    rollout: u64,
    kept: usize,
    queued: usize,
    already_compared: usize,
}

/// Prints the requests on which canary and stable differ most.
///
/// # Errors
/// When the server cannot be reached, or refuses.
pub fn disagreements(args: &DisagreementsArgs) -> anyhow::Result<ExitCode> {
    let reply = args.server.client().get("/admin/disagreements")?;
    if args.server.json && reply.ok {
        show::json(&reply.body)?;
        return Ok(ExitCode::SUCCESS);
    }
    page(&reply.done()?, show::width()).print();
    Ok(ExitCode::SUCCESS)
}

fn page(found: &Disagreements, width: usize) -> Page {
    let mut page = Page::new(width);
    match (found.rollout, found.disagreements.len()) {
        (None, _) => page.paragraph(
            "No rollout has shadow traffic. Deploy with --shadow, or keep recent requests ([recent_requests] in \
             serin.toml) and run serin replay-recent.",
        ),
        (Some(rollout), 0) => page.paragraph(&format!(
            "Rollout {rollout}: no different answers of canary and stable to the same request so far; only requests in \
             shadow are compared."
        )),
        (Some(rollout), _) => page
            .paragraph(&format!("Rollout {rollout}: the largest differences, canary minus stable.")),
    }
    if !found.disagreements.is_empty() {
        page.gap();
        let row = |(place, one): (usize, &Disagreement)| {
            let difference = format!("{:+.4}", one.difference);
            vec![
                (place + 1).to_string(),
                difference,
                answer(&one.stable),
                answer(&one.canary),
                grouped(one.count),
            ]
        };
        let rows: Vec<_> = found.disagreements.iter().enumerate().map(row).collect();
        page.table(&["", "difference", "stable", "canary", "times"], &rows, &[]);
        page.gap();
    }
    for (place, one) in found.disagreements.iter().enumerate() {
        let more = match one.omitted {
            0 => String::new(),
            omitted => format!(" and {omitted} more"),
        };
        let features = named(&one.features).join(", ");
        page.labelled(&(place + 1).to_string(), show::STRONG, &format!("{features}{more}"));
    }
    if !found.redacted.is_empty() && !found.disagreements.is_empty() {
        let names = listed(found.redacted.iter().map(String::as_str));
        page.paragraph(&format!("Left out, as the settings say: {names}."));
    }
    page
}

/// The answer of a version: its number, or its class.
fn answer(fields: &Map<String, Value>) -> String {
    let score = |name: &str| fields.get(name).and_then(Value::as_f64).map(|it| format!("{it:.4}"));
    let class = || fields.get("label").map(value);
    score("probability").or_else(|| score("score")).or_else(class).unwrap_or_default()
}

fn named(features: &Map<String, Value>) -> Vec<String> {
    features.iter().map(|(name, it)| format!("{name} {}", value(it))).collect()
}

fn value(value: &Value) -> String {
    match value {
        Value::Null => "missing".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(written) => written.as_f64().map_or_else(|| written.to_string(), number),
        other => other.to_string(),
    }
}

/// Sends the recent requests to both versions again.
///
/// # Errors
/// When the server cannot be reached, keeps no requests, or has no canary.
pub fn replay_recent(args: &ReplayRecentArgs) -> anyhow::Result<ExitCode> {
    let reply = args.server.client().post("/admin/replay-recent", &json!({}))?;
    if args.server.json && reply.ok {
        show::json(&reply.body)?;
        return Ok(ExitCode::SUCCESS);
    }
    let Replayed { rollout, kept, queued, already_compared } = reply.done()?;
    let mut page = Page::new(show::width());
    page.paragraph(&match kept {
        0 => "No recent request is kept. Set capacity in [recent_requests] of serin.toml.".to_owned(),
        _ => format!(
            "Rollout {rollout}: both versions answer {} of {} in the background; {} compared before. See serin \
             disagreements for the largest differences.",
            grouped(queued as u64),
            count(kept as u64, "kept request"),
            grouped(already_compared as u64),
        ),
    });
    page.print();
    Ok(ExitCode::SUCCESS)
}
