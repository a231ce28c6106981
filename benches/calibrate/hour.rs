//! What does one simulated hour end in?

use rand::Rng;
use rand::RngExt;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use serin::canary::Split;
use serin::canary::Track;
use serin::canary::Weight;
use serin::stats::Layout;
use serin::stats::Moments;
use serin::stats::sequential::FailureMargins;
use serin::stats::sequential::FailureMonitor;
use serin::stats::sequential::Harm;
use serin::stats::sequential::KeysSeen;
use serin::stats::sequential::Margin;
use serin::stats::sequential::Monitor;
use serin::stats::sequential::Running;
use serin::stats::sequential::Test;
use serin::stats::sequential::TrackCounts;
use serin::stats::welch_t_test;

use super::shapes::Shape;

pub const ALPHA: f64 = 0.05;
pub const SECONDS: u32 = 3600;
const REQUESTS_PER_SECOND: f64 = 100.0;
/// Latency, failures and score share alpha evenly.
const WEIGHT: f64 = 1.0 / 3.0;

/// What one track does.
#[derive(Clone, Debug)]
pub struct Behavior {
    pub latency: Shape,
    pub scores: Shape,
    pub failure_rate: f64,
}

/// How requests find their track.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Routing {
    /// The stratified split.
    Strata,
    /// The stratified split, and a client that sends a light and a heavy request in turn.
    Alternating,
    /// Users stay on their track; each has a speed and a score of its own. Every request is bet on.
    StickyEveryRequest,
    /// The same, and only the first request of each user is bet on.
    StickyFirstRequest,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Load {
    Steady,
    /// Rises by 20 % on either side, swings by 30 %, and for five minutes is doubled.
    Restless,
}

#[derive(Clone, Debug)]
pub struct Scenario {
    pub stable: Behavior,
    pub canary: Behavior,
    pub routing: Routing,
    pub load: Load,
    /// The weights in percent, each for an equal part of the hour.
    pub weights: Vec<f64>,
    /// Whether the judge knows stable's last thousand answers when the canary comes.
    pub remembers: bool,
    /// The judge looks after so many requests, and at the end of every second.
    pub requests_per_tick: u32,
    /// Whether the simulation ends when the policy rolls back and latency alone is decided.
    pub stops: bool,
}

/// Seconds and canary requests at which something was first reached.
pub type Moment = Option<(u32, u64)>;

#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Any metric at its part of alpha: the default policy.
    pub rollback: Moment,
    /// Each metric alone at alpha.
    pub latency: Moment,
    pub failures: Moment,
    pub score: Moment,
    /// Welch p < alpha and slower, looked at every second.
    pub welch: Moment,
    /// Every metric proven not worse, before any rollback.
    pub promotion: Moment,
}

const USERS: usize = 5000;

/// One hour, made by the seed alone.
pub fn simulate(scenario: &Scenario, seed: u64) -> Outcome {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let salt = (u128::from(rng.next_u64()) << 64) | u128::from(rng.next_u64());
    let splits: Vec<Split> = scenario
        .weights
        .iter()
        .zip(1..)
        .map(|(percent, step)| {
            let weight = Weight::from_percent(*percent).unwrap_or(Weight::ZERO);
            Split::new(weight, salt, step)
        })
        .collect();
    let is_sticky =
        matches!(scenario.routing, Routing::StickyEveryRequest | Routing::StickyFirstRequest);
    let users: Vec<User> =
        if is_sticky { (0..USERS).map(|_| User::random(&mut rng)).collect() } else { Vec::new() };

    let mut judge = Judge::new();
    if scenario.remembers {
        judge.remember(&scenario.stable, &mut rng);
    }
    let mut tick = Tick::default();
    let mut tracks: Vec<Track> = Vec::new();
    let mut step_before = usize::MAX;
    let mut number = 0_u64;
    for second in 0..SECONDS {
        let step = second as usize * splits.len() / SECONDS as usize;
        let split = &splits[step];
        if step != step_before {
            (step_before, number) = (step, 0);
            tracks.clear();
            tracks.extend((0..users.len()).map(|user| split.assign_key(&format!("user-{user}"))));
        }
        let load = scenario.load.at(second);
        let requests = (REQUESTS_PER_SECOND * load).round() as u32;
        for request in 0..requests {
            if request > 0 && request.is_multiple_of(scenario.requests_per_tick) {
                judge.tick(split.weight().share(), &tick, second);
                tick.clear();
            }
            let bits = rng.next_u64();
            let (mut speed, mut bonus, mut is_bet_on) = (load, 0.0, true);
            let track = if is_sticky {
                let user = rng.random_range(0..USERS);
                speed *= users[user].speed;
                bonus = users[user].bonus;
                if scenario.routing == Routing::StickyFirstRequest {
                    is_bet_on = judge.seen.is_first(users[user].hash);
                }
                tracks[user]
            } else {
                split.assign(number)
            };
            if scenario.routing == Routing::Alternating {
                speed *= if number.is_multiple_of(2) { 0.2 } else { 1.8 };
            }
            number += 1;
            let behavior = match track {
                Track::Canary => &scenario.canary,
                Track::Stable => &scenario.stable,
            };
            let failure = (bits >> 32) as f64 / 4_294_967_296.0;
            let has_failed = failure < behavior.failure_rate * load;
            let latency = behavior.latency.draw(bits as u16) * speed;
            let score = (behavior.scores.draw((bits >> 16) as u16) + bonus).clamp(0.0, 1.0);
            tick.add(track, is_bet_on, (!has_failed).then_some((latency, score)));
        }
        judge.tick(split.weight().share(), &tick, second);
        tick.clear();
        let outcome = &judge.outcome;
        if scenario.stops && outcome.rollback.is_some() && outcome.is_decided_alone(scenario) {
            break;
        }
    }
    judge.outcome
}

impl Outcome {
    /// Whether the metric that differs was rejected alone as well; it needs less evidence.
    fn is_decided_alone(&self, scenario: &Scenario) -> bool {
        let differs = scenario.stable.failure_rate != scenario.canary.failure_rate;
        if differs {
            self.failures.is_some()
        } else {
            self.latency.is_some() || self.score.is_some()
        }
    }
}

impl Load {
    fn at(self, second: u32) -> f64 {
        let Load::Restless = self else { return 1.0 };
        let hours = f64::from(second) / f64::from(SECONDS);
        let drift = 0.2 * (2.0 * hours - 1.0);
        let swing = 0.3 * (hours * 6.0 * std::f64::consts::TAU).sin();
        // At the middle of the hour, across a step of the ramp.
        let incident = if (2000..2300).contains(&second) { 2.0 } else { 1.0 };
        (1.0 + drift + swing) * incident
    }
}

struct User {
    speed: f64,
    bonus: f64,
    hash: u64,
}

impl User {
    fn random(rng: &mut Xoshiro256PlusPlus) -> Self {
        // The sum of twelve uniform numbers is nearly normal.
        let mut normal = || (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
        let (speed, bonus) = ((0.5 * normal()).exp(), 0.1 * normal());
        Self { speed, bonus, hash: rng.next_u64() }
    }
}

/// What one second brought, folded as the recorder does it.
#[derive(Default)]
struct Tick {
    canary: TrackTick,
    stable: TrackTick,
}

#[derive(Default)]
struct TrackTick {
    latency: Vec<(f64, u64)>,
    scores: Vec<(f64, u64)>,
    counts: TrackCounts,
    /// Every request, bet on or not: what Welch sees.
    all_latencies: Moments,
    requests: u64,
}

impl Tick {
    fn clear(&mut self) {
        for track in [&mut self.canary, &mut self.stable] {
            track.latency.clear();
            track.scores.clear();
            track.counts = TrackCounts::default();
            track.all_latencies = Moments::new();
            track.requests = 0;
        }
    }

    fn add(&mut self, track: Track, is_bet_on: bool, answer: Option<(f64, f64)>) {
        let track = match track {
            Track::Canary => &mut self.canary,
            Track::Stable => &mut self.stable,
        };
        track.requests += 1;
        if let Some((latency, _)) = answer {
            track.all_latencies.record(latency);
        }
        if !is_bet_on {
            return;
        }
        track.counts.requests += 1;
        match answer {
            None => track.counts.failures += 1,
            Some((latency, score)) => {
                track.latency.push((latency, 1));
                track.scores.push((score, 1));
            }
        }
    }
}

struct Judge {
    latency: Monitor,
    failures: FailureMonitor,
    score: Monitor,
    seen: KeysSeen,
    welch: [Moments; 2],
    canaries: u64,
    outcome: Outcome,
}

impl Judge {
    fn new() -> Self {
        let relative = |relative| Margin { relative, absolute: 0.0 };
        // A shift of the mean score by 0.02 is accepted.
        let shift = Margin { relative: 0.0, absolute: 0.02 };
        let none = Margin::default();
        Self {
            latency: Monitor::new(
                Layout::SECONDS,
                Harm::Higher,
                Test::Combined,
                none,
                relative(0.1),
            ),
            failures: FailureMonitor::new(FailureMargins::default()),
            score: Monitor::new(Layout::UNIT_INTERVAL, Harm::Either, Test::Combined, none, shift),
            seen: KeysSeen::default(),
            welch: [Moments::new(); 2],
            canaries: 0,
            outcome: Outcome::default(),
        }
    }

    fn remember(&mut self, stable: &Behavior, rng: &mut Xoshiro256PlusPlus) {
        let mut draw = |shape: &Shape| -> Vec<(f64, u64)> {
            (0..1000).map(|_| (shape.draw(rng.next_u64() as u16), 1)).collect()
        };
        self.latency.remember(&draw(&stable.latency));
        self.score.remember(&draw(&stable.scores));
    }

    fn tick(&mut self, share: f64, tick: &Tick, second: u32) {
        let (canary, stable) = (&tick.canary, &tick.stable);
        self.latency.tick(share, &canary.latency, &stable.latency);
        self.score.tick(share, &canary.scores, &stable.scores);
        self.failures.tick(share, canary.counts, stable.counts);
        self.welch[0].merge(&canary.all_latencies);
        self.welch[1].merge(&stable.all_latencies);
        self.canaries += canary.requests;

        let now = Some((second + 1, self.canaries));
        let judged = [self.latency.harm(), self.failures.harm(), self.score.harm()];
        let proven = [self.latency.proven(), self.failures.proven(), self.score.proven()];
        let all = |metrics: &[&Running], alpha| metrics.iter().all(|one| one.reached(alpha));
        let outcome = &mut self.outcome;
        let first = |moment: &mut Moment, reached: bool| {
            if moment.is_none() && reached {
                *moment = now;
            }
        };
        first(&mut outcome.rollback, judged.iter().any(|one| one.reached(WEIGHT * ALPHA)));
        first(&mut outcome.latency, judged[0].reached(ALPHA));
        first(&mut outcome.failures, judged[1].reached(ALPHA));
        first(&mut outcome.score, judged[2].reached(ALPHA));
        let may_promote = outcome.rollback.is_none() && all(&proven, ALPHA);
        first(&mut outcome.promotion, may_promote);
        if outcome.welch.is_none() && self.welch[0].count() >= 20 && self.welch[1].count() >= 20 {
            let slower = welch_t_test(&self.welch[0], &self.welch[1])
                // Below 1.9 no t distribution has a two-sided p under 5 %.
                .is_some_and(|test| test.statistic > 1.9 && test.p_two_sided() < ALPHA);
            first(&mut outcome.welch, slower);
        }
    }
}
