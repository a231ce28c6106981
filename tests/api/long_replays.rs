//! Questions about past rollouts that take long: they end with their client, and one is answered at a time.

use std::net::TcpStream;
use std::time::Duration;

use crate::harness::Setup;
use crate::harness::TestApp;
use crate::problem::refused;
use crate::raw;
use crate::replay::recorded;

/// The ticks that are added to rollout 2, which take minutes in a test.
const TICKS: u32 = 300_000;

/// A server, not started yet, that a question about rollout 2 occupies until the test is over.
fn with_a_long_log() -> Setup {
    let app = recorded();
    let database = app.database();
    let setup = app.stop();
    let connection = rusqlite::Connection::open(&database).unwrap();
    let add = "WITH RECURSIVE added(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM added WHERE n < ?1),
                 last AS (SELECT * FROM evidence_tick WHERE rollout = 2 ORDER BY number DESC LIMIT 1),
                 small AS (SELECT increment FROM evidence_tick WHERE rollout = 2 ORDER BY length(increment) LIMIT 1)
               INSERT INTO evidence_tick
               SELECT last.replica, 2, last.start, last.number + n, last.step, last.at_ms + 1000 * n, small.increment
               FROM last, small, added";
    assert_eq!(connection.execute(add, [TICKS]).unwrap(), TICKS as usize);
    setup
}

/// Asks this, and does not wait for the answer.
fn ask(app: &TestApp, path: &str) -> TcpStream {
    let mut stream = raw::connect(app.address);
    raw::send(&mut stream, &raw::written(app.address, &format!("GET {path}"), &[], b""));
    stream
}

/// Until the server has begun with what it was asked.
fn wait() {
    std::thread::sleep(Duration::from_millis(500));
}

#[test]
fn a_question_whose_client_leaves_ends_and_so_does_one_that_waits() {
    let app = with_a_long_log().spawn();
    let long = "/admin/rollouts/2?accepted=20";
    let running = ask(&app, long);
    wait();
    let waiting: Vec<TcpStream> = (0..32).map(|_| ask(&app, long)).collect();
    wait();
    let full = raw::receive(&mut ask(&app, long)).unwrap();
    full.assert_refused(refused(503, "too_many_analyses", &[]), "/admin/rollouts/2", "full");
    drop(running);
    drop(waiting);
    wait();
    // Answered before the time is up that the first question alone would take.
    let next = raw::receive(&mut ask(&app, "/admin/rollouts/1?recompute=true")).unwrap();
    assert_eq!(next.done()["recomputed"].as_array().unwrap().len(), 3);
}

#[test]
fn pages_that_wait_take_no_place_of_admin() {
    let token = "only-for-the-operators";
    let setup = with_a_long_log().given(|settings| {
        settings.admin_token = Some(token.to_owned().try_into().unwrap());
    });
    let app = setup.spawn();
    let page = "/rollouts/2?accepted=20";
    let running = ask(&app, page);
    wait();
    let waiting: Vec<TcpStream> = (0..4).map(|_| ask(&app, page)).collect();
    wait();
    let full = raw::receive(&mut ask(&app, page)).unwrap();
    let full_of_pages = refused(503, "too_many_analyses", &["the queue of replays of pages"]);
    full.assert_refused(full_of_pages, "/rollouts/2", "a sixth page");
    let with_token = format!("authorization: Bearer {token}");
    let head = "GET /admin/rollouts/1?recompute=true";
    let mut admin = raw::connect(app.address);
    raw::send(&mut admin, &raw::written(app.address, head, &[&with_token], b""));
    wait();
    // Each of the pages would take longer than a test does.
    drop((running, waiting));
    assert_eq!(raw::receive(&mut admin).unwrap().done()["id"], 1);
}

#[test]
fn a_client_that_closes_its_side_gets_only_what_is_cheap() {
    let app = with_a_long_log().spawn();
    for path in ["/admin/rollouts/2?accepted=20", "/admin/rollouts/2?recompute=true&tolerated=5"] {
        let mut half_closed = ask(&app, path);
        wait();
        raw::end(&half_closed);
        let stopped = refused(422, "replay_stopped", &["keep it open"]);
        let reply = raw::receive(&mut half_closed).unwrap();
        reply.assert_refused(stopped, "/admin/rollouts/2", path);
    }
    let mut half_closed = ask(&app, "/admin/rollouts/2");
    raw::end(&half_closed);
    assert_eq!(raw::receive(&mut half_closed).unwrap().done()["id"], 2);
}
