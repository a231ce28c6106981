//! Overhead of serin over a bare handler, in requests per second and in CPU time per request.
//!
//! Two servers run side by side, two workers each: serin with a canary at 10 %, and a bare
//! actix-web handler that parses the same body and returns a fixed object with the same fields.
//! They are loaded in turn, so that other work on the machine affects both, and the ratio is taken within
//! each pair. `cargo bench --bench http -- --same` loads two bare servers instead: the distance of its ratio
//! from 1 is the resolution of the method. `-- --shadow` loads two servers whose canary gets no traffic, one of
//! which shadows every request. Exit code 1 if a request sent alone takes 10 % longer with the shadow. Under
//! full load the shadow also takes processor time. `-- --kinds` compares requests with a key, by name, with
//! segments, and of a thousand rows, each with the bare handler at the same number of rows. `-- --scrape` measures a
//! scrape of `/metrics` (exit code 1 if the median takes 5 ms), and what one a second costs predictions. `-- --v2` sends
//! requests of Open Inference v2 in JSON, and the bare handler parses the same body (exit code 1 below 0.9). `-- --page`
//! measures the bytes of the page, the CPU of open pages, and what ten of them cost predictions (exit code 1 beyond a
//! limit).
//!
//! The client shares the machine with the servers, so it is kept cheap: a few connections per
//! thread, all written to, then all read from. Exit code 1 if the throughput is below the limit, 2 if the
//! result is invalid (an answer that is not a prediction, a server that died, a canary that disappeared).

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use std::time::Instant;

use client::CLIENT_THREADS;
use client::Load;
use client::ROW;
use client::Request;
use client::ask;
use client::latency_microseconds;
use client::load;
use program::Fallible;
use program::exit_code;
use program::tell;
use servers::A_TENTH;
use servers::BARE_SERVER;
use servers::NOTHING;
use servers::SHADOW;
use servers::Server;
use servers::WORKERS;
use servers::serve_bare;
use servers::start_bare;
use servers::start_serin;

#[path = "shared/program.rs"]
mod program;

#[path = "http/client.rs"]
mod client;

#[path = "http/servers.rs"]
mod servers;

#[path = "http/scrape.rs"]
mod scrape;

#[path = "http/page.rs"]
mod page;

const GOAL: f64 = 0.95;
const FLOOR: f64 = 0.85;
const V2_LIMIT: f64 = 0.9;

const ROUNDS: usize = 11;
const ROUND: Duration = Duration::from_millis(700);
const WARM_UP: Duration = Duration::from_millis(500);
const CONNECTIONS: [usize; 2] = [16, 64];

fn main() -> ExitCode {
    let all: Vec<String> = std::env::args().collect();
    if let Some([_, port_file]) = all.windows(2).find(|pair| pair[0] == BARE_SERVER) {
        return exit_code(serve_bare(Path::new(port_file)).map(|()| true));
    }
    let Some(arguments) = program::arguments() else { return ExitCode::SUCCESS };
    let is_given = |flag: &str| arguments.iter().any(|argument| argument == flag);
    exit_code(if is_given("--shadow") {
        shadow()
    } else if is_given("--scrape") {
        scrape::scrape()
    } else if is_given("--page") {
        page::page()
    } else if is_given("--v2") {
        open_inference()
    } else if is_given("--kinds") {
        kinds().map(|()| true)
    } else {
        compare(is_given("--same"))
    })
}

/// Whether the throughput limit was kept.
fn compare(same: bool) -> Fallible<bool> {
    let folder = tempfile::tempdir()?;
    let path = folder.path();
    let name = if same { "bare (A)" } else { "serin" };
    let ours = if same { start_bare(path, "a")? } else { start_serin(path, "a", A_TENTH)? };
    let bare = start_bare(path, "b")?;
    tell(&format!(
        "{name} against bare actix-web: {WORKERS} workers each, {CLIENT_THREADS} client threads, \
         {ROUNDS} rounds of {} ms in turn",
        ROUND.as_millis()
    ));
    for (name, server) in [(name, &ours), ("bare", &bare)] {
        tell(&format!("  {name} answers {}", ask(server.address, "POST", ROW.path, ROW.body)?.1));
    }
    tell("");
    tell("connections  server     requests/s   CPU us/request   requests/s : bare   CPU : bare");
    let mut medians = Vec::new();
    for connections in CONNECTIONS {
        medians.push(compare_at(connections, [name, "bare"], [&ours, &bare], [ROW, ROW])?);
    }
    if !same {
        the_canary_is_still_there(ours.address)?;
    }
    let lowest = medians.iter().copied().fold(f64::INFINITY, f64::min);
    tell("");
    if same {
        tell(&format!("ratio requests/s bare : bare = {lowest:.2} (1.00 without noise)"));
        return Ok(true);
    }
    tell(&format!(
        "ratio requests/s serin : bare = {lowest:.2} (goal {GOAL:.2}, floor {FLOOR:.2})"
    ));
    Ok(lowest >= FLOOR)
}

/// Compares each kind of request with the bare handler. Prints ratios and sets no limit.
fn kinds() -> Fallible<()> {
    let folder = tempfile::tempdir()?;
    let ours = start_serin(folder.path(), "a", A_TENTH)?;
    let bare = start_bare(folder.path(), "b")?;
    let many = format!(r#"{{"instances":[{}]}}"#, vec!["[0.5,1.2,0.8,0.3,1.1]"; 1000].join(","));
    let by_key = r#"{"features":[0.5,1.2,0.8,0.3,1.1],"key":"customer-17"}"#;
    let by_name = r#"{"features":{"tenure_years":0.5,"charge_ratio":1.2,"usage_ratio":0.8,"late_payment_share":0.3,"support_calls":1.1}}"#;
    let by_segment =
        r#"{"features":[0.5,1.2,0.8,0.3,1.1],"segments":{"region":"north","plan":"pro"}}"#;
    let many = Request::predict(&many);
    let kinds = [
        ("one row", ROW, ROW),
        ("key", Request::predict(by_key), ROW),
        ("names", Request::predict(by_name), ROW),
        ("segments", Request::predict(by_segment), ROW),
        ("1000 rows", many, many),
    ];
    tell("connections  server     requests/s   CPU us/request   requests/s : bare   CPU : bare");
    for (name, ours_is, bare_is) in kinds {
        compare_at(CONNECTIONS[0], [name, "bare"], [&ours, &bare], [ours_is, bare_is])?;
    }
    Ok(())
}

/// Whether Open Inference v2 in JSON keeps its limit, compared with a bare handler that parses the same body.
fn open_inference() -> Fallible<bool> {
    let folder = tempfile::tempdir()?;
    let ours = start_serin(folder.path(), "a", A_TENTH)?;
    let bare = start_bare(folder.path(), "b")?;
    let names =
        ["tenure_years", "charge_ratio", "usage_ratio", "late_payment_share", "support_calls"];
    let tensor =
        |name: &str| format!(r#"{{"name":"{name}","shape":[1,1],"datatype":"FP64","data":[0.8]}}"#);
    let columns = format!(r#"{{"inputs":[{}]}}"#, names.map(tensor).join(","));
    let matrix =
        r#"{"inputs":[{"name":"x","shape":[1,5],"datatype":"FP64","data":[0.5,1.2,0.8,0.3,1.1]}]}"#;
    let path = "/v2/models/model/infer";
    tell("connections  server     requests/s   CPU us/request   requests/s : bare   CPU : bare");
    let mut lowest = f64::INFINITY;
    for (name, body) in [("matrix", matrix), ("tensors", &columns)] {
        let request = Request { path, body };
        for connections in CONNECTIONS {
            let servers = [&ours, &bare];
            let ratio = compare_at(connections, [name, "bare"], servers, [request, request])?;
            lowest = lowest.min(ratio);
        }
    }
    tell(&format!("ratio requests/s serin : bare = {lowest:.2} (limit {V2_LIMIT:.2})"));
    Ok(lowest >= V2_LIMIT)
}

/// Whether shadowing leaves the latency of a single request within its limit.
fn shadow() -> Fallible<bool> {
    let folder = tempfile::tempdir()?;
    let shadowing = start_serin(folder.path(), "a", SHADOW)?;
    let off = start_serin(folder.path(), "b", NOTHING)?;
    tell(&format!(
        "serin with all requests in shadow against serin with none: {WORKERS} workers each, \
         {CLIENT_THREADS} client threads, {ROUNDS} rounds of {} ms in turn",
        ROUND.as_millis()
    ));
    tell("connections  server     requests/s   CPU us/request   requests/s : off    CPU : off");
    for connections in CONNECTIONS {
        compare_at(connections, ["shadow", "off"], [&shadowing, &off], [ROW, ROW])?;
    }
    let mut pairs = Vec::new();
    for round in 0..2 * ROUNDS + 1 {
        // The order alternates, so that a drift within the pair favors neither.
        pairs.push(if round % 2 == 0 {
            let first = latency_microseconds(&shadowing, ROUND / 4)?;
            (first, latency_microseconds(&off, ROUND / 4)?)
        } else {
            let first = latency_microseconds(&off, ROUND / 4)?;
            (latency_microseconds(&shadowing, ROUND / 4)?, first)
        });
    }
    let of = |pick: &dyn Fn(&(f64, f64)) -> f64| Spread::of(pairs.iter().map(pick).collect());
    let latency = of(&|(shadow, off)| shadow / off);
    let (shadow, without) = (of(&|pair| pair.0).median, of(&|pair| pair.1).median);
    tell(&format!(
        "one request after the other: median {shadow:.1} us in shadow, {without:.1} us without; \
         shadow : off = {latency} (limit 1.10)"
    ));
    let (_, body) = ask(shadowing.address, "GET", "/admin/status", "")?;
    let status: serde_json::Value = serde_json::from_str(&body)?;
    tell(&format!("shadow: {}", status["shadow"]["message"]));
    Ok(latency.median < 1.1)
}

/// Prints the two rows of one number of connections and returns the median ratio of throughput.
fn compare_at(
    connections: usize,
    [name, other]: [&str; 2],
    [ours, bare]: [&Server; 2],
    [our_request, bare_request]: [Request<'_>; 2],
) -> Fallible<f64> {
    for (server, request) in [(ours, our_request), (bare, bare_request)] {
        load(server, request, connections, WARM_UP)?;
    }
    let mut pairs = Vec::new();
    for round in 0..ROUNDS {
        // The order alternates, so that a drift within the pair favors neither.
        pairs.push(if round % 2 == 0 {
            let first = load(ours, our_request, connections, ROUND)?;
            (first, load(bare, bare_request, connections, ROUND)?)
        } else {
            let first = load(bare, bare_request, connections, ROUND)?;
            (load(ours, our_request, connections, ROUND)?, first)
        });
    }
    let of = |pick: &dyn Fn(&(Load, Load)) -> f64| Spread::of(pairs.iter().map(pick).collect());
    let throughput = of(&|(ours, bare)| ours.requests_per_second / bare.requests_per_second);
    let cpu = of(&|(ours, bare)| ours.cpu_microseconds / bare.cpu_microseconds);
    tell(&format!(
        "{connections:>11}  {name:<9} {:>11.0} {:>16.2}   {throughput}   {cpu}",
        of(&|(ours, _)| ours.requests_per_second).median,
        of(&|(ours, _)| ours.cpu_microseconds).median,
    ));
    tell(&format!(
        "{:>11}  {:<9} {:>11.0} {:>16.2}",
        "",
        other,
        of(&|(_, bare)| bare.requests_per_second).median,
        of(&|(_, bare)| bare.cpu_microseconds).median,
    ));
    Ok(throughput.median)
}

struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

impl Spread {
    /// From an odd number of values, so that the median is one of them.
    fn of(mut values: Vec<f64>) -> Spread {
        values.sort_by(f64::total_cmp);
        Spread {
            least: values[0],
            median: values[values.len() / 2],
            most: values[values.len() - 1],
        }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2} ({:.2} to {:.2})", self.median, self.least, self.most)
    }
}

fn the_canary_is_still_there(address: SocketAddr) -> Fallible<()> {
    let (status, body) = ask(address, "GET", "/admin/status", "")?;
    let parsed: serde_json::Value = serde_json::from_str(&body)?;
    if status != 200 || !parsed["canary"].is_object() {
        return Err(format!("the canary was missing at the end: status {status}: {body}").into());
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures the machine's own time")]
fn now() -> Instant {
    Instant::now()
}
