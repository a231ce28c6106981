//! ONNX files: checked here, run by ONNX Runtime.
//!
//! - `protobuf`, `message`, `tensor`: the file, read in place.
//! - `operators`, `shapes`, `trees`: what it may contain. The runtime sees no byte of a file that is refused.
//! - `interface`, `ports`: what it takes and what it answers.
//! - [`runtime`]: the library that runs it, found on the machine. `engine`: a model in it.
//!
//! The runtime is C++ in this process. The check makes sure that a model ends, and that its memory is bounded.

pub(crate) mod engine;
mod interface;
mod message;
mod operators;
mod ports;
mod protobuf;
pub mod runtime;
mod shapes;
mod tensor;
mod trees;

#[cfg(test)]
mod onnx_tests;
#[cfg(test)]
mod refused_tests;

use self::engine::Engine;
use self::message::File;
use self::message::Node;
use self::operators::Rule;
use self::shapes::Shape;
use self::shapes::Shapes;
use super::parsed::Parsed;
use super::parsed::Scorer;
use super::refusal::Reading;
use super::refusal::Refusal;
use super::refusal::excerpt;

/// Whether the bytes look like an ONNX file: the version of its format comes first.
pub fn is_onnx(bytes: &[u8]) -> bool {
    // After it: the producer (2, 3), domain (4), model version (5), description (6), graph (7) or operators (8).
    const NEXT: [u8; 7] = [0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42];
    matches!(bytes, [0x08, version, next, ..] if (1..=32).contains(version) && NEXT.contains(next))
}

/// Reads and checks an ONNX file.
///
/// # Errors
///
/// [`Refusal`] names the operator, the constant, the input or the output.
pub fn read(bytes: &[u8]) -> Reading<Parsed> {
    let file = File::read(bytes)?;
    let graph = &file.graph;
    let (inputs, rows) = interface::inputs(graph)?;
    let mut shapes = Shapes::new(graph, interface::input_shapes(graph, &inputs, rows))?;
    for node in &graph.nodes {
        let rule = operators::rule(node)?;
        check_parameters(node, rule, &shapes)?;
        shapes.follow(node, rule)?;
    }
    let answering = interface::answering(graph, &shapes)?;
    let features = interface::features(graph, &inputs)?;
    let producer = match file.producer {
        "" => String::new(),
        producer => format!(" of {}", excerpt(producer)),
    };
    let objective = format!("output {}{producer}", excerpt(&answering.output.name));
    let engine = Engine::new(bytes, inputs, answering.output, rows, &features);
    Ok(Parsed {
        features,
        columns: None,
        scorer: Scorer::Onnx(engine),
        answer: answering.answer,
        classes: answering.classes,
        objective,
        threshold: None,
    })
}

/// Checks the parameters that the runtime takes at their word.
fn check_parameters(node: &Node<'_>, rule: Rule, shapes: &Shapes<'_>) -> Reading<()> {
    let columns = node.inputs.first().and_then(|name| shapes.of(name)).and_then(Shape::last);
    match (rule, node.operator) {
        (Rule::Classifier | Rule::Regressor, operator) if operator.starts_with("TreeEnsemble") => {
            trees::check(node, columns)
        }
        (Rule::Classifier | Rule::Regressor, operator) if operator.starts_with("Linear") => {
            let count = |name: &str| node.attribute(name).map_or(0, |list| list.floats as u64);
            let (weights, intercepts) = (count("coefficients"), count("intercepts"));
            let is_right = columns.is_none_or(|columns| {
                columns > 0
                    && weights % columns == 0
                    && (intercepts == 0 || weights / columns == intercepts)
            });
            let problem =
                format!("{weights} coefficients and {intercepts} intercepts do not fit its input");
            is_right.then_some(()).ok_or_else(|| Refusal::new(node.place(), problem))
        }
        _ => Ok(()),
    }
}
