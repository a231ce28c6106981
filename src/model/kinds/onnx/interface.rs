//! What an ONNX file takes, and what it answers.

use std::collections::HashMap;
use std::collections::HashSet;

use crate::model::kinds::features::FeatureKind;
use crate::model::kinds::features::FeatureSpec;
use crate::model::kinds::limits::MAX_FEATURES;
use crate::model::kinds::limits::MAX_OUTPUTS;
use crate::model::kinds::onnx::message::Declared;
use crate::model::kinds::onnx::message::DeclaredKind;
use crate::model::kinds::onnx::message::Graph;
use crate::model::kinds::onnx::message::Node;
use crate::model::kinds::onnx::ports::Element;
use crate::model::kinds::onnx::ports::Input;
use crate::model::kinds::onnx::ports::Output;
use crate::model::kinds::onnx::shapes::BATCH;
use crate::model::kinds::onnx::shapes::Shape;
use crate::model::kinds::onnx::shapes::Shapes;
use crate::model::kinds::onnx::tensor::DOUBLE;
use crate::model::kinds::onnx::tensor::FLOAT;
use crate::model::kinds::onnx::tensor::INT32;
use crate::model::kinds::onnx::tensor::INT64;
use crate::model::kinds::onnx::tensor::STRING;
use crate::model::kinds::parsed::Answer;
use crate::model::kinds::refusal::Reading;
use crate::model::kinds::refusal::Refusal;
use crate::model::kinds::refusal::excerpt;

/// The inputs of the graph, and how many rows a run may have.
pub(super) fn inputs(graph: &Graph<'_>) -> Reading<(Vec<Input>, usize)> {
    let constants: HashSet<&str> = graph.tensors.iter().map(|tensor| tensor.name).collect();
    let (mut found, mut rows, mut columns) = (Vec::new(), BATCH, 0_usize);
    // Old files list their constants as inputs, too.
    for declared in graph.inputs.iter().filter(|input| !constants.contains(input.name)) {
        let refused =
            |problem: &str| Refusal::new(format!("input `{}`", excerpt(declared.name)), problem);
        let DeclaredKind::Tensor(element, Some(sizes)) = &declared.kind else {
            return Err(refused(
                "it is not a tensor with declared dimensions; export it as [rows, columns]",
            ));
        };
        let element = match *element {
            FLOAT => Element::Float,
            DOUBLE => Element::Double,
            INT32 => Element::Int32,
            INT64 => Element::Int64,
            STRING => Element::Text,
            _ => return Err(refused("its values are not float, double, int32, int64 or string")),
        };
        let (first, width) = match sizes[..] {
            [first @ None] => (first, 1),
            [first, Some(width)] => (first, width),
            _ => {
                return Err(refused(
                    "its dimensions are not [rows, columns] with a fixed number of columns; export it so",
                ));
            }
        };
        match first {
            None => {}
            Some(1) => rows = 1,
            Some(_) => {
                return Err(refused(
                    "it takes a fixed number of rows; export it with an open first dimension",
                ));
            }
        }
        let width = usize::try_from(width).unwrap_or(usize::MAX);
        columns = columns.saturating_add(width);
        if columns > MAX_FEATURES {
            return Err(refused(&format!(
                "with it, the model has more than {MAX_FEATURES} columns"
            )));
        }
        let is_flat = sizes.len() == 1;
        found.push(Input { name: declared.name.to_owned(), element, columns: width, is_flat });
    }
    match found.is_empty() {
        true => Err(Refusal::new("graph", "it has no inputs")),
        false => Ok((found, rows)),
    }
}

/// The shapes of the inputs in a run of this many rows.
pub(super) fn input_shapes<'f>(
    graph: &Graph<'f>,
    inputs: &[Input],
    rows: usize,
) -> Vec<(&'f str, Shape)> {
    let named = graph.inputs.iter().filter_map(|declared| {
        let input = inputs.iter().find(|input| input.name == declared.name)?;
        let sizes = match input.is_flat {
            true => vec![rows as u64],
            false => vec![rows as u64, input.columns as u64],
        };
        Some((declared.name, Shape::Dimensions(sizes)))
    });
    named.collect()
}

/// The features: one for each column of each input.
pub(super) fn features(graph: &Graph<'_>, inputs: &[Input]) -> Reading<Vec<FeatureSpec>> {
    let is_only = inputs.len() == 1;
    let mut features = Vec::new();
    for input in inputs {
        let kind = match input.element {
            Element::Text => FeatureKind::Words(words(graph, &input.name)?),
            _ => FeatureKind::Number,
        };
        for column in 0..input.columns {
            let name = match (input.columns, is_only) {
                (1, _) => input.name.clone(),
                (_, true) => format!("f{column}"),
                (_, false) => format!("{}_{column}", input.name),
            };
            features.push(FeatureSpec { name, kind: kind.clone() });
        }
    }
    Ok(features)
}

/// Operators that pass texts on.
const PASSING: [&str; 13] = [
    "ArrayFeatureExtractor",
    "Concat",
    "Flatten",
    "Gather",
    "Identity",
    "Imputer",
    "Reshape",
    "Slice",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
    "Where",
];

/// All words that the file compares the texts of an input with. Any other word means the same to it.
fn words(graph: &Graph<'_>, input: &str) -> Reading<Vec<String>> {
    let constants: HashMap<&str, _> =
        graph.tensors.iter().map(|tensor| (tensor.name, tensor)).collect();
    let mut reached = HashSet::from([input]);
    let mut words = Vec::new();
    for node in &graph.nodes {
        if !node.inputs.iter().any(|input| reached.contains(input)) {
            continue;
        }
        for list in ["cats_strings", "keys_strings"] {
            let list = node.attribute(list).map(|list| list.list_of_texts()).transpose()?;
            words.extend(list.into_iter().flatten());
        }
        for tensor in node.inputs.iter().filter_map(|name| constants.get(name)) {
            words.extend(tensor.words()?);
        }
        for attribute in &node.attributes {
            if let Some(tensor) = &attribute.tensor {
                words.extend(tensor.words()?);
            }
        }
        if PASSING.contains(&node.operator) {
            reached.extend(node.outputs.iter().copied());
        }
    }
    // A missing word is sent to the file as an empty one.
    words.retain(|word| !word.trim().is_empty());
    words.sort_unstable();
    words.dedup();
    if words.is_empty() {
        let place = format!("input `{}`", excerpt(input));
        let problem = "it takes words, and no encoder of the file lists them";
        return Err(Refusal::new(place, problem));
    }
    Ok(words.into_iter().map(str::to_owned).collect())
}

/// What the file answers with, and the names of the classes.
pub(super) struct Answering {
    pub(super) output: Output,
    pub(super) answer: Answer,
    pub(super) classes: Vec<String>,
}

/// Chooses the output to read.
pub(super) fn answering(graph: &Graph<'_>, shapes: &Shapes<'_>) -> Reading<Answering> {
    let numeric = |declared: &&Declared<'_>| match &declared.kind {
        DeclaredKind::Tensor(element, _) => matches!(*element, FLOAT | DOUBLE),
        DeclaredKind::Maps => true,
        DeclaredKind::Other => false,
    };
    let candidates: Vec<&Declared<'_>> = graph.outputs.iter().filter(numeric).collect();
    let named = |part: &str| {
        let mut found = candidates.iter().filter(|it| it.name.to_lowercase().contains(part));
        found.next().filter(|_| found.next().is_none()).copied()
    };
    let chosen = match candidates[..] {
        [] => None,
        [only] => Some(only),
        _ => named("probab"),
    };
    let declared = chosen.ok_or_else(|| {
        let names: Vec<String> =
            graph.outputs.iter().map(|it| format!("`{}`", excerpt(it.name))).take(8).collect();
        let problem = format!(
            "none or several of {} are numbers; export the model with its probabilities as the only numeric output",
            names.join(", ")
        );
        Refusal::new("outputs", problem)
    })?;
    let refused =
        |problem: &str| Refusal::new(format!("output `{}`", excerpt(declared.name)), problem);
    let producer = producer(graph, declared.name);
    let is_maps = declared.kind == DeclaredKind::Maps;
    let labels = match (is_maps, producer) {
        (true, Some(node)) if node.operator != "ZipMap" => {
            return Err(refused("it is a list of maps that no ZipMap makes"));
        }
        (_, Some(node)) => node.class_names()?,
        (_, None) => return Err(refused("no operator makes it")),
    };
    let width = match (is_maps, shapes.of(declared.name)) {
        (true, _) => Some(labels.len() as u64),
        (_, Some(Shape::Dimensions(sizes))) if sizes.len() == 1 => Some(1),
        (_, Some(Shape::Dimensions(sizes))) if sizes.len() == 2 => sizes.last().copied(),
        (_, Some(Shape::Dimensions(_))) => return Err(refused("it is not a table of rows")),
        _ => match &declared.kind {
            DeclaredKind::Tensor(_, Some(sizes)) if sizes.len() == 2 => sizes[1],
            DeclaredKind::Tensor(_, Some(sizes)) if sizes.len() == 1 => Some(1),
            _ => None,
        },
    };
    let columns = width.and_then(|width| usize::try_from(width).ok());
    let columns = columns.filter(|columns| (1..=MAX_OUTPUTS).contains(columns));
    let columns = columns.ok_or_else(|| refused("its number of columns is not known"))?;
    let answer = match (columns, producer.map_or(Scale::Open, |node| scale(graph, node))) {
        (1, Scale::Open) => Answer::Score,
        (1, Scale::Probability) | (2, Scale::Probability) => Answer::Probability,
        (columns, Scale::Probability) => Answer::Classes(columns),
        (_, Scale::Open) => {
            let problem = format!(
                "its {columns} columns are not probabilities; export the model with a Softmax or Sigmoid at the end"
            );
            return Err(refused(&problem));
        }
    };
    let classes = if labels.len() == columns { labels.clone() } else { Vec::new() };
    let keys = is_maps.then_some(labels);
    let is_pair = answer == Answer::Probability && columns == 2;
    let output = Output { name: declared.name.to_owned(), columns, keys, is_pair };
    Ok(Answering { output, answer, classes })
}

fn producer<'g, 'f>(graph: &'g Graph<'f>, name: &str) -> Option<&'g Node<'f>> {
    graph.nodes.iter().find(|node| node.outputs.contains(&name))
}

/// Whether the numbers of an output are probabilities.
enum Scale {
    Probability,
    Open,
}

/// Goes back from the last operator to the one that decides.
fn scale<'g, 'f>(graph: &'g Graph<'f>, last: &'g Node<'f>) -> Scale {
    let mut node = last;
    // No longer than the graph.
    for _ in 0..graph.nodes.len() {
        match node.operator {
            "Cast" | "Clip" | "Concat" | "Div" | "Flatten" | "Gather" | "Identity" | "Mul"
            | "Normalizer" | "Reshape" | "Slice" | "Squeeze" | "Transpose" | "Unsqueeze"
            | "Where" | "ZipMap" => {
                let before = node.inputs.iter().rev().find_map(|name| producer(graph, name));
                let first = node.inputs.first().and_then(|name| producer(graph, name));
                match first.or(before) {
                    Some(before) => node = before,
                    None => return Scale::Open,
                }
            }
            "LinearRegressor" | "TreeEnsembleRegressor" | "SVMRegressor" => {
                let transform = node.attribute("post_transform").and_then(|it| it.text);
                return match transform {
                    Some(b"LOGISTIC" | b"PROBIT" | b"SOFTMAX") => Scale::Probability,
                    _ => Scale::Open,
                };
            }
            "Add" | "Gemm" | "LeakyRelu" | "MatMul" | "Neg" | "Relu" | "Tanh" => {
                return Scale::Open;
            }
            _ => return Scale::Probability,
        }
    }
    Scale::Open
}
