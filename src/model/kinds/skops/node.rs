//! Nodes of a skops file as Python objects: attributes, numbers, lists and arrays.

use super::archive::Archive;
use super::npy::Array;
use super::schema::Json;
use crate::model::kinds::refusal::Reading;
use crate::model::kinds::refusal::Refusal;
use crate::model::kinds::refusal::excerpt;

/// Plain values of one array. Each takes 32 bytes.
const MAX_PLAINS: usize = 1_000_000;

/// A Python object, and where it stands in the file.
#[derive(Clone, Debug)]
pub(crate) struct Node<'n, 'a> {
    json: &'n Json<'a>,
    archive: &'n Archive<'a>,
    /// `Pipeline.steps[1].tree_`, for messages.
    pub place: String,
}

/// A plain Python value, or an element of an array of objects.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Plain {
    None,
    Flag(bool),
    Number(f64),
    Text(String),
}

impl<'n, 'a> Node<'n, 'a> {
    /// The object that the file holds.
    pub(crate) fn root(json: &'n Json<'a>, archive: &'n Archive<'a>) -> Self {
        let mut root = Self { json, archive, place: String::new() };
        // Each item of a list copies the place.
        root.place = excerpt(root.class());
        root
    }

    fn at(&self, json: &'n Json<'a>, place: String) -> Self {
        Self { json, archive: self.archive, place }
    }

    /// A refusal of this node.
    pub(crate) fn refusal(&self, problem: impl Into<String>) -> Refusal {
        Refusal::new(self.place.clone(), problem)
    }

    /// The name of its class.
    pub(crate) fn class(&self) -> &'n str {
        self.json.key("__class__").and_then(Json::text).unwrap_or("")
    }

    /// The package that defines its class.
    pub(crate) fn package(&self) -> &'n str {
        let module = self.json.key("__module__").and_then(Json::text).unwrap_or("");
        module.split('.').next().unwrap_or(module)
    }

    fn content(&self) -> Option<&'n Json<'a>> {
        self.json.key("content")
    }

    /// An attribute, `None` if it does not exist.
    pub(crate) fn find(&self, name: &str) -> Option<Self> {
        let content = self.content()?;
        // The attributes of an object are a dict in its content; a dict has its values there.
        let values =
            if content.key("__loader__").is_some() { content.key("content")? } else { content };
        Some(self.at(values.key(name)?, format!("{}.{name}", self.place)))
    }

    /// An attribute that must exist.
    pub(crate) fn attribute(&self, name: &str) -> Reading<Self> {
        let class = excerpt(self.class());
        self.find(name).ok_or_else(|| self.refusal(format!("{class} has no attribute {name}")))
    }

    /// The elements of a list, a tuple or an array of objects, row by row.
    pub(crate) fn list(&self) -> Reading<Vec<Self>> {
        let Some(Json::List(items)) = self.content() else {
            return Err(self.refusal("it is not a list"));
        };
        let item = |(index, item)| self.at(item, format!("{}[{index}]", self.place));
        Ok(items.iter().enumerate().map(item).collect())
    }

    /// The parts of a tuple with `N` parts.
    pub(crate) fn tuple<const N: usize>(&self) -> Reading<[Self; N]> {
        let list = self.list()?;
        <[Self; N]>::try_from(list).map_err(|_| self.refusal(format!("it has not {N} parts")))
    }

    /// A plain value: what JSON holds, or an array with one item.
    pub(crate) fn plain(&self) -> Reading<Plain> {
        if self.json.key("file").is_some() {
            let array = self.array()?;
            return match array.numbers()?.as_slice() {
                [number] => Ok(Plain::Number(*number)),
                _ => Err(self.refusal("it is not a single number")),
            };
        }
        let text = self.content().and_then(Json::text);
        let text = text.ok_or_else(|| self.refusal("it is not a plain value"))?;
        match text {
            "NaN" => return Ok(Plain::Number(f64::NAN)),
            "Infinity" => return Ok(Plain::Number(f64::INFINITY)),
            "-Infinity" => return Ok(Plain::Number(f64::NEG_INFINITY)),
            _ => {}
        }
        match Json::read(text.as_bytes()) {
            Ok(Json::Null) => Ok(Plain::None),
            Ok(Json::Bool(flag)) => Ok(Plain::Flag(flag)),
            Ok(Json::Number(number)) => Ok(Plain::Number(number)),
            Ok(Json::Text(text)) => Ok(Plain::Text(text.into_owned())),
            _ => Err(self.refusal(format!("{} is not a plain value", excerpt(text)))),
        }
    }

    /// Whether it is Python's `None`.
    pub(crate) fn is_none(&self) -> bool {
        self.plain() == Ok(Plain::None)
    }

    /// A number.
    pub(crate) fn number(&self) -> Reading<f64> {
        match self.plain()? {
            Plain::Number(number) => Ok(number),
            _ => Err(self.refusal("it is not a number")),
        }
    }

    /// A count or a position.
    pub(crate) fn count(&self) -> Reading<usize> {
        let number = self.number()?;
        if number.fract() == 0.0 && (0.0..1e9).contains(&number) {
            return Ok(number as usize);
        }
        Err(self.refusal(format!("{number} is not a count")))
    }

    /// A text.
    pub(crate) fn text(&self) -> Reading<String> {
        match self.plain()? {
            Plain::Text(text) => Ok(text),
            _ => Err(self.refusal("it is not a text")),
        }
    }

    /// Whether it is this text.
    pub(crate) fn is_text(&self, expected: &str) -> bool {
        self.text().is_ok_and(|text| text == expected)
    }

    /// The bytes of its file.
    pub(crate) fn bytes(&self) -> Reading<&'a [u8]> {
        let file = self.json.key("file").and_then(Json::text);
        let file = file.ok_or_else(|| self.refusal("it has no file"))?;
        self.archive.entry(file)
    }

    /// A NumPy array of numbers or text.
    pub(crate) fn array(&self) -> Reading<Array<'a>> {
        let bytes = self.bytes()?;
        self.archive.spend(bytes.len())?;
        Array::read(bytes, &self.place)
    }

    /// The numbers of an array, or of a list of numbers.
    pub(crate) fn numbers(&self) -> Reading<Vec<f64>> {
        if self.json.key("file").is_some() {
            return self.array()?.numbers();
        }
        self.list()?.iter().map(Self::number).collect()
    }

    /// The elements of an array or a list as plain values.
    pub(crate) fn plains(&self) -> Reading<Vec<Plain>> {
        if self.json.key("file").is_none() {
            return self.list()?.iter().map(Self::plain).collect();
        }
        let array = self.array()?;
        if array.len() > MAX_PLAINS {
            return Err(self.refusal(format!("more than {MAX_PLAINS} values")));
        }
        if let Ok(numbers) = array.numbers() {
            return Ok(numbers.into_iter().map(Plain::Number).collect());
        }
        Ok(array.texts()?.into_iter().map(Plain::Text).collect())
    }

    /// The elements of an array as texts.
    pub(crate) fn texts(&self) -> Reading<Vec<String>> {
        let text = |plain| match plain {
            Plain::Text(text) => text,
            Plain::Number(number) => number.to_string(),
            Plain::Flag(flag) => flag.to_string(),
            Plain::None => "None".to_owned(),
        };
        Ok(self.plains()?.into_iter().map(text).collect())
    }
}
