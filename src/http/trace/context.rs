//! The trace that a request belongs to, and its id.
//!
//! `traceparent` is read as W3C Trace Context Level 1 says (<https://www.w3.org/TR/trace-context-1/>). What does not
//! have its form is ignored: a broken header must not break a request. serin calls no other server for a request, so it
//! passes no context on; and the standard has no header for answers.

use actix_web::http::header::HeaderMap;
use actix_web::http::header::HeaderName;
use actix_web::http::header::HeaderValue;

static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The header with the id of a request, which its answer repeats.
pub static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id of a request: that of an uncommon proxy, and short enough for a log.
const MAX_REQUEST_ID: usize = 128;

/// The span of the client that sent a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace, not 0.
    pub trace_id: u128,
    /// The span in it, not 0.
    pub parent_id: u64,
    /// Whether the client may have recorded it.
    pub is_sampled: bool,
}

/// The length of version 00.
const LENGTH: usize = 55;

impl TraceParent {
    /// That of a request; `None` if it has none, several, or an invalid one.
    pub fn of(headers: &HeaderMap) -> Option<TraceParent> {
        TraceParent::read(only(headers, &TRACEPARENT)?.as_bytes())
    }

    /// Reads `VERSION-TRACE-PARENT-FLAGS` in lower-case hexadecimal. Later versions may append more.
    pub fn read(text: &[u8]) -> Option<TraceParent> {
        let (head, rest) = text.split_at_checked(LENGTH)?;
        let dashes = [2, 35, 52].map(|at| head[at] == b'-');
        let version = number(&head[..2])?;
        let is_whole = match version {
            0xff => false,
            0 => rest.is_empty(),
            _ => rest.is_empty() || rest[0] == b'-',
        };
        let trace_id = number(&head[3..35])?;
        let parent_id = u64::try_from(number(&head[36..52])?).ok()?;
        let flags = number(&head[53..])?;
        let is_valid = dashes == [true; 3] && is_whole && trace_id != 0 && parent_id != 0;
        is_valid.then_some(TraceParent { trace_id, parent_id, is_sampled: flags & 1 == 1 })
    }
}

/// A number in lower-case hexadecimal.
fn number(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

/// The id that the client gave a request; `None` if it has none, several, or one that does not fit into a log line.
pub fn request_id(headers: &HeaderMap) -> Option<&HeaderValue> {
    let id = only(headers, &REQUEST_ID)?;
    let bytes = id.as_bytes();
    let fits = !bytes.is_empty() && bytes.len() <= MAX_REQUEST_ID;
    (fits && bytes.iter().all(u8::is_ascii_graphic)).then_some(id)
}

/// The value of a header that is sent once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let first = headers.get(name)?;
    (headers.get_all(name).count() == 1).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_valid_parent_is_read() {
        let read = TraceParent::read(VALID.as_bytes()).unwrap();
        assert_eq!(read.trace_id, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!((read.parent_id, read.is_sampled), (0x00f0_67aa_0ba9_02b7, true));
        for (flags, is_sampled) in [("00", false), ("02", false), ("03", true), ("ff", true)] {
            let text = format!("{}{flags}", &VALID[..53]);
            assert_eq!(
                TraceParent::read(text.as_bytes()).unwrap().is_sampled,
                is_sampled,
                "{text}"
            );
        }
        // A later version is read as far as this one knows it.
        for later in ["", "-", "-what-the-future-holds"] {
            let text = format!("01{}{later}", &VALID[2..]);
            assert_eq!(TraceParent::read(text.as_bytes()), Some(read), "{text}");
        }
    }

    #[test]
    fn everything_else_is_ignored() {
        let invalid = [
            String::new(),
            VALID[..54].to_owned(),
            format!("{VALID}-more"),
            format!("{VALID} "),
            format!("ff{}", &VALID[2..]),
            format!("01{}more", &VALID[2..]),
            format!("0{}", &VALID[1..].replace("4bf9", "4BF9")),
            VALID.replace("00-4", "0g-4"),
            VALID.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            VALID.replace("00f067aa0ba902b7", &"0".repeat(16)),
            VALID.replace("-01", "-0x"),
            VALID.replace('-', "_"),
            VALID.replace("4bf92f", "+bf92f"),
            VALID.replace("4bf92f", "é2f9f"),
        ];
        for text in invalid {
            assert_eq!(TraceParent::read(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_header_that_is_sent_twice_is_ignored() {
        let mut headers = HeaderMap::new();
        let value = |text: &str| HeaderValue::from_str(text).unwrap();
        headers.append(TRACEPARENT.clone(), value(VALID));
        headers.append(REQUEST_ID.clone(), value("r1"));
        assert!(TraceParent::of(&headers).is_some());
        assert_eq!(request_id(&headers).unwrap(), "r1");
        headers.append(TRACEPARENT.clone(), value(VALID));
        headers.append(REQUEST_ID.clone(), value("r1"));
        assert_eq!(TraceParent::of(&headers), None);
        assert_eq!(request_id(&headers), None);
    }

    #[test]
    fn an_id_is_one_word_of_ascii() {
        for (text, is_id) in [
            ("5f3c8a52-2f6e-4f0e-9c76-6c2f1f0b2c11", true),
            ("Root=1-67891233-abcdef012345678912345678", true),
            ("", false),
            ("two words", false),
            ("tab\t", false),
            (&"x".repeat(128), true),
            (&"x".repeat(129), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID.clone(), HeaderValue::from_str(text).unwrap());
            assert_eq!(request_id(&headers).is_some(), is_id, "{text:?}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID.clone(), HeaderValue::from_bytes("é".as_bytes()).unwrap());
        assert_eq!(request_id(&headers), None);
    }
}
