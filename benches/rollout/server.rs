//! A server in this process, with models whose latency is set in their artifact.

use std::fs;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread;
use std::thread::JoinHandle;
use std::time::Duration;

use serin::cli::settings::Settings;
use serin::http;
use serin::model::Artifact;
use serin::model::Execution;
use serin::model::Model;
use serin::model::Output;
use serin::model::OutputKind;
use serin::model::PredictError;
use serin::model::Row;
use serin::model::Schema;
use serin::model::ensure_default_models;
use serin::service::Service;
use serin::service::clock::SystemClock;
use serin::service::clock::steady;
use serin::service::control::registry::Decoded;
use serin::service::control::registry::Registry;
use serin::store;
use serin::store::Location;
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::Fallible;

/// The models folder: both default models, and two slow ones.
pub struct Folder(TempDir);

/// Answers in 8 ms, plus or minus a quarter.
pub const USUAL: &str = "usual.bin";
/// Takes 50 % longer.
pub const SLOW: &str = "slow.bin";

const TAKES: &str = "takes microseconds: ";

impl Folder {
    pub fn new() -> Fallible<Folder> {
        let folder = tempfile::tempdir()?;
        ensure_default_models(folder.path())?;
        fs::write(folder.path().join(USUAL), format!("{TAKES}8000"))?;
        fs::write(folder.path().join(SLOW), format!("{TAKES}12000"))?;
        Ok(Folder(folder))
    }

    /// The artifact of the first default model.
    pub fn first_model(&self) -> Fallible<Vec<u8>> {
        Ok(fs::read(self.0.path().join("model_v1.bin"))?)
    }

    /// The models of this folder.
    pub fn registry(&self) -> Fallible<Registry> {
        let usual = fs::read(self.0.path().join("model_v2.bin"))?;
        let decode = move |bytes: &[u8]| {
            let takes =
                str::from_utf8(bytes).ok().and_then(|text| text.strip_prefix(TAKES)?.parse().ok());
            let Some(microseconds) = takes else {
                let artifact = Artifact::from_bytes(bytes)?;
                return Ok(Decoded {
                    digest: artifact.digest().to_string(),
                    model: artifact.model(),
                    card: None,
                });
            };
            let model = Artifact::from_bytes(&usual)?.model();
            let digest = blake3::hash(bytes).to_hex().to_string();
            let slow = Slow { model, microseconds, asked: AtomicU64::new(0) };
            Ok(Decoded { digest, model: Arc::new(slow), card: None })
        };
        Ok(Registry::with_decoder(self.0.path(), Box::new(decode)))
    }
}

/// A model with a set latency.
struct Slow {
    model: Arc<dyn Model>,
    microseconds: u64,
    asked: AtomicU64,
}

impl Model for Slow {
    fn schema(&self) -> &Schema {
        self.model.schema()
    }

    fn output(&self) -> &OutputKind {
        self.model.output()
    }

    fn execution(&self) -> Execution {
        Execution::Pooled
    }

    fn predict(&self, row: &Row<'_>) -> Result<Output, PredictError> {
        // A pseudo-random factor between 0.75 and 1.25.
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54;
        thread::sleep(Duration::from_micros(self.microseconds * (3 * 512 + spread) / 2048));
        self.model.predict(row)
    }
}

/// A server in this process; stops on request.
pub struct Server {
    pub address: SocketAddr,
    pub service: Arc<Service>,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<std::io::Result<()>>,
}

impl Server {
    pub fn start(folder: &Folder, stable: &str) -> Fallible<Server> {
        let settings = Settings {
            store: Location::Memory,
            stable: stable.to_owned(),
            workers: 1,
            allow_injection: true,
            ..Settings::default()
        };
        let (store, clock) =
            (store::open(&settings.store, steady())?, Arc::new(SystemClock::default()));
        let service =
            Arc::new(Service::start(settings.service()?, store, folder.registry()?, clock)?);
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let (http_settings, serving) = (settings.http(address.ip())?, service.clone());
        let thread = thread::spawn(move || {
            // A dropped sender also means stop.
            let shutdown = async { drop(stopped.await) };
            let serving =
                http::run(listener, serving, http_settings, shutdown, std::future::pending());
            actix_web::rt::System::new().block_on(serving)
        });
        Ok(Server { address, service, stop, thread })
    }

    pub fn stop(self) -> Fallible<()> {
        drop(self.stop);
        self.thread.join().map_err(|_| "a server panicked")??;
        Ok(())
    }
}
