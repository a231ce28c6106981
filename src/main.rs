//! Runs a command and chooses the exit code.

use std::process::ExitCode;

use clap::Parser;
use serin::cli::Cli;
use serin::cli::USAGE_ERROR;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            anstream::eprintln!("serin: {error:#}");
            ExitCode::from(USAGE_ERROR)
        }
    }
}
