//! The page as Markdown.

use std::fmt::Write as _;

use super::Report;

pub(super) fn page(report: &Report) -> String {
    let mut out = format!("# {}\n\n", escaped(&report.title));
    for note in &report.notes {
        let _ = writeln!(out, "> {}\n", escaped(note));
    }
    out.push_str("| measure | value | interval | items | unscored |\n|---|---:|---:|---:|---:|\n");
    for measure in &report.measures {
        let value = measure.value.map_or_else(|| "none".to_owned(), |value| format!("{value:.4}"));
        let interval = measure.interval.map(|(low, high)| format!("{low:.4} to {high:.4}"));
        let _ = writeln!(
            out,
            "| {} | {value} | {} | {} | {} |",
            escaped(&measure.name),
            interval.unwrap_or_else(|| "none".to_owned()),
            measure.n,
            measure.unscored
        );
    }
    if !report.reliability.is_empty() {
        out.push_str(
            "\n## Calibration\n\n| confidence | items | mean | right |\n|---|---:|---:|---:|\n",
        );
        for bin in report.reliability.iter().filter(|bin| bin.count > 0) {
            let _ = writeln!(
                out,
                "| {:.2} to {:.2} | {} | {:.4} | {:.4} |",
                bin.low,
                bin.high,
                bin.count,
                bin.confidence,
                bin.accuracy.unwrap_or_default()
            );
        }
    }
    if let Some((labels, rows)) = &report.confusion {
        out.push_str("\n## Confusion\n\nRows are true labels, columns predictions.\n\n| |");
        out.extend(labels.iter().map(|label| format!(" {} |", escaped(label))));
        let _ = writeln!(out, "\n|---|{}", "---:|".repeat(labels.len()));
        for (label, row) in labels.iter().zip(rows) {
            let _ = write!(out, "| {} |", escaped(label));
            out.extend(row.iter().map(|count| format!(" {count} |")));
            out.push('\n');
        }
    }
    out.push_str("\n## What was measured, with what\n\n");
    for (label, text) in &report.facts {
        let _ = writeln!(out, "- {}: {}", escaped(label), escaped(text));
    }
    for measure in report.measures.iter().filter(|measure| !measure.signature.is_empty()) {
        let _ = writeln!(out, "- signature of {}: `{}`", escaped(&measure.name), measure.signature);
    }
    out
}

/// Text that cannot be taken for a column, a line or markup.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\r' => out.push(' '),
            '|' | '<' | '>' | '`' | '*' | '_' | '[' | ']' | '\\' => {
                out.push('\\');
                out.push(character);
            }
            other => out.push(other),
        }
    }
    out
}
