//! `serin models`: the files of the models folder of a server.

use std::process::ExitCode;

use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use super::client::ServerArgs;
use super::page::Page;
use crate::cli::show;
use crate::service::status::Status;

/// The flags of `serin models`.
#[derive(Args, Debug)]
pub struct ModelsArgs {
    #[command(flatten)]
    server: ServerArgs,
}

/// The answer of `/admin/models`.
#[derive(Deserialize)]
struct Models {
    models: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    file: String,
    version: String,
    #[serde(default)]
    card: Option<Value>,
    #[serde(default)]
    error: Option<String>,
}

/// Prints the model files, and which of them serve.
///
/// # Errors
/// When the server cannot be reached, or refuses.
pub fn run(args: &ModelsArgs) -> anyhow::Result<ExitCode> {
    let client = args.server.client();
    let reply = client.get("/admin/models")?;
    if args.server.json && reply.ok {
        show::json(&reply.body)?;
        return Ok(ExitCode::SUCCESS);
    }
    let Models { models } = reply.done()?;
    let status: Status = client.get("/admin/status")?.done()?;
    let mut page = Page::new(show::width());
    if models.is_empty() {
        page.paragraph("The models folder of the server has no model file.");
    }
    let role = |one: &Listed| {
        if one.version == status.stable.version.name {
            "stable"
        } else if status.canary.as_ref().is_some_and(|canary| canary.name == one.version) {
            "canary"
        } else {
            ""
        }
    };
    let row = |one: &Listed| {
        let kind = one.card.as_ref().and_then(|card| card["kind"].as_str());
        let kind = if one.error.is_some() { "not a model" } else { kind.unwrap_or("-") };
        let [version, file] = [&one.version, &one.file].map(|it| show::plain(it).into_owned());
        vec![version, file, kind.to_owned(), role(one).to_owned()]
    };
    let rows: Vec<_> = models.iter().map(row).collect();
    if !rows.is_empty() {
        page.table(&["version", "file", "kind", "serves as"], &rows, &[0, 1, 2, 3]);
    }
    for one in &models {
        if let Some(error) = &one.error {
            page.labelled(&one.file, show::BAD, error);
        }
    }
    page.print();
    Ok(ExitCode::SUCCESS)
}
