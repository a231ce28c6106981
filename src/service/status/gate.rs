//! The verdict for gates, which may ask for it at any time: pipelines, Flagger, Argo Rollouts.

use serde::Serialize;
use utoipa::ToSchema;

use super::health::Health;
use super::overview::RolloutState;
use super::overview::Status;
use super::report::Reported;
use super::report::words::Times;
use super::report::words::duration;
use crate::canary::Verdict;
use crate::canary::Version;
use crate::canary::rollout::state::Ended;
use crate::canary::rollout::state::Outcome;

/// What a gate gets to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct GateVerdict {
    /// `promote`, `rollback`, or `hold` for everything between.
    pub verdict: Verdict,
    /// Why, in one line.
    pub reason: String,
    /// The version it is about; `null` without a rollout if none was named.
    pub version: Option<String>,
    /// Whether serin knows the version that was named, or has a canary if none was.
    #[serde(skip)]
    pub is_known: bool,
}

impl GateVerdict {
    /// The verdict on the canary, or on the version of this name, which may have become stable or been rolled back since.
    /// Without a name, nothing but the running rollout counts: the last one may have been about something else.
    pub fn new(reported: &Reported, named: Option<&str>) -> GateVerdict {
        let Reported { status, report } = reported;
        let times = Times::utc(status.at);
        let of = |verdict, reason: String, version: &str| GateVerdict {
            verdict,
            reason,
            version: Some(version.to_owned()),
            is_known: true,
        };
        // By its name, or by that of its file.
        let is = |version: &Version, name: &str| version.name == name || version.file == name;
        let stable = &status.stable;
        match (&status.canary, named, &status.last_rollout) {
            (Some(canary), _, _) if named.is_none_or(|name| is(canary, name)) => {
                let verdict = verdict(status);
                let why = early(status, verdict).or_else(|| report.why.clone());
                // A person is asked, so what is next says what to do.
                let is_asked = status.state == RolloutState::AwaitingApproval;
                let next = is_asked.then(|| format!("It waits for approval. {}", report.next));
                let sentences = [Some(report.headline.clone()), why, next].into_iter().flatten();
                let sentences: Vec<String> =
                    sentences.map(|it| it.trim_end_matches('.').to_owned()).collect();
                let reason = sentences.join(". ") + ".";
                of(verdict, reason, &canary.name)
            }
            (_, Some(name), _) if is(&stable.version, name) => {
                match status.post_promotion.as_ref().and_then(|promotion| promotion.harm.clone()) {
                    Some(harm) => of(Verdict::Rollback, harm, name),
                    None => {
                        let since = times.time(stable.since);
                        of(Verdict::Promote, format!("{name} has been stable since {since}."), name)
                    }
                }
            }
            (_, Some(name), Some(last)) if is(&last.canary, name) => {
                let (verdict, reason) = ended(last, &times);
                of(verdict, reason, name)
            }
            (canary, Some(name), _) => {
                let canary = canary.as_ref().map(|canary| canary.name.as_str());
                let now = canary.map_or("there is no canary".to_owned(), |canary| {
                    format!("the canary is {canary}")
                });
                let reason = format!(
                    "{name} is neither the canary nor stable, and the last rollout was of another version: {now}, and {} \
                     is stable. A version is named as its file, without the ending.",
                    stable.version.name
                );
                GateVerdict { is_known: false, ..of(Verdict::Hold, reason, name) }
            }
            (_, None, _) => {
                let reason = "There is no canary. To learn how a rollout ended, name its version."
                    .to_owned();
                GateVerdict { verdict: Verdict::Hold, reason, version: None, is_known: false }
            }
        }
    }
}

/// How the last rollout ended.
fn ended(last: &Ended, times: &Times) -> (Verdict, String) {
    let (verdict, how) = match last.outcome {
        // Stable by now is another version; the journal has how.
        Outcome::Promoted => (Verdict::Hold, "was promoted"),
        Outcome::RolledBack => (Verdict::Rollback, "was rolled back"),
        Outcome::Reverted => (Verdict::Rollback, "was promoted and reverted"),
        Outcome::NoVerdict => (Verdict::Hold, "ended without a verdict"),
    };
    let (name, at) = (&last.canary.name, times.time(last.at));
    (verdict, format!("{name} {how} at {at}: {}", last.reason))
}

/// The verdict on the canary, which may be asked for every second: until the intended duration is over, one that the
/// sequential judge gives, too. A test for one look would find something by chance if it were asked until it does.
/// Without a canary, and while a person keeps it from being promoted, it is `hold`.
pub fn verdict(status: &Status) -> Verdict {
    let Some(health) = &status.health else { return Verdict::Hold };
    let verdict = match remaining_bake(status) {
        None => health.verdict,
        Some(_) => agreed(health),
    };
    match (verdict, status.state) {
        (Verdict::Promote, RolloutState::Paused | RolloutState::AwaitingApproval) => Verdict::Hold,
        (verdict, _) => verdict,
    }
}

/// What both judges say.
fn agreed(health: &Health) -> Verdict {
    let sequential = health.sequential.as_ref().map_or(Verdict::Hold, |it| it.verdict);
    match (sequential, health.verdict) {
        (Verdict::Rollback, _) => Verdict::Rollback,
        (Verdict::Promote, Verdict::Promote) => Verdict::Promote,
        (_, _) => Verdict::Hold,
    }
}

/// The rest of the intended duration, in seconds; `None` once it is over.
fn remaining_bake(status: &Status) -> Option<f64> {
    let rollout = status.rollout.as_ref()?;
    rollout.remaining_bake_seconds.filter(|left| *left > 0.0)
}

/// Why a verdict does not count yet, if one look at the data gives one.
fn early(status: &Status, verdict: Verdict) -> Option<String> {
    let (left, one_look) = (remaining_bake(status)?, status.health.as_ref()?.verdict);
    let is_early = verdict == Verdict::Hold && one_look != Verdict::Hold;
    (is_early && status.state != RolloutState::Paused).then(|| {
        format!(
            "One look says {}, which counts in {}, when the step has lasted as long as intended. The sequential judge, \
             which may be asked at any time, has no verdict yet.",
            one_look.word(),
            duration(left)
        )
    })
}
