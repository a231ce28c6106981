//! How does a command come by a server of its own? In this process, on a free port, in a folder that is
//! gone afterwards.

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context;
use anyhow::anyhow;
use tokio::sync::oneshot;

use crate::canary::policy::segments::SegmentSettings;
use crate::cli::settings::Settings;
use crate::http;
use crate::service::Service;
use crate::service::clock::SystemClock;
use crate::service::control::registry::Registry;
use crate::store;
use crate::store::Location;

/// What a shell expects of a program that was ended by Ctrl-C.
const INTERRUPTED: u8 = 130;

/// A server in this process.
pub(crate) struct Server {
    /// Where it listens.
    pub(crate) url: String,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<std::io::Result<()>>,
}

impl Server {
    /// Starts one that forgets, with these segments and otherwise the default settings, in whose canaries
    /// something may be broken.
    pub(crate) fn start(
        models: &Path,
        folder: &Folder,
        segments: SegmentSettings,
    ) -> anyhow::Result<Server> {
        let settings = Settings {
            store: Location::Memory,
            models: models.to_owned(),
            allow_injection: true,
            segments,
            ..Settings::default()
        };
        let service = Service::start(
            settings.service()?,
            store::open(&settings.store)?,
            Registry::new(models),
            Arc::new(SystemClock::default()),
        )?;
        let listener = TcpListener::bind("127.0.0.1:0").context("no free port")?;
        let address = listener.local_addr()?;
        let http_settings = settings.http(address.ip())?;
        let (stop, stopped) = oneshot::channel();
        let path = folder.0.clone();
        let thread = std::thread::spawn(move || {
            // A dropped sender means the same as a message: stop.
            let shutdown = async { drop(stopped.await) };
            let serving = http::run(listener, Arc::new(service), http_settings, shutdown);
            actix_web::rt::System::new().block_on(async {
                actix_web::rt::spawn(async move {
                    if tokio::signal::ctrl_c().await.is_ok() {
                        drop(Folder(path));
                        std::process::exit(i32::from(INTERRUPTED));
                    }
                });
                serving.await
            })
        });
        Ok(Server { url: format!("http://{address}"), stop, thread })
    }

    /// Stops it, and waits until it has.
    pub(crate) fn stop(self) -> anyhow::Result<()> {
        drop(self.stop);
        Ok(self.thread.join().map_err(|_| anyhow!("the server has panicked"))??)
    }
}

/// A folder that is gone afterwards.
pub(crate) struct Folder(std::path::PathBuf);

impl Folder {
    /// A new one, whose name tells what for.
    pub(crate) fn new(what: &str) -> anyhow::Result<Folder> {
        let name = format!("serin-{what}-{:016x}", rand::random::<u64>());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).with_context(|| path.display().to_string())?;
        Ok(Folder(path))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is left to whoever cleans the folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
