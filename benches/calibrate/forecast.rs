//! Forecasts: how often the range of a forecast holds the time of the verdict.

use std::time::Duration;

use rand::RngExt;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use serin::canary::Increment;
use serin::canary::JudgePolicy;
use serin::canary::Split;
use serin::canary::Track;
use serin::canary::Verdict;
use serin::canary::Weight;
use serin::canary::judge::forecast::Traffic;
use serin::canary::judge::forecast::forecast;
use serin::canary::observed::samples::TrackSamples;
use serin::simulation::Judge;
use serin::simulation::Shape;
use serin::simulation::shape::lognormal_sigma;

use super::program::tell;

/// Mean latency in seconds.
const MEAN: f64 = 0.050;
const REQUESTS_PER_SECOND: u64 = 100;
/// Seconds after which a rollout without a verdict is given up.
const LIMIT: u32 = 14_400;

/// A kind of rollout.
struct Kind {
    name: &'static str,
    stable: Shape,
    canary: Shape,
    /// Failure rates of stable and canary.
    failures: [f64; 2],
    percent: f64,
    policy: JudgePolicy,
}

fn kinds() -> Vec<Kind> {
    let normal = Shape::normal(MEAN, 0.015);
    let lognormal = Shape::lognormal(MEAN, lognormal_sigma(1.0));
    let heavy = Shape::lognormal(MEAN, 1.5);
    let kind = |name, stable: &Shape, factor, failures| Kind {
        name,
        stable: stable.clone(),
        canary: stable.times(factor),
        failures,
        percent: 10.0,
        policy: JudgePolicy::default(),
    };
    let threads = |kind: Kind| Kind { policy: JudgePolicy::default().of_threads(true), ..kind };
    vec![
        kind("equal, normal", &normal, 1.0, [0.001; 2]),
        kind("equal, lognormal", &lognormal, 1.0, [0.01; 2]),
        Kind { percent: 50.0, ..kind("equal, lognormal, at 50 %", &lognormal, 1.0, [0.01; 2]) },
        kind("equal, lognormal sigma 1.5", &heavy, 1.0, [0.001; 2]),
        kind("x1.10, lognormal", &lognormal, 1.1, [0.01; 2]),
        kind("x1.20, lognormal", &lognormal, 1.2, [0.01; 2]),
        kind("x1.15, normal", &normal, 1.15, [0.001; 2]),
        kind("errors 1 -> 2 %", &lognormal, 1.0, [0.01, 0.02]),
        kind("errors 1 -> 5 %", &lognormal, 1.0, [0.01, 0.05]),
        threads(kind("spans: equal, normal", &normal, 1.0, [0.001; 2])),
        threads(kind("spans: equal, lognormal", &lognormal, 1.0, [0.01; 2])),
        threads(kind("spans: x1.20, lognormal", &lognormal, 1.2, [0.01; 2])),
        threads(kind("spans: x1.50, lognormal", &lognormal, 1.5, [0.01; 2])),
        threads(kind("spans: errors 1 -> 5 %", &lognormal, 1.0, [0.01, 0.05])),
    ]
}

/// Whether the ranges hold what they say over the nine kinds that are judged by requests: 75 to 85 % of verdicts.
pub fn tell_forecast(part: &str, replications: u32, first_seed: u32) -> bool {
    tell(&format!(
        "\n### Forecast: how often the 80 % range holds the time of the verdict, {replications} rollouts each, default \
         policy, {REQUESTS_PER_SECOND} requests/s\n\nAsked after 3 s, and each time 1.3 times as late. The range was \
         asked for when this share of the time to the verdict was over; width is the end of the range divided by its \
         beginning.\n"
    ));
    tell(
        "| canary | forecasts | **held** | too late | too soon | under 25 % | 25-50 % | 50-75 % | over 75 % | \
         width, median | none |",
    );
    tell("|---|---|---|---|---|---|---|---|---|---|---|");
    let (mut by_requests, mut by_spans) = (Vec::new(), Vec::new());
    for (kind, seed) in kinds().iter().zip(first_seed..) {
        if !kind.name.contains(part) {
            continue;
        }
        let asked = study(kind, replications, seed);
        row(kind.name, &asked);
        match kind.name.starts_with("spans") {
            true => by_spans.extend(asked),
            false => by_requests.extend(asked),
        }
    }
    row("all by requests", &by_requests);
    row("all by spans", &by_spans);
    let held = share(&by_requests, |it| it.is_held());
    by_requests.is_empty() || (75.0..=85.0).contains(&held)
}

/// One forecast, and what came.
#[derive(Clone, Copy)]
struct Asked {
    /// Seconds after which it was asked for, and the verdict came.
    at: u32,
    end: u32,
    /// Between how many seconds later it comes; infinite without an end.
    range: Option<[f64; 2]>,
}

impl Asked {
    fn is_too_late(&self) -> bool {
        self.range.is_some_and(|[earliest, _]| f64::from(self.end - self.at) < earliest.floor())
    }

    fn is_too_soon(&self) -> bool {
        self.range.is_some_and(|[_, latest]| f64::from(self.end - self.at) > latest.ceil())
    }

    fn is_held(&self) -> bool {
        self.range.is_some() && !self.is_too_late() && !self.is_too_soon()
    }

    fn part(&self) -> f64 {
        f64::from(self.at) / f64::from(self.end)
    }
}

/// Of the forecasts with a range, in percent.
fn share(asked: &[Asked], is_meant: impl Fn(&Asked) -> bool) -> f64 {
    let ranges = || asked.iter().filter(|it| it.range.is_some());
    100.0 * ranges().filter(|it| is_meant(it)).count() as f64 / ranges().count() as f64
}

fn row(name: &str, asked: &[Asked]) {
    if asked.is_empty() {
        return;
    }
    let quarter = |from: f64, to: f64| {
        let within = |it: &&Asked| (from..to).contains(&it.part());
        let asked: Vec<Asked> = asked.iter().filter(within).copied().collect();
        format!("{:.0} %", share(&asked, Asked::is_held))
    };
    let mut widths: Vec<f64> = asked
        .iter()
        .filter_map(|it| it.range)
        .map(|[earliest, latest]| latest.max(1.0) / earliest.max(1.0))
        .collect();
    widths.sort_by(f64::total_cmp);
    let none = asked.iter().filter(|it| it.range.is_none()).count();
    tell(&format!(
        "| {name} | {} | **{:.1} %** | {:.1} % | {:.1} % | {} | {} | {} | {} | {:.1} | {:.1} % |",
        asked.len(),
        share(asked, Asked::is_held),
        share(asked, Asked::is_too_late),
        share(asked, Asked::is_too_soon),
        quarter(0.0, 0.25),
        quarter(0.25, 0.5),
        quarter(0.5, 0.75),
        quarter(0.75, 1.0),
        widths.get(widths.len() / 2).copied().unwrap_or(f64::NAN),
        100.0 * none as f64 / asked.len() as f64,
    ));
}

/// The forecasts of many rollouts, on all cores.
fn study(kind: &Kind, replications: u32, seed: u32) -> Vec<Asked> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u32;
    let work = |first: u32| -> Vec<Asked> {
        let mine = (first..replications).step_by(threads as usize);
        mine.flat_map(|run| rollout(kind, (u64::from(seed) << 32) | u64::from(run))).collect()
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|first| scope.spawn(move || work(first))).collect();
        let join = |worker: std::thread::ScopedJoinHandle<'_, Vec<Asked>>| {
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        workers.into_iter().flat_map(join).collect()
    })
}

/// The forecasts of one rollout until its verdict; none if none came.
fn rollout(kind: &Kind, seed: u64) -> Vec<Asked> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let Ok(weight) = Weight::from_percent(kind.percent) else { return Vec::new() };
    let split = Split::new(weight, rng.random(), 1);
    let scores = Shape::scores();
    let mut before = TrackSamples::default();
    for _ in 0..1000 {
        before.record(kind.stable.draw(rng.random()), &[scores.draw(rng.random())]);
    }
    let mut judge = Judge::new(&kind.policy, &before);
    let traffic = Traffic {
        weight,
        judged_per_second: REQUESTS_PER_SECOND as f64,
        repeated_per_second: 0.0,
        remaining_bake: Duration::from_secs(3600),
    };
    let (mut number, mut next) = (0, 3.0_f64);
    let mut asked: Vec<Asked> = Vec::new();
    for second in 1..=LIMIT {
        let mut increment = Increment { weight, ..Increment::default() }.lasting(1000);
        for _ in 0..REQUESTS_PER_SECOND {
            let (shape, rate, track) = match split.assign(number) {
                Track::Canary => (&kind.canary, kind.failures[1], &mut increment.canary),
                Track::Stable => (&kind.stable, kind.failures[0], &mut increment.stable),
            };
            number += 1;
            track.requests += 1;
            if rng.random_bool(rate) {
                track.failures += 1;
                continue;
            }
            track.latency.push((shape.draw(rng.random()), 1));
            track.score.push((scores.draw(rng.random()), 1));
        }
        for track in [&mut increment.canary, &mut increment.stable] {
            track.latency.sort_by(|left, right| left.0.total_cmp(&right.0));
            track.score.sort_by(|left, right| left.0.total_cmp(&right.0));
        }
        judge.tick(&increment);
        if judge.verdict() != Verdict::Hold {
            asked.iter_mut().for_each(|it| it.end = second);
            return asked;
        }
        if f64::from(second) >= next {
            next *= 1.3;
            let found = forecast(&judge.evidence(), &traffic);
            let range = found.verdict.and_then(|it| it.range);
            let range = range.and_then(|it| {
                Some([it.earliest_seconds?, it.latest_seconds.unwrap_or(f64::INFINITY)])
            });
            asked.push(Asked { at: second, end: 0, range });
        }
    }
    Vec::new()
}
