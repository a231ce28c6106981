//! What commands answer.

use crate::harness::TestApp;

#[test]
fn a_command_answers_with_what_it_changed_and_the_status_has_the_same() {
    let app = TestApp::spawn();
    let whole = app.status().to_string().len();
    let deployed = app.deploy_canary();
    let commands = [
        deployed,
        app.pause_canary(),
        app.resume_canary(),
        app.set_traffic(20),
        app.rollback_canary(),
    ];
    let newest = commands.last().unwrap().body.clone();
    for (place, reply) in commands.into_iter().enumerate() {
        let answer = reply.done();
        assert_eq!(answer["revision"], place + 2);
        assert!(answer.to_string().len() < 1200.min(whole), "{answer}");
        for words in ["headline", "next"] {
            assert!(answer[words].as_str().unwrap().contains(' '), "{answer}");
        }
    }
    let status = app.status();
    for field in ["revision", "state", "stable", "canary", "traffic_percent", "last_rollout"] {
        assert_eq!(newest[field], status[field], "{field}");
    }
}
