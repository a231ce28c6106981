//! How do tests run the built binary? In a folder, free of settings from the tester's own environment.

use std::path::Path;
use std::process::Command;

/// The program in this folder, without this shell's `SERIN_*`.
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
