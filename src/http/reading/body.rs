//! Reading a body: plain JSON, of limited size, within limited time.

use actix_web::HttpRequest;
use actix_web::http::header;
use actix_web::http::header::HeaderValue;
use actix_web::web::Bytes;
use actix_web::web::Payload;
use serde::Deserialize;

use crate::http::problem::Problem;
use crate::http::settings::Settings;
use crate::text::fields;

/// Whether a body must say that it is JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentType {
    /// A `Content-Type` may be missing.
    Optional,
    /// It must be there with every body, so that no web page can send one without the browser
    /// asking first.
    Required,
}

/// The body of a route that takes none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// The whole body.
///
/// # Errors
/// When it is compressed, of another type, too large, too slow, or breaks off.
pub async fn read(
    request: &HttpRequest,
    payload: Payload,
    content_type: ContentType,
    settings: &Settings,
) -> Result<Bytes, Problem> {
    let headers = request.headers();
    let compressed =
        |encoding: &&HeaderValue| !encoding.as_bytes().eq_ignore_ascii_case(b"identity");
    if let Some(encoding) = headers.get_all(header::CONTENT_ENCODING).find(compressed) {
        let detail = format!("Content-Encoding {encoding:?} is not taken; send plain JSON");
        return Err(Problem::media_type(detail));
    }
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: usize| length > settings.body_limit) {
        return Err(Problem::too_large(settings.body_limit));
    }
    // A page of another site can send a body without a type, and without asking, so its browser's
    // Origin makes the type required.
    let must_be_named =
        content_type == ContentType::Required || headers.contains_key(header::ORIGIN);
    let given = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or("?"));
    let reading = payload.to_bytes_limited(settings.body_limit);
    let bytes = match tokio::time::timeout(settings.body_deadline, reading).await {
        Err(_) => return Err(Problem::too_slow(settings.body_deadline.as_secs_f64())),
        Ok(Err(_)) => return Err(Problem::too_large(settings.body_limit)),
        Ok(Ok(Err(cause))) => return Err(Problem::broken(&cause)),
        Ok(Ok(Ok(bytes))) => bytes,
    };
    match given {
        Some(given) if !is_json(given) => Err(Problem::media_type(format!(
            "Content-Type {given:?} is not taken; send application/json"
        ))),
        None if must_be_named && !bytes.is_empty() => {
            Err(Problem::media_type("Content-Type is missing; send application/json".to_owned()))
        }
        Some(_) | None => Ok(bytes),
    }
}

/// The body as JSON; an empty one stands for `{}`.
///
/// # Errors
/// When it is not JSON of the type's shape.
pub fn parse_or_default<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Problem> {
    parse(if bytes.is_empty() { b"{}" } else { bytes })
}

/// The body as JSON.
///
/// # Errors
/// When it is not a JSON object of the type's shape.
pub fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Problem> {
    // serde would take the fields' values in an array, too, in an order that is no contract.
    if bytes.trim_ascii_start().starts_with(b"[") {
        return Err(Problem::field("the body is an array; send an object that names its fields"));
    }
    serde_json::from_slice(bytes).map_err(|cause| problem::<T>(bytes, &cause))
}

/// What is wrong with a body. The path of the field is found by reading again, so that good bodies cost
/// nothing more.
fn problem<'a, T: Deserialize<'a>>(bytes: &'a [u8], cause: &serde_json::Error) -> Problem {
    if !cause.is_data() {
        return Problem::json(cause);
    }
    match fields::read::<T, _>(&mut serde_json::Deserializer::from_slice(bytes)) {
        Err(error) => error.into(),
        Ok(_) => Problem::json(cause),
    }
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
        || (essence.len() > 5
            && essence.is_char_boundary(essence.len() - 5)
            && essence[essence.len() - 5..].eq_ignore_ascii_case("+json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_known_by_its_type() {
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
