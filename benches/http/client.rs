//! The load: requests per second that a server answers, and its CPU time for each.

use std::io;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use super::Fallible;
use super::now;
use super::servers::Server;

/// More would take the processors away from the servers.
pub const CLIENT_THREADS: usize = 2;

/// A server or an answer that takes longer has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What is posted.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    pub path: &'a str,
    pub body: &'a str,
}

impl<'a> Request<'a> {
    /// A request to `/predict`.
    pub const fn predict(body: &'a str) -> Request<'a> {
        Request { path: "/predict", body }
    }
}

/// One row.
pub const ROW: Request<'static> = Request::predict(r#"{"features":[0.5,1.2,0.8,0.3,1.1]}"#);

pub struct Load {
    pub requests_per_second: f64,
    pub cpu_microseconds: f64,
}

/// Loads one server for a duration, over new connections.
pub fn load(
    server: &Server,
    request: Request<'_>,
    connections: usize,
    duration: Duration,
) -> Fallible<Load> {
    let request = request_text("POST", request.path, request.body);
    let request = request.as_str();
    let mut clients = Vec::new();
    for _ in 0..CLIENT_THREADS {
        let mut streams = Vec::new();
        for _ in 0..connections / CLIENT_THREADS {
            streams.push(Connection::open(server.address)?);
        }
        clients.push(streams);
    }
    let cpu_before = server.cpu_seconds()?;
    let start = now();
    let counts: Vec<Fallible<u64>> = thread::scope(|scope| {
        let threads: Vec<_> = clients
            .into_iter()
            .map(|streams| scope.spawn(move || run_client(streams, request, start + duration)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("a client thread panicked".into())))
            .collect()
    });
    let seconds = start.elapsed().as_secs_f64();
    let cpu = server.cpu_seconds()? - cpu_before;
    let requests = counts.into_iter().sum::<Fallible<u64>>()? as f64;
    Ok(Load { requests_per_second: requests / seconds, cpu_microseconds: cpu / requests * 1e6 })
}

/// The median latency of requests sent one after the other, in microseconds.
pub fn latency_microseconds(server: &Server, duration: Duration) -> Fallible<f64> {
    let mut connection = Connection::open(server.address)?;
    let request = request_text("POST", ROW.path, ROW.body);
    let (mut taken, end) = (Vec::new(), now() + duration);
    while now() < end {
        let start = now();
        connection.stream.write_all(request.as_bytes())?;
        connection.read_prediction()?;
        taken.push(start.elapsed().as_secs_f64() * 1e6);
    }
    taken.sort_by(f64::total_cmp);
    taken.get(taken.len() / 2).copied().ok_or_else(|| "no request was answered".into())
}

fn run_client(mut connections: Vec<Connection>, request: &str, end: Instant) -> Fallible<u64> {
    let mut answered = 0;
    while now() < end {
        for connection in &mut connections {
            connection.stream.write_all(request.as_bytes())?;
        }
        for connection in &mut connections {
            connection.read_prediction()?;
            answered += 1;
        }
    }
    Ok(answered)
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    fn open(address: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Connection { stream, buffer: vec![0; 256 * 1024] })
    }

    /// Reads exactly one answer and checks that it is a prediction.
    fn read_prediction(&mut self) -> Fallible<()> {
        let (status, body) = self.read_answer()?;
        let is_prediction = body.windows(13).any(|part| part == b"\"probability\"");
        if status != 200 || !is_prediction {
            let body = String::from_utf8_lossy(body);
            return Err(format!("expected a prediction, got status {status}: {body}").into());
        }
        Ok(())
    }

    fn read_answer(&mut self) -> Fallible<(u16, &[u8])> {
        let mut filled = 0;
        loop {
            let count = self.stream.read(&mut self.buffer[filled..])?;
            if count == 0 {
                return Err("the server closed the connection during an answer".into());
            }
            filled += count;
            let Some(head) = head_length(&self.buffer[..filled]) else { continue };
            let (status, length) = read_head(&self.buffer[..head])?;
            if head + length > self.buffer.len() || filled > head + length {
                return Err("an answer is longer than its content length or the limit".into());
            }
            if filled == head + length {
                return Ok((status, &self.buffer[head..filled]));
            }
        }
    }
}

fn head_length(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|part| part == b"\r\n\r\n").map(|position| position + 4)
}

/// The status and the content length.
fn read_head(head: &[u8]) -> Fallible<(u16, usize)> {
    let mut lines = str::from_utf8(head)?.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).ok_or("no status")?;
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .ok_or("no content length")?;
    Ok((status.parse()?, length.1.trim().parse()?))
}

fn request_text(method: &str, path: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
}

pub fn ask(address: SocketAddr, method: &str, path: &str, body: &str) -> Fallible<(u16, String)> {
    let mut connection = Connection::open(address)?;
    connection.stream.write_all(request_text(method, path, body).as_bytes())?;
    let (status, body) = connection.read_answer()?;
    Ok((status, String::from_utf8_lossy(body).into_owned()))
}
