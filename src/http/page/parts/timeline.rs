//! The timeline: what happened, newest first.

use askama::Template;

use crate::service::status::history::HistoryEntry;
use crate::service::status::report::words::Brief;
use crate::service::status::report::words::Times;

/// What happened, newest first.
#[derive(Debug, Template)]
#[template(path = "timeline.html")]
pub(crate) struct Timeline {
    entries: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    time: String,
    /// The rollout whose page the time leads to.
    link: Option<u64>,
    /// The number of the entry.
    sequence: u64,
    sentence: Brief,
}

impl Timeline {
    /// Of these entries, oldest first, with links to their rollouts, of which the newest is this one.
    pub(super) fn new(entries: &[HistoryEntry], newest: Option<u64>, times: &Times) -> Timeline {
        let mut timeline = Timeline::of_one(entries, times);
        let mut number = newest;
        for (line, it) in timeline.entries.iter_mut().zip(entries.iter().rev()) {
            let event = &it.entry.event;
            line.link = event.rollout();
            // A deployment does not name its rollout, which gets the next number.
            if event.starts_rollout() {
                line.link = number;
                number = number.and_then(|number| number.checked_sub(1));
            }
        }
        timeline
    }

    /// Of these entries of one rollout, without links.
    pub(crate) fn of_one(entries: &[HistoryEntry], times: &Times) -> Timeline {
        let line = |it: &HistoryEntry| Line {
            time: times.time(it.entry.at),
            link: None,
            sequence: it.entry.sequence,
            sentence: Brief::of(&it.sentence),
        };
        Timeline { entries: entries.iter().rev().map(line).collect() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::service::status::history::History;

    #[test]
    fn each_entry_leads_to_its_rollout() {
        let version = json!({ "version": "model_v2", "file": "m.bin", "digest": "d" });
        let entry = |sequence: u64, event: serde_json::Value| {
            let mut entry =
                json!({ "sequence": sequence, "at": "2026-11-25T14:05:00Z", "sentence": "x" });
            crate::service::status::report::tests::merge(&mut entry, event);
            entry
        };
        let deployed = json!({ "event": "canary_deployed", "canary": version, "policy": crate::canary::Policy::default(), "salt": "1", "reason": null, "override_quarantine": false });
        let history = json!({ "revision": 5, "entries": [
            entry(1, json!({ "event": "initialized", "stable": version })),
            entry(2, deployed.clone()),
            entry(3, json!({ "event": "paused", "rollout": 6, "cause": { "person": null } })),
            entry(4, json!({ "event": "resumed", "rollout": 6 })),
            entry(5, deployed),
        ] });
        let history: History = serde_json::from_value(history).unwrap();
        let times = Times::utc("2026-11-25T14:06:00Z".parse().unwrap());
        let timeline = Timeline::new(&history.entries, Some(7), &times);
        let links: Vec<_> = timeline.entries.iter().map(|line| line.link).collect();
        assert_eq!(links, [Some(7), Some(6), Some(6), Some(6), None]);
        let html = timeline.render().unwrap();
        assert!(
            html.contains("<a href=\"rollouts/7\" aria-label=\"14:05:00 UTC, rollout 7\">"),
            "{html}"
        );
        let alone = Timeline::of_one(&history.entries, &times).render().unwrap();
        assert!(!alone.contains("<a "), "{alone}");
    }
}
