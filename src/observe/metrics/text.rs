//! The text format of metrics: OpenMetrics 1.0, limited to what readers of the older Prometheus text format 0.0.4 accept too, such as
//! the textfile collector: gauges, counters and histograms, no timestamps. Pure.

use std::fmt::Write;

/// The end mark (OpenMetrics "EOF"), by which a reader knows that the page is complete.
const END: &str = "# EOF\n";

/// The type of a metric family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only goes up, from 0 at the start of the daemon. Its samples end in `_total`.
    Counter,
    /// Counts of observations up to each bound.
    Histogram,
}

impl Kind {
    /// The word in the `TYPE` line.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
            Kind::Histogram => "histogram",
        }
    }
}

/// One row of the table of families ([`super::families`]).
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Its name, without `_total`.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// One line for people.
    pub help: &'static str,
}

/// Writes families in the given order, each once, with all its samples.
#[derive(Debug, Default)]
pub(crate) struct Exposition {
    text: String,
}

impl Exposition {
    /// Starts a family.
    pub(crate) fn family(&mut self, family: &Family) {
        let Family { name, kind, help } = family;
        // Writing to a String cannot fail.
        let _ = write!(self.text, "# TYPE {name} {}\n# HELP {name} ", kind.word());
        escape(&mut self.text, help, false);
        self.text.push('\n');
    }

    /// A sample of a gauge or counter.
    pub(crate) fn sample(&mut self, family: &Family, labels: &[(&str, &str)], value: impl Into<Value>) {
        let suffix = if family.kind == Kind::Counter { "_total" } else { "" };
        self.line(family.name, suffix, labels, value.into());
    }

    /// A histogram.
    pub(crate) fn histogram(&mut self, family: &Family, histogram: &Histogram) {
        let mut below = 0;
        for (bound, count) in histogram.bounds.iter().zip(&histogram.counts) {
            below += count;
            let bound = Value::from(*bound).to_string();
            self.line(family.name, "_bucket", &[("le", &bound)], below.into());
        }
        self.line(family.name, "_bucket", &[("le", "+Inf")], histogram.count.into());
        self.line(family.name, "_sum", &[], histogram.sum.into());
        self.line(family.name, "_count", &[], histogram.count.into());
    }

    fn line(&mut self, name: &str, suffix: &str, labels: &[(&str, &str)], value: Value) {
        self.text.push_str(name);
        self.text.push_str(suffix);
        for (at, (label, text)) in labels.iter().enumerate() {
            self.text.push_str(if at == 0 { "{" } else { "," });
            self.text.push_str(label);
            self.text.push_str("=\"");
            escape(&mut self.text, text, true);
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }

    /// The whole text.
    pub(crate) fn finish(mut self) -> String {
        self.text.push_str(END);
        self.text
    }
}

/// Label values come from the configuration and from DNS: nothing in them may end a line or a value.
fn escape(text: &mut String, value: &str, is_label: bool) {
    for c in mail::printable::text(value).chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' if is_label => text.push_str("\\\""),
            c => text.push(c),
        }
    }
}

/// A number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A whole number.
    Whole(i128),
    /// Any other.
    Float(f64),
}

impl From<u64> for Value {
    fn from(value: u64) -> Value {
        Value::Whole(i128::from(value))
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Value {
        Value::Whole(i128::from(value))
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Value {
        Value::Float(value)
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Whole(value) => write!(f, "{value}"),
            // Debug keeps the point of a whole float: OpenMetrics requires floats as bounds.
            Value::Float(value) => write!(f, "{value:?}"),
        }
    }
}

/// Counts observations by size.
#[derive(Clone, Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    counts: Vec<u64>,
    count: u64,
    sum: f64,
}

impl Histogram {
    /// An empty histogram. `bounds` are ascending; values above the last one only count in the total.
    pub fn new(bounds: &'static [f64]) -> Histogram {
        Histogram { bounds, counts: vec![0; bounds.len()], count: 0, sum: 0.0 }
    }

    /// Adds an observation. NaN and negative values (after the clock was set) count as 0.
    pub fn observe(&mut self, value: f64) {
        let value = if value > 0.0 { value } else { 0.0 };
        let at = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get_mut(at) {
            *count += 1;
        }
        self.count += 1;
        self.sum += value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAUGE: Family = Family { name: "a_gauge", kind: Kind::Gauge, help: "What\nit \\ is." };
    const COUNTER: Family = Family { name: "a_counter", kind: Kind::Counter, help: "Counts." };
    const HISTOGRAM: Family = Family { name: "a_histogram", kind: Kind::Histogram, help: "Times." };

    #[test]
    fn families_are_written_as_the_format_says() {
        let mut out = Exposition::default();
        out.family(&COUNTER);
        out.sample(&COUNTER, &[("route", "smtp://a"), ("class", "2")], 7u64);
        out.family(&GAUGE);
        out.sample(&GAUGE, &[], -3i64);
        out.family(&HISTOGRAM);
        let mut histogram = Histogram::new(&[0.5, 2.0]);
        [0.1, 0.5, 1.0, 9.0].into_iter().for_each(|value| histogram.observe(value));
        out.histogram(&HISTOGRAM, &histogram);
        assert_eq!(
            out.finish(),
            "# TYPE a_counter counter\n# HELP a_counter Counts.\na_counter_total{route=\"smtp://a\",class=\"2\"} 7\n\
             # TYPE a_gauge gauge\n# HELP a_gauge What\\\\x0ait \\\\ is.\na_gauge -3\n\
             # TYPE a_histogram histogram\n# HELP a_histogram Times.\n\
             a_histogram_bucket{le=\"0.5\"} 2\na_histogram_bucket{le=\"2.0\"} 3\na_histogram_bucket{le=\"+Inf\"} 4\n\
             a_histogram_sum 10.6\na_histogram_count 4\n# EOF\n"
        );
    }

    #[test]
    fn t_out_1_no_label_ends_its_line_or_its_value() {
        let mut out = Exposition::default();
        out.sample(&GAUGE, &[("route", "a\"} 1\nforged 2\\\u{202e}\u{1b}[31m")], 1u64);
        let text = out.finish();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.starts_with("a_gauge{route=\"a\\\"} 1"), "{text}");
        assert!(!text.contains(['\u{202e}', '\u{1b}']), "{text}");
    }

    #[test]
    fn what_is_no_number_counts_as_nothing() {
        let mut histogram = Histogram::new(&[1.0]);
        [f64::NAN, -5.0, f64::NEG_INFINITY].into_iter().for_each(|value| histogram.observe(value));
        assert_eq!((histogram.count, histogram.sum), (3, 0.0));
    }
}
