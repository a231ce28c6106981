//! The binary as a process: SIGTERM loses nothing, and a server that cannot start says why.

use std::fs;
use std::io::BufRead as _;
use std::io::PipeReader;
use std::io::PipeWriter;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;

use serde_json::json;
use serin::cli::local::signals::hangup_is_ignored;
use tempfile::TempDir;

use crate::binary::Process;
use crate::binary::serin;
use crate::client::CUSTOMER;
use crate::client::Client;
use crate::harness::default_models;
use crate::imported::golden;
use crate::raw;

/// A folder with both default models.
pub fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let models = folder.path().join("models");
    fs::create_dir(&models).unwrap();
    for (name, bytes) in ["model_v1.bin", "model_v2.bin"].into_iter().zip(default_models()) {
        fs::write(models.join(name), bytes).unwrap();
    }
    folder
}

fn serve(folder: &Path) -> (Process, Client) {
    let mut process = Process::start(folder);
    let address = process.address(folder);
    (process, Client::new(address, None))
}

#[test]
fn sigterm_ends_it_with_code_0_and_loses_nothing() {
    let folder = folder();
    let mut process = Process::start(folder.path());
    let address = process.address(folder.path());
    let client = Client::new(address, None);
    client.deploy_canary().done();
    client.predict_times(200);
    client.pause_canary().done();
    client.set_traffic(100).done();
    client.toggle_slowdown_with(&json!({ "enabled": true, "delay_ms": 700 })).done();
    // The connections are open before the signal, and their requests are in flight.
    let mut slow: Vec<_> = (0..20).map(|_| raw::connect(address)).collect();
    let body = json!({ "features": CUSTOMER }).to_string();
    for stream in &mut slow {
        raw::send(stream, &raw::written(address, "GET /livez", &[], b""));
        raw::receive(stream).unwrap();
        raw::send(stream, &raw::written(address, "POST /predict", &[], body.as_bytes()));
    }
    std::thread::sleep(Duration::from_millis(200));
    let before = client.standing();

    let ended = process.terminate();
    assert_eq!(ended.code(), Some(0));
    for stream in &mut slow {
        let answer = raw::receive(stream).unwrap().done();
        assert_eq!(answer["model_used"], "canary", "{answer}");
    }

    let (_process, client) = serve(folder.path());
    let after = client.standing();
    assert_eq!(after["tracks"]["canary"]["samples"], 20, "{after}");
    for field in ["revision", "state", "stable", "canary", "rollout", "traffic_percent", "delay_ms"]
    {
        assert_eq!(after[field], before[field], "{field}");
    }
    let log = fs::read_to_string(folder.path().join("log")).unwrap();
    let is_of_the_cards = |line: &&str| line.contains("different data");
    let (of_the_cards, others): (Vec<&str>, Vec<&str>) = log.lines().partition(is_of_the_cards);
    assert_eq!(
        (of_the_cards.len(), others.len()),
        (1, 0),
        "nothing else is worth a warning: {log}"
    );
}

#[test]
fn a_stable_model_that_was_never_compared_with_its_original_is_named_in_the_log() {
    let folder = folder();
    fs::copy(golden("lgb_binary.txt"), folder.path().join("models/trees.lgb")).unwrap();
    let mut process = Process::start_with(folder.path(), &["--stable", "trees.lgb"]);
    process.address(folder.path());
    process.terminate();
    let log = fs::read_to_string(folder.path().join("log")).unwrap();
    let said = "Stable's answers were not compared with those of the original model";
    assert!(log.contains(said), "{log}");
}

#[test]
fn a_closed_terminal_stops_it_as_sigterm_does() {
    let folder = folder();
    let (process, client) = serve(folder.path());
    client.deploy_canary().done();
    client.predict_times(200);
    process.signal("-HUP");
    // Under `nohup` the programs that the tests start outlive a closed terminal, too.
    if hangup_is_ignored() {
        client.predict().done();
        return;
    }
    assert_eq!(process.ended().code(), Some(0));
    let (_process, client) = serve(folder.path());
    assert_eq!(client.standing()["tracks"]["canary"]["samples"], 20);
}

#[test]
fn before_it_stops_it_is_not_ready_and_closes_each_connection_after_an_answer() {
    let folder = folder();
    let mut process = Process::start_with(folder.path(), &["--drain-delay", "10s"]);
    let address = process.address(folder.path());
    let mut kept = raw::connect(address);
    let body = json!({ "features": CUSTOMER }).to_string();
    let predict = raw::written(address, "POST /predict", &[], body.as_bytes());
    raw::send(&mut kept, &predict);
    let answer = raw::receive(&mut kept).unwrap();
    assert_eq!((answer.status, answer.headers.get("connection")), (200, None));
    process.signal("-TERM");
    let not_ready = loop {
        let ready = raw::request(address, "GET /readyz", &[], b"");
        if ready.status != 200 {
            break ready;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    assert_eq!((not_ready.status, not_ready.header("connection")), (503, "close"));
    raw::send(&mut kept, &predict);
    let last = raw::receive(&mut kept).unwrap();
    assert_eq!((last.status, last.header("connection")), (200, "close"));
    assert!(raw::receive(&mut kept).is_none(), "the connection is closed");
    let unknown = raw::request(address, "GET /nothing", &[], b"");
    assert_eq!((unknown.status, unknown.header("connection")), (404, "close"));
    assert_eq!(process.ended().code(), Some(0));
}

#[test]
fn a_second_signal_ends_it_without_waiting_for_requests() {
    let folder = folder();
    let hour = ["--drain-deadline", "1h", "--canary-deadline", "1h", "--drain-delay", "0s"];
    let mut process = Process::start_with(folder.path(), &hour);
    let address = process.address(folder.path());
    let client = Client::new(address, None);
    client.deploy_canary().done();
    client.set_traffic(100).done();
    client.predict_times(20);
    client.toggle_slowdown_with(&json!({ "enabled": true, "delay_ms": 60_000 })).done();
    let mut stuck = raw::connect(address);
    let body = json!({ "features": CUSTOMER }).to_string();
    raw::send(&mut stuck, &raw::written(address, "POST /predict", &[], body.as_bytes()));
    std::thread::sleep(Duration::from_millis(200));
    process.signal("-TERM");
    std::thread::sleep(Duration::from_millis(200));
    process.signal("-TERM");
    assert_eq!(process.ended().code(), Some(0));
    assert!(raw::receive(&mut stuck).is_none());
    let (_process, client) = serve(folder.path());
    assert_eq!(client.standing()["tracks"]["canary"]["samples"], 20, "what was answered is kept");
}

#[test]
fn kill_minus_nine_loses_no_acknowledged_command() {
    let folder = folder();
    let (mut process, client) = serve(folder.path());
    client.deploy_canary().done();
    client.pause_canary().done();
    let before = client.standing();
    process.kill();
    let (_process, client) = serve(folder.path());
    assert_eq!(client.standing(), before);
}

#[test]
fn a_start_that_fails_ends_with_code_2_and_says_what_to_do() {
    let folder = folder();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("typo.toml"), "wrokers = 3\n").unwrap();
    fs::write(path("range.toml"), "workers = 0\n").unwrap();
    fs::write(path("broken.toml"), "workers = = 3\n").unwrap();
    fs::write(path("notes.txt"), "this is not a database but text of some length".repeat(100))
        .unwrap();
    fs::write(path("models/broken.bin"), "no model").unwrap();
    let (_process, _client) = serve(folder.path());
    for (arguments, named) in [
        (&["--listen", taken.as_str()][..], &[taken.as_str(), "cannot listen", "--listen"][..]),
        (&["--listen", "nowhere"], &["nowhere", "--listen"]),
        (&["--workers", "many"], &["many", "--workers"]),
        (&["--workers", "0"], &["--workers: 0 is out of range", "1 to 1024"]),
        (&["--bake", "soon"], &["bake", "soon", "1h 30m"]),
        (&["--traffic-percent", "101"], &["traffic", "101", "0 to 100"]),
        (&["--log-format", "xml"], &["xml", "text", "json"]),
        (&["--no-such-flag"], &["--no-such-flag"]),
        (&["--config", "typo.toml"], &["typo.toml", "wrokers", "workers"]),
        (&["--config", "range.toml"], &["range.toml", "workers: 0"]),
        (&["--config", "broken.toml"], &["broken.toml", "line 1"]),
        (&["--config", "missing.toml"], &["missing.toml", "--config"]),
        (&["--stable", "model_v9.bin"], &["model_v9.bin", "model_v1.bin"]),
        (&["--stable", "broken.bin"], &["broken.bin"]),
        (&["--stable", "../model_v1.bin"], &["../model_v1.bin", "inside the models folder"]),
        (&["--store", "redis://here"], &["redis://here", "sqlite:FILE"]),
        (&["--store", "sqlite:serin.db"], &["serin.db", "in use by another serin", "--store"]),
        (&["--store", "sqlite:notes.txt"], &["notes.txt", "--store"]),
        (&["--store", "sqlite:no/such/folder/serin.db"], &["no/such/folder", "check the path"]),
        (&["--unknown-fields", "maybe"], &["--unknown-fields", "refuse", "ignore"]),
        (&["--admin-token", ""], &["--admin-token: empty"]),
        (&["--admin-token", "secret"], &["--admin-token: ", "at least 16 characters"]),
    ] {
        let mut command = serin(folder.path());
        command.args(["serve", "--listen", "127.0.0.1:0", "--store", "memory:"]);
        // A flag given twice is an error, so the tested one replaces the default.
        if let Some(flag) = arguments.first().filter(|flag| ["--listen", "--store"].contains(flag))
        {
            command = serin(folder.path());
            let other = if *flag == "--listen" {
                ["--store", "memory:"]
            } else {
                ["--listen", "127.0.0.1:0"]
            };
            command.arg("serve").args(other);
        }
        let output = command.args(arguments).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        for name in named {
            assert!(text.contains(name), "{arguments:?}: {name:?} is not in {text:?}");
        }
        assert!(!text.contains("panicked"), "{arguments:?}: {text}");
    }
}

/// A pipe that is full from the start, as the standard error of a server whose terminal or log driver reads nothing.
struct FullPipe {
    reader: PipeReader,
    filler: JoinHandle<()>,
    /// Set before the pipe is read: the filler ends with its next write.
    is_read: Arc<AtomicBool>,
}

impl FullPipe {
    /// The pipe, and its other end.
    fn new() -> (FullPipe, PipeWriter) {
        let (reader, writer) = std::io::pipe().unwrap();
        let (mut end, is_read) = (writer.try_clone().unwrap(), Arc::new(AtomicBool::new(false)));
        let stops = is_read.clone();
        let filler = std::thread::spawn(move || {
            while !stops.load(Ordering::SeqCst) && end.write_all(&[b'.'; 4096]).is_ok() {}
        });
        (FullPipe { reader, filler, is_read }, writer)
    }

    /// The lines written to it. They end when the last writer does.
    fn lines(self) -> impl Iterator<Item = String> + Send {
        self.is_read.store(true, Ordering::SeqCst);
        std::io::BufReader::new(self.reader).lines().map(Result::unwrap)
    }

    /// Ends it unread.
    fn close(self) {
        drop(self.reader);
        self.filler.join().unwrap();
    }
}

#[test]
fn a_log_that_nothing_reads_delays_no_command_and_no_end() {
    let folder = folder();
    let (pipe, writer) = FullPipe::new();
    let mut process =
        Process::start_logging(folder.path(), writer, &["--log", "debug", "--store", "memory:"]);
    let client = Client::new(process.address(folder.path()), None);
    let plan =
        json!({ "warm_up": "0s", "look": "100ms", "steps": [{ "weight": 50, "bake": "1h" }] });
    client.deploy_canary_with(&json!({ "model_path": "model_v2.bin", "plan": plan })).done();
    client.toggle_slowdown_with(&json!({ "enabled": true, "delay_ms": 10 })).done();
    // The judge is not delayed either. 60 seconds are far more than it needs.
    let start = Instant::now();
    while client.status()["state"] != "idle" {
        assert!(start.elapsed() < Duration::from_secs(60), "{}", client.status());
        client.predict_times(20);
    }
    let again =
        json!({ "model_path": "model_v2.bin", "override_quarantine": true, "reason": "test" });
    client.deploy_canary_with(&again).done();
    client.rollback_canary().done();
    assert_eq!(process.terminate().code(), Some(0));
    pipe.close();
}

#[test]
fn a_log_that_recovers_reports_how_many_lines_were_dropped() {
    let folder = folder();
    let (pipe, writer) = FullPipe::new();
    let mut process = Process::start_logging(folder.path(), writer, &["--store", "memory:"]);
    let client = Client::new(process.address(folder.path()), None);
    // More lines than the queue holds.
    for _ in 0..1100 {
        client.toggle_slowdown().done();
    }
    let mut lines = pipe.lines();
    let dropped = lines.find(|line| line.contains("log lines were dropped")).unwrap();
    assert!(dropped.contains("ERROR"), "{dropped}");
    let rest = std::thread::spawn(move || lines.count());
    client.toggle_slowdown().done();
    assert_eq!(process.terminate().code(), Some(0));
    rest.join().unwrap();
}

/// The resident memory of a process, in bytes.
fn resident(process: &Process) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[test]
fn memory_of_large_requests_is_given_back() {
    let folder = folder();
    let mut process = Process::start(folder.path());
    let address = process.address(folder.path());
    let body = json!({ "instances": vec![CUSTOMER; 10_000] }).to_string();
    Client::new(address, None).predict_times(10);
    let before = resident(&process);
    // One that waits too long for its turn is refused, and sent again.
    let send = || {
        let client = Client::new(address, None);
        while client.post_text("/predict", &body).status == 503 {}
    };
    let peak = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..20).map(|_| scope.spawn(send)).collect();
        let mut peak = before;
        while clients.iter().any(|client| !client.is_finished()) {
            peak = peak.max(resident(&process));
            std::thread::sleep(Duration::from_millis(5));
        }
        peak
    });
    assert!(peak > before + (8 << 20), "{before} bytes, then {peak}");
    // Within some ten seconds. 60 are far more.
    let start = Instant::now();
    while resident(&process) > before + (peak - before) / 2 {
        let now = resident(&process);
        assert!(start.elapsed() < Duration::from_secs(60), "{before} bytes, {peak}, then {now}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
