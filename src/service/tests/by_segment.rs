//! Segments of a running service: over steps, restarts and the tick log.

use super::*;
use crate::canary::policy::segments::SegmentHarm;
use crate::canary::policy::segments::Segments;
use crate::service::clock::SystemClock;
use crate::service::serving::segment_slots::Places;

fn start(bench: &Bench) -> Service {
    let declared = toml::from_str("device = { max = 2 }\nregion = ['north', 'south']").unwrap();
    let mut policy = Policy::default();
    policy.judge.segments = Segments::new(&declared, SegmentHarm::Hold).unwrap();
    bench.start_with(policy, bench.store.clone(), Arc::new(SystemClock::default()))
}

/// `times` predictions in each of these regions, each from another device.
fn answers_in(service: &Service, regions: &[&str], times: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    for n in 0..times {
        for region in regions {
            let device = format!("device-{}", n % 3);
            let named = [("region", *region), ("device", &device)];
            let segments =
                named.map(|(key, value)| (key.to_owned().into(), value.to_owned().into()));
            let row = [0.5, 1.2, 0.8, 0.3, 1.1].map(Value::Number);
            let rows = vec![Features::Ordered(row.to_vec())];
            let request = Request { rows, key: None, segments: segments.to_vec(), covariate: None };
            assert!(runtime.block_on(service.predict(request)).is_ok());
        }
    }
}

#[test]
fn evidence_by_segment_is_recomputed_to_the_bit_over_steps_and_restarts() {
    let bench = Bench::new();
    let mut service = start(&bench);
    deploy(&service, "model_v2.bin", 20.0);
    for percent in [50.0, 25.0, 75.0] {
        for _ in 0..5 {
            answers_in(&service, &["north", "south", "moon"], 5);
            service.tick();
        }
        service.save_checkpoint().unwrap();
        // Lost here and in the log.
        answers_in(&service, &["north"], 5);
        service.tick();
        drop(service);
        service = start(&bench);
        answers_in(&service, &["south"], 5);
        let weight = Weight::from_percent(percent).unwrap();
        service.command(Command::SetTraffic { weight, shadow: Weight::ZERO }, None).unwrap();
    }
    service.command(roll_back(), None).unwrap();
    let entries = service.history(0, 100).unwrap();
    let judgements: Vec<_> =
        entries.iter().filter_map(|entry| entry.event.judgement()).cloned().collect();
    assert_eq!(judgements.len(), 4);
    for judgement in judgements {
        let sequential = judgement.sequential.clone().unwrap();
        let scan = sequential.segments.as_ref().unwrap();
        // Two devices and all others, two regions and all others; latency, failures and score.
        assert_eq!((scan.hypotheses, sequential.by_segment.len()), (18, 6));
        let replayed =
            service.control.replayed(judgement.rollout, sequential.conclusion.ticks).unwrap();
        let json = |sequential| serde_json::to_string(sequential).unwrap();
        assert_eq!(json(&replayed), json(&sequential));
        assert_eq!(judgement.recomputed(), judgement);
    }
}

#[test]
fn without_a_canary_or_a_segment_nothing_is_counted_by_segment() {
    let bench = Bench::new();
    let service = start(&bench);
    let counted = |service: &Service| {
        let live = service.serving.live.load();
        let places = Places::of(&service.control.settings.policy.judge);
        live.recorder.take_segments(&places).len()
    };
    answers_in(&service, &["north"], 5);
    assert_eq!(counted(&service), 0);
    deploy(&service, "model_v2.bin", 20.0);
    answers(&service, 20);
    assert_eq!(counted(&service), 0);
    answers_in(&service, &["north"], 5);
    assert!(counted(&service) > 0);
    assert_eq!(counted(&service), 0, "what is taken is gone");
}
