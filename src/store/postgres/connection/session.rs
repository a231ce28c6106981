//! Session: one connection to the database, and calls that wait for a limited time.
//!
//! The driver's futures are driven here, by a runtime that nothing else uses, so a session belongs on a thread that
//! drives no other futures. The driver alone waits for ever for a database that has been halted.

use std::future::poll_fn;
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::runtime::Builder;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::mpsc::unbounded_channel;
use tokio_postgres::AsyncMessage;
use tokio_postgres::Client;
use tokio_postgres::Config;
use tokio_postgres::Connection;
use tokio_postgres::NoTls;
use tokio_postgres::Row;
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::error::Severity;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::types::Type;

use super::tls::connector;
use super::url::PostgresUrl;
use crate::store::error::StoreError;

/// A value in a statement, and its type. The type saves a question to the database.
pub(in crate::store::postgres) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// What a session is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::store::postgres) enum Purpose {
    /// Writes the journal, the evidence and the lease.
    Writer,
    /// Reads for a server, and saves model files.
    Reader,
    /// Waits for entries of the journal.
    Listener,
    /// Reads for a command, between long computations.
    Visitor,
}

/// Why a call failed.
pub(in crate::store::postgres) enum Failure {
    /// The connection is gone. Whether the statement was executed is unknown.
    Lost(String),
    /// The database refused; nothing has changed.
    Refused { code: SqlState, cause: String },
    /// Another process holds the lease, or this one's has ended. Nothing has changed.
    NotHeld,
    /// What was to be written, or was read, is wrong.
    Store(StoreError),
}

impl From<StoreError> for Failure {
    fn from(cause: StoreError) -> Failure {
        Failure::Store(cause)
    }
}

/// How much of the name of a process is in the name of its connection.
const NAME: usize = 48;

/// A connection.
pub(in crate::store::postgres) struct Session {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    client: Client,
    /// What this session was notified of. Its other end is gone when the connection has ended.
    notifications: UnboundedReceiver<()>,
    is_broken: bool,
    /// How long a call may take.
    limit: Duration,
}

/// How long a connection may take to be made: 2 s to reach the machine, and then the login.
const CONNECT: Duration = Duration::from_secs(2);
const LOGIN: Duration = Duration::from_secs(4);

/// How long a call may take. Longer than the database's own limit, so that its error comes first.
const CALL: Duration = Duration::from_secs(5);

impl Session {
    /// Connects.
    pub(in crate::store::postgres) fn open(
        url: &PostgresUrl,
        purpose: Purpose,
        name: &str,
    ) -> Result<Session, String> {
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(|it| it.to_string())?;
        let config = configured(url, purpose, name);
        let (notify, notifications) = unbounded_channel();
        let connecting = async {
            if url.has_tls {
                let tls = connector(url.verified_by.as_ref())?;
                let (client, connection) = config.connect(tls).await.map_err(|it| cause_of(&it))?;
                spawn(connection, notify);
                Ok(client)
            } else {
                let (client, connection) =
                    config.connect(NoTls).await.map_err(|it| cause_of(&it))?;
                spawn(connection, notify);
                Ok(client)
            }
        };
        let late = || format!("no answer within {} s", LOGIN.as_secs());
        let connected = runtime.block_on(async { tokio::time::timeout(LOGIN, connecting).await });
        let client = match connected.map_err(|_| late()).and_then(|connected| connected) {
            Ok(client) => client,
            Err(cause) => {
                // The resolver of names may still be waiting.
                runtime.shutdown_background();
                return Err(cause);
            }
        };
        let mut session = Session {
            runtime: Some(runtime),
            client,
            notifications,
            is_broken: false,
            limit: CALL,
        };
        let (statement, idle) = match purpose {
            Purpose::Writer => ("3s", "5s"),
            // A model file may take its time.
            Purpose::Reader => ("60s", "5s"),
            Purpose::Listener => ("3s", "5s"),
            Purpose::Visitor => ("60s", "10min"),
        };
        session
            .batch(&format!(
                "SET statement_timeout = '{statement}'; SET lock_timeout = '1s';
                 SET idle_in_transaction_session_timeout = '{idle}';
                 SET search_path = \"{}\";
                 SELECT set_config('synchronous_commit', 'on', false)
                 WHERE current_setting('synchronous_commit') = 'off'",
                url.schema
            ))
            .map_err(Failure::cause)?;
        Ok(session)
    }

    /// Whether nothing can be sent any more, as far as this machine has heard.
    pub(in crate::store::postgres) fn is_broken(&mut self) -> bool {
        if let Some(runtime) = self.runtime.as_ref().filter(|_| !self.is_broken) {
            // The end of a connection arrives between two calls, when nothing reads it.
            runtime.block_on(async {
                for _ in 0..3 {
                    tokio::task::yield_now().await;
                }
            });
        }
        self.is_broken || self.client.is_closed()
    }

    /// The rows of a statement.
    pub(in crate::store::postgres) fn query(
        &mut self,
        statement: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, Failure> {
        self.within(async |client| client.query_typed(statement, parameters).await)
    }

    /// The only row of a statement, if there is one.
    pub(in crate::store::postgres) fn row(
        &mut self,
        statement: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Option<Row>, Failure> {
        self.within(async |client| client.query_typed_opt(statement, parameters).await)
    }

    /// Executes a statement.
    pub(in crate::store::postgres) fn execute(
        &mut self,
        statement: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<(), Failure> {
        self.query(statement, parameters).map(|_| ())
    }

    /// Executes statements without parameters.
    pub(in crate::store::postgres) fn batch(&mut self, statements: &str) -> Result<(), Failure> {
        self.within(async |client| client.batch_execute(statements).await)
    }

    /// Waits for a notification, and answers whether one came. Those that have come with it count as one.
    pub(in crate::store::postgres) fn is_notified(
        &mut self,
        patience: Duration,
    ) -> Result<bool, Failure> {
        let Some(runtime) = self.runtime.as_ref().filter(|_| !self.is_broken) else {
            return Err(closed());
        };
        let notified = self.notifications.recv();
        match runtime.block_on(async { tokio::time::timeout(patience, notified).await }) {
            Ok(Some(())) => {
                while self.notifications.try_recv().is_ok() {}
                Ok(true)
            }
            Ok(None) => {
                self.is_broken = true;
                Err(closed())
            }
            Err(_) => Ok(false),
        }
    }

    /// Executes all of it or nothing.
    pub(in crate::store::postgres) fn transaction<T>(
        &mut self,
        body: impl FnOnce(&mut Session) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.batch("BEGIN")?;
        let done = body(self).and_then(|value| self.batch("COMMIT").map(|()| value));
        if done.is_err() && !self.is_broken() && self.batch("ROLLBACK").is_err() {
            self.is_broken = true;
        }
        done
    }

    /// Lets the calls of a job take so long.
    pub(in crate::store::postgres) fn patiently<T>(
        &mut self,
        limit: Duration,
        body: impl FnOnce(&mut Session) -> T,
    ) -> T {
        let before = std::mem::replace(&mut self.limit, limit);
        let done = body(self);
        self.limit = before;
        done
    }

    fn within<T>(
        &mut self,
        call: impl AsyncFnOnce(&Client) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, Failure> {
        let Some(runtime) = self.runtime.as_ref().filter(|_| !self.is_broken) else {
            return Err(closed());
        };
        let (client, limit) = (&self.client, self.limit);
        let answered = runtime.block_on(async { tokio::time::timeout(limit, call(client)).await });
        let failure = match answered {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(cause)) => failure(&cause, client.is_closed()),
            Err(_) => Failure::Lost(format!("no answer within {} s", limit.as_secs())),
        };
        self.is_broken = matches!(failure, Failure::Lost(_));
        Err(failure)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Failure {
    /// What happened, in words.
    pub(in crate::store::postgres) fn cause(self) -> String {
        match self {
            Failure::Lost(cause) | Failure::Refused { cause, .. } => cause,
            Failure::NotHeld => "the lease is not held".to_owned(),
            Failure::Store(cause) => cause.to_string(),
        }
    }
}

/// Drives a connection. It ends with its client, and the call that meets its error returns it.
fn spawn<S, T>(mut connection: Connection<S, T>, notify: UnboundedSender<()>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    drop(tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notification(_) = message {
                // Nothing waits for it any more once the session is gone.
                let _ = notify.send(());
            }
        }
    }));
}

fn closed() -> Failure {
    Failure::Lost("the connection is closed".to_owned())
}

fn configured(url: &PostgresUrl, purpose: Purpose, name: &str) -> Config {
    let mut config = url.config.clone();
    let (suffix, target) = match purpose {
        Purpose::Writer => ("writer", TargetSessionAttrs::ReadWrite),
        Purpose::Reader => ("reader", TargetSessionAttrs::ReadWrite),
        // A standby sends no notifications.
        Purpose::Listener => ("listener", TargetSessionAttrs::ReadWrite),
        Purpose::Visitor => ("visitor", TargetSessionAttrs::Any),
    };
    // The database cuts off what is longer than 63 bytes.
    let name = &name[..name.floor_char_boundary(NAME)];
    config
        .application_name(format!("serin/{name}/{suffix}"))
        .target_session_attrs(target)
        .connect_timeout(CONNECT)
        .tcp_user_timeout(Duration::from_secs(5))
        .keepalives_idle(Duration::from_secs(5))
        .keepalives_interval(Duration::from_secs(2))
        .keepalives_retries(3);
    if let (None, Ok(password)) = (config.get_password(), std::env::var("PGPASSWORD")) {
        config.password(password);
    }
    config
}

fn failure(error: &tokio_postgres::Error, is_closed: bool) -> Failure {
    let cause = cause_of(error);
    match error.as_db_error() {
        Some(answer)
            if !is_closed
                && !matches!(answer.parsed_severity(), Some(Severity::Fatal | Severity::Panic)) =>
        {
            Failure::Refused { code: answer.code().clone(), cause }
        }
        Some(_) => Failure::Lost(cause),
        // A value that does not fit its type was not sent, or has arrived whole: the connection goes on.
        None if !is_closed && !is_of_connection(error) => {
            Failure::Refused { code: SqlState::DATA_EXCEPTION, cause }
        }
        None => Failure::Lost(cause),
    }
}

fn is_of_connection(error: &tokio_postgres::Error) -> bool {
    let source = std::error::Error::source(error);
    error.is_closed() || source.is_none_or(|source| source.is::<std::io::Error>())
}

/// The words of the database, or of the driver and its causes.
fn cause_of(error: &tokio_postgres::Error) -> String {
    if let Some(answer) = error.as_db_error() {
        return format!("{} (SQLSTATE {})", answer.message(), answer.code().code());
    }
    let mut words = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        words = format!("{words}: {cause}");
        source = cause.source();
    }
    words
}
