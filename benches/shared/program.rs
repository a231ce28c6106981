//! How does a benchmark run, and what does it tell whoever started it?

use std::process::ExitCode;

pub type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What follows on the command line; `None` if there is nothing to measure: `cargo test --benches` runs
/// benchmarks too, without `--bench`.
pub fn arguments() -> Option<Vec<String>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    arguments.iter().any(|argument| argument == "--bench").then_some(arguments)
}

/// 0 if every limit was kept, 1 if one was missed, 2 if the result is void.
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

#[expect(clippy::print_stdout, reason = "a benchmark reports to whoever started it")]
pub fn tell(line: &str) {
    println!("{line}");
}
