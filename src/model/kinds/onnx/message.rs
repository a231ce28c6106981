//! Messages of an ONNX file, as far as they decide what a model computes.
//!
//! Everything borrows from the file. What can hide work or other files is refused here: graphs within operators,
//! functions, external and sparse tensors, fields that occur twice. Counts are bounded before lists grow.

use crate::model::kinds::onnx::protobuf::Once;
use crate::model::kinds::onnx::protobuf::Payload;
use crate::model::kinds::onnx::protobuf::bounded;
use crate::model::kinds::onnx::protobuf::fields;
use crate::model::kinds::onnx::tensor::MAX_RANK;
use crate::model::kinds::onnx::tensor::Tensor;
use crate::model::kinds::refusal::Reading;
use crate::model::kinds::refusal::Refusal;
use crate::model::kinds::refusal::excerpt;

/// Operators of a graph. A pipeline of 200 columns has 1,000.
const MAX_NODES: usize = 20_000;

/// Names and attributes of all operators together.
const MAX_PARTS: usize = 200_000;

/// Constants of a graph.
const MAX_TENSORS: usize = 20_000;

/// A file.
#[derive(Debug)]
pub(super) struct File<'a> {
    pub(super) producer: &'a str,
    pub(super) graph: Graph<'a>,
}

/// Operators in the order in which they run.
#[derive(Debug, Default)]
pub(super) struct Graph<'a> {
    pub(super) nodes: Vec<Node<'a>>,
    pub(super) tensors: Vec<Tensor<'a>>,
    pub(super) inputs: Vec<Declared<'a>>,
    pub(super) outputs: Vec<Declared<'a>>,
    parts: usize,
}

/// One operator.
#[derive(Debug, Default)]
pub(super) struct Node<'a> {
    pub(super) name: &'a str,
    pub(super) operator: &'a str,
    pub(super) domain: &'a str,
    pub(super) inputs: Vec<&'a str>,
    pub(super) outputs: Vec<&'a str>,
    pub(super) attributes: Vec<Attribute<'a>>,
}

/// A parameter of an operator.
#[derive(Debug, Default)]
pub(super) struct Attribute<'a> {
    pub(super) name: &'a str,
    message: &'a [u8],
    pub(super) integer: Option<i64>,
    pub(super) text: Option<&'a [u8]>,
    pub(super) tensor: Option<Tensor<'a>>,
    pub(super) floats: usize,
    pub(super) integers: usize,
    pub(super) texts: usize,
}

/// An input or output of the graph.
#[derive(Debug)]
pub(super) struct Declared<'a> {
    pub(super) name: &'a str,
    pub(super) kind: DeclaredKind,
}

/// What the file says of an input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DeclaredKind {
    /// A tensor: the number of its element type, and its dimensions if there are any.
    Tensor(i64, Option<Vec<Option<u64>>>),
    /// A list of maps, one a row.
    Maps,
    /// Another one.
    Other,
}

impl<'a> File<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Reading<Self> {
        let (mut once, mut producer, mut graph) = (Once::default(), "", None);
        for field in fields(bytes) {
            let (number, payload) = field?;
            match number {
                2 => {
                    once.check(number, "producer_name")?;
                    producer = payload.text("producer_name")?;
                }
                7 => {
                    once.check(number, "graph")?;
                    graph = Some(Graph::read(payload.bytes("graph")?)?);
                }
                8 => check_operator_set(payload.bytes("opset_import")?)?,
                20 => return Err(refused("training_info", "training")),
                25 => return Err(refused("functions", "functions of its own")),
                _ => {}
            }
        }
        let graph = graph.ok_or_else(|| Refusal::new("file", "it has no graph"))?;
        Ok(Self { producer, graph })
    }
}

fn refused(place: &str, what: &str) -> Refusal {
    Refusal::new(
        place,
        format!("the model has {what}, which serin does not run; export it without"),
    )
}

/// The sets of operators that ONNX itself defines.
pub(super) const DOMAINS: [&str; 3] = ["", "ai.onnx", "ai.onnx.ml"];

fn check_operator_set(message: &[u8]) -> Reading<()> {
    for field in fields(message) {
        let (number, payload) = field?;
        if number == 1 {
            let domain = payload.text("domain")?;
            // PyTorch names its own set in every file.
            if !DOMAINS.contains(&domain) && !domain.starts_with("pkg.") {
                let found = excerpt(domain);
                let problem = format!(
                    "operators of `{found}`; serin runs those of ONNX (ai.onnx, ai.onnx.ml) only"
                );
                return Err(Refusal::new("opset_import", problem));
            }
        }
    }
    Ok(())
}

impl<'a> Graph<'a> {
    fn read(message: &'a [u8]) -> Reading<Self> {
        let mut graph = Self::default();
        for field in fields(message) {
            let (number, payload) = field?;
            match number {
                1 => {
                    let node = Node::read(payload.bytes("node")?)?;
                    graph.parts += node.inputs.len() + node.outputs.len() + node.attributes.len();
                    graph.nodes.push(node);
                    bounded("nodes", graph.nodes.len(), MAX_NODES)?;
                    bounded("inputs, outputs and attributes", graph.parts, MAX_PARTS)?;
                }
                5 => {
                    graph.tensors.push(Tensor::read(payload.bytes("initializer")?)?);
                    bounded("initializers", graph.tensors.len(), MAX_TENSORS)?;
                }
                11 => graph.inputs.push(Declared::read(payload.bytes("input")?)?),
                12 => graph.outputs.push(Declared::read(payload.bytes("output")?)?),
                15 => return Err(refused("sparse_initializer", "sparse tensors")),
                _ => {}
            }
            bounded("inputs", graph.inputs.len(), MAX_TENSORS)?;
            bounded("outputs", graph.outputs.len(), MAX_TENSORS)?;
        }
        Ok(graph)
    }
}

impl<'a> Node<'a> {
    fn read(message: &'a [u8]) -> Reading<Self> {
        let (mut node, mut once) = (Self::default(), Once::default());
        for field in fields(message) {
            let (number, payload) = field?;
            match number {
                1 => node.inputs.push(payload.text("input")?),
                2 => node.outputs.push(payload.text("output")?),
                3 => node.name = single(&mut once, number, "name", payload)?,
                4 => node.operator = single(&mut once, number, "op_type", payload)?,
                5 => node.attributes.push(Attribute::read(payload.bytes("attribute")?)?),
                7 => node.domain = single(&mut once, number, "domain", payload)?,
                _ => {}
            }
            let parts = node.inputs.len() + node.outputs.len() + node.attributes.len();
            bounded("inputs, outputs and attributes", parts, MAX_PARTS)?;
        }
        Ok(node)
    }

    /// ``node `forever` (Loop)``.
    pub(super) fn place(&self) -> String {
        let operator = excerpt(self.operator);
        match (self.name, self.outputs.first()) {
            ("", Some(output)) => format!("node {operator} of `{}`", excerpt(output)),
            ("", None) => format!("node {operator}"),
            (name, _) => format!("node `{}` ({operator})", excerpt(name)),
        }
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&Attribute<'a>> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// The integer of this attribute.
    pub(super) fn integer(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).and_then(|attribute| attribute.integer).unwrap_or(default)
    }

    /// How many class labels the operator has.
    pub(super) fn class_labels(&self) -> usize {
        let labels = ["classlabels_ints", "classlabels_int64s", "classlabels_strings"];
        let counts = labels.iter().filter_map(|name| self.attribute(name));
        counts.map(|labels| labels.integers.max(labels.texts)).max().unwrap_or_default()
    }

    /// The class labels as words.
    pub(super) fn class_names(&self) -> Reading<Vec<String>> {
        for name in ["classlabels_ints", "classlabels_int64s"] {
            if let Some(labels) = self.attribute(name).filter(|labels| labels.integers > 0) {
                return Ok(labels.list_of_integers()?.iter().map(i64::to_string).collect());
            }
        }
        let words = self.attribute("classlabels_strings").map(Attribute::list_of_texts);
        Ok(words.transpose()?.unwrap_or_default().into_iter().map(str::to_owned).collect())
    }
}

fn single<'a>(once: &mut Once, number: u32, field: &str, payload: Payload<'a>) -> Reading<&'a str> {
    once.check(number, field)?;
    payload.text(field)
}

impl<'a> Attribute<'a> {
    fn read(message: &'a [u8]) -> Reading<Self> {
        let mut attribute = Self { message, ..Self::default() };
        let mut once = Once::default();
        for field in fields(message) {
            let (number, payload) = field?;
            match number {
                1 => attribute.name = single(&mut once, number, "name", payload)?,
                3 => {
                    once.check(number, "i")?;
                    attribute.integer = Some(payload.integer("i")?);
                }
                4 => {
                    once.check(number, "s")?;
                    attribute.text = Some(payload.bytes("s")?);
                }
                5 => {
                    once.check(number, "t")?;
                    attribute.tensor = Some(Tensor::read(payload.bytes("t")?)?);
                }
                6 | 11 => return Err(refused("attribute", "graphs within operators")),
                7 => attribute.floats += payload.count_numbers(4, "floats")?,
                8 => attribute.integers += payload.count_integers("ints")?,
                9 => {
                    payload.bytes("strings")?;
                    attribute.texts += 1;
                }
                10 | 21 | 22 | 23 => {
                    return Err(refused(
                        "attribute",
                        "lists of tensors, references or sparse tensors",
                    ));
                }
                _ => {}
            }
        }
        Ok(attribute)
    }

    /// All integers of the list.
    pub(super) fn list_of_integers(&self) -> Reading<Vec<i64>> {
        let mut list = Vec::with_capacity(self.integers);
        for field in fields(self.message) {
            if let (8, payload) = field? {
                payload.integers("ints", &mut list)?;
            }
        }
        Ok(list)
    }

    /// All texts of the list.
    pub(super) fn list_of_texts(&self) -> Reading<Vec<&'a str>> {
        self.texts_with(Payload::text)
    }

    /// All texts of the list, of any bytes.
    pub(super) fn list_of_bytes(&self) -> Reading<Vec<&'a [u8]>> {
        self.texts_with(Payload::bytes)
    }

    fn texts_with<T>(&self, as_item: impl Fn(Payload<'a>, &str) -> Reading<T>) -> Reading<Vec<T>> {
        let mut list = Vec::with_capacity(self.texts);
        for field in fields(self.message) {
            if let (9, payload) = field? {
                list.push(as_item(payload, "strings")?);
            }
        }
        Ok(list)
    }
}

impl<'a> Declared<'a> {
    fn read(message: &'a [u8]) -> Reading<Self> {
        let (mut once, mut name, mut kind) = (Once::default(), "", DeclaredKind::Other);
        for field in fields(message) {
            let (number, payload) = field?;
            match number {
                1 => name = single(&mut once, number, "name", payload)?,
                2 => {
                    once.check(number, "type")?;
                    kind = DeclaredKind::read(payload.bytes("type")?)?;
                }
                _ => {}
            }
        }
        Ok(Self { name, kind })
    }
}

impl DeclaredKind {
    fn read(message: &[u8]) -> Reading<Self> {
        let (mut once, mut kind) = (Once::default(), Self::Other);
        for field in fields(message) {
            let (number, payload) = field?;
            // At most one of the kinds is there.
            if matches!(number, 1 | 4 | 5 | 7 | 8 | 9) {
                once.check(1, "type")?;
            }
            match number {
                1 => kind = Self::read_tensor(payload.bytes("tensor_type")?)?,
                4 if is_of_maps(payload.bytes("sequence_type")?)? => kind = Self::Maps,
                _ => {}
            }
        }
        Ok(kind)
    }

    fn read_tensor(message: &[u8]) -> Reading<Self> {
        let (mut once, mut element, mut dimensions) = (Once::default(), 0, None);
        for field in fields(message) {
            let (number, payload) = field?;
            match number {
                1 => {
                    once.check(number, "elem_type")?;
                    element = payload.integer("elem_type")?;
                }
                2 => {
                    once.check(number, "shape")?;
                    dimensions = Some(read_shape(payload.bytes("shape")?)?);
                }
                _ => {}
            }
        }
        Ok(Self::Tensor(element, dimensions))
    }
}

/// The dimensions, `None` for one that is open.
fn read_shape(message: &[u8]) -> Reading<Vec<Option<u64>>> {
    let mut dimensions = Vec::new();
    for field in fields(message) {
        let (1, payload) = field? else { continue };
        let mut size = None;
        for field in fields(payload.bytes("dim")?) {
            if let (1, value) = field? {
                // Exporters write 0 and -1 for an open one.
                size = u64::try_from(value.integer("dim_value")?).ok().filter(|size| *size > 0);
            }
        }
        dimensions.push(size);
        bounded("dimensions", dimensions.len(), MAX_RANK)?;
    }
    Ok(dimensions)
}

fn is_of_maps(message: &[u8]) -> Reading<bool> {
    for field in fields(message) {
        let (1, payload) = field? else { continue };
        for field in fields(payload.bytes("elem_type")?) {
            if matches!(field?, (5, _)) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
