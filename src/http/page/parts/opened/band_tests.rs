//! Where the band is drawn.

use jiff::Timestamp;

use super::*;
use crate::canary::MetricName;

fn moment(canary: u64, effect: f64, interval: [f64; 2]) -> Moment {
    Moment {
        tick: canary,
        at: Timestamp::from_second(canary as i64).unwrap(),
        step: 1 + u32::from(canary > 50),
        traffic_percent: if canary > 50 { 25.0 } else { 10.0 },
        stable_samples: 9 * canary,
        canary_samples: canary,
        conclusion: None,
        effect: Some(effect),
        interval: Some(interval),
        in_common: Some(interval),
        accepted: 0.1,
        harmful: 0.05,
    }
}

fn band(moments: Vec<Moment>, harm: Harm, has_band: bool) -> Band {
    let names = Names {
        samples: "requests".to_owned(),
        accepted: "accepted +10 %".to_owned(),
        harmful: Some("tolerated +5 %".to_owned()),
        least: None,
    };
    drawn(moments, harm, has_band, names)
}

fn drawn(moments: Vec<Moment>, harm: Harm, has_band: bool, names: Names) -> Band {
    let metric = MetricName::new("latency").unwrap();
    let history = MetricHistory { rollout: 1, metric, harm, moments, contradicted: None };
    Band::new(&history, names, "says".to_owned(), &Times::utc(Timestamp::UNIX_EPOCH), has_band)
}

#[test]
fn worse_is_up_whatever_the_metric_and_the_axis_never_rescales() {
    let higher =
        band(vec![moment(50, 0.1, [-0.1, 0.2]), moment(100, 0.1, [0.0, 0.2])], Harm::Higher, true);
    assert_eq!(higher.newest, Some(Place::On(50.0)));
    assert_eq!(higher.curves.edges, "M500 126L1000 84M500 0L1000 0");
    assert_eq!(higher.curves.fill, "M500 0L1000 0L1000 84L500 126Z");
    assert_eq!(higher.lines, [("zero", 92.0), ("accepted", 50.0), ("harmful", 71.0)]);
    assert_eq!(higher.end, Some(("100 requests".to_owned(), "00:01".to_owned())));
    let lower = band(
        vec![moment(50, -0.1, [-0.2, 0.1]), moment(100, -0.1, [-0.2, 0.0])],
        Harm::Lower,
        true,
    );
    assert_eq!((&lower.curves, &lower.newest), (&higher.curves, &higher.newest));
    let either = band(vec![moment(100, 0.0, [-0.1, 0.1])], Harm::Either, true);
    assert_eq!(either.beyond, [(8.0, 42.0), (134.0, 42.0)]);
}

#[test]
fn what_leaves_the_axis_gets_an_arrow() {
    let beyond = band(vec![moment(100, 0.9, [-0.5, 3.0])], Harm::Higher, true);
    assert_eq!(beyond.newest, Some(Place::Above));
    assert_eq!(beyond.arrows, [(8.0, -7), (176.0, 7)]);
}

#[test]
fn a_step_begins_where_the_last_one_ended() {
    let moments = [20, 40, 60, 80, 100].map(|canary| moment(canary, 0.0, [-0.1, 0.1]));
    let steps: Vec<_> = band(moments.to_vec(), Harm::Higher, true)
        .steps
        .into_iter()
        .map(|step| (step.x, step.share, step.room))
        .collect();
    let expected = [(0.0, "10 %".to_owned(), Some(true)), (40.0, "25 %".to_owned(), Some(true))];
    assert_eq!(steps, expected);
}

#[test]
fn another_rule_draws_the_difference_and_no_band() {
    let found = band(
        vec![moment(50, 0.0, [-0.1, 0.1]), moment(100, 0.0, [-0.1, 0.1])],
        Harm::Higher,
        false,
    );
    let Curves { fill, edges, thin, mean } = &found.curves;
    assert!(fill.is_empty() && edges.is_empty() && thin.is_empty(), "{found:?}");
    assert_eq!((mean.as_str(), found.arrows.len()), ("M500 84L1000 84", 0));
}

#[test]
fn before_the_first_moment_there_are_the_margins_only() {
    let empty = band(Vec::new(), Harm::Higher, true);
    assert_eq!(empty.curves, Curves::default());
    assert_eq!(empty.lines, [("zero", 92.0), ("accepted", 50.0)]);
    assert!(empty.newest.is_none() && empty.steps.is_empty() && empty.end.is_none());
}

#[test]
fn a_gap_is_a_gap_and_names_stand_apart() {
    let gap = Moment { interval: None, in_common: None, ..moment(50, 0.0, [0.0; 2]) };
    let moments = vec![moment(20, 0.0, [-0.1, 0.1]), gap, moment(100, 0.0, [-0.1, 0.1])];
    let found = band(moments, Harm::Higher, true);
    assert_eq!(found.curves.thin, "M200 126M1000 126M200 42M1000 42");
    let strict = Moment { accepted: 0.0, ..moment(100, 0.0, [-0.1, 0.1]) };
    let names = band(vec![strict], Harm::Higher, true).names;
    let mut heights: Vec<f64> = names.iter().map(|(y, _)| *y).collect();
    heights.sort_by(f64::total_cmp);
    assert!(heights.windows(2).all(|pair| pair[1] - pair[0] >= APART), "{names:?}");
}

#[test]
fn lines_ends_and_the_canary_are_named_where_there_is_room() {
    let names = |effect| {
        let found = band(vec![moment(100, effect, [-0.1, 0.1])], Harm::Higher, true);
        found.names.into_iter().map(|(_, name)| name).collect::<Vec<_>>().join(", ")
    };
    let lines = "accepted +10 %, tolerated +5 %, as stable";
    assert_eq!(names(0.0), format!("{lines}, ↑ worse, ↓ better"));
    assert_eq!(names(-0.1), format!("{lines}, canary now, ↑ worse, ↓ better"));
}

#[test]
fn nothing_is_drawn_below_what_is_possible() {
    let names = Names { least: Some(-0.5), ..Names::default() };
    let moments = vec![moment(50, -0.1, [-0.3, 0.1]), moment(100, 0.0, [-0.04, 0.1])];
    let found = drawn(moments, Harm::Higher, true, names);
    // Half of the accepted margin below stable, in a picture of four of them.
    assert_eq!(found.curves.mean, "M500 105L1000 84");
    assert_eq!(found.curves.edges, "M500 105L1000 100.8M500 42L1000 42");
}
