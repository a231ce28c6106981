//! Reading a body: plain JSON, of limited size, within limited time.

use std::future::Future;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::pin;
use std::task::Poll;

use actix_web::HttpRequest;
use actix_web::body::BodyStream;
use actix_web::body::MessageBody as _;
use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::http::header::HeaderValue;
use actix_web::web::Bytes;
use serde::Deserialize;
use serde::de::DeserializeSeed;
use serde::de::IgnoredAny;
use tokio::time::timeout;
use utoipa::ToSchema;

use super::body_room::BodyRoom;
use super::body_room::Reserved;
use crate::http::problem::Kind;
use crate::http::problem::Problem;
use crate::http::shared::Shared;
use crate::text::fields;

/// Whether a body must say that it is JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentType {
    /// A `Content-Type` may be missing.
    Optional,
    /// It must be sent with every body, so that a web page cannot send one without a preflight.
    Required,
    /// As optional, but CSV is also taken.
    JsonOrCsv,
    /// It is ignored. Only a web page has to name one that needs a preflight.
    Ignored,
}

impl ContentType {
    /// Whether a body of this type is taken.
    fn takes(self, given: &str, from_a_page: bool) -> bool {
        match self {
            ContentType::Optional | ContentType::Required => is_json(given),
            ContentType::JsonOrCsv => is_json(given) || is_csv(given),
            ContentType::Ignored => !from_a_page || is_json(given) || is(given, BINARY),
        }
    }

    /// The types to send.
    fn allowed(self) -> &'static str {
        match self {
            ContentType::Optional | ContentType::Required => "application/json",
            ContentType::JsonOrCsv => "application/json or text/csv, in UTF-8",
            ContentType::Ignored => "application/json or application/octet-stream",
        }
    }
}

const BINARY: &str = "application/octet-stream";

/// The body of a route that takes none.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// The whole body, and the room it takes if it is large.
///
/// # Errors
/// When it is compressed, of another type, too large, too slow, or breaks off.
pub async fn read(
    request: &HttpRequest,
    payload: Payload,
    content_type: ContentType,
    shared: &Shared,
) -> Result<(Bytes, Option<Reserved>), Problem> {
    let headers = request.headers();
    let limit = shared.settings.body_limit;
    let declared = declared_length(request);
    let most = declared.unwrap_or(limit);
    let mut arrived = Arrived { most, whole: None, bytes: Vec::new(), room: None };
    whole(declared, payload, shared, limit, |part| arrived.add(part, &shared.bodies)).await?;
    let compressed =
        |encoding: &&HeaderValue| !encoding.as_bytes().eq_ignore_ascii_case(b"identity");
    if let Some(encoding) = headers.get_all(header::CONTENT_ENCODING).find(compressed) {
        return Err(Problem::new(
            Kind::UnsupportedMediaType,
            format_args!("Content-Encoding: {encoding:?} is not supported; send plain JSON"),
        ));
    }
    // A page of another site can send a body without a type and without a preflight, so a request with
    // an Origin must name the type.
    let from_a_page = headers.contains_key(header::ORIGIN);
    let must_be_named = content_type == ContentType::Required || from_a_page;
    let given = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or("?"));
    let allowed = content_type.allowed();
    match given {
        Some(given) if !content_type.takes(given, from_a_page) => Err(Problem::new(
            Kind::UnsupportedMediaType,
            format_args!("Content-Type: {given:?} is not supported; send {allowed}"),
        )),
        None if must_be_named && !arrived.is_empty() => Err(Problem::new(
            Kind::UnsupportedMediaType,
            format_args!("Content-Type is missing; send {allowed}"),
        )),
        Some(_) | None => Ok((arrived.whole.unwrap_or_else(|| arrived.bytes.into()), arrived.room)),
    }
}

/// The largest body that is read although it is not used.
const DISCARDED: usize = 64 << 10;

/// Reads a small body that is not used, and returns whether all of it has arrived. Otherwise the connection must be
/// closed after the answer, or the next request would be looked for in the rest of the body.
pub async fn discard(request: &HttpRequest, payload: Payload, shared: &Shared) -> bool {
    // The answer says what is wrong with the request, not with its body.
    whole(declared_length(request), payload, shared, DISCARDED, |_| Ok(())).await.is_ok()
}

/// The largest body that stays where it was read to. Larger ones are counted byte by byte.
const UNCOPIED: usize = 4 << 10;

/// The part of a body that has arrived, and the room it takes.
struct Arrived {
    /// How many bytes there will be at most.
    most: usize,
    /// A body that arrived in one part, where it was read to.
    whole: Option<Bytes>,
    bytes: Vec<u8>,
    room: Option<Reserved>,
}

impl Arrived {
    fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.whole.is_none()
    }

    fn add(&mut self, part: Bytes, rooms: &BodyRoom) -> Result<(), Problem> {
        if part.len() == self.most && part.len() <= UNCOPIED && self.is_empty() {
            self.whole = Some(part);
            return Ok(());
        }
        let chunk = &*part;
        let needed = self.bytes.len() + chunk.len();
        if needed > self.bytes.capacity() {
            // Doubled, so that few bytes are moved; the room is taken for all of it, because memory that was used
            // before is occupied even where nothing is written.
            let capacity = (2 * self.bytes.capacity()).min(self.most).max(needed);
            rooms.extend(&mut self.room, capacity)?;
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }
}

fn declared_length(request: &HttpRequest) -> Option<usize> {
    request.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Reads a body of at most `limit` bytes to its end, and hands over each part of it as it arrives.
async fn whole(
    declared: Option<usize>,
    payload: Payload,
    shared: &Shared,
    limit: usize,
    mut take: impl FnMut(Bytes) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let deadline = shared.settings.body_deadline;
    let too_large = || {
        Problem::new(
            Kind::BodyTooLarge,
            format_args!(
                "the body is larger than {limit} bytes; send fewer rows at once, or start the server with a \
                 larger --body-limit"
            ),
        )
    };
    if declared.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let reading = async {
        let mut parts = pin!(BodyStream::new(payload));
        let mut length: usize = 0;
        while let Some(part) = poll_fn(|context| parts.as_mut().poll_next(context)).await {
            let part = part.map_err(|cause| {
                Problem::new(
                    Kind::BodyBroken,
                    format_args!("the body is incomplete ({cause}); send it again"),
                )
            })?;
            length = length.saturating_add(part.len());
            if length > limit {
                return Err(too_large());
            }
            take(part)?;
        }
        Ok(())
    };
    let mut reading = pin!(reading);
    // Most bodies arrive with their head and need no timer. actix hands them over when a handler has been polled, so the
    // first poll never finds one.
    let mut is_first = true;
    let without_timer = poll_fn(|context| match reading.as_mut().poll(context) {
        Poll::Pending if std::mem::take(&mut is_first) => {
            context.waker().wake_by_ref();
            Poll::Pending
        }
        polled => Poll::Ready(polled),
    });
    match without_timer.await {
        Poll::Ready(outcome) => outcome,
        // Boxed, so that most bodies do not carry it.
        Poll::Pending => Box::pin(timeout(deadline, reading)).await.unwrap_or_else(|_| {
            let seconds = deadline.as_secs_f64();
            Err(Problem::new(
                Kind::BodyTooSlow,
                format_args!("the body did not arrive within {seconds} s; send it again"),
            ))
        }),
    }
}

/// The body as JSON, where an empty body means `{}`.
///
/// # Errors
/// See [`parse`].
pub fn parse_or_default<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Problem> {
    parse(if bytes.is_empty() { b"{}" } else { bytes }, "{}")
}

/// The body as JSON. A client that sends none gets the example.
///
/// # Errors
/// When it is not a JSON object of the type's shape.
pub fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8], example: &str) -> Result<T, Problem> {
    parse_with(PhantomData, bytes, example)
}

/// [`parse`] of what a seed reads.
///
/// # Errors
/// As [`parse`].
pub(crate) fn parse_with<'a, S: DeserializeSeed<'a> + Copy>(
    seed: S,
    bytes: &'a [u8],
    example: &str,
) -> Result<S::Value, Problem> {
    // Some editors and shells begin a file with a byte order mark, which a reader may ignore (RFC 8259).
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    if bytes.is_empty() {
        return Err(Problem::new(
            Kind::EmptyBody,
            format_args!("the body is empty; send JSON, for example {example}"),
        ));
    }
    // serde also reads a struct from an array of its fields, whose order is not a contract.
    if bytes.trim_ascii_start().starts_with(b"[") {
        return Err(Problem::field("the body is an array; send an object that names its fields"));
    }
    // As a text, its strings are not checked again one by one.
    let text = str::from_utf8(bytes).map_err(|cause| not_utf8(&bytes[..cause.valid_up_to()]))?;
    let mut json = serde_json::Deserializer::from_str(text);
    let read = seed.deserialize(&mut json).and_then(|value| json.end().map(|()| value));
    read.map_err(|cause| {
        if !cause.is_data() {
            return Problem::new(Kind::InvalidJson, format_args!("invalid body: {cause}"));
        }
        // Reading again finds the path of the field, so that valid bodies pay nothing for it.
        let again = fields::read_with(seed, &mut serde_json::Deserializer::from_str(text));
        again.map_or_else(Problem::field, |_| Problem::field(cause))
    })
}

/// The problem of a body that is UTF-8 up to here: what is wrong before, if anything is.
#[cold]
fn not_utf8(before: &[u8]) -> Problem {
    if let Err(cause) = serde_json::from_slice::<IgnoredAny>(before)
        && cause.is_syntax()
    {
        return Problem::new(Kind::InvalidJson, format_args!("invalid body: {cause}"));
    }
    let (line, column) = place_after(before);
    Problem::new(
        Kind::InvalidJson,
        format_args!("invalid body: not UTF-8 at line {line} column {column}; send JSON in UTF-8"),
    )
}

/// The line and the column after these bytes, counted from 1.
pub(super) fn place_after(before: &[u8]) -> (usize, usize) {
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
    (line, column)
}

fn is_json(content_type: &str) -> bool {
    let essence = essence(content_type);
    is(content_type, "application/json")
        || (essence.len() > 5
            && essence.is_char_boundary(essence.len() - 5)
            && essence[essence.len() - 5..].eq_ignore_ascii_case("+json"))
}

/// Whether it is CSV in UTF-8.
pub(crate) fn is_csv(content_type: &str) -> bool {
    let charset = content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    });
    is(content_type, "text/csv")
        && charset
            .is_none_or(|it| ["utf-8", "us-ascii"].iter().any(|one| it.eq_ignore_ascii_case(one)))
}

fn is(content_type: &str, essence_wanted: &str) -> bool {
    essence(content_type).eq_ignore_ascii_case(essence_wanted)
}

fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::super::body_room::FREE_BYTES;
    use super::*;

    #[test]
    fn a_body_occupies_no_more_than_its_room() {
        let rooms = BodyRoom::new(5 << 20);
        for (size, most) in
            [(1_000_000, 1_000_000), (4_200_000, 5 << 20), (1, 1), (5 << 20, 5 << 20)]
        {
            let mut arrived = Arrived { most, whole: None, bytes: Vec::new(), room: None };
            let chunk = [b'1'; 30_000];
            let mut left: usize = size;
            while left > 0 {
                let part = left.min(chunk.len());
                arrived.add(Bytes::copy_from_slice(&chunk[..part]), &rooms).unwrap();
                left -= part;
                let held = arrived.room.as_ref().map_or(0, Reserved::num_permits) * 1024;
                let capacity = arrived.bytes.capacity();
                assert!(capacity <= held + FREE_BYTES && capacity <= most, "{capacity}, {held}");
            }
            let all = arrived.whole.as_ref().map_or(arrived.bytes.len(), Bytes::len);
            assert_eq!(all, size);
        }
    }

    #[test]
    fn a_body_that_is_not_utf8_is_refused_with_its_place() {
        for body in [
            &b"{\n \"a\": \"\xff\"}"[..],
            b"{\n \"a\": \"\xc3",
            b"\xEF\xBB\xBF{\n \"a\": \"\xff\"}",
        ] {
            let refused = parse::<IgnoredAny>(body, "{}").unwrap_err();
            assert_eq!(refused.kind(), Kind::InvalidJson);
            assert_eq!(
                refused.to_string(),
                "invalid body: not UTF-8 at line 2 column 8; send JSON in UTF-8"
            );
        }
        let gzip = parse::<IgnoredAny>(b"\x1f\x8b\x08", "{}").unwrap_err().to_string();
        assert!(gzip.ends_with("at line 1 column 1"), "{gzip}");
    }

    #[test]
    fn json_is_recognized_by_its_type() {
        for json in
            ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON", "a/b+json"]
        {
            assert!(is_json(json), "{json} was refused");
        }
        for other in ["text/plain", "", "application/jsonx", "application/x-www-form-urlencoded"] {
            assert!(!is_json(other), "{other} was taken");
        }
    }
}
