//! More than the server can take at once: it says so in time, and what takes nothing from others is answered.

use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use crate::binary::Process;
use crate::client::CUSTOMER;
use crate::client::Client;
use crate::client::Reply;
use crate::harness::Setup;
use crate::harness::TestApp;
use crate::misbehaving::Misbehavior;
use crate::problem::refused;
use crate::process::folder;
use crate::raw;

const JSON: &str = "content-type: application/json";

/// A body that is read on a thread of its own.
fn large(bytes: usize) -> String {
    let row = json!({ "features": CUSTOMER }).to_string();
    let padding = " ".repeat(bytes - row.len());
    row + &padding
}

/// Sends the beginning of a prediction that declares this length.
fn begin(app: &TestApp, length: usize, beginning: &[u8]) -> TcpStream {
    let head =
        format!("POST /predict HTTP/1.1\r\nhost: x\r\n{JSON}\r\ncontent-length: {length}\r\n\r\n");
    let mut stream = raw::connect(app.address);
    raw::send(&mut stream, &[head.as_bytes(), beginning].concat());
    stream
}

#[test]
fn bodies_that_are_declared_and_not_sent_take_no_room() {
    let app = TestApp::spawn();
    let declared: Vec<_> = (0..200).map(|_| begin(&app, 5 << 20, b"{")).collect();
    for _ in 0..20 {
        app.post_text("/predict", large(1 << 20)).done();
    }
    drop(declared);
}

#[test]
fn bodies_that_fill_the_room_refuse_others() {
    let limit = 32 << 20;
    let app = Setup::new()
        .given(|given| {
            given.body_limit = limit;
            given.body_deadline = Duration::from_secs(60);
        })
        .spawn();
    // Four of these fill the 128 MiB. What is refused is answered before all of it is read.
    let body = large(limit);
    let (beginning, end) = body.as_bytes().split_at(limit - 1);
    let mut arriving: Vec<_> = (0..6).map(|_| begin(&app, limit, beginning)).collect();
    app.predict().done();
    let replies = arriving.iter_mut().map(|stream| {
        raw::send(stream, end);
        raw::receive(stream).unwrap()
    });
    let (answered, refused_ones): (Vec<Reply>, Vec<Reply>) =
        replies.partition(|reply| reply.status == 200);
    assert!(!answered.is_empty() && !refused_ones.is_empty());
    for reply in refused_ones {
        assert_eq!((reply.header("retry-after"), reply.header("connection")), ("1", "close"));
        let expected = refused(503, "overloaded", &["too many bodies", "try again"]);
        reply.assert_refused(expected, "/predict", "a body without room");
    }
    app.post_text("/predict", large(1 << 20)).done();
}

/// The threads of a process.
fn threads(process: &Process) -> usize {
    std::fs::read_dir(format!("/proc/{}/task", process.id())).unwrap().count()
}

#[test]
fn a_flood_of_what_is_rendered_takes_few_threads() {
    for path in ["/", "/bands/latency", "/rollouts", "/admin/rollouts?limit=1000"] {
        let folder = folder();
        let mut process = Process::start(folder.path());
        let address = process.address(folder.path());
        let client = Client::new(address, None);
        client.deploy_canary().done();
        client.predict_times(100);
        let mut flood: Vec<TcpStream> = (0..100).map(|_| raw::connect(address)).collect();
        let before = threads(&process);
        let head = format!("GET {path}");
        let request = raw::written(address, &head, &["accept: text/html"], b"");
        flood.iter_mut().for_each(|stream| raw::send(stream, &request));
        for stream in &mut flood {
            assert_eq!(raw::receive(stream).unwrap().status, 200, "{path}");
        }
        let more = threads(&process) - before;
        // One at a time; each worker has threads of its own, and starts another where the last is not yet idle.
        assert!(more < 20, "{path}: {more} more threads");
    }
}

#[test]
fn a_batch_that_gets_no_turn_is_refused_and_told_when_to_come_again() {
    let app = Setup::new()
        .model("slow.bin", Misbehavior::HangInline.artifact())
        .given(|given| {
            given.stable = "slow.bin".to_owned();
            given.stable_deadline = Duration::from_secs(60);
            given.workers = 2;
        })
        .spawn();
    let body = large(20 << 10);
    let (answered, answers) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let (client, answered, body) = (app.client(), answered.clone(), &body);
            scope.spawn(move || answered.send(client.post_text("/predict", body)).unwrap());
        }
        // One of them works until it is released, and the other waits in vain.
        let refused_one = answers.recv().unwrap();
        app.release();
        assert_eq!(refused_one.header("retry-after"), "1");
        let expected = refused(503, "overloaded", &["large requests", "try again"]);
        refused_one.assert_refused(expected, "/predict", "a batch without a turn");
        answers.recv().unwrap().done();
    });
    app.post_text("/predict", &body).done();
}

#[test]
fn a_batch_that_waits_for_a_model_keeps_no_other_from_working() {
    let app = Setup::new()
        .model("slow.bin", Misbehavior::Hang.artifact())
        .given(|given| {
            given.canary_deadline = Duration::from_secs(60);
            given.allow_track_header = true;
            given.workers = 2;
        })
        .spawn();
    app.deploy_canary_with(&json!({ "model_path": "slow.bin", "traffic_percent": 100 })).done();
    let body = large(20 << 10);
    let mut waiting: Vec<_> = (0..3).map(|_| begin(&app, body.len(), body.as_bytes())).collect();
    while app.hanging() < 3 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let headers = [("content-type", "application/json"), ("x-serin-track", "stable")];
    for _ in 0..5 {
        app.post_with("/predict", body.as_bytes(), &headers).done();
    }
    app.release();
    for stream in &mut waiting {
        let answer: Value = raw::receive(stream).unwrap().done();
        assert_eq!(answer["model_used"], "canary");
    }
}
