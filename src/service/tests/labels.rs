//! Labels without HTTP: how they are judged, and how they survive restarts and crashes.

use std::sync::atomic::AtomicU8;

use super::*;
use crate::canary::Increment;
use crate::canary::judge::verdict::Classification;
use crate::canary::observed::labels::LossIncrement;
use crate::service::reported::feedback::FeedbackError;
use crate::service::serving::keys::seen_keys::KeyUse;
use crate::store::Checkpoint;
use crate::store::sqlite::SqliteStore;

/// A prediction.
pub(super) struct Predicted {
    pub(super) id: String,
    pub(super) is_canary: bool,
    /// The more likely outcome.
    pub(super) likely: bool,
}

impl Predicted {
    /// The outcome that shows the canary to be wrong and stable to be right.
    pub(super) fn against_the_canary(&self) -> bool {
        self.likely != self.is_canary
    }
}

pub(super) fn predicted(service: &Service) -> Predicted {
    predicted_for(service, None)
}

/// A prediction for one of seven rows, in turn.
fn predicted_for(service: &Service, key: Option<&str>) -> Predicted {
    static TURN: AtomicU8 = AtomicU8::new(0);
    let turn = f64::from(TURN.fetch_add(1, Ordering::SeqCst) % 7);
    let row = Features::Ordered([0.5, 1.2, 0.8, 0.1 * turn, 1.1].map(Value::Number).to_vec());
    let request = Request {
        rows: vec![row],
        key: key.map(Into::into),
        segments: Vec::new(),
        covariate: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let prediction = runtime.block_on(service.predict(request)).unwrap();
    let id = service.ids(&prediction).unwrap().of_row(0);
    let is_canary = prediction.track == Track::Canary;
    Predicted { id, is_canary, likely: prediction.outputs[0].score() > 0.5 }
}

/// A deployment judged by the Brier score.
pub(super) fn by_brier(percent: f64) -> Deployment {
    let judge = "[[metrics]]\nname = \"brier\"\nrole = \"guardrail\"\nmin_samples = 5";
    Deployment { judge: toml::from_str(judge).unwrap(), ..deployment("model_v2.bin", percent) }
}

/// The losses in the tick log.
fn logged_losses(bench: &Bench) -> Vec<LossIncrement> {
    let chunks = bench.store.chunks(ReplicaId::ONLY).unwrap();
    let ticks =
        chunks.into_iter().flat_map(|chunk| bench.store.ticks(ReplicaId::ONLY, chunk).unwrap());
    ticks.flat_map(|tick| Increment::from_bytes(&tick.increment).unwrap().losses).collect()
}

fn brier_samples(service: &Service) -> (u64, u64) {
    let judged = judged_now(service);
    let brier = judged.metrics.iter().find(|it| it.metric.as_str() == "brier").unwrap();
    (brier.samples.stable, brier.samples.canary)
}

#[test]
fn a_late_label_is_judged_at_the_weight_of_its_prediction() {
    let bench = Bench::new();
    let service = bench.start();
    service.deploy(by_brier(50.0), None).unwrap();
    let early: Vec<_> = (0..40).map(|_| predicted(&service)).collect();
    let weight = Weight::from_percent(10.0).unwrap();
    service.command(Command::SetTraffic { weight, shadow: Weight::ZERO }, None).unwrap();
    let late: Vec<_> = (0..40).map(|_| predicted(&service)).collect();
    for one in early.iter().chain(&late) {
        service.label(&one.id, true).unwrap();
    }
    let canary = early.iter().chain(&late).filter(|it| it.is_canary).count() as u64;
    assert_eq!(brier_samples(&service), (80 - canary, canary));
    service.save_checkpoint().unwrap();
    let found: Vec<(u16, u64)> = logged_losses(&bench)
        .iter()
        .map(|it| {
            let of_both = it.stable.brier.iter().chain(&it.canary.brier);
            (it.weight.basis_points(), of_both.map(|value| value.1).sum())
        })
        .collect();
    assert_eq!(found, [(1000, 40), (5000, 40)]);
    // The log gives the same verdict to the bit.
    let said = judged_now(&service);
    let replayed = service.control.replayed(1, said.ticks).unwrap();
    assert_eq!(
        serde_json::to_string(&replayed.conclusion).unwrap(),
        serde_json::to_string(&said).unwrap()
    );
}

#[test]
fn worse_predictions_are_harm_and_without_labels_there_is_no_promotion() {
    let bench = Bench::new();
    let service = bench.start();
    service.deploy(by_brier(50.0), None).unwrap();
    let seen: Vec<_> = (0..300).map(|_| predicted(&service)).collect();
    let promote = || service.command(Command::Promote { force: false, reason: None }, None);
    let error = promote().unwrap_err().to_string();
    assert!(error.contains("brier") && error.contains("waiting for data"), "{error}");
    for (n, one) in seen.iter().enumerate() {
        service.label(&one.id, one.against_the_canary()).unwrap();
        if n % 30 == 0 {
            service.tick();
        }
    }
    service.tick();
    let health = service.health().unwrap();
    assert!(health.harm_detected);
    let brier = &health.sequential.unwrap().metrics[3];
    assert_eq!(brier.classification, Classification::Fail, "{brier:?}");
}

#[test]
fn labels_of_repeated_keys_and_certain_weights_are_shown_but_not_judged() {
    let bench = Bench::new();
    let service = bench.start();
    service.deploy(by_brier(50.0), None).unwrap();
    for _ in 0..10 {
        let id = predicted_for(&service, Some("somebody")).id;
        service.label(&id, true).unwrap();
    }
    let weight = Weight::from_percent(100.0).unwrap();
    service.command(Command::SetTraffic { weight, shadow: Weight::ZERO }, None).unwrap();
    let id = predicted(&service).id;
    service.label(&id, true).unwrap();
    let (stable, canary) = brier_samples(&service);
    assert_eq!(stable + canary, 1, "one flip of the coin");
    let quality = service.status().quality.unwrap();
    assert_eq!(quality.stable.labels + quality.canary.labels, 11);
}

#[test]
fn a_crash_loses_at_most_the_labels_of_the_last_second_and_counts_none_twice() {
    let bench = Bench::new();
    let service = bench.start();
    service.deploy(by_brier(50.0), None).unwrap();
    let (kept, lost) = (predicted(&service).id, predicted(&service).id);
    service.label(&kept, true).unwrap();
    service.save_checkpoint().unwrap();
    service.label(&lost, true).unwrap();
    // Nothing is saved from here on.
    let restarted = bench.start();
    assert_eq!(restarted.label(&kept, true), Err(FeedbackError::Repeated));
    let labels = |service: &Service| {
        let quality = service.status().quality.unwrap();
        (quality.stable.labels + quality.canary.labels, brier_samples(service))
    };
    let (shown, judged) = labels(&restarted);
    assert_eq!((shown, judged.0 + judged.1), (1, 1));
    restarted.label(&lost, true).unwrap();
    assert_eq!(restarted.label(&lost, true), Err(FeedbackError::Repeated));
    let (shown, judged) = labels(&restarted);
    assert_eq!((shown, judged.0 + judged.1), (2, 2));
}

#[test]
fn a_label_that_waits_for_the_judge_at_a_crash_is_judged_once_after_it() {
    let bench = Bench::new();
    let service = bench.start();
    service.deploy(by_brier(50.0), None).unwrap();
    let id = predicted(&service).id;
    // Between the tick of the save and its labels: neither lost nor judged twice.
    service.save_checkpoint().unwrap();
    service.label(&id, true).unwrap();
    let mut saved = bench.store.checkpoint(ReplicaId::ONLY).unwrap().unwrap();
    let to_save = service.reported.feedback.to_save(1);
    (saved.labels, saved.new_labels) = (to_save.labels, to_save.new);
    bench.store.save_checkpoint(ReplicaId::ONLY, &saved, &[]).unwrap();
    let restarted = bench.start();
    let judged = brier_samples(&restarted);
    assert_eq!(judged.0 + judged.1, 1);
    assert_eq!(restarted.label(&id, true), Err(FeedbackError::Repeated));
}

#[test]
fn samples_keys_and_labels_outlive_monitors_of_another_version() {
    let (bench, folder) = (Bench::new(), tempfile::tempdir().unwrap());
    let file = folder.path().join("serin.db");
    let store = Arc::new(SqliteStore::open(&file).unwrap());
    let service = bench.start_on(store.clone(), bench.clock.clone());
    service.deploy(by_brier(50.0), None).unwrap();
    answers(&service, 20);
    answer_to(&service, Some("anna"));
    let id = predicted(&service).id;
    service.label(&id, true).unwrap();
    service.save_checkpoint().unwrap();
    let before = store.checkpoint(ReplicaId::ONLY).unwrap().unwrap();
    assert!(before.monitors.is_some() && before.keys.is_some() && before.labels.is_some());
    let requests = service.status().tracks.canary.requests;
    assert!(requests > 0);
    drop(service);
    drop(store);

    let connection = rusqlite::Connection::open(&file).unwrap();
    for (table, column) in [("checkpoint", "body"), ("evidence_snapshot", "monitors")] {
        let unknown = r#"'{"algorithm":', '{"unknown":1,"algorithm":'"#;
        let update = format!("UPDATE {table} SET {column} = replace({column}, {unknown})");
        assert_eq!(connection.execute(&update, []).unwrap(), 1);
    }
    drop(connection);

    let store = Arc::new(SqliteStore::open(&file).unwrap());
    let kept = store.checkpoint(ReplicaId::ONLY).unwrap();
    assert_eq!(kept, Some(Checkpoint { monitors: None, ..before }));
    let restarted = bench.start_on(store.clone(), bench.clock.clone());
    assert_eq!(restarted.status().tracks.canary.requests, requests);
    let visit = restarted.serving.live.load().assign(Some("anna"));
    assert_eq!(visit.key_use, KeyUse::Repeated);
    assert_eq!(restarted.label(&id, true), Err(FeedbackError::Repeated));
    let labels = |service: &Service| {
        let quality = service.status().quality.unwrap();
        quality.stable.labels + quality.canary.labels
    };
    assert_eq!(labels(&restarted), 1);
    // The judge has begun again, and its log with it.
    let (stable, canary) = brier_samples(&restarted);
    assert_eq!(stable + canary, 0);
    restarted.label(&predicted(&restarted).id, true).unwrap();
    restarted.save_checkpoint().unwrap();
    let (stable, canary) = brier_samples(&restarted);
    assert_eq!(stable + canary, 1);
    let chunks = store.chunks(ReplicaId::ONLY).unwrap();
    assert!(store.snapshot(ReplicaId::ONLY, chunks[0]).unwrap().is_some());
}
