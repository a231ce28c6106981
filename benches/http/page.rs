//! The cost of the page: its bytes, the CPU of pages that are open, and the throughput of a server with ten of them.

use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use super::Fallible;
use super::client::Load;
use super::client::PATIENCE;
use super::client::ROW;
use super::client::ask;
use super::client::load;
use super::now;
use super::program::tell;
use super::servers::A_TENTH;
use super::servers::Server;
use super::servers::start_serin;

/// The page with all that it loads may have this many bytes.
const MOST_BYTES: usize = 150_000;

/// A page may take this share of a core, with a server that is used.
const MOST_CPU: f64 = 0.01;

/// So much CPU time a prediction may take with ten pages open, as a multiple of what it takes without. A server whose
/// processors are busy answers fewer predictions by that factor. Requests per second say the same with more noise, because
/// the client that counts them, and reads the pages, has the same processors.
const MOST_RATIO: f64 = 1.01;

const PAGES: usize = 10;
const CONNECTIONS: usize = 16;
const ROUNDS: usize = 101;

/// The median of 101 values is above the 41st and below the 61st of them with a probability of 95 %.
const MEDIAN_BETWEEN: [usize; 2] = [40, 60];

/// Longer than several looks for changes, two a second.
const ROUND: Duration = Duration::from_millis(1500);

/// How long a page is open for its CPU time, which Linux counts in hundredths of a second.
const WATCHED: Duration = Duration::from_secs(20);

/// Whether the page keeps its limits.
pub fn page() -> Fallible<bool> {
    let folder = tempfile::tempdir()?;
    let ours = start_serin(folder.path(), "a", A_TENTH)?;
    // The metrics are shown once they are judged.
    load(&ours, ROW, CONNECTIONS, ROUND)?;
    let bytes = bytes(&ours)?;
    tell(&format!("page, style sheet and scripts: {bytes} bytes (limit {MOST_BYTES})"));
    let without = cpu_with(&ours, 0)?;
    let one = cpu_with(&ours, 1)? - without;
    let ten = cpu_with(&ours, PAGES)? - without;
    tell(&format!(
        "CPU of the server at 40 requests/s, beyond that without a page: one page {:.2} % of a core, {PAGES} pages \
         {:.2} % (limit {:.0} % for one)",
        100.0 * one,
        100.0 * ten,
        100.0 * MOST_CPU
    ));
    let (mut throughput, mut cpu) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        // The same server, because two differ by more than the pages cost. The order alternates, so that a drift within
        // the pair favors neither.
        let (with, without) = if round % 2 == 0 {
            let with = load_viewed(&ours)?;
            (with, load(&ours, ROW, CONNECTIONS, ROUND)?)
        } else {
            let without = load(&ours, ROW, CONNECTIONS, ROUND)?;
            (load_viewed(&ours)?, without)
        };
        throughput.push(with.requests_per_second / without.requests_per_second);
        cpu.push(with.cpu_microseconds / without.cpu_microseconds);
    }
    tell(&format!(
        "{ROUNDS} rounds of {} ms, with {PAGES} pages open : without",
        ROUND.as_millis()
    ));
    print_median("requests/s", throughput);
    let ratio = print_median("CPU of the server for a prediction", cpu);
    tell(&format!("  (limit {MOST_RATIO} for the CPU)"));
    Ok(bytes < MOST_BYTES && one < MOST_CPU && ratio <= MOST_RATIO)
}

/// Prints the median of ratios with its interval, and returns it.
fn print_median(what: &str, mut ratios: Vec<f64>) -> f64 {
    ratios.sort_by(f64::total_cmp);
    let [low, high] = MEDIAN_BETWEEN.map(|place| ratios[place]);
    let median = ratios[ROUNDS / 2];
    tell(&format!("  {what}: {median:.4} ({low:.4} to {high:.4})"));
    median
}

/// The page with all that it loads.
fn bytes(server: &Server) -> Fallible<usize> {
    let page = get(server, "/")?;
    let files: Vec<&str> = page.split('"').filter(|part| part.starts_with("assets/")).collect();
    if files.len() < 2 {
        return Err(format!("expected a page with a style sheet and scripts, got {page}").into());
    }
    let mut bytes = page.len();
    for file in files {
        bytes += get(server, &format!("/{file}"))?.len();
    }
    Ok(bytes)
}

/// What a browser gets.
fn get(server: &Server, path: &str) -> Fallible<String> {
    let mut stream = open(server, path, "text/html", "close")?;
    let mut all = String::new();
    stream.read_to_string(&mut all)?;
    let (head, body) = all.split_once("\r\n\r\n").ok_or("no head")?;
    match head.starts_with("HTTP/1.1 200") {
        true => Ok(body.to_owned()),
        false => Err(format!("GET {path}: {head}").into()),
    }
}

fn open(server: &Server, path: &str, accept: &str, connection: &str) -> Fallible<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&server.address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\nConnection: {connection}\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    Ok(stream)
}

/// Does something while this many pages are open, and checks that they got news.
fn viewed<T>(server: &Server, pages: usize, work: impl FnOnce() -> Fallible<T>) -> Fallible<T> {
    let mut streams = Vec::new();
    for _ in 0..pages {
        streams.push(open(server, "/live", "text/event-stream", "keep-alive")?);
    }
    thread::scope(|scope| {
        let mut readers = Vec::new();
        for stream in &streams {
            readers.push(scope.spawn(move || {
                let (mut stream, mut buffer, mut received) = (stream, [0; 1 << 16], 0);
                while let Ok(count @ 1..) = stream.read(&mut buffer) {
                    received += count;
                }
                received
            }));
        }
        let done = work();
        for stream in &streams {
            stream.shutdown(std::net::Shutdown::Both)?;
        }
        for reader in readers {
            if reader.join().unwrap_or_default() < 2000 {
                return Err("a page got no news".into());
            }
        }
        done
    })
}

/// Loads a server with pages open.
fn load_viewed(server: &Server) -> Fallible<Load> {
    viewed(server, PAGES, || load(server, ROW, CONNECTIONS, ROUND))
}

/// The share of a core that a server takes with some traffic and this many pages open.
fn cpu_with(server: &Server, pages: usize) -> Fallible<f64> {
    viewed(server, pages, || {
        let (start, before) = (now(), server.cpu_seconds()?);
        while start.elapsed() < WATCHED {
            // So that something changes between two looks.
            for _ in 0..4 {
                ask(server.address, "POST", ROW.path, ROW.body)?;
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok((server.cpu_seconds()? - before) / start.elapsed().as_secs_f64())
    })
}
