//! The service without HTTP: names, restarts, lost artifacts, a store that fails, two writers.

use super::*;
use crate::canary::Event;
use crate::canary::FeedbackPolicy;
use crate::canary::LoggedTick;
use crate::canary::MetricName;
use crate::canary::Policy;
use crate::canary::Verdict;
use crate::canary::Weight;
use crate::model::Features;
use crate::model::Value;
use crate::store::Artifacts;
use crate::store::EvidenceLog;
use crate::store::Journal as _;
use crate::store::Progress;
use crate::store::ReplicaId;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

pub(super) use bench::Bench;
pub(super) use bench::answer;
pub(super) use bench::answer_to;
pub(super) use bench::answers;
pub(super) use bench::deploy;
pub(super) use bench::deploy_harmful_by_plan;
pub(super) use bench::deployment;
pub(super) use bench::judged_now;
pub(super) use bench::roll_back;

mod bench;

mod dates;

mod judging;

mod rollback;

mod labels;

mod post_promotion;

mod by_segment;

mod by_group;

mod questions;

mod metrics;

mod queries;

mod replicas;

mod fleet;

#[test]
fn each_track_answers_under_its_own_name_even_with_the_same_artifact() {
    let bench = Bench::new();
    std::fs::copy(bench.path("model_v1.bin"), bench.path("copy.bin")).unwrap();
    let service = bench.start();
    deploy(&service, "copy.bin", 50.0);
    let both = [("canary", "copy".to_owned()), ("stable", "model_v1".to_owned())];
    assert_eq!(answers(&service, 40), both);
    service
        .command(Command::SetTraffic { weight: Weight::ZERO, shadow: Weight::ZERO }, None)
        .unwrap();
    assert_eq!(answers(&service, 40), both[1..]);
    service.command(roll_back(), None).unwrap();
    assert_eq!(answers(&service, 40), both[1..]);
    deploy(&service, "copy.bin", 50.0);
    answers(&service, 100);
    service.command(Command::Promote { force: false, reason: None }, None).unwrap();
    assert_eq!(answers(&service, 40), [("stable", "copy".to_owned())]);
}

#[test]
fn a_listed_path_is_the_file_that_is_deployed() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("models")).unwrap();
    std::fs::copy(bench.path("model_v1.bin"), bench.path("x.bin")).unwrap();
    std::fs::copy(bench.path("model_v2.bin"), bench.path("models/x.bin")).unwrap();
    let service = bench.start();
    for listed in service.control.registry().list() {
        let digest = listed.card.unwrap().digest.to_string();
        let candidate = service.control.registry().candidate(&listed.file).unwrap();
        assert_eq!((candidate.version.file, candidate.version.digest), (listed.file, digest));
    }
    let named = service.control.registry().candidate("models/model_v2.bin").unwrap();
    assert_eq!(named.version.file, "model_v2.bin");
}

#[test]
fn a_listed_file_is_read_again_if_another_one_takes_its_place() {
    let bench = Bench::new();
    let service = bench.start();
    let listed = || {
        let files = service.control.registry().list();
        files.into_iter().find(|it| it.file == "model_v2.bin").unwrap()
    };
    assert_eq!(listed().error, None);
    let bytes = std::fs::read(bench.path("model_v2.bin")).unwrap();
    let modified = std::fs::metadata(bench.path("model_v2.bin")).unwrap().modified().unwrap();
    std::fs::write(bench.path("other"), vec![0; bytes.len()]).unwrap();
    let other = std::fs::File::options().write(true).open(bench.path("other")).unwrap();
    other.set_modified(modified).unwrap();
    std::fs::rename(bench.path("other"), bench.path("model_v2.bin")).unwrap();
    assert!(listed().error.is_some());
}

#[test]
fn samples_that_do_not_add_up_are_discarded() {
    let bench = Bench::new();
    let service = bench.start();
    deploy(&service, "model_v2.bin", 10.0);
    answers(&service, 50);
    service.save_checkpoint().unwrap();
    assert_eq!(bench.start().status().tracks.canary.requests, 5);
    let mut saved = bench.store.checkpoint(ReplicaId::ONLY).unwrap().unwrap();
    saved.samples.canary.requests += 1;
    bench.store.save_checkpoint(ReplicaId::ONLY, &saved, &[]).unwrap();
    assert_eq!(bench.start().status().tracks.canary.requests, 0);
}

#[test]
fn an_unreadable_checkpoint_starts_new_samples() {
    let bench = Bench::new();
    let service = bench.start();
    deploy(&service, "model_v2.bin", 10.0);
    answers(&service, 50);
    service.save_checkpoint().unwrap();
    bench.store.has_a_damaged_checkpoint.store(true, Ordering::SeqCst);
    let restarted = bench.start();
    answers(&restarted, 10);
    assert_eq!(restarted.status().tracks.canary.requests, 1, "new samples count");
}

#[test]
fn an_artifact_with_another_digest_is_not_served() {
    let bench = Bench::new();
    let status = bench.start().status();
    let (v1, v2) =
        (status.stable.version.digest, std::fs::read(bench.path("model_v2.bin")).unwrap());
    bench.store.retain_artifacts(&[]).unwrap();
    bench.store.save_artifact(&v1, &v2).unwrap();
    // The file is still there, unchanged.
    assert_eq!(answer(&bench.start()).1, "model_v1");
    std::fs::copy(bench.path("model_v2.bin"), bench.path("model_v1.bin")).unwrap();
    let settings = Settings {
        policy: Policy::default(),
        workers: 1,
        seed: None,
        stable_deadline: Duration::from_secs(5),
        canary_off_after: Duration::ZERO,
        stable: "model_v1.bin".to_owned(),
        notify: Vec::new(),
        prometheus: None,
        allow_injection: false,
        feedback: FeedbackPolicy::default(),
        retention: Default::default(),
        sticky_balancer: false,
    };
    let registry = Registry::new(bench.models.path());
    let lost = Service::start(settings, bench.store.clone(), registry, bench.clock.clone());
    assert!(matches!(lost.err(), Some(StartError::StableLost { .. })));
}

#[test]
fn a_canary_whose_artifact_is_lost_is_rolled_back_at_the_start() {
    let bench = Bench::new();
    let service = bench.start();
    deploy(&service, "model_v2.bin", 10.0);
    bench.lose("model_v2.bin", &service);
    let status = bench.start().status();
    assert_eq!(status.canary, None);
    assert!(status.last_rollout.unwrap().reason.contains("neither in the store"));
}

#[test]
fn a_start_from_the_saved_state_equals_one_from_the_whole_journal() {
    let bench = Bench::new();
    let store: Arc<crate::store::sqlite::SqliteStore> = Arc::default();
    let start = || bench.start_on(store.clone(), bench.clock.clone());
    let service = start();
    for _ in 0..60 {
        deploy(&service, "model_v2.bin", 10.0);
        service.command(roll_back(), None).unwrap();
    }
    let reason = Some("wrong".to_owned());
    deploy(&service, "model_v2.bin", 10.0);
    service.command(Command::RollBack { reason, quarantine: true }, None).unwrap();
    let plan = toml::from_str("steps = [{ weight = 20, bake = \"1h\" }]").unwrap();
    let (reason, override_quarantine) = (Some("a test".to_owned()), true);
    let by_plan =
        Deployment { plan, reason, override_quarantine, ..deployment("model_v2.bin", 0.0) };
    service.deploy(Deployment { weight: None, ..by_plan }, None).unwrap();
    assert!(store.state().unwrap().is_none());
    service.control.save_or_log().unwrap();
    assert_eq!(store.state().unwrap().unwrap().0, 124);
    service.command(Command::Pause, None).unwrap();
    drop(service);
    let journal = store.entries(0, 1000).unwrap();
    let replayed = crate::canary::rollout::journal::replay(&journal).unwrap();
    let restarted = start();
    assert_eq!(Some(&restarted.control.ledger.lock().state), replayed.as_ref());
    assert_eq!(restarted.status().revision, 125);
}

#[test]
fn the_writer_that_loses_the_race_for_the_journal_follows_the_winner() {
    let bench = Bench::new();
    let (one, two) = (bench.start(), bench.start());
    deploy(&one, "model_v2.bin", 100.0);
    let late = two.command(Command::SetSlowdown { enabled: None, delay_ms: None }, None);
    assert!(matches!(late, Err(CommandError::Store(StoreError::Conflict { .. }))), "{late:?}");
    let (seen, there) = (two.status(), one.status());
    assert_eq!((seen.revision, seen.canary), (there.revision, there.canary));
    assert_eq!(answer(&two).0, "canary");
}

#[test]
fn a_command_whose_answer_was_lost_takes_effect_once_it_is_found_in_the_journal() {
    let bench = Bench::new();
    let service = bench.start();
    deploy(&service, "model_v2.bin", 100.0);
    bench.store.loses_an_answer.store(true, Ordering::SeqCst);
    let unsure = service.command(Command::Pause, None).unwrap_err().to_string();
    assert!(unsure.contains("unknown whether it was saved"), "{unsure}");
    assert_eq!(service.status().revision, 2);
    service.control.save_or_log().unwrap();
    assert_eq!((service.status().revision, answer(&service).0), (3, "canary"));
    bench.store.loses_an_answer.store(true, Ordering::SeqCst);
    service.command(roll_back(), None).unwrap_err();
    assert_eq!(answer(&service).0, "stable");
    service.control.save_or_log().unwrap();
    service.control.save_or_log().unwrap();
    let status = service.status();
    assert_eq!((status.revision, status.canary, answer(&service).0), (4, None, "stable"));
}

#[test]
fn a_rollback_that_loses_the_race_still_takes_effect() {
    let bench = Bench::new();
    let (one, two) = (bench.start(), bench.start());
    deploy(&one, "model_v2.bin", 100.0);
    let slower = |delay_ms| Command::SetSlowdown { enabled: Some(true), delay_ms: Some(delay_ms) };
    two.command(slower(1), None).unwrap_err();
    assert_eq!(answer(&two).0, "canary");
    one.command(slower(2), None).unwrap();
    two.command(Command::RollBack { reason: None, quarantine: false }, None).unwrap();
    let seen = two.status();
    assert_eq!((seen.canary, seen.revision), (None, 4));
    assert_eq!(answer(&two).0, "stable");
}

#[test]
fn a_key_seen_in_the_warm_up_is_new_after_it_even_after_a_restart() {
    for down in [60, 3] {
        let bench = Bench::new();
        let service = bench.start();
        let plan = "warm_up = \"10s\"\nsteps = [{ weight = 50, bake = \"1h\" }]";
        let plan = toml::from_str(plan).unwrap();
        let model_path = "model_v2.bin".to_owned();
        let by_plan = Deployment { model_path, plan, ..Deployment::default() };
        service.deploy(by_plan, None).unwrap();
        answer_to(&service, Some("anna"));
        service.save_checkpoint().unwrap();
        drop(service);
        bench.clock.advance(Duration::from_secs(down));
        let restarted = bench.start();
        let is_new = |key| {
            let live = restarted.serving.live.load();
            live.assign(Some(key)).key_use
                == crate::service::serving::keys::seen_keys::KeyUse::First
        };
        assert!(is_new("anna"), "down for {down} s");
        bench.clock.advance(Duration::from_secs(20));
        answer_to(&restarted, Some("bert"));
        restarted.save_checkpoint().unwrap();
        // The look that ended the warm-up forgot the keys of the warm-up, and knows those that came since.
        answer_to(&restarted, Some("carl"));
        restarted.save_checkpoint().unwrap();
        assert!(!is_new("carl"));
    }
}

#[test]
fn a_rollback_without_a_canary_says_that_nothing_happened() {
    let bench = Bench::new();
    let service = bench.start();
    let rollback = || {
        let rollback = Command::RollBack { reason: None, quarantine: true };
        service.command(rollback, None).unwrap().note.unwrap_or_default()
    };
    assert_eq!(
        rollback(),
        "no canary is active, so nothing was rolled back and nothing was quarantined"
    );
    deploy(&service, "model_v2.bin", 10.0);
    let force = Command::Promote { force: true, reason: Some("urgent".to_owned()) };
    service.command(force, None).unwrap();
    let note = rollback();
    assert!(note.contains("model_v2 was promoted at "), "{note}");
    deploy(&service, "model_v1.bin", 10.0);
    assert_eq!(rollback(), "");
}

#[test]
fn all_times_come_from_the_given_clock() {
    let bench = Bench::new();
    let service = bench.start();
    deploy(&service, "model_v2.bin", 10.0);
    bench.clock.advance(Duration::from_secs(600));
    let status = service.status();
    let rollout = status.rollout.unwrap();
    assert_eq!((rollout.elapsed_seconds, rollout.remaining_bake_seconds), (600.0, Some(3000.0)));
    assert_eq!(status.uptime_seconds, 600.0);
}

#[test]
fn a_missing_models_folder_is_an_error_with_a_remedy() {
    let registry = Registry::new(Path::new("no/such/folder"));
    let error = registry.candidate("model_v1.bin").err().unwrap().to_string();
    assert!(error.contains("serin train"), "{error}");
}
