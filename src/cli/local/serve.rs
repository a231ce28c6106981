//! `serin serve`: the server.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tracing::level_filters::LevelFilter;

use super::log::Log;
use super::log::LogFormat;
use super::signals::Signals;
use super::signals::reached;
use crate::cli::settings::Settings;
use crate::cli::settings::flags::Flags;
use crate::cli::settings::layers::Layers;
use crate::cli::settings::profile::Profile;
use crate::http;
use crate::http::trace::Tracer;
use crate::model::ensure_default_models;
use crate::model::kinds::onnx::runtime;
use crate::service::Service;
use crate::service::clock::SystemClock;
use crate::service::clock::steady;
use crate::service::control::registry::Registry;
use crate::store;
use crate::text::files::write_whole;

/// The flags of `serin serve`.
#[derive(Args, Debug)]
pub struct ServeArgs {
    #[command(flatten)]
    flags: Flags,
    /// Settings file [default: serin.toml, if it exists]
    #[arg(long, env = "SERIN_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Defaults for the platform that starts the server
    #[arg(long, env = "SERIN_PROFILE", value_name = "PLATFORM")]
    profile: Option<Profile>,
    /// Write the bound address to this file once listening
    #[arg(long, env = "SERIN_PORT_FILE", value_name = "FILE")]
    port_file: Option<PathBuf>,
    /// Log level: off, error, warn, info, debug or trace
    #[arg(long, env = "SERIN_LOG", value_name = "LEVEL", default_value = "info")]
    log: LevelFilter,
    /// Log format
    #[arg(long, env = "SERIN_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
}

/// Serves until SIGTERM, SIGHUP or Ctrl-C. A second signal ends it without waiting for requests.
///
/// # Errors
/// When the settings are invalid, or the store, a model or the address is not available.
pub fn run(args: &ServeArgs) -> anyhow::Result<ExitCode> {
    let _log = Log::start(args.log, args.log_format).context("cannot start the log")?;
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1024);
    anyhow::ensure!(
        files >= MIN_OPEN_FILES,
        "this process may open {files} files, serin needs {MIN_OPEN_FILES}; raise the limit (ulimit -n)"
    );
    let layers = Layers::new(args.flags.clone(), args.config.as_deref())?;
    let settings = layers.with_profile(args.profile).settings()?;
    let cannot_listen = || {
        format!(
            "cannot listen on {}; stop the other process, or choose another address with --listen",
            settings.listen
        )
    };
    // Bind once before opening the store, so that a failed start leaves it unchanged.
    drop(TcpListener::bind(&settings.listen).with_context(cannot_listen)?);
    let had_contents = settings.store.has_contents();
    let store = store::open_as(settings.replica_name(), &settings.store, steady())?;
    let new = store.newest_sequence()? == 0;
    if new && had_contents {
        tracing::warn!(
            store = %settings.store,
            "the store has no journal, so a new one begins; if it is a copy, copy FILE-wal as well, or use \
             sqlite3 FILE \".backup COPY\""
        );
    }
    if settings.stable_is_default() && new {
        ensure_default_models(&settings.models)
            .with_context(|| format!("cannot train models into {}", settings.models.display()))?;
    }
    if let Some(library) = &settings.onnxruntime {
        runtime::open(library).context("--onnxruntime")?;
    }
    let registry = Registry::new(&settings.models);
    let clock = Arc::new(SystemClock::default());
    let service = Arc::new(Service::start(settings.service()?, store, registry, clock)?);
    // Bind last: a client that can connect finds a server that is ready.
    let listener = TcpListener::bind(&settings.listen).with_context(cannot_listen)?;
    let address = listener.local_addr()?;
    announce(&settings, &service, address, new);
    if let Some(file) = &args.port_file {
        write_whole(file, address.to_string().as_bytes())
            .with_context(|| file.display().to_string())?;
    }
    let tracer = Tracer::from_environment().map_err(anyhow::Error::msg)?;
    let http = http::Settings { tracer: tracer.clone(), ..settings.http(address.ip())? };
    let http = within_open_files(http, files);
    actix_web::rt::System::new().block_on(async {
        let signals = Signals::new()?;
        let (first, second) = (signals.stops.subscribe(), signals.stops.subscribe());
        actix_web::rt::spawn(signals.count());
        let shutdown = async move {
            reached(first, 1).await;
            tracing::info!("stopping: finishing open requests; a second signal ends at once");
        };
        let abort = async move {
            reached(second, 2).await;
            tracing::warn!("stopping at once: open requests are cut");
        };
        http::run(listener, service, http, shutdown, abort).await
    })?;
    if let Some(tracer) = tracer {
        tracer.finish(TRACES_PATIENCE);
    }
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// How long the end of the process waits for a collector.
const TRACES_PATIENCE: Duration = Duration::from_secs(2);

/// Below it there are too few for the store, the log and the threads of the workers.
const MIN_OPEN_FILES: u64 = 64;

/// The settings with the connection limit lowered to the open-file limit of this process, minus a
/// reserve for the store, the models and the log.
fn within_open_files(http: http::Settings, files: u64) -> http::Settings {
    const RESERVE: u64 = 64;
    const FEW: usize = 256;
    let for_each = files.saturating_sub(RESERVE).max(1) / http.workers as u64;
    let connections =
        usize::try_from(for_each).map_or(http.connections, |max| http.connections.min(max.max(1)));
    // The default is more than most servers need, so it is lowered silently unless little is left.
    let is_enough = http.connections == Settings::default().connections && connections >= FEW;
    if connections < http.connections && !is_enough {
        tracing::warn!(
            connections,
            open_files = files,
            "fewer connections for each worker than set, because this process may open no more files; raise the \
             hard limit (ulimit -Hn, or LimitNOFILE of systemd), or lower --connections"
        );
    }
    http::Settings { connections, ..http }
}

fn announce(settings: &Settings, service: &Service, address: std::net::SocketAddr, new: bool) {
    let status = service.status();
    tracing::info!(
        stable = status.stable.version.name,
        store = %settings.store,
        workers = settings.workers,
        "serin listens on http://{address}"
    );
    // A browser cannot send the token that closes the page.
    if settings.metrics_token.is_none() {
        tracing::info!("http://{address}/ shows rollouts in a browser");
    }
    if let Some(canary) = &status.canary {
        let (name, percent) = (&canary.name, status.traffic_percent);
        let samples = status.tracks.canary.requests;
        tracing::info!(
            samples,
            "the rollout of {name} goes on after the restart, with {percent} % of the traffic"
        );
    }
    let named = settings.stable.as_str();
    if !new && !settings.stable_is_default() && !named.ends_with(&status.stable.version.file) {
        tracing::info!(
            "stable is {}, as recorded in the store; --stable {named} applies to the first start only",
            status.stable.version.name
        );
    }
    if !address.ip().is_loopback() && settings.admin_token.is_none() {
        tracing::warn!("/admin is closed because this address is not loopback; set --admin-token");
    }
}
