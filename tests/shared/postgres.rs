//! A PostgreSQL server for tests, in a temporary folder. It ends with the test process, however that ends.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The password of the role through the network. Through the socket none is asked for.
pub const PASSWORD: &str = "a-password-of-tests";

/// A server. The role `serin` is not a superuser; the database has the same name.
pub struct Cluster {
    pub folder: PathBuf,
    programs: PathBuf,
    /// PostgreSQL refuses to run as root.
    user: Option<(u32, u32)>,
    pub port: u16,
    /// Ends the server and deletes the folder when its standard input ends.
    keeper: Option<Child>,
}

impl Cluster {
    /// The server of all tests that let it run.
    pub fn shared() -> &'static Cluster {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(Cluster::start)
    }

    /// A server of its own, for a test that ends it.
    pub fn start() -> Cluster {
        let folder = tempfile::Builder::new().prefix("serin-pg-").tempdir().unwrap().keep();
        let user = unprivileged(&folder);
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut cluster = Cluster { folder, programs: programs(), user, port, keeper: None };
        let data = cluster.folder.join("data").display().to_string();
        cluster.run(
            &["initdb", "-D", &data, "-U", "postgres", "-E", "UTF8", "--no-sync", "-A"],
            &["trust", "--auth-host=scram-sha-256", "--locale=C"],
        );
        cluster.resume();
        cluster.sql(&format!("CREATE ROLE serin LOGIN PASSWORD '{PASSWORD}'"));
        cluster.sql("CREATE DATABASE serin OWNER serin");
        cluster
    }

    /// The address of a schema through the socket.
    pub fn url(&self, schema: &str) -> String {
        let (port, folder) = (self.port, self.folder.display());
        format!("postgres://serin@:{port}/serin?host={folder}&schema={schema}")
    }

    /// The address of a schema that no test has used.
    pub fn fresh_url(&self) -> String {
        self.url(&fresh_schema())
    }

    /// Executes SQL as the administrator, and answers what psql prints.
    pub fn sql(&self, statement: &str) -> String {
        self.try_sql(statement).unwrap()
    }

    /// Ends the server at once, as a crash does.
    pub fn end(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            writeln!(keeper.stdin.take().unwrap(), "end").unwrap();
            keeper.wait().unwrap();
        }
    }

    /// Starts the server again.
    pub fn resume(&mut self) {
        let shell = "\"$0\" -D \"$1/data\" -k \"$1\" -p $2 -c listen_addresses=127.0.0.1 \\
            -c fsync=off -c shared_buffers=16MB -c max_connections=200 -c ssl_ciphers=HIGH \\
            >>\"$1/log\" 2>&1 & server=$!
            line=$(head -n 1); kill -QUIT $server; wait $server
            test -n \"$line\" || rm -rf \"$1\"";
        let keeper = self
            .command("sh")
            .args(["-c", shell])
            .arg(self.programs.join("postgres"))
            .arg(&self.folder)
            .arg(self.port.to_string())
            .stdin(Stdio::piped())
            .spawn();
        self.keeper = Some(keeper.unwrap());
        // 60 seconds, in which a busy machine starts it, too.
        for _ in 0..1200 {
            if self.try_psql("postgres", "SELECT 1").is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!(
            "PostgreSQL does not start: {}",
            fs::read_to_string(self.folder.join("log")).unwrap()
        )
    }

    fn try_sql(&self, statement: &str) -> Result<String, String> {
        let database = if statement.starts_with("CREATE ") { "postgres" } else { "serin" };
        self.try_psql(database, statement)
    }

    fn try_psql(&self, database: &str, statement: &str) -> Result<String, String> {
        let done = Command::new(self.programs.join("psql"))
            .args(["-qAtX", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database, "-h"])
            .arg(&self.folder)
            .args(["-p", &self.port.to_string(), "-c", statement])
            .output()
            .unwrap();
        match done.status.success() {
            true => Ok(String::from_utf8(done.stdout).unwrap().trim().to_owned()),
            false => Err(String::from_utf8_lossy(&done.stderr).into_owned()),
        }
    }

    /// A program that runs in the folder, as the user of the server.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command.current_dir(&self.folder);
        command
    }

    fn run(&self, command: &[&str], more: &[&str]) {
        let program = self.programs.join(command[0]).display().to_string();
        let done = self.command(&program).args(&command[1..]).args(more).output().unwrap();
        assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        match self.keeper.take() {
            Some(mut keeper) => {
                drop(keeper.stdin.take());
                // Nothing is left to clean up if it has ended.
                let _ = keeper.wait();
            }
            None => fs::remove_dir_all(&self.folder).unwrap(),
        }
    }
}

/// The name of a schema that no test of this process has used.
pub fn fresh_schema() -> String {
    static SCHEMAS: AtomicUsize = AtomicUsize::new(0);
    format!("s{}", SCHEMAS.fetch_add(1, Ordering::Relaxed))
}

/// Where the newest installed PostgreSQL has its programs. Debian's are not on the path.
fn programs() -> PathBuf {
    let of_debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut found: Vec<(u32, PathBuf)> = of_debian
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            Some((path.file_name()?.to_str()?.parse().ok()?, path.join("bin")))
        })
        .filter(|(_, path)| path.join("initdb").exists())
        .collect();
    found.sort();
    let on_path = || {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).find(|folder| folder.join("initdb").exists())
    };
    let newest = found.pop().map(|(_, path)| path).or_else(on_path);
    newest.unwrap_or_else(|| {
        panic!("PostgreSQL is not installed and its tests need it; run scripts/setup.sh")
    })
}

/// Gives the folder to a user who may run PostgreSQL, if this is root.
fn unprivileged(folder: &Path) -> Option<(u32, u32)> {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let of = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut numbers = line.split(':').skip(2).map(|number| number.parse().ok());
        Some((numbers.next()??, numbers.next()??))
    };
    let (user, group) = of("postgres").or_else(|| of("nobody")).unwrap();
    chown(folder, Some(user), Some(group)).unwrap();
    Some((user, group))
}
