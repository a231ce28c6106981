//! Size of the state per track and metric, and whether it grows with the traffic.

use std::fs;
use std::hint::black_box;

use serde::Serialize;
use serde_json::Value;
use serin::canary::observed::samples::TrackSamples;
use serin::stats::Harm;
use serin::stats::Layout;
use serin::stats::Margin;
use serin::stats::Points;
use serin::stats::Summary;
use serin::stats::sequential::FailureMargins;
use serin::stats::sequential::FailureMonitor;
use serin::stats::sequential::Monitor;
use serin::stats::sequential::Test;
use serin::stats::sequential::TrackCounts;

use super::Fallible;
use super::traffic::FEW_REQUESTS;
use super::traffic::REQUESTS;
use super::traffic::Recorded;
use super::traffic::Traffic;

/// Bytes of JSON to allocate for a measurement, so that its resolution is far below a percent.
const MADE_BYTES: usize = 16 << 20;

/// Tolerance for the system's accounting in pages.
const SLACK: f64 = 1.02;

/// The longest text of a count and of a 64-bit number.
const COUNT_DIGITS: usize = 20;
const NUMBER_DIGITS: usize = 24;

/// The size of one item after few and after many requests.
pub struct Size {
    pub what: &'static str,
    /// In memory; `None` where the system does not report it.
    pub memory: Option<[f64; 2]>,
    pub json: [usize; 2],
    /// Upper bound of the JSON for any traffic.
    pub json_bound: usize,
}

impl Size {
    /// Whether memory did not grow and the JSON stayed within its bound.
    pub fn is_constant(&self) -> bool {
        self.memory.is_none_or(|[few, many]| many <= SLACK * few)
            && self.json.iter().all(|bytes| *bytes <= self.json_bound)
    }

    fn of<T: Clone + Serialize>(
        what: &'static str,
        kept: [&T; 2],
        buckets: usize,
    ) -> Fallible<Size> {
        let [few, many] = kept;
        let text = [serde_json::to_string(few)?, serde_json::to_string(many)?];
        let memory = resident_of_one(few, text[0].len()).zip(resident_of_one(many, text[1].len()));
        Ok(Size {
            what,
            memory: memory.map(|(few, many)| [few, many]),
            json: [text[0].len(), text[1].len()],
            json_bound: longest(&serde_json::to_value(few)?, buckets),
        })
    }
}

/// The whole state, by metric.
pub fn sizes(traffic: &Traffic) -> Fallible<Vec<Size>> {
    let (few, many) = (&traffic.stable.few, &traffic.stable.samples);
    let (seconds, unit) = (Layout::Seconds, Layout::UnitInterval);
    let arrays = |values: fn(&Recorded) -> &[f64]| [&traffic.canary, &traffic.stable].map(values);
    let latency = Monitor::new(seconds, Harm::Higher, Test::Combined, Margin::default(), ACCEPTED);
    let latency = watched(latency, seconds, arrays(|track| &track.latency));
    let score = Monitor::new(unit, Harm::Either, Test::Combined, Margin::default(), ACCEPTED);
    let score = watched(score, unit, arrays(|track| &track.score));
    let failures = watched_failures(traffic);
    Ok(vec![
        Size::of("Summary of latency, a track", [&few.latency, &many.latency], seconds.buckets())?,
        Size::of("Summary of score, a track", [&few.score, &many.score], unit.buckets())?,
        Size::of("Monitor of latency", latency.each_ref(), seconds.buckets())?,
        Size::of("Monitor of score", score.each_ref(), unit.buckets())?,
        Size::of("FailureMonitor", failures.each_ref(), 0)?,
    ])
}

/// Settings that do not affect the size of a monitor.
const ACCEPTED: Margin = Margin { relative: 0.1, absolute: 0.0 };

/// The monitor after few requests per track and after many: first in small ticks, so that its reference is set,
/// then the same million again and again, in ticks that double in size.
fn watched(mut monitor: Monitor, layout: Layout, tracks: [&[f64]; 2]) -> [Monitor; 2] {
    let points = |values: &[f64]| -> Points {
        let mut summary = Summary::new(layout);
        values.iter().for_each(|value| summary.record(*value));
        summary.points()
    };
    let ticks = |length: usize| {
        let [canary, stable] = tracks.map(|values| values.chunks(length).map(points));
        canary.zip(stable)
    };
    let few = FEW_REQUESTS as usize;
    for (canary, stable) in ticks(few / SMALL_TICKS).take(SMALL_TICKS) {
        monitor.tick(EVEN, canary.as_slice(), stable.as_slice());
    }
    let after_few = monitor.clone();
    let large: Vec<(Points, Points)> = ticks(few).collect();
    for (canary, stable) in large.iter().cycle().take((REQUESTS / FEW_REQUESTS) as usize) {
        monitor.tick(EVEN, canary.as_slice(), stable.as_slice());
    }
    [after_few, monitor]
}

const SMALL_TICKS: usize = 100;

/// Both tracks have the same number of requests here.
const EVEN: f64 = 0.5;

fn watched_failures(traffic: &Traffic) -> [FailureMonitor; 2] {
    let counts = |samples: &TrackSamples| TrackCounts {
        requests: samples.requests,
        failures: samples.failures.total(),
    };
    let (canary, stable) = (counts(&traffic.canary.few), counts(&traffic.stable.few));
    let mut monitor = FailureMonitor::new(FailureMargins::default());
    monitor.tick(EVEN, canary, stable);
    let after_few = monitor;
    (1..REQUESTS / FEW_REQUESTS).for_each(|_| monitor.tick(EVEN, canary, stable));
    [after_few, monitor]
}

/// Bytes of memory per item, measured by allocating many and asking the system.
///
/// They are never freed, and as many are allocated before, so that the allocator has no free memory that the
/// system already counts.
fn resident_of_one<T: Clone>(kept: &T, json_bytes: usize) -> Option<f64> {
    let copies = MADE_BYTES / json_bytes;
    black_box(vec![kept.clone(); copies].leak());
    let before = resident_bytes()?;
    black_box(vec![kept.clone(); copies].leak());
    Some((resident_bytes()? - before) / copies as f64)
}

/// Linux reports it in pages.
fn resident_bytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/smaps_rollup").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Rss:"))?;
    let kilobytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024.0)
}

/// The length of this JSON with every number at its longest and every bucket occupied.
fn longest(json: &Value, buckets: usize) -> usize {
    match json {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => NUMBER_DIGITS,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => {
            2 + items.iter().map(|item| longest(item, buckets) + 1).sum::<usize>()
        }
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, field)| {
                let length = match name.as_str() {
                    // Each is `[index,count],`.
                    "buckets" => 2 + buckets * (buckets.to_string().len() + COUNT_DIGITS + 4),
                    _ => longest(field, buckets),
                };
                name.len() + 4 + length
            });
            2 + fields.sum::<usize>()
        }
    }
}
