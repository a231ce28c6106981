//! The cost of metrics: the time and CPU of a scrape, and the throughput of a server that is scraped once a second.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use super::Fallible;
use super::Spread;
use super::client::Load;
use super::client::ROW;
use super::client::ask;
use super::client::load;
use super::now;
use super::program::tell;
use super::servers::A_TENTH;
use super::servers::Server;
use super::servers::start_serin;

/// A scrape may take this long.
const LIMIT: Duration = Duration::from_millis(5);

const SCRAPES: usize = 501;
const CONNECTIONS: usize = 16;
const ROUNDS: usize = 11;

/// Longer than the pause between two scrapes.
const ROUND: Duration = Duration::from_millis(2500);
const PAUSE: Duration = Duration::from_secs(1);

/// Whether the median scrape of a server with a judged canary is within its limit.
pub fn scrape() -> Fallible<bool> {
    let folder = tempfile::tempdir()?;
    let scraped = start_serin(folder.path(), "a", A_TENTH)?;
    let other = start_serin(folder.path(), "b", A_TENTH)?;
    let mut ratios = Vec::new();
    for round in 0..ROUNDS {
        // The order alternates, so that a drift within the pair favors neither.
        let (with, without) = if round % 2 == 0 {
            let with = load_scraped(&scraped)?;
            (with, load(&other, ROW, CONNECTIONS, ROUND)?)
        } else {
            let without = load(&other, ROW, CONNECTIONS, ROUND)?;
            (load_scraped(&scraped)?, without)
        };
        ratios.push(with.requests_per_second / without.requests_per_second);
    }
    tell(&format!(
        "{ROUNDS} rounds of {} ms: requests/s scraped once a second : not scraped = {}",
        ROUND.as_millis(),
        Spread::of(ratios)
    ));
    let (mut taken, cpu_before) = (Vec::new(), scraped.cpu_seconds()?);
    let mut bytes = 0;
    for _ in 0..SCRAPES {
        let start = now();
        bytes = metrics(&scraped)?;
        taken.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let cpu = (scraped.cpu_seconds()? - cpu_before) / SCRAPES as f64 * 1e3;
    let Spread { least, median, most } = Spread::of(taken);
    tell(&format!(
        "{SCRAPES} scrapes of {bytes} bytes: median {median:.2} ms ({least:.2} to {most:.2}), CPU {cpu:.2} ms each, ticks \
         of the judge included (limit {} ms)",
        LIMIT.as_millis()
    ));
    Ok(median < LIMIT.as_secs_f64() * 1e3)
}

/// Loads a server that is scraped once a second meanwhile.
fn load_scraped(server: &Server) -> Fallible<Load> {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let scraper = scope.spawn(|| -> Fallible<()> {
            while !is_over.load(Ordering::Relaxed) {
                metrics(server)?;
                let asleep = now();
                while asleep.elapsed() < PAUSE && !is_over.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(20));
                }
            }
            Ok(())
        });
        let loaded = load(server, ROW, CONNECTIONS, ROUND);
        is_over.store(true, Ordering::Relaxed);
        scraper.join().unwrap_or_else(|_| Err("the scraper panicked".into()))?;
        loaded
    })
}

/// The length of the metrics.
fn metrics(server: &Server) -> Fallible<usize> {
    let (status, text) = ask(server.address, "GET", "/metrics", "")?;
    if status != 200 || !text.contains("serin_requests_total{track=\"canary\"}") {
        return Err(format!("expected metrics, got status {status}: {text}").into());
    }
    Ok(text.len())
}
