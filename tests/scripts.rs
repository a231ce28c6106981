//! The curl scenarios pass on a correct server and fail on one with falsified answers; the demo shows a slow
//! region.

use std::error::Error;
use std::fs;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

#[path = "shared/executable.rs"]
mod executable;

use executable::serin;

type Fallible<T> = Result<T, Box<dyn Error>>;

const ROLLBACK: &str = "scenario-rollback.sh";
const PROMOTE: &str = "scenario-promote.sh";

#[test]
fn both_scenarios_pass_one_after_the_other_and_again() {
    let server = Server::start().unwrap();
    for script in [ROLLBACK, PROMOTE, ROLLBACK, PROMOTE] {
        let output = run(script, server.address).unwrap();
        assert!(output.status.success(), "{script}: {}", output_text(&output));
        assert!(has_no_canary(&server).unwrap(), "{script} left a canary");
    }
}

#[test]
fn without_a_server_both_scenarios_fail() {
    // The listener is closed before the scripts start, so nothing listens there.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for script in [ROLLBACK, PROMOTE] {
        assert_fails(script, &run(script, address).unwrap(), "is the server running?");
    }
}

#[test]
fn a_canary_that_another_client_deployed_is_left_alone() {
    let server = Server::start().unwrap();
    let body = r#"{"model_path": "models/model_v2.bin"}"#;
    let url = format!("http://{}/admin/deploy-canary", server.address);
    curl(&["--header", "Content-Type: application/json", "--data", body, &url]).unwrap();
    for script in [ROLLBACK, PROMOTE] {
        assert_fails(script, &run(script, server.address).unwrap(), "a canary is already deployed");
    }
    assert!(
        !has_no_canary(&server).unwrap(),
        "a scenario rolled back a canary that it had not deployed"
    );
}

/// Falsifies each answer in one place on its way to the script.
#[test]
fn a_scenario_fails_when_a_step_does_not_show_what_it_must() {
    let server = Server::start().unwrap();
    for (script, truth, lie, expected) in [
        (
            ROLLBACK,
            r#""alert_triggered":true"#,
            r#""alert_triggered":null"#,
            "alert: expected true",
        ),
        (PROMOTE, r#""model_used":"canary""#, r#""model_used":"stable""#, "canary: expected 20"),
        (PROMOTE, r#""alert_triggered":false"#, r#""alert_triggered":wrong"#, "expected false"),
        (PROMOTE, r#""model_used":"stable""#, r#""model_used":"canary""#, "200 predictions"),
    ] {
        let liar = lie_about(server.address, truth, lie).unwrap();
        assert_fails(script, &run(script, liar).unwrap(), expected);
        assert!(has_no_canary(&server).unwrap(), "{script} failed at {truth} and left a canary");
    }
}

#[test]
fn the_demonstration_of_a_slow_region_holds_the_canary_and_names_the_region() {
    let folder = tempfile::tempdir().unwrap();
    let output = serin(folder.path()).args(["demo", "--scenario", "segment"]).output().unwrap();
    let text = output_text(&output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("region=north: latency"), "{text}");
    assert!(text.contains("checks passed"), "{text}");
}

#[test]
fn a_demonstration_whose_reader_is_gone_ends_quietly_and_leaves_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = serin(folder.path());
    command.args(["demo", "--scenario", "healthy"]).env("TMPDIR", folder.path());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", output_text(&output));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

fn assert_fails(script: &str, output: &Output, expected: &str) {
    let text = output_text(output);
    assert!(!output.status.success(), "{script} passed and should have failed: {text}");
    assert!(text.contains(expected), "{script} did not print {expected:?}: {text}");
}

fn output_text(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n{}", text(&output.stdout), text(&output.stderr))
}

fn run(script: &str, address: SocketAddr) -> Fallible<Output> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(script);
    Ok(Command::new(script).arg(format!("http://{address}")).output()?)
}

fn curl(arguments: &[&str]) -> Fallible<String> {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--fail"])
        .args(arguments)
        .output()?;
    if !output.status.success() {
        return Err(format!("curl {arguments:?}: {}", output_text(&output)).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn has_no_canary(server: &Server) -> Fallible<bool> {
    let status = curl(&[&format!("http://{}/admin/status", server.address)])?;
    let status: serde_json::Value = serde_json::from_str(&status)?;
    Ok(status.get("canary").is_some_and(serde_json::Value::is_null))
}

/// A server of its own in a folder of its own, killed by its id at the end.
struct Server {
    process: Child,
    address: SocketAddr,
    folder: TempDir,
}

impl Server {
    fn start() -> Fallible<Server> {
        let folder = tempfile::tempdir()?;
        let trained = serin(folder.path()).arg("train").args(["--models", "models"]).output()?;
        if !trained.status.success() {
            return Err(format!("serin train: {}", output_text(&trained)).into());
        }
        let process = serin(folder.path())
            .args(["serve", "--listen", "127.0.0.1:0", "--port-file", "port"])
            .args(["--models", "models", "--store", "memory:"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("log"))?)
            .spawn()?;
        let unbound = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut server = Server { process, address: unbound, folder };
        // 30 seconds are enough for a busy machine.
        for _ in 0..3000 {
            let folder = server.folder.path();
            // The file may exist before its only line is written.
            if let Ok(address) =
                fs::read_to_string(folder.join("port")).unwrap_or_default().trim().parse()
            {
                server.address = address;
                return Ok(server);
            }
            if server.process.try_wait()?.is_some() {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let log = fs::read_to_string(server.folder.path().join("log"))?;
        Err(format!("the server does not listen: {log}").into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if the process has already ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A proxy that replaces `truth` by `lie` in the server's answers. Both have the same length, so the content length
/// stays right. It serves until the test program ends.
fn lie_about(server: SocketAddr, truth: &'static str, lie: &'static str) -> Fallible<SocketAddr> {
    assert_eq!(truth.len(), lie.len(), "{truth} and {lie}");
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(upstream) = TcpStream::connect(server) else { return };
            let (Ok(from_client), Ok(to_server)) = (client.try_clone(), upstream.try_clone())
            else {
                return;
            };
            thread::spawn(move || forward(from_client, to_server, "", ""));
            thread::spawn(move || forward(upstream, client, truth, lie));
        }
    });
    Ok(address)
}

/// Forwards bytes until one side closes. An answer of this server arrives in one piece.
fn forward(mut from: TcpStream, mut to: TcpStream, truth: &str, lie: &str) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let piece = &mut buffer[..count];
        for start in 0..=count.saturating_sub(truth.len()) {
            if !truth.is_empty() && piece[start..].starts_with(truth.as_bytes()) {
                piece[start..start + lie.len()].copy_from_slice(lie.as_bytes());
            }
        }
        if to.write_all(piece).is_err() {
            break;
        }
    }
    // Closing both directions also ends the other thread.
    let _ = to.shutdown(std::net::Shutdown::Both);
    let _ = from.shutdown(std::net::Shutdown::Both);
}
