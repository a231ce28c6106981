//! The page: a canary on one screen, rendered from the report that the terminal prints.
//!
//! - `view`: what is shown of a status. `forest`, `traffic`: the pictures.
//! - `live`: sends the parts that change. `viewers`: to whom.
//! - `assets`: style sheet and script, in the binary. `protection`: headers that keep other sites away.
//! - `templates/`: the HTML, with a file for each part of the page.

mod assets;
mod forest;
mod live;
mod protection;
mod traffic;
mod view;
pub(crate) mod viewers;

use actix_web::HttpResponse;
use actix_web::http::header;
use askama::Template as _;

use self::protection::protect;
use self::traffic::Traffic;
use self::view::Metrics;
use self::view::Notes;
use self::view::Now;
use self::view::Timeline;
use self::view::Verdict;
use crate::http::answer::Answer;
use crate::http::answer::Call;
use crate::http::problem::Kind;
use crate::http::problem::Problem;
use crate::http::settings::Settings;
use crate::service::Service;
use crate::service::status::history::History;
use crate::service::status::report::Report;
use crate::service::status::report::words::Times;

pub use self::assets::asset;
pub use self::live::keep_up_to_date;
pub use self::live::live;

/// Entries of the journal on the page.
const ENTRIES: usize = 20;

/// The page of the present rollout.
pub async fn now(call: Call) -> Answer {
    check(&call)?;
    let _turn = call.shared.documents.acquire().await;
    let page = call.ask(rendered).await?;
    let mut answer = HttpResponse::Ok();
    protect(&mut answer).insert_header((header::CACHE_CONTROL, "no-store"));
    Ok(answer.content_type("text/html; charset=utf-8").body(page))
}

/// Checks that the page may be read.
fn check(call: &Call) -> Result<(), Problem> {
    let Settings { access, metrics_token, .. } = &call.shared.settings;
    access.check_page(call.request.headers(), metrics_token.as_ref())
}

fn rendered(service: &Service) -> Result<String, Problem> {
    let parts = parts(service)?;
    let page = Now { version: env!("CARGO_PKG_VERSION"), assets: assets::digest(), parts: &parts };
    page.render().map_err(not_rendered)
}

/// The parts of the page that change, each an element with an id.
fn parts(service: &Service) -> Result<Vec<String>, Problem> {
    let status = service.status();
    let times = Times::utc(status.at);
    let report = Report::new(&status, &times);
    let entries = History::new(service.newest_history(ENTRIES)?).entries;
    let parts = [
        Verdict::new(&status, &report).render(),
        Traffic::new(&status).render(),
        Metrics::new(&report).render(),
        Timeline::new(&entries, &times).render(),
        Notes { notes: report.notes, revision: status.revision }.render(),
    ];
    parts.into_iter().map(|part| part.map_err(not_rendered)).collect()
}

fn not_rendered(cause: askama::Error) -> Problem {
    Problem::new(Kind::Internal, format_args!("the page could not be rendered: {cause}"))
}
