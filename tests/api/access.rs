//! Access to /admin: open on this machine, with the token elsewhere, and never from a web page.

use std::time::Duration;
use std::time::Instant;

use crate::client::CUSTOMER;
use crate::client::Client;
use crate::harness::Setup;
use crate::harness::TestApp;
use crate::problem::refused;
use crate::raw;

/// Every route of /admin, with its method.
pub const ADMIN_ROUTES: [&str; 12] = [
    "POST /admin/deploy-canary",
    "GET /admin/check-canary-health",
    "POST /admin/toggle-slowdown",
    "POST /admin/inject",
    "POST /admin/promote-canary",
    "POST /admin/rollback-canary",
    "POST /admin/pause-canary",
    "POST /admin/resume-canary",
    "POST /admin/set-traffic",
    "GET /admin/status",
    "GET /admin/models",
    "GET /admin/history",
];

const TOKEN: &str = "correct-horse-battery-staple";

/// The defaults, and a token.
fn with_token() -> Setup {
    Setup::new().given(|given| given.admin_token = Some(TOKEN.to_owned().try_into().unwrap()))
}

#[test]
fn with_a_token_every_admin_route_requires_it() {
    let app = with_token().spawn();
    let before = app.standing();
    let close_calls = [
        ("", "no token"),
        ("authorization: Bearer wrong", "another token"),
        ("authorization: Bearer ", "an empty token"),
        ("authorization: Bearer correct-horse-battery-stapl", "a token that is too short"),
        ("authorization: correct-horse-battery-staple", "no scheme"),
        ("authorization: Basic Y29ycmVjdDpob3JzZQ==", "another scheme"),
        ("authorization: bearer\tcorrect-horse-battery-staple", "another separator"),
    ];
    for (header, description) in close_calls {
        for route in ADMIN_ROUTES {
            let headers: &[&str] = if header.is_empty() { &[] } else { &[header] };
            let reply = raw::request(app.address, route, headers, b"");
            let path = route.split(' ').next_back().unwrap();
            let expected = refused(401, "unauthorized", &["Authorization: Bearer"]);
            reply.assert_refused(expected, path, &format!("{description} at {route}"));
            assert_eq!(reply.header("www-authenticate"), "Bearer");
        }
    }
    assert_eq!(app.standing(), before);
    app.deploy_canary().done();
    app.rollback_canary().done();
}

#[test]
fn with_a_token_unknown_admin_paths_require_it_too_and_predictions_do_not() {
    let app = with_token().spawn();
    let stranger = Client::new(app.address, None);
    for path in ["/admin/nothing", "/admin/", "/admin/status/"] {
        assert_eq!(stranger.get(path).status, 401, "{path}");
    }
    assert_eq!(raw::request(app.address, "DELETE /admin/status", &[], b"").status, 401);
    stranger.predict().done();
    for path in ["/livez", "/readyz"] {
        assert_eq!(stranger.get(path).status, 200, "{path}");
    }
}

#[test]
fn a_page_of_another_site_may_not_use_admin() {
    let app = TestApp::spawn();
    let own = format!("origin: http://{}", app.address);
    let expected = refused(403, "forbidden", &["other sites", "curl"]);
    for origin in [
        "origin: http://evil.example",
        "origin: https://evil.example:8000",
        "origin: null",
        "origin: http://127.0.0.1",
        "origin: http://localhost",
        "origin: ",
    ] {
        for route in ADMIN_ROUTES {
            let reply = raw::request(app.address, route, &[origin], b"");
            let path = route.split(' ').next_back().unwrap();
            reply.assert_refused(expected, path, &format!("{origin} at {route}"));
        }
    }
    let image = ["sec-fetch-site: cross-site"];
    let reply = raw::request(app.address, "GET /admin/status", &image, b"");
    reply.assert_refused(expected, "/admin/status", "an image or a script of another page");
    let status = raw::request(app.address, "GET /admin/status", &[&own], b"").done();
    assert_eq!(status["revision"], 1, "nothing has happened");
}

/// A page whose name resolves to this machine (DNS rebinding) is same-origin for the browser. Only the name in
/// `Host` reveals it.
#[test]
fn a_page_whose_name_resolves_to_this_machine_may_not_use_admin() {
    let app = TestApp::spawn();
    let request = "POST /admin/toggle-slowdown HTTP/1.1\r\nhost: evil.example:8000\r\n\
                   origin: http://evil.example:8000\r\ncontent-length: 0\r\n\r\n";
    let reply = raw::exchange(app.address, request.as_bytes());
    reply.assert_refused(
        refused(403, "forbidden", &[]),
        "/admin/toggle-slowdown",
        "a rebound name",
    );
    assert_eq!(app.status()["revision"], 1, "nothing has happened");
}

#[test]
fn on_the_network_without_a_token_admin_is_closed_and_predictions_are_open() {
    let app = Setup::new().given(|given| given.listen = "0.0.0.0:0".to_owned()).spawn();
    for route in ADMIN_ROUTES {
        let path = route.split(' ').next_back().unwrap();
        let expected = refused(403, "forbidden", &["--admin-token", "--listen"]);
        raw::request(app.address, route, &[], b"").assert_refused(expected, path, route);
    }
    app.predict().done();
}

#[test]
fn on_the_network_admin_is_open_with_the_token() {
    let app = with_token().given(|given| given.listen = "0.0.0.0:0".to_owned()).spawn();
    app.deploy_canary().done();
    assert_eq!(Client::new(app.address, None).get("/admin/status").status, 401);
}

#[test]
fn a_client_behind_a_proxy_may_not_use_admin_without_a_token() {
    let app = TestApp::spawn();
    for header in [
        "x-forwarded-for: 203.0.113.9",
        "x-forwarded-proto: https",
        "forwarded: for=203.0.113.9",
        "via: 1.1 proxy",
        "x-real-ip: 203.0.113.9",
    ] {
        for route in ADMIN_ROUTES {
            let path = route.split(' ').next_back().unwrap();
            let expected = refused(403, "forbidden", &["through a proxy", "--admin-token"]);
            let reply = raw::request(app.address, route, &[header], b"");
            reply.assert_refused(expected, path, &format!("{header} at {route}"));
        }
        let predicted = format!(r#"{{"features": {CUSTOMER:?}}}"#);
        let headers = [header, "content-type: application/json"];
        raw::request(app.address, "POST /predict", &headers, predicted.as_bytes()).done();
    }
    assert_eq!(app.status()["revision"], 1, "nothing has happened");

    let with_token = with_token().spawn();
    let token = format!("authorization: Bearer {TOKEN}");
    let headers = [token.as_str(), "x-forwarded-for: 203.0.113.9"];
    raw::request(with_token.address, "GET /admin/status", &headers, b"").done();
}

#[test]
fn two_tokens_are_refused() {
    let app = with_token().spawn();
    let right = format!("authorization: Bearer {TOKEN}");
    let headers = [right.as_str(), "authorization: Bearer wrong"];
    let reply = raw::request(app.address, "GET /admin/status", &headers, b"");
    let expected = refused(401, "unauthorized", &["Authorization", "send it once"]);
    reply.assert_refused(expected, "/admin/status", "the right token and a wrong one");
}

/// The routes that decide what the judge sees, with a body that is accepted.
const REPORTS: [(&str, &str); 2] =
    [("/record", r#"{"version": "canary", "score": 0.5}"#), ("/reset", "{}")];

#[test]
fn reports_need_the_token_if_there_is_one() {
    let app = with_token().spawn();
    let stranger = Client::new(app.address, None);
    let label = r#"{"prediction_id": "x", "outcome": 1}"#;
    for (path, body) in REPORTS.into_iter().chain([("/feedback", label)]) {
        let expected = refused(401, "unauthorized", &["Authorization: Bearer"]);
        stranger.post_text(path, body).assert_refused(expected, path, "a report without the token");
        assert_ne!(app.post_text(path, body).status, 401, "{path} with the token");
    }
    stranger.get("/status").done();
    let open = with_token().given(|given| given.open_reports = true).spawn();
    let stranger = Client::new(open.address, None);
    for (path, body) in REPORTS {
        stranger.post_text(path, body).done();
    }
    assert_eq!(stranger.get("/admin/status").status, 401);
}

#[test]
fn a_page_whose_name_resolves_to_this_machine_may_not_report() {
    let app = TestApp::spawn();
    let json = "content-type: application/json";
    for (path, body) in REPORTS {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: evil.example\r\norigin: http://evil.example\r\n{json}\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let reply = raw::exchange(app.address, head.as_bytes());
        reply.assert_refused(refused(403, "forbidden", &["Host", "127.0.0.1"]), path, "a page");
        let own = format!("origin: http://{}", app.address);
        raw::request(app.address, &format!("POST {path}"), &[&own, json], body.as_bytes()).done();
    }
}

#[test]
fn a_refused_request_with_a_large_body_is_answered_before_the_body_is_there() {
    let app = with_token().given(|given| given.body_deadline = Duration::from_secs(60)).spawn();
    let routes = [
        ("POST /admin/deploy-canary", 401),
        ("POST /record", 401),
        ("POST /nope", 404),
        ("PUT /predict", 405),
        ("GET /livez", 200),
    ];
    for (route, status) in routes {
        let head = format!("{route} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n{{");
        let mut stream = raw::connect(app.address);
        raw::send(&mut stream, head.as_bytes());
        let begin = Instant::now();
        let reply = raw::receive(&mut stream).unwrap();
        assert_eq!((reply.status, reply.header("connection")), (status, "close"), "{route}");
        assert!(begin.elapsed() < Duration::from_secs(10), "{route}");
        assert!(raw::receive(&mut stream).is_none(), "{route}: the connection is closed");
    }
    // A small one is read, and the connection stays open.
    let mut stream = raw::connect(app.address);
    for _ in 0..2 {
        let refused = raw::written(app.address, "POST /record", &[], b"{}");
        raw::send(&mut stream, &refused);
        assert_eq!(raw::receive(&mut stream).unwrap().status, 401);
    }
}
