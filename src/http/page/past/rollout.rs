//! A rollout as it ended, or as it is.

use askama::Template;

use super::frame::Frame;
use super::frame::full;
use super::policy::PolicyPart;
use super::replay::Replay;
use super::table::requests;
use crate::canary::judge::what_if::Changes;
use crate::http::page::parts::metrics::Metrics;
use crate::http::page::parts::not_rendered;
use crate::http::page::parts::timeline::Timeline;
use crate::http::page::parts::verdict::Verdict;
use crate::http::problem::Problem;
use crate::http::query::Fields;
use crate::service::status::past::PastRollout;
use crate::service::status::report::words::Times;
use crate::service::status::report::words::duration;

/// The page.
#[derive(Debug, Template)]
#[template(path = "rollout.html")]
pub(super) struct RolloutPage {
    frame: Frame,
    id: u64,
    canary: String,
    /// Figures, each with its label.
    facts: Vec<(&'static str, String)>,
    // The parts, as HTML.
    verdict: String,
    metrics: String,
    late: String,
    timeline: String,
    replay: String,
    policy: String,
    notes: Vec<String>,
    /// Whether `/admin` needs no token.
    is_open: bool,
}

impl RolloutPage {
    /// The page of a rollout, asked with these fields.
    pub(super) fn new(
        past: PastRollout,
        fields: &Fields,
        changes: Changes,
        refused: Option<String>,
        is_file: bool,
        is_open: bool,
    ) -> Result<RolloutPage, Problem> {
        let outline = &past.outline;
        let times = Times::utc(outline.started_at);
        let basis = match outline.ended_at {
            Some(_) => "canary minus stable, as it was when the rollout ended".to_owned(),
            None => format!("canary minus stable, as it is at {}", full(past.asked_at)),
        };
        let verdict = Verdict::of_past(&past.report, outline);
        let metrics = Metrics::of_past(&past.report.metrics, "metrics", "Metrics", basis);
        let late = past.late_labels.as_ref().map(|late| {
            let basis = format!("after the promotion, as of {}", full(late.at));
            Metrics::of_past(&late.metrics, "late-labels", "Late labels", basis)
        });
        let late = late.map(|late| late.render()).transpose().map_err(not_rendered)?;
        let replay = Replay::new(&past, fields, changes, refused, is_file, &times);
        Ok(RolloutPage {
            frame: Frame { root: "../", is_list: false, is_file, written: full(past.asked_at) },
            id: outline.id,
            canary: outline.canary.name.clone(),
            facts: facts(&past),
            verdict: verdict.render().map_err(not_rendered)?,
            metrics: metrics.render().map_err(not_rendered)?,
            late: late.unwrap_or_default(),
            timeline: Timeline::of_one(&past.entries, &times).render().map_err(not_rendered)?,
            replay: match replay.is_empty() {
                true => String::new(),
                false => replay.render().map_err(not_rendered)?,
            },
            policy: PolicyPart::new(&past).render().map_err(not_rendered)?,
            notes: past.report.notes,
            is_open,
        })
    }
}

fn facts(past: &PastRollout) -> Vec<(&'static str, String)> {
    let outline = &past.outline;
    let lasted = outline.ended_at.unwrap_or(past.asked_at).duration_since(outline.started_at);
    let lasted = duration(lasted.as_secs_f64());
    vec![
        ("Began", full(outline.started_at)),
        ("Lasted", if outline.ended_at.is_some() { lasted } else { format!("{lasted} so far") }),
        ("Share reached", format!("{} %", outline.reached())),
        ("Canary requests", requests(outline)),
    ]
}
