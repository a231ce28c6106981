//! The library of ONNX models, for commands without a server.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use crate::model::kinds::onnx::runtime;

/// The library that runs ONNX models.
#[derive(Args, Clone, Debug)]
pub struct LibraryArgs {
    /// Library that runs ONNX models: libonnxruntime.so of ONNX Runtime 1.23 or newer.
    #[arg(long, env = "SERIN_ONNXRUNTIME", value_name = "FILE")]
    onnxruntime: Option<PathBuf>,
}

impl LibraryArgs {
    /// Opens it, if one is named.
    pub(super) fn open(&self) -> anyhow::Result<()> {
        match &self.onnxruntime {
            Some(library) => runtime::open(library).context("--onnxruntime"),
            None => Ok(()),
        }
    }
}
