//! `serin tune`: settings that the earlier rollouts in the store suggest, as TOML with the reasons.

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use crate::canary::Event;
use crate::canary::Policy;
use crate::canary::judge::tuning;
use crate::canary::judge::tuning::Proposal;
use crate::canary::judge::tuning::Setting;
use crate::canary::judge::tuning::Value;
use crate::canary::judge::tuning::past_rollout::PastRollout;
use crate::canary::judge::tuning::past_rollout::Standing;
use crate::canary::observed::increment::Increment;
use crate::canary::policy::source::Source;
use crate::cli::show::outln;
use crate::service::clock::steady;
use crate::service::control::audit;
use crate::service::control::audit::RolloutRecord;
use crate::service::status::report::words::duration;
use crate::store;
use crate::store::Location;
use crate::store::ReplicaId;
use crate::store::Store;

use crate::text::numbers::exact;

/// The flags of `serin tune`.
#[derive(Args, Debug)]
pub struct TuneArgs {
    /// Store to read; a server may be running on it
    #[arg(
        long,
        env = "SERIN_STORE",
        hide_env_values = true,
        value_name = "STORE",
        default_value = "sqlite:serin.db"
    )]
    store: String,
}

/// Prints the proposed settings. The exit code is 1 if the past is too short for any.
///
/// # Errors
/// When the store cannot be read.
pub fn run(args: &TuneArgs) -> anyhow::Result<ExitCode> {
    let location: Location = args.store.parse()?;
    let store = store::open_to_read(&location, steady())?;
    let records = audit::rollouts(&*store)?;
    let past: anyhow::Result<Vec<PastRollout>> =
        records.iter().map(|record| past(&*store, record)).collect();
    let past = past?;
    // What later rollouts would run under, as far as the store tells.
    let policy = records.last().map_or_else(Policy::default, |record| (*record.policy).clone());
    let count = |standing| past.iter().filter(|it| it.standing == standing).count();
    let of = |standing, is: fn(&Event) -> bool| {
        let known = records.iter().zip(&past).filter(|(_, past)| past.standing == standing);
        known.filter(|(record, _)| has(record, is)).count()
    };
    let seconds: u64 = past.iter().map(PastRollout::seconds).sum();
    outln!(
        "# Proposed from {} rollouts in {location} with {} of traffic in the tick log: {} promoted, {} of equal versions.",
        past.len(),
        duration(seconds as f64),
        count(Standing::Fine),
        count(Standing::Equal)
    );
    outln!(
        "# Nothing changes by itself: compare with serin.toml, and take over what you agree with."
    );
    let held: fn(&Event) -> bool = |event| matches!(event, Event::Held { .. });
    let harmed: fn(&Event) -> bool =
        |event| matches!(event, Event::RolledBack { cause, .. } if cause.is_harm());
    for (what, standing, found) in [
        ("False holds", Standing::Fine, held),
        ("False holds", Standing::Equal, held),
        ("False rollbacks", Standing::Equal, harmed),
    ] {
        let (wrong, all) = (of(standing, found), count(standing));
        let rollouts = match standing {
            Standing::Equal => "rollouts of equal versions",
            Standing::Fine | Standing::Other => "promoted rollouts",
        };
        if wrong > 0 {
            outln!("# {what}: {wrong} of {all} {rollouts}.");
        }
    }
    let proposals = tuning::proposals(&past, &policy);
    for proposal in proposals.iter().filter(|it| it.setting != Setting::AcceptedSlowdown) {
        print(proposal)?;
    }
    // A table ends the settings of the top level.
    let accepted = proposals.iter().find(|it| it.setting == Setting::AcceptedSlowdown);
    if let Some(Proposal { value: Some(Value::Share(share)), reason, .. }) = accepted {
        outln!("\n# {reason}");
        let latency = policy.judge.metrics.iter().find(|it| it.source == Source::Latency);
        let absolute = latency.map_or(0.0, |it| it.accepted.absolute);
        let [share, absolute] = [*share, absolute].map(exact);
        outln!("[[metrics]]\nname = \"latency\"");
        outln!("accepted = {{ relative = {share}, absolute = {absolute} }}");
    }
    if proposals.iter().all(|it| it.value.is_none()) {
        outln!("\n# The past is too short to propose anything.");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn has(record: &RolloutRecord, is: impl Fn(&Event) -> bool) -> bool {
    record.entries.iter().any(|entry| is(&entry.event))
}

/// A rollout as its ticks tell it, as far as they are kept.
fn past(store: &dyn Store, record: &RolloutRecord) -> anyhow::Result<PastRollout> {
    let mut past = PastRollout::new(standing(record));
    let chunks = store.chunks(ReplicaId::ONLY)?;
    for chunk in chunks.into_iter().filter(|chunk| chunk.rollout == record.rollout) {
        for tick in store.ticks(ReplicaId::ONLY, chunk)? {
            let increment = Increment::from_bytes(&tick.increment).with_context(|| {
                format!("tick {} of rollout {} cannot be read", tick.number, record.rollout)
            })?;
            past.tick(&increment);
        }
    }
    Ok(past)
}

fn standing(record: &RolloutRecord) -> Standing {
    let was_harmed = |event: &Event| match event {
        Event::Injected { injection, .. } => !injection.is_none(),
        Event::SlowdownSet { slowdown } => slowdown.enabled,
        _ => false,
    };
    let is_promoted = |event: &Event| matches!(event, Event::Promoted { .. });
    let is_bad =
        |event: &Event| matches!(event, Event::Reverted { .. } | Event::HarmReported { .. });
    if has(record, was_harmed) {
        Standing::Other
    } else if record.canary.digest == record.stable.digest {
        Standing::Equal
    } else if has(record, is_promoted) && !has(record, is_bad) {
        Standing::Fine
    } else {
        Standing::Other
    }
}

fn print(proposal: &Proposal) -> anyhow::Result<()> {
    let key = key(proposal.setting);
    let Proposal { value, reason, .. } = proposal;
    outln!();
    for line in textwrap::wrap(reason, 96) {
        outln!("# {line}");
    }
    match value {
        None => outln!("# {key}: no proposal"),
        Some(Value::Share(share)) => outln!("{key} = {}", exact(*share)),
        Some(Value::Count(count)) => outln!("{key} = {count}"),
        Some(Value::Seconds(seconds)) => outln!("{key} = \"{}m\"", seconds / 60),
        // JSON writes a word as TOML does.
        Some(Value::Unit(unit)) => outln!("{key} = {}", serde_json::to_string(unit)?),
    }
    Ok(())
}

fn key(setting: Setting) -> &'static str {
    match setting {
        Setting::Unit => "unit",
        Setting::RelativeMargin => "relative_margin",
        Setting::AcceptedSlowdown => "accepted",
        Setting::FailureMargin => "failure_margin",
        Setting::MinSamples => "min_samples",
        Setting::Bake => "bake",
    }
}
