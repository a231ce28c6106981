//! What is asked of past rollouts, as the query and the path of a request say it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::answer::Call;
use super::departure::Departure;
use super::problem::Kind;
use super::problem::Problem;
use super::query::Fields;
use super::query::invalid;
use super::shared::Asker;
use crate::canary::judge::what_if::Changes;
use crate::service::ReplayError;
use crate::service::control::audit::Limit;
use crate::service::control::audit::Question;
use crate::service::control::audit::Which;
use crate::service::status::past::PastRollout;

/// The fields of a question about a rollout.
pub(super) const FIELDS: [&str; 6] =
    ["metric", "tolerated", "accepted", "alpha", "min_samples", "recompute"];

/// How long one answer may take, its wait for a turn aside. A tick of a what-if takes 46 µs on a core of 2026 with the
/// built-in metrics, so this is enough for 650,000: five times what is kept of a rollout at 100 requests a second.
const BUDGET: Duration = Duration::from_secs(30);

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
        alpha: fields.probability("alpha")?,
        min_samples: fields.samples("min_samples")?,
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

/// Sets its flag when it is dropped: then the answer is no longer awaited.
#[derive(Default)]
struct Awaited(Arc<AtomicBool>);

impl Drop for Awaited {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What becomes of the answer. One that takes seconds of a core waits for its turn. It ends, also while it waits, once the
/// client has closed its side of the connection.
pub(super) async fn answered<T: Send + 'static>(
    call: &Call,
    asker: Asker,
    question: Question,
    then: impl FnOnce(PastRollout) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    if !question.is_heavy() {
        let limit = Limit::default();
        return call.ask(move |service| then(service.past_rollout(&question, &limit)?)).await;
    }
    let awaited = Awaited::default();
    let is_abandoned = awaited.0.clone();
    let work = async {
        let turn = call.shared.replays.turn(asker).await?;
        let answer = call.ask(move |service| {
            let _turn = turn;
            let limit = Limit::new(service.serving.clock.clone(), BUDGET, is_abandoned);
            then(service.past_rollout(&question, &limit)?)
        });
        answer.await
    };
    match call.request.conn_data::<Departure>() {
        Some(departure) => {
            let answer = departure.before(work).await;
            answer.unwrap_or_else(|| Err(ReplayError::Abandoned.into()))
        }
        None => work.await,
    }
}
