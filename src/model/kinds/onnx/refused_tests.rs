//! Files that are valid ONNX and could harm the process: refused with the place and what to do.

use super::is_onnx;
use super::read;

/// A field of bytes: a text or a message.
fn bytes(number: u8, contents: &[u8]) -> Vec<u8> {
    let mut out = vec![];
    varint(u64::from(number) << 3 | 2, &mut out);
    varint(contents.len() as u64, &mut out);
    out.extend_from_slice(contents);
    out
}

fn number(field: u8, value: u64) -> Vec<u8> {
    let mut out = vec![];
    varint(u64::from(field) << 3, &mut out);
    varint(value, &mut out);
    out
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn node(
    domain: &str,
    operator: &str,
    inputs: &[&str],
    outputs: &[&str],
    more: &[Vec<u8>],
) -> Vec<u8> {
    let mut out: Vec<u8> = inputs.iter().flat_map(|name| bytes(1, name.as_bytes())).collect();
    out.extend(outputs.iter().flat_map(|name| bytes(2, name.as_bytes())));
    out.extend(bytes(4, operator.as_bytes()));
    out.extend(bytes(7, domain.as_bytes()));
    out.extend(more.iter().flat_map(|attribute| bytes(5, attribute)));
    bytes(1, &out)
}

fn attribute(name: &str, value: &[Vec<u8>]) -> Vec<u8> {
    [bytes(1, name.as_bytes()), value.concat()].concat()
}

fn integers(name: &str, values: &[u64]) -> Vec<u8> {
    attribute(name, &values.iter().map(|value| number(8, *value)).collect::<Vec<_>>())
}

/// A declared tensor of floats of any rows and these columns.
fn declared(field: u8, name: &str, columns: u64) -> Vec<u8> {
    let shape = [bytes(1, &[]), bytes(1, &number(1, columns))].concat();
    let tensor = [number(1, 1), bytes(2, &shape)].concat();
    bytes(field, &[bytes(1, name.as_bytes()), bytes(2, &bytes(1, &tensor))].concat())
}

fn floats(name: &str, dimensions: &[u64], data: &[u8]) -> Vec<u8> {
    let sizes: Vec<u8> = dimensions.iter().flat_map(|size| number(1, *size)).collect();
    [sizes, number(2, 1), bytes(8, name.as_bytes()), bytes(9, data)].concat()
}

/// A file with these parts of a graph, from `x` of two columns to `y`.
fn file(parts: &[Vec<u8>]) -> Vec<u8> {
    let ends = [declared(11, "x", 2), declared(12, "y", 1)].concat();
    let graph = [parts.concat(), ends].concat();
    [number(1, 8), bytes(7, &graph), bytes(8, &number(2, 17))].concat()
}

fn refusal(parts: &[Vec<u8>]) -> String {
    let file = file(parts);
    assert!(is_onnx(&file));
    read(&file).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn operators_that_do_not_end_or_take_any_memory_are_refused_by_name() {
    for (domain, operator, said) in [
        ("", "Loop", "could run for ever"),
        ("", "If", "a graph of its own"),
        ("", "Scan", "could run for ever"),
        ("", "ConstantOfShape", "any amount of memory"),
        ("", "Tile", "any amount of memory"),
        ("", "RandomNormal", "no answer could be repeated"),
        ("", "Conv", "serin does not run this operator"),
        ("com.microsoft", "Gelu", "operators of `com.microsoft` are not ONNX's own"),
        ("ai.onnx.ml", "Relu", "serin does not run this operator"),
    ] {
        let message = refusal(&[node(domain, operator, &["x"], &["y"], &[])]);
        assert!(message.starts_with(&format!("node {operator} of `y`: ")), "{message}");
        assert!(message.contains(said), "{message}");
        assert!(message.contains("export the model without it"), "{message}");
    }
    let golden = std::fs::read(super::onnx_tests::folder().join("refused_loop.onnx")).unwrap();
    let message = read(&golden).unwrap_err().to_string();
    assert!(message.contains("graphs within operators"), "{message}");
}

#[test]
fn graphs_functions_and_data_elsewhere_are_refused() {
    let relu = || node("", "Relu", &["x"], &["y"], &[]);
    let inner = node("", "Relu", &["x"], &["y"], &[attribute("body", &[bytes(6, &[])])]);
    assert!(refusal(&[inner]).contains("graphs within operators"));
    for (more, said) in [
        (bytes(13, b""), "its data is in another file"),
        (number(14, 1), "its data is in another file"),
        (bytes(3, b""), "its data is in another file"),
    ] {
        let tensor = bytes(5, &[floats("w", &[0], &[]), more].concat());
        let message = refusal(&[tensor, relu()]);
        assert!(message.starts_with("tensor `w`: ") && message.contains(said), "{message}");
    }
    let with = |field: u8| [file(&[relu()]), bytes(field, &[])].concat();
    for (field, said) in [(20, "training"), (25, "functions of its own"), (7, "graph occurs twice")]
    {
        let message = read(&with(field)).map(|_| ()).unwrap_err().to_string();
        assert!(message.contains(said), "{message}");
    }
    let foreign = [file(&[relu()]), bytes(8, &bytes(1, b"com.evil"))].concat();
    assert!(read(&foreign).unwrap_err().to_string().contains("operators of `com.evil`"));
    let sparse = refusal(&[bytes(15, &[]), relu()]);
    assert!(sparse.contains("sparse tensors"), "{sparse}");
}

#[test]
fn declared_sizes_must_be_those_of_the_data() {
    let relu = node("", "Relu", &["x"], &["y"], &[]);
    for (dimensions, data, said) in [
        (&[2, 2][..], &[0; 12][..], "its dimensions make 4 values, its data has 3"),
        (&[u64::MAX >> 1, 4], &[0; 4], "its size is out of range"),
        (&[1 << 40], &[0; 4], "its dimensions make 1099511627776 values"),
        (&[u64::MAX], &[], "a negative dimension"),
        (&[1], &[0; 5], "ends within a value"),
        (&[1; 9], &[0; 4], "more than 8 dimensions"),
    ] {
        let message = refusal(&[bytes(5, &floats("w", dimensions, data)), relu.clone()]);
        assert!(message.contains(said), "{message}");
    }
}

#[test]
fn a_graph_that_asks_for_much_memory_is_refused_before_it_runs() {
    // Each node doubles its input: 2^40 columns at the end.
    let name = |at: usize| format!("v{at}");
    let axis = attribute("axis", &[number(3, 1)]);
    let mut parts = vec![node("", "Concat", &["x", "x"], &["v0"], std::slice::from_ref(&axis))];
    for at in 0..40 {
        let input = name(at);
        let nodes =
            node("", "Concat", &[&input, &input], &[&name(at + 1)], std::slice::from_ref(&axis));
        parts.push(nodes);
    }
    parts.push(node("", "Identity", &["v40"], &["y"], &[]));
    let message = refusal(&parts);
    assert!(message.contains("a batch of 256 rows needs more than"), "{message}");
    // Outer products: dimensions multiply.
    let square = |from: &str, to: &str| {
        let across = format!("{from}t");
        let order = integers("perm", &[1, 0]);
        [
            node("", "Transpose", &[from], &[&across], &[order]),
            node("", "MatMul", &[&across, from], &[to], &[]),
        ]
        .concat()
    };
    let wide = node("", "Concat", &["x"; 3000], &["w"], &[axis]);
    let message = refusal(&[wide, square("w", "a"), square("a", "y")]);
    assert!(message.contains("needs more than"), "{message}");
    // One number of an attribute.
    let targets = attribute("n_targets", &[number(3, 1 << 40)]);
    let message =
        refusal(&[node("ai.onnx.ml", "TreeEnsembleRegressor", &["x"], &["y"], &[targets])]);
    assert!(message.contains("needs more than"), "{message}");
}

#[test]
fn trees_that_are_circles_or_ask_for_other_columns_are_refused() {
    let tree = |yes: &[u64], no: &[u64], features: &[u64], modes: &[&str]| {
        let count = yes.len() as u64;
        let places: Vec<u64> = (0..count).collect();
        let modes: Vec<Vec<u8>> = modes.iter().map(|mode| bytes(9, mode.as_bytes())).collect();
        let attributes = [
            integers("nodes_treeids", &vec![0; yes.len()]),
            integers("nodes_nodeids", &places),
            integers("nodes_truenodeids", yes),
            integers("nodes_falsenodeids", no),
            integers("nodes_featureids", features),
            attribute("nodes_modes", &modes),
        ];
        read(&file(&[node("ai.onnx.ml", "TreeEnsembleRegressor", &["x"], &["y"], &attributes)]))
    };
    let (split, leaf) = ("BRANCH_LEQ", "LEAF");
    assert!(tree(&[1, 0, 0], &[2, 0, 0], &[1, 0, 0], &[split, leaf, leaf]).is_ok());
    for (yes, no, features, modes, said) in [
        (
            &[1, 0, 0][..],
            &[2, 0, 0][..],
            &[2, 0, 0][..],
            &[split, leaf, leaf][..],
            "asks for column 2",
        ),
        (&[1, 0, 0], &[9, 0, 0], &[0; 3], &[split, leaf, leaf], "node 0 has no child 9"),
        (&[1, 0, 0], &[1, 0, 0], &[0; 3], &[split, leaf, leaf], "node 1 has two parents"),
        (&[1, 2, 0], &[2, 0, 0], &[0; 3], &[split, split, leaf], "two parents"),
        (
            &[0, 2, 1, 0, 0],
            &[0, 3, 4, 0, 0],
            &[0; 5],
            &[leaf, split, split, leaf, leaf],
            "a circle",
        ),
        (&[1, 0, 0], &[2, 0], &[0; 3], &[split, leaf, leaf], "differ in length"),
    ] {
        let message = tree(yes, no, features, modes).map(|_| ()).unwrap_err().to_string();
        assert!(message.contains(said), "{said}: {message}");
    }
    // A chain of 3,000 splits, which the runtime would follow by recursion.
    let depth = 3000_u64;
    let yes: Vec<u64> = (0..depth).map(|at| 2 * at + 2).flat_map(|it| [it, 0]).chain([0]).collect();
    let no: Vec<u64> = (0..depth).map(|at| 2 * at + 1).flat_map(|it| [it, 0]).chain([0]).collect();
    let modes: Vec<&str> = (0..depth).flat_map(|_| [split, leaf]).chain([leaf]).collect();
    let message = tree(&yes, &no, &vec![0; yes.len()], &modes).map(|_| ()).unwrap_err().to_string();
    assert!(message.contains("deeper than 1024"), "{message}");
}

#[test]
fn a_graph_that_does_not_fit_together_is_refused_with_the_place() {
    for (parts, said) in [
        (
            vec![node("", "Relu", &["z"], &["y"], &[])],
            "node Relu of `y`: nothing before it makes its input `z`",
        ),
        (
            vec![node("", "Relu", &["x"], &["y"], &[]), node("", "Relu", &["x"], &["y"], &[])],
            "value `y`: it is made twice",
        ),
        (vec![], "output `y`: no operator makes it"),
        (vec![node("", "Relu", &[], &["y"], &[])], "it has no input"),
        (
            vec![node("", "Relu", &["x"], &["y"], &[])],
            "output `y`: its 2 columns are not probabilities; export the model with a Softmax or Sigmoid",
        ),
        (
            vec![node(
                "ai.onnx.ml",
                "LinearClassifier",
                &["x"],
                &["l", "y"],
                &[attribute("coefficients", &[bytes(7, &[0; 12])])],
            )],
            "3 coefficients and 0 intercepts do not fit its input",
        ),
    ] {
        let message = refusal(&parts);
        assert!(message.contains(said), "{said}: {message}");
    }
}

#[test]
fn nesting_and_counts_without_end_are_bounded() {
    // A sequence of sequences of .., 100,000 deep: only the outermost one is read.
    let mut kind = vec![];
    for _ in 0..2000 {
        kind = bytes(4, &bytes(1, &kind));
    }
    let output = bytes(12, &[bytes(1, b"s"), bytes(2, &kind)].concat());
    let _ = read(&file(&[output, node("", "Relu", &["x"], &["y"], &[])]));
    let empty = bytes(1, &[]).repeat(30_000);
    assert!(refusal(&[empty]).contains("more than 20000 nodes"));
    let names = bytes(1, &bytes(1, b"").repeat(300_000));
    assert!(refusal(&[names]).contains("more than 200000 inputs, outputs and attributes"));
}
