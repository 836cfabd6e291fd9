//! The page as HTML.

use std::fmt::Write as _;

use super::{Measure, Report, plot};

/// Style: colours follow the reader's choice, and paper is always light.
const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1d2430;--dim:#667085;--paper:#fff;--card:#f6f7f9;--line:#d9dde4;--mark:#2456c5;--soft:#b9cbf3}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ef;--dim:#98a2b3;--paper:#12161d;--card:#1b212b;--line:#333c4a;--mark:#8ab0ff;--soft:#2e4a85}}
@media print{:root{--ink:#000;--dim:#444;--paper:#fff;--card:#fff;--line:#bbb;--mark:#1d3f91;--soft:#c9d6f5}section{break-inside:avoid}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:60rem;padding:2rem 1.25rem;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
h1{font-size:1.7rem;line-height:1.2;margin:0 0 .25rem}h2{font-size:1.15rem;margin:2.25rem 0 .5rem}
p.lead,figcaption,.dim{color:var(--dim)}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:.35rem .6rem;border-bottom:1px solid var(--line);text-align:right;vertical-align:top}
th:first-child,td:first-child{text-align:left}thead th{color:var(--dim);font-weight:600}
td.wrap{overflow-wrap:anywhere;text-align:left}
.scroll{overflow-x:auto}.note{border-left:4px solid var(--mark);background:var(--card);padding:.5rem .9rem;margin:.75rem 0}
figure{margin:.5rem 0}svg{width:100%;height:auto;font:13px system-ui,sans-serif}svg.square{max-width:22rem}
svg text{fill:var(--ink)}svg .tick{fill:var(--dim);font-size:11px}
.grid,.axis{stroke:var(--line)}.ideal{stroke:var(--dim);stroke-dasharray:5 4}.whisker{stroke:var(--mark);stroke-width:2}
.dot{fill:var(--mark)}.bar{fill:var(--soft)}
";

/// Items shown in a list of the worst.
const WORST: usize = 10;

pub(super) fn page(report: &Report) -> String {
    let title = escaped(&report.title);
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n\
         <p class=\"lead\">Every number stands with its interval, the items behind it, and those \
         that could not be scored.</p>\n"
    );
    for note in &report.notes {
        let _ = writeln!(out, "<p class=\"note\">{}</p>", escaped(note));
    }
    scores(&mut out, report);
    calibration(&mut out, report);
    confusion(&mut out, report);
    for measure in report.measures.iter().filter(|measure| !measure.items.is_empty()) {
        items(&mut out, measure);
    }
    facts(&mut out, report);
    out + "</body>\n</html>\n"
}

fn scores(out: &mut String, report: &Report) {
    out.push_str(
        "<section>\n<h2>Scores</h2>\n<div class=\"scroll\"><table>\n<thead><tr><th>measure</th>\
         <th>value</th><th>interval</th><th>items</th><th>unscored</th></tr></thead>\n<tbody>\n",
    );
    for measure in &report.measures {
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escaped(&measure.name),
            number(measure.value),
            interval(measure),
            measure.n,
            measure.unscored
        );
    }
    out.push_str("</tbody></table></div>\n");
    let _ = writeln!(out, "<figure>{}</figure>\n</section>", plot::intervals(report));
}

fn calibration(out: &mut String, report: &Report) {
    if report.reliability.is_empty() {
        return;
    }
    let _ = write!(
        out,
        "<section>\n<h2>Calibration</h2>\n<figure>{}<figcaption>On the dashed line, stated \
         confidence comes true as often as it says.</figcaption></figure>\n<div class=\"scroll\">\
         <table>\n<thead><tr><th>confidence</th><th>items</th><th>mean confidence</th>\
         <th>share right</th></tr></thead>\n<tbody>\n",
        plot::reliability(report)
    );
    for bin in report.reliability.iter().filter(|bin| bin.count > 0) {
        let _ = writeln!(
            out,
            "<tr><td>{:.2} to {:.2}</td><td>{}</td><td>{:.4}</td><td>{}</td></tr>",
            bin.low,
            bin.high,
            bin.count,
            bin.confidence,
            number(bin.accuracy)
        );
    }
    out.push_str("</tbody></table></div>\n</section>\n");
}

fn confusion(out: &mut String, report: &Report) {
    let Some((labels, rows)) = &report.confusion else { return };
    out.push_str(
        "<section>\n<h2>Confusion</h2>\n<p class=\"dim\">Rows are true labels, columns \
         predictions.</p>\n<div class=\"scroll\"><table>\n<thead><tr><th></th>",
    );
    for label in labels {
        let _ = write!(out, "<th>{}</th>", escaped(label));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for (label, row) in labels.iter().zip(rows) {
        let _ = write!(out, "<tr><td>{}</td>", escaped(label));
        for count in row {
            let _ = write!(out, "<td>{count}</td>");
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n</section>\n");
}

fn items(out: &mut String, measure: &Measure) {
    let name = escaped(&measure.name);
    let _ = write!(
        out,
        "<section>\n<h2>{name} by item</h2>\n<figure>{}<figcaption>Number of items by value\
         </figcaption></figure>\n<div class=\"scroll\"><table>\n<thead><tr><th>worst items\
         </th><th>value</th></tr></thead>\n<tbody>\n",
        plot::distribution(measure)
    );
    for (item, value) in measure.worst(WORST) {
        let _ = writeln!(out, "<tr><td>{}</td><td>{value:.4}</td></tr>", escaped(item));
    }
    out.push_str("</tbody></table></div>\n</section>\n");
}

fn facts(out: &mut String, report: &Report) {
    out.push_str("<section>\n<h2>What was measured, with what</h2>\n<div class=\"scroll\"><table>\n<tbody>\n");
    let signatures = report.measures.iter().filter(|measure| !measure.signature.is_empty());
    let signatures = signatures.map(|m| (format!("signature of {}", m.name), m.signature.clone()));
    for (label, text) in report.facts.iter().cloned().chain(signatures) {
        let (label, text) = (escaped(&label), escaped(&text));
        let _ = writeln!(out, "<tr><td>{label}</td><td class=\"wrap\">{text}</td></tr>");
    }
    out.push_str("</tbody></table></div>\n</section>\n");
}

fn interval(measure: &Measure) -> String {
    measure
        .interval
        .map_or_else(|| "none".to_owned(), |(low, high)| format!("{low:.4} to {high:.4}"))
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| format!("{value:.4}"))
}

/// Text that cannot be taken for markup.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}
