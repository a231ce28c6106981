//! The band: how the interval of a metric has become narrow. The canary's samples to the right, worse upwards.
//!
//! The axis is that of the row's picture, turned: multiples of the accepted margin, from -2 to 2. It never rescales.
//! `x` is in percent of the width, `y` in pixels; the curves are in a picture of 1000 times [`HEIGHT`] that is stretched to
//! the width.

use askama::Template;

use crate::canary::judge::sequential::metric_history::Conclusion;
use crate::canary::judge::sequential::metric_history::MetricHistory;
use crate::canary::judge::sequential::metric_history::Moment;
use crate::http::page::parts::forest::round;
use crate::service::status::report::axis::END;
use crate::service::status::report::words::Times;
use crate::stats::Harm;

/// Of the axis, and what is above it.
const HEIGHT: f64 = 168.0;
const TOP: f64 = 8.0;

/// Names of lines closer than this many pixels overlap.
const APART: f64 = 13.0;

/// What the picture is of: the names of its lines.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// What the samples are: `requests`.
    pub(super) samples: String,
    /// The accepted margin: `passes within +10 %`.
    pub(super) accepted: String,
    /// The harm margin, where it is known: `fails beyond +5 %`.
    pub(super) harmful: Option<String>,
    /// What the canary's values can be at best, in multiples, where they have a bound.
    pub(super) least: Option<f64>,
}

/// The picture.
#[derive(Debug, PartialEq, Template)]
#[template(path = "band.html")]
pub(super) struct Band {
    says: String,
    /// What is beyond the accepted margins: upper end and height.
    beyond: Vec<(f64, f64)>,
    curves: Curves,
    /// Lines with their class.
    lines: Vec<(&'static str, f64)>,
    names: Vec<(f64, String)>,
    steps: Vec<Step>,
    decided: Vec<Decided>,
    newest: Option<Place>,
    /// Ends of the newest interval that leave the axis: the place, and the tip of the arrow in pixels.
    arrows: Vec<(f64, i8)>,
    /// How many samples, and when, at the right end.
    end: Option<(String, String)>,
}

/// Outlines as path data; empty where there is nothing to draw.
#[derive(Debug, Default, PartialEq)]
struct Curves {
    /// What the intervals have in common.
    fill: String,
    edges: String,
    /// The interval of each moment.
    thin: String,
    /// The difference.
    mean: String,
}

#[derive(Debug, PartialEq)]
struct Step {
    x: f64,
    share: String,
    at: String,
    /// Whether its words have room everywhere, on wide screens only, or nowhere.
    room: Option<bool>,
}

#[derive(Debug, PartialEq)]
struct Decided {
    x: f64,
    /// Where the difference was, if on the axis.
    y: Option<f64>,
    /// Where its words are.
    text_y: f64,
    is_left: bool,
    color: &'static str,
    words: String,
}

/// The newest difference.
#[derive(Debug, PartialEq)]
enum Place {
    On(f64),
    /// Beyond the upper end.
    Above,
    /// Beyond the lower end.
    Below,
}

impl Band {
    /// The picture of a history. `has_band`: whether its intervals follow the rule that decides.
    pub(super) fn new(
        history: &MetricHistory,
        names: Names,
        says: String,
        times: &Times,
        has_band: bool,
    ) -> Band {
        let axis = Axis::of(history, names.least);
        let newest = history.moments.last();
        let unit = newest.and_then(Moment::unit);
        let [edge, harmful] = newest.map_or([0.0; 2], |it| [it.accepted, it.harmful]);
        // Before the first moment the accepted margin is one multiple of itself, and nothing is known of the other one.
        let unknown = (if newest.is_some() { 0.0 } else { 1.0 }, None);
        let (edge, harmful) = unit.map_or(unknown, |it| (edge / it, Some(harmful / it)));
        let sides: &[f64] = if history.harm == Harm::Either { &[1.0, -1.0] } else { &[1.0] };
        let beyond = |side: &f64| match *side > 0.0 {
            true => (TOP, round(y(edge) - TOP)),
            false => (y(-edge), round(TOP + HEIGHT - y(-edge))),
        };
        let mut lines = vec![("zero", y(0.0))];
        for side in sides {
            lines.push(("accepted", y(side * edge)));
            let on_axis = harmful.map(|it| side * it).filter(|it| it.abs() <= END);
            lines.extend(on_axis.map(|it| ("harmful", y(it))));
        }
        let interval = newest.and_then(|it| axis.ends(it, it.interval)).filter(|_| has_band);
        let arrows = interval.into_iter().flat_map(|[low, high]| {
            let above = (high > END).then_some((TOP, -7));
            let below = (low < -END).then_some((TOP + HEIGHT, 7));
            above.into_iter().chain(below)
        });
        let present = newest.and_then(|it| Some(place(axis.worse(it, it.effect?)?)));
        Band {
            says,
            beyond: sides.iter().map(beyond).collect(),
            curves: Curves::new(&axis, &history.moments, has_band),
            lines,
            steps: steps(&axis, &history.moments, times),
            decided: decided(&axis, &history.moments, times),
            arrows: arrows.collect(),
            end: newest.map(|it| {
                let count = crate::text::numbers::grouped(it.canary_samples);
                (format!("{count} {}", names.samples), times.short(it.at))
            }),
            names: named(edge, harmful, &present, history.harm, names),
            newest: present,
        }
    }
}

/// From samples and differences to places.
struct Axis {
    most: f64,
    is_mirrored: bool,
    least: f64,
}

impl Axis {
    fn of(history: &MetricHistory, least: Option<f64>) -> Axis {
        let most = history.moments.last().map_or(0, |it| it.canary_samples);
        Axis {
            most: most.max(1) as f64,
            is_mirrored: history.harm == Harm::Lower,
            least: least.unwrap_or(f64::NEG_INFINITY),
        }
    }

    fn x(&self, moment: &Moment) -> f64 {
        round(100.0 * moment.canary_samples as f64 / self.most)
    }

    /// A difference as a multiple of the accepted margin, worse upwards.
    fn worse(&self, moment: &Moment, difference: f64) -> Option<f64> {
        let multiple = difference / moment.unit()?;
        let worse = if self.is_mirrored { -multiple } else { multiple };
        multiple.is_finite().then_some(worse.max(self.least))
    }

    fn ends(&self, moment: &Moment, ends: Option<[f64; 2]>) -> Option<[f64; 2]> {
        let [one, other] = ends?;
        let (one, other) = (self.worse(moment, one)?, self.worse(moment, other)?);
        Some([one.min(other), one.max(other)])
    }
}

fn y(multiple: f64) -> f64 {
    round(TOP + HEIGHT * (END - multiple.clamp(-END, END)) / (2.0 * END))
}

fn place(multiple: f64) -> Place {
    match multiple {
        above if above > END => Place::Above,
        below if below < -END => Place::Below,
        on => Place::On(y(on)),
    }
}

impl Curves {
    fn new(axis: &Axis, moments: &[Moment], has_band: bool) -> Curves {
        let means = runs(axis, moments, |it| {
            let mean = axis.worse(it, it.effect?)?;
            Some([mean, mean])
        });
        let mut curves = Curves { mean: lower(&means), ..Curves::default() };
        if has_band {
            let in_common = runs(axis, moments, |it| axis.ends(it, it.in_common));
            let alone = runs(axis, moments, |it| axis.ends(it, it.interval));
            curves.edges = lower(&in_common) + &upper(&in_common);
            curves.thin = lower(&alone) + &upper(&alone);
            for run in in_common.iter().filter(|run| run.len() > 1) {
                let there = run.iter().map(|(x, [_, high])| (*x, *high));
                let back = run.iter().rev().map(|(x, [low, _])| (*x, *low));
                curves.fill += &path(there.chain(back));
                curves.fill.push('Z');
            }
        }
        curves
    }
}

/// Stretches of moments at which there is a pair of ends, with their places.
type Runs = Vec<Vec<(f64, [f64; 2])>>;

fn runs(axis: &Axis, moments: &[Moment], ends: impl Fn(&Moment) -> Option<[f64; 2]>) -> Runs {
    let mut runs: Runs = vec![Vec::new()];
    for moment in moments {
        match (ends(moment), runs.last_mut()) {
            (Some(ends), Some(run)) => run.push((10.0 * axis.x(moment), ends)),
            (None, Some(run)) if !run.is_empty() => runs.push(Vec::new()),
            (_, _) => {}
        }
    }
    runs
}

fn lower(runs: &Runs) -> String {
    runs.iter().map(|run| path(run.iter().map(|(x, [low, _])| (*x, *low)))).collect()
}

fn upper(runs: &Runs) -> String {
    runs.iter().map(|run| path(run.iter().map(|(x, [_, high])| (*x, *high)))).collect()
}

/// Path data. What leaves the axis is cut off by the picture, not bent along its end.
fn path(points: impl Iterator<Item = (f64, f64)>) -> String {
    let mut data = String::new();
    for (x, multiple) in points {
        let y = HEIGHT * (END - multiple.clamp(-8.0 * END, 8.0 * END)) / (2.0 * END);
        data.push(if data.is_empty() { 'M' } else { 'L' });
        data.push_str(&format!("{} {}", tenth(x), tenth(y)));
    }
    data
}

/// To a tenth, without a zero behind the point.
fn tenth(number: f64) -> f64 {
    // Adding 0 makes -0 positive.
    (number * 10.0).round() / 10.0 + 0.0
}

/// The names of the lines, from above, none over another; where there is room, those of the ends, too.
fn named(
    edge: f64,
    harmful: Option<f64>,
    present: &Option<Place>,
    harm: Harm,
    names: Names,
) -> Vec<(f64, String)> {
    let accepted = (y(edge), names.accepted);
    let harmful = harmful.filter(|it| it.abs() <= END).map(y).zip(names.harmful);
    let mut all: Vec<(f64, String)> = std::iter::once(accepted).chain(harmful).collect();
    all.push((y(0.0), "as stable".to_owned()));
    all.sort_by(|one, other| one.0.total_cmp(&other.0));
    // Of two lines that are one, the upper name goes up.
    for place in (0..all.len().saturating_sub(1)).rev() {
        all[place].0 = all[place].0.min(all[place + 1].0 - APART);
    }
    let canary = match present {
        Some(Place::On(y)) => Some((*y, "canary now".to_owned())),
        Some(Place::Above | Place::Below) | None => None,
    };
    let [up, down] = if harm == Harm::Either { ["higher", "lower"] } else { ["worse", "better"] };
    let ends = [(TOP + 4.0, format!("↑ {up}")), (TOP + HEIGHT - 4.0, format!("↓ {down}"))];
    for one in canary.into_iter().chain(ends) {
        if all.iter().all(|other| (other.0 - one.0).abs() >= APART) {
            all.push(one);
        }
    }
    all
}

/// The steps. The present step is labelled first, then the first one, then the others from the right.
fn steps(axis: &Axis, moments: &[Moment], times: &Times) -> Vec<Step> {
    let step = |x: f64, it: &Moment| Step {
        x,
        share: format!("{} %", it.traffic_percent),
        at: times.short(it.at),
        room: None,
    };
    let mut steps: Vec<Step> = moments.first().map(|it| step(0.0, it)).into_iter().collect();
    for pair in moments.windows(2) {
        // After a promotion labels still come, and nothing is split.
        if pair[0].step != pair[1].step {
            steps.push(step(axis.x(&pair[0]), &pair[1]));
        }
    }
    let order = (0..steps.len()).rev().take(1).chain(0..steps.len().min(1));
    let order: Vec<usize> = order.chain((1..steps.len()).rev()).collect();
    for (is_everywhere, apart, last) in [(true, 24.0, 50.0), (false, 11.0, 74.0)] {
        for place in &order {
            let x = steps[*place].x;
            let is_free = |other: &Step| other.room.is_none() || (other.x - x).abs() >= apart;
            let has_room = x <= last && steps.iter().all(is_free);
            if steps[*place].room.is_none() && has_room {
                steps[*place].room = Some(is_everywhere);
            }
        }
    }
    steps
}

/// The first pass, shift and failure.
fn decided(axis: &Axis, moments: &[Moment], times: &Times) -> Vec<Decided> {
    let kinds = [
        (Conclusion::Pass, "passes", "passes"),
        (Conclusion::Shifted, "holds", "shifted"),
        (Conclusion::Fail, "fails", "fails"),
    ];
    let first = |(conclusion, color, word): (Conclusion, &'static str, &'static str)| {
        let moment = moments.iter().find(|it| it.conclusion == Some(conclusion))?;
        let multiple = moment.effect.and_then(|effect| axis.worse(moment, effect));
        Some(Decided {
            x: axis.x(moment),
            y: multiple.filter(|it| it.abs() <= END).map(y),
            text_y: 0.0,
            is_left: axis.x(moment) > 60.0,
            color,
            words: format!("{word} at {}", times.time(moment.at)),
        })
    };
    let mut decided: Vec<Decided> = kinds.into_iter().filter_map(first).collect();
    for (place, one) in decided.iter_mut().enumerate() {
        one.text_y = TOP + HEIGHT - 8.0 - 16.0 * place as f64;
    }
    decided
}

#[cfg(test)]
#[path = "band_tests.rs"]
mod tests;
