//! Upper bounds of the sizes of all values of a graph.
//!
//! A few nodes can ask for any amount of memory: each `Concat(x, x)` doubles. So the shapes are followed from the
//! inputs to the outputs for a whole batch before the runtime sees the file. Where a shape depends on data, the number
//! of values is followed without their dimensions. All arithmetic saturates.

use std::collections::HashMap;

use crate::model::kinds::onnx::message::Graph;
use crate::model::kinds::onnx::message::Node;
use crate::model::kinds::onnx::operators::Rule;
use crate::model::kinds::onnx::tensor::MAX_RANK;
use crate::model::kinds::onnx::tensor::Tensor;
use crate::model::kinds::refusal::Reading;
use crate::model::kinds::refusal::Refusal;
use crate::model::kinds::refusal::excerpt;

/// Rows that are computed in one run; larger batches take several.
pub(crate) const BATCH: usize = 256;

/// Values of all operators in a run, without the constants: 256 rows of 250,000 values, 256 to 512 MB.
const MAX_VALUES: u64 = 64 << 20;

/// The shape of a value, or a bound of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Its dimensions.
    Dimensions(Vec<u64>),
    /// Any dimensions of this many values.
    Values(u64),
}

use Shape::Dimensions;
use Shape::Values;

impl Shape {
    pub(super) fn values(&self) -> u64 {
        match self {
            Dimensions(sizes) => sizes.iter().fold(1, |values, size| values.saturating_mul(*size)),
            Values(values) => *values,
        }
    }

    /// The size of the last dimension.
    pub(super) fn last(&self) -> Option<u64> {
        match self {
            Dimensions(sizes) => sizes.last().copied(),
            Values(_) => None,
        }
    }
}

/// What is known of the values so far.
pub(super) struct Shapes<'f> {
    shapes: HashMap<&'f str, Shape>,
    /// Constants that are a few integers.
    integers: HashMap<&'f str, Vec<i64>>,
    total: u64,
}

impl<'f> Shapes<'f> {
    /// Begins with the constants and these inputs.
    pub(super) fn new(graph: &Graph<'f>, inputs: Vec<(&'f str, Shape)>) -> Reading<Self> {
        let mut shapes = Self { shapes: HashMap::new(), integers: HashMap::new(), total: 0 };
        for tensor in &graph.tensors {
            shapes.constant(tensor.name, tensor)?;
        }
        for (name, shape) in inputs {
            shapes.define(name, shape)?;
        }
        Ok(shapes)
    }

    pub(super) fn of(&self, name: &str) -> Option<&Shape> {
        self.shapes.get(name)
    }

    fn constant(&mut self, name: &'f str, tensor: &Tensor<'f>) -> Reading<()> {
        if let Some(integers) = &tensor.integers {
            self.integers.insert(name, integers.clone());
        }
        self.insert(name, Dimensions(tensor.dimensions.clone()))
    }

    fn insert(&mut self, name: &'f str, shape: Shape) -> Reading<()> {
        match self.shapes.insert(name, shape) {
            None => Ok(()),
            Some(_) => {
                let place = format!("value `{}`", excerpt(name));
                Err(Refusal::new(place, "it is made twice; export the model again"))
            }
        }
    }

    fn define(&mut self, name: &'f str, shape: Shape) -> Reading<()> {
        self.total = self.total.saturating_add(shape.values());
        if self.total > MAX_VALUES {
            let problem = format!(
                "with it, a batch of {BATCH} rows needs more than {MAX_VALUES} values; the model is too large for serin"
            );
            return Err(Refusal::new(format!("value `{}`", excerpt(name)), problem));
        }
        if let Dimensions(sizes) = &shape
            && sizes.len() > MAX_RANK
        {
            let problem = format!("more than {MAX_RANK} dimensions");
            return Err(Refusal::new(format!("value `{}`", excerpt(name)), problem));
        }
        self.insert(name, shape)
    }

    /// Follows one operator.
    pub(super) fn follow(&mut self, node: &Node<'f>, rule: Rule) -> Reading<()> {
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for name in &node.inputs {
            // An empty name leaves out an optional input.
            if name.is_empty() {
                continue;
            }
            let shape = self.shapes.get(name).ok_or_else(|| {
                let problem = format!("nothing before it makes its input `{}`", excerpt(name));
                Refusal::new(node.place(), problem)
            })?;
            inputs.push(shape);
        }
        if rule == Rule::Constant {
            return self.follow_constant(node);
        }
        let first = inputs
            .first()
            .copied()
            .ok_or_else(|| Refusal::new(node.place(), "it has no input; export the model again"))?;
        let shape = match rule {
            Rule::Constant | Rule::Same | Rule::Maps => first.clone(),
            Rule::Broadcast => broadcast(&inputs),
            Rule::Gemm => gemm(node, &inputs),
            Rule::MatMul => matrix_product(first, inputs.get(1).copied().unwrap_or(first)),
            Rule::Concat => concat(node, &inputs),
            Rule::Reshape => self.reshape(node, first),
            Rule::Flatten => flatten(first, node.integer("axis", 1)),
            Rule::Squeeze | Rule::Unsqueeze => match self.axes(node)? {
                Some(axes) if rule == Rule::Squeeze => squeeze(first, &axes),
                Some(axes) => unsqueeze(first, &axes),
                None => Values(first.values()),
            },
            Rule::Transpose => transpose(first, node)?,
            Rule::Shape => Dimensions(vec![MAX_RANK as u64]),
            Rule::Gather => gather(first, inputs.get(1).copied(), node.integer("axis", 0)),
            Rule::Indices => inputs.get(1).copied().unwrap_or(first).clone(),
            Rule::Reduce => self.reduce(node, first)?,
            Rule::Columns => columns(first, inputs.get(1).copied()),
            Rule::Categories => categories(node, first),
            Rule::Vector => vector(node, first)?,
            Rule::Classifier => rows_of(first, classes(node)),
            Rule::Regressor => rows_of(first, targets(node)),
        };
        self.define_outputs(node, rule, &shape)
    }

    fn define_outputs(&mut self, node: &Node<'f>, rule: Rule, shape: &Shape) -> Reading<()> {
        let is_classifier = rule == Rule::Classifier;
        for (place, name) in node.outputs.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
            // A classifier makes a label first.
            let shape = match (is_classifier, place, shape) {
                (true, 0, Dimensions(sizes)) => {
                    Dimensions(sizes.first().copied().into_iter().collect())
                }
                _ => shape.clone(),
            };
            self.define(name, shape)?;
        }
        Ok(())
    }

    fn follow_constant(&mut self, node: &Node<'f>) -> Reading<()> {
        let Some(name) = node.outputs.first() else { return Ok(()) };
        for attribute in &node.attributes {
            let count = attribute.floats.max(attribute.integers).max(attribute.texts) as u64;
            match (attribute.name, &attribute.tensor) {
                ("value", Some(tensor)) => return self.constant(name, tensor),
                ("value_int", _) => {
                    self.integers.insert(name, attribute.integer.into_iter().collect());
                    return self.insert(name, Dimensions(Vec::new()));
                }
                ("value_float" | "value_string", _) => {
                    return self.insert(name, Dimensions(Vec::new()));
                }
                ("value_ints" | "value_floats" | "value_strings", _) => {
                    if attribute.integers > 0 && count <= MAX_RANK as u64 {
                        self.integers.insert(name, attribute.list_of_integers()?);
                    }
                    return self.insert(name, Dimensions(vec![count]));
                }
                _ => {}
            }
        }
        Err(Refusal::new(node.place(), "it has no value that serin reads"))
    }

    /// The axes of an operator, from its attribute or its second input; `None` if they are computed or left out.
    fn axes(&self, node: &Node<'f>) -> Reading<Option<Vec<i64>>> {
        match node.attribute("axes") {
            Some(axes) if axes.integers <= MAX_RANK => Ok(Some(axes.list_of_integers()?)),
            Some(_) => Ok(None),
            None => Ok(node.inputs.get(1).and_then(|name| self.integers.get(name)).cloned()),
        }
    }

    fn reshape(&self, node: &Node<'f>, from: &Shape) -> Shape {
        let values = from.values();
        let to = node.inputs.get(1).and_then(|name| self.integers.get(name));
        let Some(to) = to.filter(|to| to.len() <= MAX_RANK) else { return Values(values) };
        let copied = |place: usize| match from {
            Dimensions(sizes) => sizes.get(place).copied(),
            Values(_) => None,
        };
        let mut sizes = Vec::with_capacity(to.len());
        for (place, size) in to.iter().enumerate() {
            match u64::try_from(*size) {
                Ok(0) => match copied(place) {
                    Some(size) => sizes.push(size),
                    None => return Values(values),
                },
                Ok(size) => sizes.push(size),
                Err(_) => sizes.push(0),
            }
        }
        // -1 is what is left.
        let known = sizes.iter().filter(|size| **size > 0).fold(1_u64, |a, b| a.saturating_mul(*b));
        for (size, given) in sizes.iter_mut().zip(to) {
            if *given < 0 {
                *size = values.div_ceil(known.max(1));
            }
        }
        Dimensions(sizes)
    }

    fn reduce(&self, node: &Node<'f>, from: &Shape) -> Reading<Shape> {
        let Dimensions(sizes) = from else { return Ok(from.clone()) };
        // ArgMax has one axis, the others a list.
        let axes = match node.attribute("axis").and_then(|axis| axis.integer) {
            Some(axis) => Some(vec![axis]),
            None => self.axes(node)?,
        };
        let Some(axes) = axes else { return Ok(Values(from.values())) };
        let axes: Vec<usize> = axes.iter().filter_map(|axis| place(*axis, sizes.len())).collect();
        let keeps = node.integer("keepdims", 1) != 0;
        let kept = sizes.iter().enumerate().filter_map(|(at, size)| {
            if axes.contains(&at) { keeps.then_some(1) } else { Some(*size) }
        });
        Ok(Dimensions(kept.collect()))
    }
}

/// An axis, counted from the end if it is negative.
fn place(axis: i64, rank: usize) -> Option<usize> {
    let rank = i64::try_from(rank).ok()?;
    let axis = if axis < 0 { axis.checked_add(rank)? } else { axis };
    usize::try_from(axis).ok().filter(|_| axis < rank)
}

fn broadcast(inputs: &[&Shape]) -> Shape {
    let mut out: Option<Shape> = None;
    for input in inputs {
        out = Some(match (out, input) {
            (None, input) => (*input).clone(),
            (Some(Dimensions(one)), Dimensions(other)) => {
                let rank = one.len().max(other.len());
                let size = |sizes: &[u64], at: usize| {
                    (at + sizes.len()).checked_sub(rank).map_or(1, |at| sizes[at])
                };
                Dimensions((0..rank).map(|at| size(&one, at).max(size(other, at))).collect())
            }
            (Some(one), other) => Values(one.values().saturating_mul(other.values())),
        });
    }
    out.unwrap_or(Values(0))
}

/// The two dimensions of a matrix.
fn matrix(shape: Option<&&Shape>, is_transposed: bool) -> Option<(u64, u64)> {
    match shape {
        Some(Dimensions(sizes)) => match sizes[..] {
            [rows, columns] if is_transposed => Some((columns, rows)),
            [rows, columns] => Some((rows, columns)),
            _ => None,
        },
        _ => None,
    }
}

fn gemm(node: &Node<'_>, inputs: &[&Shape]) -> Shape {
    let transposed = |name: &str| node.integer(name, 0) != 0;
    let one = matrix(inputs.first(), transposed("transA"));
    let other = matrix(inputs.get(1), transposed("transB"));
    match (one, other) {
        (Some((rows, _)), Some((_, columns))) => Dimensions(vec![rows, columns]),
        _ => Values(inputs.iter().fold(1, |all, one| all.saturating_mul(one.values()))),
    }
}

fn matrix_product(one: &Shape, other: &Shape) -> Shape {
    match (one, other) {
        (Dimensions(rows), Dimensions(columns)) if !rows.is_empty() && columns.len() == 2 => {
            let mut sizes = rows.clone();
            sizes.pop();
            sizes.push(columns[1]);
            Dimensions(sizes)
        }
        _ => Values(one.values().saturating_mul(other.values())),
    }
}

fn concat(node: &Node<'_>, inputs: &[&Shape]) -> Shape {
    let sum = inputs.iter().fold(0_u64, |sum, one| sum.saturating_add(one.values()));
    let Some(Dimensions(sizes)) = inputs.first() else { return Values(sum) };
    let Some(axis) = place(node.integer("axis", 0), sizes.len()) else { return Values(sum) };
    let mut out = sizes.clone();
    for other in &inputs[1..] {
        match other {
            Dimensions(other) if other.len() == out.len() => {
                for (at, size) in other.iter().enumerate() {
                    out[at] =
                        if at == axis { out[at].saturating_add(*size) } else { out[at].max(*size) };
                }
            }
            _ => return Values(sum),
        }
    }
    Dimensions(out)
}

fn flatten(from: &Shape, axis: i64) -> Shape {
    let Dimensions(sizes) = from else { return Values(from.values()) };
    let at = place(axis, sizes.len()).unwrap_or(sizes.len());
    let product = |sizes: &[u64]| sizes.iter().fold(1_u64, |all, size| all.saturating_mul(*size));
    Dimensions(vec![product(&sizes[..at]), product(&sizes[at..])])
}

fn squeeze(from: &Shape, axes: &[i64]) -> Shape {
    let Dimensions(sizes) = from else { return Values(from.values()) };
    let axes: Vec<usize> = axes.iter().filter_map(|axis| place(*axis, sizes.len())).collect();
    let kept = sizes.iter().enumerate().filter(|(at, _)| !axes.contains(at));
    Dimensions(kept.map(|(_, size)| *size).collect())
}

fn unsqueeze(from: &Shape, axes: &[i64]) -> Shape {
    let Dimensions(sizes) = from else { return Values(from.values()) };
    let rank = sizes.len() + axes.len();
    let axes: Vec<usize> = axes.iter().filter_map(|axis| place(*axis, rank)).collect();
    let mut left = sizes.iter();
    let size = |at| if axes.contains(&at) { 1 } else { left.next().copied().unwrap_or(1) };
    Dimensions((0..rank).map(size).collect())
}

fn transpose(from: &Shape, node: &Node<'_>) -> Reading<Shape> {
    let Dimensions(sizes) = from else { return Ok(Values(from.values())) };
    let Some(order) = node.attribute("perm").filter(|order| order.integers > 0) else {
        return Ok(Dimensions(sizes.iter().rev().copied().collect()));
    };
    if order.integers != sizes.len() {
        return Ok(Values(from.values()));
    }
    let order = order.list_of_integers()?;
    let mut places: Vec<usize> =
        order.iter().filter_map(|axis| place(*axis, sizes.len())).collect();
    let moved = places.iter().map(|at| sizes[*at]).collect();
    places.sort_unstable();
    places.dedup();
    match places.len() == sizes.len() {
        true => Ok(Dimensions(moved)),
        false => Err(Refusal::new(node.place(), "perm names a dimension twice")),
    }
}

fn gather(from: &Shape, indices: Option<&Shape>, axis: i64) -> Shape {
    let indices = indices.cloned().unwrap_or(Values(1));
    match (from, &indices) {
        (Dimensions(sizes), Dimensions(indices)) => match place(axis, sizes.len()) {
            Some(at) => Dimensions([&sizes[..at], indices, &sizes[at + 1..]].concat()),
            None => Values(from.values()),
        },
        _ => Values(from.values().saturating_mul(indices.values())),
    }
}

fn columns(from: &Shape, indices: Option<&Shape>) -> Shape {
    let count = indices.map_or(1, Shape::values);
    match from {
        Dimensions(sizes) if sizes.len() > 1 => {
            Dimensions([&sizes[..sizes.len() - 1], &[count]].concat())
        }
        Dimensions(_) => Dimensions(vec![1, count]),
        Values(values) => Values(values.saturating_mul(count)),
    }
}

fn categories(node: &Node<'_>, from: &Shape) -> Shape {
    let lists = ["cats_int64s", "cats_strings"].map(|name| node.attribute(name));
    let count = lists.iter().flatten().map(|it| it.integers.max(it.texts)).max();
    let count = count.unwrap_or_default() as u64;
    match from {
        Dimensions(sizes) => Dimensions([&sizes[..], &[count]].concat()),
        Values(values) => Values(values.saturating_mul(count)),
    }
}

fn vector(node: &Node<'_>, first: &Shape) -> Reading<Shape> {
    let widths = node.attribute("inputdimensions");
    let widths = widths.map(|widths| widths.list_of_integers()).transpose()?.unwrap_or_default();
    let widths = widths.iter().map(|width| u64::try_from(*width).unwrap_or(u64::MAX));
    Ok(rows_of(first, widths.fold(0, u64::saturating_add)))
}

/// Classes of a classifier; one with two may name one, and vectors are compared pair by pair.
fn classes(node: &Node<'_>) -> u64 {
    let labels = (node.class_labels() as u64).max(2);
    match node.operator {
        "SVMClassifier" => labels.max(labels.saturating_mul(labels - 1) / 2),
        _ => labels,
    }
}

fn targets(node: &Node<'_>) -> u64 {
    let named = node.integer("n_targets", 1).max(node.integer("targets", 1));
    u64::try_from(named).unwrap_or(u64::MAX).max(1)
}

/// As many rows as the input has, of this many numbers.
fn rows_of(from: &Shape, numbers: u64) -> Shape {
    match from {
        Dimensions(sizes) if sizes.len() > 1 => Dimensions(vec![sizes[0], numbers]),
        Dimensions(_) => Dimensions(vec![1, numbers]),
        Values(values) => Values(values.saturating_mul(numbers)),
    }
}
