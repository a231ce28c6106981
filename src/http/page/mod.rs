//! The page: a canary on one screen, rendered from the report that the terminal prints.
//!
//! - `parts`: what changes, a file for each part.
//! - `live`: sends the parts that change. `viewers`: to whom.
//! - `past`: the pages of earlier rollouts.
//! - `assets`: style sheet and script, in the binary. `protection`: headers that keep other sites away.
//! - `templates/`: the HTML, with a file for each part of the page.

mod assets;
mod live;
mod parts;
mod past;
mod protection;
pub(crate) mod viewers;

use std::net::SocketAddr;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Query;
use askama::Template;
use serde::Deserialize;

use self::parts::Rendered;
use self::protection::protect;
use crate::http::access::Access;
use crate::http::answer::Answer;
use crate::http::answer::Call;
use crate::http::problem::Problem;
use crate::http::settings::Settings;
use crate::service::Service;

pub use self::assets::asset;
pub use self::live::keep_up_to_date;
pub use self::live::live;
pub use self::past::rollout;
pub use self::past::rollouts;

/// The whole page.
#[derive(Debug, Template)]
#[template(path = "now.html")]
struct Now<'a> {
    /// How the rollout is doing, which a script keeps up to date.
    title: &'a str,
    version: &'static str,
    /// The digest in the addresses of the assets.
    assets: &'static str,
    /// Who may act: `open`, `token` or `closed`.
    access: &'static str,
    /// The time of the server in milliseconds since 1970: the clock of the browser may be wrong.
    at: i64,
    /// The parts that change, as HTML.
    parts: &'a [String],
}

/// The query of the page.
#[derive(Deserialize)]
struct Opening {
    /// The metric whose row is opened.
    open: Option<String>,
}

/// The page of the present rollout. `?open=latency` opens the row of a metric; without such a metric it opens none.
pub async fn now(call: Call) -> Answer {
    check(&call)?;
    let _turn = call.shared.documents.acquire().await;
    let access = match &call.shared.settings.access {
        Access::Open => "open",
        Access::Token(_) => "token",
        Access::Closed => "closed",
    };
    let listens = call.shared.listens;
    let query = Query::<Opening>::from_query(call.request.query_string());
    let open = query.ok().and_then(|query| query.into_inner().open);
    let page = call.ask(move |service| rendered(service, access, listens, open.as_deref())).await?;
    Ok(html(page))
}

/// `GET /bands/{metric}`: what the opened row of a metric shows.
pub async fn band(call: Call) -> Answer {
    check(&call)?;
    let metric = call.request.match_info().query("metric").to_owned();
    let _turn = call.shared.documents.acquire().await;
    Ok(html(call.ask(move |service| parts::opened(service, &metric)).await?))
}

fn html(text: String) -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    protect(&mut answer).insert_header((header::CACHE_CONTROL, "no-store"));
    answer.content_type("text/html; charset=utf-8").body(text)
}

/// Checks that the page may be read.
fn check(call: &Call) -> Result<(), Problem> {
    let Settings { access, metrics_token, .. } = &call.shared.settings;
    access.check_page(call.request.headers(), metrics_token.as_ref())
}

fn rendered(
    service: &Service,
    access: &'static str,
    listens: SocketAddr,
    open: Option<&str>,
) -> Result<String, Problem> {
    let Rendered { title, at, parts } = parts::rendered(service, listens, open)?;
    let (version, assets) = (env!("CARGO_PKG_VERSION"), assets::digest());
    let page =
        Now { title: &title, version, assets, access, at: at.as_millisecond(), parts: &parts };
    page.render().map_err(parts::not_rendered)
}
