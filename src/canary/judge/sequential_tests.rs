//! Verdicts of whole policies: by classification, on seconds of traffic, and on degenerate pairs.

use super::*;
use crate::canary::judge::monitors::Counts;
use crate::canary::judge::monitors::Monitors;
use crate::canary::judge::sentences;
use crate::canary::observed::increment::Increment;
use crate::canary::observed::increment::RecordedIncrement;
use crate::canary::observed::increment::TrackIncrement;
use crate::canary::observed::samples::TrackSamples;
use crate::canary::policy::health::HealthPolicy;
use crate::canary::policy::metric::MetricName;
use crate::canary::policy::metric_overrides::JudgePolicyOverride;
use crate::canary::traffic::weight::Weight;
use crate::stats::sequential::EProcess;
use crate::stats::sequential::Score;

/// A second of 100 requests at 10 %, the canary slower by a factor; its first requests fail. The values
/// are spread by a fixed pattern from 10 to 20 ms.
pub(in crate::canary) fn second(number: u32, factor: f64, failures: u64) -> Increment {
    let value = |place: u32| {
        let n = number.wrapping_mul(100).wrapping_add(place);
        f64::from(n.wrapping_mul(2_654_435_761) % 1000) / 1000.0
    };
    let track = |places: std::ops::Range<u32>, factor: f64, failures: u64| TrackIncrement {
        requests: u64::from(places.end - places.start),
        failures,
        latency: places
            .clone()
            .skip(failures as usize)
            .map(|place| (factor * (0.010 + 0.010 * value(place)), 1))
            .collect(),
        score: places.skip(failures as usize).map(|place| (0.2 + 0.5 * value(place), 1)).collect(),
    };
    Increment {
        weight: Weight::from_percent(10.0).unwrap(),
        stable: track(0..90, 1.0, 0),
        canary: track(90..100, factor, failures),
        ..Increment::default()
    }
}

fn policy(toml: &str) -> JudgePolicy {
    let given: JudgePolicyOverride = toml::from_str(toml).unwrap();
    JudgePolicy::new(&HealthPolicy::default(), &given).unwrap()
}

fn concluded(
    policy: &JudgePolicy,
    ticks: impl IntoIterator<Item = Increment>,
) -> SequentialVerdict {
    let mut monitors = Monitors::new(policy, &TrackSamples::default());
    ticks.into_iter().for_each(|tick| monitors.tick(&tick));
    SequentialVerdict::new(policy, monitors.ticks(), &monitors.measured())
}

fn judged(seconds: u32, factor: f64, failing: impl Fn(u32) -> u64) -> SequentialVerdict {
    concluded(
        &JudgePolicy::default(),
        (0..seconds).map(|number| second(number, factor, failing(number))),
    )
}

#[test]
fn an_equal_canary_is_promoted_and_never_rolled_back() {
    let found = judged(600, 1.0, |_| 0);
    assert_eq!(found.verdict, Verdict::Promote, "{found:?}");
    assert_eq!((found.score, found.ticks), (Some(100.0), 600));
}

#[test]
fn a_canary_that_is_half_again_as_slow_is_rolled_back_within_half_a_minute() {
    let found = judged(30, 1.5, |_| 0);
    assert_eq!(found.verdict, Verdict::Rollback, "{found:?}");
    let policy = JudgePolicy::default();
    let short =
        "latency: +48.6 % against stable (interval +37.9 .. +59.2 %); fails, tolerated +5.67 %";
    let (metric, evidence) = (&policy.metrics[0], &found.metrics[0]);
    assert_eq!(sentences::metric(metric, evidence), short);
    assert_eq!((evidence.samples.canary, evidence.samples.stable), (300, 2700));
    assert!((evidence.harm_p_value.unwrap() / 1.6e-66 - 1.0).abs() < 0.05, "{evidence:?}");
    assert_eq!(evidence.proven_p_value, None, "a metric that fails passes nothing");
    assert_eq!(
        sentences::verdict(&policy, &found),
        "latency 48.6 % above stable (tolerated +5.67 %); latency_p99 49.8 % above stable (tolerated +20.5 %)"
    );
}

#[test]
fn stalls_of_each_track_by_itself_hold_models_with_threads_and_do_not_roll_back_their_canary() {
    let of = |has_threads: bool| {
        let policy = JudgePolicy::default().of_threads(has_threads);
        let mut monitors = Monitors::new(&policy, &TrackSamples::default());
        let mut seen = Vec::new();
        let mut draw = 1_u32;
        let mut stalls = || {
            draw = draw.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            draw >> 16 < 65_536 / 60
        };
        for number in 0..1200 {
            let mut tick = second(number, if stalls() { 12.0 } else { 1.0 }, 0);
            if stalls() {
                tick.stable.latency.iter_mut().for_each(|(value, _)| *value *= 12.0);
            }
            monitors.tick(&tick);
            let found = SequentialVerdict::new(&policy, monitors.ticks(), &monitors.measured());
            seen.push((found.verdict, found.metrics[0].is_suspected));
            if found.metrics[0].is_suspected {
                assert_ne!(found.verdict, Verdict::Promote, "{found:?}");
                let text = sentences::metric(&policy.metrics[0], &found.metrics[0]);
                assert!(text.contains("shown by single requests, not yet by spans"), "{text}");
            }
        }
        seen
    };
    assert!(of(false).contains(&(Verdict::Rollback, false)), "every request as a draw");
    let by_span = of(true);
    assert!(by_span.iter().all(|(verdict, _)| *verdict != Verdict::Rollback));
    assert!(by_span.iter().any(|(_, is_suspected)| *is_suspected));
}

#[test]
fn harm_that_begins_after_half_an_hour_is_found_within_a_minute() {
    for (factor, failures) in [(1.5, 0), (1.0, 1)] {
        let policy = JudgePolicy::default();
        let mut monitors = Monitors::new(&policy, &TrackSamples::default());
        (0..1800).for_each(|number| monitors.tick(&second(number, 1.0, 0)));
        let healthy = SequentialVerdict::new(&policy, monitors.ticks(), &monitors.measured());
        assert_eq!(healthy.verdict, Verdict::Promote, "{healthy:?}");
        (1800..1860).for_each(|number| monitors.tick(&second(number, factor, failures)));
        let harmful = SequentialVerdict::new(&policy, monitors.ticks(), &monitors.measured());
        assert_eq!(harmful.verdict, Verdict::Rollback, "{harmful:?}");
    }
}

#[test]
fn a_canary_that_fails_is_rolled_back_within_seconds() {
    let found = judged(3, 1.0, |_| 1);
    assert_eq!(found.verdict, Verdict::Rollback, "{found:?}");
    let message = sentences::verdict(&JudgePolicy::default(), &found);
    assert!(message.contains("3 of 30 canary requests failed, stable 0 of 270"), "{message}");
}

#[test]
fn a_slowdown_within_the_margin_is_not_harm() {
    let found = judged(600, 1.03, |_| 0);
    assert_ne!(found.verdict, Verdict::Rollback, "{found:?}");
}

#[test]
fn a_margin_far_above_the_latencies_does_not_hide_a_slow_canary() {
    // Stable takes some hundred nanoseconds, 100 µs are tolerated, the canary takes 25 ms.
    let policy = JudgePolicy::default();
    let mut monitors = Monitors::new(&policy, &TrackSamples::default());
    for tick in 0..10_u32 {
        let mut increment = second(tick, 1.0, 0);
        for place in 0..90 {
            increment.stable.latency[place as usize].0 = 1e-7 * f64::from(1 + (place + tick) % 5);
        }
        for value in &mut increment.canary.latency {
            value.0 = if tick < 3 { 2e-7 } else { 0.025 };
        }
        monitors.tick(&increment);
        let found = SequentialVerdict::new(&policy, monitors.ticks(), &monitors.measured());
        assert_eq!(found.verdict == Verdict::Rollback, tick >= 3, "after tick {tick}");
    }
}

#[test]
fn monitors_read_back_continue_to_the_same_bytes() {
    let mut original = Monitors::new(&JudgePolicy::default(), &TrackSamples::default());
    (0..20).for_each(|number| original.tick(&second(number, 1.2, u64::from(number % 7 == 3))));
    let text = serde_json::to_string(&original).unwrap();
    let mut read: Monitors = serde_json::from_str(&text).unwrap();
    assert_eq!(read, original);
    for monitors in [&mut read, &mut original] {
        (20..40).for_each(|number| monitors.tick(&second(number, 1.1, 0)));
    }
    let bytes = |monitors: &Monitors| serde_json::to_string(monitors).unwrap();
    assert_eq!(bytes(&read), bytes(&original));
}

/// A metric's numbers for the classification that is wanted.
fn measured(metric: &Metric, classification: Classification) -> Measured {
    let mut found = Measured {
        metric: metric.name.clone(),
        counts: Counts { stable: 1000, canary: 1000, ..Counts::default() },
        harm: EProcess::default(),
        proven: EProcess::default(),
        effect: Score::default(),
        stable_mean: None,
        stable_spread: None,
        canary_spread: None,
        distance: None,
        class: None,
        shift: None,
        by_request: None,
        quantile_effect: None,
        span_seconds: None,
        visits: None,
        last_look: None,
    };
    found.effect.tick(0.5, 0.0, [(0.0, 1)], [(0.0, 1)]);
    match classification {
        Classification::Pass => found.proven.observe(50.0),
        Classification::Fail => found.harm.observe(50.0),
        Classification::Inconclusive => {}
        Classification::Insufficient => found.counts.canary = 19,
    }
    found
}

/// The cases of a file: lines with `|`, cut at it into words, each with the policy line before it.
fn cases(text: &str) -> Vec<(Vec<&str>, Vec<Vec<&str>>)> {
    let (mut policy, mut cases) = (Vec::new(), Vec::new());
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        if line.contains('|') {
            let parts = line.split('|').map(|part| part.split_whitespace().collect());
            cases.push((policy.clone(), parts.collect()));
        } else if line.starts_with(' ') {
            policy.push(line);
        } else {
            policy = vec![line];
        }
    }
    cases
}

fn classification(word: &str) -> Classification {
    match word {
        "pass" => Classification::Pass,
        "fail" => Classification::Fail,
        "open" => Classification::Inconclusive,
        "none" => Classification::Insufficient,
        _ => panic!("{word} is not a classification"),
    }
}

fn verdict(word: &str) -> Verdict {
    serde_json::from_value(word.into()).unwrap()
}

#[test]
fn the_verdict_follows_from_roles_weights_and_scores() {
    for (lines, case) in cases(include_str!("testdata/verdicts.txt")) {
        let name = format!("{}: {}", lines[0], case[0].join(" "));
        let mut toml = String::new();
        if let Some((_, scores)) = lines[0].split_once('(') {
            toml += &scores.trim_end_matches(')').replace(", ", "\n");
        }
        for line in &lines[1..] {
            let (metric, extra) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
            toml += &format!("\n[[metrics]]\nname = \"{metric}\"\nharm = \"lower\"\n{extra}\n");
        }
        // The file is about recorded metrics: the score is advice in it, and the log loss has cases of its own.
        toml += "\n[[metrics]]\nname = \"score\"\nrole = \"advisory\"\n";
        let mut policy = policy(&toml);
        policy.metrics.retain(|metric| {
            metric.required && metric.source.properties().decidable_after.is_none()
        });
        let classifications: Vec<_> = case[1].iter().map(|word| classification(word)).collect();
        assert_eq!(policy.metrics.len(), classifications.len(), "{name}");
        let numbers: Vec<Measured> = policy
            .metrics
            .iter()
            .zip(&classifications)
            .map(|(metric, classification)| measured(metric, *classification))
            .collect();
        let found = SequentialVerdict::new(&policy, 7, &numbers);
        let got: Vec<_> = found.metrics.iter().map(|one| one.classification).collect();
        assert_eq!(got, classifications, "{name}");
        assert_eq!(found.verdict, verdict(case[2][0]), "{name}: {found:?}");
        let score = case[2][1].parse::<f64>().ok();
        let is_same = match (found.score, score) {
            (Some(found), Some(score)) => (found - score).abs() < 1e-6,
            (found, score) => found == score,
        };
        assert!(is_same, "{name}: {score:?} {found:?}");
    }
}

#[test]
fn constant_traffic_has_a_verdict() {
    for (_, case) in cases(include_str!("testdata/traffic.txt")) {
        let name = case[0].join(" ");
        let number = |place: usize| -> f64 { case[1][place].parse().unwrap() };
        let track = |requests: f64, failures: f64, latency: f64| {
            let answered = (requests - failures) as u64;
            TrackIncrement {
                requests: requests as u64,
                failures: failures as u64,
                latency: vec![(latency, answered)],
                score: vec![(0.5, answered)],
            }
        };
        let second = Increment {
            weight: Weight::from_percent(10.0).unwrap(),
            stable: track(number(1), 0.0, number(4)),
            canary: track(number(2), number(3), number(5)),
            ..Increment::default()
        };
        let ticks = vec![second; number(0) as usize];
        let found = concluded(&JudgePolicy::default(), ticks);
        let got: Vec<_> = found.metrics.iter().map(|one| one.classification).collect();
        let expected = [case[2][0], case[2][1]].map(classification);
        assert_eq!(got[..2], expected, "{name}: {found:#?}");
        assert_eq!(found.verdict, verdict(case[2][2]), "{name}: {found:?}");
        let message = sentences::verdict(&JudgePolicy::default(), &found);
        assert!(!message.contains("NaN") && !message.contains("inf"), "{name}: {message}");
        let text = serde_json::to_string(&found).unwrap();
        assert!(!text.contains("null,null"), "{name}: {text}");
    }
}

/// Seconds in which ten values of each version are recorded; the canary's are lower by `loss`.
pub(in crate::canary) fn revenue(seconds: u32, loss: f64) -> impl Iterator<Item = Increment> {
    (0..seconds).map(move |number| {
        let mut increment = second(number, 1.0, 0);
        let values = |offset: u32, less: f64| -> Vec<(f64, u64)> {
            (0..10)
                .map(|place| {
                    let n = (number * 20 + offset + place).wrapping_mul(2_654_435_761) % 1000;
                    (100.0 + f64::from(n) / 10.0 - less, 1)
                })
                .collect()
        };
        let recorded = RecordedIncrement { stable: values(0, 0.0), canary: values(10, loss) };
        increment.recorded.insert(MetricName::new("revenue").unwrap(), recorded);
        increment
    })
}

#[test]
fn a_recorded_metric_is_judged_by_its_own_direction_of_harm() {
    let guarded = policy("[[metrics]]\nname = \"revenue\"\nharm = \"lower\"\nrole = \"guardrail\"");
    let found = concluded(&guarded, revenue(600, 0.0));
    assert_eq!(found.verdict, Verdict::Promote, "{found:?}");
    let found = concluded(&guarded, revenue(60, 40.0));
    assert_eq!(found.verdict, Verdict::Rollback, "{found:?}");
    let message = sentences::verdict(&guarded, &found);
    assert!(message.starts_with("revenue 2") && message.contains(" below stable"), "{message}");
    let found = concluded(&guarded, revenue(600, -40.0));
    assert_eq!(found.verdict, Verdict::Promote, "{found:?}");
    let nothing_recorded = concluded(&guarded, (0..600).map(|number| second(number, 1.0, 0)));
    assert_eq!(nothing_recorded.verdict, Verdict::Hold);
    let message = sentences::verdict(&guarded, &nothing_recorded);
    assert!(message.contains("waiting for data: revenue"), "{message}");
}

#[test]
fn log_loss_is_a_guardrail_from_the_first_hundred_labels_on() {
    let policy = JudgePolicy::default();
    let with = |labels: u64, loss: Classification| {
        let passing = |metric: &Metric| match metric.required {
            true => measured(metric, Classification::Pass),
            false => {
                let counts = Counts { stable: labels, canary: labels, ..Counts::default() };
                Measured { counts, ..measured(metric, loss) }
            }
        };
        let numbers: Vec<Measured> = policy.metrics.iter().map(passing).collect();
        SequentialVerdict::new(&policy, 7, &numbers).verdict
    };
    assert_eq!(with(0, Classification::Inconclusive), Verdict::Promote, "absent without labels");
    assert_eq!(with(99, Classification::Fail), Verdict::Promote);
    assert_eq!(with(100, Classification::Fail), Verdict::Rollback);
    assert_eq!(with(100, Classification::Inconclusive), Verdict::Promote, "no proof is awaited");
}

#[test]
fn a_metric_that_fails_does_not_pass_and_without_samples_nothing_is_measured() {
    let policy = JudgePolicy::default();
    let latency = &policy.metrics[0];
    let mut both = measured(latency, Classification::Fail);
    both.proven.observe(50.0);
    let found = evidence(&policy, latency, &both);
    assert_eq!((found.classification, found.proven_p_value), (Classification::Fail, None));
    let mut unseen = Measured { effect: Score::default(), ..both };
    unseen.counts.canary = 0;
    unseen.harm = EProcess::default();
    unseen.effect.tick(0.5, 0.0, [], [(1.0, 10)]);
    let found = evidence(&policy, latency, &unseen);
    let numbers = (found.effect, found.interval, found.harm_p_value, found.proven_p_value);
    assert_eq!(numbers, (None, None, None, None));
}

#[test]
fn a_first_tick_with_all_samples_compares_nothing_and_is_not_inconclusive() {
    let policy = JudgePolicy::default();
    let burst = (0..10).map(|number| second(number, 1.0, 0));
    let mut all = second(0, 1.0, 0);
    for one in burst {
        all.stable.score.extend(one.stable.score);
        all.canary.score.extend(one.canary.score);
    }
    let mut monitors = Monitors::new(&policy, &TrackSamples::default());
    monitors.tick(&all);
    let score = |monitors: &Monitors| {
        let measured = monitors.measured();
        assert!(measured[2].counts.fewest() >= policy.metrics[2].min_samples);
        evidence(&policy, &policy.metrics[2], &measured[2])
    };
    let first = score(&monitors);
    assert_eq!((first.classification, first.effect), (Classification::Insufficient, None));
    let said = sentences::metric(&policy.metrics[2], &first);
    assert!(said.ends_with("; nothing compared yet"), "{said}");
    monitors.tick(&second(11, 1.0, 0));
    assert_ne!(score(&monitors).classification, Classification::Insufficient);
}
