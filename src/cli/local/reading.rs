//! How `train`, `inspect` and `compare` read a CSV file.

use std::path::Path;

use anyhow::bail;
use clap::Args;
use clap::ValueEnum;

use crate::model::dataset::DatasetOptions;
use crate::model::schema::Missing;
use crate::text::tables::encoding::Encoding;

/// The flags for reading a CSV file.
#[derive(Args, Clone, Debug)]
pub struct ReadingArgs {
    /// Further texts that mean a missing value, separated by commas; a number means all of its value. Blanks always
    /// do, and those of pandas, such as NA and null, and in columns of numbers ? and -. The model keeps them.
    #[arg(long, value_name = "TEXTS", value_delimiter = ',', requires = "data")]
    missing: Option<Vec<String>>,

    /// The only texts that mean a missing value besides blanks, for data in which NA is a word.
    #[arg(
        long,
        value_name = "TEXTS",
        value_delimiter = ',',
        requires = "data",
        conflicts_with = "missing"
    )]
    missing_only: Option<Vec<String>>,

    /// Encoding of a file without a byte order mark.
    #[arg(long, value_name = "NAME", default_value = "utf8", requires = "data")]
    encoding: EncodingName,
}

/// An encoding by name.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum EncodingName {
    /// UTF-8.
    Utf8,
    /// Latin-1 and Windows-1252.
    Latin1,
}

impl ReadingArgs {
    /// The options of a data set without any but these flags.
    pub(super) fn options(&self) -> DatasetOptions {
        self.applied(DatasetOptions::default())
    }

    /// The options of a data set, read as these flags say.
    pub(super) fn applied(&self, options: DatasetOptions) -> DatasetOptions {
        DatasetOptions {
            missing: match (&self.missing, &self.missing_only) {
                (_, Some(texts)) => Missing::only(texts),
                (Some(texts), None) => options.missing.and(texts),
                (None, None) => options.missing,
            },
            encoding: match self.encoding {
                EncodingName::Utf8 => Encoding::Utf8,
                EncodingName::Latin1 => Encoding::Latin1,
            },
            ..options
        }
    }
}

/// Checks that a file can be read more than once, which a pipe cannot.
///
/// # Errors
/// When it is not a file. The reader reports unreadable files.
pub(super) fn read_again(path: &Path) -> anyhow::Result<()> {
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        bail!(
            "a pipe can be read only once, and this command reads the rows for each model; write them to a file \
             (.csv.gz is read as it is)"
        );
    }
    Ok(())
}
