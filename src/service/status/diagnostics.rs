//! What do the health check and the status show beside the metrics?

use serde::Serialize;

use crate::canary::judge::judgement::SequentialEvidence;
use crate::canary::judge::segment_scan::SegmentFinding;
use crate::canary::judge::segment_scan::SegmentSeen;
use crate::canary::policy::judge_policy::RATIO_ALPHA;

/// What was seen beside the metrics.
#[derive(Clone, Debug, Serialize)]
pub struct Diagnostics {
    /// What was seen by segment; `null` where no segments are declared.
    pub segments: Option<SegmentsStatus>,
    /// Whether all requests were counted.
    pub sample_ratio: Option<RatioStatus>,
    /// How often the machine itself was slow.
    pub machine: Option<MachineStatus>,
}

/// What was seen by segment.
#[derive(Clone, Debug, Serialize)]
pub struct SegmentsStatus {
    /// The chance that there is ever a finding if the canary harms nobody.
    pub alpha: f64,
    /// How many questions are asked at once.
    pub hypotheses: usize,
    /// Where harm is found, the strongest evidence first.
    pub findings: Vec<FindingStatus>,
    /// Each segment that had a request, by metric.
    pub seen: Vec<SeenStatus>,
}

/// Harm in a segment.
#[derive(Clone, Debug, Serialize)]
pub struct FindingStatus {
    /// `region=north`.
    pub segment: String,
    /// In what.
    pub metric: String,
    /// It in a sentence with the numbers.
    pub sentence: String,
}

/// What was seen of one metric in one segment.
#[derive(Clone, Debug, Serialize)]
pub struct SeenStatus {
    /// `region=north`.
    pub segment: String,
    /// Which metric.
    pub metric: String,
    /// Samples of the trusted version; of failures: its requests.
    pub stable: u64,
    /// Samples of the version on trial.
    pub canary: u64,
    /// The trusted version's failures; 0 of other metrics.
    pub stable_failures: u64,
    /// The failures of the version on trial.
    pub canary_failures: u64,
    /// Canary minus stable in the metric's unit (seconds, a share of requests, a probability).
    pub effect: Option<f64>,
    /// The evidence for harm at this moment: 3 is a thousand to one.
    pub log10_e_value: f64,
}

/// Whether all requests were counted.
#[derive(Clone, Debug, Serialize)]
pub struct RatioStatus {
    /// Whether the shares are off: then no comparison can be trusted.
    pub is_off: bool,
    /// Requests of the version on trial that the watch has counted.
    pub canary: u64,
    /// Requests of the trusted version.
    pub stable: u64,
    /// How many of all these the canary should have.
    pub expected_canary: f64,
    /// Always-valid p-value against "none were lost".
    pub p_value: f64,
    /// Below it the shares are off.
    pub alpha: f64,
    /// What is wrong, if anything is.
    pub message: Option<String>,
}

/// How often the machine itself was slow.
#[derive(Clone, Debug, Serialize)]
pub struct MachineStatus {
    /// Ticks in which both tracks were slow at once.
    pub stalled_ticks: u64,
    /// Ticks that could be compared with those before them.
    pub ticks: u64,
    /// It in a sentence, if there was a stall.
    pub message: Option<String>,
}

impl Diagnostics {
    /// What this evidence shows.
    pub(crate) fn new(watch: &SequentialEvidence) -> Diagnostics {
        Diagnostics {
            segments: watch.segments.as_ref().map(|scan| SegmentsStatus {
                alpha: scan.alpha,
                hypotheses: scan.hypotheses,
                findings: scan.findings.iter().map(FindingStatus::new).collect(),
                seen: scan.segments.iter().map(SeenStatus::new).collect(),
            }),
            sample_ratio: watch.ratio.map(|ratio| RatioStatus {
                is_off: ratio.is_off(),
                canary: ratio.shares.canary,
                stable: ratio.shares.stable,
                expected_canary: ratio.shares.expected_canary,
                p_value: ratio.evidence.always_valid_p(),
                alpha: RATIO_ALPHA,
                message: ratio.sentence(),
            }),
            machine: watch.stalls.map(|stalls| MachineStatus {
                stalled_ticks: stalls.stalled,
                ticks: stalls.compared,
                message: stalls.sentence(),
            }),
        }
    }
}

impl FindingStatus {
    fn new(finding: &SegmentFinding) -> FindingStatus {
        FindingStatus {
            segment: finding.segment.to_string(),
            metric: finding.metric.to_string(),
            sentence: finding.sentence.clone(),
        }
    }
}

impl SeenStatus {
    fn new(seen: &SegmentSeen) -> SeenStatus {
        SeenStatus {
            segment: seen.segment.to_string(),
            metric: seen.metric.to_string(),
            stable: seen.samples.stable,
            canary: seen.samples.canary,
            stable_failures: seen.samples.stable_failures,
            canary_failures: seen.samples.canary_failures,
            effect: seen.effect,
            log10_e_value: (seen.log10_e_value * 100.0).round() / 100.0,
        }
    }
}
