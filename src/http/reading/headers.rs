//! What do the headers of a prediction ask for? The key of whoever comes, and the track that a tester
//! wants; both only where the server was told to listen.

use std::borrow::Cow;

use actix_web::http::header::HeaderMap;
use actix_web::http::header::HeaderName;
use actix_web::http::header::HeaderValue;
use thiserror::Error;

use super::fields::check_key;
use crate::canary::Track;
use crate::http::problem::Problem;

/// Which headers of a prediction are read.
#[derive(Clone, Debug, Default)]
pub struct RequestHeaders {
    /// Its value is the key of a request whose body has none.
    sticky_header: Option<HeaderName>,
    /// Whether a tester may name the track.
    allow_track_header: bool,
}

/// The header that names a track.
pub const TRACK_HEADER: &str = "x-serin-track";

/// A name that no header can have.
#[derive(Debug, Error)]
#[error(
    "sticky_header = {0:?} is no name of a header; give letters, digits and dashes, like x-user-id"
)]
pub struct HeaderNameError(String);

impl RequestHeaders {
    /// Reads these headers.
    ///
    /// # Errors
    /// When the name is none.
    pub fn new(
        sticky: Option<&str>,
        allow_track_header: bool,
    ) -> Result<RequestHeaders, HeaderNameError> {
        let name =
            |text: &str| HeaderName::try_from(text).map_err(|_| HeaderNameError(text.to_owned()));
        Ok(RequestHeaders { sticky_header: sticky.map(name).transpose()?, allow_track_header })
    }

    /// The header whose value is a key, if there is one.
    pub fn sticky_header(&self) -> Option<&str> {
        self.sticky_header.as_ref().map(HeaderName::as_str)
    }

    /// Whether a tester may name the track.
    pub fn allows_track_header(&self) -> bool {
        self.allow_track_header
    }

    /// Whose request this is: the key of the body, else the header's value.
    ///
    /// # Errors
    /// When the header is too long, or is no text.
    pub fn key<'a>(
        &self,
        headers: &'a HeaderMap,
        in_body: Option<Cow<'a, str>>,
    ) -> Result<Option<Cow<'a, str>>, Problem> {
        // Nobody is not somebody who comes often.
        let in_body = in_body.filter(|key| !key.is_empty());
        let (None, Some(name)) = (&in_body, &self.sticky_header) else { return Ok(in_body) };
        let Some(value) = only(headers, name.as_str())? else { return Ok(None) };
        let Ok(key) = str::from_utf8(value.as_bytes()) else {
            let detail = format!("header {name} = {value:?} is not UTF-8; send a text");
            return Err(Problem::header(detail));
        };
        check_key(&format!("header {name}"), Some(key))?;
        Ok(Some(key).filter(|key| !key.is_empty()).map(Cow::Borrowed))
    }

    /// The track that a tester wants. Where that is not allowed the header means nothing, so that no
    /// stranger chooses a version, and no proxy that sends it keeps anybody from an answer.
    ///
    /// # Errors
    /// When there is no such track.
    pub fn track(&self, headers: &HeaderMap) -> Result<Option<Track>, Problem> {
        if !self.allow_track_header {
            return Ok(None);
        }
        let wanted = |value: &HeaderValue| {
            let tracks = [Track::Stable, Track::Canary];
            tracks.into_iter().find(|track| value == track.name()).ok_or_else(|| {
                let detail =
                    format!("{TRACK_HEADER} = {value:?} is no track; send stable or canary");
                Problem::header(detail)
            })
        };
        only(headers, TRACK_HEADER)?.map(wanted).transpose()
    }
}

/// The value of a header that is there once, or several times alike: who sent the right one cannot be told.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a HeaderValue>, Problem> {
    let mut values = headers.get_all(name);
    let Some(first) = values.next() else { return Ok(None) };
    match values.find(|value| *value != first) {
        Some(other) => {
            let twice =
                format!("header {name} is there as {first:?} and as {other:?}; send it once");
            Err(Problem::header(twice))
        }
        None => Ok(Some(first)),
    }
}
