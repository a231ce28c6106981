//! Operators that serin hands to the runtime, and how the shape of each one's output follows.
//!
//! The list is what scikit-learn (skl2onnx), CatBoost, PyTorch and Keras write for models of tables. Each operator ends
//! after work in proportion to its inputs and outputs, reads no file, and draws no random numbers.

use crate::model::kinds::onnx::message::DOMAINS;
use crate::model::kinds::onnx::message::Node;
use crate::model::kinds::refusal::Reading;
use crate::model::kinds::refusal::Refusal;
use crate::model::kinds::refusal::excerpt;

/// How the shape of the first output follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// That of the first input; also for slices and parts of it, which are smaller.
    Same,
    /// That of all inputs, broadcast.
    Broadcast,
    /// A matrix product with a bias.
    Gemm,
    /// A matrix product.
    MatMul,
    /// All inputs along an axis.
    Concat,
    /// The values of the first input in other dimensions.
    Reshape,
    /// Two dimensions, split at an axis.
    Flatten,
    /// Without dimensions of 1.
    Squeeze,
    /// With further dimensions of 1.
    Unsqueeze,
    /// In another order.
    Transpose,
    /// The dimensions as numbers.
    Shape,
    /// Parts along an axis, for each index.
    Gather,
    /// As many as there are indices.
    Indices,
    /// One for each group along axes.
    Reduce,
    /// A constant of the file.
    Constant,
    /// Some columns.
    Columns,
    /// One number for each category.
    Categories,
    /// The columns of all inputs.
    Vector,
    /// A label, and one number for each class.
    Classifier,
    /// Some numbers a row.
    Regressor,
    /// A map a row.
    Maps,
}

/// The rule of an operator.
///
/// # Errors
///
/// The operator is not on the list.
pub(super) fn rule(node: &Node<'_>) -> Reading<Rule> {
    let classical = node.domain == "ai.onnx.ml";
    let found = match classical {
        true => of_classical(node.operator),
        false if DOMAINS.contains(&node.domain) => of_general(node.operator),
        false => None,
    };
    found.ok_or_else(|| {
        let why = if DOMAINS.contains(&node.domain) {
            reason(node.operator).to_owned()
        } else {
            format!("operators of `{}` are not ONNX's own", excerpt(node.domain))
        };
        let problem = format!(
            "{why}; export the model without it, or import the file of the library that trained it"
        );
        Refusal::new(node.place(), problem)
    })
}

fn of_classical(operator: &str) -> Option<Rule> {
    Some(match operator {
        "Binarizer" | "CategoryMapper" | "Imputer" | "LabelEncoder" | "Normalizer" | "Scaler" => {
            Rule::Same
        }
        "ArrayFeatureExtractor" => Rule::Columns,
        "FeatureVectorizer" => Rule::Vector,
        "OneHotEncoder" => Rule::Categories,
        "LinearClassifier" | "SVMClassifier" | "TreeEnsembleClassifier" => Rule::Classifier,
        "LinearRegressor" | "SVMRegressor" | "TreeEnsembleRegressor" => Rule::Regressor,
        "ZipMap" => Rule::Maps,
        _ => return None,
    })
}

fn of_general(operator: &str) -> Option<Rule> {
    Some(match operator {
        "Abs" | "BatchNormalization" | "Cast" | "Ceil" | "Celu" | "Clip" | "Cos" | "CumSum"
        | "Dropout" | "Elu" | "Erf" | "Exp" | "Floor" | "Gelu" | "HardSigmoid" | "HardSwish"
        | "Hardmax" | "Identity" | "IsInf" | "IsNaN" | "LayerNormalization" | "LeakyRelu"
        | "Log" | "LogSoftmax" | "LpNormalization" | "Mish" | "Neg" | "Not" | "Reciprocal"
        | "Relu" | "Round" | "Selu" | "Sigmoid" | "Sign" | "Sin" | "Slice" | "Softmax"
        | "Softplus" | "Softsign" | "Split" | "Sqrt" | "Swish" | "Tanh" | "ThresholdedRelu" => {
            Rule::Same
        }
        "Add" | "And" | "Div" | "Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual"
        | "Max" | "Mean" | "Min" | "Mod" | "Mul" | "Or" | "PRelu" | "Pow" | "Sub" | "Sum"
        | "Where" | "Xor" => Rule::Broadcast,
        "Gemm" => Rule::Gemm,
        "MatMul" => Rule::MatMul,
        "Concat" => Rule::Concat,
        "Reshape" => Rule::Reshape,
        "Flatten" => Rule::Flatten,
        "Squeeze" => Rule::Squeeze,
        "Unsqueeze" => Rule::Unsqueeze,
        "Transpose" => Rule::Transpose,
        "Shape" | "Size" => Rule::Shape,
        "Gather" => Rule::Gather,
        "GatherElements" => Rule::Indices,
        "ArgMax" | "ArgMin" | "ReduceL1" | "ReduceL2" | "ReduceLogSumExp" | "ReduceMax"
        | "ReduceMean" | "ReduceMin" | "ReduceProd" | "ReduceSum" | "ReduceSumSquare" => {
            Rule::Reduce
        }
        "Constant" => Rule::Constant,
        _ => return None,
    })
}

/// Why an operator is not on the list.
fn reason(operator: &str) -> &'static str {
    match operator {
        "Loop" | "If" | "Scan" | "SequenceMap" => {
            "it contains a graph of its own, which could run for ever"
        }
        "ConstantOfShape" | "Expand" | "Tile" | "Range" | "OneHot" | "Pad" | "Resize"
        | "EyeLike" => "a few bytes of it can ask for any amount of memory",
        _ if operator.starts_with("Random") || matches!(operator, "Multinomial" | "Bernoulli") => {
            "it is random, so that no answer could be repeated"
        }
        _ => "serin does not run this operator",
    }
}
