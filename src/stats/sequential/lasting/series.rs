//! Series: spans of several lengths over the values of one function.

use serde::Deserialize;
use serde::Serialize;

use super::EvidenceUnit;
use super::dependence::Dependence;
use super::dependence::Limits;
use super::noise::Noise;
use super::purse::Law;
use super::purse::Purse;
use super::span::Closed;
use super::span::Open;
use super::span::Span;
use super::span::Total;
use crate::stats::sequential::log_weighted_mean_exp;
use crate::stats::sequential::recent_spread::Sums;

/// The differences of the tracks' means, second by second and in longer spans.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Series {
    unit: EvidenceUnit,
    spans: Vec<Span>,
    /// Values of both tracks, for the noise that requests alone make.
    values: Sums,
    second: Open,
    ten: Open,
    /// The latest difference of a second.
    last: Option<Closed>,
    /// The variance of the differences of seconds, per value.
    by_second: Noise,
    seconds_depend: Dependence,
    tens_depend: Dependence,
    /// Seconds in which both tracks had values.
    compared: u64,
}

/// What a series shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Harm, which may begin late.
    Harm,
    /// That there is none.
    Proof,
}

/// A span of `auto`: seconds, share of the mean, and what it grants the canary on top of the margin.
type Length = (f64, f64, f64);

const HARM_SPANS: [Length; 3] = [(1.0, 0.4, 0.25), (10.0, 0.3, 0.20), (60.0, 0.3, 0.0)];
const PROOF_SPANS: [Length; 2] = [(10.0, 0.5, 0.0), (60.0, 0.5, 0.0)];

/// The spans of a unit.
pub(super) fn lengths(unit: EvidenceUnit, purpose: Purpose) -> Vec<Length> {
    match (unit, purpose) {
        (EvidenceUnit::Request | EvidenceUnit::Tick, _) => vec![(1.0, 1.0, 0.0)],
        (EvidenceUnit::TenSeconds, _) => vec![(10.0, 1.0, 0.0)],
        (EvidenceUnit::Minute, _) => vec![(60.0, 1.0, 0.0)],
        (EvidenceUnit::Auto, Purpose::Harm) => HARM_SPANS.to_vec(),
        (EvidenceUnit::Auto, Purpose::Proof) => PROOF_SPANS.to_vec(),
    }
}

/// Seconds depend on each other if they vary this many times as much over half a minute as from one to the next.
pub(super) const SECONDS: Limits = Limits { lags: [8, 16, 24, 30], ratio: 1.4 };
/// Minutes do if spans of ten seconds vary this many times as much over one to two minutes.
const TENS: Limits = Limits { lags: [6, 8, 10, 12], ratio: 3.0 };

/// The window of the noise of seconds, and what one difference adds at most.
const WINDOW: f64 = 120.0;
const CAP: f64 = 25.0;

/// Compared seconds of `auto` before evidence counts: those that it takes to measure how seconds depend on each other.
pub(super) const FIRST: u64 = 25;
/// The same before a difference of values counts as harm. Two tracks whose levels wander slowly may begin far apart, and
/// the dependence of longer spans shows only after two minutes.
pub(super) const FIRST_OF_HARM: u64 = 120;

/// A variance below this share of that of a value is rounding.
const ROUNDING: f64 = 1e-18;

/// Values above this are halved: the spread follows the traffic.
const MAX_VALUES: f64 = 8192.0;

impl Series {
    /// A series without values.
    pub(super) fn new(unit: EvidenceUnit, purpose: Purpose, law: Law) -> Series {
        let purse = match purpose {
            Purpose::Harm => Purse::shared(law),
            Purpose::Proof => Purse::plain(law),
        };
        let spans = lengths(unit, purpose).into_iter();
        Series {
            unit,
            spans: spans.map(|(length, weight, _)| Span::new(length, weight, purse)).collect(),
            values: Sums::default(),
            second: Open::default(),
            ten: Open::default(),
            last: None,
            by_second: Noise::new(WINDOW, CAP),
            seconds_depend: Dependence::new(),
            tens_depend: Dependence::new(),
            compared: 0,
        }
    }

    /// Learns values, for the noise that requests alone make.
    pub(super) fn remember(&mut self, stable: &[(f64, u64)]) {
        let usable = stable.iter().filter(|(value, _)| value.is_finite());
        usable.for_each(|&(value, count)| self.values.add(value, count));
        if self.values.count > MAX_VALUES {
            self.values.scale(0.5 * MAX_VALUES / self.values.count);
        }
    }

    /// Takes in a tick of this many seconds. `plain` are the canary's values without a margin, `granted` those with
    /// the margin of each span.
    pub(super) fn tick(
        &mut self,
        seconds: f64,
        plain: &[(f64, u64)],
        granted: &[Vec<(f64, u64)>],
        stable: &[(f64, u64)],
    ) {
        let per_value = self.per_value();
        let stable_total = Total::of(stable);
        for (span, granted) in self.spans.iter_mut().zip(granted) {
            span.tick(seconds, Total::of(granted), stable_total, per_value);
        }
        self.learn(seconds, Total::of(plain), stable_total);
        self.remember(stable);
        self.remember(plain);
    }

    /// The same where no span grants more than another.
    pub(super) fn tick_alike(
        &mut self,
        seconds: f64,
        canary: &[(f64, u64)],
        stable: &[(f64, u64)],
    ) {
        let granted = vec![canary.to_vec(); self.spans.len()];
        self.tick(seconds, canary, &granted, stable);
    }

    /// The longest span, in seconds, whose successors depend on each other; 0 without dependence.
    pub(super) fn dependence(&self) -> f64 {
        if self.unit != EvidenceUnit::Auto {
            return 0.0;
        }
        let by_second = self.by_second.variance();
        // Differences that are equal up to rounding: nothing has failed yet.
        if self.per_value().is_none_or(|per_value| by_second <= ROUNDING * per_value) {
            return 0.0;
        }
        let is_dependent = |span: &&Span| match span.length {
            length if length < 5.0 => self.seconds_depend.lasts(span.is_paused(), &SECONDS),
            length if length < 30.0 => span.is_dependent(by_second),
            _ => self.tens_depend.lasts(span.is_paused(), &TENS),
        };
        self.spans.iter().filter(is_dependent).map(|span| span.length).fold(0.0, f64::max)
    }

    /// Pauses the spans up to this length, and resumes the others.
    pub(super) fn pause(&mut self, up_to: f64) {
        self.spans.iter_mut().for_each(|span| span.pause(span.length <= up_to));
    }

    /// The variance of a value: what the differences of seconds show, and at least that of the values.
    fn per_value(&self) -> Option<f64> {
        let Sums { count, sum, squares } = self.values;
        if count < 10.0 {
            return None;
        }
        let mean = sum / count;
        // A function that has not varied yet may vary in about one of this many observations.
        let variance = (squares / count - mean * mean).max(0.25 / (count + 1.0));
        Some(variance.max(self.by_second.variance()))
    }

    fn learn(&mut self, seconds: f64, canary: Total, stable: Total) {
        if let Some(closed) = self.ten.add(seconds, canary, stable, 10.0) {
            self.tens_depend.learn(closed.difference, &TENS);
        }
        let Some(newest) = self.second.add(seconds, canary, stable, 1.0) else { return };
        self.compared += 1;
        if let Some(last) = self.last.replace(newest) {
            let change = newest.difference - last.difference;
            self.by_second.learn(change * change / (newest.inverse + last.inverse));
        }
        self.seconds_depend.learn(newest.difference, &SECONDS);
    }

    /// ln E; 0 before this many seconds were compared.
    pub(super) fn log_e(&self, first: u64) -> f64 {
        if self.unit == EvidenceUnit::Auto && self.compared < first {
            return 0.0;
        }
        let logs: Vec<f64> = self.spans.iter().map(Span::log_e).collect();
        log_weighted_mean_exp(&logs, self.spans.iter().map(|span| span.weight))
    }

    /// The shortest span that is not paused, in seconds.
    pub(super) fn shortest(&self) -> Option<f64> {
        self.spans.iter().filter(|span| !span.is_paused()).map(|span| span.length).reduce(f64::min)
    }
}
