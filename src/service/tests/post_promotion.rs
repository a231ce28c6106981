//! Post-promotion monitoring: what late labels cause, across restarts and with a failing disk.

use super::labels::Predicted;
use super::labels::by_brier;
use super::labels::predicted;
use super::*;
use crate::canary::policy::Mode;
use crate::service::control::audit;
use crate::service::reported::feedback::FeedbackError;

/// A promotion that is monitored for an hour, and predictions from before it.
fn promoted(bench: &Bench, action: &str) -> (Service, Vec<Predicted>) {
    let service = bench.start();
    let after = format!("monitor = \"1h\"\naction = \"{action}\"");
    let deployment =
        Deployment { post_promotion: toml::from_str(&after).unwrap(), ..by_brier(50.0) };
    service.deploy(deployment, None).unwrap();
    let predictions = (0..400).map(|_| predicted(&service)).collect();
    let force = Command::Promote { force: true, reason: Some("no labels yet".to_owned()) };
    let status = service.command(force, None).unwrap();
    assert_eq!(status.stable.version.name, "model_v2");
    assert_eq!(status.post_promotion.unwrap().previous, "model_v1");
    (service, predictions)
}

/// Labels that say that the promoted version was wrong and the previous one right, and some looks.
fn show_harm(service: &Service, predictions: &[Predicted]) {
    for (n, one) in predictions.iter().enumerate() {
        match service.label(&one.id, one.against_the_canary()) {
            Ok(_) | Err(FeedbackError::Gone { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        if n % 40 == 39 {
            service.look().unwrap();
        }
    }
}

fn events(service: &Service) -> Vec<&'static str> {
    service.history(0, 100).unwrap().iter().map(|entry| entry.event.name()).collect()
}

/// Recomputes each verdict of the one rollout, which was deployed and promoted by hand.
fn assert_recomputed(bench: &Bench, events: &[&str]) {
    let rollouts = audit::rollouts(&*bench.store).unwrap();
    let recomputed =
        audit::recomputed(&*bench.store, &rollouts[0], &audit::Limit::default()).unwrap();
    assert!(recomputed.iter().all(|one| one.outcome == audit::Outcome::Equal), "{recomputed:?}");
    let seen: Vec<&str> = recomputed.iter().map(|one| one.event).collect();
    assert_eq!(seen, events);
}

#[test]
fn late_labels_that_show_harm_revert_the_promotion() {
    let bench = Bench::new();
    let (service, predictions) = promoted(&bench, "revert");
    assert_eq!(answers(&service, 10), [("stable", "model_v2".to_owned())]);
    show_harm(&service, &predictions);
    let status = service.status();
    assert_eq!(status.stable.version.name, "model_v1");
    assert_eq!(answers(&service, 10), [("stable", "model_v1".to_owned())]);
    assert_eq!((status.quarantine.len(), status.post_promotion.is_none()), (1, true));
    let last = status.last_rollout.unwrap();
    assert!(
        last.reason.contains("labels show") && last.reason.contains("brier"),
        "{}",
        last.reason
    );
    let entry = service.newest_history(1).unwrap().remove(0);
    let Event::Reverted { by: Mode::Automatic, judgement: Some(judgement), .. } = &entry.event
    else {
        panic!("{:?}", entry.event)
    };
    assert_eq!(&judgement.recomputed(), &**judgement);
    let sequential = judgement.sequential.as_ref().unwrap();
    assert_eq!(&service.control.replayed(1, sequential.conclusion.ticks).unwrap(), sequential);
    assert_recomputed(&bench, &["promoted", "reverted"]);
    // It is in quarantine, and nothing of it is stored.
    assert!(service.deploy(by_brier(50.0), None).unwrap_err().to_string().contains("quarantine"));
    assert_eq!(service.label(&predictions[399].id, true), Err(FeedbackError::Gone { rollout: 1 }));
}

#[test]
fn the_previous_version_survives_a_restart_without_its_file() {
    let bench = Bench::new();
    let (service, predictions) = promoted(&bench, "revert");
    let (first, second) = predictions.split_at(20);
    for one in first {
        service.label(&one.id, one.against_the_canary()).unwrap();
    }
    service.save_checkpoint().unwrap();
    drop(service);
    std::fs::remove_file(bench.path("model_v1.bin")).unwrap();
    let restarted = bench.start();
    assert_eq!(restarted.label(&first[0].id, true), Err(FeedbackError::Repeated));
    let quality = restarted.status().quality.unwrap();
    assert_eq!(quality.stable.labels + quality.canary.labels, 20);
    show_harm(&restarted, second);
    assert_eq!(answers(&restarted, 10), [("stable", "model_v1".to_owned())]);
    assert_eq!(bench.start().status().stable.version.name, "model_v1");
}

#[test]
fn harm_that_cannot_be_reverted_is_reported() {
    let bench = Bench::new();
    let (service, predictions) = promoted(&bench, "revert");
    bench.lose("model_v1.bin", &service);
    drop(service);
    let restarted = bench.start();
    show_harm(&restarted, &predictions);
    restarted.look().unwrap();
    assert_eq!(restarted.status().stable.version.name, "model_v2");
    assert_eq!(events(&restarted).last(), Some(&"harm_reported"));
}

#[test]
fn with_the_action_report_harm_is_reported_once() {
    let bench = Bench::new();
    let (service, predictions) = promoted(&bench, "report");
    show_harm(&service, &predictions);
    service.look().unwrap();
    let status = service.status();
    assert_eq!(status.stable.version.name, "model_v2");
    assert!(status.post_promotion.unwrap().harm.unwrap().contains("brier"));
    assert_eq!(events(&service), ["initialized", "canary_deployed", "promoted", "harm_reported"]);
    assert_recomputed(&bench, &["promoted", "harm_reported"]);
    let sentence = service.newest_history(1).unwrap()[0].event.sentence();
    assert!(sentence.contains("brier: +") && !sentence.contains("latency"), "{sentence}");
    // The next deployment ends the monitoring, and says so.
    let note = service.deploy(deployment("model_v1.bin", 10.0), None).unwrap().note.unwrap();
    assert!(note.contains("model_v1 can no longer be reverted to"), "{note}");
    assert!(service.status().post_promotion.is_none());
}

#[test]
fn harmless_labels_change_nothing_and_the_monitoring_ends_in_time() {
    let bench = Bench::new();
    let (service, predictions) = promoted(&bench, "revert");
    for (n, one) in predictions.iter().enumerate() {
        service.label(&one.id, one.likely).unwrap();
        if n % 40 == 39 {
            service.look().unwrap();
        }
    }
    let v1 = service.status().post_promotion.unwrap().previous;
    assert_eq!(v1, "model_v1");
    bench.clock.advance(Duration::from_secs(3599));
    service.look().unwrap();
    assert!(service.status().post_promotion.is_some());
    bench.clock.advance(Duration::from_secs(1));
    service.look().unwrap();
    assert_eq!(events(&service).last(), Some(&"monitoring_ended"));
    assert_eq!(service.status().stable.version.name, "model_v2");
    let revert = Command::Revert { reason: Some("too late".to_owned()) };
    let error = service.command(revert, None).unwrap_err().to_string();
    assert!(error.contains("no promotion is monitored"), "{error}");
    let digest = |name: &str| {
        let listed = service.control.registry().list();
        let one = listed.into_iter().find(|it| it.file == name).unwrap();
        one.card.unwrap().digest.to_string()
    };
    assert!(bench.store.artifact(&digest("model_v1.bin")).unwrap().is_none(), "it is not needed");
}

#[test]
fn a_person_may_revert_with_a_reason_and_a_deployment_does_not_end_the_monitoring_silently() {
    let bench = Bench::new();
    let (service, _) = promoted(&bench, "revert");
    let refused =
        |done: Result<_, CommandError>| done.map(|_: status::Status| ()).unwrap_err().to_string();
    let error = refused(service.deploy(deployment("model_v1.bin", 10.0), None));
    assert!(error.contains("monitored for") && error.contains("override_quarantine"), "{error}");
    let revert = || Command::Revert { reason: Some("complaints".to_owned()) };
    bench.store.full.store(true, Ordering::SeqCst);
    service.command(revert(), None).unwrap_err();
    assert_eq!(answers(&service, 5), [("stable", "model_v2".to_owned())], "as the journal says");
    bench.store.full.store(false, Ordering::SeqCst);
    service.command(revert(), None).unwrap();
    assert_eq!(answers(&service, 5), [("stable", "model_v1".to_owned())]);
    let error = refused(service.command(revert(), None));
    assert!(error.contains("no promotion is monitored"), "{error}");
}

#[test]
fn an_override_with_a_reason_ends_the_monitoring() {
    let bench = Bench::new();
    let (service, _) = promoted(&bench, "revert");
    let again = Deployment {
        override_quarantine: true,
        reason: Some("a better one".to_owned()),
        ..deployment("model_v1.bin", 10.0)
    };
    assert!(service.deploy(again, None).unwrap().note.is_some());
}

#[test]
fn monitoring_needs_a_metric_of_labels() {
    let bench = Bench::new();
    let service = bench.start();
    let monitor = toml::from_str("monitor = \"1h\"").unwrap();
    let judge = toml::from_str("[[metrics]]\nname = \"log_loss\"\nrole = \"advisory\"").unwrap();
    let deployment =
        Deployment { post_promotion: monitor, judge, ..deployment("model_v2.bin", 10.0) };
    let error = service.deploy(deployment, None).unwrap_err().to_string();
    assert!(error.contains("nothing to judge by") && error.contains("log_loss"), "{error}");
}
