//! What only a PostgreSQL store has: a connection that breaks, and tables that other programs could have.

use std::io::Read as _;
use std::io::Write as _;
use std::net::Shutdown;
use std::net::TcpListener;
use std::net::TcpStream;
use std::process::Command;
use std::process::Stdio;
use std::sync::atomic::AtomicBool;

use super::cluster::Cluster;
use super::cluster::PASSWORD;
use super::cluster::fresh_schema;
use super::*;
use crate::store::postgres::PostgresStore;

fn open(url: &str) -> Result<PostgresStore, StoreError> {
    PostgresStore::open(&url.parse().unwrap(), steady())
}

pub(super) fn opened(url: &str) -> PostgresStore {
    open(url).unwrap()
}

/// Where statements of one schema's tables go.
pub(super) fn sql(schema: &str, statement: &str) -> String {
    Cluster::shared().sql(&format!("SET search_path = {schema}; {statement}"))
}

/// Asks until this is so, for about twenty seconds.
pub(super) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{what} did not happen");
}

/// What a call answers within these seconds.
pub(super) fn within<T: Send>(seconds: u64, call: impl FnOnce() -> T + Send) -> T {
    let (answer, answered) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || answer.send(call()).unwrap());
        answered.recv_timeout(Duration::from_secs(seconds)).unwrap()
    })
}

#[test]
fn a_postgres_store_is_all_there_when_it_is_opened_again() {
    let url = Cluster::shared().fresh_url();
    let stable = Version { name: "v1".into(), file: "v1.bin".into(), digest: "d".into() };
    {
        let store = opened(&url);
        store.append(0, at(1), &Event::Initialized { stable: stable.clone() }).unwrap();
        store.save_checkpoint(ONLY, &checkpoint(1, 9), &[]).unwrap();
        store.save_artifact("d", b"bytes").unwrap();
        store.settle().unwrap();
        assert!(store.bytes().unwrap() > 0);
    }
    let store = opened(&url);
    assert_eq!(store.entries(0, 10).unwrap()[0].event, Event::Initialized { stable });
    assert_eq!(store.checkpoint(ONLY).unwrap(), Some(checkpoint(1, 9)));
    assert_eq!(store.artifact("d").unwrap().as_deref(), Some(b"bytes".as_slice()));
    // A command reads while it runs, and writes nothing.
    let visitor = PostgresStore::open_to_read(&url.parse().unwrap(), steady()).unwrap();
    store.append(1, at(2), &slowdown(1)).unwrap();
    assert_eq!(visitor.newest_sequence().unwrap(), 1, "one moment for all reads");
    assert!(visitor.append(1, at(2), &slowdown(1)).is_err());
}

#[test]
fn a_lease_that_has_ended_unnoticed_is_taken_back_if_no_other_process_had_it() {
    let schema = fresh_schema();
    let store = opened(&Cluster::shared().url(&schema));
    store.append(0, at(0), &slowdown(1)).unwrap();
    for n in 1..3 {
        sql(&schema, "UPDATE lease SET expires_at = clock_timestamp()");
        store.append(n, at(0), &slowdown(2)).unwrap();
        sql(&schema, "UPDATE lease SET expires_at = clock_timestamp()");
        store.save_checkpoint(ONLY, &checkpoint(1, n), &[]).unwrap();
    }
    assert_eq!(sql(&schema, "SELECT array_agg(epoch ORDER BY sequence) FROM journal"), "{1,2,4}");
}

#[test]
fn of_two_writers_at_the_same_moment_the_later_one_gets_a_conflict() {
    let schema = fresh_schema();
    let store = opened(&Cluster::shared().url(&schema));
    std::thread::scope(|scope| {
        let rival =
            "BEGIN; INSERT INTO journal VALUES (1, '', 0, '', ''); SELECT pg_sleep(0.5); COMMIT";
        let rival = scope.spawn(|| sql(&schema, rival));
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        until("the rival's insert", || Cluster::shared().sql(waiting) != "0");
        let late = store.append(0, at(0), &slowdown(1));
        assert!(matches!(late, Err(StoreError::Conflict { expected: 0, actual: 1 })), "{late:?}");
        rival.join().unwrap();
    });
}

#[test]
fn many_processes_make_the_tables_at_once() {
    let url = Cluster::shared().fresh_url();
    let stores: Vec<_> = std::thread::scope(|scope| {
        let openers: Vec<_> = (0..8).map(|_| scope.spawn(|| opened(&url))).collect();
        openers.into_iter().map(|opener| opener.join().unwrap()).collect()
    });
    let leaders = stores.iter().filter(|store| store.role() == Role::Leader);
    assert_eq!(leaders.count(), 1);
}

#[test]
fn tables_of_another_version_or_program_are_refused() {
    let schema = fresh_schema();
    let url = Cluster::shared().url(&schema);
    let message = |opened: Result<PostgresStore, StoreError>| opened.err().unwrap().to_string();
    let to_read = || PostgresStore::open_to_read(&url.parse().unwrap(), steady());
    assert!(message(to_read()).contains("no tables of serin"));
    drop(opened(&url));
    sql(&schema, "UPDATE serin_schema SET version = 99");
    for refused in [message(open(&url)), message(to_read())] {
        assert!(refused.contains("schema version 99, written by a newer serin"), "{refused}");
    }
    let other = fresh_schema();
    Cluster::shared()
        .sql(&format!("SET ROLE serin; CREATE SCHEMA {other}; CREATE TABLE {other}.t (x int)"));
    let refused = message(open(&Cluster::shared().url(&other)));
    assert!(refused.contains("tables of another program"), "{refused}");
    let denied = fresh_schema();
    Cluster::shared().sql(&format!("SET ROLE postgres; CREATE SCHEMA {denied}"));
    let refused = message(open(&Cluster::shared().url(&denied)));
    assert!(refused.contains("AUTHORIZATION \"serin\""), "{refused}");
}

/// Passes bytes between serin and the database, and can lose some of them.
pub(super) struct Proxy {
    port: u16,
    loses: Arc<Loses>,
}

/// What a proxy loses.
#[derive(Default)]
pub(super) struct Loses {
    /// The next answer, with its connection.
    pub(super) answer: AtomicBool,
    /// New connections.
    pub(super) new: AtomicBool,
    /// All connections.
    pub(super) all: AtomicBool,
    /// Notifications, as a pooler does.
    pub(super) notifications: AtomicBool,
}

impl Proxy {
    pub(super) fn start() -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let loses = Arc::<Loses>::default();
        let all = loses.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map(Result::unwrap) {
                if all.new.load(Ordering::SeqCst) || all.all.load(Ordering::SeqCst) {
                    continue;
                }
                let server = TcpStream::connect(("127.0.0.1", Cluster::shared().port)).unwrap();
                let (from_client, to_server) =
                    (client.try_clone().unwrap(), server.try_clone().unwrap());
                let loses = all.clone();
                std::thread::spawn(move || {
                    pass(from_client, to_server, |bytes| {
                        (!loses.all.load(Ordering::SeqCst)).then(|| bytes.to_vec())
                    });
                });
                let (loses, mut rest) = (all.clone(), Vec::new());
                std::thread::spawn(move || {
                    pass(server, client, move |bytes| {
                        let is_lost = loses.answer.swap(false, Ordering::SeqCst)
                            || loses.all.load(Ordering::SeqCst);
                        rest.extend_from_slice(bytes);
                        let hides = loses.notifications.load(Ordering::SeqCst);
                        (!is_lost).then(|| messages(&mut rest, hides))
                    });
                });
            }
        });
        Proxy { port, loses }
    }

    pub(super) fn url(&self, schema: &str) -> String {
        let port = self.port;
        format!(
            "postgres://serin:{PASSWORD}@127.0.0.1:{port}/serin?schema={schema}&sslmode=disable"
        )
    }

    /// Begins or ceases to lose something.
    pub(super) fn lose(&self, what: fn(&Loses) -> &AtomicBool, is_lost: bool) {
        what(&self.loses).store(is_lost, Ordering::SeqCst);
    }
}

/// Takes the whole messages of the database, without its notifications if those are hidden.
fn messages(bytes: &mut Vec<u8>, hides: bool) -> Vec<u8> {
    let mut whole = Vec::new();
    while let [kind, a, b, c, d, ..] = bytes[..] {
        let length = 1 + u32::from_be_bytes([a, b, c, d]) as usize;
        if bytes.len() < length {
            break;
        }
        let message = bytes.drain(..length);
        if kind != b'A' || !hides {
            whole.extend(message);
        }
    }
    whole
}

fn pass(mut from: TcpStream, mut to: TcpStream, mut passed: impl FnMut(&[u8]) -> Option<Vec<u8>>) {
    let mut buffer = [0; 65_536];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let Some(bytes) = passed(&buffer[..length]) else { break };
        if to.write_all(&bytes).is_err() {
            break;
        }
    }
    // The other direction may have closed them.
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

#[test]
fn an_append_whose_answer_was_lost_is_found_in_the_journal() {
    let (proxy, schema) = (Proxy::start(), fresh_schema());
    let store = opened(&proxy.url(&schema));
    for n in 0..3 {
        proxy.lose(|it| &it.answer, true);
        store.append(n, at(0), &slowdown(n as u32)).unwrap();
        assert!(!proxy.loses.answer.load(Ordering::SeqCst), "an answer was lost");
    }
    assert_eq!(store.newest_sequence().unwrap(), 3);
    assert_eq!(sql(&schema, "SELECT count(*) FROM journal"), "3");
    proxy.lose(|it| &it.answer, true);
    assert_eq!(store.newest_sequence().unwrap(), 3, "a read is repeated");
}

#[test]
fn an_append_is_called_unknown_while_it_is() {
    let (proxy, schema) = (Proxy::start(), fresh_schema());
    let store = opened(&proxy.url(&schema));
    store.append(0, at(0), &slowdown(0)).unwrap();
    proxy.lose(|it| &it.new, true);
    proxy.lose(|it| &it.answer, true);
    let unsure = store.append(1, at(0), &slowdown(1)).unwrap_err();
    assert!(matches!(unsure, StoreError::Unsure { .. }), "{unsure}");
    let down = store.append(1, at(0), &slowdown(1)).unwrap_err();
    assert!(matches!(down, StoreError::Unreachable { .. }), "{down}");
    assert!(store.settle().is_err() && !down.to_string().contains(PASSWORD), "{down}");
    proxy.lose(|it| &it.new, false);
    until("the new connection", || store.settle().is_ok());
    let found = store.append(1, at(0), &slowdown(1)).unwrap_err();
    assert!(matches!(found, StoreError::Conflict { expected: 1, actual: 2 }), "{found}");
    assert_eq!(store.entries(1, 10).unwrap()[0].event, slowdown(1));
}

#[test]
fn a_journal_that_has_become_shorter_is_not_continued() {
    let (proxy, schema) = (Proxy::start(), fresh_schema());
    let store = opened(&proxy.url(&schema));
    store.append(0, at(0), &slowdown(0)).unwrap();
    store.append(1, at(0), &slowdown(0)).unwrap();
    sql(&schema, "DELETE FROM journal WHERE sequence = 2");
    proxy.lose(|it| &it.answer, true);
    let refused = store.save_secret("s", b"").and_then(|()| store.save_secret("s", b""));
    assert!(refused.is_err());
    until("the check", || {
        matches!(store.settle(), Err(StoreError::Shortened { newest: 1, known: 2, .. }))
    });
    assert!(store.append(1, at(0), &slowdown(9)).is_err());
}

/// Stops the processes of a server with SIGSTOP, or lets them go on with SIGCONT.
fn signal(cluster: &Cluster, signal: &str) {
    let file = std::fs::read_to_string(cluster.folder.join("data/postmaster.pid")).unwrap();
    let server = file.lines().next().unwrap().to_owned();
    let children = Command::new("ps").args(["-o", "pid=", "--ppid", &server]).output().unwrap();
    let children = String::from_utf8(children.stdout).unwrap();
    let ids = children.split_whitespace().chain([server.as_str()]);
    // A backend may have ended in between.
    Command::new("kill").arg(signal).args(ids).stderr(Stdio::null()).status().unwrap();
}

#[test]
fn a_halted_database_is_an_error_within_seconds() {
    let mut cluster = Cluster::start();
    let store = opened(&cluster.fresh_url());
    store.wait_for_entry(0, Duration::ZERO).unwrap();
    // An administrator ends all connections.
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE 'serin/%'";
    assert_eq!(cluster.sql(end), "3");
    store.append(0, at(0), &slowdown(0)).unwrap();
    assert_eq!(store.newest_sequence().unwrap(), 1);
    signal(&cluster, "-STOP");
    within(25, || {
        assert!(store.append(1, at(0), &slowdown(1)).is_err());
        assert!(store.newest_sequence().is_err());
        assert!(store.wait_for_entry(1, Duration::from_secs(1)).is_err());
    });
    signal(&cluster, "-CONT");
    until("the new connection", || store.settle().is_ok());
    until("the next read", || store.newest_sequence().is_ok());
    let newest = store.newest_sequence().unwrap();
    store.append(newest, at(0), &slowdown(2)).unwrap();
    cluster.end();
    let gone = open(&cluster.url("other")).err().unwrap();
    assert!(matches!(gone, StoreError::Database { .. }), "{gone}");
}

#[test]
fn connections_are_encrypted_and_certificates_verified_as_asked() {
    let cluster = Cluster::start();
    let certificates = "
        key='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
         openssl req -x509 $key -keyout ca.key -out ca.crt -subj /CN=ca -days 2
         openssl req $key -keyout data/server.key -out server.csr -subj /CN=localhost
         echo subjectAltName=DNS:localhost >names
         openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 \
            -out data/server.crt -extfile names";
    assert!(cluster.command("sh").args(["-ec", certificates]).output().unwrap().status.success());
    let url = |host: &str, options: &str| {
        let (port, schema) = (cluster.port, fresh_schema());
        format!("postgres://serin:{PASSWORD}@{host}:{port}/serin?schema={schema}{options}")
    };
    let encrypted = "SELECT string_agg(DISTINCT ssl::text, ',') FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
                     WHERE application_name LIKE 'serin/%'";
    let plain = opened(&url("localhost", ""));
    assert_eq!(cluster.sql(encrypted), "false");
    drop(plain);
    cluster.sql("ALTER SYSTEM SET ssl = on");
    cluster.sql("SELECT pg_reload_conf()");
    until("TLS", || open(&url("localhost", "&sslmode=require")).is_ok());
    let root = format!("&sslmode=verify-full&sslrootcert={}/ca.crt", cluster.folder.display());
    for options in ["", "&sslmode=require", &root] {
        let store = opened(&url("localhost", options));
        store.append(0, at(0), &slowdown(1)).unwrap();
        assert_eq!(cluster.sql(encrypted), "true", "{options}");
    }
    let message = |url: String| open(&url).err().unwrap().to_string();
    let unknown = message(url("localhost", "&sslmode=verify-full"));
    assert!(unknown.contains("UnknownIssuer"), "{unknown}");
    let other_name = message(url("127.0.0.1", &root));
    assert!(other_name.contains("not valid for name"), "{other_name}");
    let no_file = message(url("localhost", "&sslmode=verify-full&sslrootcert=/no/such"));
    assert!(no_file.contains("sslrootcert: /no/such"), "{no_file}");
    drop(opened(&url("127.0.0.1", "&sslmode=disable")));
}
