//! Metrics: what they say, that counters never fall, and that nothing from outside becomes a series.

use std::collections::BTreeMap;

use super::*;
use crate::canary::Track;
use crate::canary::observed::samples::Failure;
use crate::service::serving::keys::seen_keys::KeyUse;
use crate::service::serving::totals::FallbackReason;
use crate::text::exposition::Format;

/// Every sample by its name and labels.
fn samples(service: &Service) -> BTreeMap<String, f64> {
    let text = service.metrics(Format::Text);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        (series.to_owned(), value.parse().unwrap())
    };
    let samples: BTreeMap<String, f64> = lines.map(sample).collect();
    let count = text.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(samples.len(), count, "each series is there once");
    samples
}

pub(super) fn value(service: &Service, series: &str) -> f64 {
    samples(service).get(series).copied().unwrap_or_else(|| panic!("no {series}"))
}

/// The counters, and what histograms count.
fn counters(service: &Service) -> BTreeMap<String, f64> {
    let is_counter = |series: &String| {
        let name = series.split('{').next().unwrap();
        ["_total", "_bucket", "_sum", "_count"].iter().any(|ending| name.ends_with(ending))
    };
    samples(service).into_iter().filter(|(series, _)| is_counter(series)).collect()
}

fn set_traffic(service: &Service, percent: f64) {
    let weight = Weight::from_percent(percent).unwrap();
    service.command(Command::SetTraffic { weight, shadow: Weight::ZERO }, None).unwrap();
}

fn promote(service: &Service) {
    let force = Command::Promote { force: true, reason: Some("a test".to_owned()) };
    service.command(force, None).unwrap();
}

#[test]
fn no_counter_falls_over_steps_promotions_and_rollbacks() {
    let bench = Bench::new();
    let service = bench.start();
    let mut before = counters(&service);
    let mut look = |what: &str| {
        let now = counters(&service);
        assert!(now.keys().eq(before.keys()), "{what}: the same series");
        for (series, value) in &now {
            assert!(*value >= before[series], "{what}: {series} fell to {value}");
        }
        before = now;
    };
    answers(&service, 10);
    look("without a canary");
    let mut kept = Vec::new();
    for round in 0..3 {
        let models = ["model_v2.bin", "model_v1.bin", "model_v2.bin"];
        deploy(&service, models[round], 50.0);
        for percent in [20.0, 30.0, 40.0] {
            answers(&service, 7);
            look("a step");
            // A request that is under way writes to the recorder of its step.
            kept.push(service.serving.live.load_full());
            set_traffic(&service, percent);
            look("another weight");
            let late = kept.last().unwrap();
            let breaker = late.canary.as_ref().unwrap().breaker.clone().unwrap();
            (0..10).for_each(|_| {
                breaker.failed(Failure::Error, || Duration::ZERO);
            });
            late.recorder.record_fallback(FallbackReason::Overloaded);
            late.recorder.record_overload();
            look("a late request");
        }
        match round {
            1 => drop(service.command(roll_back(), None).unwrap()),
            _ => promote(&service),
        }
        look("the end of the rollout");
        answers(&service, 3);
        kept.remove(0);
        look("after it");
    }
    kept.clear();
    look("without late requests");
    assert_eq!(before["serin_fallbacks_total{reason=\"overloaded\"}"], 9.0);
    assert_eq!(before["serin_overloaded_total"], 9.0);
    assert_eq!(before["serin_breaker_opened_total"], 3.0, "one breaker for each rollout");
    let requests = |track| before[&format!("serin_requests_total{{track=\"{track}\"}}")];
    let counted = |track| before[&format!("serin_score_count{{track=\"{track}\"}}")];
    assert_eq!(requests("stable") + requests("canary"), 82.0);
    let failed = before.iter().filter(|(series, _)| series.starts_with("serin_failures_total"));
    let failed: f64 = failed.map(|(_, count)| count).sum();
    assert!(failed > 0.0, "open breakers count as failures of the canary");
    assert_eq!(counted("stable") + counted("canary") + failed, 82.0);
}

#[test]
fn the_state_of_a_rollout_is_one_hot() {
    let bench = Bench::new();
    let service = bench.start();
    let state = |service: &Service, series: &str| {
        let samples = samples(service);
        let present =
            samples.iter().filter(|(name, value)| name.starts_with(series) && **value == 1.0);
        present.map(|(name, _)| name.clone()).collect::<Vec<String>>().join(" ")
    };
    assert_eq!(state(&service, "serin_rollout_state"), "serin_rollout_state{state=\"idle\"}");
    assert_eq!(state(&service, "serin_breaker_state"), "serin_breaker_state{state=\"off\"}");
    assert_eq!(state(&service, "serin_verdict") + &state(&service, "serin_last"), "");
    deploy(&service, "model_v2.bin", 25.0);
    assert_eq!(state(&service, "serin_rollout_state"), "serin_rollout_state{state=\"running\"}");
    assert_eq!(state(&service, "serin_breaker_state"), "serin_breaker_state{state=\"closed\"}");
    assert_eq!(state(&service, "serin_verdict"), "serin_verdict{verdict=\"hold\"}");
    assert_eq!(value(&service, "serin_canary_weight_ratio"), 0.25);
    assert!(!samples(&service).contains_key("serin_canary_traffic_ratio"), "before a request");
    answers(&service, 40);
    assert_eq!(value(&service, "serin_canary_traffic_ratio"), 0.25);
    service.command(Command::Pause, None).unwrap();
    assert_eq!(state(&service, "serin_rollout_state"), "serin_rollout_state{state=\"paused\"}");
    service.command(roll_back(), None).unwrap();
    let outcome = "serin_last_rollout_outcome{outcome=\"rolled_back\"}";
    assert_eq!(state(&service, "serin_last_rollout_outcome"), outcome);
    let ended = value(&service, "serin_last_rollout_ended_timestamp_seconds");
    assert_eq!(ended, bench.clock.wall().as_second() as f64);
    assert_eq!(value(&service, "serin_rollouts_total"), 1.0);
    assert_eq!(value(&service, "serin_journal_entries_total"), 4.0);
}

#[test]
fn the_judge_says_value_limit_and_interval_of_each_metric() {
    let bench = Bench::new();
    let service = bench.start();
    deploy(&service, "model_v2.bin", 50.0);
    let has = |service: &Service, series: &str| samples(service).contains_key(series);
    assert!(!has(&service, "serin_judge_difference{metric=\"failures\"}"), "before a request");
    for _second in 0..30 {
        bench.clock.advance(Duration::from_secs(1));
        answers(&service, 18);
        let recorder = service.serving.live.load().recorder.clone();
        for track in [Track::Stable, Track::Canary] {
            recorder.record_failure(track, KeyUse::First, Failure::Error);
        }
        service.tick();
    }
    let of = |series: &str| value(&service, series);
    assert!(of("serin_judge_difference{metric=\"failures\"}").abs() < 0.01, "one in ten on both");
    let [low, high] = ["lower", "upper"]
        .map(|bound| of(&format!("serin_judge_interval{{metric=\"failures\",bound=\"{bound}\"}}")));
    assert!(low <= 0.0 && 0.0 <= high, "{low} to {high}");
    let limit = of("serin_judge_limit{metric=\"failures\",limit=\"pass\",bound=\"upper\"}");
    assert!(limit > 0.0);
    // A score is harmful in both directions.
    let limits = ["lower", "upper"].map(|bound| {
        of(&format!("serin_judge_limit{{metric=\"score\",limit=\"harm\",bound=\"{bound}\"}}"))
    });
    assert!(limits[0] < 0.0 && limits[0] == -limits[1], "{limits:?}");
    assert!(!has(
        &service,
        "serin_judge_limit{metric=\"failures\",limit=\"harm\",bound=\"lower\"}"
    ));
    assert_eq!(of("serin_judge_samples{metric=\"failures\",track=\"canary\"}"), 300.0);
    let states = samples(&service);
    let present =
        states.iter().filter(|(name, _)| name.starts_with("serin_judge_state{metric=\"failures\""));
    assert_eq!(present.map(|(_, value)| value).sum::<f64>(), 1.0);
    assert_eq!(of("serin_judge_evidence_timestamp_seconds"), bench.clock.wall().as_second() as f64);
    assert_eq!(of("serin_sample_ratio_requests{track=\"canary\"}"), 300.0);
    assert_eq!(of("serin_sample_ratio_expected_requests"), 300.0);
    assert_eq!(of("serin_sample_ratio_mismatch"), 0.0);
    assert_eq!(of("serin_input_mismatch"), 0.0);
    assert!(of("serin_evidence_chunk_bytes") > 0.0 && of("serin_evidence_unsaved_bytes") > 0.0);
    service.save_checkpoint().unwrap();
    assert_eq!(of("serin_evidence_unsaved_bytes"), 0.0);
}

#[test]
fn a_store_that_fails_is_shown_and_so_is_a_rollback_that_waits_for_it() {
    let bench = Bench::new();
    let service = bench.start();
    deploy(&service, "model_v2.bin", 50.0);
    answers(&service, 10);
    service.control.save_or_log().unwrap();
    let read = || {
        let of = |series: &str| value(&service, series);
        let names =
            ["serin_store_up", "serin_store_failures_total", "serin_journal_rollback_pending"];
        names.map(of)
    };
    assert_eq!(read(), [1.0, 0.0, 0.0]);
    bench.store.full(true);
    service.command(roll_back(), None).unwrap_err();
    assert_eq!(read(), [1.0, 0.0, 1.0]);
    service.control.save_or_log().unwrap();
    assert_eq!(read(), [0.0, 1.0, 1.0]);
    bench.store.full(false);
    service.control.save_or_log().unwrap();
    assert_eq!(read(), [1.0, 1.0, 0.0]);
    assert_eq!(value(&service, "serin_save_duration_seconds_count"), 3.0, "failed ones, too");
    assert!(!samples(&service).contains_key("serin_replica_leads"), "it is alone");
}

#[test]
fn keys_do_not_become_series() {
    let bench = Bench::new();
    let service = bench.start();
    deploy(&service, "model_v2.bin", 50.0);
    // What the judge can say of a metric depends on the evidence so far.
    let is_said = |name: &String| {
        let said = ["difference", "interval", "limit", "stable_mean", "score"];
        said.iter().any(|it| name.starts_with(&format!("serin_judge_{it}")))
    };
    let names =
        || samples(&service).into_keys().filter(|name| !is_said(name)).collect::<Vec<String>>();
    answers(&service, 40);
    service.tick();
    let before = names();
    for user in 0..2000 {
        answer_to(&service, Some(&format!("user\"{user}\n\\")));
    }
    service.tick();
    assert_eq!(names(), before);
}

#[test]
fn both_tracks_are_compared_over_the_current_step() {
    let bench = Bench::new();
    let service = bench.start();
    let read = || serde_json::to_value(service.control.summaries()).unwrap();
    let empty = read();
    assert_eq!(empty["stable"]["version"], "model_v1");
    assert_eq!(empty["canary"]["version"], serde_json::Value::Null);
    assert_eq!(empty["stable"]["avg_latency_ms"], serde_json::Value::Null);
    assert_eq!(empty["stable"]["prediction_distribution"], serde_json::json!({}));
    answers(&service, 10);
    deploy(&service, "model_v2.bin", 50.0);
    answers(&service, 40);
    let recorder = service.serving.live.load().recorder.clone();
    recorder.record_failure(Track::Canary, KeyUse::First, Failure::Deadline);
    let read = read();
    assert_eq!(read["stable"]["request_count"], 20);
    assert_eq!(read["canary"]["request_count"], 21);
    assert_eq!(read["canary"]["error_rate"], 1.0 / 21.0);
    for track in ["stable", "canary"] {
        let shares = read[track]["prediction_distribution"].as_object().unwrap();
        assert_eq!(shares.keys().collect::<Vec<_>>(), ["0", "1"]);
        assert_eq!(shares.values().map(|share| share.as_f64().unwrap()).sum::<f64>(), 1.0);
    }
}
