//! `serin completions`: shell completions and man pages, as files.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use clap::Command;
use clap_complete::Shell;

use crate::cli::show::outln;

/// Where each shell looks for completions, below a `share` folder.
const COMPLETIONS: [(Shell, &str); 3] = [
    (Shell::Bash, "bash-completion/completions/serin"),
    (Shell::Zsh, "zsh/site-functions/_serin"),
    (Shell::Fish, "fish/vendor_completions.d/serin.fish"),
];

const MAN_PAGES: &str = "man/man1";

/// Write completions for bash, zsh and fish, and man pages.
#[derive(Args, Debug)]
pub struct CompletionsArgs {
    /// Folder to write to, for example ~/.local/share or /usr/local/share: bash, fish and man find the files there, zsh
    /// once its zsh/site-functions is in fpath
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Writes the completions and man pages of this command line, and prints their paths.
///
/// # Errors
/// When a file cannot be written.
pub fn run(args: &CompletionsArgs, mut commands: Command) -> anyhow::Result<ExitCode> {
    let documented = without_help(commands.clone());
    for (shell, path) in COMPLETIONS {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut commands, "serin", &mut text);
        let file = args.folder.join(path);
        create(file.parent().unwrap_or(&args.folder))?;
        fs::write(&file, text).with_context(|| file.display().to_string())?;
        outln!("{}", file.display());
    }
    let pages = args.folder.join(MAN_PAGES);
    create(&pages)?;
    clap_mangen::generate_to(documented, &pages).with_context(|| pages.display().to_string())?;
    outln!("{}/serin*.1", pages.display());
    Ok(ExitCode::SUCCESS)
}

/// The commands without `help`, which would have a page for each command once more.
fn without_help(commands: Command) -> Command {
    commands.disable_help_subcommand(true).mut_subcommands(without_help)
}

fn create(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())
}
