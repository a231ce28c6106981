//! Cost of a judgement, compared with scipy and statsmodels doing the same work.
//!
//! serin judges summaries of 10^8 requests per track. scipy gets arrays of a million values per side, or the
//! same counts, as its column says. Its time is CPU time, serin's is wall time. Without a Python environment
//! the table has no such column and says so. Exit code 1 if a median misses its limit, or if the state grows
//! with the traffic.

use std::process::ExitCode;

use memory::Size;
use peers::Peers;
use program::Fallible;
use program::exit_code;
use program::tell;
use serin::canary::Samples;
use serin::stats::Points;
use serin::stats::Summary;
use timing::Timing;
use timing::digits;
use timing::duration;
use timing::now;
use timing::ratio;
use traffic::FEW_REQUESTS;
use traffic::RAW_VALUES;
use traffic::REQUESTS;
use traffic::Traffic;
use wide::Wide;
use work::Sides;

#[path = "shared/program.rs"]
mod program;

#[path = "judge/traffic.rs"]
mod traffic;

#[path = "judge/work.rs"]
mod work;

#[path = "judge/wide.rs"]
mod wide;

#[path = "judge/timing.rs"]
mod timing;

#[path = "judge/memory.rs"]
mod memory;

#[path = "judge/peers.rs"]
mod peers;

const LOOK_LIMIT_SECONDS: f64 = 1e-3;
const BOOTSTRAP_LIMIT_SECONDS: f64 = 50e-3;

const ROUNDS: usize = 101;
/// Rounds for work that takes tens of milliseconds.
const LONG_ROUNDS: usize = 11;

/// One row of the table.
struct Row {
    work: String,
    serin: Timing,
    limit_seconds: Option<f64>,
    /// The names of the same work in the script; their times are added.
    peers: Vec<&'static str>,
    /// serin's result, where scipy computes it from the same numbers.
    answer: Option<f64>,
}

fn main() -> ExitCode {
    program::arguments().map_or(ExitCode::SUCCESS, |_| exit_code(measure()))
}

/// Whether every limit was kept.
fn measure() -> Fallible<bool> {
    let start = now();
    let traffic = Traffic::record()?;
    tell(&format!(
        "{REQUESTS} requests of each track recorded in {} s\n",
        digits(start.elapsed().as_secs_f64())
    ));
    let sizes = memory::sizes(&traffic)?;
    let samples = traffic.samples();
    let mut rows = looks(&traffic).ok_or("a look could not be timed")?;
    rows.push(wide_look(&traffic)?);
    rows.extend(tests(&samples, &traffic.worse_samples()).ok_or("a test could not be timed")?);
    rows.extend(of_raw_values(&traffic).ok_or("the bootstrap could not be timed")?);
    let peers = peers::Peers::ask(&traffic, &samples)?;
    tell_times(&rows, &peers)?;
    tell_sizes(&sizes);
    let is_quick = rows.iter().filter(|row| row.misses_its_limit()).map(tell_missed).count() == 0;
    let is_constant = sizes.iter().all(Size::is_constant);
    if !is_constant {
        tell("\nmissed: the state grows with the traffic");
    }
    tell(&format!("\nall of it took {} s", digits(start.elapsed().as_secs_f64())));
    Ok(is_quick && is_constant)
}

/// The computation of one look.
fn looks(traffic: &Traffic) -> Option<Vec<Row>> {
    let snapshots = traffic.ticks(ROUNDS + 1);
    let samples = snapshots.first()?;
    let fresh = work::monitors(samples);
    // Each round adds the next tick to the same monitors.
    let ticks = || snapshots.iter().zip(snapshots.iter().skip(1));
    let (mut monitors, mut pairs) = (fresh.clone(), ticks());
    let tick = Timing::measure(ROUNDS, || {
        let (earlier, now) = pairs.next()?;
        Some(work::tick(&mut monitors, earlier, now))
    })?;
    let (mut monitors, mut pairs) = (fresh, ticks());
    let both = Timing::measure(ROUNDS, || {
        let (earlier, now) = pairs.next()?;
        Some((work::health_check(now), work::tick(&mut monitors, earlier, now)))
    })?;
    let check = Timing::measure(ROUNDS, || work::health_check(samples))?;
    let check_of_arrays = vec!["welch", "fisher_greater"];
    let p_value = work::health_check(samples).evidence.latency.map(|latency| latency.p_value);
    Some(vec![
        Row::new("one look: health check and sequential tick", both).within(LOOK_LIMIT_SECONDS),
        Row::new("its health check: Welch, Fisher, verdict", check).compared_with(check_of_arrays),
        Row::new("the same; scipy from moments", check)
            .compared_with(vec!["health_check"])
            .answering(p_value),
        Row::new("its tick of 100 requests, and the conclusion", tick),
    ])
}

/// The sequential judge with ten metrics and fifty segments.
fn wide_look(traffic: &Traffic) -> Fallible<Row> {
    let mut wide = Wide::new(&traffic.ticks(2 * ROUNDS))?;
    // Segments exist from their first request on.
    (0..ROUNDS / 2).for_each(|_| drop(wide.tick()));
    let tick = Timing::measure(ROUNDS, || wide.tick()).ok_or("a wide look could not be timed")?;
    Ok(Row::new("its tick with 10 metrics and 50 segments", tick).within(LOOK_LIMIT_SECONDS))
}

/// The fixed-sample tests, together and one by one.
fn tests(samples: &Samples, worse: &Samples) -> Option<Vec<Row>> {
    let all_of = |samples: &Samples| {
        Timing::measure(ROUNDS, || {
            let sides = Sides::of(samples);
            work::TESTS.iter().map(|(_, _, test)| test(&sides)).collect::<Vec<_>>()
        })
    };
    let names = work::TESTS.iter().map(|(_, name, _)| *name).collect();
    let points = Timing::measure(ROUNDS, || Sides::of(samples))?;
    let mut rows = vec![
        Row::new("every fixed-sample test, once", all_of(samples)?)
            .within(LOOK_LIMIT_SECONDS)
            .compared_with(names),
        Row::new("the same, the canary 5 % worse", all_of(worse)?).within(LOOK_LIMIT_SECONDS),
        Row::new("buckets to points: latency, score, both tracks", points),
    ];
    let sides = Sides::of(samples);
    for (work, name, test) in work::TESTS {
        let row = Row::new(work, Timing::measure(ROUNDS, || test(&sides))?);
        rows.push(row.compared_with(vec![name]).answering(test(&sides)));
    }
    Some(rows)
}

/// serin on raw arrays, as scipy gets them.
fn of_raw_values(traffic: &Traffic) -> Option<Vec<Row>> {
    let arrays = [&traffic.canary.latency, &traffic.stable.latency];
    let points = || arrays.map(|values| Points::from_samples(values));
    let sort = Timing::measure(LONG_ROUNDS, points)?;
    let rank = Timing::measure(LONG_ROUNDS, || work::rank_p(&points()))?;
    let distance = Timing::measure(LONG_ROUNDS, || work::distance_p(&points()))?;
    let raw = points();
    let buckets = arrays.map(|values| {
        let mut summary = Summary::new(traffic.canary.samples.latency.histogram().layout());
        values.iter().for_each(|value| summary.record(*value));
        summary.points()
    });
    let (of_rank, of_distance) = (work::rank_p(&raw), work::distance_p(&raw));
    let mut rows = vec![
        Row::new("arrays: sort, count equal values", sort).compared_with(vec!["sort"]),
        Row::new("arrays: sort, Mann-Whitney", rank)
            .compared_with(vec!["mann_whitney"])
            .answering(of_rank),
        Row::new("arrays: sort, Kolmogorov-Smirnov", distance)
            .compared_with(vec!["kolmogorov_smirnov"])
            .answering(of_distance),
    ];
    for (from, points) in [("sorted values", &raw), ("buckets", &buckets)] {
        let mean = Timing::measure(LONG_ROUNDS, || work::bootstrap_mean(points))?;
        let p99 = Timing::measure(LONG_ROUNDS, || work::bootstrap_p99(points))?;
        for (what, timing, name) in
            [("mean", mean, "bootstrap_mean"), ("p99", p99, "bootstrap_p99")]
        {
            let row = Row::new(&format!("bootstrap of {what}, from {from}"), timing);
            rows.push(row.within(BOOTSTRAP_LIMIT_SECONDS).compared_with(vec![name]));
        }
    }
    Some(rows)
}

impl Row {
    fn new(work: &str, serin: Timing) -> Row {
        Row { work: work.to_owned(), serin, limit_seconds: None, peers: Vec::new(), answer: None }
    }

    fn within(self, limit_seconds: f64) -> Row {
        Row { limit_seconds: Some(limit_seconds), ..self }
    }

    fn compared_with(self, peers: Vec<&'static str>) -> Row {
        Row { peers, ..self }
    }

    fn answering(self, answer: Option<f64>) -> Row {
        Row { answer, ..self }
    }

    fn misses_its_limit(&self) -> bool {
        self.limit_seconds.is_some_and(|limit| self.serin.median >= limit)
    }
}

fn tell_missed(row: &Row) {
    let limit = row.limit_seconds.unwrap_or(f64::INFINITY) * 1e3;
    tell(&format!("\nmissed: {}: {}, limit {limit} ms", row.work, row.serin));
}

fn tell_times(rows: &[Row], peers: &Result<Peers, String>) -> Fallible<()> {
    match peers {
        Ok(peers) => tell(&format!("compared with {}\n", peers.versions)),
        Err(why) => tell(&format!("SKIPPED: scipy's side, because {why}\n")),
    }
    tell("| work | serin | scipy | ratio |\n|---|---|---|---|");
    for row in rows {
        let (scipy, ratio) = match peers {
            Err(_) if row.peers.is_empty() => ("-".to_owned(), "-".to_owned()),
            Err(_) => ("skipped".to_owned(), "-".to_owned()),
            Ok(peers) => comparison(row, peers)?,
        };
        let limit =
            row.limit_seconds.map_or(String::new(), |limit| format!("; limit {} ms", limit * 1e3));
        tell(&format!("| {} | {}{limit} | {scipy} | {ratio} |", row.work, row.serin));
    }
    Ok(())
}

/// scipy's cell and the ratio of the medians.
fn comparison(row: &Row, peers: &Peers) -> Fallible<(String, String)> {
    let mut found = Vec::new();
    for name in &row.peers {
        found.push(peers.of(name, row.answer)?.ok_or_else(|| format!("the script lacks {name}"))?);
    }
    let seconds: f64 = found.iter().map(|peer| peer.timing.median).sum();
    let ratio = ratio(seconds, row.serin.median);
    let mut sources: Vec<&str> = found.iter().map(|peer| peer.source.as_str()).collect();
    sources.dedup();
    let sources = sources.join(" and ");
    Ok(match found.as_slice() {
        [] => ("-".to_owned(), "-".to_owned()),
        [only] => (format!("{}; {sources}", only.timing), ratio),
        several => (format!("{}, sum of {}; {sources}", duration(seconds), several.len()), ratio),
    })
}

fn tell_sizes(sizes: &[Size]) {
    tell(&format!(
        "\n| kept | memory after {FEW_REQUESTS} requests | after {REQUESTS} | JSON after \
         {FEW_REQUESTS} | after {REQUESTS} | at most |\n|---|---|---|---|---|---|"
    ));
    for size in sizes {
        let memory =
            size.memory.map_or(["not measured".to_owned(), "not measured".to_owned()], |both| {
                both.map(kilobytes)
            });
        let json = size.json.map(|bytes| kilobytes(bytes as f64));
        let [few, many] = memory;
        let bound = kilobytes(size.json_bound as f64);
        tell(&format!("| {} | {few} | {many} | {} | {} | {bound} |", size.what, json[0], json[1]));
    }
    let array = 8.0 * RAW_VALUES as f64;
    tell(&format!("| an array of {RAW_VALUES} values | {} | grows | | | |", kilobytes(array)));
}

fn kilobytes(bytes: f64) -> String {
    format!("{:.1} kB", bytes / 1000.0)
}
