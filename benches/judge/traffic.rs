//! The traffic to judge: 100 million requests per track, a million of them also as plain numbers.

use std::f64::consts::LN_2;
use std::f64::consts::TAU;
use std::thread;

use rand::Rng;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use serin::canary::Samples;
use serin::canary::Track;
use serin::canary::observed::samples::Failure;
use serin::canary::observed::samples::TrackSamples;

use super::Fallible;

/// Requests per track.
pub const REQUESTS: u64 = 100_000_000;

/// Values per side that scipy gets as arrays; its rounds then take about a minute.
pub const RAW_VALUES: usize = 1_000_000;

/// Memory must not grow from here to `REQUESTS`.
pub const FEW_REQUESTS: u64 = 10_000;

/// The canary's share during the ticks, each of 100 consecutive requests.
pub const SHARE: f64 = 0.1;
const REQUESTS_PER_TICK: usize = 100;
const CANARY_REQUESTS_PER_TICK: usize = 10;

/// One request in a thousand fails on both tracks.
const FAILURE_RATE: f64 = 0.001;

/// Factor on the latency and failure rate of the harmful canary.
const WORSE: f64 = 1.05;

/// The observations of one track: all, the first part, and the first answers as plain numbers.
pub struct Recorded {
    pub samples: TrackSamples,
    pub few: TrackSamples,
    pub latency: Vec<f64>,
    pub score: Vec<f64>,
}

/// Two tracks that do not differ, which is what a judge sees most of the time, and a canary that does,
/// because some tests take longer for tiny p-values and others finish sooner.
pub struct Traffic {
    pub canary: Recorded,
    pub stable: Recorded,
    pub worse_canary: Recorded,
}

impl Traffic {
    /// Records every single request. Scaled counts would leave the far buckets empty.
    pub fn record() -> Fallible<Traffic> {
        thread::scope(|scope| {
            let [canary, stable, worse_canary] = [(1, 1.0), (2, 1.0), (4, WORSE)]
                .map(|(seed, factor)| scope.spawn(move || record_track(seed, factor)));
            let ended = |_| "a recording thread panicked";
            Ok(Traffic {
                canary: canary.join().map_err(ended)?,
                stable: stable.join().map_err(ended)?,
                worse_canary: worse_canary.join().map_err(ended)?,
            })
        })
    }

    /// The samples of both tracks.
    pub fn samples(&self) -> Samples {
        Samples { stable: self.stable.samples.clone(), canary: self.canary.samples.clone() }
    }

    /// The samples of stable and of the harmful canary.
    pub fn worse_samples(&self) -> Samples {
        Samples { stable: self.stable.samples.clone(), canary: self.worse_canary.samples.clone() }
    }

    /// These samples, and the samples after each of several more ticks.
    pub fn ticks(&self, count: usize) -> Vec<Samples> {
        let mut requests = Requests::new(3, 1.0);
        let mut samples = self.samples();
        let mut snapshots = vec![samples.clone()];
        for _ in 0..count {
            for place in 0..REQUESTS_PER_TICK {
                let is_canary = place < CANARY_REQUESTS_PER_TICK;
                let track = if is_canary { Track::Canary } else { Track::Stable };
                requests.next(samples.of_mut(track));
            }
            snapshots.push(samples.clone());
        }
        snapshots
    }
}

fn record_track(seed: u64, factor: f64) -> Recorded {
    let mut requests = Requests::new(seed, factor);
    let mut samples = TrackSamples::default();
    let (mut latency, mut score) = (Vec::new(), Vec::new());
    let mut few = TrackSamples::default();
    for n in 1..=REQUESTS {
        if let Some((seconds, probability)) = requests.next(&mut samples)
            && latency.len() < RAW_VALUES
        {
            latency.push(seconds);
            score.push(probability);
        }
        if n == FEW_REQUESTS {
            few = samples.clone();
        }
    }
    Recorded { samples, few, latency, score }
}

/// Latencies are lognormal with mean and standard deviation 50 ms, scores normal with mean 0.5 and
/// standard deviation 0.15, as in the calibration.
struct Requests {
    generator: Xoshiro256PlusPlus,
    /// Latencies and failure rate are multiplied by this factor.
    factor: f64,
}

impl Requests {
    fn new(seed: u64, factor: f64) -> Requests {
        Requests { generator: Xoshiro256PlusPlus::seed_from_u64(seed), factor }
    }

    /// Records one request. Returns its latency and score if it was answered.
    fn next(&mut self, track: &mut TrackSamples) -> Option<(f64, f64)> {
        if self.uniform() < self.factor * FAILURE_RATE {
            track.record_failure(Failure::Error);
            return None;
        }
        // Box-Muller transform: two independent normal numbers from two uniform ones.
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        let (sine, cosine) = (TAU * self.uniform()).sin_cos();
        let latency = self.factor * 0.050 * (LN_2.sqrt() * radius * cosine - LN_2 / 2.0).exp();
        let score = (0.5 + 0.15 * radius * sine).clamp(0.0, 1.0);
        track.record(latency, &[score]);
        Some((latency, score))
    }

    fn uniform(&mut self) -> f64 {
        (self.generator.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }
}
