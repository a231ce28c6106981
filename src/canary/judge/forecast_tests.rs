//! Forecasts of fixed patterns of traffic, edge cases, and arbitrary numbers.

use proptest::prelude::*;

use super::*;
use crate::canary::judge::monitors::Monitors;
use crate::canary::judge::monitors::measured::Counts;
use crate::canary::judge::sentences;
use crate::canary::judge::sequential::SequentialVerdict;
use crate::canary::judge::sequential::tests::second;
use crate::canary::observed::increment::Increment;
use crate::canary::observed::samples::TrackSamples;
use crate::canary::policy::health::HealthPolicy;
use crate::canary::policy::metric_overrides::JudgePolicyOverride;
use crate::stats::sequential::EProcess;
use crate::stats::sequential::Score;

/// The forecast from these numbers alone.
pub(super) fn forecast(
    policy: &JudgePolicy,
    measured: &[Measured],
    weight: Weight,
    judged_per_second: f64,
    remaining_bake: Duration,
) -> Forecast {
    let nothing = SequentialEvidence::new(policy, &Monitors::new(policy, &TrackSamples::default()));
    let traffic = Traffic { weight, judged_per_second, repeated_per_second: 0.0, remaining_bake };
    super::forecast(&nothing.with(measured.to_vec()), &traffic)
}

pub(super) const HOUR: Duration = Duration::from_secs(3600);

fn policy(toml: &str) -> JudgePolicy {
    let given: JudgePolicyOverride = toml::from_str(toml).unwrap();
    JudgePolicy::new(&HealthPolicy::default(), &given).unwrap()
}

pub(super) fn percent(percent: f64) -> Weight {
    Weight::from_percent(percent).unwrap()
}

fn seen(ticks: impl IntoIterator<Item = Increment>) -> Vec<Measured> {
    let mut monitors = Monitors::new(&latency_and_failures(), &TrackSamples::default());
    ticks.into_iter().for_each(|tick| monitors.tick(&tick));
    monitors.measured()
}

/// The forecast of the default policy at 10 % and 100 requests a second, with an hour to go.
fn predicted(measured: &[Measured]) -> Forecast {
    forecast(&latency_and_failures(), measured, percent(10.0), 100.0, HOUR)
}

fn never_fails(_: u32) -> u64 {
    0
}

/// The default policy, with nothing but latency and failures to share alpha.
pub(super) fn latency_and_failures() -> JudgePolicy {
    policy(
        "[[metrics]]\nname = \"score\"\nrole = \"advisory\"\n\
         [[metrics]]\nname = \"log_loss\"\nrole = \"advisory\"",
    )
}

/// (what, how slow, how many of a second's ten canary requests fail, how many of stable's ninety)
type Case = (&'static str, f64, fn(u32) -> u64, u64);

// Traffic with a fixed pattern, so that the only error is that of the formula.
#[test]
fn a_forecast_halfway_is_right_within_a_factor_of_two() {
    let cases: [(Case, Verdict); 4] = [
        (("equal", 1.0, never_fails, 0), Verdict::Promote),
        (("faster", 0.8, never_fails, 0), Verdict::Promote),
        (("a tenth slower", 1.1, never_fails, 0), Verdict::Rollback),
        (("fails thrice as often", 1.0, |n| u64::from(n % 3 == 0), 1), Verdict::Rollback),
    ];
    for ((name, factor, failures, stable_failures), verdict) in cases {
        let tick = |number: u32| {
            let mut tick = second(number, factor, failures(number));
            tick.stable.failures = stable_failures;
            tick
        };
        let policy = latency_and_failures();
        let came = (1..=600).find(|seconds| {
            let measured = seen((0..*seconds).map(tick));
            SequentialVerdict::new(&policy, 0, &measured).verdict != Verdict::Hold
        });
        let came = came.unwrap_or_else(|| panic!("{name}: no verdict came"));
        let half = came / 2;
        let found = predicted(&seen((0..half).map(tick)));
        let predicted = found.verdict.unwrap_or_else(|| panic!("{name} of {came} s: {found:?}"));
        assert_eq!(predicted.verdict, verdict, "{name}: {found:?}");
        let ratio = predicted.seconds.unwrap() / f64::from(came - half);
        assert!((0.5..2.0).contains(&ratio), "{name}: {ratio} of {came} s, {found:?}");
    }
}

#[test]
fn without_a_failure_the_proof_is_predicted_within_five_percent() {
    let proven_after = |seconds: u32| {
        let measured = seen((0..seconds).map(|number| second(number, 1.0, 0)));
        measured[1].proven.reached(latency_and_failures().alpha)
    };
    let came = (1..600).find(|seconds| proven_after(*seconds)).unwrap();
    for asked in [came / 2, came * 3 / 4] {
        let found = predicted(&seen((0..asked).map(|number| second(number, 1.0, 0))));
        let seconds = found.metrics[1].seconds.unwrap();
        let off = (f64::from(asked) + seconds) / f64::from(came) - 1.0;
        assert!(off.abs() < 0.05, "asked at {asked} s: {seconds} s more, came at {came} s");
    }
}

#[test]
fn a_decided_metric_needs_no_further_requests() {
    let found = predicted(&seen((0..600).map(|number| second(number, 1.0, 0))));
    for one in &found.metrics[..2] {
        assert_eq!((one.outcome, one.requests), (Outcome::Pass, Some(0)), "{one:?}");
        assert_eq!(one.seconds, Some(0.0));
    }
    assert_eq!(sentences::forecast(&latency_and_failures(), &found), "promote now");
    let found = predicted(&seen((0..30).map(|number| second(number, 1.5, 0))));
    let latency = &found.metrics[0];
    assert_eq!((latency.outcome, latency.requests), (Outcome::Fail, Some(0)));
    assert_eq!(found.verdict.map(|one| one.verdict), Some(Verdict::Rollback));
    assert_eq!(sentences::forecast(&latency_and_failures(), &found), "roll back now");
}

#[test]
fn the_sentence_gives_verdict_time_requests_and_minimum_detectable_effects() {
    let found = predicted(&seen((0..10).map(|number| second(number, 1.0, 0))));
    let message = sentences::forecast(&latency_and_failures(), &found);
    for part in [
        "promote ",
        " (80 %), probably after ",
        " requests at 100 requests/s); minimum detectable effect at the end of the bake: +",
        " % latency, +",
        " points failures",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    // Latency spreads evenly from 10 to 20 ms; 5 % and 100 µs are tolerated.
    let latency = &found.metrics[0];
    let relative = latency.smallest_detectable_relative.unwrap();
    assert!((0.057..0.07).contains(&relative), "{relative}");
    assert!((latency.smallest_detectable.unwrap() / relative - 0.015).abs() < 0.001);
    // Stable never fails, so a relative difference is undefined.
    assert_eq!(found.metrics[1].smallest_detectable_relative, None);
}

#[test]
fn the_sentence_says_why_there_is_no_forecast() {
    let some = seen((0..10).map(|number| second(number, 1.0, 0)));
    let nothing = seen([]);
    let cases: [(&[Measured], f64, f64, bool, &str); 5] = [
        (&some, 0.0, 100.0, false, "the canary gets no traffic, so nothing can be judged"),
        (&some, 100.0, 100.0, false, "stable gets no traffic, so there is nothing to compare with"),
        (&some, 10.0, 0.0, true, "no traffic: to promote takes about "),
        (&nothing, 10.0, 0.0, false, "no traffic, so no verdict"),
        (&nothing, 10.0, 100.0, false, "too early for a forecast: no estimate yet of latency"),
    ];
    for (measured, weight, rate, has_verdict, says) in cases {
        let found = forecast(&latency_and_failures(), measured, percent(weight), rate, HOUR);
        let message = sentences::forecast(&latency_and_failures(), &found);
        assert!(message.starts_with(says), "{says}: {message}");
        assert_eq!(found.verdict.is_some(), has_verdict, "{says}: {found:?}");
        let times = found
            .metrics
            .iter()
            .map(|one| one.seconds)
            .chain([found.verdict.and_then(|one| one.seconds)]);
        // A decided metric needs no traffic, and bets on failures need no history.
        let nothing_comes = !says.starts_with("too early");
        let none_later = times.flatten().all(|seconds| seconds == 0.0);
        assert!(none_later || !nothing_comes, "{says}: {found:?}");
    }
}

/// The forecast of a policy from these values of `ln E` (harm, non-inferiority) for each metric.
fn made(policy: &JudgePolicy, numbers: &[(f64, f64)]) -> Forecast {
    forecast(policy, &measured_as(policy, numbers), percent(10.0), 100.0, HOUR)
}

/// 10,000 requests of stable and 1,111 of the canary with these values of `ln E`.
pub(super) fn measured_as(policy: &JudgePolicy, numbers: &[(f64, f64)]) -> Vec<Measured> {
    policy
        .metrics
        .iter()
        .zip(numbers)
        .map(|(metric, &(harm, proven))| {
            // 1,000 effective samples, of standard deviation 1, without an effect.
            let effect = r#"{"total": 0.0, "variance": 1000.0, "effective": 1000.0}"#;
            let running = |log_e| {
                let mut running = EProcess::default();
                running.observe(log_e);
                running
            };
            Measured {
                metric: metric.name.clone(),
                counts: Counts { stable: 10_000, canary: 1_111, ..Counts::default() },
                harm: running(harm),
                proven: running(proven),
                effect: serde_json::from_str(effect).unwrap(),
                stable_mean: Some(1.0),
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
            }
        })
        .collect()
}

#[test]
fn the_verdict_comes_with_the_last_required_proof_or_the_first_harm() {
    let recorded = |name: &str, role: &str| {
        format!(
            "[[metrics]]\nname = \"{name}\"\nharm = \"lower\"\nrole = \"{role}\"\n\
             accepted = {{ absolute = 0.1 }}\n"
        )
    };
    let policy = policy(&(recorded("a", "guardrail") + &recorded("b", "signal")));
    // Failures are proven with 2.5 already, and so is the score; nothing waits for the log loss.
    let base = [(-5.0, 2.0), (0.0, 2.5), (0.0, 5.0), (-50.0, -50.0), (0.0, 5.0)];
    let with = |a: (f64, f64), b: (f64, f64)| {
        let mut numbers = base.to_vec();
        numbers.extend([a, b]);
        made(&policy, &numbers)
    };
    let all_pass = with((-5.0, 1.0), (-5.0, 0.5));
    let outcomes: Vec<Outcome> = all_pass.metrics.iter().map(|one| one.outcome).collect();
    assert_eq!(outcomes[0..2], [Outcome::Pass; 2]);
    assert_eq!(outcomes[5..7], [Outcome::Pass; 2]);
    let is_open = |place: usize| all_pass.metrics[place].requests.is_some_and(|it| it > 0);
    assert!([0, 5, 6].into_iter().all(is_open), "{all_pass:#?}");
    let verdict = all_pass.verdict.unwrap();
    assert_eq!(verdict.verdict, Verdict::Promote);
    // The signal passes later, and the verdict does not wait for it.
    let of = |found: &Forecast, place: usize| found.metrics[place].requests.unwrap();
    let guardrails = [0, 1, 5].map(|place| of(&all_pass, place));
    assert_eq!(Some(verdict.requests), guardrails.into_iter().max());
    assert_eq!(verdict.seconds, Some(verdict.requests as f64 / 100.0));

    let one_fails = with((3.5, -20.0), (-5.0, 0.5));
    let verdict = one_fails.verdict.unwrap();
    assert_eq!((verdict.verdict, verdict.requests), (Verdict::Rollback, of(&one_fails, 5)));
    let nothing_grows = with((-500.0, -500.0), (-5.0, 0.5));
    assert_eq!((nothing_grows.verdict, nothing_grows.metrics[5].outcome), (None, Outcome::None));
    assert!(
        sentences::forecast(&policy, &nothing_grows).contains("no verdict in sight: a too close"),
        "{nothing_grows:?}"
    );
}

#[test]
fn the_least_requests_are_those_that_an_equal_canary_takes() {
    let policy = latency_and_failures();
    let least = least_requests(&policy, percent(10.0)).unwrap();
    let proven = |seconds: u32| {
        let measured = seen((0..seconds).map(|number| second(number, 1.0, 0)));
        measured[1].proven.reached(policy.alpha)
    };
    let came = (1..600).find(|seconds| proven(*seconds)).unwrap();
    assert_eq!(least, 100 * u64::from(came));
    let at = |weight| least_requests(&policy, percent(weight));
    assert!(at(1.0) > Some(least) && at(50.0) < Some(least) && at(50.0) > Some(0));
    assert_eq!((at(0.0), at(100.0)), (None, None));
}

#[test]
fn a_forecast_counts_new_users_only_and_says_what_holds_a_promotion() {
    let policy = latency_and_failures();
    let some = seen((0..10).map(|number| second(number, 1.0, 0)));
    let nothing = Monitors::new(&policy, &TrackSamples::default());
    let nothing = SequentialEvidence::new(&policy, &nothing);
    let traffic = Traffic {
        weight: percent(10.0),
        judged_per_second: 0.0,
        repeated_per_second: 80.0,
        remaining_bake: HOUR,
    };
    let found = super::forecast(&nothing.with(some), &traffic);
    let message = sentences::forecast(&policy, &found);
    let says = "no new users are arriving: to promote takes about ";
    assert!(message.starts_with(says) && message.ends_with(" more of them"), "{message}");
    assert_eq!(found.verdict.and_then(|verdict| verdict.seconds), None);
    let compared = Forecast { visits_compared_in: Some(40.0), ..found };
    let message = sentences::forecast(&policy, &compared);
    let says = "no new users are arriving: all visits of those who come back are compared again in about 40 seconds; by \
                first visits alone, to promote takes about ";
    assert!(message.starts_with(says) && message.ends_with(" more of them"), "{message}");

    let default = JudgePolicy::default();
    let mut monitors = Monitors::new(&default, &TrackSamples::default());
    for number in 0..400 {
        let mut tick = second(number, 1.0, 0);
        tick.canary.score.iter_mut().for_each(|(score, _)| *score += 0.08);
        monitors.tick(&tick);
    }
    let evidence = SequentialEvidence::new(&default, &monitors);
    let traffic = Traffic { judged_per_second: 100.0, repeated_per_second: 0.0, ..traffic };
    let held = super::forecast(&evidence, &traffic);
    let message = sentences::forecast(&default, &held);
    assert_eq!(held.verdict, None);
    assert!(message.starts_with("nothing is promoted before a person decides"), "{message}");
    let accepted = super::forecast(&evidence.accepting_shift(true), &traffic);
    assert_eq!(sentences::forecast(&default, &accepted), "promote now");
}

#[test]
fn proof_waits_for_the_samples_that_a_metric_needs() {
    let many = policy("[[metrics]]\nname = \"latency\"\nmin_samples = 5000");
    let found = made(&many, &[(-5.0, 10.0), (0.0, 10.0), (0.0, 10.0), (0.0, 0.0), (0.0, 10.0)]);
    // (5,000 - 1,111) / 10 %
    assert_eq!(
        (found.metrics[0].outcome, found.metrics[0].requests),
        (Outcome::Pass, Some(38_890))
    );
    assert_eq!(found.verdict.map(|one| one.requests), Some(38_890));
}

fn any_score() -> impl Strategy<Value = Score> {
    let number = prop_oneof![Just(0.0), -1e3..1e3_f64, any::<f64>()];
    (number.clone(), number.clone(), number).prop_map(|(total, variance, effective)| {
        let text = format!(
            r#"{{"total": {total:?}, "variance": {variance:?}, "effective": {effective:?}}}"#
        );
        serde_json::from_str(&text).unwrap_or_default()
    })
}

fn any_running() -> impl Strategy<Value = EProcess> {
    prop_oneof![-9.0..9.0_f64, any::<f64>()].prop_map(|log_e| {
        let mut running = EProcess::default();
        running.observe(log_e);
        running
    })
}

fn any_counts() -> impl Strategy<Value = Counts> {
    let number = prop_oneof![Just(0), 0..5000_u64, any::<u64>()];
    let fewer = prop_oneof![Just(0), 0..50_u64, any::<u64>()];
    (number.clone(), number, fewer.clone(), fewer).prop_map(
        |(stable, canary, stable_failures, canary_failures)| Counts {
            stable,
            canary,
            stable_failures,
            canary_failures,
        },
    )
}

proptest! {
    #[test]
    fn arbitrary_numbers_give_finite_forecasts(
        given in proptest::collection::vec(
            (any_counts(), any_running(), any_running(), any_score(), any::<Option<f64>>()), 4,
        ),
        basis_points in 0..=Weight::WHOLE, rate in 0.0..1e12_f64, bake: u32,
    ) {
        let policy = policy("[[metrics]]\nname = \"a\"\nharm = \"lower\"\nrole = \"guardrail\"");
        let measured: Vec<Measured> = policy.metrics.iter().zip(given).map(
            |(metric, (counts, harm, proven, effect, stable_mean))| Measured {
                metric: metric.name.clone(), counts, harm, proven, effect, stable_mean,
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
            },
        ).collect();
        let weight = Weight::from_basis_points(basis_points).unwrap();
        let bake = Duration::from_secs(u64::from(bake));
        let found = forecast(&policy, &measured, weight, rate, bake);
        prop_assert!(found.requests_per_second.is_finite());
        for one in &found.metrics {
            let numbers = [one.seconds, one.smallest_detectable, one.smallest_detectable_relative];
            prop_assert!(numbers.into_iter().flatten().all(f64::is_finite), "{one:?}");
            prop_assert_eq!(one.outcome == Outcome::None, one.requests.is_none());
        }
        let message = sentences::forecast(&policy, &found);
        let odd = |word: &str| message.contains(word);
        prop_assert!(!odd("NaN") && !odd("inf"), "{message}");
        for one in &found.metrics {
            let Some(range) = one.range else { continue };
            let expected = one.requests.unwrap_or_default();
            let latest = range.latest_requests.unwrap_or(u64::MAX);
            prop_assert!((range.earliest_requests..=latest).contains(&expected), "{one:?}");
        }
        let text = serde_json::to_string(&found).unwrap();
        prop_assert_eq!(serde_json::from_str::<Forecast>(&text).unwrap(), found.clone());
        prop_assert_eq!(forecast(&policy, &measured, weight, rate, bake), found);
    }

    #[test]
    fn more_traffic_is_sooner_and_a_longer_bake_finds_less(
        seconds in 3..40_u32, factor in 0.8..1.3_f64, failures in 0..3_u32,
        rate in 1..10_000_u64, minutes in 1..1000_u64,
    ) {
        let failing = |number| u64::from(number % 10 < failures);
        let measured = seen((0..seconds).map(|number| second(number, factor, failing(number))));
        let at = |rate: u64, minutes: u64| {
            let bake = Duration::from_secs(60 * minutes);
            forecast(&latency_and_failures(), &measured, percent(10.0), rate as f64, bake)
        };
        let (slow, fast, long) = (at(rate, minutes), at(2 * rate, minutes), at(rate, 2 * minutes));
        for ((slow, fast), long) in slow.metrics.iter().zip(&fast.metrics).zip(&long.metrics) {
            prop_assert_eq!((slow.outcome, slow.requests), (fast.outcome, fast.requests));
            prop_assert!(fast.seconds <= slow.seconds);
            if let Some(short) = slow.smallest_detectable {
                prop_assert!(long.smallest_detectable.unwrap() < short, "{slow:?} {long:?}");
                // Both have twice the requests by the end of the bake.
                prop_assert_eq!(fast.smallest_detectable, long.smallest_detectable);
            }
        }
    }
}
