//! Bytes on a socket: requests that no client library would send.

use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::time::Duration;

use ureq::http::HeaderMap;
use ureq::http::HeaderName;
use ureq::http::HeaderValue;

use crate::client::Reply;

/// Time limit for any answer; the server drops a stalled head after 5 seconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sends these bytes as they are and reads one answer.
pub fn exchange(address: SocketAddr, request: &[u8]) -> Reply {
    let mut stream = connect(address);
    send(&mut stream, request);
    receive(&mut stream).unwrap()
}

/// Sends a request of this method, path and body, with further headers as lines.
pub fn request(address: SocketAddr, head: &str, headers: &[&str], body: &[u8]) -> Reply {
    exchange(address, &written(address, head, headers, body))
}

/// The bytes of a request; `head` is a method and a path.
pub fn written(address: SocketAddr, head: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let length = format!("content-length: {}", body.len());
    let host = format!("host: {address}");
    let own: &[&str] = if headers.iter().any(|line| line.starts_with("transfer-encoding")) {
        &[&host]
    } else {
        &[&host, &length]
    };
    let mut text = format!("{head} HTTP/1.1\r\n");
    for line in own.iter().chain(headers) {
        text += line;
        text += "\r\n";
    }
    text += "\r\n";
    [text.as_bytes(), body].concat()
}

/// A connection with a long timeout.
pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends these bytes. A server that has already answered may have stopped reading, which is fine because only its
/// answer counts.
pub fn send(stream: &mut TcpStream, bytes: &[u8]) {
    if let Err(cause) = stream.write_all(bytes) {
        let gone = matches!(cause.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset);
        assert!(gone, "{cause}");
    }
}

/// The head and the body of one answer that is not only JSON.
pub fn receive_bytes(stream: &mut TcpStream) -> (HeaderMap, Vec<u8>) {
    let mut received = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        if let Some((_, headers, body)) = split(&received) {
            return (headers, body.to_vec());
        }
        match stream.read(&mut chunk).unwrap() {
            0 => panic!("no whole answer"),
            n => received.extend_from_slice(&chunk[..n]),
        }
    }
}

/// The text of a header.
pub fn header<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

/// One answer, or `None` when the connection ends without one.
pub fn receive(stream: &mut TcpStream) -> Option<Reply> {
    let mut received = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        if let Some(reply) = parsed(&received) {
            return Some(reply);
        }
        match stream.read(&mut chunk) {
            Ok(0) => return None,
            Ok(n) => received.extend_from_slice(&chunk[..n]),
            // A signal to the test's own process interrupts the read.
            Err(cause) if cause.kind() == ErrorKind::Interrupted => {}
            Err(cause) if cause.kind() == ErrorKind::ConnectionReset => return None,
            Err(cause) => panic_about(&cause, &received),
        }
    }
}

/// Closes the sending side.
pub fn end(stream: &TcpStream) {
    // The server may have closed the connection already.
    let _ = stream.shutdown(Shutdown::Write);
}

/// The answer, once it is complete. Answers to HEAD declare a body that never comes, so only their status is read.
fn parsed(received: &[u8]) -> Option<Reply> {
    split(received).map(|(status, headers, body)| Reply::of(status, headers, body))
}

fn split(received: &[u8]) -> Option<(u16, HeaderMap, &[u8])> {
    let end = received.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&received[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let mut headers = HeaderMap::new();
    for (name, value) in lines.map(|line| line.split_once(": ").unwrap()) {
        let name: HeaderName = name.parse().unwrap();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
    }
    let length: usize = header(&headers, "content-length").parse().unwrap_or(0);
    let body = &received[end + 4..];
    body.get(..length).map(|body| (status, headers, body))
}

fn panic_about(cause: &std::io::Error, received: &[u8]) -> ! {
    let text = String::from_utf8_lossy(received);
    panic!("no whole answer ({cause}); so far {text:?}")
}
