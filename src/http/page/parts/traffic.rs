//! The bar of the traffic: the canary from the left, as far as it has come, and the steps of the plan.

use askama::Template;

use crate::service::serving::circuit_breaker::BreakerState;
use crate::service::status::Status;
use crate::service::status::report::facts::facts;

/// Who gets what.
#[derive(Debug, Default, Template)]
#[template(path = "traffic.html")]
pub(super) struct Traffic {
    /// The canary's share in percent, and its name.
    pub(super) canary: Option<(f64, String)>,
    /// The share that is kept from it, and what it gets instead.
    withheld: Option<(f64, &'static str)>,
    /// Stable's share in percent, and its name.
    pub(super) stable: (f64, String),
    /// The share of stable's requests that the canary answers in shadow.
    pub(super) shadow: Option<f64>,
    ticks: Vec<Tick>,
    /// Figures under the bar, each with its label.
    facts: Vec<(&'static str, String)>,
}

/// A step of the plan.
#[derive(Debug, PartialEq)]
struct Tick {
    percent: f64,
    is_now: bool,
    label: Label,
}

/// Where the share of a step is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Label {
    /// Everywhere.
    Always,
    /// Where there is room: not on a phone.
    Wide,
    /// Nowhere.
    Never,
}

/// Labels closer than this many percent overlap in a bar of 343 pixels, and of 1,120.
const APART: [f64; 2] = [10.0, 3.0];

/// The same next to a label at an end of the bar, which begins or ends there.
const APART_AT_THE_ENDS: [f64; 2] = [14.0, 4.0];

/// How far apart two labels have to be, in a narrow bar and in a wide one.
fn apart(one: f64, other: f64) -> [f64; 2] {
    let is_at_an_end = one.min(other) <= 0.0 || one.max(other) >= 100.0;
    if is_at_an_end { APART_AT_THE_ENDS } else { APART }
}

impl Traffic {
    pub(super) fn new(status: &Status) -> Traffic {
        let (canary, share) = (status.canary.as_ref(), status.share_now());
        let is_withheld = canary.is_some() && share < status.traffic_percent;
        let is_off = status.store_lost.as_ref().is_some_and(|lost| lost.canary_is_off);
        let is_probed = status.breaker.as_ref().is_some_and(|it| it.state == BreakerState::Open);
        let instead = if is_probed && !is_off { "probes only" } else { "nothing" };
        let plan = status.rollout.as_ref().and_then(|rollout| rollout.plan.as_ref());
        let steps: Vec<f64> = plan.map_or_else(Vec::new, |plan| {
            plan.plan.steps.iter().map(|step| step.weight.percent()).collect()
        });
        let shadow = status.shadow.as_ref().map(|shadow| shadow.percent);
        Traffic {
            canary: canary.map(|version| (share, version.name.clone())),
            withheld: is_withheld.then_some((status.traffic_percent, instead)),
            stable: (100.0 - share, status.stable.version.name.clone()),
            shadow: shadow.filter(|percent| *percent > 0.0),
            ticks: ticks(&steps, status.traffic_percent),
            facts: facts(status),
        }
    }

    /// The bar in words.
    fn says(&self) -> String {
        let (of_stable, stable) = &self.stable;
        match (&self.canary, self.withheld) {
            (Some((_, canary)), Some((share, instead))) => {
                format!("{canary} gets {instead} instead of {share} %, {stable} {of_stable} %")
            }
            (Some((share, canary)), None) => {
                format!("{canary} gets {share} % of the traffic, {stable} {of_stable} %")
            }
            (None, _) => format!("{stable} gets all of the traffic"),
        }
    }
}

/// The steps and the end of the bar. The present step and the next ones are labelled first.
fn ticks(steps: &[f64], now: f64) -> Vec<Tick> {
    if steps.is_empty() {
        return Vec::new();
    }
    let mut ends: Vec<f64> = steps.to_vec();
    if ends.last().is_none_or(|last| *last < 100.0) {
        ends.push(100.0);
    }
    let (later, earlier): (Vec<f64>, Vec<f64>) = ends.iter().partition(|end| **end >= now);
    let mut shown: Vec<f64> = Vec::new();
    for end in later.into_iter().chain(earlier.into_iter().rev()) {
        if shown.iter().all(|other| (end - other).abs() >= apart(end, *other)[0]) {
            shown.push(end);
        }
    }
    let label = |end: f64| match shown.contains(&end) {
        true => Label::Always,
        false if shown.iter().all(|other| (end - other).abs() >= apart(end, *other)[1]) => {
            Label::Wide
        }
        false => Label::Never,
    };
    let tick = |end: &f64| Tick { percent: *end, is_now: *end == now, label: label(*end) };
    ends.iter().map(tick).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_present_step_and_the_next_are_labelled_first() {
        let labels: Vec<_> = ticks(&[1.0, 5.0, 10.0, 25.0, 50.0], 10.0)
            .into_iter()
            .map(|tick| (tick.percent, tick.is_now, tick.label))
            .collect();
        let (always, wide) = (Label::Always, Label::Wide);
        let expected = [
            (1.0, false, wide),
            (5.0, false, wide),
            (10.0, true, always),
            (25.0, false, always),
            (50.0, false, always),
            (100.0, false, always),
        ];
        assert_eq!(labels, expected);
        let at_zero = ticks(&[0.0, 10.0, 50.0], 0.0);
        let labels: Vec<_> = at_zero.iter().map(|tick| tick.label).collect();
        assert_eq!(labels, [always, wide, always, always], "0 % begins where the bar does");
        assert_eq!(ticks(&[], 10.0), []);
        assert_eq!(ticks(&[9.0, 10.0], 10.0)[0].label, Label::Never);
    }
}
