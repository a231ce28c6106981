//! A receiver of notifications: a small HTTP server that keeps requests and gives prepared answers.

use std::collections::VecDeque;
use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Read as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Condvar;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;

/// Listens until the test is over.
pub struct Receiver {
    /// Its address.
    pub address: SocketAddr,
    kept: Arc<Kept>,
}

#[derive(Default)]
struct Kept {
    got: Mutex<Vec<Received>>,
    changed: Condvar,
    /// The next answers. Once the list is empty, every request succeeds.
    answers: Mutex<VecDeque<String>>,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Received {
    /// The request line and the headers, in lower case.
    pub head: Vec<String>,
    /// The body.
    pub body: String,
}

impl Received {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let find = |line: &'_ String| line.starts_with(&format!("{name}: "));
        self.head.iter().find(|line| find(line)).map(|line| &line[name.len() + 2..])
    }
}

impl Receiver {
    /// Begins to listen, with these answers at first: a status and headers, such as `500 Oops`.
    pub fn answering(answers: &[&str]) -> Receiver {
        Receiver::on(TcpListener::bind("127.0.0.1:0").unwrap(), answers)
    }

    /// Begins to listen at this address.
    ///
    /// # Errors
    /// When another process listens there.
    pub fn at(address: SocketAddr) -> std::io::Result<Receiver> {
        TcpListener::bind(address).map(|listener| Receiver::on(listener, &[]))
    }

    fn on(listener: TcpListener, answers: &[&str]) -> Receiver {
        let address = listener.local_addr().unwrap();
        let kept = Arc::new(Kept::default());
        kept.answers.lock().unwrap().extend(answers.iter().map(|&answer| answer.to_owned()));
        let shared = kept.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = shared.clone();
                std::thread::spawn(move || shared.receive(&stream.unwrap()));
            }
        });
        Receiver { address, kept }
    }

    /// Its URL, with a path that must stay secret.
    pub fn url(&self) -> String {
        format!("http://{}/hidden", self.address)
    }

    /// The received requests, once there are this many or after 20 seconds.
    pub fn got(&self, count: usize) -> Vec<Received> {
        let got = self.kept.got.lock().unwrap();
        let wait = Duration::from_secs(20);
        let too_few = |got: &mut Vec<Received>| got.len() < count;
        self.kept.changed.wait_timeout_while(got, wait, too_few).unwrap().0.clone()
    }

    /// The names of the received CloudEvents.
    pub fn events(&self, count: usize) -> Vec<String> {
        let name = |one: &Received| one.json()["data"]["event"].as_str().unwrap().to_owned();
        self.got(count).iter().map(name).collect()
    }
}

impl Kept {
    fn receive(&self, mut stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            match line.trim() {
                "" => break,
                line => head.push(line.to_lowercase()),
            }
        }
        let length = head.iter().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        reader.read_exact(&mut body).unwrap();
        let answer = self.answers.lock().unwrap().pop_front();
        let answer = answer.unwrap_or_else(|| "204 No Content".to_owned());
        let answer = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        let _ = stream.write_all(answer.as_bytes());
        let received = Received { head, body: String::from_utf8(body).unwrap() };
        self.got.lock().unwrap().push(received);
        self.changed.notify_all();
    }
}
