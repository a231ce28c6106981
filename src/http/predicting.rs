//! A prediction over HTTP: a protocol reads the request, the service answers it, and the protocol writes the answer.
//!
//! Small bodies are handled by the worker itself, large ones in turns on other threads, whatever the protocol is.

use std::borrow::Cow;
use std::cell::OnceCell;

use actix_web::HttpMessage as _;
use actix_web::HttpResponse;
use actix_web::http::header::HeaderMap;
use actix_web::web;
use tokio::runtime::Handle;
use tracing::Instrument as _;
use tracing::Span;

use super::answer::Answer;
use super::answer::Call;
use super::answer::with_binary;
use super::answer::with_json;
use super::problem::Problem;
use super::reading::fields::check_covariate;
use super::reading::fields::check_key;
use super::reading::segments::RequestSegments;
use super::shared::Shared;
use super::shared::Turn;
use super::trace::evaluation;
use super::trace::evaluation::Evaluation;
use super::trace::evaluation::Slot;
use crate::canary::Track;
use crate::model::Features;
use crate::service::reported::feedback::Ids;
use crate::service::serving::predict::Prediction;
use crate::service::serving::predict::Request;
use crate::service::serving::predict::explained::Explained;

/// A protocol of predictions.
pub(crate) trait Protocol: Send + 'static {
    /// What the answer depends on besides the prediction.
    type Form<'a>;

    /// Reads a request.
    ///
    /// # Errors
    /// When it is not one of this protocol.
    fn read<'a>(
        &'a self,
        sent: Sent<'a>,
        shared: &Shared,
    ) -> Result<(Asked<'a>, Self::Form<'a>), Problem>;

    /// Writes the answer.
    ///
    /// # Errors
    /// When it cannot be given in the form that was asked for.
    fn write(
        &self,
        done: &Done,
        form: &Self::Form<'_>,
        shared: &Shared,
    ) -> Result<Written, Problem>;
}

/// A request as it was sent.
#[derive(Clone, Copy)]
pub(crate) struct Sent<'a> {
    pub(crate) body: &'a [u8],
    pub(crate) headers: &'a HeaderMap,
    /// Holds a copy of the body, if it has to be repaired before it can be read.
    pub(crate) repaired: &'a OnceCell<Vec<u8>>,
}

/// A request that has been read.
pub(crate) struct Asked<'a> {
    pub(crate) inputs: Request<'a>,
    /// The track that the request names; `None`: the split draws it.
    pub(crate) track: Option<Track>,
    /// The rows once more, if the answer is to be explained.
    pub(crate) explain: Option<Vec<Features<'a>>>,
}

/// What a request says besides its rows.
#[derive(Default)]
pub(crate) struct Attributes<'a> {
    pub(crate) key: Option<Cow<'a, str>>,
    pub(crate) segments: RequestSegments<'a>,
    pub(crate) covariate: Option<f64>,
}

impl<'a> Attributes<'a> {
    /// The request with these attributes and those of its headers; its rows are still to come.
    ///
    /// # Errors
    /// Names the first attribute that is not valid.
    pub(crate) fn checked(
        self,
        headers: &'a HeaderMap,
        shared: &Shared,
    ) -> Result<Asked<'a>, Problem> {
        check_key("key", self.key.as_deref())?;
        check_covariate(self.covariate)?;
        let covariate = self.covariate;
        let segments = self.segments.checked(shared.service.control.declared_segments())?;
        let request_headers = &shared.settings.request_headers;
        let key = request_headers.key(headers, self.key)?;
        let track = request_headers.track(headers)?;
        let inputs = Request { rows: Vec::new(), key, segments, covariate };
        Ok(Asked { inputs, track, explain: None })
    }
}

impl Asked<'_> {
    /// The answer of the service, and how it came about if the request is followed.
    async fn answered(self, shared: &Shared, is_followed: bool) -> Result<Done, Problem> {
        let Asked { inputs, track, explain } = self;
        let context_id = inputs.key.as_deref().filter(|_| is_followed).map(evaluation::context_id);
        let prediction = match track {
            None => shared.service.predict(inputs).await?,
            Some(track) => shared.service.predict_on(track, inputs).await?,
        };
        let explained = match explain {
            // Boxed, so that other requests do not carry its state.
            Some(rows) => Some(Box::pin(prediction.explained(rows)).await),
            None => None,
        };
        let evaluation = is_followed.then(|| Evaluation::of(&prediction, track, context_id));
        Ok(Done { prediction, is_override: track.is_some(), explained, evaluation })
    }
}

/// A request that has been answered.
pub(crate) struct Done {
    pub(crate) prediction: Prediction,
    /// Whether the request named its track.
    pub(crate) is_override: bool,
    pub(crate) explained: Option<Result<Explained, String>>,
    /// For the span of the request, if it is followed.
    evaluation: Option<Evaluation>,
}

impl Done {
    /// The ids of its rows.
    pub(crate) fn row_ids<'a>(&'a self, shared: &'a Shared) -> RowIds<'a> {
        let ids = shared.service.ids(&self.prediction);
        // Without feedback the id only has to be unique.
        let unique = || format!("{:032x}", rand::random::<u128>());
        let first = ids.as_ref().map_or_else(unique, |ids| ids.of_row(0));
        RowIds { first, ids }
    }
}

/// The ids of the rows of an answer.
pub(crate) struct RowIds<'a> {
    first: String,
    ids: Option<Ids<'a>>,
}

impl RowIds<'_> {
    /// The id of the first row, and of the answer.
    pub(crate) fn first(&self) -> &str {
        &self.first
    }

    /// The id of this row; `None` without feedback.
    pub(crate) fn of_row(&self, number: usize) -> Option<String> {
        match (number, &self.ids) {
            (_, None) => None,
            (0, Some(_)) => Some(self.first.clone()),
            (_, Some(ids)) => Some(ids.of_row(number)),
        }
    }
}

/// The body of an answer.
pub(crate) struct Written {
    pub(crate) bytes: Vec<u8>,
    /// How many of the bytes are JSON, if others follow.
    pub(crate) json_bytes: Option<usize>,
}

impl Written {
    /// An answer of JSON alone.
    pub(crate) fn json(bytes: Vec<u8>) -> Written {
        Written { bytes, json_bytes: None }
    }

    fn response(self) -> HttpResponse {
        match self.json_bytes {
            None => with_json(self.bytes),
            Some(json_bytes) => with_binary(self.bytes, json_bytes),
        }
    }
}

/// Bodies that a worker handles itself. Larger ones would make the other connections of the worker wait.
const SMALL_BODY: usize = 16 << 10;

/// Answers a prediction in its protocol.
pub(crate) async fn answer<P: Protocol>(protocol: P, call: Call) -> Answer {
    let followed = call.request.extensions().get::<Slot>().cloned();
    if call.body.len() > SMALL_BODY {
        // Boxed, so that other requests do not carry its state.
        return Box::pin(answer_in_turn(protocol, call, followed)).await;
    }
    let Call { request, body, shared, .. } = &call;
    let repaired = OnceCell::new();
    let sent = Sent { body, headers: request.headers(), repaired: &repaired };
    let (asked, form) = protocol.read(sent, shared)?;
    let done = asked.answered(shared, followed.is_some()).await?;
    leave(followed.as_ref(), done.evaluation, shared);
    Ok(protocol.write(&done, &form, shared)?.response())
}

/// Answers a large body on another thread, once it is its turn.
async fn answer_in_turn<P: Protocol>(protocol: P, call: Call, followed: Option<Slot>) -> Answer {
    let Call { request, body, room, shared } = call;
    let is_followed = followed.is_some();
    let turn = shared.batches.turn().await?;
    let (headers, runtime) = (request.headers().clone(), Handle::current());
    let span = if is_followed { Span::current() } else { Span::none() };
    let state = shared.clone();
    let written = web::block(move || {
        // Kept until the work is done, even if the client has gone by then.
        let _room = room;
        let answered = in_turn(turn, &protocol, &body, &headers, (&state, is_followed));
        runtime.block_on(answered.instrument(span))
    });
    let (written, evaluation) = written.await.map_err(|_| Problem::too_busy())??;
    leave(followed.as_ref(), evaluation, &shared);
    Ok(written.response())
}

/// Leaves how an answer came about for the span of its request, if that is followed.
fn leave(followed: Option<&Slot>, evaluation: Option<Evaluation>, shared: &Shared) {
    if let Some(slot) = followed {
        slot.put(evaluation, &shared.service.serving);
    }
}

/// The answer to a large body. It works in a turn, which ends when it waits for a model.
async fn in_turn<P: Protocol>(
    mut turn: Turn,
    protocol: &P,
    body: &[u8],
    headers: &HeaderMap,
    (shared, is_followed): (&Shared, bool),
) -> Result<(Written, Option<Evaluation>), Problem> {
    let repaired = OnceCell::new();
    let (asked, form) = protocol.read(Sent { body, headers, repaired: &repaired }, shared)?;
    let done = turn.until_it_waits(asked.answered(shared, is_followed)).await?;
    Ok((protocol.write(&done, &form, shared)?, done.evaluation))
}
