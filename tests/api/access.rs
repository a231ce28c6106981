//! Access to /admin: open on this machine, with the token elsewhere, and never from a web page.

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

#[test]
fn with_a_token_every_admin_route_requires_it() {
    let app = Setup::new()
        .given(|given| given.admin_token = Some(TOKEN.to_owned().try_into().unwrap()))
        .spawn();
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
    let app = Setup::new()
        .given(|given| given.admin_token = Some(TOKEN.to_owned().try_into().unwrap()))
        .spawn();
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
    let app = Setup::new()
        .given(|given| {
            given.listen = "0.0.0.0:0".to_owned();
            given.admin_token = Some(TOKEN.to_owned().try_into().unwrap());
        })
        .spawn();
    app.deploy_canary().done();
    assert_eq!(Client::new(app.address, None).get("/admin/status").status, 401);
}
