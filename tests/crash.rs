//! `kill -9` during a rollout loses nothing that was acknowledged.
//!
//! The real binary is killed 200 times (`SERIN_CRASHES` changes that) at random times while one client sends
//! commands and another predictions. After each restart the state must be the last acknowledged one, or the one
//! that the single unacknowledged command would have led to. Only evidence since the last save may be missing,
//! and the tick log must lead to the stored judgement.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::panic, reason = "so it may")]
#![expect(clippy::disallowed_methods, reason = "a crash happens in real time")]

#[path = "crash/binary.rs"]
mod binary;

#[path = "crash/picture.rs"]
mod picture;

#[path = "crash/order.rs"]
mod order;

#[path = "crash/clients.rs"]
mod clients;

#[path = "crash/traffic.rs"]
mod traffic;

#[path = "crash/evidence.rs"]
mod evidence;

#[path = "crash/by_plan.rs"]
mod by_plan;

use std::path::Path;
use std::time::Duration;
use std::time::Instant;

use rand::RngExt as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::Value;
use tempfile::TempDir;

use binary::Process;
use clients::Caller;
use clients::Pace;
use order::Acknowledged;
use picture::Picture;
use traffic::Step;
use traffic::Traffic;

/// The number of kills, unless `SERIN_CRASHES` sets it.
const CRASHES: u32 = 200;

/// Makes the commands and the times repeatable, as far as two processes allow.
const SEED: u64 = 0x0005_e719;

#[test]
fn after_each_crash_the_state_is_the_last_one_acknowledged() {
    let crashes = std::env::var("SERIN_CRASHES").map_or(CRASHES, |text| text.parse().unwrap());
    let folder = with_models();
    let mut random = StdRng::seed_from_u64(SEED);
    let mut process = Process::start(folder.path());
    let caller = Caller::new(process.address(folder.path()));
    let mut acknowledged = Acknowledged::new(Picture::of(&status(&caller)));
    let mut step = Step::none();
    let mut seen = Seen::default();
    for crash in 1..=crashes {
        // One in ten is killed before it answers any request.
        if random.random_ratio(1, 10) {
            process.kill();
            process = Process::start(folder.path());
            std::thread::sleep(Duration::from_micros(random.random_range(0..40_000)));
            process.kill();
            process = Process::start(folder.path());
        }
        let address = process.address(folder.path());
        let pace = Pace::random(&mut random);
        let traffic = Traffic::default();
        let seed = random.random();
        let killed = std::thread::scope(|scope| {
            let order =
                || order::give(Caller::new(address), &mut acknowledged, &traffic, pace, seed);
            let orders = scope.spawn(order);
            let predictions = scope.spawn(|| traffic.predict(&Caller::new(address)));
            std::thread::sleep(pace.lasts);
            let killed = Instant::now();
            process.kill();
            seen.commands += orders.join().unwrap();
            seen.predictions += predictions.join().unwrap();
            killed
        });

        let at = format!("crash {crash} of seed {SEED:#x}");
        seen.replayed += evidence::replayed_ticks(folder.path(), &at);
        process = Process::start(folder.path());
        let status = status(&Caller::new(process.address(folder.path())));
        let found = Picture::of(&status);
        let log = folder.path().join("log");
        seen.unacknowledged += u32::from(acknowledged.settle(found.clone(), &at));
        step = traffic.check(step, &found, &status, killed, &at);
        seen.canaries += u32::from(found.rollout.is_some());
        seen.restored += u32::from(step.samples > 0);
        let log = std::fs::read_to_string(log).unwrap_or_default();
        // The default models were measured on different data, and a slowed canary is found by the judge.
        let expected = ["different data", ": the verdict on "];
        let is_expected = |line: &str| expected.iter().any(|part| line.contains(part));
        let worth_a_warning = log.lines().find(|line| !is_expected(line));
        assert_eq!(worth_a_warning, None, "{at}: a warning");
    }
    println!("{crashes} crashes: {seen:?}");
    assert_history_has_no_gaps(&mut process, folder.path(), acknowledged.picture.revision);
    assert_eq!(process.terminate().code(), Some(0));
    // A run without commands, predictions and restarts with evidence would prove nothing.
    let some = crashes / 10;
    assert!(seen.canaries > 4 * some && seen.replayed > u64::from(some), "{seen:?}");
    assert!(crashes < CRASHES || (seen.unacknowledged > 0 && seen.restored > some / 2), "{seen:?}");
}

/// What happened during the run.
#[derive(Debug, Default)]
struct Seen {
    /// Commands answered.
    commands: u64,
    /// Predictions answered.
    predictions: u64,
    /// Restarts with a canary.
    canaries: u32,
    /// Restarts after which the unacknowledged command turned out to be durable.
    unacknowledged: u32,
    /// Restarts with restored samples.
    restored: u32,
    /// Ticks replayed from the logs of killed servers.
    replayed: u64,
}

fn status(caller: &Caller) -> Value {
    caller.get("/admin/status").unwrap()
}

fn with_models() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    serin::model::ensure_default_models(&folder.path().join("models")).unwrap();
    folder
}

fn assert_history_has_no_gaps(process: &mut Process, folder: &Path, revision: u64) {
    let caller = Caller::new(process.address(folder));
    let mut after = 0;
    while after < revision {
        let page = caller.get(&format!("/admin/history?after={after}&limit=1000")).unwrap();
        let entries = page["entries"].as_array().unwrap();
        assert!(!entries.is_empty(), "the history ends at {after} of {revision}");
        for entry in entries {
            assert_eq!(entry["sequence"], after + 1);
            after += 1;
        }
    }
    assert_eq!(after, revision);
}
