//! Calibration: how often the judge rolls back a healthy canary, and how soon it rolls back a harmful one.
//!
//! `make calibrate` simulates hours of traffic second by second, routed by serin's own split and
//! judged after every second, and prints the tables of docs/measurements.md. The same arguments give
//! the same numbers on any number of threads. Exit code 1 if a healthy case is rolled back more often
//! than 5 %, the health check calls an equal canary slower in over 2.5 % of looks (beyond three standard errors), a
//! trigger fires in 0.1 % of the hours in which both tracks fail alike, or the 80 % range of forecasts holds fewer than 75
//! or more than 85 % of the verdicts.
//!
//! ```text
//! cargo bench --bench calibrate -- [--replications 2000] [--case lognormal] [--seed 1000] \
//!     [--only health|healthy|served|strained|own|keys|replicas|harmful|tails|threads|late|triggers|forecast|cost]
//! ```
//!
//! The seed is added to the number of each case. Another seed shows how much of a table is chance.

use std::ops::RangeInclusive;
use std::process::ExitCode;
use std::time::Instant;

use cases::ALPHA;
use program::Fallible;
use program::exit_code;
use program::tell;
use serin::canary::JudgePolicy;
use serin::simulation::Moment;
use serin::simulation::Outcome;
use serin::simulation::Scenario;
use serin::simulation::simulate;
use serin::simulation::study;
use serin::simulation::study::Quantiles;
use serin::simulation::study::Study;
use serin::stats::Harm;
use serin::stats::Layout;
use serin::stats::Margin;
use serin::stats::sequential::FailureMargins;
use serin::stats::sequential::FailureMonitor;
use serin::stats::sequential::Monitor;
use serin::stats::sequential::Test;

#[path = "shared/program.rs"]
mod program;

#[path = "calibrate/cases.rs"]
mod cases;

#[path = "calibrate/further.rs"]
mod further;

#[path = "calibrate/forecast.rs"]
mod forecast;

#[path = "calibrate/health.rs"]
mod health;

#[path = "calibrate/triggers.rs"]
mod triggers;

const REPLICATIONS: u32 = 2000;
const PARTS: [&str; 14] = [
    "health", "healthy", "served", "strained", "own", "keys", "replicas", "harmful", "tails",
    "threads", "late", "triggers", "forecast", "cost",
];
/// Upper limit for the hours of a case and for the seed.
const MAX: u32 = 1_000_000;

fn main() -> ExitCode {
    program::arguments().map_or(ExitCode::SUCCESS, |arguments| exit_code(calibrate(&arguments)))
}

/// Whether the rollback rate of every healthy case is at most alpha, and the health check keeps its level.
fn calibrate(arguments: &[String]) -> Fallible<bool> {
    for name in arguments.iter().filter(|argument| argument.starts_with("--")) {
        if !["--bench", "--replications", "--seed", "--only", "--case"].contains(&name.as_str()) {
            return Err(format!("{name} is unknown; see the head of benches/calibrate.rs").into());
        }
    }
    let value = |name: &str| {
        let place = arguments.iter().position(|argument| argument == name)?;
        arguments.get(place + 1)
    };
    let number = |name: &str, default: u32, allowed: RangeInclusive<u32>| match value(name) {
        None => Ok(default),
        Some(text) => {
            text.parse().ok().filter(|number| allowed.contains(number)).ok_or_else(|| {
                format!(
                    "{name} {text}: expected a number from {} to {}",
                    allowed.start(),
                    allowed.end()
                )
            })
        }
    };
    let replications = number("--replications", REPLICATIONS, 1..=MAX)?;
    let seed = number("--seed", 0, 0..=MAX)?;
    let only = value("--only").map(String::as_str);
    if let Some(only) = only.filter(|only| !PARTS.contains(only)) {
        return Err(format!("--only {only}: give one of {}", PARTS.join(", ")).into());
    }
    let is_wanted = |part: &str| only.is_none_or(|only| only == part);
    let part = value("--case").map_or("", String::as_str);
    let mut is_calibrated = true;
    if is_wanted("health") {
        is_calibrated &= health::tell_health(part, replications, seed + 600);
    }
    if is_wanted("healthy") {
        is_calibrated &=
            tell_healthy("No difference", &cases::healthy(), part, replications, seed + 1);
    }
    if is_wanted("served") {
        let title = "No difference, default policy of the server";
        is_calibrated &=
            tell_healthy(title, &further::healthy_served(), part, replications, seed + 1);
    }
    if is_wanted("strained") {
        tell_healthy(
            "No difference, independence strained",
            &cases::strained(),
            part,
            replications,
            seed + 100,
        );
    }
    if is_wanted("own") {
        is_calibrated &= tell_own_noise(part, replications, seed + 400);
    }
    if is_wanted("keys") {
        let title = "No difference, users that come back, default policy";
        is_calibrated &= tell_healthy(title, &further::keys(), part, replications, seed + 600);
        tell_slower_for_keys(part, replications, seed + 700);
    }
    if is_wanted("replicas") {
        let title = "No difference, users that meet several replicas, default policy";
        is_calibrated &= tell_healthy(title, &further::replicas(), part, replications, seed + 900);
        let title = "The same, each replica by itself";
        tell_healthy(title, &further::each_replica(), part, replications, seed + 900);
    }
    if is_wanted("threads") {
        tell_threads(part, replications, seed + 500);
    }
    if is_wanted("harmful") {
        tell_harmful(part, replications, seed + 200);
    }
    if is_wanted("tails") {
        is_calibrated &= tell_tails(part, replications, seed + 700);
    }
    if is_wanted("late") {
        tell_late(part, replications, seed + 300);
    }
    if is_wanted("triggers") {
        is_calibrated &= triggers::tell_triggers(part, replications, seed + 700);
    }
    if is_wanted("forecast") {
        is_calibrated &= forecast::tell_forecast(part, replications, seed + 800);
    }
    if is_wanted("cost") {
        tell_cost();
    }
    Ok(is_calibrated)
}

/// Whether a canary with a doubled p99 is promotable before it is rolled back in at most 5 % of the runs, and a healthy
/// one is rolled back in at most 5 %, both beyond three standard errors.
fn tell_tails(part: &str, replications: u32, seed: u32) -> bool {
    tell(&format!(
        "\n### The tail of the latency: {replications} runs of ten minutes each, default policy, 100 requests/s\n"
    ));
    tell(
        "| case | promotable first | rolled back first | neither | median, p95 canary requests to promotion |",
    );
    tell("|---|---|---|---|---|");
    let mut is_calibrated = true;
    for ((name, scenario, is_healthy), seed) in cases::tails().into_iter().zip(seed..) {
        if !name.contains(part) {
            continue;
        }
        let outcomes = replicate(&scenario, replications, seed);
        let promoted = study::count(&outcomes, |outcome| outcome.promotion);
        let rolled_back =
            outcomes.iter().filter(|it| it.promotion.is_none() && it.rollback.is_some()).count();
        let wrong = match is_healthy {
            true => study::count(&outcomes, |outcome| outcome.rollback),
            false => promoted,
        };
        let share = |count: usize| count as f64 / f64::from(replications);
        let Quantiles { median, p95 } = study::canary_requests(&outcomes, |it| it.promotion);
        let shown = |one: Option<u64>| one.map_or_else(|| "-".to_owned(), |one| one.to_string());
        tell(&format!(
            "| {name} | {:.1} % | {:.1} % | {:.1} % | {} ({}) |",
            100.0 * share(promoted),
            100.0 * share(rolled_back),
            100.0 * (1.0 - share(promoted) - share(rolled_back)),
            shown(median),
            shown(p95),
        ));
        let error = (ALPHA * (1.0 - ALPHA) / f64::from(replications)).sqrt();
        is_calibrated &= share(wrong) <= ALPHA + 3.0 * error;
    }
    is_calibrated
}

/// Whether the rollback rate of each case is at most alpha.
fn tell_healthy(
    title: &str,
    cases: &[(String, Scenario)],
    part: &str,
    replications: u32,
    seed: u32,
) -> bool {
    tell(&format!(
        "\n### {title}: {replications} hours each, 100 requests/s, a look every second\n"
    ));
    tell(
        "| case | rolled back | latency alone | errors alone | score alone | repeated Welch | \
         promoted within the hour | median, p95 s to promotion |",
    );
    tell("|---|---|---|---|---|---|---|---|");
    let mut is_calibrated = true;
    // The seed follows the position in the whole list, so a part of it gives the same numbers.
    for ((name, scenario), seed) in cases.iter().zip(seed..) {
        if !name.contains(part) {
            continue;
        }
        let outcomes = replicate(scenario, replications, seed);
        let share = |what: fn(&Outcome) -> Option<Moment>| {
            100.0 * study::count(&outcomes, what) as f64 / outcomes.len() as f64
        };
        let Quantiles { median, p95 } = study::seconds(&outcomes, |outcome| outcome.promotion);
        tell(&format!(
            "| {name} | **{:.1} %** | {:.1} % | {:.1} % | {:.1} % | {:.0} % | {:.1} % | {}, {} |",
            share(|outcome| outcome.rollback),
            share(|outcome| outcome.latency),
            share(|outcome| outcome.failures),
            share(|outcome| outcome.score),
            share(|outcome| outcome.welch),
            share(|outcome| outcome.promotion),
            or_never(median),
            or_never(p95),
        ));
        let slack = 300.0 * (ALPHA * (1.0 - ALPHA) / f64::from(replications)).sqrt();
        is_calibrated &= share(|outcome| outcome.rollback) <= 100.0 * ALPHA + slack;
    }
    is_calibrated
}

/// Whether false rollbacks of tracks with noise of their own are at most alpha, but for noise that lasts for minutes
/// and is larger than any margin.
fn tell_own_noise(part: &str, replications: u32, seed: u32) -> bool {
    tell(&format!(
        "\n### No difference, each track with noise of its own: {replications} half hours each, 100 requests/s, \
         default policy\n"
    ));
    tell("| noise | requests as draws: rolled back | spans of time: rolled back | promoted |");
    tell("|---|---|---|---|");
    let mut is_calibrated = true;
    for ((name, scenario), seed) in cases::own_noise().into_iter().zip(seed..) {
        if !name.contains(part) {
            continue;
        }
        let by_request = Scenario { policy: JudgePolicy::default(), ..scenario.clone() };
        let [by_request, by_span] =
            [&by_request, &scenario].map(|one| replicate(one, replications, seed));
        let share = |outcomes: &[Outcome], what: fn(&Outcome) -> Option<Moment>| {
            100.0 * study::count(outcomes, what) as f64 / outcomes.len() as f64
        };
        let false_rollbacks = share(&by_span, |outcome| outcome.rollback);
        tell(&format!(
            "| {name} | {:.1} % | **{false_rollbacks:.1} %** | {:.1} % |",
            share(&by_request, |outcome| outcome.rollback),
            share(&by_span, |outcome| outcome.promotion),
        ));
        let slack = 300.0 * (ALPHA * (1.0 - ALPHA) / f64::from(replications)).sqrt();
        let is_beyond_any_unit = name.starts_with("AR(1) 0.99, log sd 0.5");
        is_calibrated &= is_beyond_any_unit || false_rollbacks <= 100.0 * ALPHA + slack;
    }
    is_calibrated
}

/// How soon a canary that is slower by 20 % is found where users come back.
fn tell_slower_for_keys(part: &str, replications: u32, first_seed: u32) {
    tell(&format!(
        "\n### Latency x 1.2, users that come back: {replications} half hours each, 100 requests/s, default policy\n"
    ));
    tell("| case | rolled back | seconds, median (p95) | promoted before |");
    tell("|---|---|---|---|");
    for ((name, mut scenario), seed) in further::keys().into_iter().zip(first_seed..) {
        if !name.contains(part) {
            continue;
        }
        scenario.canary.latency = scenario.stable.latency.times(1.2);
        let outcomes = replicate(&scenario, replications, seed);
        let Quantiles { median, p95 } = study::seconds(&outcomes, |outcome| outcome.rollback);
        let share = |what: fn(&Outcome) -> Option<Moment>| {
            100.0 * study::count(&outcomes, what) as f64 / outcomes.len() as f64
        };
        tell(&format!(
            "| {name} | {:.1} % | {} ({}) | {:.1} % |",
            share(|outcome| outcome.rollback),
            or_never(median),
            or_never(p95),
            share(|outcome| outcome.promotion),
        ));
    }
}

/// What it costs to judge models with threads of their own by spans of time.
fn tell_threads(part: &str, replications: u32, first_seed: u32) {
    tell(&format!(
        "\n### Seconds until rollback, median (p95), at 10 % of 100 requests/s, default policy, {replications} hours \
         each\n"
    ));
    tell("| effect | requests as draws | spans of time |");
    tell("|---|---|---|");
    for ((name, scenario), seed) in further::threads().into_iter().zip(first_seed..) {
        if !name.contains(part) {
            continue;
        }
        let policy = JudgePolicy::default();
        let by_request = Scenario { policy: policy.clone(), ..scenario.clone() };
        let by_span = Scenario { policy: policy.of_threads(true), ..scenario };
        let [by_request, by_span] = [by_request, by_span].map(|one| {
            let outcomes = replicate(&one, replications, seed);
            let Quantiles { median, p95 } = study::seconds(&outcomes, |outcome| outcome.rollback);
            format!("{} ({})", or_never(median), or_never(p95))
        });
        tell(&format!("| {name} | {by_request} | {by_span} |"));
    }
}

fn tell_harmful(part: &str, replications: u32, first_seed: u32) {
    tell(&format!(
        "\n### Harm: canary samples until rollback, median (p95), at 10 %, a look after every 10 \
         requests, {replications} hours each\n\nThe metric alone at 5 %, and the whole policy, each \
         with stable's last 1,000 answers remembered, and from nothing.\n"
    ));
    tell(
        "| effect | alone | to oracle | prototype | alone, from nothing | policy | to oracle | \
         policy, from nothing | missed in the hour |",
    );
    tell("|---|---|---|---|---|---|---|---|---|");
    for (regression, seed) in cases::regressions().into_iter().zip(first_seed..) {
        if !regression.name.contains(part) {
            continue;
        }
        let cold = replicate(&regression.scenario, replications, seed);
        let scenario = Scenario { remembered: 1000, ..regression.scenario };
        let warm = replicate(&scenario, replications, seed);
        let alone = |outcome: &Outcome| match regression.name {
            name if name.starts_with("errors") => outcome.failures,
            name if name.starts_with("score") => outcome.score,
            _ => outcome.latency,
        };
        let policy = |outcome: &Outcome| outcome.rollback;
        let ratio = |samples: Option<u64>| match (samples, regression.oracle) {
            (Some(samples), Some(oracle)) => format!("{:.2}", samples as f64 / f64::from(oracle)),
            _ => "-".to_owned(),
        };
        let both = |Quantiles { median, p95 }: Quantiles| {
            format!("{} ({})", or_never(median), or_never(p95))
        };
        let (one, whole) =
            (study::canary_requests(&warm, alone), study::canary_requests(&warm, policy));
        let missed = replications as usize - study::count(&warm, policy);
        tell(&format!(
            "| {} | {} | {} | {} ({}) | {} | {} | {} | {} | {:.1} % |",
            regression.name,
            both(one),
            ratio(one.median),
            regression.target.0,
            regression.target.1,
            both(study::canary_requests(&cold, alone)),
            both(whole),
            ratio(whole.median),
            both(study::canary_requests(&cold, policy)),
            100.0 * missed as f64 / f64::from(replications),
        ));
    }
}

fn tell_late(part: &str, replications: u32, first_seed: u32) {
    tell(&format!(
        "\n### Late harm: seconds and canary samples from its beginning until rollback, median (p95), at \
         10 %, a look every second, {replications} runs each\n\nThe whole policy. An alarm before the \
         harm is a false one.\n"
    ));
    tell("| harm | seconds | canary samples | alarms before | missed within an hour |");
    tell("|---|---|---|---|---|");
    for ((name, scenario), seed) in further::late().into_iter().zip(first_seed..) {
        if !name.contains(part) {
            continue;
        }
        let outcomes = replicate(&scenario, replications, seed);
        let is_early = |outcome: &Outcome| {
            outcome.rollback.is_some_and(|moment| moment.second <= scenario.harm_after)
        };
        let (early, rest): (Vec<Outcome>, Vec<Outcome>) = outcomes.into_iter().partition(is_early);
        // Each second has 100 requests, 10 of them for the canary.
        let before = 10 * u64::from(scenario.harm_after);
        let since = |quantiles: Quantiles, before: u64| {
            let since = |value: Option<u64>| or_never(value.map(|value| value - before));
            format!("{} ({})", since(quantiles.median), since(quantiles.p95))
        };
        let seconds = study::seconds(&rest, |outcome| outcome.rollback);
        let samples = study::canary_requests(&rest, |outcome| outcome.rollback);
        let missed = rest.len() - study::count(&rest, |outcome| outcome.rollback);
        let percent = |number: usize| 100.0 * number as f64 / f64::from(replications);
        tell(&format!(
            "| {name} | {} | {} | {:.1} % | {:.1} % |",
            since(seconds, u64::from(scenario.harm_after)),
            since(samples, before),
            percent(early.len()),
            percent(missed),
        ));
    }
}

/// Time per tick and per hour, and the size of the state.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn tell_cost() {
    let (_, scenario) = &cases::healthy()[2];
    let started = Instant::now();
    let hours: Vec<Outcome> = (0..20).map(|seed| simulate(scenario, seed)).collect();
    let hour_ms = started.elapsed().as_secs_f64() * 1e3 / hours.len() as f64;

    let values = |count: u64| -> Vec<(f64, u64)> {
        (0..count).map(|i| (0.010 * (1.0 + (i * 37 % 97) as f64 / 50.0), 1)).collect()
    };
    let (canary, stable) = (values(10), values(90));
    let margin = Margin { relative: 0.1, absolute: 0.0 };
    let time = |mut tick: Box<dyn FnMut() + '_>| {
        let started = Instant::now();
        (0..20_000).for_each(|_| tick());
        started.elapsed().as_secs_f64() * 1e9 / 20_000.0
    };
    let mut latency =
        Monitor::new(Layout::Seconds, Harm::Higher, Test::Combined, Margin::default(), margin);
    let mut score =
        Monitor::new(Layout::UnitInterval, Harm::Either, Test::Combined, Margin::default(), margin);
    let mut failures = FailureMonitor::new(FailureMargins::default());
    let latency_ns = time(Box::new(|| latency.tick(0.1, &canary, &stable)));
    let score_ns = time(Box::new(|| score.tick(0.1, &canary, &stable)));
    let counts = serin::stats::sequential::TrackCounts { requests: 50, failures: 1 };
    let failures_ns = time(Box::new(|| failures.tick(0.5, counts, counts)));
    let json = |text: Result<String, serde_json::Error>| text.map_or(0, |text| text.len());
    tell("\n### Cost\n\n| | per tick of 100 requests | state as JSON |\n|---|---|---|");
    tell(&format!(
        "| latency | {latency_ns:.0} ns | {} B |",
        json(serde_json::to_string(&latency))
    ));
    tell(&format!("| score | {score_ns:.0} ns | {} B |", json(serde_json::to_string(&score))));
    tell(&format!(
        "| failures | {failures_ns:.0} ns | {} B |",
        json(serde_json::to_string(&failures))
    ));
    tell(&format!("\nOne simulated hour: {hour_ms:.1} ms on one core."));
}

/// Runs the hours on all cores.
fn replicate(scenario: &Scenario, replications: u32, seed: u32) -> Vec<Outcome> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    Study { replications, seed, threads }.outcomes(scenario, || ())
}

fn or_never(value: Option<u64>) -> String {
    value.map_or_else(|| "never".to_owned(), |value| value.to_string())
}
