//! Renders evidence as sentences, for the status, the history, notifications and the terminal.
//!
//! Nothing here is stored: the journal keeps numbers and enums.

use super::evidence::SequentialEvidence;
use super::health_check::Evidence;
use super::health_check::LatencyEvidence;
use super::health_check::ScoreEvidence;
use super::health_check::Slower;
use super::judgement::Judgement;
use super::monitors::inputs::InputsMeasured;
use super::monitors::sample_ratio::RatioMeasured;
use super::monitors::sample_ratio::Shares;
use super::monitors::stalls::Stalls;
use super::sequential;
use super::sequential::SequentialVerdict;
use super::verdict::Classification;
use super::verdict::Concern;
use super::verdict::MetricEvidence;
use super::verdict::Reason;
use super::verdict::Verdict;
use crate::canary::policy::health::HealthPolicy;
use crate::canary::policy::judge_policy::JudgePolicy;
use crate::canary::policy::judge_policy::STALL_FACTOR;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::metric::Role;
use crate::canary::policy::metric::Source;
use crate::text::durations::duration;
use crate::text::lists::list;
use crate::text::lists::quoted;
use crate::text::numbers::equation;
use crate::text::numbers::number;
use crate::text::numbers::share;

mod comparison;
mod forecast;
mod metric;

pub use comparison::Comparison;
pub use comparison::clipped;
pub use forecast::forecast;
pub use forecast::of_metric;
pub use forecast::within;
pub use metric::NOTHING_COMPARED;
pub use metric::beyond_the_mean;
pub use metric::harm;
pub use metric::metric;
pub use metric::shift;
pub use metric::spreads;

/// At most this many sentences are listed at once; the evidence holds all of them.
const MAX_SENTENCES: usize = 5;

/// Why the judgement came to its verdict, in one line. A pass of the health check says first what was checked.
pub fn why(judgement: &Judgement) -> String {
    let harmless = judgement.reasons.iter().filter_map(|reason| match reason {
        Reason::LatencyIsFine => Some("latency"),
        Reason::FailuresAreFine => Some("failures"),
        Reason::ScoreIsFine => Some("score"),
        _ => None,
    });
    let harmless: Vec<String> = harmless.map(str::to_owned).collect();
    let passes = judgement.verdict == Verdict::Promote && !harmless.is_empty();
    let checked = passes.then(|| format!("no harm found in {}", list(&harmless)));
    let reasons = reasons(judgement, &judgement.reasons);
    checked.into_iter().chain(reasons).collect::<Vec<_>>().join("; ")
}

/// These reasons of a judgement, one sentence each; the first few, and how many more there are.
pub fn reasons(judgement: &Judgement, reasons: &[Reason]) -> Vec<String> {
    let mut sentences: Vec<String> =
        reasons.iter().take(MAX_SENTENCES).map(|one| reason(judgement, one)).collect();
    let more = reasons.len().saturating_sub(MAX_SENTENCES);
    if more > 0 {
        sentences.push(format!("and {more} more"));
    }
    sentences
}

/// These concerns of a judgement, in one line.
pub fn concerns(judgement: &Judgement, concerns: &[Concern]) -> String {
    let concerns: Vec<Reason> = concerns.iter().cloned().map(Reason::Concern).collect();
    reasons(judgement, &concerns).join("; ")
}

/// One reason of a judgement.
pub fn reason(judgement: &Judgement, reason: &Reason) -> String {
    let Judgement { policy, evidence, sequential, .. } = judgement;
    // One difference has the same numbers here and in the table of metrics, wherever both judges agree on it.
    let agreeing = |source: Source, is_harm: bool, conclusion: &str| {
        let mut metrics = sequential.iter().flat_map(SequentialEvidence::metrics);
        let (metric, evidence) = metrics.find(|(metric, _)| metric.source == source)?;
        metric::agreeing(metric, evidence, is_harm, conclusion)
    };
    let latency = |is_harm, conclusion| match &evidence.latency {
        Some(latency) => agreeing(Source::Latency, is_harm, conclusion)
            .unwrap_or_else(|| latency_difference(policy, evidence, latency, conclusion)),
        None => too_few_samples(policy, evidence),
    };
    let score = |conclusion| match &evidence.score {
        Some(score) => score_difference(score, conclusion),
        None => too_few_samples(policy, evidence),
    };
    let with_evidence = |render: &dyn Fn(&SequentialEvidence) -> String| {
        sequential.as_ref().map_or_else(|| NO_EVIDENCE.to_owned(), render)
    };
    match reason {
        Reason::FailsMoreOften => {
            let inputs = &evidence.inputs;
            let seen = inputs.canary.requests.min(inputs.stable.requests);
            let found = failure_difference(evidence, "more than chance explains");
            format!("{found}{}", metric::early(seen, policy.min_samples))
        }
        Reason::IsSlower => latency(true, "slower than tolerated"),
        Reason::TooFewSamples => too_few_samples(policy, evidence),
        Reason::MayFailMoreOften => {
            failure_difference(evidence, "more than accepted, but possibly by chance")
        }
        Reason::LatencyIsFine => latency(false, "no harmful difference"),
        Reason::FailuresAreFine => failure_difference(evidence, "no harmful difference"),
        Reason::ScoreShifted => score("shifted beyond the harmful margin"),
        Reason::MayBeShifted => score("shifted beyond the harmful margin, but possibly by chance"),
        Reason::ScoreSpread => score("the spread differs grossly"),
        Reason::ScoreIsFine => agreeing(Source::Score, false, "no gross difference")
            .unwrap_or_else(|| score("no gross difference")),
        Reason::Outweighed(finding) => {
            format!("outweighed, because proven otherwise: {}", self::reason(judgement, finding))
        }
        Reason::Metrics => {
            with_evidence(&|sequential| verdict(&sequential.policy, &sequential.conclusion))
        }
        Reason::Metric(name) => with_evidence(&|sequential| {
            let mut metrics = sequential.metrics();
            let meant = metrics.find(|(metric, _)| metric.name == *name);
            meant.map_or_else(|| name.to_string(), |(one, evidence)| metric(one, evidence))
        }),
        Reason::Concern(one) => with_evidence(&|sequential| concern(sequential, one)),
        Reason::NoEvidence => NO_EVIDENCE.to_owned(),
    }
}

/// What a person should know before a promotion if the evidence
/// [lacks compared answers](SequentialEvidence::lacks_compared_answers).
pub const WRONG_ANSWERS_MAY_BE_MISSED: &str =
    "no answer was compared with stable's or with a label, so wrong answers may be missed";

/// Why the judgement came to its verdict, and what a person should know before a promotion.
pub fn why_to_promote(judgement: &Judgement) -> String {
    let sequential = judgement.sequential.as_ref();
    let is_lacking = sequential.is_some_and(SequentialEvidence::lacks_compared_answers);
    let caveat = is_lacking.then(|| WRONG_ANSWERS_MAY_BE_MISSED.to_owned());
    std::iter::once(why(judgement)).chain(caveat).collect::<Vec<_>>().join("; ")
}

const NO_EVIDENCE: &str = "the sequential judge has no evidence";

/// The conclusion of the sequential judge.
pub fn verdict(policy: &JudgePolicy, conclusion: &SequentialVerdict) -> String {
    let of = |classification| -> Vec<(&Metric, &MetricEvidence)> {
        let is_meant = |(_, evidence): &(&Metric, &MetricEvidence)| {
            evidence.role != Role::Advisory && evidence.classification == classification
        };
        let is_meant = |it: &(&Metric, &MetricEvidence)| {
            let is_awaited = match classification {
                Classification::Pass | Classification::Fail => true,
                Classification::Inconclusive | Classification::Insufficient => it.0.required,
            };
            is_awaited && is_meant(it)
        };
        policy.metrics.iter().zip(&conclusion.metrics).filter(is_meant).collect()
    };
    let names = |classification| -> String {
        let names: Vec<&str> =
            of(classification).into_iter().map(|(metric, _)| metric.name.as_str()).collect();
        names.join(", ")
    };
    let failed = names(Classification::Fail);
    match conclusion.verdict {
        Verdict::Rollback => {
            let failed = of(Classification::Fail).into_iter();
            failed.map(|(one, evidence)| harm(one, evidence)).collect::<Vec<_>>().join("; ")
        }
        Verdict::Promote => {
            let passing = |role: Role| -> Vec<&str> {
                let passed = of(Classification::Pass).into_iter();
                let passed = passed.filter(|(metric, _)| metric.role == role);
                passed.map(|(metric, _)| metric.name.as_str()).collect()
            };
            let (guardrails, signals) = (passing(Role::Guardrail), passing(Role::Signal));
            let guardrails = match guardrails.is_empty() {
                true => "there is no guardrail".to_owned(),
                false => format!("every guardrail passes: {}", guardrails.join(", ")),
            };
            let signals =
                (!signals.is_empty()).then(|| format!("signals that pass: {}", signals.join(", ")));
            let outweighed = (!failed.is_empty()).then(|| format!("outweighed: {failed}"));
            [Some(guardrails), signals, outweighed]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join("; ")
        }
        Verdict::Hold => {
            let open = [
                ("failing", Classification::Fail),
                ("waiting for data", Classification::Insufficient),
                ("inconclusive", Classification::Inconclusive),
            ];
            let open: Vec<String> = open
                .into_iter()
                .map(|(state, classification)| (state, names(classification)))
                .filter(|(_, names)| !names.is_empty())
                .map(|(state, names)| format!("{state}: {names}"))
                .collect();
            format!("no verdict yet; {}", open.join("; "))
        }
    }
}

/// The harm that the score outweighs, if there is any.
pub fn outweighed(sequential: &SequentialEvidence) -> Option<String> {
    let is_failed = |(_, one): &(&Metric, &MetricEvidence)| {
        one.role.acts() && one.classification == Classification::Fail
    };
    let failed = sequential.metrics().filter(is_failed);
    let failed: Vec<String> = failed.map(|(one, evidence)| harm(one, evidence)).collect();
    sequential.outweighs_harm().then(|| format!("outweighed by the score: {}", failed.join("; ")))
}

/// One concern of the sequential judge.
pub fn concern(sequential: &SequentialEvidence, concern: &Concern) -> String {
    match concern {
        Concern::SampleRatio => {
            sample_ratio(&sequential.ratio).unwrap_or_else(|| "sample ratio".to_owned())
        }
        Concern::Inputs => {
            let differ = sequential.inputs.as_ref().and_then(different_inputs);
            differ.unwrap_or_else(|| "different inputs".to_owned())
        }
        Concern::Shift => shifts(sequential).unwrap_or_else(|| "shifted scores".to_owned()),
        Concern::Segment { segment, metric } => {
            let mut metrics = sequential.policy.by_segment();
            let meant = metrics.find(|one| one.name == *metric);
            let mut segments = sequential.by_segment.iter();
            let measured = segments.find(|one| one.segment == *segment);
            let measured = measured
                .and_then(|one| one.metrics.iter().find(|measured| measured.metric == *metric));
            let Some((meant, measured)) = meant.zip(measured) else {
                return format!("segment {segment}: {metric}");
            };
            let evidence = sequential::evidence(&sequential.policy, meant, measured);
            format!("segment {segment}: {}", harm(meant, &evidence))
        }
    }
}

/// The shifts of the scores and, where pairs were compared, the share of flipped labels; `None` without a shift.
pub fn shifts(sequential: &SequentialEvidence) -> Option<String> {
    let shifted: Vec<(&Metric, &MetricEvidence)> = sequential.shifted().collect();
    let is_flips = |(metric, _): &(&Metric, &MetricEvidence)| metric.source == Source::ShadowFlips;
    let flips = sequential.metrics().find(is_flips).filter(|_| !shifted.iter().any(is_flips));
    let flips = flips.and_then(|(_, evidence)| evidence.effect);
    let flips = flips.map(|share| format!("{} % of the labels flip", number(round(100.0 * share))));
    let sentences: Vec<String> = shifted.iter().map(|(one, it)| shift(one, it)).collect();
    let is_any = !sentences.is_empty();
    is_any.then(|| sentences.into_iter().chain(flips).collect::<Vec<_>>().join("; "))
}

fn round(percent: f64) -> f64 {
    (10.0 * percent).round() / 10.0
}

/// A sample ratio mismatch, if there is one.
pub fn sample_ratio(ratio: &RatioMeasured) -> Option<String> {
    let Shares { canary, stable, expected_canary } = ratio.shares;
    ratio.is_off().then(|| {
        format!(
            "sample ratio mismatch: {canary} requests counted for the canary and {stable} for stable, where \
             the split implies about {} for the canary; requests were lost, or clients chose their keys by \
             the version that answered, so no comparison is valid",
            number(expected_canary.round()),
        )
    })
}

/// That the tracks get different inputs, if they do.
pub fn different_inputs(inputs: &InputsMeasured) -> Option<String> {
    let most = inputs.most.as_ref().filter(|_| inputs.differ())?;
    Some(format!(
        "the tracks get different inputs: {} is {} in {} of {} requests of stable and in {} of {} of the canary ({}); a \
         client chose its keys by the version that answered, or a proxy sends some requests to one version only, so no \
         comparison is valid; repair that and deploy again",
        quoted(&most.feature),
        most.values,
        share(most.stable_share()),
        most.stable_rows,
        share(most.canary_share()),
        most.canary_rows,
        equation("p", inputs.evidence.always_valid_p()),
    ))
}

/// Stalls of the machine, if there were any.
pub fn stalls(stalls: &Stalls) -> Option<String> {
    let Stalls { stalled, compared } = stalls;
    (*stalled > 0).then(|| {
        format!(
            "the machine stalled in {stalled} of {compared} ticks: both tracks took more than {STALL_FACTOR} \
             times stable's usual latency"
        )
    })
}

fn latency_difference(
    policy: &HealthPolicy,
    evidence: &Evidence,
    latency: &LatencyEvidence,
    conclusion: &str,
) -> String {
    let shown_by = match latency.slower(evidence.inputs.confirmation, policy.alpha) {
        Slower::NotShown | Slower::ByWelch => String::new(),
        Slower::Confirmed(p) => format!("; confirmed by permutation, {}", equation("p", p)),
        Slower::NotConfirmed(p) => format!("; not confirmed by permutation, {}", equation("p", p)),
        Slower::ByRanks(p) => format!("; shown by ranks, {}", equation("p", p)),
    };
    let [canary, stable] = [&evidence.inputs.canary, &evidence.inputs.stable]
        .map(|inputs| inputs.latency.mean().unwrap_or(0.0));
    format!(
        "latency: {conclusion}: canary {}, stable {}, difference {} (interval {} to {}, tolerated {}{shown_by})",
        duration(canary),
        duration(stable),
        duration(latency.difference_seconds),
        duration(latency.interval_seconds.0.max(-stable)),
        duration(latency.interval_seconds.1),
        duration(latency.margin_seconds),
    )
}

fn score_difference(score: &ScoreEvidence, conclusion: &str) -> String {
    let ScoreEvidence { difference, margin, stable_spread, canary_spread, .. } = score;
    format!(
        "score: {conclusion}: mean {difference:+.3} against stable (harmful {margin:.3}), standard deviation \
         {canary_spread:.3} against {stable_spread:.3}"
    )
}

fn failure_difference(evidence: &Evidence, conclusion: &str) -> String {
    let (stable, canary) = (&evidence.inputs.stable, &evidence.inputs.canary);
    format!(
        "failures: {conclusion}: canary {} of {}, stable {} of {}",
        canary.failures, canary.requests, stable.failures, stable.requests,
    )
}

fn too_few_samples(policy: &HealthPolicy, evidence: &Evidence) -> String {
    let inputs = &evidence.inputs;
    let returning = match inputs.repeated {
        0 => "",
        _ => "; users who come back count once",
    };
    format!(
        "waiting for data: canary {}, stable {} answered requests, needs {} of each{returning}",
        inputs.canary.latency.count(),
        inputs.stable.latency.count(),
        policy.min_samples,
    )
}
