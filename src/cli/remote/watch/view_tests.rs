//! Screens of typical statuses at the usual sizes.

use serde_json::Value;
use serde_json::json;
use textwrap::core::display_width;

use super::canvas::Canvas;
use super::view::Seen;
use super::view::Stale;
use super::view::View;
use crate::service::status::Status;
use crate::service::status::report::tests;
use crate::service::status::report::words::Times;

const USUAL: Canvas = Canvas { columns: 80, rows: 24, is_utf8: true };

/// A rollout by plan at 10 %, in which latency is not settled.
fn by_plan(changes: Value) -> Status {
    let mut all = tests::plan(json!({}));
    tests::merge(&mut all, changes);
    tests::rollout("inconclusive", Some(0.0003), all)
}

fn seen(status: Status, entries: usize) -> Seen {
    let times = Times { zone: jiff::tz::TimeZone::UTC, now: status.at };
    let entry = |number: usize| {
        json!({
            "sequence": number, "at": format!("2026-11-25T14:00:{number:02}Z"), "event": "initialized",
            "stable": { "version": "model_v1", "file": "m.bin", "digest": "d" },
            "sentence": format!("entry {number} is told in a sentence of some length, with numbers and a reason"),
        })
    };
    let history = (1..=entries).map(entry).collect::<Vec<_>>();
    Seen { status, history: serde_json::from_value(json!(history)).unwrap(), times }
}

fn styled(seen: &Seen, stale: Option<Stale>, canvas: &Canvas) -> Vec<String> {
    let lines = View { seen, server: "http://127.0.0.1:8000", stale }.lines(canvas);
    let text = lines.join("\n");
    assert!(lines.len() <= canvas.rows, "{} lines:\n{text}", lines.len());
    for line in &lines {
        assert!(display_width(line) <= canvas.columns, "{line:?} in\n{text}");
    }
    lines
}

/// The screen without colors.
fn screen(seen: &Seen, canvas: &Canvas) -> String {
    let text = styled(seen, None, canvas).join("\n");
    anstream::adapter::strip_str(&text).to_string()
}

#[test]
fn a_rollout_by_plan_fits_in_eighty_columns_and_twenty_four_rows() {
    let expected = "\
serin  http://127.0.0.1:8000                                        14:06:00 UTC

Holding   model_v2 gets 10 % of the traffic               rollout 3, step 2 of 3
";
    let text = screen(&seen(by_plan(json!({})), 9), &USUAL);
    assert!(text.starts_with(expected.trim_end()), "{text}");
    for part in [
        "Next      25 % at 14:10:00 UTC",
        "model_v2 10 %  ",
        "model_v1 90 %",
        "▲10 %",
        "Measured 50.0 % (1,000 of 2,000)",
        "latency",
        "━◆━",
        "waiting",
        "passes",
        "Timeline",
        "14:00:09 UTC  entry 9",
        "q quits   fails: whole bar right of ┃",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[test]
fn more_room_is_used() {
    let seen = seen(by_plan(json!({})), 40);
    let small = screen(&seen, &USUAL);
    let large = screen(&seen, &Canvas { columns: 120, rows: 40, is_utf8: true });
    for more in ["interval", "accepted  ", "entry 30 ", "serin explain latency"] {
        assert!(large.contains(more) && !small.contains(more), "{more}:\n{small}\n\n{large}");
    }
}

#[test]
fn every_size_keeps_the_verdict() {
    let long = json!({ "warnings": ["a warning of many words ".repeat(20)] });
    for status in
        [by_plan(long), tests::status(tests::ended("rolled_back", &"slow and ".repeat(9)))]
    {
        let seen = seen(status, 30);
        let word = if seen.status.canary.is_some() { "Holding" } else { "Rolled back" };
        for columns in [20, 40, 60, 80, 100, 120, 200] {
            for rows in [1, 2, 5, 10, 16, 24, 40, 100] {
                for is_utf8 in [true, false] {
                    let text = screen(&seen, &Canvas { columns, rows, is_utf8 });
                    assert!(rows < 3 || text.contains(word), "{columns} x {rows}:\n{text}");
                    assert!(is_utf8 || text.is_ascii(), "{text}");
                }
            }
        }
    }
    let narrow = screen(&seen(by_plan(json!({})), 3), &Canvas { columns: 60, ..USUAL });
    assert!(narrow.contains("◆") && narrow.contains("Timeline"), "{narrow}");
}

#[test]
fn a_canary_without_traffic_names_the_command_that_sends_some() {
    let silent = json!({ "health": { "forecast": { "requests_per_second": 0.0 } } });
    let text = screen(&seen(by_plan(silent), 1), &USUAL);
    assert!(text.contains("Waiting   model_v2") && text.contains("serin load"), "{text}");
}

#[test]
fn without_a_canary_stable_gets_all() {
    let text = screen(&seen(tests::status(json!({})), 1), &USUAL);
    assert!(text.contains("No canary") && text.contains("model_v1 100 %"), "{text}");
    assert!(text.contains(&"▒".repeat(80)) && !text.contains("metric"), "{text}");
}

#[test]
fn a_stale_screen_says_since_when_and_is_gray() {
    let seen = seen(by_plan(json!({})), 3);
    let why = Some("no answer from http://127.0.0.1:8000\u{1b}[31m".to_owned());
    let lines = styled(&seen, Some(Stale { seconds: 48, why }), &USUAL);
    assert!(lines[0].contains("STALE since 14:06:00 UTC (48 s)"), "{}", lines[0]);
    let why = lines[1..3].concat();
    assert!(why.contains("127.0.0.1:8000\\u{1b}[31m"), "{why}");
    let fresh = styled(&seen, None, &USUAL);
    let colored =
        |lines: &[String]| lines.iter().filter(|line| line.contains("\x1b[1m\x1b[3")).count();
    assert!(colored(&fresh) > 1, "{fresh:?}");
    assert_eq!(colored(&lines[1..]), 0, "{lines:?}");
}

#[test]
fn hostile_names_move_nothing() {
    let evil = "v2\u{1b}[2J\u{202e}evil\nname\u{7}";
    let mut status = by_plan(json!({ "warnings": [evil], "canary": { "version": evil } }));
    status.stable.version.name = format!("{evil}{}", "long".repeat(100));
    let mut seen = seen(status, 2);
    seen.history[1].sentence = evil.to_owned();
    seen.status.rollout.as_mut().unwrap().plan.as_mut().unwrap().reasons = vec![evil.to_owned()];
    for canvas in [USUAL, Canvas { columns: 60, ..USUAL }, Canvas { is_utf8: false, ..USUAL }] {
        let text = screen(&seen, &canvas);
        let is_harmless = |one: char| !one.is_control() || one == '\n';
        assert!(text.chars().all(is_harmless) && !text.contains('\u{202e}'), "{text:?}");
        assert!(text.contains("\\u{1b}[2J"), "{text}");
    }
}
