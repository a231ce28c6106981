//! How is the evidence said in plain English, with the numbers?

use super::judgement::Verdict;
use super::sequential::Classification;
use super::sequential::MetricEvidence;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::metric::Role;
use crate::canary::policy::metric::Source;
use crate::stats::Harm;
use crate::stats::Margin;
use crate::text::durations::duration;
use crate::text::numbers::number;
use crate::text::numbers::probability;
use crate::text::numbers::signed;

/// What one metric says: `latency: mean +48.6 % against stable (+7.29 ms; interval +37.9 to +59.2 %),
/// canary 300, stable 2700 samples; tolerated 5 % + 100 µs, accepted 10 % + 200 µs above; p if it did no
/// harm 1.2e-66 (fails below 0.025), p if it were worse than accepted 1.0000 (passes below 0.05): fails`.
pub fn metric(metric: &Metric, evidence: &MetricEvidence) -> String {
    let conclusion = match evidence.classification {
        Classification::Pass => "passes",
        Classification::Fail => "fails",
        Classification::Inconclusive => "neither proven harmful nor proven fine yet",
        Classification::Insufficient => "too few samples",
    };
    format!(
        "{}: {}; {}; p if it did no harm {} (fails below {}), p if it were worse than accepted {} \
         (passes below {}): {conclusion}",
        metric.name,
        observed(metric, evidence),
        allowed(metric, evidence.stable_spread),
        probability(evidence.harm_p_value),
        number(evidence.harm_threshold),
        probability(evidence.proven_p_value),
        number(evidence.proven_threshold),
    )
}

/// The verdict, and the metrics that led to it.
pub fn conclusion(verdict: Verdict, metrics: &[MetricEvidence]) -> String {
    let acts = |evidence: &&MetricEvidence| evidence.role != Role::Advisory;
    let names = |classification| -> Vec<&str> {
        let such = |one: &&MetricEvidence| one.classification == classification;
        metrics.iter().filter(acts).filter(such).map(|one| one.metric.as_str()).collect()
    };
    let sentences = |classification| -> String {
        let such = |one: &&MetricEvidence| one.classification == classification;
        let chosen: Vec<&str> =
            metrics.iter().filter(acts).filter(such).map(|one| one.sentence.as_str()).collect();
        chosen.join("; ")
    };
    match verdict {
        Verdict::Rollback => {
            format!("the canary does harm: {}", sentences(Classification::Fail))
        }
        Verdict::Promote => {
            let passing = names(Classification::Pass).join(", ");
            let failing = names(Classification::Fail);
            let outweighed = match failing.is_empty() {
                true => String::new(),
                false => format!("; outweighed: {} fails", failing.join(", ")),
            };
            format!("the canary is proven to stay within what is accepted: {passing}{outweighed}")
        }
        Verdict::Hold => {
            let open: Vec<String> = [
                (Classification::Fail, "fails", "fail"),
                (Classification::Insufficient, "has too few samples", "have too few samples"),
                (
                    Classification::Inconclusive,
                    "is not proven either way",
                    "are not proven either way",
                ),
            ]
            .into_iter()
            .filter_map(|(classification, one, more)| {
                let names = names(classification);
                let what = if names.len() == 1 { one } else { more };
                (!names.is_empty()).then(|| format!("{} {what}", names.join(", ")))
            })
            .collect();
            let so_far = match names(Classification::Fail).is_empty() {
                true => "neither harm nor its absence is proven yet",
                false => "the canary does harm, not enough to roll it back",
            };
            format!("{so_far}: {}", open.join("; "))
        }
    }
}

/// How large the difference is, in proportion where there is one.
pub(crate) fn observed(metric: &Metric, evidence: &MetricEvidence) -> String {
    let counts = &evidence.samples;
    if let Some(said) = in_shadow(metric, evidence) {
        return said;
    }
    if metric.source == Source::Failures {
        // The interval is that of a sum, and knows nothing of the bounds of a rate.
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
    let of = format!("canary {}, stable {} samples", counts.canary, counts.stable);
    // Values that never varied have no interval, and their difference is what it is.
    let Some(effect) = evidence.effect else { return of };
    let [low, high] = evidence.interval.unwrap_or([effect, effect]);
    let positive = evidence.stable_mean.filter(|mean| *mean > 0.0);
    // Beyond tenfold a percentage is harder to read than the difference.
    let readable = |mean: &f64| (effect / mean).abs() < 10.0;
    if let Some(mean) = positive.filter(|_| metric.source != Source::Score).filter(readable) {
        let percent = |x: f64| signed(100.0 * x / mean);
        return format!(
            "mean {} % against stable ({}; interval {} to {} %), {of}",
            percent(effect),
            in_unit(metric.source, effect),
            percent(low),
            percent(high),
        );
    }
    format!(
        "mean {} against stable (interval {} to {}), {of}",
        in_unit(metric.source, effect),
        in_unit(metric.source, low),
        in_unit(metric.source, high),
    )
}

/// What pairs say: the mean of their differences. `None` of what is said like a difference of two means.
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

/// A margin in spreads of stable's scores, and what that is now.
fn in_spreads(margin: Margin, spread: Option<f64>) -> String {
    if margin.relative == 0.0 {
        return number(margin.absolute);
    }
    let now = match spread {
        Some(spread) => format!("{:.4}", margin.absolute + margin.relative * spread),
        None => "not known yet".to_owned(),
    };
    let beside = match margin.absolute {
        0.0 => String::new(),
        absolute => format!(" + {}", number(absolute)),
    };
    format!("{} sd of stable's scores{beside} (now {now})", number(margin.relative))
}

/// Which differences are no harm, and which count as none.
fn allowed(metric: &Metric, spread: Option<f64>) -> String {
    let (tolerated, accepted) = (metric.tolerated, metric.accepted);
    match metric.source {
        Source::ShadowFlips | Source::ShadowFailures => {
            return format!(
                "tolerated {} %, accepted {} %",
                number(100.0 * tolerated.absolute),
                number(100.0 * accepted.absolute)
            );
        }
        Source::ShadowScore => {
            let (tolerated, accepted) =
                (in_spreads(tolerated, spread), in_spreads(accepted, spread));
            let direction = direction(metric.harm);
            return format!("tolerated {tolerated}, accepted {accepted} {direction}");
        }
        Source::Latency
        | Source::Failures
        | Source::Score
        | Source::Recorded
        | Source::LogLoss
        | Source::Brier
        | Source::ShadowLatency => {}
    }
    if metric.source == Source::Failures {
        let ratio = match tolerated.relative {
            0.0 => "no more often than stable".to_owned(),
            relative => format!("up to {} times as often", number(1.0 + relative)),
        };
        let points = 100.0 * accepted.absolute;
        let unit = if points == 1.0 { "point" } else { "points" };
        return format!("tolerated {ratio}, accepted {} {unit}", number(points));
    }
    format!(
        "tolerated {}, accepted {} {}",
        margin(metric.source, tolerated),
        margin(metric.source, accepted),
        direction(metric.harm)
    )
}

fn direction(harm: Harm) -> &'static str {
    match harm {
        Harm::Higher => "above",
        Harm::Lower => "below",
        Harm::Either => "to either side",
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
