//! What an opened row of the metrics shows: how the interval has narrowed, the values of both tracks, and the rule that
//! decides.

mod band;

use askama::Template;

use self::band::Band;
use self::band::Names;
use super::metrics::of_state;
use super::metrics::says;
use super::metrics::with_minus;
use crate::canary::Metric;
use crate::canary::judge::sentences;
use crate::canary::judge::sequential::metric_history::MetricHistory;
use crate::canary::judge::verdict::Classification;
use crate::canary::judge::verdict::MetricEvidence;
use crate::canary::policy::source::MonitorKind;
use crate::canary::policy::source::Origin;
use crate::canary::policy::source::Source;
use crate::canary::policy::source::Unit;
use crate::service::status::Status;
use crate::service::status::report::Report;
use crate::service::status::report::axis::Multiples;
use crate::service::status::report::rows::MetricRow;
use crate::service::status::report::rows::MetricState;
use crate::service::status::report::words::Times;
use crate::service::status::tracks::LatencyStatus;
use crate::stats::Harm;
use crate::stats::sequential::Test;
use crate::text::durations::duration;
use crate::text::numbers::grouped;
use crate::text::numbers::number;
use crate::text::numbers::probability;
use crate::text::numbers::share;
use crate::text::numbers::three_digits;
use crate::text::numbers::two_digits;

/// An opened row.
#[derive(Debug, Template)]
#[template(path = "opened.html")]
pub(super) struct Opened {
    metric: String,
    band: Band,
    /// Sentences under the picture.
    captions: Vec<String>,
    /// Since when the facts are counted.
    since: &'static str,
    facts: Vec<Fact>,
    notes: Vec<String>,
    /// Where the documentation explains the rule.
    section: &'static str,
}

#[derive(Debug, PartialEq)]
struct Fact {
    name: String,
    stable: String,
    canary: String,
}

/// All that is known of one metric.
struct Known<'a> {
    metric: &'a Metric,
    evidence: &'a MetricEvidence,
    row: &'a MetricRow,
    history: &'a MetricHistory,
}

impl Opened {
    /// The opened row of the metric of a history; `None` if the report does not show it.
    pub(super) fn new(
        status: &Status,
        report: &Report,
        history: &MetricHistory,
        times: &Times,
    ) -> Option<Opened> {
        let health = status.health.as_ref();
        let (metrics, verdict) = match (&status.rollout, &status.post_promotion) {
            (Some(rollout), _) => (&rollout.metrics, health?.sequential.as_ref()?),
            (None, Some(promotion)) => (&promotion.metrics, promotion.sequential.as_ref()?),
            (None, None) => return None,
        };
        let mut all = metrics.iter().zip(&verdict.metrics);
        let (metric, evidence) = all.find(|(metric, _)| metric.name == history.metric)?;
        let row = report.metrics.iter().find(|row| row.metric == metric.name.as_str())?;
        let known = Known { metric, evidence, row, history };
        let other_rule = known.other_rule();
        let samples = known.samples();
        let numbers =
            row.numbers.as_ref().filter(|_| metric.source.properties().unit == Unit::Seconds);
        let names = Names {
            samples: samples.to_owned(),
            accepted: match &row.pass_margin {
                Some(margin) => format!("passes within {}", amount(margin)),
                None => "accepted".to_owned(),
            },
            harmful: row.harm_margin.as_deref().map(|it| format!("fails beyond {}", amount(it))),
            least: numbers.and_then(Multiples::least),
        };
        let picture = format!("By {samples} of the canary. {}", says(row, of_state(row.state)));
        let has_band = other_rule.is_none();
        let mut notes = vec![known.rule(has_band)];
        let forecasts = health.and_then(|health| health.forecast.as_ref());
        let forecasts = forecasts.iter().flat_map(|it| &it.forecast.metrics);
        let mut forecasts = forecasts.filter(|it| it.metric == metric.name);
        notes.extend(
            forecasts.next().iter().flat_map(|it| sentences::of_metric(metric, it)).map(sentence),
        );
        notes.push(level(verdict.alpha));
        Some(Opened {
            metric: metric.name.to_string(),
            band: Band::new(history, names, picture, times, has_band),
            captions: known.captions(other_rule, times),
            since: "Since the rollout began",
            facts: known.facts(status),
            notes,
            section: known.section(),
        })
    }
}

impl Known<'_> {
    /// What the samples are.
    fn samples(&self) -> &'static str {
        match self.metric.source.properties().origin {
            Origin::Requests => "requests",
            Origin::Recorded => "values",
            Origin::Queried => "observations",
            Origin::Labels => "labels",
            Origin::Shadow => "pairs",
        }
    }

    /// Why no band is drawn: what decides this metric is not the interval of the mean difference.
    fn other_rule(&self) -> Option<String> {
        let Known { metric, evidence, row, .. } = self;
        if matches!(metric.source.properties().monitor, MonitorKind::Quantile(_)) {
            return Some(
                "No band: a quantile has no interval here. What decides is how many requests are slower than stable's \
                 quantile; the line is the difference of the two quantiles."
                    .to_owned(),
            );
        }
        if evidence.by_visits.is_some() {
            return Some(
                "No band: all visits of keys decide, in looks of their own. The line is of first visits only."
                    .to_owned(),
            );
        }
        let is_found = evidence.classification == Classification::Fail;
        if row.state == MetricState::Fail && !is_found {
            return Some(
                "No band: the health check found this harm at one look, which is a rule of its own."
                    .to_owned(),
            );
        }
        let decides = matches!(row.state, MetricState::Fail | MetricState::Pass);
        (decides && evidence.effect.is_some() && evidence.interval.is_none()).then(|| {
            let word = if row.state == MetricState::Fail { "fails" } else { "passes" };
            let basis = match (&row.detail, metric.test) {
                (Some(detail), _) => detail.as_str(),
                (None, Test::Combined) => "by ranks or tails",
                (None, _) => "by its own test",
            };
            format!("No band: it {word} {basis}, which the difference of the means does not show.")
        })
    }

    fn captions(&self, other_rule: Option<String>, times: &Times) -> Vec<String> {
        let Known { evidence, history, .. } = self;
        let samples = self.samples();
        if let Some(other_rule) = other_rule {
            return vec![other_rule];
        }
        if history.moments.is_empty() {
            return vec![format!(
                "Nothing has been compared yet, so there is no interval: it begins once both versions have {samples}."
            )];
        }
        if history.moments.iter().all(|it| it.interval.is_none()) {
            return vec![format!(
                "No interval yet: the {samples} so far do not vary, or are too few to say how much they do."
            )];
        }
        let mut captions = Vec::new();
        match &history.contradicted {
            Some(moment) => captions.push(format!(
                "Model of the data violated: at {} the intervals had nothing in common any more, so the difference has \
                 changed during the rollout, or one of them was wrong by chance. The filled band ends there. The dotted \
                 interval is about the mean difference so far and does not rest on it.",
                times.time(moment.at)
            )),
            None => captions.push(
                "Filled: the differences that no interval so far has ruled out, if the difference stays the same. \
                 Dotted: the interval at that moment."
                    .to_owned(),
            ),
        }
        captions.extend(evidence.span_seconds.map(|_| {
            "The intervals count each request as a draw: where noise of a version lasts they are too narrow, and spans of \
             time decide."
                .to_owned()
        }));
        captions
    }

    /// The tests, and how far they are.
    fn rule(&self, has_band: bool) -> String {
        let Known { metric, evidence, .. } = self;
        let spans = evidence.span_seconds.map_or_else(String::new, |seconds| {
            format!(", with spans of {} s or more as draws", number(two_digits(seconds)))
        });
        let now = |p: Option<f64>| match p {
            Some(p) => format!(" (now {})", probability(p)),
            None => String::new(),
        };
        let follows = if has_band { " The band follows these." } else { "" };
        let suspected = match evidence.is_suspected {
            true => " Single requests show harm, spans of time do not yet; that holds.",
            false => "",
        };
        format!(
            "Decided by {}{spans}: harm at p ≤ {}{}, pass at p ≤ {}{}.{follows}{suspected}",
            bets(metric),
            probability(evidence.harm_threshold),
            now(evidence.harm_p_value),
            probability(evidence.proven_threshold),
            now(evidence.proven_p_value),
        )
    }

    fn section(&self) -> &'static str {
        let properties = self.metric.source.properties();
        match properties.monitor {
            _ if properties.origin == Origin::Labels => "Labels",
            MonitorKind::Values(_) => "The engine for values",
            MonitorKind::Shift => "The engine for scores",
            MonitorKind::Failures => "The engine for rare events",
            MonitorKind::Quantile(_) => "The engine for quantiles",
            MonitorKind::Pairs => "The engine for pairs",
            MonitorKind::Averages => "The engine for averages",
        }
    }

    fn facts(&self, status: &Status) -> Vec<Fact> {
        let Known { metric, evidence, row, .. } = self;
        let counts = &evidence.samples;
        let fact = |name: &str, [stable, canary]: [String; 2]| Fact {
            name: name.to_owned(),
            stable,
            canary,
        };
        let mut facts =
            vec![fact(self.samples(), [grouped(row.stable_samples), grouped(row.canary_samples)])];
        let monitor = metric.source.properties().monitor;
        let events = match monitor {
            MonitorKind::Failures if metric.source == Source::LatencyAbove => Some("slower"),
            MonitorKind::Failures => Some("failed"),
            MonitorKind::Quantile(_) => Some("above stable's quantile"),
            _ => None,
        };
        facts.extend(
            events.map(|name| {
                fact(name, [counts.stable_failures, counts.canary_failures].map(grouped))
            }),
        );
        let value = match monitor {
            MonitorKind::Failures => "share",
            MonitorKind::Quantile(_) => "quantile",
            _ => "mean",
        };
        let values = row.stable.clone().zip(row.canary.clone());
        facts.extend(values.map(|(stable, canary)| fact(value, [stable, canary])));
        let spreads = evidence.stable_spread.zip(evidence.canary_spread);
        facts.extend(spreads.map(|(stable, canary)| {
            fact("standard deviation", [stable, canary].map(|it| number(three_digits(it))))
        }));
        if metric.source == Source::Latency && status.rollout.is_some() {
            let [stable, canary] =
                [&status.tracks.stable, &status.tracks.canary].map(|track| track.latency);
            let of = |it: &LatencyStatus| [it.p50_ms, it.p95_ms, it.p99_ms];
            let written = |ms: Option<f64>| match ms {
                Some(ms) => duration(ms / 1e3),
                None => "–".to_owned(),
            };
            let names = ["p50, this step", "p95, this step", "p99, this step"];
            let values = of(&stable).into_iter().zip(of(&canary));
            facts.extend(
                names.into_iter().zip(values).map(|(name, (a, b))| fact(name, [a, b].map(written))),
            );
        }
        facts
    }
}

/// A margin without its name.
fn amount(margin: &str) -> String {
    with_minus(margin.split_once(' ').map_or(margin, |(_, amount)| amount))
}

/// The bets on a metric, as the subject of a sentence.
fn bets(metric: &Metric) -> &'static str {
    match (metric.source.properties().monitor, metric.test) {
        (MonitorKind::Failures, _) => "bets on which version's requests these are",
        (MonitorKind::Quantile(_), _) => {
            "bets on which version's requests are slower than stable's quantile"
        }
        (MonitorKind::Shift, _) => "bets on mean and spread of the scores",
        (MonitorKind::Pairs, _) => "bets on the differences between two answers to one request",
        (MonitorKind::Averages, _) => "bets on both versions' averages at the same moments",
        (MonitorKind::Values(_), Test::Combined) if metric.harm == Harm::Either => {
            "bets on means, ranks and the whole distribution"
        }
        (MonitorKind::Values(_), Test::Combined) => "bets on means, ranks and tails",
        (MonitorKind::Values(_), Test::Mean) => "bets on means without outliers",
        (MonitorKind::Values(_), Test::Log) => "bets on means of logarithms",
        (MonitorKind::Values(_), Test::Rank) => "bets on ranks",
        (MonitorKind::Values(_), Test::Tail) => "bets on tails",
        (MonitorKind::Values(_), Test::Distribution) => "bets on the whole distribution",
    }
}

/// How often the judge is wrong.
fn level(alpha: f64) -> String {
    let every = (1.0 / alpha).round();
    let rarely = match (every * alpha - 1.0).abs() < 1e-9 {
        true => format!("1 of {}", grouped(every as u64)),
        false => format!("{} of all", share(alpha)),
    };
    format!(
        "However often you look: a harmless canary ever fails any metric in at most {rarely} rollouts, and one that is \
         worse than accepted ever passes this metric in at most {rarely}."
    )
}

/// With a capital letter and a full stop.
fn sentence(text: String) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_is_said_in_words() {
        assert!(level(0.05).contains("at most 1 of 20 rollouts"), "{}", level(0.05));
        assert!(level(0.03).contains("at most 3.0 % of all rollouts"), "{}", level(0.03));
        assert_eq!(sentence("passes in 4 minutes".to_owned()), "Passes in 4 minutes.");
    }
}
