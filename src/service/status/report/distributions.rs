//! Distributions of latency and scores of both tracks at this step, as curves.

use crate::canary::Samples;
use crate::canary::observed::outputs::Numbers;
use crate::canary::observed::samples::TrackSamples;
use crate::model::OutputKind;
use crate::stats::Summary;

/// Points of a curve of cumulative shares.
const POINTS: usize = 60;

/// Bins of a histogram, about.
const BINS: usize = 20;

/// What is left out of an axis at each end: a share of the values.
const OUTSIDE: f64 = 0.005;

/// Durations below this are drawn as this long: a logarithmic axis has no zero.
const SHORTEST_SECONDS: f64 = 1e-9;

/// The distributions of both tracks.
#[derive(Clone, Debug, PartialEq)]
pub struct Distributions {
    /// Requests that stable and the canary have answered.
    pub answered: [u64; 2],
    /// Their latency; `None` before both have answered.
    pub latency: Option<Latency>,
    /// What they answered.
    pub scores: Scores,
}

/// Latencies on a logarithmic axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Latency {
    /// The ends of the axis in seconds: 1, 2 or 5 times a power of ten.
    pub ends: [f64; 2],
    /// Stable and the canary.
    pub tracks: [Curve; 2],
}

/// Cumulative shares of one track.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Bounds in ascending order, each with the share of the values up to it.
    pub points: Vec<(f64, f64)>,
    /// The 50th, 95th and 99th percentile; `None` below as many values as it takes for one beyond it.
    pub quantiles: [Option<f64>; 3],
}

/// What both tracks answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Scores {
    /// Nothing, or only one of them.
    None,
    /// Probabilities or scores, the mean over the rows of a request.
    Histogram(Histogram),
    /// The mean probability of each class, of stable and of the canary, in the order of the model.
    Classes(Vec<(String, [f64; 2])>),
}

/// Shares of the values in bins of equal width.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Whether the values are probabilities.
    pub are_probabilities: bool,
    /// The ends of the axis.
    pub ends: [f64; 2],
    /// The shares of stable and of the canary in each bin. What is beyond the ends is in none.
    pub tracks: [Vec<f64>; 2],
    /// Their means.
    pub means: [Option<f64>; 2],
    /// Their medians.
    pub medians: [Option<f64>; 2],
}

impl Distributions {
    /// The distributions of these samples; `kind` names the classes.
    pub(crate) fn new(samples: &Samples, kind: &OutputKind) -> Distributions {
        let tracks = [&samples.stable, &samples.canary];
        Distributions {
            answered: tracks.map(|track| track.latency.count()),
            latency: Latency::new(tracks.map(|track| &track.latency)),
            scores: Scores::new(tracks, kind),
        }
    }
}

impl Latency {
    fn new(tracks: [&Summary; 2]) -> Option<Latency> {
        let [low, high] = range(tracks)?.map(|end| end.max(SHORTEST_SECONDS));
        let (low, high) = (round_down(low), round_up(high));
        let high = if high > low { high } else { round_up(1.5 * low) };
        let ratio = (high / low).powf(1.0 / (POINTS - 1) as f64);
        let bounds: Vec<f64> = (0..POINTS).map(|place| low * ratio.powi(place as i32)).collect();
        Some(Latency { ends: [low, high], tracks: tracks.map(|track| Curve::new(track, &bounds)) })
    }
}

impl Curve {
    fn new(values: &Summary, bounds: &[f64]) -> Curve {
        let mut counts = vec![0; bounds.len() + 1];
        values.histogram().count_between(bounds, &mut counts);
        let all = values.count().max(1) as f64;
        let mut below = 0;
        let points = bounds.iter().zip(counts).map(|(bound, count)| {
            below += count;
            (*bound, below as f64 / all)
        });
        let points = points.collect();
        let quantile = |(share, least)| values.quantile(share).filter(|_| values.count() >= least);
        Curve { points, quantiles: [(0.50, 2), (0.95, 200), (0.99, 1_000)].map(quantile) }
    }
}

impl Scores {
    fn new(tracks: [&TrackSamples; 2], kind: &OutputKind) -> Scores {
        let [stable, canary] = tracks.map(|track| track.numbers.as_deref());
        let histogram = match kind {
            OutputKind::Probability { .. } => {
                Histogram::of_probabilities(tracks.map(|track| &track.score))
            }
            OutputKind::Score => stable
                .and_then(Numbers::score)
                .zip(canary.and_then(Numbers::score))
                .and_then(|(stable, canary)| Histogram::of_scores([stable, canary])),
            OutputKind::Probabilities { classes } => {
                let of = |numbers: Option<&Numbers>| -> Vec<f64> {
                    let classes = numbers.map_or(&[][..], Numbers::classes).iter();
                    classes.map_while(Summary::mean).collect()
                };
                let (stable, canary) = (of(stable), of(canary));
                let means = stable.into_iter().zip(canary).map(|(one, other)| [one, other]);
                let named: Vec<(String, [f64; 2])> = classes.iter().cloned().zip(means).collect();
                return if named.is_empty() { Scores::None } else { Scores::Classes(named) };
            }
        };
        histogram.map_or(Scores::None, Scores::Histogram)
    }
}

impl Histogram {
    /// Of probabilities, from 0 to 1, or to less where nearly all are near 0.
    fn of_probabilities(tracks: [&Summary; 2]) -> Option<Histogram> {
        let [_, high] = range(tracks)?;
        let to =
            [0.02, 0.05, 0.1, 0.2, 0.5].into_iter().find(|to| high < *to - 1e-3).unwrap_or(1.0);
        Some(Histogram::new(true, (0.0, to / BINS as f64, BINS), tracks))
    }

    /// Of numbers of any size.
    fn of_scores(tracks: [&Summary; 2]) -> Option<Histogram> {
        // Values count as the middle of their bucket.
        let [low, high] = range(tracks)?;
        let (low, high) = (low - BUCKET * low.abs(), high + BUCKET * high.abs());
        let size = if high > low { high - low } else { low.abs().max(1.0) };
        let step = round_up(size / BINS as f64);
        // A bin has its upper bound and not its lower one.
        let from = (low / step).ceil() - 1.0;
        let bins = ((high / step).ceil() - from).clamp(1.0, 2.0 * BINS as f64);
        Some(Histogram::new(false, (from * step, step, bins as usize), tracks))
    }

    fn new(
        are_probabilities: bool,
        (from, step, bins): (f64, f64, usize),
        tracks: [&Summary; 2],
    ) -> Histogram {
        let bounds: Vec<f64> = (0..=bins).map(|place| from + step * place as f64).collect();
        let shares = |values: &Summary| {
            let mut counts = vec![0; bounds.len() + 1];
            values.histogram().count_between(&bounds, &mut counts);
            let all = values.count().max(1) as f64;
            let mut shares: Vec<f64> = counts.iter().map(|count| *count as f64 / all).collect();
            // Beyond the ends.
            shares.pop();
            shares.remove(0);
            shares
        };
        Histogram {
            are_probabilities,
            ends: [from, from + step * bins as f64],
            tracks: tracks.map(shares),
            means: tracks.map(Summary::mean),
            medians: tracks.map(|track| track.quantile(0.5)),
        }
    }
}

/// Where nearly all values of both are; `None` if one has none.
fn range(tracks: [&Summary; 2]) -> Option<[f64; 2]> {
    let [stable, canary] = tracks;
    let low = stable.quantile(OUTSIDE)?.min(canary.quantile(OUTSIDE)?);
    let high = stable.quantile(1.0 - OUTSIDE)?.max(canary.quantile(1.0 - OUTSIDE)?);
    Some([low, high])
}

/// How far the middle of a bucket may be from its values, about.
const BUCKET: f64 = 0.01;

/// The largest of 1, 2 and 5 times a power of ten that is not above this, or hardly.
fn round_down(positive: f64) -> f64 {
    let unit = 10_f64.powf(positive.log10().floor());
    let fits = |times: &f64| times * unit <= positive * (1.0 + BUCKET);
    [5.0, 2.0].into_iter().find(fits).unwrap_or(1.0) * unit
}

/// The smallest of them that is not below this, or hardly.
fn round_up(positive: f64) -> f64 {
    let unit = 10_f64.powf(positive.log10().floor());
    let fits = |times: &f64| times * unit >= positive * (1.0 - BUCKET);
    [1.0, 2.0, 5.0].into_iter().find(fits).unwrap_or(10.0) * unit
}

/// The values from the first of these ends to the last that are 1, 2 or 5 times a power of ten: ticks of a logarithmic
/// axis. At most six: only each third one where there are more, so that they are powers of ten apart.
pub fn ticks([low, high]: [f64; 2]) -> Vec<f64> {
    let mut all = vec![low];
    while let Some(last) = all.last().filter(|last| **last < high * (1.0 - 1e-9)) {
        // At least 100 ticks are 33 powers of ten, more than there are.
        if all.len() > 100 {
            break;
        }
        all.push(round_up(1.5 * last));
    }
    let each = [1, 3, 6, 9].into_iter().find(|each| (all.len() - 1) / each < 6).unwrap_or(12);
    all.into_iter().step_by(each).collect()
}

#[cfg(test)]
#[path = "distributions_tests.rs"]
mod tests;
