//! A command of the built binary that has ended.

use std::path::Path;

#[path = "executable.rs"]
mod executable;

pub use executable::serin as command;

/// What it printed, and its exit code.
pub struct Ended {
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Runs the binary in a folder, without this shell's settings.
pub fn serin(folder: &Path, arguments: &[&str]) -> Ended {
    let output = command(folder).args(arguments).output().unwrap();
    Ended {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}
