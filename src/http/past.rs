//! What is asked of past rollouts, as the query and the path of a request say it.

use super::answer::Call;
use super::problem::Kind;
use super::problem::Problem;
use super::query::Fields;
use super::query::invalid;
use crate::canary::judge::what_if::Changes;
use crate::service::ReplayError;
use crate::service::control::audit::Question;
use crate::service::control::audit::Which;
use crate::service::status::past::PastRollout;

/// The fields of a question about a rollout.
pub(super) const FIELDS: [&str; 6] =
    ["metric", "tolerated", "accepted", "alpha", "min_samples", "recompute"];

/// What a request asks of a rollout, whose path ends with its number or `latest`.
pub(super) fn question(call: &Call, fields: &Fields) -> Result<Question, Problem> {
    let id = call.request.match_info().get("id").unwrap_or_default();
    let which = match id {
        "latest" => Which::Latest,
        _ => Which::Number(id.parse().map_err(|_| {
            let detail = format!("{id:?} is not a rollout; use its number or `latest`");
            Problem::new(Kind::NoSuchRollout, detail)
        })?),
    };
    let changes = Changes {
        metric: fields.text("metric").map(str::to_owned),
        tolerated: fields.share("tolerated")?,
        accepted: fields.share("accepted")?,
        alpha: fields.number("alpha")?,
        min_samples: fields.whole("min_samples")?,
        policy: None,
    };
    let recompute = match fields.text("recompute") {
        None | Some("false") => false,
        Some("true") => true,
        Some(other) => {
            return Err(invalid(format!("recompute: {other:?} is not true or false; use true")));
        }
    };
    // A form names its metric although no margin is changed.
    let has_margin = changes.tolerated.is_some() || changes.accepted.is_some();
    let metric = changes.metric.filter(|_| has_margin);
    Ok(Question { which, recompute, changes: Changes { metric, ..changes } })
}

/// What becomes of the answer. One that takes seconds of a core waits for its turn, and keeps it if the client leaves.
pub(super) async fn answered<T: Send + 'static>(
    call: &Call,
    question: Question,
    then: impl FnOnce(PastRollout) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let turn = match question.is_heavy() {
        true => Some(call.shared.replays.permit().await?),
        false => None,
    };
    call.ask(move |service| {
        let _turn = turn;
        let past =
            service.past_rollout(&question).map_err(|cause: ReplayError| Problem::from(cause))?;
        then(past)
    })
    .await
}
