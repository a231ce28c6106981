//! Notifications: each event once, in order, signed, across restarts and failures. No request waits for a target.

use std::net::TcpListener;
use std::time::Duration;
use std::time::Instant;

use ring::hmac;
use serde_json::Value;
use serde_json::json;
use serin::cli::settings::flags::Flags;
use serin::cli::settings::layers::Layers;
use serin::service::notify::target::Format;
use serin::service::notify::target::GivenTarget;

use crate::harness::Setup;
use crate::harness::TestApp;
use crate::misbehaving::Misbehavior;
use crate::receiver::Receiver;

fn target(url: String) -> GivenTarget {
    GivenTarget { url, ..GivenTarget::default() }
}

fn notifying(targets: Vec<GivenTarget>) -> Setup {
    Setup::new().durable().given(|given| given.notify = targets)
}

fn roll_back(app: &TestApp) {
    app.post("/admin/rollback-canary", &json!({ "reason": "<too> slow & wrong" })).done();
}

#[test]
fn a_rollout_is_delivered_as_signed_cloud_events() {
    let receiver = Receiver::answering(&[]);
    // Any variable that exists and is long enough.
    let secret_env = Some("PATH".to_owned());
    let app = notifying(vec![GivenTarget { secret_env, ..target(receiver.url()) }]).spawn();
    app.post("/admin/deploy-canary", &json!({ "model_path": "model_v2.bin" })).done();
    app.predict_times(40);
    roll_back(&app);
    let got = receiver.got(3);
    let names = ["initialized", "canary_deployed", "rolled_back"];
    assert_eq!(receiver.events(3), names);
    let key = hmac::Key::new(hmac::HMAC_SHA256, std::env::var("PATH").unwrap().as_bytes());
    let mut ids = Vec::new();
    for (one, name) in got.iter().zip(names) {
        assert_eq!(one.head[0], "post /hidden http/1.1");
        assert_eq!(one.header("content-type"), Some("application/cloudevents+json"));
        let signature = one.header("x-serin-signature").unwrap().strip_prefix("sha256=").unwrap();
        let bytes: Vec<u8> = (0..signature.len() / 2)
            .map(|n| u8::from_str_radix(&signature[2 * n..2 * n + 2], 16).unwrap())
            .collect();
        hmac::verify(&key, one.body.as_bytes(), &bytes).unwrap();
        let event = one.json();
        assert_eq!(event["type"], format!("serin.rollout.{name}"));
        assert_eq!(event["specversion"], "1.0");
        ids.push((event["source"].clone(), event["id"].clone()));
        assert!(!one.body.contains("salt"), "{}", one.body);
    }
    ids.dedup();
    assert_eq!(ids.len(), 3, "each event has a name of its own: {ids:?}");
    let data = &got[2].json()["data"];
    assert_eq!(data["rollout"], 1);
    assert_eq!(data["tracks"]["canary"]["requests"], 4);
    assert_eq!(data["verdict"], "hold");
    assert_eq!(data["metrics"][0]["metric"], "latency");
    let sentence = app.history().pop().unwrap()["sentence"].clone();
    assert_eq!(data["sentence"], sentence, "the history says the same");
    // The receiver has the event a moment before the server knows. The status shows no secret.
    while app.status()["notifications"][0]["position"] != 3 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let shown = app.status()["notifications"].clone();
    assert_eq!(shown[0]["target"], format!("http://{}", receiver.address));
    assert_eq!(shown[0]["position"], 3);
    assert!(!shown.to_string().contains("hidden"), "{shown}");
}

#[test]
fn slack_gets_a_sentence_with_the_versions_and_the_server() {
    let receiver = Receiver::answering(&[]);
    let events = vec!["rolled_back".to_owned()];
    let server = Some("https://serin.example.org".to_owned());
    let target = GivenTarget { format: Format::Slack, events, server, ..target(receiver.url()) };
    let app = notifying(vec![target]).spawn();
    app.post("/admin/deploy-canary", &json!({ "model_path": "model_v2.bin" })).done();
    roll_back(&app);
    let one = receiver.got(1).remove(0);
    let text = one.json()["text"].as_str().unwrap().to_owned();
    assert!(text.contains("rolled back (&lt;too&gt; slow &amp; wrong)"), "{text}");
    let context = text.lines().last().unwrap();
    assert!(context.starts_with("canary model_v2 ("), "{text}");
    assert!(context.contains("), stable model_v1 ("), "{text}");
    assert!(context.ends_with("), https://serin.example.org"), "{text}");
    assert_eq!(one.header("x-serin-signature"), None);
    drop(app.stop());
    assert_eq!(receiver.got(1).len(), 1, "nothing else was asked for");
}

#[test]
fn a_target_that_fails_gets_each_event_later() {
    let receiver = Receiver::answering(&["500 Oops", "503 Busy", "301 Moved\r\nlocation: /there"]);
    let app = notifying(vec![target(receiver.url())]).spawn();
    app.post("/admin/deploy-canary", &json!({ "model_path": "model_v2.bin" })).done();
    // Two failures, then a redirect, which is abandoned and not followed.
    let expected = ["initialized", "initialized", "initialized", "canary_deployed"];
    assert_eq!(receiver.events(4), expected);
    assert!(receiver.got(4).iter().all(|one| one.head[0] == "post /hidden http/1.1"));
    let start = Instant::now();
    while app.status()["notifications"][0]["position"] != 2 {
        assert!(start.elapsed() < Duration::from_secs(20), "{}", app.status());
        std::thread::sleep(Duration::from_millis(10));
    }
    let shown = app.status()["notifications"][0].clone();
    assert_eq!((&shown["delivered"], &shown["abandoned"]), (&json!(1), &json!(1)), "{shown}");
}

#[test]
fn a_dead_target_delays_no_rollback_no_other_target_and_no_stop() {
    // It accepts connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_url = format!("http://{}/", silent.local_addr().unwrap());
    let refusing =
        format!("http://{}/", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let receiver = Receiver::answering(&[]);
    let targets = [silent_url, refusing, receiver.url()].map(target).to_vec();
    let app = notifying(targets).spawn();
    let start = Instant::now();
    for _ in 0..3 {
        app.post("/admin/deploy-canary", &json!({ "model_path": "model_v2.bin" })).done();
        roll_back(&app);
    }
    assert_eq!(receiver.got(7).len(), 7);
    assert!(start.elapsed() < Duration::from_secs(9), "somebody waited for a dead target");
    let shown = app.status()["notifications"].clone();
    assert_eq!(shown[1]["last_error"], "no connection: connection refused", "{shown}");
    assert_eq!((&shown[0]["position"], &shown[1]["position"]), (&json!(0), &json!(0)));
    let start = Instant::now();
    drop(app.stop());
    assert!(start.elapsed() < Duration::from_secs(9), "the stop waited for a dead target");
}

#[test]
fn missed_events_are_delivered_after_a_restart() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let app = notifying(vec![target(format!("http://{address}/hidden"))]).spawn();
    app.post("/admin/deploy-canary", &json!({ "model_path": "model_v2.bin" })).done();
    roll_back(&app);
    let setup = app.stop();
    // The address is bound again. If another process took it, there is nothing to test.
    let Ok(receiver) = Receiver::at(address) else { return };
    let app = setup.spawn();
    let expected = ["initialized", "canary_deployed", "rolled_back"];
    assert_eq!(receiver.events(3), expected);
    let app = app.restart();
    app.post("/admin/deploy-canary", &json!({ "model_path": "model_v2.bin" })).done();
    assert_eq!(receiver.events(4)[3..], ["canary_deployed"], "no event is delivered twice");
}

#[test]
fn a_rollback_by_serin_itself_is_delivered() {
    let receiver = Receiver::answering(&[]);
    let target = GivenTarget { events: vec!["rolled_back".to_owned()], ..target(receiver.url()) };
    let app = notifying(vec![target]).model("bad.bin", Misbehavior::Panic.artifact()).spawn();
    let plan = json!({ "steps": [{ "weight": 50, "bake": "1h" }], "look": "1h" });
    app.deploy_canary_with(&json!({ "model_path": "bad.bin", "plan": plan })).done();
    app.predict_times(60);
    let data = receiver.got(1).remove(0).json()["data"].clone();
    assert_eq!(data["by"], "automatic");
    assert_eq!(data["cause"]["trigger"]["kind"], "failures", "{data}");
    assert_eq!(app.status()["canary"], Value::Null);
}

#[test]
fn an_invalid_target_is_refused_with_its_field() {
    for (text, named) in [
        (
            "url = \"http://example.org/hidden\"",
            "notify[0].url: http://example.org is another machine",
        ),
        ("url = \"https://me:hidden@example.org/\"", "notify[0].url: contains credentials"),
        (
            "url = \"https://a/\"\nevents = [\"exploded\"]",
            "notify[0].events: \"exploded\" is not an event",
        ),
        (
            "url = \"https://a/\"\nsecret_env = \"NO_SUCH_NAME\"",
            "notify[0].secret_env: the variable NO_SUCH_NAME is not set",
        ),
        ("url = \"https://a/\"\nformat = \"teams\"", "teams"),
        ("url = \"https://a/\"\nsecret = \"hidden\"", "secret_env"),
        ("", "url"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("serin.toml");
        std::fs::write(&file, format!("[[notify]]\n{text}\n")).unwrap();
        let layers = Layers::new(Flags::default(), Some(&file)).unwrap();
        let service = layers.settings().and_then(|settings| Ok(settings.service()?));
        let error = service.unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains(named), "{text}: {error}");
    }
}
