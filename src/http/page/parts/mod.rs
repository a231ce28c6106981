//! The parts of the page that change, each an element with an id.
//!
//! - `verdict`, `traffic`, `acts`, `metrics` (with `forest`, its pictures), `checklist`, `start`, `timeline`, `notes`: what is shown of a status.
//! - `distributions`, `segments`, `disagreements`, `models`: what is shown besides, each where there is any.
//! - `opened`: what an opened row of the metrics shows.
//! - `word`: a state in a word.

mod acts;
mod checklist;
mod disagreements;
mod distributions;
mod forest;
pub(super) mod metrics;
mod models;
mod notes;
mod opened;
mod segments;
mod start;
pub(super) mod timeline;
mod traffic;
pub(super) mod verdict;
pub(super) mod word;

use std::net::SocketAddr;

use askama::Template as _;
use jiff::Timestamp;

use self::acts::Acts;
use self::checklist::Checklists;
use self::disagreements::Disagreements;
use self::distributions::Distributions;
use self::metrics::Metrics;
use self::models::Models;
use self::notes::Notes;
use self::opened::Opened;
use self::segments::Segments;
use self::start::Start;
use self::timeline::Timeline;
use self::traffic::Traffic;
use self::verdict::Verdict;
use crate::http::problem::Kind;
use crate::http::problem::Problem;
use crate::service::Service;
use crate::service::status::history::History;
use crate::service::status::report::Report;
use crate::service::status::report::words::Times;

/// Entries of the journal on the page.
const ENTRIES: usize = 20;

/// The title of the page, and the parts that change, as HTML.
pub(super) struct Rendered {
    pub(super) title: String,
    /// The time of the status.
    pub(super) at: Timestamp,
    pub(super) parts: Vec<String>,
}

/// All parts, in the order of the page, of a server that listens on this address, with this metric opened.
pub(super) fn rendered(
    service: &Service,
    listens: SocketAddr,
    open: Option<&str>,
) -> Result<Rendered, Problem> {
    // Before the status, so that it is not older than the history.
    let history = open.and_then(|metric| service.control.metric_history(metric).ok());
    let status = service.status();
    let times = Times::utc(status.at);
    let report = Report::new(&status, &times);
    let opened = history.and_then(|history| Opened::new(&status, &report, &history, &times));
    let opened = opened.map(|it| it.render()).transpose().map_err(not_rendered)?;
    let entries = History::new(service.newest_history(ENTRIES)?).entries;
    // Only where they are compared.
    let found = status.canary.is_some().then(|| service.control.distributions());
    let disagreements = service.serving.shadow.disagreements();
    let verdict = Verdict::new(&status, &report, &times);
    let title = verdict.title();
    let running = status.rollout.as_ref().map(|rollout| rollout.id);
    let newest = running.or(status.last_rollout.as_ref().map(|last| last.rollout));
    let parts = [
        verdict.render(),
        Traffic::new(&status).render(),
        Acts::new(&status, report.condition).render(),
        Start::new(&report, listens).render(),
        Metrics::new(&report, open.zip(opened)).render(),
        Checklists::new(&report).render(),
        Distributions::new(&status, found.as_ref(), &times).render(),
        Segments::new(&status).render(),
        Disagreements::new(&status, &disagreements, &times).render(),
        Timeline::new(&entries, newest, &times).render(),
        Models::of(service, &status).render(),
        Notes { notes: report.notes, revision: status.revision }.render(),
    ];
    let parts = parts.into_iter().map(|part| part.map_err(not_rendered));
    let at = status.at;
    Ok(Rendered { title, at, parts: parts.collect::<Result<_, Problem>>()? })
}

/// What the opened row of a metric shows.
pub(super) fn opened(service: &Service, metric: &str) -> Result<String, Problem> {
    let history = service.control.metric_history(metric)?;
    let status = service.status();
    let times = Times::utc(status.at);
    let report = Report::new(&status, &times);
    let opened = Opened::new(&status, &report, &history, &times).ok_or_else(|| {
        Problem::new(Kind::NoSuchMetric, format_args!("the page has no metric {metric:?} now"))
    })?;
    opened.render().map_err(not_rendered)
}

pub(super) fn not_rendered(cause: askama::Error) -> Problem {
    Problem::new(Kind::Internal, format_args!("the page could not be rendered: {cause}"))
}
