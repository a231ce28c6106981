//! Report of a simulation: as a table, as JSON, and in one sentence.

use serde_json::Value;
use serde_json::json;

use crate::canary::policy::metric::Source;
use crate::cli::show;
use crate::simulation::Moment;
use crate::simulation::Outcome;
use crate::simulation::study;
use crate::simulation::study::Quantiles;
use crate::simulation::study::Study;
use crate::stats::wilson_interval;
use crate::text::numbers::percent;

/// What was simulated, and how it ended.
pub struct Report {
    /// The traffic in words.
    pub traffic: String,
    /// The judge in words.
    pub judging: String,
    /// How many hours, from which seed.
    pub study: Study,
    /// How long each lasted at most.
    pub seconds: u32,
    /// The accepted probability of a false rollback.
    pub alpha: f64,
    /// Canaries no different from stable.
    pub healthy: Run,
    /// Canaries with a regression, and what that is in words.
    pub regression: Option<(String, Run)>,
}

/// The outcomes of one scenario.
pub struct Run {
    /// In the order of their seeds.
    pub outcomes: Vec<Outcome>,
    /// The sources of metrics in which the tracks differ. An hour of harm ends before the others are decided.
    pub differing: Vec<Source>,
}

/// In how many hours something happened.
#[derive(Clone, Copy)]
struct Rate {
    hours: usize,
    of: usize,
}

impl Report {
    /// The heading, the table and the conclusion, as lines that fit 80 columns.
    pub fn print(&self) {
        for text in self.small_print() {
            anstream::println!("{}", wrapped(&text));
        }
        anstream::println!();
        for line in self.table() {
            anstream::println!("  {line}");
        }
        anstream::println!(
            "\n  In brackets: 95 % intervals of what more canaries could have shown.\n"
        );
        anstream::println!("{}", wrapped(&self.conclusion()));
    }

    /// The heading.
    pub fn small_print(&self) -> [String; 3] {
        [self.traffic.clone(), self.judging.clone(), self.scope()]
    }

    fn scope(&self) -> String {
        let regression = match &self.regression {
            Some((words, _)) => format!(", and as many {words}"),
            None => String::new(),
        };
        let Study { replications, seed, .. } = self.study;
        format!("{replications} healthy canaries{regression}; seed {seed}")
    }

    fn runs(&self) -> Vec<&Run> {
        [&self.healthy].into_iter().chain(self.regression.iter().map(|(_, run)| run)).collect()
    }

    fn table(&self) -> Vec<String> {
        let runs = self.runs();
        let header = ["", "healthy", "regression"].into_iter().take(1 + runs.len());
        let row = |name: &str, cell: &dyn Fn(&Run) -> String| -> Vec<String> {
            [name.to_owned()].into_iter().chain(runs.iter().map(|run| cell(run))).collect()
        };
        let mut rows = vec![
            row("rolled back", &|run| run.rate(|outcome| outcome.rollback).text()),
            row("  latency alone", &|run| run.alone(Source::Latency)),
            row("  failures alone", &|run| run.alone(Source::Failures)),
            row("  score alone", &|run| run.alone(Source::Score)),
            row("promoted", &|run| run.rate(|outcome| outcome.promotion).text()),
        ];
        if self.regression.is_some() {
            rows.push(row("missed", &|run| {
                if run.differing.is_empty() { dash() } else { run.missed().text() }
            }));
        }
        rows.extend([
            row("repeated Welch alarms", &|run| run.rate(|outcome| outcome.welch).text()),
            row("seconds to rollback", &|run| times(run.seconds(|outcome| outcome.rollback))),
            row("canary requests to rollback", &|run| {
                times(study::canary_requests(&run.outcomes, |outcome| outcome.rollback))
            }),
            row("  to repeated Welch", &|run| {
                times(study::canary_requests(&run.outcomes, |outcome| outcome.welch))
            }),
            row("seconds to promotion", &|run| times(run.seconds(|outcome| outcome.promotion))),
        ]);
        show::aligned(header, rows)
    }

    /// The conclusion in a sentence.
    pub fn conclusion(&self) -> String {
        let false_rollbacks = self.healthy.rate(|outcome| outcome.rollback);
        let allowed = percent(self.alpha);
        let beyond = match false_rollbacks.interval() {
            (low, _) if low > self.alpha => format!("more than the {allowed} % that are allowed"),
            _ => format!("{allowed} % are allowed"),
        };
        let welch = self.healthy.rate(|outcome| outcome.welch);
        let healthy = format!(
            "Of healthy canaries {:.1} % are taken back ({beyond}) and {:.1} % promoted; Welch's test, \
             repeated, would take back {:.0} %.",
            false_rollbacks.percent(),
            self.healthy.rate(|outcome| outcome.promotion).percent(),
            welch.percent(),
        );
        let Some((words, run)) = &self.regression else { return healthy };
        let found = run.rate(|outcome| outcome.rollback);
        let seconds = run.seconds(|outcome| outcome.rollback).median;
        let requests = study::canary_requests(&run.outcomes, |outcome| outcome.rollback).median;
        let median = match (seconds, requests) {
            (Some(seconds), Some(requests)) => {
                format!(", half of them within {seconds} s and {requests} requests of the canary's")
            }
            _ => String::new(),
        };
        format!(
            "Of canaries with this regression ({words}) {:.1} % are taken back{median}; {:.1} % are missed; \
             {:.1} % get the verdict promote first. {healthy}",
            found.percent(),
            run.missed().percent(),
            run.rate(|outcome| outcome.promotion).percent(),
        )
    }

    /// The report as JSON.
    pub fn json(&self) -> Value {
        let regression = self.regression.as_ref().map(|(words, run)| {
            let mut value = run.json();
            value["regression"] = json!(words);
            value["missed"] = run.missed().json();
            value
        });
        json!({
            "traffic": self.traffic,
            "judging": self.judging,
            "alpha": self.alpha,
            "duration_seconds": self.seconds,
            "replications": self.study.replications,
            "seed": self.study.seed,
            "healthy": self.healthy.json(),
            "with_regression": regression,
            "conclusion": self.conclusion(),
        })
    }
}

impl Run {
    fn rate(&self, what: impl Fn(&Outcome) -> Option<Moment>) -> Rate {
        Rate { hours: study::count(&self.outcomes, what), of: self.outcomes.len() }
    }

    fn missed(&self) -> Rate {
        let found = self.rate(|outcome| outcome.rollback);
        Rate { hours: found.of - found.hours, ..found }
    }

    /// A source's own rate, if the hours went on until it was decided.
    fn alone_rate(&self, source: Source) -> Option<Rate> {
        (self.differing.is_empty() || self.differing.contains(&source))
            .then(|| self.rate(|outcome| outcome.alone(source)))
    }

    fn alone(&self, source: Source) -> String {
        self.alone_rate(source).map_or_else(dash, |rate| rate.text())
    }

    fn seconds(&self, what: impl Fn(&Outcome) -> Option<Moment>) -> Quantiles {
        study::seconds(&self.outcomes, what)
    }

    fn json(&self) -> Value {
        let moments = |what: fn(&Outcome) -> Option<Moment>| {
            let quantiles =
                |Quantiles { median, p95 }: Quantiles| json!({ "median": median, "p95": p95 });
            json!({
                "seconds": quantiles(study::seconds(&self.outcomes, what)),
                "canary_requests": quantiles(study::canary_requests(&self.outcomes, what)),
            })
        };
        let event = |what: fn(&Outcome) -> Option<Moment>| {
            let mut value = self.rate(what).json();
            value["until"] = moments(what);
            value
        };
        let alone = |source| self.alone_rate(source).map(Rate::json);
        json!({
            "rolled_back": event(|outcome| outcome.rollback),
            "promoted": event(|outcome| outcome.promotion),
            "repeated_welch": event(|outcome| outcome.welch),
            "alone": {
                "latency": alone(Source::Latency),
                "failures": alone(Source::Failures),
                "score": alone(Source::Score),
            },
        })
    }
}

impl Rate {
    fn share(self) -> f64 {
        self.hours as f64 / self.of as f64
    }

    fn percent(self) -> f64 {
        100.0 * self.share()
    }

    /// Wilson's, at 95 %: what more hours could have shown.
    fn interval(self) -> (f64, f64) {
        wilson_interval(self.hours as u64, self.of as u64, 0.95).unwrap_or((0.0, 1.0))
    }

    fn text(self) -> String {
        let (low, high) = self.interval();
        format!("{:.1} % ({:.1}-{:.1})", self.percent(), 100.0 * low, 100.0 * high)
    }

    fn json(self) -> Value {
        let (low, high) = self.interval();
        json!({ "hours": self.hours, "share": self.share(), "interval_95": [low, high] })
    }
}

/// Median and 95th percentile.
fn times(Quantiles { median, p95 }: Quantiles) -> String {
    match (median, p95) {
        (Some(median), Some(p95)) => format!("{median}, p95 {p95}"),
        (Some(median), None) => format!("{median}, p95 never"),
        (None, _) => "never".to_owned(),
    }
}

/// Lines that fit 80 columns on any terminal that has them.
fn wrapped(text: &str) -> String {
    textwrap::fill(text, textwrap::termwidth().min(80))
}

fn dash() -> String {
    "-".to_owned()
}
