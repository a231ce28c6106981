//! Users that come back: proven by their visits, harm is found after all have come, and the state is a function of the
//! increments.

use super::super::Monitors;
use super::super::measured::Measured;
use super::*;
use crate::canary::observed::samples::TrackSamples;
use crate::canary::observed::visits::VisitsIncrement;
use crate::stats::Layout;

/// Traffic of `users` who come equally often, half of them on the canary; the first of them have even numbers.
struct Traffic {
    users: u32,
    state: u64,
    seen: Vec<bool>,
}

impl Traffic {
    fn new(users: u32) -> Traffic {
        Traffic { users, state: 7, seen: vec![false; users as usize] }
    }

    fn uniform(&mut self) -> f64 {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
        (self.state >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A second of 100 requests, with visits in cells; the canary takes `slower` times as long.
    fn second(&mut self, slower: f64) -> Increment {
        let weight = Weight::from_percent(50.0).unwrap();
        let (mut increment, mut cells) =
            (Increment { weight, ..Increment::default() }, Cells::default());
        for _ in 0..100 {
            let user = (self.uniform() * f64::from(self.users)) as u32;
            let track = if user.is_multiple_of(2) { Track::Canary } else { Track::Stable };
            let factor = if track == Track::Canary { slower } else { 1.0 };
            let latency = 0.050 * (0.8 * (2.0 * self.uniform() - 1.0)).exp() * factor;
            let score = f64::from(user.wrapping_mul(2_654_435_761) % 997) / 997.0;
            let cell = (user.wrapping_mul(2_246_822_519) >> 16) as u8;
            cells.of_mut(track, cell).unwrap().record(latency, Some(score));
            let samples = match track {
                Track::Canary => &mut increment.canary,
                Track::Stable => &mut increment.stable,
            };
            if !std::mem::replace(&mut self.seen[user as usize], true) {
                let middle = |layout: Layout, value| layout.value(layout.bucket(value));
                samples.requests += 1;
                samples.latency.push((middle(Layout::Seconds, latency), 1));
                samples.score.push((middle(Layout::UnitInterval, score), 1));
            }
        }
        increment.visits = VisitsIncrement::from(&cells);
        increment
    }
}

fn judged(seconds: u32, mut increment: impl FnMut(u32) -> Increment) -> (JudgePolicy, Monitors) {
    let policy = JudgePolicy::default();
    let mut monitors = Monitors::new(&policy, &TrackSamples::default());
    (0..seconds).for_each(|second| monitors.tick(&increment(second)));
    (policy, monitors)
}

fn of(monitors: &Monitors, name: &str) -> Measured {
    monitors.measured().into_iter().find(|one| one.metric.as_str() == name).unwrap()
}

#[test]
fn three_hundred_users_prove_a_healthy_canary_by_their_visits() {
    let mut traffic = Traffic::new(300);
    let (policy, monitors) = judged(120, |_| traffic.second(1.0));
    for metric in policy.metrics.iter().filter(|metric| judges_all_visits(&policy, metric)) {
        let measured = of(&monitors, metric.name.as_str());
        assert!(measured.proven.reached(policy.alpha), "{measured:?}");
        assert!(!measured.harm.reached(policy.harm_alpha(metric)), "{measured:?}");
        assert!(measured.has_enough(metric) && measured.visits.unwrap().canary > 5000);
    }
    let mut traffic = Traffic::new(300);
    let (_, without) =
        judged(120, |_| Increment { visits: VisitsIncrement::default(), ..traffic.second(1.0) });
    assert!(!of(&without, "failures").proven.reached(policy.alpha), "first visits are too few");
    assert_eq!(of(&without, "failures").visits, None);
}

#[test]
fn harm_that_begins_after_all_users_have_come_is_found() {
    let found = |slower: f64| {
        let mut traffic = Traffic::new(300);
        let (policy, monitors) =
            judged(300, |second| traffic.second(if second < 30 { 1.0 } else { slower }));
        let latency = of(&monitors, "latency");
        (latency.harm.reached(policy.harm_alpha(&policy.metrics[0])), latency.last_look.unwrap())
    };
    let (is_found, look) = found(1.3);
    assert!(is_found && look.decided[0], "{look:?}");
    assert!((0.2..0.3).contains(&look.difference) && look.counts.fewest() > 5000, "{look:?}");
    let (is_found, look) = found(1.02);
    assert!(!is_found && !look.decided[0], "within what is tolerated: {look:?}");
}

#[test]
fn monitors_with_visits_are_read_back_and_go_on_equally() {
    let mut traffic = Traffic::new(300);
    let increments: Vec<Increment> = (0..40).map(|_| traffic.second(1.05)).collect();
    let (_, whole) = judged(40, |second| increments[second as usize].clone());
    let (_, mut half) = judged(20, |second| increments[second as usize].clone());
    let text = serde_json::to_string(&half).unwrap();
    half = serde_json::from_str(&text).unwrap();
    for increment in &increments[20..] {
        half.tick(&Increment::from_bytes(&increment.to_bytes()).unwrap());
    }
    assert_eq!(half, whole);
}

#[test]
fn another_share_begins_anew_and_a_track_without_visits_is_not_looked_at() {
    let mut traffic = Traffic::new(300);
    let mut cells = KeyCells::beginning(&traffic.second(1.0));
    assert_eq!(cells.tick(&Increment { weight: cells.weight, ..Increment::default() }), None);
    let looks: Vec<f64> = (0..20).filter_map(|_| cells.tick(&traffic.second(1.0))).collect();
    // At about 100, 150, 225, 338, 506 and 759 of 1,000 visits.
    assert!((5..=7).contains(&looks.len()), "{looks:?}");
    let weight = Weight::from_percent(60.0).unwrap();
    assert_eq!(cells.tick(&Increment { weight, ..traffic.second(1.0) }), None);
    let visits = cells.measured();
    assert!(visits.at_this_share < 100 && visits.stable.min(visits.canary) > 900, "{visits:?}");
    let next: Vec<f64> =
        (0..3).filter_map(|_| cells.tick(&Increment { weight, ..traffic.second(1.0) })).collect();
    assert!(!next.is_empty() && next[0] < looks[looks.len() - 1], "the shares go on falling");
}
