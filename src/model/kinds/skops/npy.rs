//! Arrays of NumPy (`.npy`).
//!
//! Source: NumPy's description of the NPY format, versions 1 to 3. The header is a Python literal; only the
//! three keys that NumPy writes are read, in any order. Object arrays, big-endian numbers and complex numbers
//! are refused.

use crate::model::kinds::refusal::Reading;
use crate::model::kinds::refusal::Refusal;

/// Items of an array, so that one of single bytes does not become eight times as large.
const MAX_ITEMS: usize = 4_000_000;

/// An array that stays where it is in the file.
#[derive(Debug)]
pub(crate) struct Array<'a> {
    place: String,
    /// The lengths of the axes; empty for a single number.
    pub shape: Vec<usize>,
    column_order: bool,
    fields: Vec<Field>,
    /// Bytes of an item, all fields together.
    item: usize,
    data: &'a [u8],
}

/// A field of an item. A plain array has one without a name.
#[derive(Debug)]
struct Field {
    name: String,
    kind: Kind,
    offset: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Float(usize),
    Signed(usize),
    Unsigned(usize),
    /// Text of this many characters, four bytes each.
    Text(usize),
    /// Bytes between fields.
    Padding(usize),
}

impl Kind {
    fn parse(text: &str) -> Option<Self> {
        let (order, rest) = text.split_at_checked(1)?;
        let (letter, digits) = rest.split_at_checked(1)?;
        let width: usize = digits.parse().ok()?;
        let kind = match (letter, width) {
            ("f", 4 | 8) => Self::Float(width),
            ("i", 1 | 2 | 4 | 8) => Self::Signed(width),
            ("u", 1 | 2 | 4 | 8) | ("b", 1) => Self::Unsigned(width),
            ("U", 0..=10_000) => Self::Text(width),
            ("V", 1..=64) => Self::Padding(width),
            _ => return None,
        };
        (order == "<" || order == "|").then_some(kind)
    }

    fn bytes(self) -> usize {
        match self {
            Self::Text(characters) => characters * 4,
            Self::Float(width) | Self::Signed(width) => width,
            Self::Unsigned(width) | Self::Padding(width) => width,
        }
    }

    fn number(self, bytes: &[u8]) -> Option<f64> {
        let bits = bytes.iter().rev().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        match self {
            Self::Float(4) => Some(f64::from(f32::from_bits(bits as u32))),
            Self::Float(_) => Some(f64::from_bits(bits)),
            Self::Signed(width) => {
                let unused = 64 - 8 * width as u32;
                Some(((bits << unused) as i64 >> unused) as f64)
            }
            Self::Unsigned(_) => Some(bits as f64),
            Self::Text(_) | Self::Padding(_) => None,
        }
    }
}

impl<'a> Array<'a> {
    /// Reads the header, and checks that the data have the length it declares.
    pub(crate) fn read(bytes: &'a [u8], place: &str) -> Reading<Self> {
        let refusal = |problem: &str| Refusal::new(place, problem);
        let (header, data) =
            split(bytes).ok_or_else(|| refusal("it is not an array of NumPy (.npy)"))?;
        let mut scanner = Scanner { rest: header };
        let header = scanner.header().ok_or_else(|| {
            refusal("its header is none that is read: plain numbers or text, little-endian")
        })?;
        let Header { shape, column_order, fields } = header;
        let item = fields.iter().map(|field| field.kind.bytes()).sum();
        let mut length = Some(item);
        for axis in &shape {
            length = length.and_then(|length: usize| length.checked_mul(*axis));
        }
        if data.len() / item.max(1) > MAX_ITEMS {
            return Err(refusal(&format!("more than {MAX_ITEMS} items")));
        }
        // An item without bytes would let a short file have any number of them.
        if length != Some(data.len()) || item == 0 {
            return Err(refusal("its data have another length than its header says"));
        }
        Ok(Self { place: place.to_owned(), shape, column_order, fields, item, data })
    }

    /// How many items there are.
    pub(crate) fn len(&self) -> usize {
        self.data.len() / self.item.max(1)
    }

    /// The numbers of a plain array, row by row.
    pub(crate) fn numbers(&self) -> Reading<Vec<f64>> {
        let numbers = self.column("")?;
        match self.shape.as_slice() {
            [rows, columns] if self.column_order => {
                let place = |at: usize| at % columns * rows + at / columns;
                Ok((0..numbers.len()).filter_map(|at| numbers.get(place(at)).copied()).collect())
            }
            [_, _, _, ..] if self.column_order => {
                Err(Refusal::new(self.place.clone(), "it has more than 2 axes in Fortran's order"))
            }
            _ => Ok(numbers),
        }
    }

    /// One field of every item.
    pub(crate) fn column(&self, name: &str) -> Reading<Vec<f64>> {
        let missing = || Refusal::new(self.place.clone(), format!("it has no numbers `{name}`"));
        let field = self.fields.iter().find(|field| field.name == name).ok_or_else(missing)?;
        let range = field.offset..field.offset + field.kind.bytes();
        let number = |item: &[u8]| field.kind.number(item.get(range.clone())?);
        self.data.chunks_exact(self.item).map(number).collect::<Option<_>>().ok_or_else(missing)
    }

    /// Whether a field exists.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.name == name)
    }

    /// The texts of an array of text; numbers as text.
    pub(crate) fn texts(&self) -> Reading<Vec<String>> {
        let Some(Field { kind: Kind::Text(_), .. }) = self.fields.first() else {
            return Ok(self.numbers()?.iter().map(f64::to_string).collect());
        };
        let text = |item: &[u8]| {
            let codes = item.chunks_exact(4).map(|code| {
                code.iter().rev().fold(0_u32, |code, byte| code << 8 | u32::from(*byte))
            });
            let text: Option<String> = codes.map(char::from_u32).collect();
            text.map(|text| text.trim_end_matches('\0').to_owned())
        };
        let texts = self.data.chunks_exact(self.item).map(text).collect::<Option<_>>();
        texts.ok_or_else(|| Refusal::new(self.place.clone(), "its text is not Unicode"))
    }
}

/// Header and data.
fn split(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let rest = bytes.strip_prefix(b"\x93NUMPY")?;
    let (version, rest) = rest.split_at_checked(2)?;
    let (length, rest) = rest.split_at_checked(if version.first() == Some(&1) { 2 } else { 4 })?;
    let length = length.iter().rev().fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
    let (header, data) = rest.split_at_checked(length)?;
    Some((str::from_utf8(header).ok()?, data))
}

struct Header {
    shape: Vec<usize>,
    column_order: bool,
    fields: Vec<Field>,
}

/// A scanner of the Python literals that NumPy writes.
struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    fn header(&mut self) -> Option<Header> {
        let (mut shape, mut order, mut fields) = (None, None, None);
        self.eat('{').then_some(())?;
        while !self.eat('}') {
            let key = self.text()?;
            self.eat(':').then_some(())?;
            match key {
                "shape" => shape = Some(self.shape()?),
                "fortran_order" => order = Some(self.flag()?),
                "descr" => fields = Some(self.fields()?),
                _ => return None,
            }
            self.eat(',');
        }
        self.skip_blanks();
        self.rest.is_empty().then_some(())?;
        Some(Header { shape: shape?, column_order: order?, fields: fields? })
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, symbol: char) -> bool {
        self.skip_blanks();
        match self.rest.strip_prefix(symbol) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn text(&mut self) -> Option<&'a str> {
        self.eat('\'').then_some(())?;
        let (text, rest) = self.rest.split_once('\'')?;
        self.rest = rest;
        Some(text)
    }

    fn flag(&mut self) -> Option<bool> {
        self.skip_blanks();
        for (word, flag) in [("True", true), ("False", false)] {
            if let Some(rest) = self.rest.strip_prefix(word) {
                self.rest = rest;
                return Some(flag);
            }
        }
        None
    }

    fn shape(&mut self) -> Option<Vec<usize>> {
        let mut shape = Vec::new();
        self.eat('(').then_some(())?;
        while !self.eat(')') {
            self.skip_blanks();
            let end = self.rest.find(|c: char| !c.is_ascii_digit())?;
            let (digits, rest) = self.rest.split_at_checked(end)?;
            shape.push(digits.parse().ok()?);
            self.rest = rest;
            self.eat(',');
        }
        Some(shape)
    }

    fn fields(&mut self) -> Option<Vec<Field>> {
        let mut fields = Vec::new();
        if !self.eat('[') {
            let kind = Kind::parse(self.text()?)?;
            return Some(vec![Field { name: String::new(), kind, offset: 0 }]);
        }
        let mut offset = 0;
        while !self.eat(']') {
            self.eat('(').then_some(())?;
            let name = self.text()?.to_owned();
            self.eat(',').then_some(())?;
            let kind = Kind::parse(self.text()?)?;
            self.eat(')').then_some(())?;
            self.eat(',');
            fields.push(Field { name, kind, offset });
            offset += kind.bytes();
        }
        Some(fields)
    }
}
