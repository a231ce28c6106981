//! The picture of a metric: the interval of the difference between stable and what is accepted.
//!
//! The axis is the same for all metrics: multiples of the accepted margin, worse to the right, from -2 to 2. It never
//! rescales. Places are in percent of the width.

use askama::Template;

use crate::service::status::report::axis::END;
use crate::service::status::report::axis::Multiples;
use crate::service::status::report::axis::Numbers;

/// A bar that is wholly beyond the axis keeps a stub of this width.
const STUB: f64 = 7.0;

/// Room for an arrow at an end of the axis.
const ARROW: f64 = 1.6;

/// The cell of a metric.
#[derive(Debug, Default, PartialEq, Template)]
#[template(path = "forest.html")]
pub(super) struct Forest {
    /// What the picture says, for those who do not see it.
    pub(super) says: String,
    /// Whether the metric fails.
    pub(super) is_bad: bool,
    /// The accepted margin in words.
    pub(super) margin: Option<String>,
    marks: Option<Marks>,
}

#[derive(Debug, PartialEq)]
struct Marks {
    /// What is beyond the accepted margins: left end and width.
    beyond: Vec<(f64, f64)>,
    /// The accepted margins.
    accepted: Vec<f64>,
    /// The margins beyond which it fails.
    harmful: Vec<f64>,
    interval: Option<Interval>,
    /// The difference, if it is on the axis.
    estimate: Option<f64>,
    /// The arrow of a difference that leaves the axis and has no interval: as those of intervals.
    leaves: Option<(f64, i8)>,
}

#[derive(Debug, PartialEq)]
struct Interval {
    left: f64,
    width: f64,
    /// The ends that are on the axis.
    caps: Vec<f64>,
    /// The ends that leave it: the place, and how far the tip of the arrow is from it, in pixels.
    arrows: Vec<(f64, i8)>,
}

/// The place on the axis, in percent.
fn place(multiple: f64) -> f64 {
    let on_axis = multiple.clamp(-END, END);
    round(100.0 * (on_axis + END) / (2.0 * END))
}

pub(super) fn round(percent: f64) -> f64 {
    (percent * 100.0).round() / 100.0
}

impl Forest {
    /// The cell of these numbers, without a picture if there are none, or if nothing is accepted, which has no multiples.
    pub(super) fn new(
        numbers: Option<&Numbers>,
        says: String,
        margin: Option<String>,
        is_bad: bool,
    ) -> Forest {
        Forest { says, is_bad, margin, marks: numbers.and_then(Marks::new) }
    }

    /// The same without a mark for the difference.
    pub(super) fn without_estimate(self) -> Forest {
        let marks = self.marks.map(|marks| Marks { estimate: None, leaves: None, ..marks });
        Forest { marks, ..self }
    }

    /// Whether there is a picture.
    pub(super) fn is_drawn(&self) -> bool {
        self.marks.is_some()
    }
}

impl Marks {
    fn new(numbers: &Numbers) -> Option<Marks> {
        let Multiples { effect, interval, accepted, harmful, is_two_sided } =
            Multiples::of(numbers)?;
        let sides: &[f64] = if is_two_sided { &[1.0, -1.0] } else { &[1.0] };
        let beyond = |side: &f64| {
            let at = place(side * accepted);
            if *side > 0.0 { (at, round(100.0 - at)) } else { (0.0, at) }
        };
        let interval = interval.map(|[low, high]| Interval::new(low, high));
        let leaves = match effect {
            _ if interval.is_some() => None,
            Some(better) if better < -END => Some((ARROW, -6)),
            Some(worse) if worse > END => Some((round(100.0 - ARROW), 6)),
            _ => None,
        };
        Some(Marks {
            beyond: sides.iter().map(beyond).collect(),
            accepted: sides.iter().map(|side| place(side * accepted)).collect(),
            harmful: sides.iter().map(|side| place(side * harmful)).collect(),
            interval,
            estimate: effect.filter(|it| it.abs() <= END).map(place),
            leaves,
        })
    }
}

impl Interval {
    fn new(low: f64, high: f64) -> Interval {
        let (mut left, mut right) = (place(low).max(ARROW), place(high).min(round(100.0 - ARROW)));
        if low > END {
            left = 100.0 - STUB;
        }
        if high < -END {
            right = STUB;
        }
        let is_on_axis = |end: f64| (-END..=END).contains(&end);
        let ends = [(low, left, -6), (high, right, 6)];
        let caps = ends.iter().filter(|(end, ..)| is_on_axis(*end));
        let leaves = |(end, _, tip): &&(f64, f64, i8)| {
            if *tip < 0 { *end < -END } else { *end > END }
        };
        let arrows = ends.iter().filter(leaves);
        Interval {
            left,
            width: round((right - left).max(0.2)),
            caps: caps.map(|(_, at, _)| *at).collect(),
            arrows: arrows.map(|(_, at, tip)| (*at, *tip)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Harm;

    fn numbers(effect: f64, interval: [f64; 2], harm: Harm) -> Numbers {
        let (accepted, harmful) = (0.1, 0.05);
        Numbers { stable: Some(1.0), effect, interval: Some(interval), accepted, harmful, harm }
    }

    fn marks(effect: f64, interval: [f64; 2], harm: Harm) -> Marks {
        Marks::new(&numbers(effect, interval, harm)).unwrap()
    }

    #[test]
    fn worse_is_to_the_right_whatever_the_metric() {
        let higher = marks(0.1, [-0.1, 0.15], Harm::Higher);
        assert_eq!((higher.estimate, &higher.accepted[..]), (Some(75.0), &[75.0][..]));
        assert_eq!((&higher.harmful[..], &higher.beyond[..]), (&[62.5][..], &[(75.0, 25.0)][..]));
        let bar = higher.interval.unwrap();
        assert_eq!((bar.left, bar.width, &bar.caps[..]), (25.0, 62.5, &[25.0, 87.5][..]));
        let lower = marks(-0.1, [-0.15, 0.1], Harm::Lower);
        assert_eq!((lower.estimate, lower.interval), (Some(75.0), Some(Interval::new(-1.0, 1.5))));
        let either = marks(0.0, [-0.1, 0.1], Harm::Either);
        assert_eq!(either.beyond, [(75.0, 25.0), (0.0, 25.0)]);
        assert_eq!(either.harmful, [62.5, 37.5]);
    }

    #[test]
    fn what_leaves_the_axis_gets_an_arrow() {
        let wide = Interval::new(-9.0, 3.0);
        assert_eq!((wide.left, wide.width), (1.6, 96.8));
        assert!(wide.caps.is_empty() && wide.arrows == [(1.6, -6), (98.4, 6)], "{wide:?}");
        let beyond = Interval::new(3.0, 4.0);
        assert_eq!((beyond.left, beyond.width, &beyond.arrows[..]), (93.0, 5.4, &[(98.4, 6)][..]));
        let beyond = marks(1.0, [0.9, 1.1], Harm::Higher);
        assert_eq!((beyond.estimate, beyond.leaves), (None, None));
        let without_interval = |effect| {
            let numbers = Numbers { interval: None, ..numbers(effect, [0.0, 0.0], Harm::Higher) };
            Marks::new(&numbers).unwrap().leaves
        };
        assert_eq!(
            [1.0, 0.1, -1.0].map(without_interval),
            [Some((98.4, 6)), None, Some((1.6, -6))]
        );
    }

    #[test]
    fn nothing_is_drawn_without_margins() {
        let none =
            Numbers { accepted: 0.0, harmful: 0.0, ..numbers(0.1, [0.0, 0.2], Harm::Higher) };
        assert_eq!(Marks::new(&none), None);
        let unknown = Numbers { effect: f64::NAN, ..numbers(0.1, [0.0, 0.2], Harm::Higher) };
        assert_eq!(Marks::new(&unknown), None);
        // A margin of nothing is the line of stable itself.
        let strict = Numbers { accepted: 0.0, ..numbers(0.05, [0.0, 0.1], Harm::Higher) };
        assert_eq!(Marks::new(&strict).unwrap().accepted, [50.0]);
    }
}
