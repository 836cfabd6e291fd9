//! Prometheus' text format, as far as servers of this kind speak it.

use std::collections::BTreeMap;

/// Samples by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exposition(BTreeMap<String, Vec<Sample>>);

/// One value with its labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// A line that is no sample.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is no metric: `{text}`")]
pub struct Error {
    pub line: usize,
    pub text: String,
}

impl Exposition {
    /// Reads all lines.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut all: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let wrong = || Error { line, text: text.chars().take(80).collect() };
            let (name, sample) = sample(text).ok_or_else(wrong)?;
            all.entry(name).or_default().push(sample);
        }
        Ok(Self(all))
    }

    /// All samples of a name.
    pub fn all(&self, name: &str) -> &[Sample] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// The sum over all labels.
    pub fn sum(&self, name: &str) -> f64 {
        self.all(name).iter().map(|sample| sample.value).sum()
    }

    /// The sums by the values of one label.
    pub fn by(&self, name: &str, label: &str) -> BTreeMap<String, f64> {
        let mut sums = BTreeMap::new();
        for sample in self.all(name) {
            let value = sample.labels.get(label).cloned().unwrap_or_default();
            *sums.entry(value).or_default() += sample.value;
        }
        sums
    }
}

fn sample(line: &str) -> Option<(String, Sample)> {
    let end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    let mut rest = rest.trim_start();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = read_labels(inside, &mut labels)?;
    }
    let value = match rest.split_whitespace().next()? {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        number => number.parse().ok()?,
    };
    (!name.is_empty()).then(|| (name.to_owned(), Sample { labels, value }))
}

/// Reads labels up to the closing brace, and gives what follows it.
fn read_labels<'a>(mut rest: &'a str, labels: &mut BTreeMap<String, String>) -> Option<&'a str> {
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(after) = rest.strip_prefix('}') {
            return Some(after);
        }
        let (name, quoted) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut letters = quoted.char_indices();
        let end = loop {
            match letters.next()? {
                (at, '"') => break at,
                (_, '\\') => match letters.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (_, letter) => value.push(letter),
            }
        };
        labels.insert(name.trim().to_owned(), value);
        rest = &quoted[end + 1..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_with_quotes_and_braces_are_read() {
        let text = "# HELP a b\na{x=\"1\",y=\"q\\\"}\\\\\\n\"} 2.5\na{x=\"2\"} 1\nb 7 1700000000\n";
        let read = Exposition::parse(text).unwrap();
        assert_eq!(read.all("a")[0].labels["y"], "q\"}\\\n");
        assert_eq!((read.sum("a"), read.sum("b"), read.sum("c")), (3.5, 7.0, 0.0));
        assert_eq!(read.by("a", "x"), BTreeMap::from([("1".into(), 2.5), ("2".into(), 1.0)]));
    }

    #[test]
    fn a_line_that_is_no_sample_is_named() {
        for bad in ["<html>", "a{x=\"1\" 2", "a", "a b", "{} 1"] {
            let error = Exposition::parse(&format!("ok 1\n{bad}")).unwrap_err();
            assert_eq!((error.line, error.text.as_str()), (2, bad));
        }
    }
}
