//! Simulation of one hour.

use rand::Rng;
use rand::RngExt;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

use super::judge::Judge;
use super::outcome::Observer;
use super::outcome::Outcome;
use super::outcome::Tick;
use super::scenario::OwnNoise;
use super::scenario::Routing;
use super::scenario::Scenario;
use super::scenario::Until;
use super::scenario::Visits;
use super::shape::Shape;
use crate::canary::Split;
use crate::canary::Track;
use crate::canary::observed::groups::Group;
use crate::canary::observed::samples::TrackSamples;
use crate::stats::sequential::SeenKeys;

/// Simulates one hour; the seed alone determines it.
pub fn simulate(scenario: &Scenario, seed: u64) -> Outcome {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let salt = (u128::from(rng.next_u64()) << 64) | u128::from(rng.next_u64());
    let weights = scenario.weights.iter().zip(1..);
    let splits: Vec<Split> =
        weights.map(|(weight, step)| Split::new(*weight, salt, step)).collect();
    let mut users = Users::random(scenario.routing, &mut rng);
    let before = remembered(scenario, &mut rng);
    let judge = Judge::new(&scenario.policy, &before);
    let mut observer = Observer::new(judge, scenario.policy.alpha);
    let differing = scenario.differing();
    let mut tick = Tick::lasting(scenario.look.millis());
    let mut noise =
        [Noise::new(scenario.own_noise, seed, 1), Noise::new(scenario.own_noise, seed, 2)];
    for (step, split) in splits.iter().enumerate() {
        let (begin, end) = (start_of(step, scenario), start_of(step + 1, scenario));
        let weight = split.weight();
        users.assign(split);
        tick.forget_visits();
        let mut second_of = Second::default();
        for second in begin..end {
            let requests = second_of.draw(scenario, split, second, &mut users, &mut rng);
            if scenario.own_noise != OwnNoise::None {
                noise.iter_mut().for_each(Noise::next);
                second_of.disturb(&mut noise);
            }
            for (request, (visit, answer)) in (0..).zip(second_of.requests()) {
                if scenario.look.is_before(request, requests) {
                    observer.look(weight, &mut tick, second);
                }
                tick.add((visit.track, visit.group), visit.is_judged, visit.cell, answer);
            }
            if scenario.look.is_after(second - begin) || second + 1 == end {
                observer.look(weight, &mut tick, second);
            }
            let outcome = observer.outcome();
            let is_decided = outcome.rollback.is_some()
                && differing.iter().all(|source| outcome.alone(*source).is_some());
            match scenario.until {
                Until::Decided if is_decided => return *outcome,
                Until::Compared if is_decided && outcome.welch.is_some() => return *outcome,
                Until::Compared if is_decided => observer.rest(),
                Until::Over | Until::Decided | Until::Compared => {}
            }
        }
    }
    *observer.outcome()
}

/// The first second of a step; the steps are equally long.
fn start_of(step: usize, scenario: &Scenario) -> u32 {
    let steps = scenario.weights.len().max(1) as u64;
    (step as u64 * u64::from(scenario.seconds)).div_ceil(steps) as u32
}

fn remembered(scenario: &Scenario, rng: &mut Xoshiro256PlusPlus) -> TrackSamples {
    let mut draw = |shape: &Shape| -> Vec<f64> {
        (0..scenario.remembered).map(|_| shape.draw(rng.next_u64() as u16)).collect()
    };
    let (latencies, scores) = (draw(&scenario.stable.latency), draw(&scenario.stable.scores));
    let mut samples = TrackSamples::default();
    for (number, (latency, score)) in (0..).zip(latencies.into_iter().zip(scores)) {
        let speed = match scenario.routing {
            Routing::Alternating { .. } => speed_in_turn(number),
            Routing::Strata | Routing::Sticky { .. } => 1.0,
        };
        samples.record(latency * speed, &[score]);
    }
    samples
}

/// The requests of one second. All tracks are drawn before all answers: nearly every draw of an answer misses
/// the first-level cache, and a tight loop keeps many misses in flight.
#[derive(Default)]
struct Second {
    /// The split counts a step's requests from 0.
    number: u64,
    visits: Vec<(Visit, u64)>,
    answers: Vec<Answer>,
}

/// Latency and score; `None` is a failure.
type Answer = Option<(f64, f64)>;

impl Second {
    /// The number of requests.
    fn draw(
        &mut self,
        scenario: &Scenario,
        split: &Split,
        second: u32,
        users: &mut Users,
        rng: &mut Xoshiro256PlusPlus,
    ) -> u32 {
        let load = scenario.load.at(second, scenario.seconds);
        let requests = (f64::from(scenario.requests_per_second) * load).round() as u32;
        let canary = if second < scenario.harm_after { &scenario.stable } else { &scenario.canary };
        self.visits.clear();
        for _ in 0..requests {
            let bits = rng.next_u64();
            let visit = match scenario.routing {
                Routing::Strata => Visit::without_key(split, self.number),
                Routing::Alternating { is_grouped } => {
                    let speed = speed_in_turn(self.number);
                    let group =
                        Group::of(if is_grouped && speed > 1.0 { 2 } else { 1 }, None, None);
                    Visit { speed, group, ..Visit::without_key(split, self.number) }
                }
                Routing::Sticky { visits, .. } => users.visit(visits, rng),
            };
            self.number += 1;
            self.visits.push((visit, bits));
        }
        self.answers.clear();
        self.answers.extend(self.visits.iter().map(|(visit, bits)| {
            let behavior = match visit.track {
                Track::Canary => canary,
                Track::Stable => &scenario.stable,
            };
            let failure = (bits >> 32) as f64 / 4_294_967_296.0;
            let latency = behavior.latency.draw(*bits as u16) * (load * visit.speed);
            let score = behavior.scores.draw((bits >> 16) as u16) + visit.bonus;
            (failure >= behavior.failure_rate * load).then_some((latency, score.clamp(0.0, 1.0)))
        }));
        requests
    }

    /// Adds the noise of each track to its answers.
    fn disturb(&mut self, [stable, canary]: &mut [Noise; 2]) {
        for (place, ((visit, _), answer)) in self.visits.iter().zip(&mut self.answers).enumerate() {
            let noise = match visit.track {
                Track::Canary => &mut *canary,
                Track::Stable => &mut *stable,
            };
            let place = place as f64 / self.visits.len() as f64;
            *answer = answer.filter(|_| !noise.fails()).map(|(latency, score)| {
                let waits = if place < noise.share { noise.wait } else { 0.0 };
                (latency * noise.factor + waits, score)
            });
        }
    }

    fn requests(&self) -> impl Iterator<Item = (&Visit, Answer)> {
        self.visits.iter().map(|(visit, _)| visit).zip(self.answers.iter().copied())
    }
}

/// The noise of one track in the current second.
struct Noise {
    law: OwnNoise,
    rng: Xoshiro256PlusPlus,
    /// Of the latencies.
    factor: f64,
    share: f64,
    wait: f64,
    /// Seconds of the burst that are left.
    burst: u32,
    log: f64,
}

impl Noise {
    /// Drawn apart from the requests, so that a scenario without noise has the same requests as one with.
    fn new(law: OwnNoise, seed: u64, track: u64) -> Noise {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed ^ (track << 56) ^ 0x006e_6f69_7365);
        let log = match law {
            OwnNoise::Autoregressive { log_sd, .. } => log_sd * normal(&mut rng),
            OwnNoise::None | OwnNoise::Stalls { .. } | OwnNoise::ErrorBursts { .. } => 0.0,
        };
        Noise { law, rng, factor: 1.0, share: 0.0, wait: 0.0, burst: 0, log }
    }

    /// Goes to the next second.
    fn next(&mut self) {
        match self.law {
            OwnNoise::None => {}
            OwnNoise::Stalls { chance, share, wait } => {
                self.share = if self.rng.random::<f64>() < chance { share } else { 0.0 };
                self.wait = wait;
            }
            OwnNoise::Autoregressive { correlation, log_sd } => {
                let innovation = (1.0 - correlation * correlation).sqrt() * log_sd;
                self.log = correlation * self.log + innovation * normal(&mut self.rng);
                self.factor = self.log.exp();
            }
            OwnNoise::ErrorBursts { chance, seconds, .. } => {
                self.burst = self.burst.saturating_sub(1);
                if self.rng.random::<f64>() < chance {
                    self.burst = seconds;
                }
            }
        }
    }

    fn fails(&mut self) -> bool {
        match self.law {
            OwnNoise::ErrorBursts { rate, .. } if self.burst > 0 => self.rng.random::<f64>() < rate,
            _ => false,
        }
    }
}

/// The sum of twelve uniform numbers is approximately normal.
fn normal(rng: &mut Xoshiro256PlusPlus) -> f64 {
    (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0
}

/// The track of one request, and its effects.
struct Visit {
    track: Track,
    /// A factor to latency.
    speed: f64,
    /// Added to the score.
    bonus: f64,
    /// What the judge knows of it beforehand.
    group: Group,
    is_judged: bool,
    /// Of its key, where all visits are judged.
    cell: Option<u8>,
}

impl Visit {
    fn without_key(split: &Split, number: u64) -> Visit {
        let (track, group) = (split.assign(number), Group::default());
        Visit { track, speed: 1.0, bonus: 0.0, group, is_judged: true, cell: None }
    }
}

/// The factor to the latency of a client that alternates light and heavy requests.
fn speed_in_turn(number: u64) -> f64 {
    if number.is_multiple_of(2) { 0.2 } else { 1.8 }
}

/// The exponent of Zipf's law.
const ZIPF: f64 = 1.1;

/// Users with sticky keys; empty for other routings.
struct Users {
    users: Vec<User>,
    /// Of each replica.
    seen: Vec<SeenKeys>,
    /// The sums of how often the users up to each come by Zipf's law.
    often: Vec<f64>,
}

struct User {
    track: Track,
    speed: f64,
    bonus: f64,
    hash: u64,
}

impl Users {
    fn random(routing: Routing, rng: &mut Xoshiro256PlusPlus) -> Users {
        let count = match routing {
            Routing::Strata | Routing::Alternating { .. } => 0,
            Routing::Sticky { users, .. } => users.max(1),
        };
        let often = (1..=count).map(|rank| (rank as f64).powf(-ZIPF)).scan(0.0, |sum, often| {
            *sum += often;
            Some(*sum)
        });
        let often = often.collect();
        let users = (0..count).map(|_| User::random(rng)).collect();
        let replicas = match routing {
            Routing::Sticky { visits: Visits::AtHome(count) | Visits::AtEach(count), .. } => count,
            Routing::Strata | Routing::Alternating { .. } | Routing::Sticky { .. } => 1,
        };
        Users { users, seen: vec![SeenKeys::default(); replicas.max(1)], often }
    }

    /// Users on the canary stay there as its share grows.
    fn assign(&mut self, split: &Split) {
        for (number, user) in self.users.iter_mut().enumerate() {
            user.track = split.assign_key(&format!("user-{number}"));
        }
    }

    fn visit(&mut self, visits: Visits, rng: &mut Xoshiro256PlusPlus) -> Visit {
        let number = match visits {
            Visits::ByKey | Visits::AtHome(_) | Visits::AtEach(_) => {
                let place = rng.random::<f64>() * self.often.last().copied().unwrap_or_default();
                self.often.partition_point(|sum| *sum <= place).min(self.users.len() - 1)
            }
            Visits::First | Visits::Every => rng.random_range(0..self.users.len()),
        };
        let user = &self.users[number];
        let replicas = self.seen.len();
        let replica = if replicas == 1 { 0 } else { rng.random_range(0..replicas) };
        let is_first = self.seen[replica].is_first(user.hash);
        let is_judged = match visits {
            Visits::ByKey | Visits::First | Visits::AtEach(_) => is_first,
            // Other bits than those of the slot and the cell.
            Visits::AtHome(_) => is_first && (user.hash >> 24) as usize % replicas == replica,
            Visits::Every => true,
        };
        let [.., cell] = user.hash.to_le_bytes();
        let cell = (!matches!(visits, Visits::First | Visits::Every)).then_some(cell);
        let User { track, speed, bonus, .. } = *user;
        Visit { track, speed, bonus, group: Group::default(), is_judged, cell }
    }
}

impl User {
    fn random(rng: &mut Xoshiro256PlusPlus) -> Self {
        let (speed, bonus) = ((0.5 * normal(rng)).exp(), 0.1 * normal(rng));
        Self { track: Track::Stable, speed, bonus, hash: rng.next_u64() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canary::Weight;
    use crate::simulation::judge::strict_policy;
    use crate::simulation::outcome::Moment;
    use crate::simulation::scenario::Behavior;
    use crate::simulation::scenario::Load;
    use crate::simulation::scenario::Look;

    #[test]
    fn a_canary_is_healthy_until_its_harm_begins_and_then_found_at_once() {
        let behavior = Behavior {
            latency: Shape::lognormal(0.050, 0.8),
            scores: Shape::scores(),
            failure_rate: 0.0,
        };
        let healthy = Scenario {
            harm_after: 0,
            stable: behavior.clone(),
            canary: behavior,
            routing: Routing::Strata,
            own_noise: OwnNoise::None,
            load: Load::Steady,
            requests_per_second: 100,
            seconds: 240,
            weights: vec![Weight::from_percent(10.0).unwrap()],
            remembered: 0,
            look: Look::EverySeconds(1),
            until: Until::Over,
            policy: strict_policy(0.05),
        };
        let mut harmful = Scenario { harm_after: 180, ..healthy.clone() };
        harmful.canary.latency = healthy.stable.latency.times(5.0);
        harmful.canary.failure_rate = 0.5;
        let by_then = |moment: Option<Moment>| moment.filter(|moment| moment.second <= 180);
        let mut found = 0;
        for seed in 0..8 {
            let (expected, outcome) = (simulate(&healthy, seed), simulate(&harmful, seed));
            for what in [
                |outcome: &Outcome| outcome.rollback,
                |outcome: &Outcome| outcome.promotion,
                |outcome: &Outcome| outcome.latency,
                |outcome: &Outcome| outcome.failures,
                |outcome: &Outcome| outcome.score,
                |outcome: &Outcome| outcome.welch,
            ] {
                assert_eq!(by_then(what(&outcome)), by_then(what(&expected)), "seed {seed}");
            }
            assert_eq!(by_then(outcome.failures), None, "seed {seed}: no request failed by then");
            let seconds = outcome.failures.map(|moment| moment.second);
            assert!(seconds.is_some_and(|second| second <= 185), "seed {seed}: {seconds:?}");
            found += usize::from(by_then(outcome.rollback).is_none() && outcome.rollback.is_some());
        }
        assert!(found >= 6, "{found} of 8 were rolled back after the harm began");
    }
}
