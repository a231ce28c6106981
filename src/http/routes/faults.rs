//! `POST /admin/inject`: breaks something in the canary on purpose, where the server allows it.

use std::collections::BTreeMap;

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::web::Data;
use actix_web::web::Payload;
use serde::Deserialize;

use super::admin::command;
use crate::canary::policy::fault::GivenInjection;
use crate::http::Shared;
use crate::http::problem::Problem;
use crate::http::reading::body;
use crate::service::Command;

/// The body. What is left out is not injected, whatever was before.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    delay_ms: Option<u32>,
    error_rate: Option<f64>,
    score_shift: Option<f64>,
    #[serde(default)]
    segment: BTreeMap<String, String>,
    /// The same as an empty body.
    off: Option<bool>,
}

/// `POST /admin/inject`
pub async fn inject(request: HttpRequest, payload: Payload, shared: Data<Shared>) -> HttpResponse {
    command(request, payload, shared, |bytes| {
        let Asked { delay_ms, error_rate, score_shift, segment, off } =
            body::parse_or_default(bytes)?;
        let given = GivenInjection { delay_ms, error_rate, score_shift, segment };
        match off {
            Some(false) => Err(Problem::field("off = false says nothing; leave it out")),
            Some(true) if given != GivenInjection::default() => {
                Err(Problem::field("off is given with something to inject; give one of them"))
            }
            Some(true) | None => Ok(Command::Inject(given)),
        }
    })
    .await
}
