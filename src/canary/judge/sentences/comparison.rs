//! The difference between the tracks in one metric: effect, interval and margin as text, in one unit.

use crate::canary::judge::margins::Margins;
use crate::canary::judge::verdict::MetricEvidence;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::source::Unit;
use crate::stats::Harm;

/// A difference from stable as text.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Canary minus stable: `+48.6 %`.
    pub difference: String,
    /// Its confidence interval: `+37.9 .. +59.2 %`.
    pub interval: Option<String>,
    /// The margin: `+5.67 %`.
    pub margin: String,
}

impl Comparison {
    /// This effect, interval and margin, in the unit of the metric's margins. The largest number has three significant
    /// digits, as far as three decimals have them, and all have at least two, with at most four decimals.
    pub fn new(
        metric: &Metric,
        evidence: &MetricEvidence,
        effect: f64,
        interval: Option<[f64; 2]>,
        margin: f64,
    ) -> Comparison {
        let unit = Scale::new(metric, evidence, effect.abs().max(margin));
        let possible = |difference: f64| clipped(metric, evidence, difference);
        let (effect, interval) = (possible(effect), interval.map(|ends| ends.map(possible)));
        let size = interval.iter().flatten().chain([&effect]).fold(0.0, |a: f64, b| a.max(b.abs()));
        let decimals = decimals(size / unit.size).min(3);
        let signed = |x: f64| match x / unit.size {
            0.0 => "0".to_owned(),
            small if size < 1e-3 * unit.size && unit.name.is_empty() => format!("{small:+.2e}"),
            scaled => {
                let decimals = decimals.max(two_digits(scaled));
                let text = format!("{scaled:+.decimals$}");
                let is_zero = !text.contains(|digit| ('1'..='9').contains(&digit));
                if is_zero { "0".to_owned() } else { text }
            }
        };
        let with_unit = |text: String| format!("{text} {}", unit.name).trim_end().to_owned();
        let sign = match metric.harm {
            Harm::Higher => "+",
            Harm::Lower => "-",
            Harm::Either => "±",
        };
        let margin = match margin {
            0.0 => "0".to_owned(),
            margin => with_unit(format!("{sign}{}", trimmed(margin / unit.size))),
        };
        let interval =
            interval.map(|[low, high]| with_unit(format!("{} .. {}", signed(low), signed(high))));
        Comparison { difference: with_unit(signed(effect)), interval, margin }
    }
}

/// The unit of a comparison.
struct Scale {
    /// One of it, in the unit of the values.
    size: f64,
    name: &'static str,
}

/// The nearest difference that the values can have: no time is below zero, and no share above one. An estimate and its
/// interval are those of a sum, which respects neither.
///
/// A share that is below that of stable by more than that may be seen, because stable's is an estimate, too.
pub fn clipped(metric: &Metric, evidence: &MetricEvidence, difference: f64) -> f64 {
    let counts = &evidence.samples;
    let [least, most] = match metric.source.properties().unit {
        Unit::Seconds => {
            [evidence.stable_mean.map_or(f64::NEG_INFINITY, |mean| -mean), f64::INFINITY]
        }
        Unit::Share if counts.stable > 0 => {
            [-1.0, 1.0 - counts.stable_failures as f64 / counts.stable as f64]
        }
        Unit::Share => [-1.0, 1.0],
        Unit::Number | Unit::Probability => [f64::NEG_INFINITY, f64::INFINITY],
    };
    difference.max(least).min(most)
}

impl Scale {
    /// The unit for numbers up to this size.
    fn new(metric: &Metric, evidence: &MetricEvidence, size: f64) -> Scale {
        let plain = |name| Scale { size: 1.0, name };
        let properties = metric.source.properties();
        // Beyond tenfold a percentage is harder to read than the difference.
        let mean = evidence.stable_mean.filter(|mean| *mean > 0.0);
        let relative = mean.filter(|mean| is_relative(metric, *mean) && size < 10.0 * mean);
        let spread = evidence.stable_spread.filter(|spread| *spread > 0.0);
        match (properties.unit, relative, spread) {
            (Unit::Share, _, _) => Scale { size: 0.01, name: "pt" },
            (Unit::Probability, _, Some(spread)) => Scale { size: spread, ..plain("sd") },
            (Unit::Probability, _, None) => plain(""),
            (Unit::Seconds | Unit::Number, Some(mean), _) => {
                Scale { size: mean / 100.0, ..plain("%") }
            }
            // That of the values and the margins, so that a row keeps one unit.
            (Unit::Seconds, None, _) => {
                let Margins { harmful, accepted, .. } = Margins::new(metric, evidence);
                match [mean.unwrap_or(0.0), harmful, accepted].into_iter().fold(size, f64::max) {
                    s if s >= 1.0 => plain("s"),
                    s if s >= 1e-3 => Scale { size: 1e-3, ..plain("ms") },
                    s if s >= 1e-6 => Scale { size: 1e-6, ..plain("µs") },
                    _ => Scale { size: 1e-9, ..plain("ns") },
                }
            }
            (Unit::Number, None, _) => plain(""),
        }
    }
}

/// Whether the margins at this mean are mostly their relative parts: a percentage of a mean of microseconds says little
/// where a fixed time is accepted.
fn is_relative(metric: &Metric, mean: f64) -> bool {
    [metric.harm_margin(), metric.accepted]
        .iter()
        .all(|margin| margin.relative * mean >= margin.absolute)
}

/// Decimals that give two significant digits, four decimals at most.
fn two_digits(value: f64) -> usize {
    (1.0 - value.abs().log10().floor()).clamp(0.0, 4.0) as usize
}

/// Decimals that give three significant digits, four decimals at most.
fn decimals(size: f64) -> usize {
    match size {
        s if s >= 99.95 => 0,
        s if s >= 9.995 => 1,
        s if s >= 0.9995 => 2,
        s if s >= 0.09995 => 3,
        _ => 4,
    }
}

/// Three significant digits without trailing zeros: a margin is usually a round number.
fn trimmed(value: f64) -> String {
    let text = format!("{value:.*}", decimals(value.abs()));
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canary::judge::monitors::Monitors;
    use crate::canary::judge::sequential::SequentialVerdict;
    use crate::canary::observed::samples::TrackSamples;
    use crate::canary::policy::judge_policy::JudgePolicy;

    fn written(stable_mean: f64, effect: f64, interval: [f64; 2], margin: f64) -> [String; 3] {
        let policy = JudgePolicy::default();
        let monitors = Monitors::new(&policy, &TrackSamples::default());
        let verdict = SequentialVerdict::new(&policy, 0, &monitors.measured());
        let stable_mean = Some(stable_mean);
        let evidence = MetricEvidence { stable_mean, ..verdict.metrics[0].clone() };
        let it = Comparison::new(&policy.metrics[0], &evidence, effect, Some(interval), margin);
        [it.difference, it.interval.unwrap(), it.margin]
    }

    #[test]
    fn a_difference_has_the_unit_of_its_margins() {
        // 5 % and 0.1 ms are tolerated: of 10 ms mostly the percentage, of 20 µs and of 1.4 ms the time.
        for (mean, effect, interval, margin, expected) in [
            (0.01, 0.0003, [-0.0005, 0.0011], 6e-4, ["+3.0 %", "-5.0 .. +11.0 %", "+6 %"]),
            (2e-5, 1.14e-4, [9e-5, 1.4e-4], 1.01e-4, ["+114 µs", "+90 .. +140 µs", "+101 µs"]),
            (
                1.4e-3,
                2e-5,
                [-1e-6, 4e-5],
                1.7e-4,
                ["+0.020 ms", "-0.0010 .. +0.040 ms", "+0.17 ms"],
            ),
        ] {
            assert_eq!(written(mean, effect, interval, margin), expected);
        }
    }

    #[test]
    fn no_time_is_below_zero() {
        let [difference, interval, _] = written(0.01, -0.015, [-0.0504, 0.0204], 6e-4);
        assert_eq!((difference.as_str(), interval.as_str()), ("-100 %", "-100 .. +204 %"));
        let [_, interval, _] = written(1e-5, 0.0, [-7e-5, 2.01e-4], 2.01e-4);
        assert_eq!(interval, "-10 .. +201 µs");
    }

    #[test]
    fn both_ends_of_an_interval_have_two_digits() {
        let [difference, interval, _] = written(1e-3, 0.05, [3e-4, 0.119], 1.5e-4);
        assert_eq!((difference.as_str(), interval.as_str()), ("+50 ms", "+0.30 .. +119 ms"));
        let [_, interval, _] = written(1e-3, 0.05, [1e-8, 0.119], 1.5e-4);
        assert_eq!(interval, "0 .. +119 ms");
    }
}
