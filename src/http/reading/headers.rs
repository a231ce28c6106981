//! Headers of a prediction: the key of a user, and the track a tester asks for. Both are read only if
//! the settings enable them.

use std::borrow::Cow;

use actix_web::http::header::HeaderMap;
use actix_web::http::header::HeaderName;
use actix_web::http::header::HeaderValue;
use thiserror::Error;

use super::fields::check_key;
use crate::canary::Track;
use crate::http::problem::Kind;
use crate::http::problem::Problem;

/// Which headers of a prediction are read.
#[derive(Clone, Debug, Default)]
pub struct RequestHeaders {
    /// The header that supplies the key if the body has none.
    sticky_header: Option<HeaderName>,
    /// Whether a tester may choose the track.
    allow_track_header: bool,
}

/// The header that names a track.
pub const TRACK_HEADER: &str = "x-serin-track";

static TRACK: HeaderName = HeaderName::from_static(TRACK_HEADER);

/// A text that is not a header name.
#[derive(Debug, Error)]
#[error(
    "sticky_header: {0:?} is not a header name; use letters, digits and dashes, for example x-user-id"
)]
pub struct HeaderNameError(String);

impl RequestHeaders {
    /// Reads these headers.
    ///
    /// # Errors
    /// When the name is not a header name.
    pub fn new(
        sticky: Option<&str>,
        allow_track_header: bool,
    ) -> Result<RequestHeaders, HeaderNameError> {
        let name =
            |text: &str| HeaderName::try_from(text).map_err(|_| HeaderNameError(text.to_owned()));
        Ok(RequestHeaders { sticky_header: sticky.map(name).transpose()?, allow_track_header })
    }

    /// The header that supplies the key, if one is set.
    pub fn sticky_header(&self) -> Option<&str> {
        self.sticky_header.as_ref().map(HeaderName::as_str)
    }

    /// The key of the request: from the body, else from the header.
    ///
    /// # Errors
    /// When the header is too long or is not UTF-8.
    pub fn key<'a>(
        &self,
        headers: &'a HeaderMap,
        in_body: Option<Cow<'a, str>>,
    ) -> Result<Option<Cow<'a, str>>, Problem> {
        // An empty key means no key, not one very busy user.
        let in_body = in_body.filter(|key| !key.is_empty());
        let (None, Some(name)) = (&in_body, &self.sticky_header) else { return Ok(in_body) };
        let Some(value) = only(headers, name)? else { return Ok(None) };
        let Ok(key) = str::from_utf8(value.as_bytes()) else {
            return Err(Problem::new(
                Kind::InvalidHeader,
                format_args!("header {name}: {value:?} is not UTF-8; send UTF-8 text"),
            ));
        };
        check_key(format_args!("header {name}"), Some(key))?;
        Ok(Some(key).filter(|key| !key.is_empty()).map(Cow::Borrowed))
    }

    /// The track a tester asks for. Unless the settings allow it, the header is ignored, so that users
    /// cannot choose a version.
    ///
    /// # Errors
    /// When the value is not a track.
    pub fn track(&self, headers: &HeaderMap) -> Result<Option<Track>, Problem> {
        if !self.allow_track_header {
            return Ok(None);
        }
        let wanted = |value: &HeaderValue| {
            let tracks = [Track::Stable, Track::Canary];
            tracks.into_iter().find(|track| value == track.name()).ok_or_else(|| {
                Problem::new(
                    Kind::InvalidHeader,
                    format_args!("{TRACK_HEADER}: {value:?} is not a track; send stable or canary"),
                )
            })
        };
        only(headers, &TRACK)?.map(wanted).transpose()
    }
}

/// The value of a header. Repeated headers must agree, since either could be the wrong one.
///
/// # Errors
/// When they do not.
pub(crate) fn only<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a HeaderValue>, Problem> {
    let mut values = headers.get_all(name);
    let Some(first) = values.next() else { return Ok(None) };
    match values.find(|value| *value != first) {
        Some(other) => Err(Problem::new(
            Kind::InvalidHeader,
            format_args!("header {name}: sent as {first:?} and as {other:?}; send it once"),
        )),
        None => Ok(Some(first)),
    }
}
