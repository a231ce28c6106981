//! The contract of Prometheus' HTTP API, with a server that answers as it does.

use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Write as _;
use std::net::TcpListener;
use std::thread::JoinHandle;

use super::*;
use crate::service::reported::prometheus::server::GivenServer;

/// Answers one request with this status and body; what was asked.
fn answering(status: &str, body: &str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/prometheus", listener.local_addr().unwrap());
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let body = body.to_owned();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut asked = String::new();
        while reader.read_line(&mut asked).unwrap() > 2 {}
        stream.write_all(head.as_bytes()).unwrap();
        // The client hangs up on what is too large.
        let _ = stream.write_all(body.as_bytes());
        asked
    });
    (url, thread)
}

fn client(url: &str) -> Client {
    let given = GivenServer { url: url.to_owned(), token_env: Some("TOKEN".to_owned()) };
    Client::new(Server::new(&given, |_| Some("a-token".to_owned())).unwrap())
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn value(status: &str, body: &str) -> Result<f64, QueryError> {
    let (url, thread) = answering(status, body);
    let found = client(&url).value_at("up{track=\"canary\"} + 1", at(1_795_781_000));
    thread.join().unwrap();
    found
}

fn success(kind: &str, result: &str) -> String {
    format!(
        r#"{{"status":"success","data":{{"resultType":"{kind}","result":{result}}},"warnings":["x"]}}"#
    )
}

#[test]
fn a_question_names_the_query_the_moment_and_the_token() {
    let body = success("vector", r#"[{"metric":{"a":"b"},"value":[1795781000,"0.25"]}]"#);
    let (url, thread) = answering("200 OK", &body);
    let at = Timestamp::from_millisecond(1_795_781_000_250).unwrap();
    assert_eq!(client(&url).value_at("up{track=\"canary\"} + 1", at), Ok(0.25));
    let asked = thread.join().unwrap().to_lowercase();
    let (path, rest) = asked.split_once(" http/1.1").unwrap();
    assert!(path.starts_with("get /prometheus/api/v1/query?query=up%7b"), "{asked}");
    assert!(path.contains("%2b") && path.ends_with("&time=1795781000.250"), "{asked}");
    assert!(rest.contains("authorization: bearer a-token"), "{asked}");
}

#[test]
fn vectors_of_one_series_and_scalars_are_values() {
    let vector =
        |value: &str| success("vector", &format!(r#"[{{"metric":{{}},"value":[1.5,"{value}"]}}]"#));
    assert_eq!(value("200 OK", &vector("1e-05")), Ok(1e-5));
    assert_eq!(value("200 OK", &success("scalar", r#"[1.5,"-3"]"#)), Ok(-3.0));
    for text in ["NaN", "+Inf", "-Inf"] {
        assert_eq!(value("200 OK", &vector(text)), Err(QueryError::NotFinite(text.to_owned())));
    }
    assert!(matches!(value("200 OK", &vector("many")), Err(QueryError::NotPrometheus(_))));
}

#[test]
fn what_is_not_one_value_is_named() {
    let two = r#"[{"metric":{},"value":[1,"1"]},{"metric":{"a":"b"},"value":[1,"2"]}]"#;
    for (status, body, expected) in [
        ("200 OK", success("vector", "[]"), QueryError::NoSeries),
        ("200 OK", success("vector", two), QueryError::SeveralSeries(2)),
        (
            "200 OK",
            success("vector", r#"[{"metric":{},"histogram":[1,{"count":"3"}]}]"#),
            QueryError::Histogram,
        ),
        ("200 OK", success("matrix", "[]"), QueryError::Kind("matrix".to_owned())),
        ("200 OK", success("string", r#"[1,"a"]"#), QueryError::Kind("string".to_owned())),
        (
            "400 Bad Request",
            r#"{"status":"error","errorType":"bad_data","error":"1:5: parse\nerror"}"#.to_owned(),
            QueryError::Refused("bad_data: 1:5: parse error".to_owned()),
        ),
        (
            "503 Service Unavailable",
            r#"{"status":"error","errorType":"timeout","error":"too slow"}"#.to_owned(),
            QueryError::Refused("timeout: too slow".to_owned()),
        ),
        (
            "401 Unauthorized",
            "<html>".to_owned(),
            QueryError::Status("401 Unauthorized".to_owned()),
        ),
        ("302 Found\r\nlocation: /x", String::new(), QueryError::Status("302 Found".to_owned())),
        ("200 OK", " ".repeat(2 << 20), QueryError::TooLarge(1)),
    ] {
        assert_eq!(
            value(status, &body),
            Err(expected),
            "{status} {}",
            &body[..body.len().min(200)]
        );
    }
    for body in
        ["", "<html>", "{}", "[]", r#"{"status":"success"}"#, r#"{"status":"success","data":{}}"#]
    {
        assert!(matches!(value("200 OK", body), Err(QueryError::NotPrometheus(_))), "{body}");
    }
}

#[test]
fn a_server_that_is_gone_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = client(&url).value_at("up", at(0)).unwrap_err();
    assert!(
        error.is_of_server() && error.to_string().starts_with("no answer: no connection"),
        "{error}"
    );
}

#[test]
fn a_range_is_one_series_in_order_of_time() {
    let moments = Moments { from: at(60), to: at(180), step: Duration::from_secs(60) };
    let ask = |body: &str| {
        let (url, thread) = answering("200 OK", body);
        let found = client(&url).values_over("up", moments);
        (found, thread.join().unwrap())
    };
    let (found, asked) =
        ask(&success("matrix", r#"[{"metric":{},"values":[[60,"1"],[120,"NaN"],[180,"+Inf"]]}]"#));
    let found = found.unwrap();
    assert_eq!(found[0], (60.0, 1.0));
    assert!(found[1].1.is_nan() && found[2] == (180.0, f64::INFINITY), "{found:?}");
    assert!(
        asked.contains("/api/v1/query_range?query=up&start=60.000&end=180.000&step=60 "),
        "{asked}"
    );
    assert_eq!(ask(&success("matrix", "[]")).0, Err(QueryError::NoSeries));
    let two = r#"[{"metric":{},"values":[]},{"metric":{"a":"b"},"values":[]}]"#;
    assert_eq!(ask(&success("matrix", two)).0, Err(QueryError::SeveralSeries(2)));
    assert_eq!(ask(&success("vector", "[]")).0, Err(QueryError::Kind("vector".to_owned())));
    for moments in ["[180,\"1\"],[60,\"1\"]", "[60,\"1\"],[60,\"1\"]", "[0,\"1\"]", "[240,\"1\"]"] {
        let body = format!(r#"[{{"metric":{{}},"values":[{moments}]}}]"#);
        let found = ask(&success("matrix", &body)).0;
        assert!(matches!(found, Err(QueryError::NotPrometheus(_))), "{moments}: {found:?}");
    }
}

#[test]
fn a_server_that_repeats_the_token_brings_it_into_no_message() {
    let body = r#"{"status":"error","errorType":"bad_data","error":"asked with Bearer a-token"}"#;
    let error = value("400 Bad Request", body).unwrap_err().to_string();
    assert!(error.contains("Bearer ***") && !error.contains("a-token"), "{error}");
}
