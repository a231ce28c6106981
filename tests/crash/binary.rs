//! The built binary as a child process, which never outlives its test.

use std::fs;
use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::ExitStatus;
use std::process::Stdio;
use std::time::Duration;

#[path = "../shared/executable.rs"]
mod executable;

/// The program in this folder, reading and printing nothing.
pub fn serin(folder: &Path) -> Command {
    let mut command = executable::serin(folder);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// `serin serve` as a process of its own, with its store, models and log in a folder.
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts it, and does not wait until it listens.
    pub fn start(folder: &Path) -> Process {
        Process::start_with(folder, &[])
    }

    /// Starts it with further arguments.
    pub fn start_with(folder: &Path, arguments: &[&str]) -> Process {
        let log = File::options().create(true).append(true).open(folder.join("log")).unwrap();
        let arguments = [&["--log", "warn", "--store", "sqlite:serin.db"], arguments].concat();
        Process::start_logging(folder, log, &arguments)
    }

    /// Starts it with this standard error and these arguments.
    pub fn start_logging(folder: &Path, log: impl Into<Stdio>, arguments: &[&str]) -> Process {
        Process::start_in(folder, log, arguments, &[])
    }

    /// Starts it with these environment variables as well.
    pub fn start_in(
        folder: &Path,
        log: impl Into<Stdio>,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Process {
        // The file of the process before this one names a port that is gone.
        let _ = fs::remove_file(folder.join("port"));
        let child = serin(folder)
            .args(["serve", "--listen", "127.0.0.1:0", "--port-file", "port"])
            .args(["--models", "models"])
            .args(arguments)
            .envs(variables.iter().copied())
            .stderr(log)
            .spawn()
            .unwrap();
        Process { child }
    }

    /// Where it listens, once it does.
    pub fn address(&mut self, folder: &Path) -> SocketAddr {
        // 60 seconds, in which a busy machine starts it, too.
        for _ in 0..30_000 {
            if let Ok(text) = fs::read_to_string(folder.join("port")) {
                return text.trim().parse().unwrap();
            }
            let ended = self.child.try_wait().unwrap();
            let log = || fs::read_to_string(folder.join("log")).unwrap();
            assert!(ended.is_none(), "the server has ended: {}", log());
            std::thread::sleep(Duration::from_millis(2));
        }
        panic!("the server does not listen")
    }

    /// Ends it on the spot, as `kill -9` and a loss of power do.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, and waits until it has.
    pub fn terminate(self) -> ExitStatus {
        self.signal("-TERM");
        self.ended()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: &str) {
        let id = self.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// Waits until it has ended.
    pub fn ended(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
