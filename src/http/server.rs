//! Listening, and stopping without losing anything.

use std::convert::Infallible;
use std::future::Future;
use std::net::TcpListener;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use actix_http::HttpService;
use actix_service::IntoServiceFactory;
use actix_service::ServiceFactoryExt as _;
use actix_service::fn_service;
use actix_service::map_config;
use actix_web::App;
use actix_web::Error;
use actix_web::dev::AppConfig;
use actix_web::dev::ServiceRequest;
use actix_web::dev::ServiceResponse;
use actix_web::rt::net::TcpStream;
use actix_web::web::Data;
use tokio::sync::Semaphore;

use super::connection::Connection;
use super::connection::HEAD_DEADLINE;
use super::connection::KEEP_ALIVE;
use super::connection::UnderWay;
use super::page;
use super::page::viewers::Viewers;
use super::reading::body_room::BodyRoom;
use super::routes::routes;
use super::settings::Settings;
use super::shared::AnalysisQueue;
use super::shared::BatchQueue;
use super::shared::ReplayQueue;
use super::shared::Shared;
use super::shared::State;
use super::trace::followed::Following;
use crate::service::Service;
use crate::service::background::Background;

/// How long a client may take to read the rest of the last answer of its connection.
const DISCONNECT_DEADLINE: Duration = Duration::from_secs(1);

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
    let shared = Shared::new(State {
        service: service.clone(),
        settings,
        listens: listener.local_addr()?,
        bodies,
        analyses: AnalysisQueue::default(),
        replays: ReplayQueue::default(),
        batches,
        scrapes: Semaphore::new(1),
        documents: Semaphore::new(1),
        viewers: Viewers::default(),
    });
    actix_web::rt::spawn(page::keep_up_to_date(service.clone(), shared.clone()));
    let builder = actix_server::Server::build()
        .workers(workers)
        .max_concurrent_connections(connections)
        .shutdown_timeout(drain_deadline)
        .disable_signals();
    let stopping = builder.graceful_shutdown_signal();
    let clock = service.serving.clock.clone();
    let following = Following {
        tracer: shared.settings.tracer.clone(),
        model: shared.settings.model_name.as_str().into(),
        clock: clock.clone(),
    };
    // As `actix_web::HttpServer` does it, but with a stream of our own.
    let builder = builder.listen("serin", listener, move || {
        let (stopping, following) = (stopping.clone(), following.clone());
        let app = App::new()
            .app_data(Data::new(shared.clone()))
            .wrap_fn(move |request, handlers| under_way(request, handlers, &following))
            .configure(|config| routes(config, &shared.settings));
        let app = app.into_factory();
        let app = app.map_err(|error: actix_web::Error| error.error_response());
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .keep_alive(KEEP_ALIVE)
            .client_request_timeout(HEAD_DEADLINE)
            .client_disconnect_timeout(DISCONNECT_DEADLINE)
            .on_connect_ext(|connection: &Connection<TcpStream>, data| {
                data.insert(connection.under_way());
                data.insert(connection.departure());
            })
            .h1(map_config(app, |()| AppConfig::default()));
        let clock = clock.clone();
        fn_service(move |stream: TcpStream| {
            let (peer, clock) = (stream.peer_addr().ok(), clock.clone());
            async move { Ok::<_, Infallible>((Connection::new(stream, clock), peer)) }
        })
        .map_err(|never| match never {})
        .and_then(http)
    })?;
    let server = builder.run();
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

/// Tells the connection of a request that it is under way, until its answer is known, and follows the request.
fn under_way<B, S>(
    request: ServiceRequest,
    handlers: &S,
    following: &Following,
) -> impl Future<Output = Result<ServiceResponse<B>, Error>> + use<B, S>
where
    S: actix_service::Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
{
    let handled = request.conn_data::<UnderWay>().map(UnderWay::begin);
    let followed = following.follow(&request);
    let answer = handlers.call(request);
    async move {
        let _handled = handled;
        let mut answer = pin!(answer);
        match followed {
            None => answer.as_mut().await,
            Some(followed) => Box::pin(followed.answered(answer.as_mut())).await,
        }
    }
}
