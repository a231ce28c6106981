//! Metrics of the judge: verdict, and what it knows of each metric.

use super::Snapshot;
use super::seconds;
use crate::canary::Metric;
use crate::canary::Verdict;
use crate::canary::judge::evidence::SequentialEvidence;
use crate::canary::judge::margins::Margins;
use crate::canary::judge::margins::shown;
use crate::canary::judge::monitors::inputs::InputsMeasured;
use crate::canary::judge::verdict::Classification;
use crate::canary::judge::verdict::MetricEvidence;
use crate::stats::Harm;
use crate::text::exposition::Exposition;
use crate::text::exposition::Family;
use crate::text::exposition::Kind;

/// A metric with its evidence and margins.
struct Judged<'a> {
    metric: &'a Metric,
    evidence: MetricEvidence,
    margins: Margins,
}

impl Snapshot<'_> {
    pub(super) fn write_verdict(&self, out: &mut Exposition) {
        let verdict = self.judgement.as_ref().map(|judgement| judgement.verdict);
        let help =
            "1 for what should happen to the canary or a monitored promotion; 0 without either.";
        let all = [Verdict::Promote, Verdict::Rollback, Verdict::Hold];
        let named = all.map(|one| (one.word(), Some(one) == verdict));
        out.states(("serin_verdict", "verdict"), help, named);
        if let Some(as_of) = self.as_of {
            let help = "When the newest tick of the judge closed.";
            out.one(Kind::Gauge, "serin_judge_evidence_timestamp_seconds", help, seconds(as_of));
        }
        let sequential = self.judgement.as_ref().and_then(|it| it.sequential.as_ref());
        if let Some(evidence) = sequential {
            write_metrics(evidence, out);
            write_ratio(evidence, out);
        }
        if !self.queries.is_empty() {
            let help = "Whether Prometheus had values of both tracks when it was last asked.";
            let mut family = out.family(Kind::Gauge, "serin_query_up", help);
            for query in &self.queries {
                family.sample(&[("metric", query.metric.as_str())], query.problem.is_none());
            }
        }
    }
}

fn write_metrics(evidence: &SequentialEvidence, out: &mut Exposition) {
    let judged: Vec<Judged<'_>> = evidence.metrics().map(Judged::new).collect();
    let mut family = |name: &str, help: &str, add: &dyn Fn(&Judged<'_>, &mut Family<'_>)| {
        let mut family = out.family(Kind::Gauge, name, help);
        judged.iter().for_each(|judged| add(judged, &mut family));
    };
    let help = "1 for what the judge concludes of a metric, 0 for the other states.";
    family("serin_judge_state", help, &|judged, family| judged.add_state(family));
    let help = "Canary minus stable, in the unit of the metric: seconds, a share, a probability.";
    family("serin_judge_difference", help, &|judged, family| judged.add_difference(family));
    let help = "Confidence sequence of the difference, in its unit.";
    family("serin_judge_interval", help, &|judged, family| judged.add_interval(family));
    let help = "Differences beyond which a metric fails (harm) and within which it passes (pass).";
    family("serin_judge_limit", help, &|judged, family| judged.add_limits(family));
    let help = "Mean of stable's values, to read the difference as a share.";
    family("serin_judge_stable_mean", help, &|judged, family| {
        if let Some(mean) = judged.evidence.stable_mean {
            family.sample(&[("metric", judged.name())], mean);
        }
    });
    let help = "Samples of a metric.";
    family("serin_judge_samples", help, &|judged, family| {
        let counts = &judged.evidence.samples;
        for (track, count) in [("stable", counts.stable), ("canary", counts.canary)] {
            family.sample(&[("metric", judged.name()), ("track", track)], count);
        }
    });
}

fn write_ratio(evidence: &SequentialEvidence, out: &mut Exposition) {
    let gauge = Kind::Gauge;
    if let Some(score) = evidence.conclusion.score {
        let help = "Weighted score of the metrics with a conclusion, 0 to 100.";
        out.one(gauge, "serin_judge_score", help, score);
    }
    let findings = evidence.findings().len();
    out.one(gauge, "serin_judge_segment_findings", "Segments and metrics with harm.", findings);
    let ratio = &evidence.ratio;
    let help = "Requests that the judge has counted, by track.";
    out.family(gauge, "serin_sample_ratio_requests", help)
        .sample(&[("track", "stable")], ratio.shares.stable)
        .sample(&[("track", "canary")], ratio.shares.canary);
    let help = "Requests that the canary should have got of them.";
    out.one(gauge, "serin_sample_ratio_expected_requests", help, ratio.shares.expected_canary);
    let help = "Always-valid p-value of the expected number.";
    let p_value = ratio.evidence.always_valid_p();
    out.one(gauge, "serin_sample_ratio_p_value", help, p_value);
    let help = "Whether requests are lost, so that comparisons cannot be trusted.";
    out.one(gauge, "serin_sample_ratio_mismatch", help, ratio.is_off());
    let help = "Whether the tracks provably get different inputs, where the policy asks for it.";
    let differ = evidence.inputs.as_ref().is_some_and(InputsMeasured::differ);
    out.one(gauge, "serin_input_mismatch", help, differ);
}

impl Judged<'_> {
    fn new<'a>((metric, evidence): (&'a Metric, &MetricEvidence)) -> Judged<'a> {
        let (evidence, margins) = shown(metric, evidence);
        Judged { metric, evidence, margins }
    }

    fn name(&self) -> &str {
        self.metric.name.as_str()
    }

    fn add_state(&self, family: &mut Family<'_>) {
        let state = match self.evidence.classification {
            Classification::Fail => "fail",
            _ if self.evidence.is_shifted => "shifted",
            Classification::Pass => "pass",
            Classification::Inconclusive => "inconclusive",
            Classification::Insufficient => "insufficient",
        };
        for one in ["pass", "fail", "shifted", "inconclusive", "insufficient"] {
            family.sample(&[("metric", self.name()), ("state", one)], one == state);
        }
    }

    fn add_difference(&self, family: &mut Family<'_>) {
        if let Some(effect) = self.evidence.effect {
            family.sample(&[("metric", self.name())], effect);
        }
    }

    fn add_interval(&self, family: &mut Family<'_>) {
        let Judged { metric, evidence, margins } = self;
        let (Some(effect), Some(interval)) = (evidence.effect, evidence.interval) else { return };
        let interval = margins.interval(metric.harm, evidence, effect, interval);
        for (bound, end) in ["lower", "upper"].into_iter().zip(interval.into_iter().flatten()) {
            family.sample(&[("metric", self.name()), ("bound", bound)], end);
        }
    }

    /// Margins follow stable's values, so there are none before both tracks have some.
    fn add_limits(&self, family: &mut Family<'_>) {
        if self.evidence.effect.is_none() {
            return;
        }
        let sides: &[(&str, f64)] = match self.metric.harm {
            Harm::Higher => &[("upper", 1.0)],
            Harm::Lower => &[("lower", -1.0)],
            Harm::Either => &[("lower", -1.0), ("upper", 1.0)],
        };
        for (limit, margin) in [("harm", self.margins.harmful), ("pass", self.margins.accepted)] {
            for (bound, sign) in sides {
                let labels = [("metric", self.name()), ("limit", limit), ("bound", *bound)];
                family.sample(&labels, sign * margin);
            }
        }
    }
}
