//! `serin store copy`: moves from one machine to a database, and back.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use anyhow::bail;
use clap::Args;
use clap::Subcommand;

use crate::cli::show::outln;
use crate::service::clock::steady;
use crate::service::control::fleet::copying::Copied;
use crate::service::control::fleet::copying::copy;
use crate::store;
use crate::store::Location;
use crate::store::Store;
use crate::text::numbers::count;

/// What to do with a store.
#[derive(Args, Debug)]
pub struct StoreArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Copy journal, evidence, labels and models into an empty store; stop the servers of both first
    Copy(CopyArgs),
}

/// The arguments of `serin store copy`.
#[derive(Args, Debug)]
struct CopyArgs {
    /// Store to read: sqlite:FILE or postgres://USER@HOST/DATABASE
    from: String,
    /// Empty store to write
    to: String,
}

/// Copies a store.
///
/// # Errors
/// When a store cannot be read or written, or the second one is not empty.
pub fn run(args: &StoreArgs) -> anyhow::Result<ExitCode> {
    let Command::Copy(args) = &args.command;
    let location = |name: &str, text: &str| -> anyhow::Result<Location> {
        match text.parse().with_context(|| name.to_owned())? {
            Location::Memory => {
                bail!("{name}: memory: ends with its server; use sqlite:FILE or postgres://..")
            }
            location => Ok(location),
        }
    };
    let (from, to) = (location("FROM", &args.from)?, location("TO", &args.to)?);
    if from == to {
        bail!("FROM and TO are the same store, {from}");
    }
    let read = store::open_to_read(&from, steady()).with_context(|| format!("FROM {from}"))?;
    let written = store::open(&to, steady()).with_context(|| format!("TO {to}"))?;
    let copied = copied(&read, &written);
    written.release();
    outln!("{}", sentence(&copied.with_context(|| format!("copying {from} to {to}"))?));
    outln!("Next: serin serve --store '{to}'");
    Ok(ExitCode::SUCCESS)
}

fn copied(from: &Arc<dyn Store>, to: &Arc<dyn Store>) -> anyhow::Result<Copied> {
    let copied = copy(&**from, &**to)?;
    to.settle()?;
    Ok(copied)
}

fn sentence(copied: &Copied) -> String {
    let Copied { entries, ticks, artifacts, labels, left_behind } = copied;
    let parts = [
        count(*entries, "journal event"),
        count(*ticks, "tick"),
        count(*artifacts, "model"),
        count(*labels, "label"),
    ];
    let mut text = format!("Copied {}.", parts.join(", "));
    if *left_behind > 0 {
        let shares = count(*left_behind, "share");
        text.push_str(&format!(" {shares} of the last seconds were not judged and are left out."));
    }
    text
}
