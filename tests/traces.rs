//! Spans reach a collector: the built binary exports them to a receiver, which reads the protobuf.
//!
//! The receiver follows the protocol's definition (opentelemetry-proto: `trace_service.proto`, `trace.proto`,
//! `common.proto`) and shares no code with the exporter.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::panic, reason = "so it may")]

#[expect(dead_code, reason = "other tests use the rest of it")]
#[path = "crash/binary.rs"]
mod binary;

use std::collections::BTreeMap;
use std::fs;
use std::fs::File;
use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Read as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;

use binary::Process;
use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
const CUSTOMER: [f64; 5] = [0.5, 1.2, 0.8, 0.3, 1.1];

/// A message of protobuf: the fields by their numbers.
#[derive(Clone, Debug, Default)]
struct Message(BTreeMap<u64, Vec<Field>>);

#[derive(Clone, Debug)]
enum Field {
    Number(u64),
    Bytes(Vec<u8>),
}

impl Message {
    fn read(mut bytes: &[u8]) -> Message {
        let mut message = Message::default();
        while !bytes.is_empty() {
            let tag = varint(&mut bytes);
            let field = match tag & 7 {
                0 => Field::Number(varint(&mut bytes)),
                1 => Field::Number(u64::from_le_bytes(taken(&mut bytes, 8).try_into().unwrap())),
                2 => {
                    let length = usize::try_from(varint(&mut bytes)).unwrap();
                    Field::Bytes(taken(&mut bytes, length).to_vec())
                }
                5 => {
                    let number = u32::from_le_bytes(taken(&mut bytes, 4).try_into().unwrap());
                    Field::Number(number.into())
                }
                other => panic!("wire type {other}"),
            };
            message.0.entry(tag >> 3).or_default().push(field);
        }
        message
    }

    fn all(&self, number: u64) -> Vec<&[u8]> {
        let fields = self.0.get(&number).into_iter().flatten();
        fields
            .map(|field| match field {
                Field::Bytes(bytes) => bytes.as_slice(),
                Field::Number(number) => panic!("{number} is not bytes"),
            })
            .collect()
    }

    fn messages(&self, number: u64) -> Vec<Message> {
        self.all(number).into_iter().map(Message::read).collect()
    }

    fn bytes(&self, number: u64) -> &[u8] {
        self.all(number).last().copied().unwrap_or_default()
    }

    fn text(&self, number: u64) -> String {
        String::from_utf8(self.bytes(number).to_vec()).unwrap()
    }

    fn hex(&self, number: u64) -> String {
        self.bytes(number).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn number(&self, number: u64) -> u64 {
        match self.0.get(&number).and_then(|fields| fields.last()) {
            None => 0,
            Some(Field::Number(number)) => *number,
            Some(Field::Bytes(_)) => panic!("field {number} is not a number"),
        }
    }

    /// Repeated `KeyValue`s.
    fn attributes(&self, number: u64) -> BTreeMap<String, Value> {
        let pairs = self.messages(number);
        pairs.iter().map(|pair| (pair.text(1), value(&Message::read(pair.bytes(2))))).collect()
    }
}

/// An `AnyValue`.
fn value(any: &Message) -> Value {
    match any.0.keys().next() {
        Some(1) => json!(any.text(1)),
        Some(2) => json!(any.number(2) == 1),
        Some(3) => json!(any.number(3)),
        Some(5) => {
            let values = Message::read(any.bytes(5)).messages(1);
            values.iter().map(value).collect()
        }
        other => panic!("a value of kind {other:?}"),
    }
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut number = 0;
    for shift in (0..).step_by(7) {
        let byte = taken(bytes, 1)[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    number
}

fn taken<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (first, rest) = bytes.split_at(count);
    *bytes = rest;
    first
}

/// A collector: keeps the bodies of `POST /v1/traces`.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Export>>>);

/// The lines of a request's head, and its body.
type Export = (Vec<String>, Vec<u8>);

impl Collector {
    fn listening() -> (Collector, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let collector = Collector::default();
        let kept = collector.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut head = Vec::new();
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    match line.trim() {
                        "" => break,
                        line => head.push(line.to_lowercase()),
                    }
                }
                let length = head.iter().find_map(|line| line.strip_prefix("content-length: "));
                let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
                reader.read_exact(&mut body).unwrap();
                kept.0.lock().unwrap().push((head, body));
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                    .unwrap();
            }
        });
        (collector, address)
    }

    /// The spans, each with the attributes of its resource.
    fn spans(&self) -> Vec<(Message, BTreeMap<String, Value>)> {
        let kept = self.0.lock().unwrap();
        let mut spans = Vec::new();
        for (head, body) in &*kept {
            assert!(head[0].starts_with("post /v1/traces "), "{head:?}");
            assert!(head.contains(&"content-type: application/x-protobuf".to_owned()), "{head:?}");
            for of_resource in Message::read(body).messages(1) {
                let resource = Message::read(of_resource.bytes(1)).attributes(1);
                for scope in of_resource.messages(2) {
                    spans.extend(scope.messages(2).into_iter().map(|it| (it, resource.clone())));
                }
            }
        }
        spans
    }
}

/// Runs serin with these variables, and returns its log.
fn serving(variables: &[(&str, &str)], act: impl FnOnce(SocketAddr)) -> (Option<i32>, String) {
    let folder = TempDir::new().unwrap();
    let log = File::create(folder.path().join("log")).unwrap();
    let arguments = ["--store", "memory:", "--drain-delay", "0s", "--log", "warn"];
    let mut process = Process::start_in(folder.path(), Stdio::from(log), &arguments, variables);
    act(process.address(folder.path()));
    let code = process.terminate().code();
    (code, fs::read_to_string(folder.path().join("log")).unwrap())
}

fn post(address: SocketAddr, path: &str, body: &Value, headers: &[(&str, &str)]) -> u16 {
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    let mut request = config.build().new_agent().post(format!("http://{address}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send_json(body).unwrap().status().as_u16()
}

#[test]
fn spans_of_requests_reach_the_collector() {
    let (collector, at) = Collector::listening();
    let endpoint = format!("http://{at}");
    let variables =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("OTEL_RESOURCE_ATTRIBUTES", "team=risk")];
    let predicted = json!({ "features": CUSTOMER, "key": "customer-17" });
    let (code, log) = serving(&variables, |address| {
        let parent = format!("00-{TRACE}-{PARENT}-01");
        let canary = json!({ "model_path": "model_v2.bin", "traffic_percent": 100 });
        assert_eq!(post(address, "/admin/deploy-canary", &canary, &[]), 200);
        let headers = [
            ("traceparent", &*parent),
            ("tracestate", "congo=t61rcWkgMzE"),
            ("x-request-id", "r1"),
        ];
        assert_eq!(post(address, "/predict", &predicted, &headers), 200);
        // Not sampled by the client, so not exported.
        let unsampled = format!("00-{TRACE}-{PARENT}-00");
        assert_eq!(post(address, "/predict", &predicted, &[("traceparent", &unsampled)]), 200);
        assert_eq!(post(address, "/v2/models/model/versions/nope/infer", &json!({}), &[]), 422);
    });
    assert_eq!(
        (code, &*log.lines().filter(|line| !line.contains("different data")).collect::<String>()),
        (Some(0), "")
    );
    let spans = collector.spans();
    let of_client: Vec<_> = spans.iter().filter(|(span, _)| span.hex(1) == TRACE).collect();
    assert_eq!((spans.len(), of_client.len()), (3, 1), "{spans:?}");
    let (span, resource) = of_client[0];
    assert_eq!(resource["service.name"], "serin");
    assert_eq!(resource["team"], "risk");
    assert_eq!(span.hex(4), PARENT);
    assert_eq!((span.bytes(2).len(), span.hex(2) != PARENT), (8, true), "a span of its own");
    assert_eq!(span.text(3), "congo=t61rcWkgMzE");
    assert_eq!(span.text(5), "POST /predict");
    assert_eq!(span.number(6), 2, "SPAN_KIND_SERVER");
    assert!(span.number(7) > 0 && span.number(8) >= span.number(7), "start and end");
    let mut attributes = span.attributes(9);
    let context = attributes.remove("feature_flag.context.id").unwrap();
    assert!(context.as_str().unwrap().len() == 16 && context != "customer-17", "{context}");
    let expected = json!({
        "http.request.method": "POST",
        "http.route": "/predict",
        "http.response.status_code": 200,
        "http.request.header.x-request-id": ["r1"],
        "url.path": "/predict",
        "url.scheme": "http",
        "feature_flag.key": "model",
        "feature_flag.provider.name": "serin",
        "feature_flag.result.variant": "canary",
        "feature_flag.result.reason": "split",
        "feature_flag.version": "1",
        "serin.fallback": false,
    });
    assert_eq!(json!(attributes), expected);
    // The others begin traces of their own.
    let (span, _) = spans.iter().find(|(span, _)| span.text(5).contains("infer")).unwrap();
    assert_eq!((span.hex(4).as_str(), span.bytes(1).len()), ("", 16));
    assert_eq!(span.text(5), "POST /v2/models/{model}/versions/{version}/infer");
    assert_eq!(span.attributes(9)["url.path"], "/v2/models/model/versions/nope/infer");
}

#[test]
fn a_collector_that_is_away_costs_a_warning() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoint = format!("http://{gone}");
    let variables =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("OTEL_BSP_SCHEDULE_DELAY", "50")];
    let (code, log) = serving(&variables, |address| {
        for _ in 0..20 {
            assert_eq!(post(address, "/predict", &json!({ "features": CUSTOMER }), &[]), 200);
        }
    });
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("the collector takes no spans: "), "{log}");
}

#[test]
fn a_protocol_that_is_not_spoken_ends_the_start() {
    let folder = TempDir::new().unwrap();
    for (name, value, named) in [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "use \"http/protobuf\""),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon", "milliseconds"),
    ] {
        let mut command = binary::serin(folder.path());
        command.args(["serve", "--listen", "127.0.0.1:0", "--store", "memory:"]);
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1").env(name, value);
        let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(name) && said.contains(named), "{said}");
    }
}
