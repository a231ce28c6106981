//! `TestApp::spawn()` starts the real server in this process, in a temporary folder.

use std::fs;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::ops::Deref;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::OnceLock;
use std::thread::JoinHandle;
use std::time::Duration;

use serin::cli::settings::Secret;
use serin::cli::settings::Settings;
use serin::http;
use serin::model::ensure_default_models;
use serin::model::training::defaults::DEFAULT_MODELS;
use serin::service::Service;
use serin::service::clock::SystemClock;
use serin::service::clock::steady;
use serin::service::control::registry::Registry;
use serin::store;
use serin::store::Location;
use serin::store::Store;
use serin::store::StoreError;
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::client::Client;
use crate::misbehaving;
use crate::misbehaving::Hold;

/// A running server, and a client of it: calls are made on the app itself.
pub struct TestApp {
    /// The address it listens on.
    pub address: SocketAddr,
    /// Removed once the server has stopped.
    setup: Option<Setup>,
    client: Client,
    running: Option<Running>,
}

struct Running {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<std::io::Result<()>>,
}

/// The configuration of a server, kept for a restart.
pub struct Setup {
    folder: TempDir,
    settings: Settings,
    /// Where models that hang wait until the test ends.
    hold: Arc<Hold>,
}

impl TestApp {
    /// A server with the defaults, both default models, and a store in memory.
    pub fn spawn() -> TestApp {
        Setup::new().spawn()
    }

    /// A server whose store is a file, so that it can be restarted.
    pub fn spawn_durable() -> TestApp {
        Setup::new().durable().spawn()
    }

    /// Another client, with connections of its own, for another thread.
    pub fn client(&self) -> Client {
        Client::new(self.address, self.setup().token())
    }

    /// The models folder.
    pub fn models(&self) -> PathBuf {
        self.setup().models()
    }

    /// The path of the store's file, which may not exist.
    pub fn database(&self) -> PathBuf {
        self.setup().database()
    }

    /// Lets models that hang go on.
    pub fn release(&self) {
        self.setup().hold.release();
    }

    /// How many predictions of models that hang are under way.
    pub fn hanging(&self) -> usize {
        self.setup().hold.waiting()
    }

    /// Stops gracefully, and gives back what a restart needs.
    pub fn stop(mut self) -> Setup {
        if let Some(Running { stop, thread }) = self.running.take() {
            drop(stop);
            thread.join().unwrap().unwrap();
        }
        self.setup.take().unwrap()
    }

    /// Stops gracefully and starts again.
    pub fn restart(self) -> TestApp {
        self.stop().spawn()
    }

    fn setup(&self) -> &Setup {
        self.setup.as_ref().unwrap()
    }
}

impl Deref for TestApp {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        if let Some(setup) = &self.setup {
            setup.hold.release();
        }
        if let Some(Running { stop, thread }) = self.running.take() {
            drop(stop);
            // A failing test reports its own panic; a second one would abort it.
            let _ = thread.join();
        }
    }
}

impl Setup {
    /// The defaults, both default models, and a store in memory.
    pub fn new() -> Setup {
        let setup = Setup::bare();
        let models = setup.models();
        fs::create_dir(&models).unwrap();
        for (name, bytes) in DEFAULT_MODELS.into_iter().zip(default_models()) {
            fs::write(models.join(name), bytes).unwrap();
        }
        setup
    }

    fn bare() -> Setup {
        let settings = Settings {
            listen: "127.0.0.1:0".to_owned(),
            store: Location::Memory,
            drain_delay: Duration::ZERO,
            ..Settings::default()
        };
        Setup { folder: tempfile::tempdir().unwrap(), settings, hold: Arc::default() }
    }

    /// With a store in a file.
    pub fn durable(self) -> Setup {
        let store = Location::Sqlite(self.database());
        self.given(|settings| settings.store = store)
    }

    /// With other settings, as the flags of `serin serve` give them.
    pub fn given(mut self, change: impl FnOnce(&mut Settings)) -> Setup {
        change(&mut self.settings);
        self
    }

    /// With one more file in the models folder.
    pub fn model(self, name: &str, bytes: impl AsRef<[u8]>) -> Setup {
        fs::write(self.models().join(name), bytes).unwrap();
        self
    }

    /// The models folder.
    pub fn models(&self) -> PathBuf {
        self.folder.path().join("models")
    }

    /// The path of the store's file, which may not exist.
    pub fn database(&self) -> PathBuf {
        self.folder.path().join("serin.db")
    }

    fn token(&self) -> Option<&str> {
        self.settings.admin_token.as_ref().map(Secret::reveal)
    }

    /// Starts the server.
    pub fn spawn(self) -> TestApp {
        // Ignores a `serin.toml` in the developer's folder.
        let settings = &self.settings;
        let decode = misbehaving::decoder(self.hold.clone());
        let service = Service::start(
            settings.service().unwrap(),
            store_once_free(&settings.store),
            Registry::with_decoder(self.models(), decode),
            Arc::new(SystemClock::default()),
        );
        let service = Arc::new(service.unwrap());
        let listener = TcpListener::bind(&settings.listen).unwrap();
        let bound = listener.local_addr().unwrap();
        let http_settings = settings.http(bound.ip()).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            // A dropped sender also means stop.
            let shutdown = async { drop(stopped.await) };
            let serving =
                http::run(listener, service, http_settings, shutdown, std::future::pending());
            actix_web::rt::System::new().block_on(serving)
        });
        let address = SocketAddr::from(([127, 0, 0, 1], bound.port()));
        let client = Client::new(address, self.token());
        TestApp { address, setup: Some(self), client, running: Some(Running { stop, thread }) }
    }
}

/// Opens the store once it is free. The worker threads of a stopped server end a moment after it, and a process
/// that another test has just forked holds this test's files until its exec. 10 seconds are long enough for both.
pub fn store_once_free(location: &Location) -> Arc<dyn Store> {
    for _ in 0..5000 {
        match store::open(location, steady()) {
            Err(StoreError::InUse { .. }) => std::thread::sleep(Duration::from_millis(2)),
            opened => return opened.unwrap(),
        }
    }
    store::open(location, steady()).unwrap()
}

/// The bytes of the default models, trained once for all tests.
pub fn default_models() -> [&'static [u8]; 2] {
    static MODELS: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
    let models = MODELS.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        ensure_default_models(folder.path()).unwrap();
        let read = |name: &str| fs::read(Path::new(folder.path()).join(name)).unwrap();
        DEFAULT_MODELS.map(read)
    });
    [&models[0], &models[1]]
}
