//! Renders the evidence of one metric.

use super::comparison::Comparison;
use super::comparison::Margins;
use crate::canary::judge::verdict::Classification;
use crate::canary::judge::verdict::MetricEvidence;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::source::MonitorKind;
use crate::text::numbers::grouped;

/// The effect and the conclusion: `latency: +48.6 % against stable (interval +37.9 .. +59.2 %); fails, tolerated
/// +5.67 %`.
pub fn metric(metric: &Metric, evidence: &MetricEvidence) -> String {
    let Margins { tolerated, accepted } = Margins::new(metric, evidence);
    let allowed = |margin: f64| {
        Comparison::new(metric, evidence, evidence.effect.unwrap_or(0.0), None, margin).allowed
    };
    let conclusion = match evidence.classification {
        Classification::Pass => format!("passes, accepted {}", allowed(accepted)),
        Classification::Fail => format!("fails, tolerated {}", allowed(tolerated)),
        Classification::Inconclusive => {
            format!(
                "inconclusive, tolerated {}, accepted {}",
                allowed(tolerated),
                allowed(accepted)
            )
        }
        Classification::Insufficient => {
            format!("waiting for data, needs {} of each", metric.min_samples)
        }
    };
    format!("{}: {}; {conclusion}", metric.name, observed(metric, evidence))
}

/// The harm that a metric shows, without statistics: `latency 48.6 % above stable (allowed +5.67 %)`, or
/// `failures 17.4 points above stable: 26 of 150 canary requests failed, stable 0 of 1,350`.
pub fn harm(metric: &Metric, evidence: &MetricEvidence) -> String {
    let Some(effect) = evidence.effect else { return metric.name.to_string() };
    let tolerated = Margins::new(metric, evidence).tolerated;
    let Comparison { difference, allowed, .. } =
        Comparison::new(metric, evidence, effect, None, tolerated);
    let size = difference.trim_start_matches(['+', '-']).replace(" pt", " points");
    let side = if effect < 0.0 { "below" } else { "above" };
    let counts = &evidence.samples;
    let behind = match metric.source.properties().monitor {
        MonitorKind::Failures => format!(
            ": {} of {} canary requests failed, stable {} of {}",
            grouped(counts.canary_failures),
            grouped(counts.canary),
            grouped(counts.stable_failures),
            grouped(counts.stable),
        ),
        MonitorKind::Pairs | MonitorKind::Values(_) => format!(" (allowed {allowed})"),
    };
    format!("{} {size} {side} stable{behind}", metric.name)
}

/// The effect with its interval, and the counts behind it where they say more than the effect.
fn observed(metric: &Metric, evidence: &MetricEvidence) -> String {
    let counts = &evidence.samples;
    let seen = match metric.source.properties().monitor {
        MonitorKind::Failures => Some(format!(
            "canary {} of {}, stable {} of {} failed",
            counts.canary_failures, counts.canary, counts.stable_failures, counts.stable,
        )),
        MonitorKind::Pairs => Some(match counts.canary_failures {
            0 => format!("{} pairs in shadow", counts.canary),
            failures => format!("{} pairs in shadow, {failures} failed", counts.canary),
        }),
        MonitorKind::Values(_) if evidence.effect.is_none() => {
            Some(format!("canary {}, stable {} samples", counts.canary, counts.stable))
        }
        MonitorKind::Values(_) => None,
    };
    let difference = evidence.effect.map(|effect| {
        // Constant values have no interval; their difference is exact.
        let interval = evidence.interval.or(Some([effect, effect]));
        let it = Comparison::new(metric, evidence, effect, interval, 0.0);
        format!("{} against stable (interval {})", it.difference, it.interval.unwrap_or_default())
    });
    seen.into_iter().chain(difference).collect::<Vec<_>>().join(", ")
}
