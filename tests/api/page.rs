//! The page: it says what the status says, changes by itself, and loads nothing from elsewhere.

use std::io::BufRead;
use std::io::BufReader;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::time::Duration;

use crate::harness::Setup;
use crate::harness::TestApp;
use crate::problem::refused;
use crate::raw;

const HTML: &str = "accept: text/html,application/xhtml+xml";

fn page(app: &TestApp) -> String {
    let reply = raw::request(app.address, "GET /", &[HTML], b"");
    assert_eq!((reply.status, reply.header("content-type")), (200, "text/html; charset=utf-8"));
    reply.text
}

/// The stream of changes, behind its head.
struct Stream(BufReader<TcpStream>);

impl Stream {
    fn open(address: SocketAddr) -> Stream {
        let mut stream = raw::connect(address);
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        raw::send(&mut stream, &raw::written(address, "GET /live", &[], b""));
        let mut stream = Stream(BufReader::new(stream));
        let head = stream.until("");
        assert!(head.contains("200 OK") && head.contains("text/event-stream"), "{head}");
        stream
    }

    /// All up to this line, which is also the end of it.
    fn until(&mut self, line: &str) -> String {
        let mut all = String::new();
        loop {
            let before = all.len();
            assert!(self.0.read_line(&mut all).unwrap() > 0, "the stream ended behind {all}");
            if all[before..].trim_end() == line {
                return all;
            }
        }
    }

    /// The next event, without the framing of chunks.
    fn event(&mut self) -> String {
        let is_of_event = |line: &&str| line.starts_with("data:") || line.starts_with("event:");
        loop {
            let all = self.until("");
            let event: Vec<&str> = all.lines().filter(is_of_event).collect();
            if !event.is_empty() {
                return event.join("\n");
            }
        }
    }
}

#[test]
fn the_page_says_what_the_status_says() {
    let app = TestApp::spawn();
    let text = page(&app);
    let next = "Nothing happens until somebody deploys: serin deploy MODEL.";
    for expected in ["No canary", "model_v1", "Timeline", next] {
        assert!(text.contains(expected), "{expected:?} is not in {text}");
    }
    app.deploy_canary().done();
    app.predict_times(300);
    let report = app.status()["report"].clone();
    let text = page(&app);
    for member in ["headline", "next"] {
        let sentence = report[member].as_str().unwrap();
        assert!(text.contains(sentence), "{sentence:?} is not in {text}");
    }
    assert!(text.contains("id=\"m-latency\"") && text.contains("guardrail"), "{text}");
    assert!(text.contains("<i>10 %</i><b>model_v2</b>"), "{text}");
}

#[test]
fn the_title_says_how_it_is_going_and_the_rollout_is_a_link() {
    let app = TestApp::spawn();
    let text = page(&app);
    assert!(
        text.contains("<title>No canary: model_v1 answers everybody – serin</title>"),
        "{text}"
    );
    assert!(!text.contains("rollouts/1"), "{text}");
    app.deploy_canary().done();
    let text = page(&app);
    assert!(
        text.contains("<title>Waiting: model_v2 gets 10 % of the traffic – serin</title>"),
        "{text}"
    );
    assert!(text.contains("<a href=\"rollouts/1\">Rollout 1</a>"), "{text}");
    app.post("/admin/rollback-canary", &serde_json::json!({})).done();
    let text = page(&app);
    assert!(text.contains("<title>Rolled back: model_v2 gets nothing; "), "{text}");
    // The verdict, and both entries of the journal.
    assert_eq!(text.matches("href=\"rollouts/1\"").count(), 3, "{text}");
}

#[test]
fn the_page_loads_nothing_from_elsewhere_and_nothing_inline() {
    let app = TestApp::spawn();
    let reply = raw::request(app.address, "GET /", &[HTML], b"");
    let policy = reply.header("content-security-policy").to_owned();
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"), "{policy}");
    for forbidden in ["style=", "http://", "https://", "onclick", "<style"] {
        assert!(!reply.text.contains(forbidden), "{forbidden} is in {}", reply.text);
    }
    let names = ["style.css", "theme.js", "page.js", "rows.js", "acts.js", "keys.js"];
    let addresses = reply.text.split('"').filter(|part| part.starts_with("assets/"));
    let addresses: Vec<&str> = addresses.collect();
    assert_eq!(addresses.len(), names.len(), "{addresses:?}");
    for address in addresses {
        let asset = app.get(&format!("/{address}"));
        assert_eq!((asset.status, asset.header("x-content-type-options")), (200, "nosniff"));
        assert!(asset.header("cache-control").contains("immutable"), "{address}");
    }
    // A browser must not keep what an older page asks for under a name of its own.
    assert_eq!(app.get("/assets/0000/style.css").header("cache-control"), "");
    let other = app.get("/assets/0000/other.css");
    other.assert_refused(
        refused(404, "no_such_route", &["no file", "/"]),
        "/assets/0000/other.css",
        "",
    );
    let size: usize =
        names.iter().map(|name| app.get(&format!("/assets/0/{name}")).text.len()).sum();
    assert!(size + reply.text.len() < 150_000, "{size}");
}

#[test]
fn names_are_escaped() {
    let app = TestApp::spawn();
    let reason = "<script>alert(1)</script>";
    app.deploy_canary_with(&serde_json::json!({
        "model_path": "models/model_v2.bin", "reason": reason,
    }))
    .done();
    let text = page(&app);
    assert!(text.contains("alert(1)") && !text.contains("<script>alert"), "{text}");
}

#[test]
fn programs_get_the_list_of_routes() {
    let app = TestApp::spawn();
    for accept in ["accept: */*", "accept: application/json", "x-other: 1"] {
        let reply = raw::request(app.address, "GET /", &[accept], b"");
        assert_eq!(reply.body["name"], "serin", "{accept}: {}", reply.text);
    }
}

#[test]
fn changes_are_sent_and_nothing_else() {
    let app = TestApp::spawn();
    let mut stream = Stream::open(app.address);
    let whole = stream.event();
    for id in ["verdict", "traffic", "acts", "metrics", "checklist", "timeline", "notes"] {
        assert!(whole.contains(&format!("id=\"{id}\"")), "{id} is not in {whole}");
    }
    app.deploy_canary().done();
    let changes = stream.event();
    assert!(changes.contains("model_v2 gets 10 %"), "{changes}");
    assert!(stream.event().contains("event: beat"), "something changed without requests");
}

#[test]
fn a_draining_server_ends_the_streams() {
    let app = TestApp::spawn();
    let mut stream = Stream::open(app.address);
    stream.event();
    let stopping = std::thread::spawn(move || app.stop());
    assert!(stream.event().contains("event: drain"));
    stopping.join().unwrap();
}

#[test]
fn pages_of_other_sites_cannot_read_it_but_may_link_to_it() {
    let app = TestApp::spawn();
    let cross = "sec-fetch-site: cross-site";
    let read = raw::request(app.address, "GET /", &[HTML, cross, "sec-fetch-mode: cors"], b"");
    assert_eq!(read.status, 403, "{}", read.text);
    let navigate = "sec-fetch-mode: navigate";
    for (place, status) in [("document", 200), ("iframe", 403)] {
        let place = format!("sec-fetch-dest: {place}");
        let link = raw::request(app.address, "GET /", &[HTML, cross, navigate, &place], b"");
        assert_eq!(link.status, status, "{place}: {}", link.text);
    }
    let live = raw::request(app.address, "GET /live", &[cross], b"");
    assert_eq!(live.status, 403, "{}", live.text);
}

#[test]
fn a_token_of_the_metrics_closes_the_page() {
    let closed = Setup::new().given(|settings| {
        settings.metrics_token = Some("only-for-metrics-and-pages".to_owned().try_into().unwrap())
    });
    let app = closed.spawn();
    let reply = raw::request(app.address, "GET /", &[HTML], b"");
    assert_eq!(reply.status, 401, "{}", reply.text);
    let with = ["authorization: Bearer only-for-metrics-and-pages", HTML];
    assert_eq!(raw::request(app.address, "GET /", &with, b"").status, 200);
}
