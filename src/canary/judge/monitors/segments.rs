//! Monitors of the segments.
//!
//! Every segment has its own monitors for the metrics that act and that serin observes itself. They are
//! created at the segment's first request, so a declared segment without traffic costs nothing.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::measured::Measured;
use super::metric::Monitored;
use super::metric::Tick;
use crate::canary::observed::increment::Increment;
use crate::canary::observed::increment::SegmentIncrement;
use crate::canary::observed::samples::TrackSamples;
use crate::canary::policy::judge_policy::JudgePolicy;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::segments::SegmentName;
use crate::canary::policy::source::Outputs;

/// The monitors of all segments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SegmentMonitors {
    /// The metrics judged in each segment.
    metrics: Vec<Metric>,
    /// The maximum number of segments.
    max_segments: usize,
    /// In ascending order of their names.
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Segment {
    name: SegmentName,
    /// In the order of the metrics.
    metrics: Vec<Monitored>,
}

/// The numbers of one segment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SegmentMeasured {
    /// The segment.
    pub segment: SegmentName,
    /// The numbers of each metric judged by segment.
    pub metrics: Vec<Measured>,
}

impl SegmentMonitors {
    /// Empty monitors; `None` if no segment is declared or no metric is judged by segment.
    pub(crate) fn of(policy: &JudgePolicy) -> Option<SegmentMonitors> {
        let metrics: Vec<Metric> = policy.by_segment().cloned().collect();
        let max_segments = policy.segments.count();
        (max_segments > 0 && !metrics.is_empty()).then(|| SegmentMonitors {
            metrics,
            max_segments,
            segments: Vec::new(),
        })
    }

    /// Takes in one tick.
    pub(crate) fn tick(&mut self, increment: &Increment) {
        let (share, seconds) = (increment.weight.share(), increment.seconds());
        let nothing = Increment::default();
        for (name, observed) in &increment.segments {
            let place = match self.segments.binary_search_by(|one| one.name.cmp(name)) {
                Ok(place) => place,
                // The request counters keep the bound, but lose their names at a restart.
                Err(_) if self.segments.len() >= self.max_segments => continue,
                Err(place) => {
                    let before = TrackSamples::default();
                    let new = |metric| Monitored::new(metric, &Outputs::Probability, &before);
                    let metrics = self.metrics.iter().map(new).collect();
                    self.segments.insert(place, Segment { name: name.clone(), metrics });
                    place
                }
            };
            let SegmentIncrement { stable, canary } = observed;
            let tick = Tick { share, stable, canary, unsegmented: &nothing, seconds };
            for metric in self.segments.get_mut(place).into_iter().flat_map(|one| &mut one.metrics)
            {
                metric.tick(tick);
            }
        }
        let is_idle = |one: &&mut Segment| !increment.segments.contains_key(&one.name);
        for segment in self.segments.iter_mut().filter(is_idle) {
            segment.metrics.iter_mut().for_each(|metric| metric.pass(seconds));
        }
    }

    /// The numbers to judge by.
    pub(crate) fn measured(&self) -> Vec<SegmentMeasured> {
        let measured = |one: &Segment| SegmentMeasured {
            segment: one.name.clone(),
            metrics: one.metrics.iter().map(Monitored::measured).collect(),
        };
        self.segments.iter().map(measured).collect()
    }

    /// The segments that had a request.
    pub(crate) fn names(&self) -> impl Iterator<Item = &SegmentName> {
        self.segments.iter().map(|one| &one.name)
    }
}
