//! A server in this process, on a free port, for commands that need one of their own.

use std::future::pending;
use std::net::Ipv4Addr;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use anyhow::anyhow;
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::canary::policy::segments::SegmentSettings;
use crate::cli::settings::Settings;
use crate::http;
use crate::service::Service;
use crate::service::clock::SystemClock;
use crate::service::clock::steady;
use crate::service::control::registry::Registry;
use crate::store;
use crate::store::Location;

/// The exit code after Ctrl-C, as shells expect it.
const INTERRUPTED: u8 = 130;

/// A server in this process.
pub(crate) struct Server {
    /// Its address.
    pub(crate) url: String,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<std::io::Result<()>>,
}

impl Server {
    /// Starts a server on this port (0: a free one) with these segments, a store in memory and fault injection. Ctrl-C
    /// removes the folder and ends the process.
    pub(crate) fn start(
        models: &Path,
        folder: &TempDir,
        segments: SegmentSettings,
        port: u16,
    ) -> anyhow::Result<Server> {
        let settings = Settings {
            store: Location::Memory,
            models: models.to_owned(),
            allow_injection: true,
            segments,
            drain_delay: Duration::ZERO,
            ..Settings::default()
        };
        let service = Service::start(
            settings.service()?,
            store::open(&settings.store, steady())?,
            Registry::new(models),
            Arc::new(SystemClock::default()),
        )?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).context("no free port")?;
        let address = listener.local_addr()?;
        let http_settings = settings.http(address.ip())?;
        let (stop, stopped) = oneshot::channel();
        let path = folder.path().to_owned();
        let thread = std::thread::spawn(move || {
            // A dropped sender means the same as a message: stop.
            let shutdown = async { drop(stopped.await) };
            let serving =
                http::run(listener, Arc::new(service), http_settings, shutdown, pending());
            actix_web::rt::System::new().block_on(async {
                actix_web::rt::spawn(async move {
                    if tokio::signal::ctrl_c().await.is_ok() {
                        // The system cleans up a folder whose removal fails.
                        let _ = std::fs::remove_dir_all(path);
                        std::process::exit(i32::from(INTERRUPTED));
                    }
                });
                serving.await
            })
        });
        Ok(Server { url: format!("http://{address}"), stop, thread })
    }

    /// Stops the server and waits for it.
    pub(crate) fn stop(self) -> anyhow::Result<()> {
        drop(self.stop);
        Ok(self.thread.join().map_err(|_| anyhow!("the server has panicked"))??)
    }
}
