//! Segment scan: requests until harm is found, and false findings.

use rand::RngExt as _;
use rand::SeedableRng as _;
use rand_xoshiro::Xoshiro256PlusPlus;

use super::*;
use crate::canary::judge::evidence::SequentialEvidence;
use crate::canary::judge::monitors::Monitors;
use crate::canary::judge::sentences;
use crate::canary::judge::verdict::Reason;
use crate::canary::judge::verdict::Verdict;
use crate::canary::observed::increment::Increment;
use crate::canary::observed::increment::SegmentIncrement;
use crate::canary::observed::increment::TrackIncrement;
use crate::canary::policy::segments::SegmentHarm;
use crate::canary::policy::segments::Segments;
use crate::canary::policy::segments::Word;
use crate::canary::traffic::split::Split;
use crate::canary::traffic::track::Track;
use crate::canary::traffic::weight::Weight;
use crate::stats::Layout;

/// Traffic in eight segments of equal size, at 10 %, routed by serin's own split.
pub(in crate::canary) struct Traffic {
    pub(in crate::canary) policy: JudgePolicy,
    pub(in crate::canary) monitors: Monitors,
    split: Split,
    rng: Xoshiro256PlusPlus,
    number: u64,
}

/// What the canary does in a segment.
#[derive(Clone, Copy)]
pub(in crate::canary) struct Harm {
    pub(in crate::canary) failure_rate: f64,
    pub(in crate::canary) slower: f64,
}

/// What stable does everywhere.
const STABLE: Harm = Harm { failure_rate: 0.01, slower: 1.0 };

impl Traffic {
    pub(in crate::canary) fn new(harm: SegmentHarm, seed: u64) -> Traffic {
        let declared = toml::from_str("place = [0, 1, 2, 3, 4, 5, 6, 7]").unwrap();
        let segments = Segments::new(&declared, harm).unwrap();
        let policy = JudgePolicy { segments, ..JudgePolicy::default() };
        let monitors = Monitors::new(&policy, &Default::default());
        let weight = Weight::from_percent(10.0).unwrap();
        let split = Split::new(weight, u128::from(seed), 1);
        let rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        Traffic { policy, monitors, split, rng, number: 0 }
    }

    /// A second with this many requests.
    pub(in crate::canary) fn second(
        &mut self,
        requests: usize,
        canary: impl Fn(usize) -> Harm,
    ) -> Increment {
        let mut increment = Increment { weight: self.split.weight(), ..Increment::default() };
        for _ in 0..requests {
            let place = self.rng.random_range(0..8_usize);
            let track = self.split.assign(self.number);
            self.number += 1;
            let does = if track == Track::Canary { canary(place) } else { STABLE };
            let failed = self.rng.random::<f64>() < does.failure_rate;
            let spread = (0..4).map(|_| self.rng.random::<f64>()).sum::<f64>() - 2.0;
            let latency = 0.020 * does.slower * spread.exp();
            let segment = increment.segments.entry(name(place)).or_default();
            let SegmentIncrement { stable, canary } = segment;
            let tracks = match track {
                Track::Stable => [&mut increment.stable, stable],
                Track::Canary => [&mut increment.canary, canary],
            };
            for counts in tracks {
                counts.requests += 1;
                counts.failures += u64::from(failed);
                if !failed {
                    let middle = Layout::Seconds.value(Layout::Seconds.bucket(latency));
                    counts.latency.push((middle, 1));
                }
            }
        }
        let tracks =
            increment.segments.values_mut().flat_map(|it| [&mut it.stable, &mut it.canary]);
        for track in tracks.chain([&mut increment.stable, &mut increment.canary]) {
            sort(track);
        }
        increment
    }

    fn evidence(&self) -> SequentialEvidence {
        SequentialEvidence::new(&self.policy, &self.monitors)
    }

    /// The number of requests until the first finding and the evidence then; `None` after these seconds of 100
    /// requests.
    fn first_finding(
        &mut self,
        seconds: usize,
        canary: impl Fn(usize) -> Harm,
    ) -> Option<(u64, SequentialEvidence)> {
        for _ in 0..seconds {
            let tick = self.second(100, &canary);
            self.monitors.tick(&tick);
            let measured = self.monitors.by_segment();
            let scan = SegmentScan::new(&self.policy, &measured).unwrap();
            if !scan.findings.is_empty() {
                return Some((self.number, self.evidence()));
            }
        }
        None
    }
}

/// Sorts the latencies as a histogram does: ascending, equal ones merged.
fn sort(track: &mut TrackIncrement) {
    track.latency.sort_by(|left, right| left.0.total_cmp(&right.0));
    track.latency.dedup_by(|later, earlier| {
        let is_same = later.0 == earlier.0;
        earlier.1 += if is_same { later.1 } else { 0 };
        is_same
    });
}

fn name(place: usize) -> SegmentName {
    let word = |text: &str| Word::new(text).unwrap();
    SegmentName { key: word("place"), value: word(&place.to_string()) }
}

/// Harm in one segment that the other seven make up for, so that the overall mean shows none.
fn hidden(place: usize, harm: Harm) -> Harm {
    if place == 3 {
        return harm;
    }
    let made_up = STABLE.failure_rate - (harm.failure_rate - STABLE.failure_rate) / 7.0;
    Harm { failure_rate: made_up.max(0.0), slower: 1.0 - (harm.slower - 1.0) / 7.0 }
}

#[test]
fn failures_in_one_segment_of_eight_are_found_and_named() {
    for harm in [SegmentHarm::Hold, SegmentHarm::RollBack] {
        let mut requests = Vec::new();
        for seed in 0..10 {
            let mut traffic = Traffic::new(harm, seed);
            let failing = Harm { failure_rate: 0.20, slower: 1.0 };
            let only_there = |place| if place == 3 { failing } else { STABLE };
            let (after, sequential) = traffic.first_finding(600, only_there).unwrap();
            let first = &sequential.findings()[0];
            let concern = first.concern();
            assert_eq!(sequential.findings().len(), 1);
            assert_eq!(first.metric.as_str(), "failures");
            assert!(
                sentences::concern(&sequential, &concern).starts_with("segment place=3: failures ")
            );
            let (verdict, reasons) = sequential.verdict();
            let expected = match harm {
                SegmentHarm::Hold => Verdict::Hold,
                SegmentHarm::RollBack => Verdict::Rollback,
            };
            // The whole may show it at the same moment, and then it is a rollback in any case.
            if sequential.conclusion.verdict == Verdict::Hold {
                assert_eq!(verdict, expected);
            }
            assert!(reasons.contains(&Reason::Concern(concern)));
            requests.push(after);
        }
        requests.sort_unstable();
        println!("failures 1 to 20 % there: {requests:?} requests");
        assert!(requests[5] < 15_000 && requests[9] < 40_000, "{requests:?}");
    }
}

#[test]
fn slowness_that_the_overall_mean_hides_is_found_and_named() {
    let mut requests = Vec::new();
    for seed in 0..10 {
        let mut traffic = Traffic::new(SegmentHarm::Hold, seed);
        let slow = Harm { failure_rate: 0.01, slower: 2.0 };
        let (after, sequential) = traffic.first_finding(600, |place| hidden(place, slow)).unwrap();
        let first = &sequential.findings()[0];
        assert_eq!(
            (first.segment.to_string().as_str(), first.metric.as_str()),
            ("place=3", "latency")
        );
        assert_eq!(sequential.conclusion.verdict, Verdict::Hold, "{:?}", sequential.conclusion);
        requests.push(after);
    }
    requests.sort_unstable();
    println!("twice as slow there: {requests:?} requests");
    assert!(requests[5] < 15_000 && requests[9] < 40_000, "{requests:?}");
}

/// The chance of any finding is at most 5 %, looked at every second; of 60 such runs more than 8 have
/// one with a chance of one in a hundred.
#[test]
fn an_equal_canary_rarely_has_a_finding() {
    let found = (0..60)
        .filter(|seed| {
            let mut traffic = Traffic::new(SegmentHarm::Hold, 1000 + seed);
            // Any difference is harm, which is the hardest null hypothesis.
            for metric in &mut traffic.policy.metrics {
                metric.tolerated = crate::stats::Margin::default();
            }
            traffic.monitors = Monitors::new(&traffic.policy, &Default::default());
            traffic.first_finding(120, |_| STABLE).is_some()
        })
        .count();
    assert!(found <= 8, "{found} of 60");
}

#[test]
fn where_a_finding_rolls_back_segments_and_metrics_share_alpha() {
    let hold = Traffic::new(SegmentHarm::Hold, 1).policy;
    let back = Traffic::new(SegmentHarm::RollBack, 1).policy;
    let acting = |policy: &JudgePolicy| -> f64 {
        let acting = policy.metrics.iter().filter(|metric| metric.role.acts());
        acting.map(|metric| policy.harm_alpha(metric)).sum()
    };
    assert!((acting(&hold) - 0.05).abs() < 1e-12 && (hold.segment_alpha() - 0.05).abs() < 1e-12);
    assert!((acting(&back) - 0.025).abs() < 1e-12 && (back.segment_alpha() - 0.025).abs() < 1e-12);
}

#[test]
fn segments_without_requests_count_as_hypotheses() {
    let mut traffic = Traffic::new(SegmentHarm::Hold, 1);
    let scan = traffic.evidence().segments.unwrap();
    // Eight values and all others; latency, failures and score.
    assert_eq!((scan.hypotheses, scan.findings.len()), (27, 0));
    let tick = traffic.second(50, |_| STABLE);
    traffic.monitors.tick(&tick);
    let evidence = traffic.evidence();
    assert_eq!((evidence.segments.unwrap().hypotheses, evidence.by_segment.len()), (27, 8));
    let off = JudgePolicy::default();
    assert_eq!(SegmentScan::new(&off, &traffic.monitors.by_segment()), None);
}

#[test]
fn evidence_by_segment_read_back_recomputes_to_the_bit() {
    let mut traffic = Traffic::new(SegmentHarm::RollBack, 4);
    let failing = Harm { failure_rate: 0.30, slower: 1.0 };
    let only_there = |place| if place == 3 { failing } else { STABLE };
    for _ in 0..60 {
        let tick = traffic.second(100, only_there);
        // By way of the tick log.
        let read = Increment::from_bytes(&tick.to_bytes()).unwrap();
        assert_eq!(read, tick);
        traffic.monitors.tick(&read);
        let text = serde_json::to_string(&traffic.monitors).unwrap();
        let monitors: Monitors = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&monitors).unwrap(), text);
    }
    println!("monitors of eight segments take {} bytes of a checkpoint", {
        serde_json::to_string(&traffic.monitors).unwrap().len()
    });
    let evidence = traffic.evidence();
    assert!(!evidence.findings().is_empty());
    let text = serde_json::to_string(&evidence).unwrap();
    let read: SequentialEvidence = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&read.recomputed()).unwrap(), text);
}

/// The figures of docs/measurements.md are those of 200 runs, which take minutes:
/// `SERIN_SEGMENT_RUNS=200 cargo test --lib the_figures_of_segments -- --nocapture`.
#[test]
fn the_figures_of_segments() {
    let runs: u64 = std::env::var("SERIN_SEGMENT_RUNS").map_or(8, |text| text.parse().unwrap());
    let equal = (0..runs).filter(|seed| {
        let mut traffic = Traffic::new(SegmentHarm::Hold, 5000 + seed);
        for metric in &mut traffic.policy.metrics {
            metric.tolerated = crate::stats::Margin::default();
        }
        traffic.monitors = Monitors::new(&traffic.policy, &Default::default());
        traffic.first_finding(3600, |_| STABLE).is_some()
    });
    let equal = equal.count();
    println!("equal, an hour at 100 requests a second: a finding in {equal} of {runs}");
    assert!(equal as f64 <= 0.05 * runs as f64 + 3.0 * (0.05 * 0.95 * runs as f64).sqrt());
    let there = |harm: Harm| move |place: usize| if place == 3 { harm } else { STABLE };
    let failing = Harm { failure_rate: 0.20, slower: 1.0 };
    let slow = Harm { failure_rate: 0.01, slower: 2.0 };
    let figures = |what: &str, canary: &dyn Fn(usize) -> Harm| {
        let mut requests = Vec::new();
        let mut whole = 0;
        for seed in 0..runs / 2 {
            let mut traffic = Traffic::new(SegmentHarm::Hold, 9000 + seed);
            let (after, sequential) = traffic.first_finding(3600, canary).unwrap();
            assert_eq!(sequential.findings()[0].segment.to_string(), "place=3", "{what}");
            whole += u32::from(sequential.conclusion.verdict == Verdict::Rollback);
            requests.push(after);
        }
        requests.sort_unstable();
        let at = |percent: usize| requests[percent * requests.len() / 100];
        let (median, most) = (at(50), at(95));
        println!(
            "{what}: median {median}, 95th percentile {most} requests; shown by the whole by then: {whole} of {}",
            requests.len()
        );
    };
    figures("failures 1 to 20 % there", &there(failing));
    figures("the same, made up for elsewhere", &|place| hidden(place, failing));
    figures("twice as slow there", &there(slow));
    figures("the same, made up for elsewhere", &|place| hidden(place, slow));
}
