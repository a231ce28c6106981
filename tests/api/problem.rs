//! The shape of error bodies: a detail that a person can act on, and a code for programs.

use crate::client::Reply;

/// The expected answer to a refused request.
#[derive(Clone, Copy)]
pub struct Refused<'a> {
    /// The status code.
    pub status: u16,
    /// The stable word for programs.
    pub code: &'a str,
    /// Field, value and remedy; the detail must contain all of them.
    pub named: &'a [&'a str],
}

/// A refusal with this status and code, whose detail names these things.
pub fn refused<'a>(status: u16, code: &'a str, named: &'a [&'a str]) -> Refused<'a> {
    Refused { status, code, named }
}

impl Reply {
    /// The reply must be this problem, with every member of RFC 9457 and our `code`.
    #[track_caller]
    pub fn assert_refused(&self, expected: Refused<'_>, path: &str, description: &str) {
        let Refused { status, code, named } = expected;
        let body = &self.body;
        assert_eq!(self.status, status, "{description}: {body}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{description}");
        assert_eq!(body["code"], code, "{description}: {body}");
        assert_eq!(body["type"], format!("urn:serin:problem:{code}"), "{description}");
        assert_eq!(body["status"], status, "{description}");
        assert_eq!(body["instance"], path, "{description}");
        assert!(body["title"].as_str().is_some_and(|title| !title.is_empty()), "{description}");
        assert!(body["error"].is_null(), "{description}: the detail is sent once");
        let detail = body["detail"].as_str().unwrap();
        for name in named {
            assert!(detail.contains(name), "{description}: {name:?} is not in {detail:?}");
        }
    }
}
