//! `serin replay`: recomputes the verdicts of the journal, or tries another policy.

mod what_if;

use std::process::ExitCode;

use anyhow::Context;
use anyhow::bail;
use clap::Args;
use serde::Serialize;

use self::what_if::WhatIfArgs;
use crate::cli::exit::FAIL;
use crate::cli::exit::INCONCLUSIVE;
use crate::cli::show;
use crate::cli::show::outln;
use crate::cli::show::styled;
use crate::service::clock::steady;
use crate::service::control::audit;
use crate::service::control::audit::Limit;
use crate::service::control::audit::Outcome;
use crate::service::control::audit::Recomputed;
use crate::service::control::audit::RolloutRecord;
use crate::service::status::past::in_words;
use crate::store;
use crate::store::Location;
use crate::store::Store;

/// The flags of `serin replay`.
#[derive(Args, Debug)]
pub struct ReplayArgs {
    /// Store to read; a server may be running on it
    #[arg(
        long,
        env = "SERIN_STORE",
        hide_env_values = true,
        value_name = "STORE",
        default_value = "sqlite:serin.db"
    )]
    store: String,
    /// Number of the rollout, from 1 [default: all; with another policy, the newest]
    #[arg(long, value_name = "N")]
    rollout: Option<u64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    what_if: WhatIfArgs,
}

/// The result of all recomputations.
#[derive(Serialize)]
struct Summary {
    /// What was read.
    store: String,
    verdicts: Vec<Recomputed>,
    equal: usize,
    differ: usize,
    not_kept: usize,
    other_version: usize,
}

/// Recomputes the verdicts, or tries another policy.
///
/// # Errors
/// When the store cannot be read, has no such rollout, or the other policy is invalid.
pub fn run(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let location: Location = args.store.parse()?;
    let store = store::open_to_read(&location, steady())?;
    let mut rollouts = audit::rollouts(&*store)?;
    let last = rollouts.len() as u64;
    if last == 0 {
        bail!("{location} has no rollout yet; use another store with --store");
    }
    if let Some(rollout) = args.rollout {
        rollouts.retain(|record| record.rollout == rollout);
        if rollouts.is_empty() {
            bail!("--rollout: {rollout} is not in the journal; use 1 to {last}");
        }
    }
    if !args.json {
        outln!("{}\n", show::wrapped(&source(&location), ""));
    }
    if args.what_if.is_given() {
        let record = rollouts.last().context("the journal has no rollouts")?;
        return what_if::run(&args.what_if, &*store, record, args.json);
    }
    recompute(&location, &*store, &rollouts, args.json)
}

/// What is read. Other commands ask the server at `SERIN_URL`.
fn source(store: &Location) -> String {
    let is_set = std::env::var_os("SERIN_URL").is_some_and(|url| !url.is_empty());
    let but = if is_set { ", not the server at SERIN_URL; another one with --store" } else { "" };
    format!("From the store {}{but}.", show::plain(&store.to_string()))
}

fn recompute(
    location: &Location,
    store: &dyn Store,
    rollouts: &[RolloutRecord],
    is_json: bool,
) -> anyhow::Result<ExitCode> {
    let mut verdicts = Vec::new();
    for record in rollouts {
        let recomputed = audit::recomputed(store, record, &Limit::default())?;
        if !is_json {
            print(record, &recomputed);
        }
        verdicts.extend(recomputed);
    }
    let count = |outcome| verdicts.iter().filter(|one| one.outcome == outcome).count();
    let summary = Summary {
        store: location.to_string(),
        equal: count(Outcome::Equal),
        differ: count(Outcome::Differs),
        not_kept: count(Outcome::NotKept),
        other_version: count(Outcome::OtherVersion),
        verdicts,
    };
    if is_json {
        show::json(&summary)?;
    } else {
        outln!("{}", in_words(&summary.verdicts));
    }
    Ok(match &summary {
        Summary { differ: 1.., .. } => ExitCode::from(FAIL),
        Summary { not_kept: 0, other_version: 0, .. } => ExitCode::SUCCESS,
        Summary { .. } => ExitCode::from(INCONCLUSIVE),
    })
}

fn print(record: &RolloutRecord, recomputed: &[Recomputed]) {
    let name = styled(show::STRONG, show::plain(&record.canary.name));
    outln!("rollout {}: {name}", record.rollout);
    if recomputed.is_empty() {
        outln!("  no verdicts yet\n");
        return;
    }
    let rows = recomputed.iter().map(|one| {
        [
            format!("  {}", one.event),
            one.sequence.to_string(),
            one.at.to_string(),
            one.verdict.word().to_owned(),
            one.ticks.map_or_else(|| "-".to_owned(), |ticks| ticks.to_string()),
            outcome(one.outcome).to_owned(),
        ]
    });
    let header = ["  event", "entry", "time", "verdict", "ticks", "recomputed"];
    for line in show::aligned(header, rows) {
        outln!("{line}");
    }
    for one in recomputed {
        if let Some(detail) = &one.detail {
            let text = format!("entry {}: {}", one.sequence, show::plain(detail));
            outln!("{}", show::wrapped(&text, "  "));
        }
    }
    outln!();
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Equal => "equal",
        Outcome::Differs => "different",
        Outcome::NotKept => "not stored",
        Outcome::OtherVersion => "other version",
    }
}
