//! Which segments the page shows.

use serde_json::json;

use super::*;
use crate::service::status::diagnostics::FindingStatus;
use crate::service::status::diagnostics::SeenStatus;
use crate::service::status::report::tests::rollout;
use crate::stats::Harm;

fn worst(segment: &str, canary: u64, is_found: bool) -> WorstStatus {
    WorstStatus {
        segment: segment.to_owned(),
        metric: "latency".to_owned(),
        is_found,
        stable: 400,
        canary,
        min_samples: 20,
        effect: Some(0.0006),
        difference: Some("+6.0 %".to_owned()),
        accepted: 0.001,
        harmful: 0.0005,
        harm: Harm::Higher,
        pass_margin: "accepted +10 %".to_owned(),
    }
}

fn segments(
    worst: Vec<WorstStatus>,
    seen: usize,
    findings: Vec<FindingStatus>,
) -> (Segments, String) {
    let mut status = rollout("pass", Some(0.0), json!({}));
    let one = SeenStatus {
        segment: "a=b".to_owned(),
        metric: "latency".to_owned(),
        stable: 1,
        canary: 1,
        stable_failures: 0,
        canary_failures: 0,
        effect: None,
        log10_e_value: 0.0,
    };
    status.health.as_mut().unwrap().diagnostics.segments = Some(SegmentsStatus {
        alpha: 0.05,
        hypotheses: 21,
        findings,
        seen: vec![one; seen],
        worst,
    });
    let part = Segments::new(&status);
    let html = part.render().unwrap();
    (part, html)
}

#[test]
fn a_segment_has_a_diamond_and_no_bar() {
    let (part, html) = segments(vec![worst("region=<north>", 212, false)], 1, Vec::new());
    assert_eq!(part.heading.as_deref(), Some("no harm found; 1 of 21 comparisons have data"));
    assert!(html.contains("class=\"estimate\"") && !html.contains("class=\"interval\""), "{html}");
    assert!(html.contains("region=&#60;north&#62;") && html.contains("+6.0 %"), "{html}");
    assert!(html.contains("in at most 5.0 % of rollouts"), "{html}");
}

#[test]
fn too_few_samples_show_no_difference() {
    let (part, html) = segments(vec![worst("a=b", 3, false)], 1, Vec::new());
    assert_eq!(part.rows[0].detail.as_deref(), Some("3 of 20 samples"));
    assert!(!html.contains("estimate") && !html.contains("+6.0 %"), "{html}");
}

#[test]
fn findings_are_named_and_the_rest_is_counted() {
    let finding = FindingStatus {
        segment: "a=b".to_owned(),
        metric: "latency".to_owned(),
        sentence: "segment a=b: slower".to_owned(),
    };
    let rows = vec![worst("a=b", 90, true), worst("a=c", 90, false)];
    let (part, html) = segments(rows, 9, vec![finding]);
    assert_eq!(
        part.heading.as_deref(),
        Some("harm in 1 comparison; 9 of 21 comparisons have data")
    );
    assert_eq!((part.rows[0].state.text, part.rows[0].forest.is_bad), ("harm", true));
    assert!(
        html.contains("segment a=b: slower") && html.contains("2 of 9, the strongest"),
        "{html}"
    );
}

#[test]
fn silence_and_no_segments_are_told_apart() {
    let (_, html) = segments(Vec::new(), 0, Vec::new());
    assert!(html.contains("No segment has requests of both versions yet."), "{html}");
    let none = Segments::new(&rollout("pass", Some(0.0), json!({}))).render().unwrap();
    assert_eq!(none, "<section class=\"part half\" id=\"segments\"></section>");
}
