//! Distributions: how long both versions took at this step, and what they answered.
//!
//! Places are in percent of the width, and in pixels of the height.

use std::fmt::Write as _;

use askama::Template;

use crate::service::status::overview::Status;
use crate::service::status::report::distributions as view;
use crate::service::status::report::distributions::ticks;
use crate::service::status::report::words::Times;
use crate::text::durations::duration;
use crate::text::numbers::grouped;
use crate::text::numbers::number;
use crate::text::numbers::percent;
use crate::text::numbers::three_digits;

/// The top of a picture and the height of its curves, in pixels.
const TOP: f64 = 8.0;
const HEIGHT: f64 = 152.0;

/// The width of the inner picture, which is stretched to that of the column.
const WIDTH: f64 = 1000.0;

/// Classes that are shown, those with the largest differences.
const CLASSES: usize = 8;

/// How long both versions took, and what they answered.
#[derive(Debug, Default, Template)]
#[template(path = "distributions.html")]
pub(super) struct Distributions {
    /// Of which time; `None` without a canary.
    heading: Option<String>,
    /// Why nothing is drawn.
    empty: Option<String>,
    /// Stable's name, and the canary's.
    names: [String; 2],
    latency: Option<Picture>,
    scores: Option<Picture>,
    /// Class by class instead: the mean probabilities of stable and of the canary.
    classes: Vec<Class>,
    /// Classes that are not shown.
    more_classes: usize,
}

/// A class with the mean probabilities of stable and of the canary.
#[derive(Debug, PartialEq)]
struct Class {
    name: String,
    means: [String; 2],
}

/// A picture with the numbers in it.
#[derive(Debug, PartialEq, Template)]
#[template(path = "picture.html")]
struct Picture {
    /// Stable's name, and the canary's.
    names: [String; 2],
    /// What it says, for those who do not see it.
    says: String,
    /// The paths of stable and of the canary.
    paths: [String; 2],
    /// Points at quantiles of stable and of the canary.
    dots: [Vec<(f64, f64)>; 2],
    /// Horizontal lines, each with its label.
    lines: Vec<(f64, String)>,
    /// Labels below: the place, where the text is anchored, and the text.
    labels: Vec<(f64, &'static str, String)>,
    /// What is drawn.
    caption: String,
    /// Heads of the columns of the numbers.
    heads: Vec<&'static str>,
    /// The numbers of stable and of the canary.
    numbers: [Vec<String>; 2],
}

impl Distributions {
    pub(super) fn new(
        status: &Status,
        found: Option<&view::Distributions>,
        times: &Times,
    ) -> Distributions {
        let (Some(canary), Some(rollout), Some(found)) = (&status.canary, &status.rollout, found)
        else {
            return Distributions::default();
        };
        let names = [status.stable.version.name.clone(), canary.name.clone()];
        let since = times.time(rollout.step_started_at);
        let heading = Some(format!("at this step, since {since}"));
        let least = status.health.as_ref().map_or(0, |health| health.min_samples);
        let is_in_shadow = status.shadow.is_some();
        let empty = why_empty(status.traffic_percent, is_in_shadow, found.answered, least);
        if empty.is_some() {
            return Distributions { heading, empty, names, ..Distributions::default() };
        }
        let mut parts = Distributions {
            heading,
            latency: found.latency.as_ref().map(|it| of_latency(it, &names, found.answered)),
            names,
            ..Distributions::default()
        };
        match &found.scores {
            view::Scores::Histogram(histogram) => {
                parts.scores = Some(of_scores(histogram, &parts.names));
            }
            view::Scores::Classes(means) => parts.show_classes(means),
            view::Scores::None => {}
        }
        parts
    }

    fn show_classes(&mut self, means: &[(String, [f64; 2])]) {
        let difference = |(_, [stable, canary]): &(String, [f64; 2])| (canary - stable).abs();
        let mut order: Vec<&(String, [f64; 2])> = means.iter().collect();
        order.sort_by(|one, other| difference(other).total_cmp(&difference(one)));
        order.truncate(CLASSES);
        self.more_classes = means.len() - order.len();
        let row = |(class, means): &(String, [f64; 2])| Class {
            name: class.clone(),
            means: means.map(|mean| format!("{mean:.3}")),
        };
        self.classes = order.into_iter().map(row).collect();
    }
}

/// Why there is nothing to draw: one version gets no requests, or both have not answered enough.
fn why_empty(percent: f64, is_in_shadow: bool, answered: [u64; 2], least: u64) -> Option<String> {
    let [stable, canary] = answered;
    if stable.min(canary) >= least.max(1) {
        return None;
    }
    Some(match percent {
        0.0 if is_in_shadow => {
            "The canary gets no traffic at this step; its answers in shadow are below.".to_owned()
        }
        0.0 => {
            "The canary gets no traffic at this step, so there is nothing to compare.".to_owned()
        }
        100.0 => "Stable gets no traffic at this step, so there is nothing to compare.".to_owned(),
        _ => format!(
            "Nothing is drawn before each version has answered {least} requests: stable {}, canary {}.",
            grouped(stable),
            grouped(canary)
        ),
    })
}

fn of_latency(found: &view::Latency, names: &[String; 2], answered: [u64; 2]) -> Picture {
    let [low, high] = found.ends;
    let width = (high / low).ln();
    let x = |seconds: f64| ((seconds / low).ln() / width).clamp(0.0, 1.0);
    let y = |share: f64| TOP + HEIGHT * (1.0 - share);
    let shares = [0.50, 0.95, 0.99];
    let tracks = &found.tracks;
    let path = |curve: &view::Curve| {
        path(curve.points.iter().map(|(seconds, share)| (x(*seconds), y(*share))))
    };
    let dots = |curve: &view::Curve| {
        let known = curve.quantiles.iter().zip(shares);
        let known = known.filter_map(|(value, share)| Some(((*value)?, share)));
        known.map(|(value, share)| (round(100.0 * x(value)), round(y(share)))).collect()
    };
    let numbers = [0, 1].map(|track| {
        let count = answered.get(track).copied().unwrap_or_default();
        let quantiles = tracks.get(track).map(|curve| curve.quantiles).unwrap_or_default();
        let in_words = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), duration);
        quantiles.into_iter().map(in_words).chain([grouped(count)]).collect::<Vec<String>>()
    });
    let labels = ticks(found.ends).into_iter().map(|tick| (x(tick), duration_of_tick(tick)));
    Picture {
        names: names.clone(),
        says: says("Latency", names, &numbers, &["p50", "p95", "p99"]),
        paths: [path(&tracks[0]), path(&tracks[1])],
        dots: [dots(&tracks[0]), dots(&tracks[1])],
        lines: [0.0, 0.5, 1.0].map(|share| (y(share), written(share))).to_vec(),
        labels: labels.map(|(x, text)| (round(100.0 * x), anchor(x), text)).collect(),
        caption: "Latency per row: share of the requests answered within it".to_owned(),
        heads: vec!["p50", "p95", "p99", "requests"],
        numbers,
    }
}

fn of_scores(found: &view::Histogram, names: &[String; 2]) -> Picture {
    let largest = found.tracks.iter().flatten().fold(0.0, |a: f64, b| a.max(*b));
    let top = round_top(largest);
    let y = |share: f64| TOP + HEIGHT * (1.0 - share / top);
    let steps = |shares: &Vec<f64>| {
        let width = 1.0 / shares.len().max(1) as f64;
        let both = shares.iter().enumerate().flat_map(|(bin, share)| {
            let left = bin as f64 * width;
            [(left, y(*share)), (left + width, y(*share))]
        });
        path(both)
    };
    let [low, high] = found.ends;
    let values = [0.0, 0.5, 1.0].map(|x| (x, low + x * (high - low)));
    let labels = values.map(|(x, value)| (100.0 * x, anchor(x), number(three_digits(value))));
    let in_words = |value: Option<f64>| match value {
        Some(value) if found.are_probabilities => format!("{value:.3}"),
        Some(value) => number(three_digits(value)),
        None => "–".to_owned(),
    };
    let numbers = [0, 1].map(|track: usize| {
        let of = |values: &[Option<f64>; 2]| in_words(values.get(track).copied().flatten());
        vec![of(&found.means), of(&found.medians)]
    });
    let what = if found.are_probabilities { "Predicted probability" } else { "Predicted score" };
    Picture {
        names: names.clone(),
        says: says(what, names, &numbers, &["mean", "median"]),
        paths: [steps(&found.tracks[0]), steps(&found.tracks[1])],
        dots: Default::default(),
        lines: [0.0, 0.5, 1.0].map(|part| (y(part * top), written(part * top))).to_vec(),
        labels: labels.to_vec(),
        caption: format!("{what}: share of the requests in each of {} bins", found.tracks[0].len()),
        heads: vec!["mean", "median"],
        numbers,
    }
}

/// A picture as a sentence: the numbers of both versions.
fn says(what: &str, names: &[String; 2], numbers: &[Vec<String>; 2], heads: &[&str]) -> String {
    let of = |(name, numbers): (&String, &Vec<String>)| {
        let named = heads.iter().zip(numbers).map(|(head, number)| format!("{head} {number}"));
        format!("{name} {}", named.collect::<Vec<_>>().join(", "))
    };
    format!("{what}: {}", names.iter().zip(numbers).map(of).collect::<Vec<_>>().join("; "))
}

/// A line through points: the place from 0 to 1 of the width, and pixels of the height.
fn path(points: impl Iterator<Item = (f64, f64)>) -> String {
    let mut path = String::new();
    for (x, y) in points {
        let command = if path.is_empty() { 'M' } else { 'L' };
        // Writing into a string does not fail.
        let _ = write!(path, "{command}{} {}", (WIDTH * x).round(), round(y));
    }
    path
}

fn anchor(x: f64) -> &'static str {
    match x {
        x if x <= 0.01 => "start",
        x if x >= 0.99 => "end",
        _ => "middle",
    }
}

/// `50 µs`: a tick without needless digits.
fn duration_of_tick(seconds: f64) -> String {
    let text = duration(seconds);
    match text.split_once(' ') {
        Some((value, unit)) if value.contains('.') => {
            let value = value.trim_end_matches('0').trim_end_matches('.');
            format!("{value} {unit}")
        }
        _ => text,
    }
}

fn written(share: f64) -> String {
    format!("{} %", number(three_digits(percent(share))))
}

/// A round share that is not below this one.
fn round_top(share: f64) -> f64 {
    let tops = [0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8];
    tops.into_iter().find(|top| share <= *top).unwrap_or(1.0)
}

fn round(place: f64) -> f64 {
    (place * 10.0).round() / 10.0
}

#[cfg(test)]
#[path = "distributions_tests.rs"]
mod tests;
