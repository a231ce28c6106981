//! Errors found before the body is read: method, content type, size, time.

use std::io::Read;
use std::time::Duration;
use std::time::Instant;

use serde_json::json;

use crate::access::ADMIN_ROUTES;
use crate::client::CUSTOMER;
use crate::harness::Setup;
use crate::harness::TestApp;
use crate::problem::refused;
use crate::raw;

const METHODS: [&str; 7] = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"];

#[test]
fn another_method_is_refused_with_the_one_to_use() {
    let app = TestApp::spawn();
    let before = app.standing();
    for route in ADMIN_ROUTES.into_iter().chain(["POST /predict", "GET /livez", "GET /readyz"]) {
        let (right, path) = route.split_once(' ').unwrap();
        for method in METHODS.into_iter().filter(|method| *method != right) {
            let reply = raw::request(app.address, &format!("{method} {path}"), &[], b"");
            let named = &[method, right];
            let expected = refused(405, "method_not_allowed", named);
            reply.assert_refused(expected, path, &format!("{method} {path}"));
            let is_probe = ["/livez", "/readyz"].contains(&path);
            let allowed = if is_probe { "GET, HEAD" } else { right };
            assert_eq!(reply.header("allow"), allowed, "{method} {path}");
        }
    }
    assert_eq!(app.standing(), before);
}

#[test]
fn an_unknown_path_is_a_problem_too() {
    let app = TestApp::spawn();
    for path in ["/predict/", "/admin", "/admin/", "/admin/deploy", "/metrics/x", "/%2e%2e/x"] {
        let expected = refused(404, "no_such_route", &["/predict", "/admin/status"]);
        let reply = raw::request(app.address, &format!("GET {path}"), &[], b"");
        reply.assert_refused(expected, path, path);
    }
}

#[test]
fn a_body_with_another_content_type_is_refused() {
    let app = TestApp::spawn();
    let before = app.standing();
    let deploy = br#"{"model_path": "model_v2.bin"}"#.as_slice();
    let row = json!({ "features": CUSTOMER }).to_string();
    for (path, body) in [("/admin/deploy-canary", deploy), ("/predict", row.as_bytes())] {
        for kind in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/jsonx",
            "application/octet-stream",
            "json",
        ] {
            let reply = app.post_with(path, body, &[("content-type", kind)]);
            let named = &[kind, "application/json"];
            let expected = refused(415, "unsupported_media_type", named);
            reply.assert_refused(expected, path, kind);
        }
        for kind in ["application/json; charset=utf-8", "APPLICATION/JSON", "application/x+json"] {
            let reply = app.post_with(path, b"{}", &[("content-type", kind)]);
            assert_eq!(reply.status, 422, "{kind} is JSON, only an empty object");
        }
    }
    let expected = refused(415, "unsupported_media_type", &["Content-Type", "application/json"]);
    let path = "/admin/deploy-canary";
    app.post_with(path, deploy, &[]).assert_refused(expected, path, "a command without a type");
    let from_a_page = [("origin", "http://evil.example")];
    let reply = app.post_with("/predict", row.as_bytes(), &from_a_page);
    reply.assert_refused(expected, "/predict", "a prediction of a page without a type");
    app.post_with("/predict", row.as_bytes(), &[]).done();
    assert_ne!(app.standing(), before, "the last one was a prediction");
}

#[test]
fn a_compressed_body_is_refused_before_it_is_unpacked() {
    let app = TestApp::spawn();
    let before = app.standing();
    // 20 bytes of gzip, which the server must not decompress.
    let gzip = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for encoding in ["gzip", "br", "deflate", "zstd", "gzip, gzip", "x-made-up"] {
        for path in ["/predict", "/admin/deploy-canary"] {
            let headers = [("content-type", "application/json"), ("content-encoding", encoding)];
            let reply = app.post_with(path, &gzip, &headers);
            let named = &[encoding, "plain JSON"];
            let expected = refused(415, "unsupported_media_type", named);
            reply.assert_refused(expected, path, encoding);
        }
    }
    let twice = ["content-encoding: identity", "content-encoding: gzip"];
    let reply = raw::request(app.address, "POST /predict", &twice, &gzip);
    let expected = refused(415, "unsupported_media_type", &["gzip"]);
    reply.assert_refused(expected, "/predict", "the second of two encodings");
    assert_eq!(app.standing(), before);
}

#[test]
fn a_body_that_is_too_large_is_refused_declared_or_not() {
    let app = TestApp::spawn();
    let before = app.standing();
    let too_large = vec![b' '; 9 << 20];
    let mut chunked = format!("{:x}\r\n", too_large.len()).into_bytes();
    chunked.extend_from_slice(&too_large);
    chunked.extend_from_slice(b"\r\n0\r\n\r\n");
    let json = "content-type: application/json";
    let expected = refused(413, "body_too_large", &["5242880 bytes", "fewer rows", "--body-limit"]);
    for path in ["/predict", "/admin/deploy-canary", "/admin/pause-canary"] {
        let head = format!("POST {path}");
        let reply = raw::request(app.address, &head, &[json], &too_large);
        reply.assert_refused(expected, path, "declared");
        let headers = [json, "transfer-encoding: chunked"];
        let reply = raw::request(app.address, &head, &headers, &chunked);
        reply.assert_refused(expected, path, "chunked");
    }
    // A declared length is refused without waiting for the body.
    let head =
        format!("POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", u64::MAX / 2);
    let begin = Instant::now();
    raw::exchange(app.address, head.as_bytes()).assert_refused(expected, "/predict", "promised");
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert_eq!(app.standing(), before);
    app.predict().done();
}

/// A client that reads `connection: close` sends its next request again, so it must not be carried out.
#[test]
fn what_an_answer_says_of_the_connection_is_true() {
    let app = TestApp::spawn();
    let json = ["content-type: application/json"];
    let record = br#"{"version": "canary", "score": 0.5}"#;
    let second = raw::written(app.address, "POST /record", &json, record);
    let cases = [
        ("POST /nope", 404),
        ("GET /livez", 200),
        ("PUT /predict", 405),
        ("GET /admin/status", 200),
        ("POST /predict", 422),
    ];
    for (head, status) in cases {
        let first = raw::written(app.address, head, &json, b"{}");
        let mut stream = raw::connect(app.address);
        raw::send(&mut stream, &[first, second.clone()].concat());
        let mut both = String::new();
        while both.matches("HTTP/1.1 ").count() < 2 || !both.contains("recorded") {
            let mut chunk = [0; 4096];
            let length = stream.read(&mut chunk).unwrap();
            assert_ne!(length, 0, "{head}: closed after {both:?}");
            both += std::str::from_utf8(&chunk[..length]).unwrap();
        }
        assert!(both.starts_with(&format!("HTTP/1.1 {status} ")), "{head}: {both}");
        assert!(!both.to_ascii_lowercase().contains("connection: close"), "{head}: {both}");
    }
}

#[test]
fn the_body_limit_is_a_setting() {
    let app = Setup::new().given(|given| given.body_limit = 100).spawn();
    let body = |length: usize| format!("{:length$}", json!({ "features": CUSTOMER }).to_string());
    app.post_text("/predict", body(100)).done();
    let expected = refused(413, "body_too_large", &["100 bytes"]);
    app.post_text("/predict", body(101)).assert_refused(expected, "/predict", "one byte more");
}

#[test]
fn a_body_that_stalls_is_refused_in_time() {
    let app = Setup::new().given(|given| given.body_deadline = Duration::from_millis(300)).spawn();
    let before = app.standing();
    let whole = raw::written(app.address, "POST /predict", &[], br#"{"features": [1,1,1,1,1]}"#);
    let begin = Instant::now();
    let expected = refused(408, "body_too_slow", &["0.3 s", "again"]);
    for missing in [1, 10] {
        let mut stream = raw::connect(app.address);
        raw::send(&mut stream, &whole[..whole.len() - missing]);
        let reply = raw::receive(&mut stream).unwrap();
        reply.assert_refused(expected, "/predict", "a body that stalls");
    }
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert_eq!(app.standing(), before);
}

#[test]
fn many_stalled_bodies_delay_no_other_request() {
    let app = Setup::new()
        .given(|given| {
            given.body_deadline = Duration::from_secs(5);
            given.workers = 2;
        })
        .spawn();
    let whole = raw::written(app.address, "POST /predict", &[], br#"{"features": [1,1,1,1,1]}"#);
    let stalled: Vec<_> = (0..100)
        .map(|_| {
            let mut stream = raw::connect(app.address);
            raw::send(&mut stream, &whole[..whole.len() - 5]);
            stream
        })
        .collect();
    let begin = Instant::now();
    app.predict_times(50);
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
    drop(stalled);
}

#[test]
fn a_later_head_that_stalls_ends_its_connection() {
    let app = TestApp::spawn();
    let whole = raw::written(app.address, "GET /livez", &[], b"");
    let mut stalled: Vec<_> = (0..20).map(|_| raw::connect(app.address)).collect();
    for stream in &mut stalled {
        raw::send(stream, &whole);
        assert_eq!(raw::receive(stream).unwrap().status, 200);
        raw::send(stream, &whole[..10]);
    }
    for stream in &mut stalled {
        assert!(raw::receive(stream).is_none_or(|reply| reply.status == 408));
    }
}

#[test]
fn a_body_that_arrives_slowly_behind_another_request_is_no_late_head() {
    let app = Setup::new().given(|given| given.body_deadline = Duration::from_secs(60)).spawn();
    let body = format!("{:64}", json!({ "features": CUSTOMER }).to_string());
    let first = raw::written(app.address, "GET /livez", &[], b"");
    let json = ["content-type: application/json"];
    let second = raw::written(app.address, "POST /predict", &json, body.as_bytes());
    let mut stream = raw::connect(app.address);
    let head = second.len() - body.len();
    raw::send(&mut stream, &[&first, &second[..head]].concat());
    raw::receive(&mut stream).unwrap().done();
    // Longer than any head may take.
    for byte in body.as_bytes() {
        std::thread::sleep(Duration::from_millis(120));
        raw::send(&mut stream, &[*byte]);
    }
    raw::receive(&mut stream).unwrap().done();
}

#[test]
fn a_head_that_stalls_ends_its_connection() {
    let app = TestApp::spawn();
    let parts = ["", "POST", "POST /predict HTTP/1.1\r\nhost: x\r\ncontent-len"];
    let begin = Instant::now();
    let mut stalled = parts.map(|part| {
        let mut stream = raw::connect(app.address);
        raw::send(&mut stream, part.as_bytes());
        stream
    });
    app.predict().done();
    for (stream, part) in stalled.iter_mut().zip(parts) {
        // The answer is the HTTP library's own 408, or none.
        let reply = raw::receive(stream);
        assert!(reply.is_none_or(|reply| reply.status == 408), "{part:?}");
    }
    assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
    app.predict().done();
}

#[test]
fn bytes_that_are_not_http_are_refused_and_forgotten() {
    let app = TestApp::spawn();
    let before = app.standing();
    for bytes in [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(),
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nnonsense\r\n",
        b"GET /admin/status HTTP/1.1\r\nhost\x00: x\r\n\r\n",
    ] {
        let mut stream = raw::connect(app.address);
        raw::send(&mut stream, bytes);
        raw::end(&stream);
        let reply = raw::receive(&mut stream);
        let text = String::from_utf8_lossy(bytes);
        assert!(reply.is_none_or(|reply| (400..500).contains(&reply.status)), "{text:?}");
    }
    let head = [b"GET / HTTP/1.1\r\nx: ".as_slice(), &vec![b'x'; 1 << 20]].concat();
    let mut stream = raw::connect(app.address);
    raw::send(&mut stream, &head);
    let reply = raw::receive(&mut stream);
    assert!(reply.is_none_or(|reply| (400..500).contains(&reply.status)), "a head of a megabyte");
    assert_eq!(app.standing(), before);
    app.predict().done();
}

#[test]
fn a_body_that_breaks_off_is_forgotten() {
    let app = TestApp::spawn();
    let before = app.standing();
    let whole = raw::written(app.address, "POST /predict", &[], br#"{"features": [1,1,1,1,1]}"#);
    for length in 1..whole.len() {
        let mut stream = raw::connect(app.address);
        raw::send(&mut stream, &whole[..length]);
    }
    assert_eq!(app.standing(), before);
    app.predict().done();
}
