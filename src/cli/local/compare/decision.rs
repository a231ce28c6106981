//! Which of two models is better.

use super::comparison::ALPHA;
use super::comparison::InSegment;
use super::comparison::MIN_ROWS;
use super::comparison::SegmentVerdict;
use super::quality::Loss;
use super::scored::Scored;
use crate::canary::analysis::two_samples::Decision;
use crate::stats::PairedDifference;
use crate::stats::mcnemar_exact;

/// Which model is better, by the difference of the loss. A segment in which B is worse keeps it from being promoted.
pub(super) fn decided(
    models: [&Scored<'_>; 2],
    loss: Loss,
    difference: Option<PairedDifference>,
    labeled: usize,
    segments: &[InSegment],
) -> (Decision, String) {
    let names = models.map(|model| model.path.display().to_string());
    let worse: Vec<String> = segments
        .iter()
        .filter(|segment| segment.verdict == SegmentVerdict::Worse)
        .map(InSegment::name)
        .collect();
    let but = match &worse[..] {
        [] => String::new(),
        worse => format!(" It is worse where {}.", worse.join(", and where ")),
    };
    if labeled == 0 {
        let reason = "Without outcomes the answers do not show which model is better; name their column with --target.";
        return (Decision::Wait, reason.to_owned());
    }
    let Some(found) = difference.filter(|_| labeled >= MIN_ROWS) else {
        let reason = format!("{labeled} rows with an outcome are too few; use {MIN_ROWS} or more.");
        return (Decision::Wait, reason);
    };
    let name = loss.name();
    if found.is_noise() {
        let [low, high] = found.interval.map(|end| loss.signed(end));
        let reason = format!(
            "Within noise: the {name} of {} minus that of {} is {low} to {high} (95 % interval), so these rows do not \
             show which model is better.{but}",
            names[1], names[0]
        );
        return (Decision::Wait, reason);
    }
    let [low, high] = found.interval.map(f64::abs);
    let [low, high] = [low.min(high), low.max(high)].map(|end| loss.digits(end));
    let interval = format!("{low} to {high} (95 % interval)");
    if found.difference > 0.0 {
        let reason = format!("{} is worse: its {name} is higher by {interval}.", names[1]);
        return (Decision::Rollback, reason);
    }
    let reason = format!("{} is better: its {name} is lower by {interval}.{but}", names[1]);
    (if worse.is_empty() { Decision::Promote } else { Decision::Wait }, reason)
}

/// A decision, with the rows that only one model answers. They have no loss, so a B that answers less than A is never
/// better; it is worse if McNemar's exact test shows it.
pub(super) fn with_failures(
    models: [&Scored<'_>; 2],
    decided: (Decision, String),
) -> (Decision, String) {
    let (decision, reason) = decided;
    let [a, b] = models;
    let only = |one: &Scored<'_>, other: &Scored<'_>| {
        (0..one.answers.len()).filter(|row| one.answers(*row) && !other.answers(*row)).count()
            as u64
    };
    let (only_a, only_b) = (only(a, b), only(b, a));
    if only_a == 0 {
        return (decision, reason);
    }
    let failed = format!(
        "{} has no answer for {only_a} of the rows that {} answers.",
        b.path.display(),
        a.path.display()
    );
    if only_a > only_b && mcnemar_exact(only_a, only_b) < ALPHA {
        return (Decision::Rollback, format!("{} is worse: {failed}", b.path.display()));
    }
    let decision = if decision == Decision::Promote { Decision::Wait } else { decision };
    (decision, format!("{failed} In the other rows: {reason}"))
}
