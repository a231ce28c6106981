//! Histories: which moments are kept, what the intervals have in common, and that a replay gives the same.

use super::*;
use crate::canary::judge::sequential::tests::second;
use crate::canary::observed::increment::Increment;
use crate::canary::observed::samples::TrackSamples;

fn beginning() -> Monitors {
    Monitors::new(&JudgePolicy::default(), &TrackSamples::default())
}

fn logged(number: u64, step: u32, increment: &Increment) -> LoggedTick {
    LoggedTick::new(number, step, Timestamp::from_second(number as i64).unwrap(), increment)
}

/// Monitors after each second with this factor of latency, the histories after all, and the ticks.
fn lived(
    seconds: u64,
    factor: impl Fn(u64) -> f64,
) -> (Vec<Monitors>, MetricHistories, Vec<LoggedTick>) {
    let (policy, mut histories) = (JudgePolicy::default(), MetricHistories::default());
    let (mut monitors, mut ticks) = (vec![beginning()], Vec::new());
    for number in 1..=seconds {
        let tick =
            logged(number, 1 + (number / 100) as u32, &second(number as u32, factor(number), 0));
        let mut next = monitors[monitors.len() - 1].clone();
        // As the log holds it: with its values in order, as the server's ticks are.
        let increment = tick.taken_in(&mut next).unwrap();
        histories.take_in(&policy, &next, &tick, increment.weight);
        monitors.push(next);
        ticks.push(tick);
    }
    (monitors, histories, ticks)
}

fn of(histories: &MetricHistories, name: &str) -> MetricHistory {
    histories.of(1, &JudgePolicy::default(), name).unwrap()
}

#[test]
fn a_narrowing_interval_passes_and_moments_stay_in_order() {
    let (_, histories, _) = lived(120, |_| 1.0);
    let latency = of(&histories, "latency");
    assert!(latency.moments.is_sorted_by(|one, other| one.tick < other.tick));
    let newest = latency.moments.last().unwrap();
    assert_eq!((newest.tick, newest.step, newest.canary_samples), (120, 2, 1200));
    assert_eq!(newest.conclusion, Some(Conclusion::Pass));
    // It only becomes narrower, and lies within each interval.
    let mut before = [f64::NEG_INFINITY, f64::INFINITY];
    for moment in latency.moments.iter().filter(|it| it.interval.is_some()) {
        let unit = moment.unit().unwrap();
        let [low, high] = moment.in_common.unwrap().map(|end| end / unit);
        assert!(low >= before[0] - 1e-9 && high <= before[1] + 1e-9, "{moment:?} {before:?}");
        let [least, most] = moment.interval.unwrap().map(|end| end / unit);
        assert!(low >= least - 1e-9 && high <= most + 1e-9, "{moment:?}");
        before = [low, high];
    }
    assert!(before[1] <= 1.0 + 1e-9, "a pass ends at the accepted margin: {before:?}");
    assert_eq!(latency.contradicted, None);
    // Without labels nothing is known.
    assert!(of(&histories, "log_loss").moments.is_empty());
    assert_eq!(histories.of(1, &JudgePolicy::default(), "other"), None);
}

#[test]
fn as_it_grows_every_other_moment_is_dropped_but_not_the_newest_or_the_first_pass() {
    let (_, whole, ticks) = lived(150, |_| 1.0);
    let passed = |history: &MetricHistory| {
        let is_passed = |it: &&Moment| it.conclusion == Some(Conclusion::Pass);
        history.moments.iter().find(is_passed).cloned()
    };
    let first = passed(&of(&whole, "latency")).unwrap();
    let course = &whole.0[0];
    let mut grown = course.clone();
    // The same moment again and again, with new samples.
    let template = course.newest.clone().unwrap();
    for n in 0..5_000_u64 {
        grown.take_in(Moment {
            tick: template.tick + 1 + n,
            canary_samples: template.canary_samples + 1 + n,
            ..template.clone()
        });
        assert!(grown.moments().len() <= MOST);
    }
    let moments = grown.moments();
    assert!(moments.len() > KEPT / 2 && moments.is_sorted_by(|one, other| one.tick < other.tick));
    assert_eq!(moments.last().unwrap().tick, template.tick + 5_000);
    assert!(moments.contains(&first), "{first:?}");
    // Evenly: no gap is more than two strides.
    let widest = moments.windows(2).map(|pair| pair[1].tick - pair[0].tick).max().unwrap();
    assert!(widest <= 2 * grown.stride, "{widest} {}", grown.stride);
    assert_eq!(ticks.len(), 150);
}

#[test]
fn a_replay_from_any_chunk_and_a_continuation_give_the_same_moments() {
    let policy = JudgePolicy::default();
    let (monitors, whole, ticks) = lived(60, |number| if number > 30 { 1.4 } else { 1.0 });
    let mut replayed = MetricHistories::default();
    // Two chunks, of which the second one goes further than is asked for.
    replayed.replay(&policy, monitors[0].clone(), &ticks[..25], 40).unwrap();
    replayed.replay(&policy, monitors[25].clone(), &ticks[25..], 40).unwrap();
    let mut later = MetricHistories::default();
    later.replay(&policy, monitors[40].clone(), &ticks[40..], 60).unwrap();
    assert_eq!(replayed.clone().continued(later.clone()), whole);
    assert_eq!(of(&replayed, "latency").moments.last().unwrap().tick, 40);
    assert_eq!(MetricHistories::default().continued(whole.clone()), whole);
    let missing = later.replay(&policy, monitors[0].clone(), &ticks[3..], 60);
    assert_eq!(missing, Err(LogError::Gap { expected: 1, found: 4 }));
}

#[test]
fn a_continuation_knows_what_dropped_moments_had_in_common() {
    let (_, histories, _) = lived(20, |_| 1.0);
    let mut grown = histories.0[0].clone();
    let template = grown.newest.clone().unwrap();
    let [low, high] = template.interval.unwrap();
    for n in 0..5_000_u64 {
        // One interval is narrower than all others.
        let narrow = if n == 2_501 { 0.1 } else { 0.0 } * (high - low);
        grown.take_in(Moment {
            tick: template.tick + 1 + n,
            canary_samples: template.canary_samples + 1 + n,
            interval: Some([low + narrow, high - narrow]),
            ..template.clone()
        });
    }
    let is_kept = |tick: u64| grown.moments().iter().any(|it| it.tick == tick);
    assert!(!is_kept(template.tick + 2_502));
    let (in_common, newest) = (grown.in_common, grown.newest.clone());
    let continued = MetricHistories::default().continued(MetricHistories(vec![grown]));
    assert_eq!((continued.0[0].in_common, &continued.0[0].newest), (in_common, &newest));
}

#[test]
fn a_late_harm_is_a_decision_and_may_contradict_what_was_known() {
    let (_, histories, _) = lived(400, |number| if number > 200 { 3.0 } else { 1.0 });
    let latency = of(&histories, "latency");
    let conclusions: Vec<_> = latency.moments.iter().map(|it| it.conclusion).collect();
    assert!(conclusions.contains(&Some(Conclusion::Pass)), "{conclusions:?}");
    assert_eq!(conclusions.last(), Some(&Some(Conclusion::Fail)));
    let contradicted = latency.contradicted.unwrap();
    assert!(contradicted.tick > 200, "{contradicted:?}");
    let mut after = latency.moments.iter().filter(|it| it.tick >= contradicted.tick);
    assert!(after.all(|it| it.in_common.is_none()));
}

#[test]
fn ticks_without_new_samples_are_no_moments() {
    let (monitors, mut histories, _) = lived(10, |_| 1.0);
    let before = histories.clone();
    let idle = logged(11, 1, &Increment::default());
    histories.take_in(&JudgePolicy::default(), &monitors[10], &idle, Weight::ZERO);
    assert_eq!(histories, before);
}
