//! Time of a prediction inside the process: assign a track, infer, record.
//!
//! The service as it runs behind HTTP, with a canary at 10 %. On one thread, and on two threads that share
//! one service. Exit code 1 if the median exceeds the limit.

use std::ops::Range;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use program::Fallible;
use program::exit_code;
use program::tell;
use serin::canary::FeedbackPolicy;
use serin::canary::Policy;
use serin::canary::Track;
use serin::canary::Weight;
use serin::model::Features;
use serin::model::Value;
use serin::model::ensure_default_models;
use serin::service::Command;
use serin::service::Deployment;
use serin::service::Service;
use serin::service::Settings;
use serin::service::background::Background;
use serin::service::clock::SystemClock;
use serin::service::clock::steady;
use serin::service::control::registry::Registry;
use serin::service::serving::predict::Request;
use serin::service::serving::shadow::queue::Retention;
use serin::store;

#[path = "shared/program.rs"]
mod program;

const LIMIT_NANOSECONDS: f64 = 1000.0;
const ROUNDS: usize = 11;
const PREDICTIONS: u32 = 200_000;
const THREADS: [usize; 2] = [1, 2];

fn main() -> ExitCode {
    program::arguments().map_or(ExitCode::SUCCESS, |_| exit_code(measure()))
}

/// Whether a single thread kept the limit.
fn measure() -> Fallible<bool> {
    let folder = tempfile::tempdir()?;
    ensure_default_models(folder.path())?;
    let service = start(&folder)?;
    tell(&format!("assign, infer, record: {ROUNDS} rounds of {PREDICTIONS} predictions a thread"));
    tell("threads   ns per prediction");
    let mut alone = f64::INFINITY;
    for threads in THREADS {
        let mut rounds = Vec::new();
        // The first round warms up and does not count.
        for round in 0..=ROUNDS {
            let nanoseconds = round_of(&service, threads)?;
            if round > 0 {
                rounds.push(nanoseconds);
            }
        }
        rounds.sort_by(f64::total_cmp);
        let median = rounds[ROUNDS / 2];
        tell(&format!(
            "{threads:>7}   {median:.0} ({:.0} to {:.0})",
            rounds[0],
            rounds[ROUNDS - 1]
        ));
        if threads == 1 {
            alone = median;
        }
    }
    let id = nanoseconds_per_id(&service)?;
    tell(&format!("prediction id: {id:.0} ns more"));
    in_shadow(&folder)?;
    tell(&format!("one thread: {alone:.0} ns per prediction (limit {LIMIT_NANOSECONDS:.0})"));
    Ok(alone < LIMIT_NANOSECONDS)
}

/// Time of a prediction without a shadow and with a shadow of 100 %. The requests come faster than any network
/// delivers them: most find the queue full, and the shadow thread is always busy.
fn in_shadow(folder: &tempfile::TempDir) -> Fallible<()> {
    let service = Arc::new(start(folder)?);
    let background = Background::start(service.clone())?;
    tell("shadow    ns per prediction, one thread");
    let mut rounds = [Vec::new(), Vec::new()];
    for round in 0..=ROUNDS {
        for (place, percent) in [0.0, 100.0].into_iter().enumerate() {
            let (weight, shadow) = (Weight::ZERO, Weight::from_percent(percent)?);
            service.command(Command::SetTraffic { weight, shadow }, None)?;
            let nanoseconds = predict_many(&service, 0..1)?;
            if round > 0 {
                rounds[place].push(nanoseconds);
            }
        }
    }
    for (name, rounds) in ["off", "100 %"].into_iter().zip(&mut rounds) {
        rounds.sort_by(f64::total_cmp);
        let (median, least, most) = (rounds[ROUNDS / 2], rounds[0], rounds[ROUNDS - 1]);
        tell(&format!("{name:>6}    {median:.0} ({least:.0} to {most:.0})"));
    }
    let shadow = service.status().shadow;
    tell(&shadow.map_or_else(String::new, |shadow| shadow.message));
    Ok(background.stop()?)
}

fn start(folder: &tempfile::TempDir) -> Fallible<Service> {
    let settings = Settings {
        policy: Policy::default(),
        workers: THREADS[THREADS.len() - 1],
        seed: Some(1),
        stable_deadline: Duration::from_secs(10),
        canary_off_after: Duration::ZERO,
        stable: "model_v1.bin".to_owned(),
        notify: Vec::new(),
        prometheus: None,
        allow_injection: false,
        feedback: FeedbackPolicy::default(),
        retention: Retention::default(),
        sticky_balancer: false,
    };
    let store = store::open(&"memory:".parse()?, steady())?;
    let registry = Registry::new(folder.path());
    let service = Service::start(settings, store, registry, Arc::new(SystemClock::default()))?;
    let deployment = Deployment { model_path: "model_v2.bin".to_owned(), ..Deployment::default() };
    service.deploy(deployment, None)?;
    Ok(service)
}

/// Nanoseconds per prediction on each of several threads.
fn round_of(service: &Service, threads: usize) -> Fallible<f64> {
    let each: Vec<Fallible<f64>> = thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| predict_many(service, PREDICTIONS / 20..PREDICTIONS / 5)))
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("a thread panicked".into())))
            .collect()
    });
    Ok(each.into_iter().sum::<Fallible<f64>>()? / threads as f64)
}

/// Nanoseconds per prediction. Checks how many the canary answered.
fn predict_many(service: &Service, by_canary: Range<u32>) -> Fallible<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(async {
        let mut canary = 0;
        let start = now();
        for _ in 0..PREDICTIONS {
            let row = [0.5, 1.2, 0.8, 0.3, 1.1].map(Value::Number);
            let request = Request {
                rows: vec![Features::Ordered(row.to_vec())],
                key: None,
                segments: Vec::new(),
                covariate: None,
            };
            let answer = service.predict(request).await?;
            canary += u32::from(answer.track == Track::Canary);
        }
        let nanoseconds = start.elapsed().as_secs_f64() * 1e9 / f64::from(PREDICTIONS);
        // Threads share one stratum count, so each gets only about a tenth for the canary.
        if !by_canary.contains(&canary) {
            return Err(format!("the canary answered {canary} of {PREDICTIONS}").into());
        }
        Ok(nanoseconds)
    })
}

/// Nanoseconds to make a prediction id, with the clock read: the median round.
fn nanoseconds_per_id(service: &Service) -> Fallible<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let row = [0.5, 1.2, 0.8, 0.3, 1.1].map(Value::Number).to_vec();
    let request = Request {
        rows: vec![Features::Ordered(row)],
        key: None,
        segments: Vec::new(),
        covariate: None,
    };
    let answer = runtime.block_on(service.predict(request))?;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let start = now();
        for _ in 0..PREDICTIONS {
            let ids = service.ids(&answer).ok_or("this server gives no ids")?;
            std::hint::black_box(ids.of_row(0));
        }
        rounds.push(start.elapsed().as_secs_f64() * 1e9 / f64::from(PREDICTIONS));
    }
    rounds.sort_by(f64::total_cmp);
    Ok(rounds[ROUNDS / 2])
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures the machine's own time")]
fn now() -> Instant {
    Instant::now()
}
