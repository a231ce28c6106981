//! What was observed apart from the metrics: segments, sample ratio, inputs, and stalls of the machine.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::canary::judge::evidence::SequentialEvidence;
use crate::canary::judge::margins::Margins;
use crate::canary::judge::monitors::inputs::InputsMeasured;
use crate::canary::judge::monitors::measured::Measured;
use crate::canary::judge::monitors::segments::SegmentMeasured;
use crate::canary::judge::segment_scan::SegmentFinding;
use crate::canary::judge::segment_scan::SegmentScan;
use crate::canary::judge::sentences;
use crate::canary::judge::sentences::Comparison;
use crate::canary::judge::sequential;
use crate::canary::policy::judge_policy::RATIO_ALPHA;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::metric::MetricName;
use crate::canary::policy::segments::SegmentName;
use crate::stats::Harm;

/// What was observed apart from the classifications of the metrics.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Diagnostics {
    /// Observations by segment; `null` without declared segments.
    pub segments: Option<SegmentsStatus>,
    /// The canary's share of requests against the expected one.
    pub sample_ratio: Option<RatioStatus>,
    /// Whether the tracks get the same inputs; left out unless the policy says `judge_inputs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_balance: Option<BalanceStatus>,
    /// Stalls of the machine.
    pub machine: Option<MachineStatus>,
    /// Shifts of the scores beyond what is tolerated and short of harm, in a sentence; `null` without one.
    pub shift: Option<String>,
    /// Whether a person has accepted the shift: then it holds nothing.
    #[serde(default)]
    pub shift_accepted: bool,
}

/// Observations by segment.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SegmentsStatus {
    /// The probability that a harmless canary ever gets a finding.
    pub alpha: f64,
    /// The number of hypotheses tested at once.
    pub hypotheses: usize,
    /// Segments with harm, strongest evidence first.
    pub findings: Vec<FindingStatus>,
    /// Every segment with at least one request, by metric.
    pub seen: Vec<SeenStatus>,
    /// The strongest evidence of harm, strongest first, eight at most, of what both tracks have samples of, for the page, which is rendered in this
    /// process.
    #[serde(skip)]
    pub worst: Vec<WorstStatus>,
}

/// How many metrics of segments are shown.
const MAX_WORST: usize = 8;

/// One metric in one segment, with what it takes to draw it.
#[derive(Clone, Debug, PartialEq)]
pub struct WorstStatus {
    /// `region=north`.
    pub segment: String,
    /// The metric.
    pub metric: String,
    /// Whether it is a finding.
    pub is_found: bool,
    /// Stable's samples.
    pub stable: u64,
    /// The canary's samples.
    pub canary: u64,
    /// The samples of each track that a comparison takes.
    pub min_samples: u64,
    /// Canary minus stable in the metric's unit; `None` before the first comparison.
    pub effect: Option<f64>,
    /// The same as text.
    pub difference: Option<String>,
    /// A difference within this is accepted, in the metric's unit.
    pub accepted: f64,
    /// A larger difference is harm.
    pub harmful: f64,
    /// In which direction it is worse.
    pub harm: Harm,
    /// The accepted margin by its name in the settings: `accepted +12 %`.
    pub pass_margin: String,
}

/// Harm in a segment.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct FindingStatus {
    /// `region=north`.
    pub segment: String,
    /// The metric.
    pub metric: String,
    /// The finding with its numbers.
    pub sentence: String,
}

/// One metric in one segment.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SeenStatus {
    /// `region=north`.
    pub segment: String,
    /// The metric.
    pub metric: String,
    /// Stable's samples; for failures, its requests.
    pub stable: u64,
    /// The canary's samples.
    pub canary: u64,
    /// Stable's failures; 0 for other metrics.
    pub stable_failures: u64,
    /// The canary's failures.
    pub canary_failures: u64,
    /// Canary minus stable in the metric's unit (seconds, a share of requests, a probability).
    pub effect: Option<f64>,
    /// Current evidence of harm: 3 means a thousand to one.
    pub log10_e_value: f64,
}

/// The canary's share of requests against the expected one: a mismatch means lost requests.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RatioStatus {
    /// Whether they differ, so that comparisons cannot be trusted.
    pub mismatch: bool,
    /// The canary's requests counted by the sequential judge.
    pub canary: u64,
    /// Stable's requests.
    pub stable: u64,
    /// The expected number of the canary's requests.
    pub expected_canary: f64,
    /// Always-valid p-value of the expected share.
    pub p_value: f64,
    /// Below it the shares differ.
    pub alpha: f64,
    /// What differs, in a sentence.
    pub message: Option<String>,
}

/// Whether the tracks get the same inputs: a mismatch means that the split is not random.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct BalanceStatus {
    /// Whether they differ, so that comparisons cannot be trusted.
    pub mismatch: bool,
    /// Rows of the canary that the sequential judge has counted: one of each request in a sample of them.
    pub canary_rows: u64,
    /// Rows of stable.
    pub stable_rows: u64,
    /// Features that are judged.
    pub features: u64,
    /// Features that are not, because together they have too many bins.
    pub features_left_out: u32,
    /// Always-valid p-value of equal inputs.
    pub p_value: f64,
    /// Below it they differ.
    pub alpha: f64,
    /// What differs, in a sentence.
    pub message: Option<String>,
}

/// Stalls of the machine.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct MachineStatus {
    /// Ticks in which both tracks were slow.
    pub stalled_ticks: u64,
    /// Ticks compared with the ones before them.
    pub ticks: u64,
    /// The stalls in a sentence; `null` without any.
    pub message: Option<String>,
}

impl Diagnostics {
    /// The diagnostics of this evidence.
    pub(crate) fn new(sequential: &SequentialEvidence) -> Diagnostics {
        Diagnostics {
            segments: sequential.segments.as_ref().map(|scan| SegmentsStatus {
                alpha: scan.alpha,
                hypotheses: scan.hypotheses,
                findings: scan
                    .findings
                    .iter()
                    .map(|one| FindingStatus::new(sequential, one))
                    .collect(),
                seen: sequential.by_segment.iter().flat_map(SeenStatus::of_segment).collect(),
                worst: worst(sequential, scan),
            }),
            sample_ratio: Some(RatioStatus {
                mismatch: sequential.ratio.is_off(),
                canary: sequential.ratio.shares.canary,
                stable: sequential.ratio.shares.stable,
                expected_canary: sequential.ratio.shares.expected_canary,
                p_value: sequential.ratio.evidence.always_valid_p(),
                alpha: RATIO_ALPHA,
                message: sentences::sample_ratio(&sequential.ratio),
            }),
            input_balance: sequential.inputs.as_ref().map(BalanceStatus::new),
            machine: Some(MachineStatus {
                stalled_ticks: sequential.stalls.stalled,
                ticks: sequential.stalls.compared,
                message: sentences::stalls(&sequential.stalls),
            }),
            shift: sentences::shifts(sequential),
            shift_accepted: sequential.shift_accepted,
        }
    }
}

impl BalanceStatus {
    fn new(inputs: &InputsMeasured) -> BalanceStatus {
        BalanceStatus {
            mismatch: inputs.differ(),
            canary_rows: inputs.canary,
            stable_rows: inputs.stable,
            features: inputs.features,
            features_left_out: inputs.left_out,
            p_value: inputs.evidence.always_valid_p(),
            alpha: RATIO_ALPHA,
            message: sentences::different_inputs(inputs),
        }
    }
}

impl FindingStatus {
    fn new(sequential: &SequentialEvidence, finding: &SegmentFinding) -> FindingStatus {
        FindingStatus {
            segment: finding.segment.to_string(),
            metric: finding.metric.to_string(),
            sentence: sentences::concern(sequential, &finding.concern()),
        }
    }
}

/// The metrics of segments with the strongest evidence of harm. Findings have the strongest.
fn worst(sequential: &SequentialEvidence, scan: &SegmentScan) -> Vec<WorstStatus> {
    let mut all: Vec<(&SegmentName, &Measured)> = sequential
        .by_segment
        .iter()
        .flat_map(|one| one.metrics.iter().map(|measured| (&one.segment, measured)))
        .filter(|(_, measured)| measured.counts.fewest() > 0)
        .collect();
    // Without evidence either way, as of failures where none was seen, it is exactly 0.
    let rank = |measured: &Measured| match measured.harm.log_e() {
        0.0 => f64::NEG_INFINITY,
        evidence => evidence,
    };
    all.sort_by(|(_, left), (_, right)| rank(right).total_cmp(&rank(left)));
    let metric = |name: &MetricName| {
        let mut metrics = sequential.policy.by_segment();
        metrics.find(|metric| metric.name == *name)
    };
    all.into_iter()
        .take(MAX_WORST)
        .filter_map(|(segment, measured)| {
            let metric = metric(&measured.metric)?;
            let mut findings = scan.findings.iter();
            let is_found =
                findings.any(|it| it.segment == *segment && it.metric == measured.metric);
            Some(WorstStatus::new(sequential, metric, (segment, measured), is_found))
        })
        .collect()
}

impl WorstStatus {
    fn new(
        sequential: &SequentialEvidence,
        metric: &Metric,
        (segment, measured): (&SegmentName, &Measured),
        is_found: bool,
    ) -> WorstStatus {
        let evidence = sequential::evidence(&sequential.policy, metric, measured);
        let margins = Margins::new(metric, &evidence);
        let in_words = |effect| Comparison::new(metric, &evidence, effect, None, margins.accepted);
        WorstStatus {
            segment: segment.to_string(),
            metric: metric.name.to_string(),
            is_found,
            stable: measured.counts.stable,
            canary: measured.counts.canary,
            min_samples: metric.min_samples,
            effect: evidence.effect,
            difference: evidence.effect.map(|effect| in_words(effect).difference),
            accepted: margins.accepted,
            harmful: margins.harmful,
            harm: metric.harm,
            pass_margin: format!("accepted {}", in_words(evidence.effect.unwrap_or(0.0)).margin),
        }
    }
}

impl SeenStatus {
    fn of_segment(one: &SegmentMeasured) -> impl Iterator<Item = SeenStatus> {
        one.metrics.iter().map(|measured| {
            let log10_e_value = measured.harm.log_e() / std::f64::consts::LN_10;
            SeenStatus {
                segment: one.segment.to_string(),
                metric: measured.metric.to_string(),
                stable: measured.counts.stable,
                canary: measured.counts.canary,
                stable_failures: measured.counts.stable_failures,
                canary_failures: measured.counts.canary_failures,
                effect: measured.effect.effect().map(|(effect, _)| effect),
                log10_e_value: (log10_e_value * 100.0).round() / 100.0,
            }
        })
    }
}
