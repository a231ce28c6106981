//! What the page says of disagreements.

use serde_json::Map;
use serde_json::json;

use super::*;
use crate::service::status::report::tests::rollout;

fn shadowed(changes: serde_json::Value) -> Status {
    let mut shadow = json!({
        "percent": 100.0, "judged": true, "pairs": 126, "agreement_rate": 0.9444, "flip_rate": 0.0556,
        "mean_difference": 0.01, "largest_difference": 0.107, "failures": 0,
        "failures_by_kind": crate::canary::observed::samples::Failures::default(),
        "stable": {}, "canary": {}, "waiting": 0, "dropped": 0, "message": "",
    });
    for (name, value) in changes.as_object().unwrap() {
        shadow[name] = value.clone();
    }
    rollout("inconclusive", Some(0.0), json!({ "shadow": shadow }))
}

fn one(stable: Answer, canary: Answer, difference: f64, count: u64) -> Disagreement {
    let features = Map::from_iter([("salary".to_owned(), json!(123_456))]);
    let at = "2026-11-25T14:05:00Z".parse().unwrap();
    Disagreement { at, step: 1, count, features, omitted: 0, stable, canary, difference }
}

fn probability(probability: f64, label: u8) -> Answer {
    Answer { probability: Some(probability), label: Some(json!(label)), ..Answer::default() }
}

fn shown(status: &Status, worst: Vec<Disagreement>) -> (Disagreements, String) {
    let rollout = status.rollout.as_ref().map(|rollout| rollout.id);
    let part = Disagreements::new(status, &(rollout, worst), &Times::utc(status.at));
    let html = part.render().unwrap();
    (part, html)
}

#[test]
fn answers_are_shown_without_features() {
    let worst = vec![
        one(probability(0.4456, 0), probability(0.5531, 1), 0.1075, 3),
        one(probability(0.2, 0), probability(0.1, 0), -0.1, 1),
    ];
    let (part, html) = shown(&shadowed(json!({})), worst);
    assert_eq!(part.heading.as_deref(), Some("126 pairs at this step, 94.4 % of labels agree"));
    let [first, second] = &part.rows[..] else { panic!("{part:?}") };
    assert_eq!((first.stable.as_str(), first.canary.as_str()), ("0.446", "0.553"));
    assert_eq!((first.difference.as_str(), first.times), ("+0.107", Some(3)));
    assert_eq!(first.labels, Some(("0".to_owned(), Some("1".to_owned()))));
    assert_eq!(second.labels, Some(("0".to_owned(), None)));
    assert!(html.contains("<b>0 → 1</b>") && html.contains("14:05:00 UTC"), "{html}");
    assert!(!html.contains("salary") && !html.contains("123456"), "{html}");
}

#[test]
fn classes_and_scores_have_their_numbers() {
    let class = |label: &str, number: f64| Answer {
        label: Some(json!(label)),
        probabilities: Some(Map::from_iter([(label.to_owned(), json!(number))])),
        ..Answer::default()
    };
    let score = |score: f64| Answer { score: Some(score), ..Answer::default() };
    let worst = vec![
        one(class("<i>cat</i>", 0.5), class("dog", 0.75), 0.25, 1),
        one(score(1500.25), score(1490.0), -10.25, 1),
        one(score(1.0), score(3.5), 2.5, 1),
    ];
    let (part, html) = shown(&shadowed(json!({ "agreement_rate": null })), worst);
    let numbers: Vec<_> =
        part.rows.iter().map(|row| [&*row.stable, &row.canary, &row.difference]).collect();
    assert_eq!(
        numbers,
        [["0.500", "0.750", "+0.250"], ["1500.25", "1490", "\u{2212}10.25"], ["1", "3.5", "+2.5"]]
    );
    assert_eq!(part.heading.as_deref(), Some("126 pairs at this step"));
    assert!(html.contains("&#60;i&#62;cat&#60;/i&#62; → dog"), "{html}");
}

#[test]
fn without_rows_it_says_why() {
    for (changes, expected) in [
        (json!({ "pairs": 0 }), "No request was answered by both versions"),
        (json!({ "pairs": 0, "failures": 3 }), "the canary failed 3 requests"),
        (json!({ "largest_difference": 0.0 }), "the same answer to every request"),
        (json!({}), "has restarted since"),
    ] {
        let (part, html) = shown(&shadowed(changes), Vec::new());
        assert!(html.contains(expected), "{part:?}");
    }
    let none = rollout("pass", Some(0.0), json!({}));
    let (_, html) = shown(&none, Vec::new());
    assert_eq!(html, "<section class=\"part half\" id=\"disagreements\"></section>");
}

#[test]
fn those_of_earlier_steps_stay() {
    let status = rollout("pass", Some(0.0), json!({}));
    let worst = vec![one(probability(0.4, 0), probability(0.5, 1), 0.1, 1)];
    let (part, html) = shown(&status, worst);
    assert!(part.rows.len() == 1 && html.contains("of earlier steps"), "{html}");
}

#[test]
fn those_of_another_rollout_are_not_shown() {
    let status = shadowed(json!({}));
    let worst = vec![one(probability(0.4, 0), probability(0.5, 1), 0.1, 1)];
    let part = Disagreements::new(&status, &(Some(999), worst), &Times::utc(status.at));
    assert!(part.rows.is_empty() && part.empty.is_some());
}
