//! The files that the page loads, in the binary. Their addresses have their digest, so that browsers may keep them.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header;

use super::protection::protect;
use crate::http::answer::Answer;
use crate::http::answer::Call;
use crate::http::problem::Kind;
use crate::http::problem::Problem;

/// The style sheet, which is also part of pages that are written to a file.
pub(super) const STYLE: &str = include_str!("assets/style.css");

/// The files, each with its type.
const FILES: [(&str, &str, &str); 7] = [
    ("style.css", "text/css; charset=utf-8", STYLE),
    ("theme.js", "text/javascript; charset=utf-8", include_str!("assets/theme.js")),
    ("page.js", "text/javascript; charset=utf-8", include_str!("assets/page.js")),
    ("rows.js", "text/javascript; charset=utf-8", include_str!("assets/rows.js")),
    ("acts.js", "text/javascript; charset=utf-8", include_str!("assets/acts.js")),
    ("keys.js", "text/javascript; charset=utf-8", include_str!("assets/keys.js")),
    ("replay.js", "text/javascript; charset=utf-8", include_str!("assets/replay.js")),
];

static DIGEST: LazyLock<String> = LazyLock::new(|| {
    let all: String = FILES.iter().map(|(_, _, content)| *content).collect();
    let mut digest = blake3::hash(all.as_bytes()).to_hex().to_string();
    digest.truncate(16);
    digest
});

/// The digest of all files, as it stands in their addresses.
pub(super) fn digest() -> &'static str {
    &DIGEST
}

/// `GET /assets/{digest}/{file}`: a file of the page.
pub async fn asset(call: Call) -> Answer {
    let path = call.request.match_info();
    let (given, file) =
        (path.get("digest").unwrap_or_default(), path.get("file").unwrap_or_default());
    let Some((_, content_type, content)) = FILES.iter().find(|(name, ..)| *name == file) else {
        let detail = format!("no file {file:?}; the page is at /");
        return Err(Problem::new(Kind::NoSuchRoute, detail));
    };
    let mut answer = HttpResponse::Ok();
    protect(&mut answer);
    if given == digest() {
        answer.insert_header((header::CACHE_CONTROL, "max-age=31536000, immutable"));
    }
    Ok(answer.content_type(*content_type).body(*content))
}
