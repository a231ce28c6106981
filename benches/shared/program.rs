//! Arguments and exit codes of the benchmarks.

use std::process::ExitCode;

pub type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The arguments after `--bench`; `None` without it, because `cargo test --benches` also starts the
/// benchmarks and there is nothing to measure.
pub fn arguments() -> Option<Vec<String>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    arguments.iter().any(|argument| argument == "--bench").then_some(arguments)
}

/// 0 if every limit was kept, 1 if one was missed, 2 if the result is invalid.
pub fn exit_code(outcome: Fallible<bool>) -> ExitCode {
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            tell(&format!("void: {error}"));
            ExitCode::from(2)
        }
    }
}

#[expect(clippy::print_stdout, reason = "a benchmark prints its results")]
pub fn tell(line: &str) {
    println!("{line}");
}
