//! Groups of requests of a running service: what is known before the coin is in the tick log and recomputed.

use super::*;
use crate::canary::observed::groups::Group;

/// Predictions of this many rows, with a covariate.
fn answers_to(service: &Service, rows: usize, covariate: Option<f64>, times: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    for _ in 0..times {
        let row = || Features::Ordered([0.5, 1.2, 0.8, 0.3, 1.1].map(Value::Number).to_vec());
        let rows = (0..rows).map(|_| row()).collect();
        let request = Request { rows, key: None, segments: Vec::new(), covariate };
        assert!(runtime.block_on(service.predict(request)).is_ok());
    }
}

fn groups(service: &Service) -> Vec<u16> {
    let live = service.serving.live.load();
    live.recorder.take().groups.iter().map(|one| one.group.number()).collect()
}

#[test]
fn evidence_of_light_and_heavy_requests_is_recomputed_to_the_bit() {
    let bench = Bench::new();
    let mut service = bench.start();
    deploy(&service, "model_v2.bin", 20.0);
    for percent in [50.0, 25.0] {
        for covariate in [None, Some(7.0), Some(900.0)] {
            answers_to(&service, 1, covariate, 20);
            answers_to(&service, 40, None, 20);
            service.tick();
        }
        service.save_checkpoint().unwrap();
        drop(service);
        service = bench.start();
        answers_to(&service, 1, None, 20);
        let weight = Weight::from_percent(percent).unwrap();
        service.command(Command::SetTraffic { weight, shadow: Weight::ZERO }, None).unwrap();
    }
    service.command(roll_back(), None).unwrap();
    let entries = service.history(0, 100).unwrap();
    let judgements: Vec<_> =
        entries.iter().filter_map(|entry| entry.event.judgement()).cloned().collect();
    assert_eq!(judgements.len(), 3);
    for judgement in judgements {
        let sequential = judgement.sequential.clone().unwrap();
        let replayed =
            service.control.replayed(judgement.rollout, sequential.conclusion.ticks).unwrap();
        let json = |sequential| serde_json::to_string(sequential).unwrap();
        assert_eq!(json(&replayed), json(&sequential));
    }
}

#[test]
fn single_rows_without_more_are_of_no_group_and_others_wait_for_a_tick() {
    let bench = Bench::new();
    let service = bench.start();
    answers_to(&service, 40, Some(7.0), 5);
    assert!(groups(&service).is_empty(), "without a canary nothing is compared");
    deploy(&service, "model_v2.bin", 20.0);
    answers_to(&service, 1, None, 20);
    assert!(groups(&service).is_empty());
    answers_to(&service, 1, Some(7.0), 5);
    answers_to(&service, 40, None, 5);
    let expected = [Group::of(40, None, None), Group::of(1, Some(7.0), None)].map(Group::number);
    assert_eq!(groups(&service), expected);
    assert!(groups(&service).is_empty(), "what is taken is gone");
}
