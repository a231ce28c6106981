//! Separator and decimal sign of a file.

use csv::ReaderBuilder;

/// Rows that are looked at for the decimal sign.
const ROWS: usize = 1_000;

/// How a file separates its fields and writes its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// Separator of fields.
    pub separator: u8,
    /// Whether numbers have a decimal comma.
    pub has_decimal_comma: bool,
    /// Bytes of a first line `sep=;`, with which Excel names the separator.
    pub preamble: usize,
}

impl Dialect {
    /// The dialect of a file that begins like this. The separator is that of a `sep=` line, or else a tab or
    /// a semicolon in the first line, or else a comma. Numbers have a decimal comma if more of them can be
    /// read with it than with a point.
    ///
    /// ```
    /// use serin::text::tables::dialect::Dialect;
    /// let dialect = Dialect::of("sep=;\nage;income\n40;1,5\n");
    /// assert_eq!((dialect.separator, dialect.has_decimal_comma, dialect.preamble), (b';', true, 6));
    /// ```
    pub fn of(head: &str) -> Self {
        let named = head.lines().next().and_then(|line| line.strip_prefix("sep="));
        let named = named.and_then(|rest| rest.bytes().next().filter(u8::is_ascii));
        let preamble = match named {
            Some(_) => head.find('\n').map_or(head.len(), |end| end + 1),
            None => 0,
        };
        let body = &head[preamble..];
        let separator = named.unwrap_or_else(|| separator(body));
        Self { separator, has_decimal_comma: has_decimal_comma(body, separator), preamble }
    }
}

fn separator(body: &str) -> u8 {
    let first = body.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let outside_quotes: String = first.split('"').step_by(2).collect();
    let found = [b'\t', b';'].into_iter().find(|one| outside_quotes.as_bytes().contains(one));
    found.unwrap_or(b',')
}

fn has_decimal_comma(body: &str, separator: u8) -> bool {
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(separator)
        .from_reader(body.as_bytes());
    let (mut commas, mut points) = (0, 0);
    for record in reader.records().take(ROWS).flatten() {
        commas += record.iter().filter(|field| is_decimal(field, ',')).count();
        points += record.iter().filter(|field| is_decimal(field, '.')).count();
    }
    commas > points
}

/// The first number with each decimal sign in a column, and the line that it is in.
#[derive(Default)]
pub struct DecimalSigns {
    point: Option<(String, u64)>,
    comma: Option<(String, u64)>,
}

impl DecimalSigns {
    /// Looks at the next value.
    pub fn see(&mut self, field: &str, line: impl Fn() -> u64) {
        for (first, sign) in [(&mut self.point, '.'), (&mut self.comma, ',')] {
            if first.is_none() && is_decimal(field, sign) {
                *first = Some((field.to_owned(), line()));
            }
        }
    }

    /// Both, if there are both: then one of them would be misread. In the order of the lines.
    pub fn both(&self) -> Option<[&(String, u64); 2]> {
        let (point, comma) = (self.point.as_ref()?, self.comma.as_ref()?);
        Some(if point.1 <= comma.1 { [point, comma] } else { [comma, point] })
    }
}

/// Whether a text is a number with this decimal sign, and the sign does not separate thousands.
pub fn is_decimal(field: &str, sign: char) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let field = field.trim().trim_start_matches(['-', '+']);
    field.split_once(sign).is_some_and(|(whole, fraction)| {
        let is_group = fraction.len() == 3 && whole.len() <= 3 && whole != "0";
        digits(whole) && digits(fraction) && !is_group
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separator_and_decimal_sign_are_found() {
        for (head, separator, has_decimal_comma, preamble) in [
            ("a,b\n1.5,2\n", b',', false, 0),
            ("a;b\n1,5;2\n", b';', true, 0),
            ("a;b\n1.5;2\n", b';', false, 0),
            ("a;b\n1,500;2\n", b';', false, 0),
            ("a\tb\n1,25\t0,125\n", b'\t', true, 0),
            ("\"a;b\",c\n1,2\n", b',', false, 0),
            ("a,b\n\"1,5\",2\n", b',', true, 0),
            ("sep=,\r\na;b,c\n", b',', false, 7),
            ("sep=|\na|b\n", b'|', false, 6),
            ("sep=\t\r\na;b\tc\n", b'\t', false, 7),
            ("", b',', false, 0),
        ] {
            let expected = Dialect { separator, has_decimal_comma, preamble };
            assert_eq!(Dialect::of(head), expected, "{head:?}");
        }
    }
}
