//! `serin replay`: recompute the verdicts of the journal, or try another policy.

mod what_if;

use std::process::ExitCode;

use anyhow::Context;
use anyhow::bail;
use clap::Args;
use serde_json::json;

use self::what_if::WhatIfArgs;
use crate::cli::exit::FAIL;
use crate::cli::exit::INCONCLUSIVE;
use crate::cli::show;
use crate::cli::show::styled;
use crate::service::control::audit;
use crate::service::control::audit::Outcome;
use crate::service::control::audit::Recomputed;
use crate::service::control::audit::Told;
use crate::store;
use crate::store::Location;
use crate::store::Store;

/// The flags of `serin replay`.
#[derive(Args, Debug)]
pub struct ReplayArgs {
    /// The store, which is only read; a server may be running on it
    #[arg(long, env = "SERIN_STORE", value_name = "STORE", default_value = "sqlite:serin.db")]
    store: String,
    /// Which rollout, counted from 1 [default: all of them; with another policy, the newest]
    #[arg(long, value_name = "N")]
    rollout: Option<u64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    what_if: WhatIfArgs,
}

/// Recomputes the verdicts, or tries another policy.
///
/// # Errors
/// When the store cannot be read, has no such rollout, or the other policy cannot be.
pub fn run(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let location: Location = args.store.parse()?;
    let store = store::open_to_read(&location)?;
    let mut rollouts = audit::rollouts(&*store)?;
    let last = rollouts.len() as u64;
    if last == 0 {
        bail!("{location} has no rollout yet; name another store with --store");
    }
    if let Some(rollout) = args.rollout {
        rollouts.retain(|told| told.rollout == rollout);
        if rollouts.is_empty() {
            bail!("--rollout: {rollout} is not in the journal; use 1 to {last}");
        }
    }
    if args.what_if.is_given() {
        let told = rollouts.last().context("there is no rollout")?;
        return what_if::run(&args.what_if, &*store, told, args.json);
    }
    recompute(&*store, &rollouts, args.json)
}

fn recompute(store: &dyn Store, rollouts: &[Told], is_json: bool) -> anyhow::Result<ExitCode> {
    let mut all = Vec::new();
    for told in rollouts {
        let recomputed = audit::recomputed(store, told)?;
        if !is_json {
            print(told, &recomputed);
        }
        all.extend(recomputed);
    }
    let count = |outcome| all.iter().filter(|one| one.outcome == outcome).count();
    let [equal, differ, not_kept, other] =
        [Outcome::Equal, Outcome::Differs, Outcome::NotKept, Outcome::OtherVersion].map(count);
    if is_json {
        let summary = json!({
            "verdicts": all, "equal": equal, "differ": differ, "not_kept": not_kept,
            "other_version": other,
        });
        anstream::println!("{}", show::json(&summary));
    } else {
        anstream::println!(
            "{} verdicts: {equal} equal to the byte, {differ} differ, {not_kept} without their \
             evidence, {other} of another version",
            all.len(),
        );
    }
    Ok(match (differ, not_kept + other) {
        (0, 0) => ExitCode::SUCCESS,
        (0, _) => ExitCode::from(INCONCLUSIVE),
        (_, _) => ExitCode::from(FAIL),
    })
}

fn print(told: &Told, recomputed: &[Recomputed]) {
    let name = styled(show::STRONG, show::plain(&told.canary.name));
    anstream::println!("rollout {}: {name}", told.rollout);
    if recomputed.is_empty() {
        anstream::println!("  no verdict is in the journal yet\n");
        return;
    }
    let rows = recomputed.iter().map(|one| {
        [
            format!("  {}", one.event),
            one.sequence.to_string(),
            one.at.to_string(),
            word(&json!(one.verdict)),
            one.ticks.map_or_else(|| "-".to_owned(), |ticks| ticks.to_string()),
            word(&json!(one.outcome)),
        ]
    });
    let header = ["  event", "entry", "time", "verdict", "ticks", "recomputed"];
    for line in show::aligned(header, rows) {
        anstream::println!("{line}");
    }
    for one in recomputed {
        if let Some(detail) = &one.detail {
            let text = format!("entry {}: {}", one.sequence, show::plain(detail));
            anstream::println!("{}", show::wrapped(&text, "  "));
        }
    }
    anstream::println!();
}

/// A word of the API as people write it.
fn word(value: &serde_json::Value) -> String {
    show::text(value).replace('_', " ")
}
