//! Listening, and stopping without losing anything.

use std::future::Future;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::App;
use actix_web::HttpServer;
use actix_web::web::Data;

use super::reading::under_way::BodyRoom;
use super::routes::routes;
use super::settings::Settings;
use super::shared::AnalysisQueue;
use super::shared::BatchQueue;
use super::shared::Shared;
use crate::service::Service;
use crate::service::background::Background;

/// How long a client may take to send the request headers.
const HEADERS_DEADLINE: Duration = Duration::from_secs(5);

/// How long an idle connection stays open.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Serves until `shutdown` completes, then finishes open requests and saves what was observed. At first it only
/// stops being ready: for the drain delay it still answers, and closes each connection after an answer. When
/// `abort` completes, it waits for no request.
///
/// Takes a bound listener, so that the caller knows its port.
///
/// # Errors
/// When the operating system refuses a socket or a thread, or the last samples cannot be saved.
pub async fn run(
    listener: TcpListener,
    service: Arc<Service>,
    settings: Settings,
    shutdown: impl Future<Output = ()> + 'static,
    abort: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let background = Background::start(service.clone())?;
    let (workers, connections) = (settings.workers, settings.connections);
    let drain_delay = settings.drain_delay;
    let drain_deadline = settings.drain_deadline.as_secs().max(1);
    let (batches, bodies) = (BatchQueue::new(workers), BodyRoom::new(settings.body_limit));
    let shared = Data::new(Shared {
        service: service.clone(),
        settings,
        bodies,
        analyses: AnalysisQueue::default(),
        batches,
    });
    let server = HttpServer::new(move || App::new().app_data(shared.clone()).configure(routes))
        .workers(workers)
        .max_connections(connections)
        .client_request_timeout(HEADERS_DEADLINE)
        .keep_alive(KEEP_ALIVE)
        .shutdown_timeout(drain_deadline)
        .disable_signals()
        .listen(listener)?
        .run();
    let handle = server.handle();
    actix_web::rt::spawn(async move {
        shutdown.await;
        service.serving.drain();
        tokio::time::sleep(drain_delay).await;
        handle.stop(true).await;
    });
    let outcome = tokio::select! {
        outcome = server => outcome,
        () = abort => Ok(()),
    };
    background.stop().and(outcome)
}
