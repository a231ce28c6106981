//! Work: a policy of ten metrics with fifty segments.

use rand::Rng;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use serin::canary::HealthPolicy;
use serin::canary::Increment;
use serin::canary::JudgePolicy;
use serin::canary::MetricName;
use serin::canary::Monitors;
use serin::canary::Samples;
use serin::canary::Weight;
use serin::canary::judge::evidence::SequentialEvidence;
use serin::canary::observed::increment::RecordedIncrement;
use serin::canary::observed::increment::TrackIncrement;

use serin::canary::policy::metric_overrides::JudgePolicyOverride;
use serin::canary::policy::segments::SegmentHarm;
use serin::canary::policy::segments::SegmentName;
use serin::canary::policy::segments::SegmentSettings;
use serin::canary::policy::segments::Segments;
use serin::canary::policy::segments::Word;

use super::Fallible;
use super::traffic::SHARE;

/// Metrics of the policy.
pub const METRICS: usize = 10;
/// Values of each segment key; another segment of each key takes the rest.
const VALUES: [usize; 4] = [12, 12, 12, 10];

/// A policy with [`METRICS`] metrics and 50 segments, its monitors, and what they get in a tick.
pub struct Wide {
    policy: JudgePolicy,
    monitors: Monitors,
    increments: Vec<Increment>,
}

impl Wide {
    /// Ticks between successive samples, in which each request names a segment of each key.
    pub fn new(snapshots: &[Samples]) -> Fallible<Wide> {
        let policy = policy()?;
        let before = snapshots.first().map(|first| first.stable.clone()).unwrap_or_default();
        let monitors = Monitors::new(&policy, &before);
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(5);
        let pairs = snapshots.iter().zip(snapshots.iter().skip(1));
        let increments = pairs.map(|(earlier, now)| increment(&policy, earlier, now, &mut rng));
        let increments = increments.collect::<Fallible<Vec<_>>>()?;
        Ok(Wide { policy, monitors, increments })
    }

    /// Takes in the next tick and concludes.
    pub fn tick(&mut self) -> Option<SequentialEvidence> {
        self.monitors.tick(&self.increments.pop()?);
        Some(SequentialEvidence::new(&self.policy, &self.monitors))
    }
}

fn policy() -> Fallible<JudgePolicy> {
    let default = JudgePolicy::default();
    let recorded: Vec<serde_json::Value> = (default.metrics.len()..METRICS)
        .map(|number| serde_json::json!({ "name": format!("recorded_{number}"), "harm": "higher" }))
        .collect();
    let given: JudgePolicyOverride =
        serde_json::from_value(serde_json::json!({ "metrics": recorded }))?;
    let policy = default.changed(&HealthPolicy::default(), &given)?;
    let values = VALUES.iter().zip(0..).map(|(values, key): (_, u32)| {
        let values: Vec<usize> = (0..*values).collect();
        (format!("key_{key}"), values)
    });
    let declared: SegmentSettings = serde_json::from_value(serde_json::json!(
        values.collect::<std::collections::BTreeMap<_, _>>()
    ))?;
    let segments = Segments::new(&declared, SegmentHarm::Hold)?;
    if (policy.metrics.len(), segments.count()) != (METRICS, 50) {
        return Err(
            format!("{} metrics, {} segments", policy.metrics.len(), segments.count()).into()
        );
    }
    Ok(JudgePolicy { segments, ..policy })
}

fn increment(
    policy: &JudgePolicy,
    earlier: &Samples,
    now: &Samples,
    rng: &mut Xoshiro256PlusPlus,
) -> Fallible<Increment> {
    let weight = Weight::from_percent(100.0 * SHARE).unwrap_or_default();
    let mut tick = Increment::between(weight, earlier, now).ok_or("a tick goes backwards")?;
    for number in JudgePolicy::default().metrics.len()..METRICS {
        let [stable, canary] = [&tick.stable, &tick.canary].map(|track| track.latency.clone());
        let name = MetricName::new(&format!("recorded_{number}"))?;
        tick.recorded.insert(name, RecordedIncrement { stable, canary });
    }
    for key in &policy.segments.keys {
        let values = key.segments() as u64 - 1;
        for is_canary in [false, true] {
            let track = if is_canary { &tick.canary } else { &tick.stable };
            let scores = track.score.iter().flat_map(|&(score, n)| (0..n).map(move |_| score));
            let latencies = track.latency.iter().flat_map(|&(it, n)| (0..n).map(move |_| it));
            for (latency, score) in latencies.zip(scores).collect::<Vec<_>>() {
                let value = match rng.next_u64() % (values + 1) {
                    0 => Word::other(),
                    value => Word::new(&(value - 1).to_string())?,
                };
                let name = SegmentName { key: key.name.clone(), value };
                let segment = tick.segments.entry(name).or_default();
                add(
                    if is_canary { &mut segment.canary } else { &mut segment.stable },
                    latency,
                    score,
                );
            }
        }
    }
    Ok(tick)
}

/// Values come in ascending order.
fn add(track: &mut TrackIncrement, latency: f64, score: f64) {
    track.requests += 1;
    for (values, value) in [(&mut track.latency, latency), (&mut track.score, score)] {
        let place = values.partition_point(|(earlier, _)| *earlier < value);
        match values.get_mut(place) {
            Some((same, count)) if *same == value => *count += 1,
            _ => values.insert(place, (value, 1)),
        }
    }
}
