//! The two servers: serin with a canary, and the bare handler.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use actix_web::App;
use actix_web::HttpResponse;
use actix_web::HttpServer;
use actix_web::web;
use serde::Deserialize;
use serde::Serialize;

use super::Fallible;
use super::client::PATIENCE;
use super::client::ask;
use super::now;

pub const WORKERS: usize = 2;

/// The argument with which the benchmark starts itself as the bare server.
pub const BARE_SERVER: &str = "--bare-server";

/// Linux reports a process's CPU time in this unit, independent of the kernel's clock.
const SECONDS_PER_TICK: f64 = 0.01;

/// A child process, killed by its id when the benchmark ends.
pub struct Server {
    process: Child,
    pub address: SocketAddr,
}

impl Server {
    /// Starts a program that writes the address it listens on into `port_file`.
    fn start(command: &mut Command, port_file: &Path) -> Fallible<Server> {
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        let mut server = Server { process, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let start = now();
        loop {
            // The file may be seen between its creation and its only line.
            let written = fs::read_to_string(port_file).unwrap_or_default();
            if let Ok(address) = written.trim().parse() {
                server.address = address;
                return Ok(server);
            }
            if let Some(status) = server.process.try_wait()? {
                return Err(format!("{command:?} ended at once: {status}").into());
            }
            if start.elapsed() > PATIENCE {
                return Err(format!("{command:?} does not listen").into());
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// User and system time of all its threads.
    pub fn cpu_seconds(&self) -> Fallible<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        // The second field is the name in brackets, which may hold spaces; 14 and 15 are the times.
        let (_, fields) = stat.rsplit_once(')').ok_or("no name in /proc/PID/stat")?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let user: f64 = fields.get(11).ok_or("no user time")?.parse()?;
        let system: f64 = fields.get(12).ok_or("no system time")?.parse()?;
        Ok((user + system) * SECONDS_PER_TICK)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if the process has already ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// How serin treats its canary.
pub const A_TENTH: &str = r#"{"model_path":"model_v2.bin","traffic_percent":10}"#;
pub const NOTHING: &str = r#"{"model_path":"model_v2.bin","traffic_percent":0}"#;
pub const SHADOW: &str = r#"{"model_path":"model_v2.bin","shadow_percent":100}"#;

/// Starts serin and deploys a canary. Two servers in one folder share their models.
pub fn start_serin(folder: &Path, name: &str, deployment: &str) -> Fallible<Server> {
    let program = env!("CARGO_BIN_EXE_serin");
    let models = folder.join("models");
    let port_file = folder.join(format!("serin-{name}.port"));
    let trained = Command::new(program)
        .args(["train", "--models"])
        .arg(&models)
        .stdout(Stdio::null())
        .status()?;
    if !trained.success() {
        return Err(format!("serin train: {trained}").into());
    }
    let segments = folder.join("segments.toml");
    fs::write(
        &segments,
        "[segments]\nregion = [\"north\", \"south\"]\nplan = [\"basic\", \"pro\"]\n",
    )?;
    let mut command = Command::new(program);
    command
        .current_dir(folder)
        .args(["serve", "--store", "memory:", "--listen", "127.0.0.1:0"])
        .args(["--log", "warn", "--workers", &WORKERS.to_string()])
        .env("SERIN_CONFIG", &segments)
        .arg("--models")
        .arg(&models)
        .arg("--port-file")
        .arg(&port_file);
    let server = Server::start(&mut command, &port_file)?;
    let (status, body) = ask(server.address, "POST", "/admin/deploy-canary", deployment)?;
    if status != 200 {
        return Err(format!("the canary was not deployed: status {status}: {body}").into());
    }
    Ok(server)
}

pub fn start_bare(folder: &Path, name: &str) -> Fallible<Server> {
    let port_file = folder.join(format!("bare-{name}.port"));
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(BARE_SERVER).arg(&port_file);
    Server::start(&mut command, &port_file)
}

/// The body that the bare handler parses and ignores: rows of five numbers.
#[derive(Deserialize)]
struct BareRequest {
    #[expect(dead_code, reason = "parsing it is the work")]
    features: Option<[f64; 5]>,
    instances: Option<Vec<[f64; 5]>>,
}

/// An id of the length of serin's.
const BARE_ID: &str = "0f8e6a5b4c3d2e1f0a9b8c7d6e5f4a3b0f8e6a5b4c3d2e1f0a9b8c7d6e5f4a3b";

/// The fields of serin's answer, with fixed values of the usual lengths.
#[derive(Serialize)]
struct BareAnswer {
    #[serde(skip_serializing_if = "Option::is_none")]
    predictions: Option<Vec<BareRow>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    probability: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<u8>,
    model_used: &'static str,
    model_version: &'static str,
    latency_ms: f64,
    prediction_id: &'static str,
    fallback: bool,
}

#[derive(Clone, Serialize)]
struct BareRow {
    probability: f64,
    label: u8,
    prediction_id: &'static str,
}

/// A request of Open Inference v2, which the bare handler parses.
#[derive(Deserialize)]
struct BareInference {
    inputs: Vec<BareTensor>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "parsing it is the work")]
struct BareTensor {
    name: String,
    shape: Vec<usize>,
    datatype: String,
    data: Vec<f64>,
}

/// The members of serin's answer.
#[derive(Serialize)]
struct BareInferred {
    model_name: &'static str,
    model_version: &'static str,
    parameters: BareParameters,
    outputs: [BareOutput; 2],
}

#[derive(Serialize)]
struct BareParameters {
    track: &'static str,
    prediction_id: &'static str,
    fallback: bool,
    latency_ms: f64,
}

#[derive(Serialize)]
struct BareOutput {
    name: &'static str,
    datatype: &'static str,
    shape: [usize; 1],
    data: Vec<f64>,
}

/// The answer to a request of v2: of all its tensors, so that reading them cannot be optimized away.
fn inferred(request: &BareInference) -> BareInferred {
    let output =
        |name, datatype, value| BareOutput { name, datatype, shape: [1], data: vec![value] };
    let values = request.inputs.iter().map(|tensor| tensor.data.len()).sum::<usize>() as f64;
    BareInferred {
        model_name: "model",
        model_version: "model_v1",
        parameters: BareParameters {
            track: "stable",
            prediction_id: BARE_ID,
            fallback: false,
            latency_ms: 0.004217,
        },
        outputs: [
            output("probability", "FP64", 0.7310585786300049 / values),
            output("label", "INT64", 1.0),
        ],
    }
}

pub fn serve_bare(port_file: &Path) -> Fallible<()> {
    let server = HttpServer::new(|| {
        let infer = web::post().to(|request: web::Json<BareInference>| async move {
            HttpResponse::Ok().json(inferred(&request))
        });
        App::new().route("/v2/models/model/infer", infer).route(
            "/predict",
            web::post().to(|request: web::Json<BareRequest>| async move {
                let row =
                    BareRow { probability: 0.7310585786300049, label: 1, prediction_id: BARE_ID };
                let many = request.instances.as_ref().map(|rows| vec![row.clone(); rows.len()]);
                let one = many.is_none();
                HttpResponse::Ok().json(BareAnswer {
                    predictions: many,
                    probability: one.then_some(row.probability),
                    label: one.then_some(row.label),
                    model_used: "stable",
                    model_version: "model_v1",
                    latency_ms: 0.004217,
                    prediction_id: BARE_ID,
                    fallback: false,
                })
            }),
        )
    })
    .workers(WORKERS)
    .bind(("127.0.0.1", 0))?;
    let address = server.addrs().first().copied().ok_or("nothing is bound")?;
    actix_web::rt::System::new().block_on(async move {
        let running = server.run();
        fs::write(port_file, address.to_string())?;
        running.await
    })?;
    Ok(())
}
