//! Counters and histograms, and their text form.
//!
//! The text is version 0.0.4 of the Prometheus exposition format.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

/// Upper bounds of the buckets of times, in seconds.
const BOUNDS: [f64; 16] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
];

/// Values of labels, in the order of their names.
type Values = Vec<String>;

/// Counts by labels.
#[derive(Debug)]
pub struct Counter {
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    counts: Mutex<BTreeMap<Values, u64>>,
}

impl Counter {
    pub(crate) fn new(
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> Self {
        Self { name, help, labels, counts: Mutex::default() }
    }

    /// Adds `n`. The values are those of the labels, in their order.
    pub fn add(&self, values: &[&str], n: u64) {
        debug_assert_eq!(values.len(), self.labels.len());
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(owned(values)).or_default() += n;
    }

    pub(crate) fn write(&self, out: &mut String) {
        heading(out, self.name, self.help, "counter");
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for (values, count) in counts.iter() {
            sample(out, self.name, &pairs(self.labels, values), &count.to_string());
        }
    }
}

/// A distribution of times by labels.
#[derive(Debug)]
pub struct Histogram {
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    series: Mutex<BTreeMap<Values, Series>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Series {
    /// Observations in each bucket alone; the last is for those above all.
    buckets: [u64; BOUNDS.len() + 1],
    sum: f64,
}

impl Histogram {
    pub(super) fn new(
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> Self {
        Self { name, help, labels, series: Mutex::default() }
    }

    /// Notes one time, in seconds.
    pub fn observe(&self, values: &[&str], seconds: f64) {
        debug_assert_eq!(values.len(), self.labels.len());
        let bucket = BOUNDS.partition_point(|&bound| bound < seconds);
        let mut all = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let series = all.entry(owned(values)).or_default();
        series.buckets[bucket] += 1;
        series.sum += seconds;
    }

    pub(super) fn write(&self, out: &mut String) {
        heading(out, self.name, self.help, "histogram");
        let all = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        for (values, series) in all.iter() {
            let labels = pairs(self.labels, values);
            let mut total = 0;
            let bounds = BOUNDS.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
            for (count, bound) in series.buckets.iter().zip(bounds) {
                total += count;
                let mut labels = labels.clone();
                labels.push(("le", bound));
                sample(out, &format!("{}_bucket", self.name), &labels, &total.to_string());
            }
            sample(out, &format!("{}_sum", self.name), &labels, &series.sum.to_string());
            sample(out, &format!("{}_count", self.name), &labels, &total.to_string());
        }
    }
}

/// Writes values of this moment under one name.
pub(super) fn gauge(
    out: &mut String,
    (name, help): (&str, &str),
    values: &[(Vec<(&'static str, String)>, f64)],
) {
    heading(out, name, help, "gauge");
    for (labels, value) in values {
        sample(out, name, labels, &value.to_string());
    }
}

fn owned(values: &[&str]) -> Values {
    values.iter().map(|&value| value.to_owned()).collect()
}

fn pairs(labels: &[&'static str], values: &[String]) -> Vec<(&'static str, String)> {
    labels.iter().copied().zip(values.iter().cloned()).collect()
}

fn heading(out: &mut String, name: &str, help: &str, kind: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn sample(out: &mut String, name: &str, labels: &[(&str, String)], value: &str) {
    out.push_str(name);
    if !labels.is_empty() {
        let labels: Vec<String> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let _ = write!(out, "{{{}}}", labels.join(","));
    }
    let _ = writeln!(out, " {value}");
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative_and_end_with_the_count() {
        let histogram = Histogram::new("t_seconds", "Times.", &["model"]);
        for seconds in [0.0005, 0.001, 0.3, 1e6] {
            histogram.observe(&["a\"b"], seconds);
        }
        let mut out = String::new();
        histogram.write(&mut out);
        assert!(out.contains("t_seconds_bucket{model=\"a\\\"b\",le=\"0.001\"} 2\n"), "{out}");
        assert!(out.contains("le=\"0.25\"} 2\n") && out.contains("le=\"0.5\"} 3\n"), "{out}");
        assert!(out.contains("le=\"300\"} 3\n") && out.contains("le=\"+Inf\"} 4\n"), "{out}");
        assert!(out.contains("t_seconds_count{model=\"a\\\"b\"} 4\n"), "{out}");
    }

    #[test]
    fn a_counter_adds_by_labels() {
        let counter = Counter::new("c_total", "Things.", &["kind"]);
        counter.add(&["x"], 2);
        counter.add(&["y"], 1);
        counter.add(&["x"], 1);
        let mut out = String::new();
        counter.write(&mut out);
        let want = "# HELP c_total Things.\n# TYPE c_total counter\n\
                    c_total{kind=\"x\"} 3\nc_total{kind=\"y\"} 1\n";
        assert_eq!(out, want);
    }
}
