//! How distributions are drawn.

use serde_json::json;

use super::*;
use crate::canary::Samples;
use crate::canary::Track;
use crate::canary::observed::outputs::Means;
use crate::model::OutputKind;
use crate::service::status::report::tests::rollout;
use crate::service::status::report::tests::status;

fn shown(samples: &Samples, kind: &OutputKind, percent: f64) -> (Distributions, String) {
    let status = rollout("inconclusive", Some(0.0), json!({ "traffic_percent": percent }));
    let found = view::Distributions::new(samples, kind);
    let part = Distributions::new(&status, Some(&found), &Times::utc(status.at));
    let html = part.render().unwrap();
    (part, html)
}

fn samples(count: u32) -> Samples {
    let mut samples = Samples::default();
    for n in 1..=count {
        for track in [Track::Stable, Track::Canary] {
            samples.of_mut(track).record(f64::from(n) * 1e-5, &[f64::from(n) / 1000.0]);
        }
    }
    samples
}

const PROBABILITY: OutputKind = OutputKind::Probability { threshold: 0.5 };

#[test]
fn latency_and_scores_are_drawn_with_their_numbers() {
    let (part, html) = shown(&samples(400), &PROBABILITY, 10.0);
    let latency = part.latency.unwrap();
    assert_eq!(latency.dots[0].len(), 2, "p99 takes more");
    assert!(latency.paths.iter().all(|path| path.starts_with("M0 ") && path.contains("L1000 ")));
    assert_eq!(latency.numbers[1][3], "400");
    assert!(latency.says.starts_with("Latency: model_v1 p50 2.0"), "{}", latency.says);
    let labels: Vec<&str> = latency.labels.iter().map(|(.., text)| text.as_str()).collect();
    assert_eq!(labels, ["20 µs", "200 µs", "2 ms"]);
    for expected in ["at this step, since", "class=\"lc\"", "role=\"img\"", "p99", "median"] {
        assert!(html.contains(expected), "{expected} is not in {html}");
    }
    assert!(!html.contains("NaN") && !html.contains("inf"), "{html}");
}

#[test]
fn nothing_is_drawn_of_too_few_or_of_one_version() {
    for (count, percent, expected) in [
        (3, 10.0, "before each version has answered 20 requests: stable 3, canary 3."),
        (0, 0.0, "The canary gets no traffic at this step"),
        (0, 100.0, "Stable gets no traffic at this step"),
    ] {
        let (_, html) = shown(&samples(count), &PROBABILITY, percent);
        assert!(html.contains(expected) && !html.contains("<svg"), "{html}");
    }
    let idle = status(json!({}));
    let none = Distributions::new(&idle, None, &Times::utc(idle.at)).render().unwrap();
    assert_eq!(none, "<section class=\"part\" id=\"distributions\"></section>");
}

#[test]
fn of_many_classes_those_that_differ_most_are_shown() {
    let mut samples = Samples::default();
    for _ in 0..30 {
        samples.of_mut(Track::Stable).record_means(0.01, Means::Probabilities(&[0.1; 10]));
        let mut canary = [0.1; 10];
        (canary[4], canary[7]) = (0.2, 0.05);
        samples.of_mut(Track::Canary).record_means(0.01, Means::Probabilities(&canary));
    }
    let classes = (0..10).map(|n| format!("<{n}>")).collect();
    let (part, html) = shown(&samples, &OutputKind::Probabilities { classes }, 10.0);
    assert_eq!((part.classes.len(), part.more_classes), (8, 2));
    assert_eq!(part.classes[0].name, "<4>");
    assert_eq!(part.classes[1].means, ["0.100", "0.050"]);
    assert!(html.contains("&#60;4&#62;") && html.contains("2 more classes differ less"), "{html}");
}

#[test]
fn ticks_have_no_needless_digits() {
    for (seconds, expected) in [(1e-3, "1 ms"), (5e-5, "50 µs"), (0.2, "200 ms"), (2.0, "2 s")] {
        assert_eq!(duration_of_tick(seconds), expected);
    }
}
