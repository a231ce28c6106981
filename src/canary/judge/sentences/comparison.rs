//! The difference between the tracks in one metric: effect, interval and margin as text, in one unit.

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
    /// This effect, interval and margin. The larger of effect and interval has
    /// three significant digits, and at most four decimals.
    pub fn new(
        metric: &Metric,
        evidence: &MetricEvidence,
        effect: f64,
        interval: Option<[f64; 2]>,
        margin: f64,
    ) -> Comparison {
        let unit = Scale::new(metric, evidence, effect.abs().max(margin));
        let size = interval.iter().flatten().chain([&effect]).fold(0.0, |a: f64, b| a.max(b.abs()));
        let decimals = decimals(size / unit.size);
        let signed = |x: f64| match unit.scaled(x) {
            0.0 => "0".to_owned(),
            small if size < 1e-3 * unit.size => format!("{small:+.2e}"),
            scaled => format!("{scaled:+.decimals$}"),
        };
        let with_unit = |text: String| format!("{text} {}", unit.name).trim_end().to_owned();
        let sign = match metric.harm {
            Harm::Higher => "+",
            Harm::Lower => "-",
            Harm::Either => "±",
        };
        let margin = if margin == 0.0 {
            "0".to_owned()
        } else {
            let value = margin / unit.size;
            with_unit(format!("{sign}{value:.*}", decimals_of(value)))
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
    /// The bound of the values: an interval is that of a sum, which does not respect the bounds of a rate.
    bound: f64,
}

impl Scale {
    /// The unit for numbers up to this size.
    fn new(metric: &Metric, evidence: &MetricEvidence, size: f64) -> Scale {
        let plain = |name| Scale { size: 1.0, name, bound: f64::INFINITY };
        let properties = metric.source.properties();
        // Beyond tenfold a percentage is harder to read than the difference.
        let mean = evidence.stable_mean.filter(|mean| *mean > 0.0 && size < 10.0 * mean);
        let spread = evidence.stable_spread.filter(|spread| *spread > 0.0);
        match (properties.unit, mean, spread) {
            (Unit::Share, _, _) => Scale { size: 0.01, name: "pt", bound: 1.0 },
            (Unit::Probability, _, Some(spread)) => Scale { size: spread, ..plain("sd") },
            (Unit::Probability, _, None) => plain(""),
            (Unit::Seconds | Unit::Number, Some(mean), _) => {
                Scale { size: mean / 100.0, ..plain("%") }
            }
            (Unit::Seconds, None, _) => match size {
                s if s >= 1.0 => plain("s"),
                s if s >= 1e-3 => Scale { size: 1e-3, ..plain("ms") },
                s if s >= 1e-6 => Scale { size: 1e-6, ..plain("µs") },
                _ => Scale { size: 1e-9, ..plain("ns") },
            },
            (Unit::Number, None, _) => plain(""),
        }
    }

    fn scaled(&self, value: f64) -> f64 {
        value.clamp(-self.bound, self.bound) / self.size
    }
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

/// The same without trailing zeros: a margin is usually a round number.
fn decimals_of(value: f64) -> usize {
    let most = decimals(value.abs());
    let is_exact = |places: &usize| {
        let unit = 10_f64.powi(*places as i32);
        ((value * unit).round() / unit - value).abs() < 1e-9 * value.abs()
    };
    (0..most).find(is_exact).unwrap_or(most)
}
