//! Inputs and the output of an ONNX file, as the runtime knows them.

/// Type of the values of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    Float,
    Double,
    Int32,
    Int64,
    Text,
}

/// An input of the file: some columns of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) name: String,
    pub(crate) element: Element,
    pub(crate) columns: usize,
    /// Whether it has one dimension, the rows.
    pub(crate) is_flat: bool,
}

/// The output that is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) name: String,
    /// Numbers a row.
    pub(crate) columns: usize,
    /// The keys of a map a row, in the order of the classes; `None` for a tensor.
    pub(crate) keys: Option<Vec<String>>,
    /// Whether its two columns are the probabilities of two classes, of which the second is the answer.
    pub(crate) is_pair: bool,
}
