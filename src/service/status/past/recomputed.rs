//! Verdicts of the journal, recomputed.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::canary::Verdict;

/// A verdict of the journal and the result of its recomputation.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Recomputed {
    /// The rollout.
    pub rollout: u64,
    /// The sequence of the journal entry.
    pub sequence: u64,
    /// When it was written.
    pub at: Timestamp,
    /// The name of the event.
    pub event: &'static str,
    /// The verdict in the journal.
    pub verdict: Verdict,
    /// The ticks of the sequential judge; `None` for a judgement without its evidence.
    pub ticks: Option<u64>,
    /// The result.
    pub outcome: Outcome,
    /// The difference, or the reason why there is no result.
    pub detail: Option<String>,
}

/// The result of a recomputation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Recomputation)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The judgements are equal.
    Equal,
    /// The judgements differ.
    Differs,
    /// The ticks are no longer kept. The entry is consistent with itself.
    NotKept,
    /// The judgements differ, but another version of the judge recorded this one.
    OtherVersion,
}

/// How many of these verdicts are equal to the journal.
pub fn in_words(verdicts: &[Recomputed]) -> String {
    let total = verdicts.len();
    let count = |outcome| verdicts.iter().filter(|one| one.outcome == outcome).count();
    let (noun, all) = if total == 1 { ("verdict", "") } else { ("verdicts", "all ") };
    if total == 0 {
        return "no verdict to recompute: the journal has none of this rollout".to_owned();
    }
    if count(Outcome::Equal) == total {
        return format!("{total} {noun} recomputed: {all}equal to the journal");
    }
    let parts = [
        (count(Outcome::Equal), "equal"),
        (count(Outcome::Differs), "different"),
        (count(Outcome::NotKept), "not recomputable because the ticks are no longer stored"),
        (count(Outcome::OtherVersion), "given by another version of the judge"),
    ];
    let parts = parts.iter().filter(|(count, _)| *count > 0);
    let parts: Vec<String> = parts.map(|(count, what)| format!("{count} {what}")).collect();
    format!("{total} {noun} recomputed: {}", parts.join(", "))
}
