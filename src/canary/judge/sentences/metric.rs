//! Renders the evidence of one metric.

use crate::canary::judge::verdict::Classification;
use crate::canary::judge::verdict::MetricEvidence;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::metric::Source;
use crate::stats::Harm;
use crate::stats::Margin;
use crate::text::durations::duration;
use crate::text::numbers::number;
use crate::text::numbers::probability;
use crate::text::numbers::signed;

/// The effect and the conclusion: `latency: +48.6 % against stable (+7.29 ms, interval +37.9 to +59.2 %);
/// fails, tolerated 5 % + 100 µs above`.
pub fn metric(metric: &Metric, evidence: &MetricEvidence) -> String {
    let Allowed { tolerated, accepted, direction } = allowed(metric, evidence.stable_spread);
    let observed = observed(metric, evidence);
    let conclusion = match evidence.classification {
        Classification::Pass => format!("passes, accepted {accepted}{direction}"),
        Classification::Fail => format!("fails, tolerated {tolerated}{direction}"),
        Classification::Inconclusive => {
            format!("inconclusive, tolerated {tolerated}, accepted {accepted}{direction}")
        }
        Classification::Insufficient => {
            format!("waiting for data, needs {} of each", metric.min_samples)
        }
    };
    format!("{}: {observed}; {conclusion}", metric.name)
}

/// The same with sample counts and p-values.
pub fn metric_in_detail(of: &Metric, evidence: &MetricEvidence) -> String {
    let counts = &evidence.samples;
    format!(
        "{}; samples: canary {}, stable {}; harm p-value {} (fails below {}), non-inferiority p-value {} \
         (passes below {})",
        metric(of, evidence),
        counts.canary,
        counts.stable,
        probability(evidence.harm_p_value),
        number(evidence.harm_threshold),
        probability(evidence.proven_p_value),
        number(evidence.proven_threshold),
    )
}

/// The effect with its interval, as a ratio to stable where there is one.
pub(crate) fn observed(metric: &Metric, evidence: &MetricEvidence) -> String {
    let counts = &evidence.samples;
    if let Some(said) = in_shadow(metric, evidence) {
        return said;
    }
    if metric.source == Source::Failures {
        // The interval is that of a sum, which does not respect the bounds of a rate.
        let points = |share: f64| signed(100.0 * share.clamp(-1.0, 1.0));
        let difference = match (evidence.effect, evidence.interval) {
            (Some(effect), Some([low, high])) => format!(
                ", {} points (interval {} to {})",
                points(effect),
                points(low),
                points(high)
            ),
            _ => String::new(),
        };
        return format!(
            "canary {} of {}, stable {} of {}{difference}",
            counts.canary_failures, counts.canary, counts.stable_failures, counts.stable,
        );
    }
    let Some(effect) = evidence.effect else {
        return format!("canary {}, stable {} samples", counts.canary, counts.stable);
    };
    // Constant values have no interval; their difference is exact.
    let [low, high] = evidence.interval.unwrap_or([effect, effect]);
    let positive = evidence.stable_mean.filter(|mean| *mean > 0.0);
    // Beyond tenfold a percentage is harder to read than the difference.
    let readable = |mean: &f64| (effect / mean).abs() < 10.0;
    if let Some(mean) = positive.filter(|_| metric.source != Source::Score).filter(readable) {
        let percent = |x: f64| signed(100.0 * x / mean);
        return format!(
            "{} % against stable ({}, interval {} to {} %)",
            percent(effect),
            in_unit(metric.source, effect),
            percent(low),
            percent(high),
        );
    }
    format!(
        "{} against stable (interval {} to {})",
        in_unit(metric.source, effect),
        in_unit(metric.source, low),
        in_unit(metric.source, high),
    )
}

/// The mean of the paired differences in shadow; `None` for metrics that compare two means.
fn in_shadow(metric: &Metric, evidence: &MetricEvidence) -> Option<String> {
    let (pairs, counts) = (evidence.samples.canary, &evidence.samples);
    let points = |share: f64| number((1e4 * share.clamp(0.0, 1.0)).round() / 100.0);
    let (mean, [low, high]) = match (evidence.effect, evidence.interval) {
        (Some(effect), Some(interval)) => (effect, interval),
        (Some(effect), None) => (effect, [effect; 2]),
        (None, _) if metric.source.is_shadow() => return Some(format!("{pairs} pairs in shadow")),
        (None, _) => return None,
    };
    match metric.source {
        Source::ShadowScore => Some(format!(
            "the same request scores {mean:+.4} against stable (interval {low:+.4} to {high:+.4}), {pairs} \
             pairs in shadow"
        )),
        Source::ShadowFlips => Some(format!(
            "{} % of labels differ (interval {} to {} %), {pairs} pairs in shadow",
            points(mean),
            points(low),
            points(high),
        )),
        Source::ShadowFailures => Some(format!(
            "the canary failed {} of {pairs} requests in shadow (interval {} to {} %)",
            counts.canary_failures,
            points(low),
            points(high),
        )),
        Source::Latency
        | Source::Failures
        | Source::Score
        | Source::Recorded
        | Source::LogLoss
        | Source::Brier
        | Source::ShadowLatency => None,
    }
}

/// A margin in standard deviations of stable's scores, and its present value.
fn in_spreads(margin: Margin, spread: Option<f64>) -> String {
    if margin.relative == 0.0 {
        return number(margin.absolute);
    }
    let now = match spread {
        Some(spread) => format!("{:.4}", margin.absolute + margin.relative * spread),
        None => "unknown".to_owned(),
    };
    let fixed = match margin.absolute {
        0.0 => String::new(),
        absolute => format!(" + {}", number(absolute)),
    };
    format!("{} sd of stable's scores{fixed} (now {now})", number(margin.relative))
}

/// The margins of a metric.
struct Allowed {
    tolerated: String,
    accepted: String,
    /// ` above`, ` below`, ` to either side`, or nothing where it is clear.
    direction: &'static str,
}

fn allowed(metric: &Metric, spread: Option<f64>) -> Allowed {
    let percent = |margin: Margin| format!("{} %", number(100.0 * margin.absolute));
    let direction = match metric.harm {
        Harm::Higher => " above",
        Harm::Lower => " below",
        Harm::Either => " to either side",
    };
    let (tolerated, accepted) = (metric.tolerated, metric.accepted);
    match metric.source {
        Source::Failures => {
            let tolerated = match tolerated.relative {
                0.0 => "as often as stable".to_owned(),
                relative => format!("{} times as often as stable", number(1.0 + relative)),
            };
            let points = 100.0 * accepted.absolute;
            let unit = if points == 1.0 { "point" } else { "points" };
            Allowed { tolerated, accepted: format!("{} {unit}", number(points)), direction: "" }
        }
        Source::ShadowFlips | Source::ShadowFailures => {
            Allowed { tolerated: percent(tolerated), accepted: percent(accepted), direction: "" }
        }
        Source::ShadowScore => Allowed {
            tolerated: in_spreads(tolerated, spread),
            accepted: in_spreads(accepted, spread),
            direction,
        },
        Source::Latency
        | Source::Score
        | Source::Recorded
        | Source::LogLoss
        | Source::Brier
        | Source::ShadowLatency => Allowed {
            tolerated: margin(metric.source, tolerated),
            accepted: margin(metric.source, accepted),
            direction,
        },
    }
}

fn margin(source: Source, margin: Margin) -> String {
    let relative = format!("{} %", number(100.0 * margin.relative));
    let absolute =
        if source.is_in_seconds() { duration(margin.absolute) } else { number(margin.absolute) };
    match (margin.relative == 0.0, margin.absolute == 0.0) {
        (true, true) => "nothing".to_owned(),
        (false, true) => relative,
        (true, false) => absolute,
        (false, false) => format!("{relative} + {absolute}"),
    }
}

fn in_unit(source: Source, value: f64) -> String {
    if source.is_in_seconds() {
        format!("{}{}", if value > 0.0 { "+" } else { "" }, duration(value))
    } else if matches!(source, Source::Score | Source::ShadowScore) {
        format!("{value:+.4}")
    } else {
        signed(value)
    }
}
