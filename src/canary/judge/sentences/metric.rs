//! Renders the evidence of one metric.

use super::comparison::Comparison;
use crate::canary::judge::margins::Margins;
use crate::canary::judge::margins::shown;
use crate::canary::judge::monitors::measured::Counts;
use crate::canary::judge::verdict::Classification;
use crate::canary::judge::verdict::MetricEvidence;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::source::MonitorKind;
use crate::stats::Harm;
use crate::text::durations::duration;
use crate::text::lists::quoted;
use crate::text::numbers::count;
use crate::text::numbers::grouped;

/// What a metric with enough samples waits for when all of them came in its first tick.
pub const NOTHING_COMPARED: &str = "nothing compared yet";

/// The effect and the conclusion: `latency: +48.6 % against stable (interval +37.9 .. +59.2 %); fails, tolerated
/// +5.67 %`.
pub fn metric(metric: &Metric, evidence: &MetricEvidence) -> String {
    let (evidence, Margins { harmful, tolerated, accepted }) = &shown(metric, evidence);
    let at = |margin: &f64| {
        Comparison::new(metric, evidence, evidence.effect.unwrap_or(0.0), None, *margin).margin
    };
    let harm = format!("{} {}", metric.harm_margin_name(), at(harmful));
    let conclusion = match evidence.classification {
        _ if evidence.is_shifted => {
            format!("shifted, tolerated {}, {harm}", at(tolerated))
        }
        _ if evidence.is_suspected => {
            format!("may be worse: shown by single requests, not yet by spans of time; {harm}")
        }
        Classification::Pass => format!("passes, accepted {}", at(accepted)),
        Classification::Fail => format!("fails, {harm}"),
        Classification::Inconclusive => {
            format!("inconclusive, {harm}, accepted {}", at(accepted))
        }
        Classification::Insufficient if evidence.samples.fewest() < metric.min_samples => {
            format!("waiting for data, needs {} of each", metric.min_samples)
        }
        Classification::Insufficient => match evidence.awaited_samples {
            Some(further) => format!(
                "not proven yet, {harm}, accepted {}; a promotion waits for {} more effective samples at most",
                at(accepted),
                grouped(further)
            ),
            None => NOTHING_COMPARED.to_owned(),
        },
    };
    format!("{}: {}; {conclusion}", named(metric, evidence), observed(metric, evidence))
}

/// The name of a metric, with the class whose numbers the evidence has: ``score of class `gold` ``.
pub fn named(metric: &Metric, evidence: &MetricEvidence) -> String {
    match &evidence.class {
        Some(class) => format!("{} of class {}", metric.name, quoted(class)),
        None => metric.name.to_string(),
    }
}

/// The harm that a metric shows, without statistics, and why few samples are enough: `latency 48.6 % above stable (tolerated +5.67 %)`, or
/// `failures 17.4 points above stable: 26 of 150 canary requests failed, stable 0 of 1,350`.
pub fn harm(metric: &Metric, evidence: &MetricEvidence) -> String {
    let name = named(metric, evidence);
    let (evidence, Margins { harmful, .. }) = &shown(metric, evidence);
    let Some(effect) = evidence.effect else {
        return format!("{name}: {}", observed(metric, evidence));
    };
    let early = early(evidence.samples.fewest(), metric.min_samples);
    if let (true, Some(basis)) = (effect.abs() <= *harmful, beyond_the_mean(evidence)) {
        return format!("{name}: {basis}{early}");
    }
    let Comparison { difference, margin, .. } =
        Comparison::new(metric, evidence, effect, None, *harmful);
    let size = difference.trim_start_matches(['+', '-']).replace(" pt", " points");
    let side = if effect < 0.0 { "below" } else { "above" };
    let counts = &evidence.samples;
    let behind = match metric.source.properties().monitor {
        MonitorKind::Failures => format!(
            ": {} of {} canary requests {}, stable {} of {}",
            grouped(counts.canary_failures),
            grouped(counts.canary),
            failed(metric),
            grouped(counts.stable_failures),
            grouped(counts.stable),
        ),
        MonitorKind::Quantile(_)
        | MonitorKind::Pairs
        | MonitorKind::Averages
        | MonitorKind::Shift
        | MonitorKind::Values(_) => {
            format!(" ({} {margin})", metric.harm_margin_name())
        }
    };
    format!("{name} {size} {side} stable{}{behind}{early}", over(evidence))
}

/// Which rule finds harm with fewer samples than a pass takes; empty with as many.
pub(super) fn early(seen: u64, min_samples: u64) -> String {
    match seen < min_samples {
        true => format!(", clear enough to count before the {min_samples} samples of a pass"),
        false => String::new(),
    }
}

/// What the health check concludes, with the numbers of the sequential judge, which the table of metrics shows: `latency:
/// no harmful difference: +1.20 % against stable (interval -0.80 .. +3.10 %, tolerated +6 %)`. `None` where they do not
/// say the same.
pub(super) fn agreeing(
    metric: &Metric,
    evidence: &MetricEvidence,
    is_harm: bool,
    conclusion: &str,
) -> Option<String> {
    let is_failing = evidence.classification == Classification::Fail;
    let (evidence, margins) = &shown(metric, evidence);
    let effect = evidence.effect?;
    let worse = match metric.harm {
        Harm::Higher => effect,
        Harm::Lower => -effect,
        Harm::Either => effect.abs(),
    };
    if [is_failing, worse > margins.harmful] != [is_harm; 2] {
        return None;
    }
    let it = Comparison::new(metric, evidence, effect, evidence.interval, margins.harmful);
    let interval = it.interval.map(|interval| format!("interval {interval}, "));
    Some(format!(
        "{}: {conclusion}: {} against stable{} ({}{} {})",
        named(metric, evidence),
        it.difference,
        over(evidence),
        interval.unwrap_or_default(),
        metric.harm_margin_name(),
        it.margin
    ))
}

/// ` over all visits of keys`, where they decided.
fn over(evidence: &MetricEvidence) -> &'static str {
    if evidence.by_visits.is_some() { " over all visits of keys" } else { "" }
}

/// What a request does that counts as a failure of this metric.
fn failed(metric: &Metric) -> String {
    match metric.above_seconds {
        Some(seconds) => format!("took longer than {}", duration(seconds)),
        None => "failed".to_owned(),
    }
}

/// What a failure of scores rests on when the mean is about stable's; visits of keys are judged by the mean alone.
pub fn beyond_the_mean(evidence: &MetricEvidence) -> Option<String> {
    if evidence.by_visits.is_some() {
        return None;
    }
    match (evidence.distance, evidence.stable_spread.zip(evidence.canary_spread)) {
        (Some(distance), _) => {
            Some(format!("single answers differ by {} on average", short(distance)))
        }
        (None, Some((stable, canary))) => Some(spreads(stable, canary)),
        (None, None) => None,
    }
}

/// `standard deviation 0.010, stable 0.204`.
pub fn spreads(stable: f64, canary: f64) -> String {
    format!("standard deviation {}, stable {}", short(canary), short(stable))
}

/// Three decimals, and fewer of large numbers.
fn short(number: f64) -> String {
    let decimals = match number.abs() {
        size if size >= 1000.0 => 0,
        size if size >= 10.0 => 1,
        _ => 3,
    };
    format!("{number:.decimals$}")
}

/// A shift that holds: `score 0.31 sd (+0.062) above stable (tolerated ±0.25 sd, harmful ±0.5 sd)`.
pub fn shift(metric: &Metric, evidence: &MetricEvidence) -> String {
    let name = named(metric, evidence);
    let (evidence, Margins { harmful, tolerated, .. }) = &shown(metric, evidence);
    let Some(effect) = evidence.effect else { return name };
    let at = |margin: &f64| Comparison::new(metric, evidence, effect, None, *margin);
    let it = at(tolerated);
    let size = it.difference.trim_start_matches(['+', '-']).replace(" pt", " points");
    let amount = match evidence.stable_spread {
        Some(spread) if spread > 0.0 => {
            let sign = if effect < 0.0 { "" } else { "+" };
            format!(" ({sign}{})", short(effect))
        }
        Some(_) | None => String::new(),
    };
    let side = if effect < 0.0 { "below" } else { "above" };
    format!(
        "{name} {size}{amount} {side} stable{} (tolerated {}, harmful {})",
        over(evidence),
        it.margin,
        at(harmful).margin
    )
}

/// The effect with its interval, and the counts behind it where they say more than the effect.
fn observed(metric: &Metric, evidence: &MetricEvidence) -> String {
    let counts = &evidence.samples;
    let seen = match metric.source.properties().monitor {
        MonitorKind::Failures => Some(format!(
            "canary {} of {}, stable {} of {} {}",
            counts.canary_failures,
            counts.canary,
            counts.stable_failures,
            counts.stable,
            failed(metric),
        )),
        MonitorKind::Quantile(_) => Some(match evidence.stable_mean {
            Some(quantile) => format!(
                "canary {} of {}, stable {} of {} above stable's {}",
                counts.canary_failures,
                counts.canary,
                counts.stable_failures,
                counts.stable,
                duration(quantile),
            ),
            None => too_few(counts),
        }),
        MonitorKind::Pairs => Some(match counts.canary_failures {
            0 => format!("{} in shadow", count(counts.canary, "pair")),
            failures => format!("{} in shadow, {failures} failed", count(counts.canary, "pair")),
        }),
        MonitorKind::Averages => Some(count(counts.canary, "observation")),
        MonitorKind::Values(_) | MonitorKind::Shift if evidence.effect.is_none() => {
            Some(too_few(counts))
        }
        MonitorKind::Values(_) | MonitorKind::Shift => None,
    };
    let difference = evidence.effect.map(|effect| {
        let it = Comparison::new(metric, evidence, effect, evidence.interval, 0.0);
        match it.interval {
            Some(interval) => format!("{} against stable (interval {interval})", it.difference),
            None => format!("{} against stable", it.difference),
        }
    });
    let observed = seen.into_iter().chain(difference).collect::<Vec<_>>().join(", ");
    match over(evidence) {
        "" => observed,
        over => format!("{}: {observed}", over.trim_start()),
    }
}

/// The samples of a metric without an effect.
fn too_few(counts: &Counts) -> String {
    format!("canary {}, stable {}", grouped(counts.canary), count(counts.stable, "sample"))
}

#[cfg(test)]
#[path = "metric_tests.rs"]
mod tests;
