//! Metrics of requests and of the threads that answer them.

use super::Snapshot;
use super::TRACKS;
use super::seconds;
use crate::canary::Track;
use crate::canary::observed::samples::Failure;
use crate::model::OutputKind;
use crate::service::serving::inference::ThreadLoad;
use crate::service::serving::totals::FallbackReason;
use crate::service::serving::totals::TrackTotals;
use crate::service::serving::totals::distribution::Distribution;
use crate::service::serving::totals::distribution::LATENCY_SECONDS;
use crate::service::serving::totals::distribution::PROBABILITY;
use crate::service::serving::totals::distribution::SCORE;
use crate::text::exposition::Exemplar;
use crate::text::exposition::Exposition;
use crate::text::exposition::Kind;

/// Classes with a series of their own. A model of more classes has none, because thousands of series help no one.
const MAX_CLASSES: usize = 50;

impl Snapshot<'_> {
    pub(super) fn write_traffic(&self, out: &mut Exposition) {
        let help = "Predictions by the track that the split assigned.";
        let mut requests = out.family(Kind::Counter, "serin_requests", help);
        for track in TRACKS {
            requests.sample(&[("track", track.name())], self.total(track).requests);
        }
        let help = "Predictions that the assigned version failed to answer, by kind of failure.";
        let mut failures = out.family(Kind::Counter, "serin_failures", help);
        for track in TRACKS {
            for kind in Failure::ALL {
                let labels = [("track", track.name()), ("kind", kind.name())];
                failures.sample(&labels, self.total(track).failures.of(kind));
            }
        }
        let help = "Latency of answered predictions, divided by the rows of the request.";
        let mut latency = out.family(Kind::Histogram, "serin_prediction_duration_seconds", help);
        for track in TRACKS {
            let values = &self.total(track).latency;
            let counted = (LATENCY_SECONDS, values.counts());
            let exemplars = self.exemplars.kept(track);
            let exemplar = |place: usize| {
                let kept = (*exemplars.get(place)?)?;
                let (trace_id, value) = (kept.trace_id, kept.latency_seconds);
                Some(Exemplar { trace_id, value, seconds: seconds(kept.at) })
            };
            let labels = [("track", track.name())];
            latency.histogram_with(&labels, counted, Some(values.sum()), exemplar);
        }
        self.write_outputs(out);
        let help = "Requests of the canary that stable answered, by reason.";
        let mut fallbacks = out.family(Kind::Counter, "serin_fallbacks", help);
        for reason in FallbackReason::ALL {
            let count = self.totals.fallbacks_by_reason.get(reason.index()).copied();
            fallbacks.sample(&[("reason", reason.name())], count.unwrap_or_default());
        }
        let help = "Predictions refused because no inference thread became free in time.";
        out.one(Kind::Counter, "serin_overloaded", help, self.totals.overloaded);
        let shadow = &self.totals.shadow;
        let help = "Requests that the canary was to answer in shadow, by outcome.";
        out.family(Kind::Counter, "serin_shadow_requests", help)
            .sample(&[("outcome", "answered")], shadow.answered)
            .sample(&[("outcome", "failed")], shadow.failed)
            .sample(&[("outcome", "dropped")], shadow.dropped);
        let help = "Requests that wait for the shadow thread.";
        out.one(Kind::Gauge, "serin_shadow_queue", help, self.shadow_waiting);
    }

    fn write_outputs(&self, out: &mut Exposition) {
        let help = "What the versions answered: the mean over the rows of a request.";
        let (bounds, has_sum) = match self.live.stable.inference.model().output() {
            OutputKind::Probability { .. } => (PROBABILITY, true),
            // Negative scores would let the sum fall.
            OutputKind::Score => (SCORE, false),
            OutputKind::Probabilities { classes } => {
                if classes.len() <= MAX_CLASSES {
                    self.write_classes(classes, out);
                }
                return;
            }
        };
        let mut scores = out.family(Kind::Histogram, "serin_score", help);
        for track in TRACKS {
            let values: &Distribution = &self.total(track).score;
            let sum = has_sum.then_some(values.sum());
            scores.histogram(&[("track", track.name())], (bounds, values.counts()), sum);
        }
    }

    fn write_classes(&self, classes: &[String], out: &mut Exposition) {
        let help = "Sum of the probabilities that were answered for each class.";
        let mut sums = out.family(Kind::Counter, "serin_class_probability", help);
        for track in TRACKS {
            for (place, class) in classes.iter().enumerate() {
                let sum = self.total(track).classes.get(place).copied().unwrap_or_default();
                sums.sample(&[("track", track.name()), ("class", class)], sum);
            }
        }
    }

    pub(super) fn write_threads(&self, out: &mut Exposition) {
        let of = |track| {
            let loaded = self.loaded(track);
            loaded.map(|loaded| loaded.inference.threads()).unwrap_or_default()
        };
        let loads = TRACKS.map(|track| (track.name(), of(track)));
        let mut gauges = |name: &str, help: &str, value: fn(&ThreadLoad) -> usize| {
            let mut family = out.family(Kind::Gauge, name, help);
            for (track, load) in &loads {
                family.sample(&[("track", track)], value(load));
            }
        };
        let help = "Inference threads; 0 for models that run on the threads of their requests.";
        gauges("serin_inference_threads", help, |load| load.threads);
        let help = "Inference threads that are computing an answer.";
        gauges("serin_inference_in_flight", help, |load| load.in_flight);
        gauges("serin_inference_queue", "Requests that wait for an inference thread.", |load| {
            load.queued
        });
        let help = "Predictions that still run although their request has ended.";
        gauges("serin_inference_hanging", help, |load| load.hanging);
    }

    fn total(&self, track: Track) -> &TrackTotals {
        match track {
            Track::Stable => &self.totals.stable,
            Track::Canary => &self.totals.canary,
        }
    }
}
