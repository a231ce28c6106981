//! Runs a command and chooses the exit code.

use std::process::ExitCode;

use serin::cli::Cli;
use serin::cli::exit::USAGE_ERROR;

fn main() -> ExitCode {
    match Cli::from_process().run() {
        Ok(code) => code,
        Err(error) => {
            anstream::eprintln!("serin: {error:#}");
            ExitCode::from(USAGE_ERROR)
        }
    }
}
