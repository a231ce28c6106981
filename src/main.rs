//! Runs a command and chooses the exit code.

use std::process::ExitCode;

use serin::cli::Cli;
use serin::cli::exit::USAGE_ERROR;
use tikv_jemallocator::Jemalloc;

/// Gives memory that large requests took back to the system, some ten seconds after they ended.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    match Cli::from_process().run() {
        Ok(code) => code,
        Err(error) => {
            Cli::report(&error);
            ExitCode::from(USAGE_ERROR)
        }
    }
}
