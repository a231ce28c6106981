//! The body of an inference: a JSON part, and behind it raw tensors.

use std::fmt;
use std::marker::PhantomData;

use actix_web::http::header::HeaderMap;
use actix_web::http::header::HeaderName;
use serde::Deserialize;
use serde::Deserializer;
use serde::de::SeqAccess;
use serde::de::Visitor;
use smallvec::SmallVec;
use utoipa::ToSchema;

use super::datatype::DATATYPES;
use super::datatype::Datatype;
use crate::http::answer::JSON_BYTES_HEADER;
use crate::http::openapi::requests::RequestParameters;
use crate::http::openapi::requests::TensorData;
use crate::http::predicting::Sent;
use crate::http::problem::Kind;
use crate::http::problem::Problem;
use crate::http::protocols::cells::Cell;
use crate::http::protocols::cells::Data;
use crate::http::protocols::parameters::Parameters;
use crate::http::reading::fields::Text;
use crate::http::reading::headers::only;
use crate::http::reading::lenient;
use crate::http::reading::rows::MAX_ROWS;
use crate::http::reading::rows::out_of_range;
use crate::model::schema::features::MAX_VALUES;
use crate::text::lists::did_you_mean;
use crate::text::lists::quoted;

/// The JSON part. Clients send more members than the protocol has, such as `model_name`.
#[derive(Deserialize, ToSchema)]
#[schema(as = InferRequest)]
pub(super) struct Body<'a> {
    #[serde(borrow)]
    #[schema(value_type = Option<String>)]
    pub(super) id: Option<Text<'a>>,
    #[serde(borrow, default)]
    #[schema(value_type = RequestParameters)]
    pub(super) parameters: Parameters<'a>,
    #[serde(borrow, deserialize_with = "inputs")]
    inputs: Vec<Input<'a>>,
    #[serde(borrow)]
    pub(super) outputs: Option<Vec<WantedOutput<'a>>>,
}

/// An output that the client asks for.
#[derive(Deserialize, ToSchema)]
#[schema(as = RequestedOutput)]
pub(super) struct WantedOutput<'a> {
    #[serde(borrow)]
    #[schema(value_type = String)]
    pub(super) name: Text<'a>,
    #[serde(default)]
    pub(super) parameters: Option<OutputParameters>,
}

/// The parameters of an output.
#[derive(Default, Deserialize, ToSchema)]
#[schema(as = RequestedOutputParameters)]
pub(super) struct OutputParameters {
    pub(super) binary_data: Option<bool>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = RequestInput)]
struct Input<'a> {
    #[serde(borrow)]
    #[schema(value_type = String)]
    name: Text<'a>,
    #[schema(value_type = Vec<usize>)]
    shape: Shape,
    #[serde(borrow)]
    #[schema(value_type = String)]
    datatype: Text<'a>,
    #[serde(default)]
    parameters: Option<InputParameters>,
    /// Flat, or nested as the shape; left out if its bytes follow the JSON.
    #[serde(borrow)]
    #[schema(value_type = Option<TensorData>)]
    data: Option<Data<'a>>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = RequestInputParameters)]
struct InputParameters {
    binary_data_size: Option<usize>,
}

/// Reads the inputs into a vector with room for some at once: growing it takes longer than reading a small tensor.
fn inputs<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Input<'a>>, D::Error> {
    deserializer.deserialize_seq(Inputs)
}

struct Inputs;

impl<'de> Visitor<'de> for Inputs {
    type Value = Vec<Input<'de>>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut inputs = Vec::with_capacity(8);
        while let Some(input) = seq.next_element()? {
            inputs.push(input);
        }
        Ok(inputs)
    }
}

/// The lengths of the dimensions; two in all requests that can be answered.
pub(super) type Shape = SmallVec<[usize; 2]>;

/// A tensor whose values fit its shape and its type.
pub(super) struct Tensor<'a> {
    pub(super) name: Text<'a>,
    pub(super) shape: Shape,
    pub(super) cells: Vec<Cell<'a>>,
}

const EXAMPLE: &str =
    r#"{"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [0.5, 1.2]}]}"#;

static JSON_BYTES: HeaderName = HeaderName::from_static(JSON_BYTES_HEADER);

/// The JSON part and the tensors of a request.
///
/// # Errors
/// Names the tensor, and what does not add up.
pub(super) fn read(sent: Sent<'_>) -> Result<(Body<'_>, Vec<Tensor<'_>>), Problem> {
    let (json, mut raw) = parts(sent)?;
    let mut body: Body<'_> = lenient::parse_with(PhantomData, json, EXAMPLE, sent.repaired)?;
    if body.inputs.is_empty() {
        return Err(Problem::missing("inputs", EXAMPLE));
    }
    let inputs = std::mem::take(&mut body.inputs);
    let mut tensors = Vec::with_capacity(inputs.len());
    for (place, input) in inputs.into_iter().enumerate() {
        let Input { name, shape, datatype, parameters, data } = input;
        // Quoted only for an error: that takes longer than reading a small tensor.
        let wrong =
            |what| Problem::field(format_args!("inputs[{place}], {}: {what}", quoted(&name.0)));
        check_shape(&shape).map_err(wrong)?;
        let size = parameters.and_then(|parameters| parameters.binary_data_size);
        let cells = cells(&shape, &datatype.0, size, data, &mut raw).map_err(wrong)?;
        tensors.push(Tensor { name, shape, cells });
    }
    if !raw.is_empty() {
        return Err(Problem::field(format_args!(
            "{} bytes follow the tensors; the binary_data_size of all inputs must add up to the bytes after the JSON",
            raw.len()
        )));
    }
    Ok((body, tensors))
}

/// The JSON and the raw bytes behind it.
fn parts(sent: Sent<'_>) -> Result<(&[u8], &[u8]), Problem> {
    let Some(length) = json_bytes(sent.headers)? else { return Ok((sent.body, &[])) };
    sent.body.split_at_checked(length).ok_or_else(|| {
        Problem::new(
            Kind::InvalidHeader,
            format_args!(
                "{JSON_BYTES_HEADER}: {length}, and the body has {} bytes; send the length of the JSON part",
                sent.body.len()
            ),
        )
    })
}

fn json_bytes(headers: &HeaderMap) -> Result<Option<usize>, Problem> {
    let Some(value) = only(headers, &JSON_BYTES)? else { return Ok(None) };
    let length = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let length = length.and_then(|text| text.parse().ok());
    length.map(Some).ok_or_else(|| {
        Problem::new(
            Kind::InvalidHeader,
            format_args!(
                "{JSON_BYTES_HEADER}: {value:?} is not a length; send a whole number of bytes"
            ),
        )
    })
}

/// Checks the shape of a tensor, before memory is taken for its values.
fn check_shape(shape: &[usize]) -> Result<(), String> {
    match shape {
        [] => {
            Err("shape [] has no rows; use [rows, features], or [rows] for one feature".to_owned())
        }
        [_, width] if *width > MAX_VALUES => Err(format!(
            "shape {shape:?}: {width} values in a row; no model takes more than {MAX_VALUES}"
        )),
        [rows @ 1..=MAX_ROWS] | [rows @ 1..=MAX_ROWS, _] if *rows > 0 => Ok(()),
        [rows] | [rows, _] => Err(format!("shape {shape:?}: {}", out_of_range(rows))),
        [_, _, ..] => Err(format!(
            "the shape has {} dimensions; use [rows, features], or [rows] for one feature",
            shape.len()
        )),
    }
}

/// The values of a tensor, from the JSON or from the front of the raw bytes.
fn cells<'a>(
    shape: &[usize],
    type_name: &str,
    size: Option<usize>,
    data: Option<Data<'a>>,
    raw: &mut &'a [u8],
) -> Result<Vec<Cell<'a>>, String> {
    let datatype = Datatype::of(type_name).ok_or_else(|| {
        let near = did_you_mean(type_name, DATATYPES);
        let names = DATATYPES.join(", ");
        format!("datatype {}{near} is unknown; use one of {names}", quoted(type_name))
    })?;
    let count = shape.iter().try_fold(1, |count: usize, length| count.checked_mul(*length));
    let count = count.ok_or_else(|| format!("shape {shape:?} is too large"))?;
    let cells = match (size, data) {
        (Some(size), None) => {
            let Some((own, rest)) = raw.split_at_checked(size) else {
                return Err(format!(
                    "binary_data_size: {size}, and {} bytes are left after the JSON; send \
                     {JSON_BYTES_HEADER} with the length of the JSON, and all the bytes",
                    raw.len()
                ));
            };
            *raw = rest;
            datatype.read(own, count)?
        }
        (None, Some(data)) => from_json(data, shape, count)?,
        (None, None) => return Err("data is missing; send its values".to_owned()),
        (Some(_), Some(_)) => {
            return Err("data excludes parameters.binary_data_size; send one of them".to_owned());
        }
    };
    let wrong =
        cells.iter().enumerate().find_map(|it| datatype.problem(it.1).map(|what| (it.0, what)));
    match wrong {
        Some((place, what)) => Err(format!("data[{place}]: {what}; the datatype is {type_name}")),
        None => Ok(cells),
    }
}

fn from_json<'a>(data: Data<'a>, shape: &[usize], count: usize) -> Result<Vec<Cell<'a>>, String> {
    let Data { cells, lengths } = data;
    let fits = if lengths.len() == 1 { cells.len() == count } else { *lengths == *shape };
    if fits {
        return Ok(cells);
    }
    Err(match lengths.len() {
        1 => format!("{} values, and the shape {shape:?} has {count}", cells.len()),
        _ => format!(
            "data is nested as {lengths:?}, and the shape is {shape:?}; make them equal, or send it flat"
        ),
    })
}
