//! Runs the built binary in a folder, without settings from the developer's environment.

use std::path::Path;
use std::process::Command;

/// The program in this folder, without the `SERIN_*` variables of this shell.
pub fn serin(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_serin"));
    command.current_dir(folder);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SERIN_") {
            command.env_remove(name);
        }
    }
    command
}
