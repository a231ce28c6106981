//! The flags of `serin load`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::numbers::finite;
use crate::cli::remote::client::ServerArgs;

/// The flags of `serin load`.
#[derive(Args, Debug)]
pub struct LoadArgs {
    /// Requests per second, on average
    #[arg(long, value_name = "NUMBER", default_value = "50", value_parser = finite)]
    pub(super) rate: f64,
    /// Send the rows of this CSV file, in random order, again and again; without it, each feature is drawn from its
    /// values in training
    #[arg(long, value_name = "FILE")]
    pub(super) data: Option<PathBuf>,
    /// Column of the file with what really happened, reported some seconds after the prediction
    #[arg(long, value_name = "COLUMN", requires = "data")]
    pub(super) labels: Option<String>,
    /// Value of that column that counts as 1, of two classes [default: the one that the model predicts]
    #[arg(long, value_name = "VALUE", requires = "labels")]
    pub(super) positive: Option<String>,
    /// How long labels take: drawn anew for each
    #[arg(long, value_name = "FROM..TO", default_value = "2s..10s", requires = "labels")]
    pub(super) label_delay: String,
    /// Send one of this many keys with each request: requests with the same key get the same version
    #[arg(long, value_name = "NUMBER",
          value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub(super) keys: Option<u64>,
    /// End after this time, for example 10m; without it, at Ctrl-C
    #[arg(long = "for", value_name = "DURATION")]
    pub(super) duration: Option<String>,
    /// Seed of rows, keys and times
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(super) seed: u64,
    #[command(flatten)]
    pub(super) server: ServerArgs,
}
