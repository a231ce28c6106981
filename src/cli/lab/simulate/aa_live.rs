//! A/A test on this machine: the same artifact on both tracks, over real HTTP.
//!
//! Simulated traffic has no scheduler, caches or noisy neighbors. Here a local server runs one model on both
//! tracks, so any difference that is found is a false alarm.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use indicatif::ProgressBar;
use indicatif::ProgressStyle;
use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::json;
use tempfile::TempDir;

use crate::canary::HealthPolicy;
use crate::canary::Verdict;
use crate::canary::policy::segments::SegmentSettings;
use crate::cli::demo::own_server::Server;
use crate::cli::exit::FAIL;
use crate::cli::numbers::in_range;
use crate::cli::remote::client::Client;
use crate::cli::show;
use crate::cli::show::outln;
use crate::model::ensure_default_models;
use crate::model::training::defaults::DEFAULT_MODELS;
use crate::service::clock::Clock as _;
use crate::service::clock::SystemClock;
use crate::service::status::health::Health;
use crate::stats::clopper_pearson_interval;

/// The flags of an A/A test.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "A/A test on this machine")]
pub struct AaLive {
    /// Run an A/A test instead of a simulation: a local server with the same model on both tracks
    #[arg(long, conflicts_with_all = ["replications", "seed", "threads", "svg", "policy", "config"])]
    pub aa_live: bool,
    /// Number of rollouts
    #[arg(long, value_name = "N", default_value_t = 20, requires = "aa_live")]
    aa_runs: u32,
    /// Duration of each, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 15, requires = "aa_live")]
    aa_seconds: u64,
}

/// The results.
#[derive(Serialize)]
struct Counted {
    runs: usize,
    seconds_each: u64,
    requests: u64,
    alpha: f64,
    /// Runs whose health check raised an alert at its one look, at the end.
    health_alerts: Share,
    /// Runs whose health check raised an alert at any of the looks, one a second.
    health_alerts_at_any_look: Share,
    /// Runs that the sequential judge would have rolled back, evaluated every second.
    sequential_rollbacks: Share,
    /// Runs with a sample ratio mismatch.
    sample_ratio_mismatch: Share,
    /// Ticks in which the machine stalled.
    stalled_ticks: u64,
    /// Ticks that could be compared with those before them.
    ticks: u64,
}

/// A number of runs, with the 95 % interval of their share.
#[derive(Serialize)]
struct Share {
    runs: u64,
    share: f64,
    low: f64,
    high: f64,
}

/// The result of one rollout.
#[derive(Default)]
struct Seen {
    last_alert: bool,
    any_alert: bool,
    rollback: bool,
    mismatch: bool,
    stalled: u64,
    ticks: u64,
    requests: u64,
}

/// Runs the rollouts and prints the results. The exit code is 1 if the sequential judge raised
/// significantly more false alarms than alpha allows.
///
/// # Errors
/// When a flag is out of its range, or the server cannot be started or stops answering.
pub fn run(args: &AaLive, json: bool) -> anyhow::Result<ExitCode> {
    let runs = in_range("aa-runs", args.aa_runs, 1, 10_000)?;
    let seconds = in_range("aa-seconds", args.aa_seconds, 1, 3600)?;
    let folder = TempDir::with_prefix("serin-aa-").context("no temporary folder")?;
    let models = folder.path().join("models");
    ensure_default_models(&models).context("cannot train the model")?;
    let server = Server::start(&models, &folder, SegmentSettings::new(), 0)?;
    let client = Client::new(&server.url, None);
    let style = ProgressStyle::with_template("  {msg} {bar:30.cyan} {pos}/{len} ({eta} left)")?;
    let bar = ProgressBar::new(u64::from(runs)).with_style(style).with_message("rollouts");
    let mut all = Vec::new();
    for _ in 0..runs {
        all.push(one(&client, Duration::from_secs(seconds))?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    server.stop()?;
    let counted = count(&all, seconds);
    if json {
        show::json(&counted)?;
    } else {
        print(&counted);
    }
    let is_wrong = counted.sequential_rollbacks.low > counted.alpha;
    Ok(if is_wrong { ExitCode::from(FAIL) } else { ExitCode::SUCCESS })
}

/// One rollout of the stable model against itself.
fn one(client: &Client, length: Duration) -> anyhow::Result<Seen> {
    let [model, _] = DEFAULT_MODELS;
    let body = json!({ "model_path": model });
    let _: IgnoredAny = client.post("/admin/deploy-canary", &body)?.done()?;
    let clock = SystemClock::default();
    let (start, mut next_look) = (clock.steady(), Duration::from_secs(1).min(length));
    let mut seen = Seen::default();
    loop {
        let body = json!({ "features": [0.5, 1.2, 0.8, 0.3, 1.1] });
        let _: IgnoredAny = client.post("/predict", &body)?.done()?;
        seen.requests += 1;
        let elapsed = clock.steady().saturating_sub(start);
        if elapsed >= next_look {
            look(client, &mut seen)?;
            next_look += Duration::from_secs(1);
        }
        if elapsed >= length {
            break;
        }
    }
    let body = json!({ "reason": "the run is over" });
    let _: IgnoredAny = client.post("/admin/rollback-canary", &body)?.done()?;
    Ok(seen)
}

fn look(client: &Client, seen: &mut Seen) -> anyhow::Result<()> {
    let health: Health = client.get("/admin/check-canary-health")?.done()?;
    seen.last_alert = health.alert_triggered;
    seen.any_alert |= seen.last_alert;
    seen.rollback |= health.sequential.is_some_and(|it| it.verdict == Verdict::Rollback);
    seen.mismatch |= health.diagnostics.sample_ratio.is_some_and(|ratio| ratio.mismatch);
    if let Some(machine) = health.diagnostics.machine {
        (seen.stalled, seen.ticks) = (machine.stalled_ticks, machine.ticks);
    }
    Ok(())
}

fn count(all: &[Seen], seconds_each: u64) -> Counted {
    let share = |is_such: fn(&Seen) -> bool| {
        let (runs, of) = (all.iter().filter(|seen| is_such(seen)).count() as u64, all.len() as u64);
        let (low, high) = clopper_pearson_interval(runs, of, 0.95).unwrap_or((0.0, 1.0));
        Share { runs, share: runs as f64 / of.max(1) as f64, low, high }
    };
    Counted {
        runs: all.len(),
        seconds_each,
        requests: all.iter().map(|seen| seen.requests).sum(),
        alpha: HealthPolicy::default().alpha,
        health_alerts: share(|seen| seen.last_alert),
        health_alerts_at_any_look: share(|seen| seen.any_alert),
        sequential_rollbacks: share(|seen| seen.rollback),
        sample_ratio_mismatch: share(|seen| seen.mismatch),
        stalled_ticks: all.iter().map(|seen| seen.stalled).sum(),
        ticks: all.iter().map(|seen| seen.ticks).sum(),
    }
}

fn print(counted: &Counted) {
    outln!(
        "{} rollouts of one model against itself on this machine, {} s each, {} requests",
        counted.runs,
        counted.seconds_each,
        counted.requests,
    );
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    for (what, share) in [
        ("false alerts of the health check, one look", &counted.health_alerts),
        ("the same, with a look every second", &counted.health_alerts_at_any_look),
        ("false rollbacks of the sequential judge", &counted.sequential_rollbacks),
        ("sample ratio mismatch", &counted.sample_ratio_mismatch),
    ] {
        let interval = format!("{} to {}", percent(share.low), percent(share.high));
        outln!(
            "  {what:<44} {:>3} of {}   {:>7}   ({interval})",
            share.runs,
            counted.runs,
            percent(share.share),
        );
    }
    // Only longer rollouts have earlier ticks to compare with.
    if counted.ticks > 0 {
        outln!(
            "  ticks while the machine stalled              {:>3} of {}",
            counted.stalled_ticks,
            counted.ticks,
        );
    }
    outln!(
        "alpha is {}: for the sequential judge over a whole rollout, for the health check about that at one look",
        percent(counted.alpha),
    );
}
