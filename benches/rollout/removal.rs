//! Time from the decision to roll back until the canary no longer answers, in one process under load.
//!
//! Threads predict without a pause while the rollback command runs, again and again. Each records when its
//! last request to the canary began and when it was answered. The decision is the moment the command is
//! called. One processor is left free for the command; with all of them busy this would measure the
//! operating system's scheduler.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use crossbeam_utils::CachePadded;
use serin::canary::Track;
use serin::canary::Weight;
use serin::cli::settings::Settings;
use serin::model::Features;
use serin::model::Value;
use serin::service::Command;
use serin::service::Deployment;
use serin::service::Service;
use serin::service::clock::SystemClock;
use serin::service::clock::steady;
use serin::service::serving::predict::Request;
use serin::store;
use serin::store::Location;

use super::Fallible;
use super::now;
use super::quantile;
use super::server::Folder;
use super::tell;

const ROLLBACKS: usize = 1000;
const LIMIT: Duration = Duration::from_millis(1);

/// The last request of one thread that the canary answered, in nanoseconds since the start.
#[derive(Default)]
struct Last {
    began: AtomicU64,
    answered: AtomicU64,
    predictions: AtomicU64,
}

/// Whether in 99 of 100 rollbacks the last request to the canary began within the limit.
pub fn measure(folder: &Folder) -> Fallible<bool> {
    let cores = thread::available_parallelism()?.get();
    let threads = cores.saturating_sub(1).max(1);
    let settings = Settings { store: Location::Memory, workers: threads, ..Settings::default() };
    let (store, clock) =
        (store::open(&settings.store, steady())?, Arc::new(SystemClock::default()));
    let service = Service::start(settings.service()?, store, folder.registry()?, clock)?;
    let lasts: Vec<CachePadded<Last>> = (0..threads).map(|_| CachePadded::default()).collect();
    let (start, enough) = (now(), AtomicBool::new(false));
    let rolled_back = thread::scope(|scope| {
        let busy: Vec<_> = lasts
            .iter()
            .map(|last| scope.spawn(|| predict_until(&enough, &service, start, last)))
            .collect();
        let rolled_back: Fallible<Vec<[f64; 2]>> =
            (0..ROLLBACKS).map(|_| roll_back_once(&service, start, &lasts)).collect();
        enough.store(true, Ordering::Relaxed);
        for thread in busy {
            thread.join().unwrap_or_else(|_| Err("a thread panicked".into()))?;
        }
        rolled_back
    })?;
    let predictions: u64 = lasts.iter().map(|last| last.predictions.load(Ordering::Relaxed)).sum();
    tell(&format!(
        "{ROLLBACKS} rollbacks while {threads} of {cores} processors make {predictions} predictions; after the command:"
    ));
    tell("microseconds                        median      p99      max");
    let mut p99s = [0.0; 2];
    for (place, what) in
        ["last request sent to the canary", "last answer from the canary"].iter().enumerate()
    {
        let mut after: Vec<f64> = rolled_back.iter().map(|pair| pair[place]).collect();
        after.sort_by(f64::total_cmp);
        let at = |share| quantile(&after, share);
        p99s[place] = at(0.99);
        tell(&format!("{what:<34}  {:>7.1}  {:>7.1}  {:>7.1}", at(0.5), at(0.99), at(1.0)));
    }
    let limit = LIMIT.as_secs_f64() * 1e6;
    // An answer in flight arrives when the operating system resumes its thread.
    tell(&format!("p99 of the last request sent to the canary: {:.1} (limit {limit:.0})", p99s[0]));
    Ok(p99s[0] < limit)
}

/// Microseconds from the command to the last request sent to the canary, and to its last answer;
/// 0 if there was none after the command.
fn roll_back_once(
    service: &Service,
    start: Instant,
    lasts: &[CachePadded<Last>],
) -> Fallible<[f64; 2]> {
    let deployment = Deployment {
        model_path: "model_v2.bin".to_owned(),
        weight: Some(Weight::from_percent(50.0)?),
        ..Deployment::default()
    };
    service.deploy(deployment, None)?;
    thread::sleep(Duration::from_millis(2));
    let decided = nanoseconds(start);
    service.command(Command::RollBack { reason: None, quarantine: false }, None)?;
    // Requests in flight have ended by then, or count in the next round, where they are even later.
    thread::sleep(Duration::from_millis(2));
    let newest = |of: fn(&Last) -> &AtomicU64| {
        lasts.iter().map(|last| of(last).load(Ordering::Relaxed)).max().unwrap_or(0)
    };
    let since = |then: u64| then.saturating_sub(decided) as f64 / 1e3;
    Ok([since(newest(|last| &last.began)), since(newest(|last| &last.answered))])
}

fn predict_until(
    enough: &AtomicBool,
    service: &Service,
    start: Instant,
    last: &Last,
) -> Fallible<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(async {
        while !enough.load(Ordering::Relaxed) {
            let row = [0.5, 1.2, 0.8, 0.3, 1.1].map(Value::Number);
            let request = Request {
                rows: vec![Features::Ordered(row.to_vec())],
                key: None,
                segments: Vec::new(),
                covariate: None,
            };
            let began = nanoseconds(start);
            let answer = service.predict(request).await?;
            if answer.track == Track::Canary {
                last.began.store(began, Ordering::Relaxed);
                last.answered.store(nanoseconds(start), Ordering::Relaxed);
            }
            last.predictions.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    })
}

fn nanoseconds(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
