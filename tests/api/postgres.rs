//! The binary on a PostgreSQL store: restarts, a database that goes away and returns, and several replicas.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;

use crate::binary::Process;
use crate::binary::serin;
use crate::client::Client;
use crate::cluster::Cluster;
use crate::cluster::fresh_schema;
use crate::process::folder;
use crate::raw;
use crate::replay::answer;

/// `serin serve` on this store, its log at the level of the default.
fn start(folder: &Path, store: &str) -> Process {
    let log = fs::File::options().create(true).append(true).open(folder.join("log")).unwrap();
    Process::start_logging(folder, log, &["--store", store])
}

fn serve(folder: &Path, store: &str) -> (Process, Client) {
    let mut process = start(folder, store);
    let address = process.address(folder);
    (process, Client::new(address, None))
}

/// What it says on its way to code 2.
fn refused(folder: &Path, store: &str) -> String {
    let command = ["serve", "--listen", "127.0.0.1:0", "--models", "models", "--store", store];
    let output = serin(folder).args(command).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    text
}

/// The status once this is so, which takes less than 30 seconds.
#[track_caller]
fn until(client: &Client, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let status = client.status();
        if is_so(&status) {
            return status;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{what}: {status}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn kill_minus_nine_loses_no_acknowledged_command_in_a_database() {
    let folder = folder();
    let store = Cluster::shared().fresh_url();
    let (mut process, client) = serve(folder.path(), &store);
    client.deploy_canary().done();
    client.set_traffic(50).done();
    client.predict_times(200);
    client.pause_canary().done();
    // The evidence is saved once a second.
    std::thread::sleep(Duration::from_millis(2500));
    let before = client.standing();
    let of_canary = before["tracks"]["canary"]["samples"].as_u64().unwrap();
    process.kill();

    let began = Instant::now();
    let (process, client) = serve(folder.path(), &store);
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert_eq!(client.standing(), before);
    assert!(of_canary > 50, "{before}");
    // The lease of the killed one ends by itself.
    assert_eq!(client.status()["fleet"]["leads"], false);
    until(&client, "it leads", |it| it["fleet"]["leads"] == true);
    assert_eq!(client.standing(), before);
    // A stop gives the lease back.
    assert_eq!(process.terminate().code(), Some(0));
    let (_process, client) = serve(folder.path(), &store);
    assert_eq!(client.status()["fleet"]["leads"], true);
    assert_eq!(client.standing(), before);

    let replayed = serin(folder.path())
        .args(["replay", "--json", "--store", &store])
        .stdout(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(answer(&replayed, 0)["store"], store);
    let tuned = serin(folder.path()).args(["tune", "--store", &store]).output().unwrap();
    let text = String::from_utf8_lossy(&tuned.stderr);
    assert!(!text.contains("cannot") && !text.contains("panicked"), "{text}");
}

#[test]
fn two_replicas_share_one_rollout_and_the_second_leads_when_the_first_ends() {
    let (one, two) = (folder(), folder());
    let store = Cluster::shared().fresh_url();
    // A start that fails gives the lease back.
    let command = ["serve", "--listen", "127.0.0.1:0", "--stable", "none.bin", "--store", &store];
    let failed = serin(one.path()).args(command).output().unwrap();
    assert_eq!(failed.status.code(), Some(2));
    let (first, of_first) = serve(one.path(), &store);
    let (second, of_second) = serve(two.path(), &store);
    let leads = |client: &Client| client.status()["fleet"]["leads"].clone();
    assert_eq!((leads(&of_first), leads(&of_second)), (true.into(), false.into()));
    // A command of one replica, and a question to the other right after it.
    of_second.deploy_canary().done();
    assert_eq!(of_first.status()["canary"]["version"], "model_v2");
    of_first.set_traffic(50).done();
    assert_eq!(of_second.status()["traffic_percent"], 50.0);
    let canary = of_first.predict_times(40) + of_second.predict_times(60);
    assert_eq!(canary, 50);
    let tracks = |it: &Value| {
        let requests = |track: &str| it["tracks"][track]["requests"].as_u64().unwrap();
        (requests("stable"), requests("canary"))
    };
    for client in [&of_first, &of_second] {
        let seen = |it: &Value| it["health"]["sequential"]["metrics"][0]["samples"].clone();
        let status = until(client, "all samples", |it| {
            tracks(it) == (50, 50) && seen(it)["canary"] == 50 && seen(it)["stable"] == 50
        });
        assert_eq!(status["fleet"]["replicas"].as_array().unwrap().len(), 2, "{status}");
    }
    assert_eq!(first.terminate().code(), Some(0));
    let status = until(&of_second, "it leads", |it| it["fleet"]["leads"] == true);
    assert_eq!(tracks(&status), (50, 50), "the samples of the first still count");
    of_second.predict_times(20);
    until(&of_second, "its samples", |it| tracks(it) == (60, 60));
    of_second.rollback_canary().done();
    assert_eq!(second.terminate().code(), Some(0));
    let replayed = serin(two.path())
        .args(["replay", "--json", "--store", &store])
        .stdout(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(answer(&replayed, 0)["differ"], 0);
}

#[test]
fn of_eight_servers_that_start_at_once_on_an_empty_database_one_leads_and_all_serve() {
    let store = Cluster::shared().fresh_url();
    let folders: Vec<_> = (0..8).map(|_| folder()).collect();
    let started = folders.iter().map(|folder| (start(folder.path(), &store), folder));
    let mut started: Vec<_> = started.collect();
    let clients: Vec<_> = started
        .iter_mut()
        .map(|(process, folder)| Client::new(process.address(folder.path()), None))
        .collect();
    let leaders = clients.iter().filter(|client| client.status()["fleet"]["leads"] == true).count();
    assert_eq!(leaders, 1);
    clients[3].deploy_canary().done();
    for client in &clients {
        assert_eq!(client.status()["revision"], 2);
        client.predict_times(20);
    }
    until(&clients[5], "all of them", |it| it["tracks"]["canary"]["requests"] == 16);
}

#[test]
fn a_store_moves_between_a_file_and_a_database() {
    let folder = folder();
    let database = Cluster::shared().fresh_url();
    let (process, client) = serve(folder.path(), "sqlite:one.db");
    client.deploy_canary().done();
    client.set_traffic(50).done();
    client.predict_times(60);
    until(&client, "samples", |it| {
        it["health"]["sequential"]["metrics"][0]["samples"]["canary"] == 30
    });
    assert_eq!(process.terminate().code(), Some(0));
    let copy = |from: &str, to: &str| {
        let copied = serin(folder.path())
            .args(["store", "copy", from, to])
            .stdout(Stdio::piped())
            .output()
            .unwrap();
        let said = String::from_utf8([copied.stdout, copied.stderr].concat()).unwrap();
        (copied.status.code(), said)
    };
    let (code, said) = copy("sqlite:one.db", &database);
    assert!(code == Some(0) && said.contains("Copied 3 journal events"), "{said}");
    let (process, client) = serve(folder.path(), &database);
    let before = client.standing();
    assert_eq!(before["tracks"]["canary"]["samples"], 30);
    client.predict_times(40);
    until(&client, "more", |it| it["tracks"]["canary"]["requests"] == 50);
    assert_eq!(process.terminate().code(), Some(0));
    let (code, said) = copy(&database, "sqlite:two.db");
    assert!(code == Some(0) && said.contains("serve --store 'sqlite:two.db'"), "{said}");
    let (code, said) = copy(&database, "sqlite:two.db");
    assert!(code == Some(2) && said.contains("has a journal of 3 entries already"), "{said}");
    let (_process, client) = serve(folder.path(), "sqlite:two.db");
    assert_eq!(client.standing()["tracks"]["canary"]["samples"], 50);
    client.rollback_canary().done();
}

#[test]
fn predictions_go_on_while_the_database_is_gone_and_the_rollout_goes_on_after_it() {
    let mut cluster = Cluster::start();
    let folder = folder();
    let (process, client) = serve(folder.path(), &cluster.url("serin"));
    let address = process_address(folder.path());
    client.deploy_canary().done();
    client.set_traffic(50).done();
    let (is_over, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        // A test that fails ends, too.
        let _over = Over(&is_over);
        for _ in 0..4 {
            let (is_over, answered) = (&is_over, &answered);
            scope.spawn(move || {
                let client = Client::new(address, None);
                while !is_over.load(Ordering::SeqCst) {
                    client.predict().done();
                    answered.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        std::thread::sleep(Duration::from_secs(1));
        cluster.end();
        let frozen = until(&client, "frozen", |it| it["report"]["condition"] == "frozen");
        let lost = frozen["store_lost"]["cause"].as_str().unwrap();
        assert!(lost.contains("does not answer"), "{lost}");
        let before = answered.load(Ordering::SeqCst);
        std::thread::sleep(Duration::from_secs(3));
        assert!(answered.load(Ordering::SeqCst) > before + 100);
        let command = client.set_traffic(75);
        assert_eq!((command.status, command.body["code"].as_str()), (503, Some("store_failed")));
        assert_eq!(command.header("retry-after"), "5");
        assert_eq!(client.get("/readyz").status, 200);
        let page = raw::request(address, "GET /", &["accept: text/html"], b"");
        assert_eq!(page.status, 200, "{}", page.text);
        assert!(page.text.contains("does not answer"), "{}", page.text);

        cluster.resume();
        until(&client, "the database is back", |it| it["store_lost"].is_null());
        client.set_traffic(75).done();
    });
    // Once for each cause, of which there may be two: the lost connection, and the ones that were refused.
    let log = fs::read_to_string(folder.path().join("log")).unwrap();
    let count = |words: &str| log.lines().filter(|line| line.contains(words)).count();
    assert!((1..=2).contains(&count("samples could not be saved")), "{log}");
    assert_eq!((count("is lost; connecting again"), count("answers again")), (1, 1), "{log}");
    // What was observed meanwhile is in the store.
    let before = client.standing();
    assert_eq!(before["traffic_percent"], 75.0);
    let entries = client.history().len();
    assert_eq!(process.terminate().code(), Some(0));
    let (_process, client) = serve(folder.path(), &cluster.url("serin"));
    let after = client.standing();
    assert_eq!(client.history().len(), entries);
    for field in ["revision", "traffic_percent", "tracks"] {
        assert_eq!(after[field], before[field], "{field}");
    }
}

#[test]
fn a_rollback_takes_effect_without_the_database_and_is_saved_when_it_returns() {
    let mut cluster = Cluster::start();
    let folder = folder();
    let (_process, client) = serve(folder.path(), &cluster.url("serin"));
    client.deploy_canary().done();
    client.set_traffic(100).done();
    assert_eq!(client.predict().done()["model_used"], "canary");
    cluster.end();
    let pending = client.rollback_canary();
    assert_eq!((pending.status, pending.body["code"].as_str()), (503, Some("rollback_pending")));
    assert_eq!(client.predict_times(20), 0);
    cluster.resume();
    let newest = "SELECT event::json ->> 'event' FROM serin.journal ORDER BY sequence DESC LIMIT 1";
    until(&client, "the rollback is saved", |_| cluster.sql(newest) == "rolled_back");
    assert_eq!(client.predict_times(20), 0);
}

#[test]
fn a_leader_that_was_halted_past_its_lease_follows_when_it_wakes() {
    let (one, two) = (folder(), folder());
    let schema = fresh_schema();
    let store = Cluster::shared().url(&schema);
    let (sleeper, of_sleeper) = serve(one.path(), &store);
    of_sleeper.deploy_canary().done();
    of_sleeper.predict_times(20);
    sleeper.signal("-STOP");
    let (_next, of_next) = serve(two.path(), &store);
    of_next.pause_canary().done();
    until(&of_next, "it leads", |it| it["fleet"]["leads"] == true);
    of_next.resume_canary().done();
    sleeper.signal("-CONT");
    let awake = of_sleeper.status();
    assert_eq!((&awake["revision"], &awake["fleet"]["leads"]), (&4.into(), &false.into()));
    assert!(awake["store_lost"].is_null(), "{awake}");
    of_sleeper.predict_times(20);
    of_sleeper.set_traffic(100).done();
    assert_eq!(of_next.status()["traffic_percent"], 100.0);
    // Commands of followers have no epoch.
    let epochs = format!(
        "SELECT string_agg(coalesce(epoch::text, '-'), ',' ORDER BY sequence) FROM {schema}.journal"
    );
    assert_eq!(Cluster::shared().sql(&epochs), "1,1,-,2,-");
}

#[test]
fn a_database_that_cannot_be_used_ends_the_start_and_shows_no_password() {
    let folder = folder();
    let port = Cluster::shared().port;
    for (store, named) in [
        ("postgres://me:top-secret@db".to_owned(), "database: missing"),
        ("postgres://me:top-secret@db/d?sslmode=on".to_owned(), "sslmode: \"on\" is not allowed"),
        ("postgre://me:top-secret@db/d".to_owned(), "\"postgre://me@db/d\" is not a store"),
        ("postgres://me:top-secret@127.0.0.1:1/d".to_owned(), "onnection refused"),
        (
            format!("postgres://serin:top-secret@127.0.0.1:{port}/serin"),
            "password authentication failed",
        ),
        (format!("postgres://serin:top-secret@127.0.0.1:{port}/serin?sslmode=require"), "TLS"),
    ] {
        let text = refused(folder.path(), &store);
        assert!(text.contains(named), "{store}: {text}");
        assert!(!text.contains("top-secret"), "{text}");
        let replay = serin(folder.path()).args(["replay", "--store", &store]).output().unwrap();
        let text = String::from_utf8_lossy(&replay.stderr);
        assert!(text.contains(named) && !text.contains("top-secret"), "{store}: {text}");
        assert_eq!(replay.status.code(), Some(2), "{text}");
    }
}

/// Sets it at the end of a block.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn process_address(folder: &Path) -> std::net::SocketAddr {
    fs::read_to_string(folder.join("port")).unwrap().trim().parse().unwrap()
}

#[test]
fn a_password_is_in_no_log_and_no_answer() {
    let folder = folder();
    let (password, port) = (crate::cluster::PASSWORD, Cluster::shared().port);
    let schema = fresh_schema();
    let store = format!("postgres://serin:{password}@127.0.0.1:{port}/serin?schema={schema}");
    let log = fs::File::create(folder.path().join("log")).unwrap();
    let given = ["--log", "trace", "--store", &store];
    let mut process = Process::start_logging(folder.path(), log, &given);
    let client = Client::new(process.address(folder.path()), None);
    client.deploy_canary().done();
    Cluster::shared().sql(&format!("ALTER SCHEMA {schema} RENAME TO {schema}_gone"));
    let lost = until(&client, "lost", |it| !it["store_lost"].is_null());
    let log = || fs::read_to_string(folder.path().join("log")).unwrap();
    for text in [lost.to_string(), client.set_traffic(50).text, client.get("/metrics").text, log()]
    {
        assert!(!text.contains(password), "{text}");
    }
    assert!(log().contains("postgres://serin@127.0.0.1"), "{}", log());
    Cluster::shared().sql(&format!("ALTER SCHEMA {schema}_gone RENAME TO {schema}"));
    until(&client, "it is back", |it| it["store_lost"].is_null());
    // Neither is it in the help, nor in what the settings are.
    for command in [&["serve", "--help"][..], &["replay", "--help"], &["config", "show"]] {
        let mut command_line = serin(folder.path());
        command_line.args(command).env("SERIN_STORE", &store).stdout(Stdio::piped());
        let shown = String::from_utf8(command_line.output().unwrap().stdout).unwrap();
        assert!(shown.contains("store") && !shown.contains(password), "{shown}");
    }
    fs::write(folder.path().join("bad.toml"), format!("store = \"{store}&x=1\"\n")).unwrap();
    let mut checked = serin(folder.path());
    checked.args(["config", "check", "bad.toml"]).stdout(Stdio::piped());
    let output = checked.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains("\"x\" is not an option") && !said.contains(password), "{said}");
    // From the environment, where no list of processes shows it.
    process.kill();
    let given = ["--store", &store.replace(&format!(":{password}"), "")];
    let log = fs::File::create(folder.path().join("log")).unwrap();
    let mut process = Process::start_in(folder.path(), log, &given, &[("PGPASSWORD", password)]);
    let client = Client::new(process.address(folder.path()), None);
    assert_eq!(client.status()["revision"], 2);
}
