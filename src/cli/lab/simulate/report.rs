//! Report of a simulation: as a table, as JSON, and in one sentence.

use serde::Serialize;

use crate::canary::policy::source::Source;
use crate::cli::show;
use crate::cli::show::outln;
use crate::simulation::Moment;
use crate::simulation::Outcome;
use crate::simulation::study;
use crate::simulation::study::Quantiles;
use crate::simulation::study::Study;
use crate::stats::wilson_interval;
use crate::text::numbers::percent;

/// What was simulated, and how it ended.
#[derive(Serialize)]
pub struct Report {
    /// The traffic in words.
    pub traffic: String,
    /// The judge in words.
    pub judging: String,
    /// The accepted probability of a false rollback.
    pub alpha: f64,
    /// How long each hour lasted at most.
    pub duration_seconds: u32,
    /// How many hours, from which seed.
    #[serde(flatten)]
    pub study: Study,
    /// Canaries like stable.
    pub healthy: Run,
    /// Canaries with a regression.
    pub with_regression: Option<Run>,
    /// All of it in a sentence.
    pub conclusion: String,
}

/// The outcomes of one scenario.
#[derive(Serialize)]
pub struct Run {
    /// In the order of their seeds.
    #[serde(skip)]
    pub outcomes: Vec<Outcome>,
    /// The regression in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regression: Option<String>,
    rolled_back: Ended,
    promoted: Ended,
    repeated_welch: Ended,
    alone: Alone,
    /// Regressions that were not rolled back.
    #[serde(skip_serializing_if = "Option::is_none")]
    missed: Option<Rate>,
}

/// How often something happened, and how soon.
#[derive(Serialize)]
struct Ended {
    #[serde(flatten)]
    rate: Rate,
    until: Until,
}

#[derive(Serialize)]
struct Until {
    seconds: Quantiles,
    canary_requests: Quantiles,
}

/// How often each metric alone was found harmful; `None` if the hours ended before that was decided.
#[derive(Serialize)]
struct Alone {
    latency: Option<Rate>,
    failures: Option<Rate>,
    score: Option<Rate>,
}

/// In how many hours something happened.
#[derive(Clone, Copy, Serialize)]
struct Rate {
    hours: usize,
    share: f64,
    /// Wilson's interval: what more hours could have shown.
    interval_95: [f64; 2],
}

impl Report {
    /// Sums up: sets the conclusion.
    #[must_use]
    pub fn concluded(self) -> Report {
        Report { conclusion: self.sentence(), ..self }
    }

    /// Prints the heading, the table and the conclusion, in at most 80 columns.
    pub fn print(&self) {
        for text in self.small_print() {
            outln!("{}", wrapped(&text));
        }
        outln!();
        for line in self.table() {
            outln!("  {line}");
        }
        outln!("\n  In parentheses: 95 % intervals. Alone: that metric with all of alpha.\n");
        outln!("{}", wrapped(&self.conclusion));
    }

    /// The heading.
    pub fn small_print(&self) -> [String; 3] {
        let regression = match self.regression() {
            Some(words) => format!(", and as many {words}"),
            None => String::new(),
        };
        let Study { replications, seed, .. } = self.study;
        let scope = format!("{replications} healthy canaries{regression}; seed {seed}");
        [self.traffic.clone(), self.judging.clone(), scope]
    }

    fn regression(&self) -> Option<&str> {
        self.with_regression.as_ref()?.regression.as_deref()
    }

    fn table(&self) -> Vec<String> {
        let runs: Vec<&Run> = [&self.healthy].into_iter().chain(&self.with_regression).collect();
        let header = ["", "healthy", "regression"].into_iter().take(1 + runs.len());
        let row = |name: &str, cell: &dyn Fn(&Run) -> String| -> Vec<String> {
            [name.to_owned()].into_iter().chain(runs.iter().map(|run| cell(run))).collect()
        };
        let mut rows = vec![
            row("rolled back", &|run| run.rolled_back.rate.text()),
            row("  latency alone", &|run| text(run.alone.latency)),
            row("  failures alone", &|run| text(run.alone.failures)),
            row("  score alone", &|run| text(run.alone.score)),
            row("promoted", &|run| run.promoted.rate.text()),
        ];
        if self.with_regression.is_some() {
            rows.push(row("missed", &|run| text(run.missed)));
        }
        rows.extend([
            row("repeated Welch alarms", &|run| run.repeated_welch.rate.text()),
            row("seconds to rollback", &|run| times(run.rolled_back.until.seconds)),
            row("canary requests to rollback", &|run| times(run.rolled_back.until.canary_requests)),
            row("  to repeated Welch", &|run| times(run.repeated_welch.until.canary_requests)),
            row("seconds to promotion", &|run| times(run.promoted.until.seconds)),
        ]);
        show::aligned(header, rows)
    }

    fn sentence(&self) -> String {
        let Run { rolled_back, promoted, repeated_welch, .. } = &self.healthy;
        let allowed = percent(self.alpha);
        let bound = match rolled_back.rate.interval_95 {
            [low, _] if low > self.alpha => format!("more than the {allowed} % that are allowed"),
            _ => format!("{allowed} % are allowed"),
        };
        let healthy = format!(
            "Of healthy canaries {:.1} % are rolled back ({bound}) and {:.1} % promoted; repeating Welch's test \
             would roll back {:.0} %.",
            rolled_back.rate.percent(),
            promoted.rate.percent(),
            repeated_welch.rate.percent(),
        );
        let Some(run @ Run { rolled_back, promoted, .. }) = &self.with_regression else {
            return healthy;
        };
        let median =
            match (rolled_back.until.seconds.median, rolled_back.until.canary_requests.median) {
                (Some(seconds), Some(requests)) => {
                    format!(", half of them within {seconds} s and {requests} canary requests")
                }
                _ => String::new(),
            };
        format!(
            "Of canaries with this regression ({}) {:.1} % are rolled back{median}; {:.1} % are missed; \
             {:.1} % get the verdict promote first. {healthy}",
            run.regression.as_deref().unwrap_or_default(),
            rolled_back.rate.percent(),
            100.0 - rolled_back.rate.percent(),
            promoted.rate.percent(),
        )
    }
}

impl Run {
    /// The outcomes of healthy canaries, or of canaries with a regression in these sources.
    pub fn new(outcomes: Vec<Outcome>, regression: Option<String>, differing: &[Source]) -> Run {
        let rate = |hours| Rate::new(hours, outcomes.len());
        let ended = |what: fn(&Outcome) -> Option<Moment>| Ended {
            rate: rate(study::count(&outcomes, what)),
            until: Until {
                seconds: study::seconds(&outcomes, what),
                canary_requests: study::canary_requests(&outcomes, what),
            },
        };
        // An hour with a regression ends before the other sources are decided.
        let alone = |source| {
            let is_decided = differing.is_empty() || differing.contains(&source);
            is_decided.then(|| rate(study::count(&outcomes, |outcome| outcome.alone(source))))
        };
        let rolled_back = ended(|outcome| outcome.rollback);
        Run {
            missed: regression.as_ref().map(|_| rate(outcomes.len() - rolled_back.rate.hours)),
            promoted: ended(|outcome| outcome.promotion),
            repeated_welch: ended(|outcome| outcome.welch),
            alone: Alone {
                latency: alone(Source::Latency),
                failures: alone(Source::Failures),
                score: alone(Source::Score),
            },
            rolled_back,
            regression,
            outcomes,
        }
    }
}

impl Rate {
    fn new(hours: usize, of: usize) -> Rate {
        let (low, high) = wilson_interval(hours as u64, of as u64, 0.95).unwrap_or((0.0, 1.0));
        Rate { hours, share: hours as f64 / of as f64, interval_95: [low, high] }
    }

    fn percent(self) -> f64 {
        100.0 * self.share
    }

    fn text(self) -> String {
        let [low, high] = self.interval_95.map(|end| 100.0 * end);
        format!("{:.1} % ({low:.1}-{high:.1})", self.percent())
    }
}

fn text(rate: Option<Rate>) -> String {
    rate.map_or_else(|| "-".to_owned(), Rate::text)
}

/// Median and 95th percentile.
fn times(Quantiles { median, p95 }: Quantiles) -> String {
    match (median, p95) {
        (Some(median), Some(p95)) => format!("{median}, p95 {p95}"),
        (Some(median), None) => format!("{median}, p95 never"),
        (None, _) => "never".to_owned(),
    }
}

/// At most 80 columns, fewer on a narrower terminal.
fn wrapped(text: &str) -> String {
    textwrap::fill(text, textwrap::termwidth().min(80))
}
