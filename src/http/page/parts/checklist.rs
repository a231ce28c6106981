//! The checklist: why the canary is not promoted yet.

use askama::Template;

use crate::service::status::report::Report;
use crate::service::status::report::checklist::CheckState;
use crate::service::status::report::checklist::Checklist;

/// What the next step and the promotion wait for.
#[derive(Debug, Template)]
#[template(path = "checklist.html")]
pub(super) struct Checklists<'a> {
    title: &'static str,
    lists: &'a [Checklist],
}

impl<'a> Checklists<'a> {
    pub(super) fn new(report: &'a Report) -> Checklists<'a> {
        let mut items = report.checklists.iter().flat_map(|list| &list.items);
        let is_ready = items.all(|item| item.state == CheckState::Done);
        let title = if is_ready { "Ready for the promotion" } else { "Why not promoted yet" };
        Checklists { title, lists: &report.checklists }
    }
}
