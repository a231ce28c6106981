//! What came of the requests: counts and latencies, as a line each second and as the summary at the end.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;

use crate::cli::remote::predicted::Predicted;
use crate::cli::remote::reports::Results;
use crate::stats::Histogram;
use crate::stats::Layout;
use crate::text::durations::duration;
use crate::text::lists::list;
use crate::text::numbers::count;
use crate::text::numbers::grouped;

/// The most requests under way at once.
pub(super) const MOST: usize = 64;

/// What came of the requests so far.
pub(super) struct Tally(Mutex<State>);

struct State {
    counts: Counts,
    labels: LabelCounts,
    latency: Histogram,
    /// The same of the second that is under way.
    second: Second,
    /// Whether the server answered nothing at the last try.
    is_away: bool,
    /// Whether another version is stable than rows are made for.
    other_version: bool,
}

struct Second {
    answered: u64,
    by_canary: u64,
    /// Because too many were under way.
    left_out: u64,
    latency: Histogram,
}

#[derive(Clone, Default, Serialize)]
struct Counts {
    /// Requests that were sent.
    sent: u64,
    by_stable: u64,
    by_canary: u64,
    /// Of those by stable: in the canary's place.
    fallbacks: u64,
    /// Requests that were not answered with a prediction, by code, and the first message of each.
    errors: BTreeMap<String, (u64, String)>,
    /// Because too many requests were under way.
    left_out_busy: u64,
    /// Because the server did not answer.
    left_out_away: u64,
}

#[derive(Clone, Default, Serialize)]
struct LabelCounts {
    recorded: u64,
    not_counted: u64,
    refused: u64,
    /// When the command ended.
    not_sent: u64,
    /// Why some were not counted or refused.
    reason: Option<String>,
}

/// What came of all requests.
#[derive(Serialize)]
pub(super) struct Summary {
    seconds: f64,
    #[serde(flatten)]
    counts: Counts,
    p50_seconds: Option<f64>,
    p99_seconds: Option<f64>,
    labels: LabelCounts,
}

impl Default for Tally {
    fn default() -> Tally {
        Tally(Mutex::new(State {
            counts: Counts::default(),
            labels: LabelCounts::default(),
            latency: Histogram::new(Layout::Seconds),
            second: Second::new(),
            is_away: false,
            other_version: false,
        }))
    }
}

impl Second {
    fn new() -> Second {
        let latency = Histogram::new(Layout::Seconds);
        Second { answered: 0, by_canary: 0, left_out: 0, latency }
    }
}

impl Tally {
    /// A request is sent.
    pub(super) fn sent(&self) {
        self.0.lock().counts.sent += 1;
    }

    /// A request was not sent: the server is away, or else too many are under way.
    pub(super) fn left_out(&self, is_away: bool) {
        let mut state = self.0.lock();
        match is_away {
            true => state.counts.left_out_away += 1,
            false => {
                state.counts.left_out_busy += 1;
                state.second.left_out += 1;
            }
        }
    }

    /// A prediction for a row that was made for this stable version.
    pub(super) fn answered(&self, predicted: &Predicted, took: Duration, made_for: &str) {
        let mut state = self.0.lock();
        let is_by_canary = predicted.is_by_canary();
        state.is_away = false;
        state.other_version |= !is_by_canary && predicted.model_version != made_for;
        match is_by_canary {
            true => state.counts.by_canary += 1,
            false => state.counts.by_stable += 1,
        }
        state.counts.fallbacks += u64::from(predicted.fallback);
        state.latency.record(took.as_secs_f64());
        state.second.answered += 1;
        state.second.by_canary += u64::from(is_by_canary);
        state.second.latency.record(took.as_secs_f64());
    }

    /// Something else than a prediction; whether there was no answer at all.
    pub(super) fn failed(&self, is_away: bool, code: &str, message: impl FnOnce() -> String) {
        let mut state = self.0.lock();
        state.is_away = is_away;
        // The row may be one for a version that is gone.
        state.other_version |= code == "invalid_features";
        state.counts.errors.entry(code.to_owned()).or_insert_with(|| (0, message())).0 += 1;
    }

    pub(super) fn labels_recorded(&self, results: &Results) {
        let mut state = self.0.lock();
        state.labels.recorded += results.recorded;
        state.labels.not_counted += results.not_counted;
        state.labels.refused += results.refused.len() as u64;
        let detail = results.refused.first().map(|refused| &refused.detail);
        let reason = detail.or(results.reason.as_ref());
        if let Some(reason) = reason.filter(|_| state.labels.reason.is_none()) {
            state.labels.reason = Some(reason.clone());
        }
    }

    pub(super) fn labels_refused(&self, labels: u64, reason: &str) {
        let mut state = self.0.lock();
        state.labels.refused += labels;
        state.labels.reason.get_or_insert_with(|| reason.to_owned());
    }

    pub(super) fn labels_left(&self, labels: u64) {
        self.0.lock().labels.not_sent = labels;
    }

    /// Whether the server answered nothing at the last try.
    pub(super) fn is_away(&self) -> bool {
        self.0.lock().is_away
    }

    pub(super) fn away_in_words(&self, url: &str) -> String {
        match self.is_away() {
            true => format!("no answer from {url}; trying again every second"),
            false => format!("{url} answers again"),
        }
    }

    /// Whether another version is stable than rows are made for; said once.
    pub(super) fn takes_other_version(&self) -> bool {
        std::mem::take(&mut self.0.lock().other_version)
    }

    /// The last second on a line, and begins the next one.
    pub(super) fn line(&self, since_start: Duration) -> String {
        let mut state = self.0.lock();
        let second = std::mem::replace(&mut state.second, Second::new());
        let State { counts, labels, .. } = &*state;
        let errors = counts.failed();
        let mut line = format!(
            "{:>5} s {:>8} answers {:>5}/s {:>4} canary {errors:>3} errors ",
            since_start.as_secs(),
            grouped(counts.answered()),
            grouped(second.answered),
            grouped(second.by_canary),
        );
        for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
            if let Some(value) = second.latency.quantile(share) {
                line += &format!(" {name} {}", duration(value));
            }
        }
        if labels.recorded > 0 {
            line += &format!("  {}", count(labels.recorded, "label"));
        }
        if second.left_out > 0 {
            line += &format!(
                "  the server does not keep up: {} not sent",
                count(second.left_out, "request")
            );
        }
        line
    }

    /// What came of all requests in this time, and how many were answered.
    pub(super) fn summary(&self, took: Duration) -> (Summary, u64) {
        let state = self.0.lock();
        let summary = Summary {
            seconds: (took.as_secs_f64() * 1e3).round() / 1e3,
            counts: state.counts.clone(),
            p50_seconds: state.latency.quantile(0.5),
            p99_seconds: state.latency.quantile(0.99),
            labels: state.labels.clone(),
        };
        let answered = summary.counts.answered();
        (summary, answered)
    }
}

impl Counts {
    fn answered(&self) -> u64 {
        self.by_stable + self.by_canary
    }

    fn failed(&self) -> u64 {
        self.errors.values().map(|(times, _)| times).sum()
    }
}

impl Summary {
    pub(super) fn in_words(&self) -> String {
        let Summary { seconds, counts, p50_seconds, p99_seconds, labels } = self;
        let answered = counts.answered();
        let mut lines = vec![format!(
            "{} sent in {seconds:.1} s ({:.1} per second): {} answered by stable, {} by the canary, {}.",
            count(counts.sent, "request"),
            counts.sent as f64 / seconds.max(0.001),
            grouped(counts.by_stable),
            grouped(counts.by_canary),
            count(counts.failed(), "error"),
        )];
        if let (Some(p50), Some(p99)) = (p50_seconds, p99_seconds) {
            lines.push(format!("Latency: p50 {}, p99 {}.", duration(*p50), duration(*p99)));
        }
        if answered == 0 && counts.failed() == 0 {
            lines.push("Nothing was sent.".to_owned());
        }
        if counts.fallbacks > 0 {
            let times = grouped(counts.fallbacks);
            lines.push(format!("Stable answered {times} of them in the canary's place."));
        }
        if counts.left_out_busy > 0 {
            let left_out = count(counts.left_out_busy, "request");
            lines.push(format!(
                "The server did not keep up: {left_out} not sent, because {MOST} were under way."
            ));
        }
        if counts.left_out_away > 0 {
            let left_out = count(counts.left_out_away, "request");
            lines.push(format!("{left_out} not sent while the server did not answer."));
        }
        lines.extend(labels.in_words());
        let error = |(code, (times, message)): (&String, &(u64, String))| {
            format!("{code}, {}: {message}", count(*times, "time"))
        };
        lines.extend(counts.errors.iter().map(error));
        lines.join("\n")
    }
}

impl LabelCounts {
    fn in_words(&self) -> Option<String> {
        let LabelCounts { recorded, not_counted, refused, not_sent, reason } = self;
        let parts = [
            (*recorded, "recorded"),
            (*not_counted, "not counted"),
            (*refused, "refused"),
            (*not_sent, "not sent before the end"),
        ];
        let part = |(number, what): &(u64, &str)| format!("{} {what}", grouped(*number));
        let parts: Vec<String> = parts.iter().filter(|(number, _)| *number > 0).map(part).collect();
        let reason = reason.as_ref().map_or_else(String::new, |reason| format!(" ({reason})"));
        (!parts.is_empty()).then(|| format!("Labels: {}{reason}.", list(&parts)))
    }
}
