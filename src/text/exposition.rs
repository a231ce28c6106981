//! Metrics as text for Prometheus: the text format 0.0.4 and OpenMetrics 1.0.
//!
//! Both name a series alike, the bounds of histograms included (`le="1.0"`, `le="2.5e-05"`), so that a series does not
//! change with the format or the version of Prometheus that asks. Version 3 writes bounds in this way itself; version 2
//! keeps the text that it gets.
//!
//! Why not the `prometheus-client` crate? Its two encoders (version 0.26) name one bucket in two ways: `le="0.000025"` and
//! `le="1.0"` in OpenMetrics, `le="2.5e-05"` and `le="1"` in the text format.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>,
//! <https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md>

use std::fmt::Write;

/// The form of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

/// What the values of a family are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number that only grows. Its samples end in `_total`.
    Counter,
    /// A number of this moment.
    Gauge,
    /// Counts of values up to bounds.
    Histogram,
    /// Facts in labels. The sample is 1, and its name ends in `_info`.
    Info,
}

/// A value: counts are exact, even above 2^53.
#[derive(Clone, Copy, Debug)]
pub enum Value {
    /// A count.
    Count(u64),
    /// A real number.
    Real(f64),
}

impl From<u64> for Value {
    fn from(count: u64) -> Value {
        Value::Count(count)
    }
}

impl From<usize> for Value {
    fn from(count: usize) -> Value {
        Value::Count(count as u64)
    }
}

impl From<bool> for Value {
    fn from(is_so: bool) -> Value {
        Value::Count(u64::from(is_so))
    }
}

impl From<f64> for Value {
    fn from(real: f64) -> Value {
        Value::Real(real)
    }
}

/// Labels with their values.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

/// Metrics that are being written.
#[derive(Debug)]
pub struct Exposition {
    format: Format,
    text: String,
}

/// A value of a histogram that can be looked up among the traces. Only OpenMetrics has them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exemplar {
    /// Its trace.
    pub trace_id: u128,
    /// The value.
    pub value: f64,
    /// When it was observed, in seconds since 1970.
    pub seconds: f64,
}

/// A family that is being written: samples of one name.
#[derive(Debug)]
pub struct Family<'a> {
    text: &'a mut String,
    format: Format,
    kind: Kind,
    name: &'a str,
}

/// Units that OpenMetrics declares, by the ending of the name.
const UNITS: [&str; 3] = ["seconds", "bytes", "ratio"];

impl Exposition {
    /// Nothing yet.
    pub fn new(format: Format) -> Exposition {
        Exposition { format, text: String::with_capacity(32 << 10) }
    }

    /// Begins a family. `name` is without the ending of its kind, `help` one sentence.
    pub fn family<'a>(&'a mut self, kind: Kind, name: &'a str, help: &str) -> Family<'a> {
        let (named, kind_name) = match (self.format, kind) {
            (Format::Text, Kind::Counter) => ("_total", "counter"),
            (Format::Text, Kind::Info) => ("_info", "gauge"),
            (Format::OpenMetrics, Kind::Counter) => ("", "counter"),
            (Format::OpenMetrics, Kind::Info) => ("", "info"),
            (_, Kind::Gauge) => ("", "gauge"),
            (_, Kind::Histogram) => ("", "histogram"),
        };
        let text = &mut self.text;
        text.extend(["# HELP ", name, named, " "]);
        escape(text, help, self.format == Format::OpenMetrics);
        text.extend(["\n# TYPE ", name, named, " ", kind_name, "\n"]);
        let is_unit =
            |unit: &&str| name.strip_suffix(*unit).is_some_and(|rest| rest.ends_with('_'));
        if let (Format::OpenMetrics, Some(unit)) = (self.format, UNITS.into_iter().find(is_unit)) {
            text.extend(["# UNIT ", name, " ", unit, "\n"]);
        }
        Family { text, format: self.format, kind, name }
    }

    /// A family of one sample without labels.
    pub fn one(&mut self, kind: Kind, name: &str, help: &str, value: impl Into<Value>) {
        self.family(kind, name, help).sample(&[], value);
    }

    /// A gauge that is 1 for the present one of some states and 0 for the others.
    pub fn states<'s>(
        &mut self,
        (name, label): (&str, &str),
        help: &str,
        states: impl IntoIterator<Item = (&'s str, bool)>,
    ) {
        let mut family = self.family(Kind::Gauge, name, help);
        for (state, is_present) in states {
            family.sample(&[(label, state)], is_present);
        }
    }

    /// The text.
    pub fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

impl Family<'_> {
    /// Adds a sample.
    pub fn sample(&mut self, labels: Labels<'_>, value: impl Into<Value>) -> &mut Self {
        let ending = match self.kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram => "",
        };
        self.line(ending, labels, None, value.into(), None)
    }

    /// Adds a histogram: how many values there are between ascending bounds, the last count being of those above all, and
    /// their sum. Values that may be negative have no sum, which could fall. Without counts all are 0.
    pub fn histogram(
        &mut self,
        labels: Labels<'_>,
        counted: (&[f64], &[u64]),
        sum: Option<f64>,
    ) -> &mut Self {
        self.histogram_with(labels, counted, sum, |_| None)
    }

    /// [`histogram`](Self::histogram) with an exemplar for some of its buckets, by their places.
    pub fn histogram_with(
        &mut self,
        labels: Labels<'_>,
        (bounds, counts): (&[f64], &[u64]),
        sum: Option<f64>,
        exemplar: impl Fn(usize) -> Option<Exemplar>,
    ) -> &mut Self {
        let mut up_to = 0_u64;
        let limits = bounds.iter().copied().chain([f64::INFINITY]).enumerate();
        for (place, bound) in limits {
            up_to = up_to.saturating_add(counts.get(place).copied().unwrap_or_default());
            let bound = canonical(bound);
            self.line("_bucket", labels, Some(&bound), Value::Count(up_to), exemplar(place));
        }
        if let Some(sum) = sum {
            self.line("_sum", labels, None, Value::Real(sum), None);
        }
        self.line("_count", labels, None, Value::Count(up_to), None)
    }

    fn line(
        &mut self,
        ending: &str,
        labels: Labels<'_>,
        bound: Option<&str>,
        value: Value,
        exemplar: Option<Exemplar>,
    ) -> &mut Self {
        let text = &mut *self.text;
        text.extend([self.name, ending]);
        let mut separator = "{";
        for (label, value) in labels.iter().copied().chain(bound.map(|bound| ("le", bound))) {
            text.extend([separator, label, "=\""]);
            escape(text, value, true);
            text.push('"');
            separator = ",";
        }
        if separator == "," {
            text.push('}');
        }
        // Writing to a String does not fail.
        let _ = match value {
            Value::Count(count) => write!(text, " {count}"),
            Value::Real(real) => write!(text, " {}", canonical(real)),
        };
        if let (Format::OpenMetrics, Some(exemplar)) = (self.format, exemplar) {
            let Exemplar { trace_id, value, seconds } = exemplar;
            let value = canonical(value);
            let _ = write!(text, " # {{trace_id=\"{trace_id:032x}\"}} {value} {seconds:.3}");
        }
        text.push('\n');
        self
    }
}

/// Writes a text as a value of a label or a help allows it.
fn escape(into: &mut String, text: &str, quotes: bool) {
    for character in text.chars() {
        match character {
            '\\' => into.push_str("\\\\"),
            '\n' => into.push_str("\\n"),
            '"' if quotes => into.push_str("\\\""),
            other => into.push(other),
        }
    }
}

/// A number as Go writes it in OpenMetrics: the shortest digits that give it back, with a decimal point or an exponent.
fn canonical(number: f64) -> String {
    let size = number.abs();
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else if size == 0.0 || (1e-4..1e6).contains(&size) {
        format!("{number:?}")
    } else {
        let text = format!("{number:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let exponent: i32 = exponent.parse().unwrap_or_default();
        format!("{digits}e{exponent:+03}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(write: impl Fn(&mut Exposition)) -> [String; 2] {
        [Format::Text, Format::OpenMetrics].map(|format| {
            let mut metrics = Exposition::new(format);
            write(&mut metrics);
            metrics.finish()
        })
    }

    #[test]
    fn families_are_named_as_each_format_wants() {
        let [text, open] = both(|metrics| {
            let mut requests = metrics.family(Kind::Counter, "requests", "All \"requests\".");
            requests.sample(&[("track", "stable"), ("path", "a\\b\"c\nd")], u64::MAX);
            metrics.family(Kind::Info, "build", "What.").sample(&[("version", "1")], true);
            metrics.one(Kind::Gauge, "age_seconds", "How\nold.", 0.5);
            metrics.states(("state", "is"), "Which.", [("on", true), ("off", false)]);
        });
        assert_eq!(
            text,
            "# HELP requests_total All \"requests\".\n# TYPE requests_total counter\n\
             requests_total{track=\"stable\",path=\"a\\\\b\\\"c\\nd\"} 18446744073709551615\n\
             # HELP build_info What.\n# TYPE build_info gauge\nbuild_info{version=\"1\"} 1\n\
             # HELP age_seconds How\\nold.\n# TYPE age_seconds gauge\nage_seconds 0.5\n\
             # HELP state Which.\n# TYPE state gauge\nstate{is=\"on\"} 1\nstate{is=\"off\"} 0\n"
        );
        assert_eq!(
            open,
            "# HELP requests All \\\"requests\\\".\n# TYPE requests counter\n\
             requests_total{track=\"stable\",path=\"a\\\\b\\\"c\\nd\"} 18446744073709551615\n\
             # HELP build What.\n# TYPE build info\nbuild_info{version=\"1\"} 1\n\
             # HELP age_seconds How\\nold.\n# TYPE age_seconds gauge\n# UNIT age_seconds seconds\n\
             age_seconds 0.5\n\
             # HELP state Which.\n# TYPE state gauge\nstate{is=\"on\"} 1\nstate{is=\"off\"} 0\n# EOF\n"
        );
    }

    #[test]
    fn a_histogram_is_cumulative_and_has_the_same_bounds_in_both_formats() {
        let [text, open] = both(|metrics| {
            let mut sizes = metrics.family(Kind::Histogram, "sizes", "Sizes.");
            sizes.histogram(&[("track", "a")], (&[2.5e-5, 1.0], &[1, 0, 2]), Some(9.0));
            sizes.histogram(&[("track", "b")], (&[2.5e-5, 1.0], &[]), None);
        });
        let samples = "sizes_bucket{track=\"a\",le=\"2.5e-05\"} 1\nsizes_bucket{track=\"a\",le=\"1.0\"} 1\n\
                       sizes_bucket{track=\"a\",le=\"+Inf\"} 3\nsizes_sum{track=\"a\"} 9.0\nsizes_count{track=\"a\"} 3\n\
                       sizes_bucket{track=\"b\",le=\"2.5e-05\"} 0\nsizes_bucket{track=\"b\",le=\"1.0\"} 0\n\
                       sizes_bucket{track=\"b\",le=\"+Inf\"} 0\nsizes_count{track=\"b\"} 0\n";
        assert_eq!(text, format!("# HELP sizes Sizes.\n# TYPE sizes histogram\n{samples}"));
        assert_eq!(open, format!("# HELP sizes Sizes.\n# TYPE sizes histogram\n{samples}# EOF\n"));
    }

    #[test]
    fn an_exemplar_follows_its_bucket_in_openmetrics_only() {
        let exemplar = Exemplar { trace_id: 0xabc, value: 0.5, seconds: 1_753_080_000.25 };
        let [text, open] = both(|metrics| {
            let mut sizes = metrics.family(Kind::Histogram, "sizes", "Sizes.");
            let of = |place| (place == 0).then_some(exemplar);
            sizes.histogram_with(&[], (&[1.0], &[1, 0]), None, of);
        });
        assert!(text.contains("sizes_bucket{le=\"1.0\"} 1\n"), "{text}");
        let line = "sizes_bucket{le=\"1.0\"} 1 # {trace_id=\"00000000000000000000000000000abc\"} 0.5 1753080000.250\n";
        assert!(open.contains(line), "{open}");
    }

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        // strconv.FormatFloat(v, 'g', -1, 64), and ".0" after whole numbers
        for (number, text) in [
            (0.0, "0.0"),
            (-0.1, "-0.1"),
            (1.0, "1.0"),
            (1e-4, "0.0001"),
            (9.9e-5, "9.9e-05"),
            (999_999.0, "999999.0"),
            (1e6, "1e+06"),
            (-1e6, "-1e+06"),
            (1.5e-300, "1.5e-300"),
            (0.1 + 0.2, "0.30000000000000004"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(canonical(number), text);
        }
    }
}
