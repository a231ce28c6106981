//! Timing a piece of work, and formatting the result.

use std::fmt;
use std::hint::black_box;
use std::time::Instant;

/// Seconds: the median, the fastest and the slowest round.
#[derive(Clone, Copy)]
pub struct Timing {
    pub median: f64,
    pub fastest: f64,
    pub slowest: f64,
}

impl Timing {
    /// `None` without rounds.
    pub fn of(mut seconds: Vec<f64>) -> Option<Timing> {
        seconds.sort_by(f64::total_cmp);
        let median = *seconds.get(seconds.len() / 2)?;
        Some(Timing { median, fastest: *seconds.first()?, slowest: *seconds.last()? })
    }

    /// From several rounds, after an uncounted warm-up round.
    pub fn measure<T>(rounds: usize, mut work: impl FnMut() -> T) -> Option<Timing> {
        black_box(work());
        let seconds = (0..rounds).map(|_| {
            let start = now();
            black_box(work());
            start.elapsed().as_secs_f64()
        });
        Timing::of(seconds.collect())
    }
}

impl fmt::Display for Timing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, factor) = unit(self.median);
        let [median, fastest, slowest] =
            [self.median, self.fastest, self.slowest].map(|seconds| digits(seconds * factor));
        write!(f, "{median} {unit} ({fastest} to {slowest})")
    }
}

/// One time, without its spread.
pub fn duration(seconds: f64) -> String {
    let (unit, factor) = unit(seconds);
    format!("{} {unit}", digits(seconds * factor))
}

/// The unit that suits a time, and how many of it a second has.
fn unit(seconds: f64) -> (&'static str, f64) {
    match seconds {
        seconds if seconds < 1e-6 => ("ns", 1e9),
        seconds if seconds < 1e-3 => ("us", 1e6),
        seconds if seconds < 1.0 => ("ms", 1e3),
        _ => ("s", 1.0),
    }
}

/// At least two digits, and no decimals from 10 on.
pub fn digits(number: f64) -> String {
    if number < 1.0 {
        format!("{number:.2}")
    } else if number < 10.0 {
        format!("{number:.1}")
    } else {
        format!("{number:.0}")
    }
}

/// The ratio of two times, with two digits, because noise decides the third.
pub fn ratio(theirs: f64, ours: f64) -> String {
    let ratio = theirs / ours;
    if ratio < 100.0 {
        return digits(ratio);
    }
    let unit = 10_f64.powf(ratio.log10().floor() - 1.0);
    format!("{:.0}", (ratio / unit).round() * unit)
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures the machine's own time")]
pub fn now() -> Instant {
    Instant::now()
}
