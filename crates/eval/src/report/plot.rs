//! Drawings as SVG: intervals, distributions, reliability.

use std::fmt::Write as _;

use super::{Measure, Report};

/// Width of a drawing in units of its own, which the page scales.
const WIDTH: f64 = 640.0;

/// A dot with its interval for each measure, on an axis of its own where
/// values leave the range of 0 to 1.
pub(super) fn intervals(report: &Report) -> String {
    const ROW: f64 = 34.0;
    const LEFT: f64 = 170.0;
    const RIGHT: f64 = 20.0;
    let shown: Vec<&Measure> = report.measures.iter().filter(|m| m.value.is_some()).collect();
    let height = ROW * shown.len() as f64 + 8.0;
    let mut svg = open(height, "Measures with their intervals");
    for (row, measure) in shown.iter().enumerate() {
        let y = ROW * row as f64 + 20.0;
        let value = measure.value.unwrap_or_default();
        let (low, high) = measure.interval.unwrap_or((value, value));
        let (least, most) = axis(low.min(value), high.max(value));
        let x = |at: f64| LEFT + (at - least) / (most - least) * (WIDTH - LEFT - RIGHT);
        line(&mut svg, "grid", (x(least), y), (x(most), y));
        for (at, anchor) in [(least, "start"), (most, "end")] {
            label(&mut svg, (x(at), y + 12.0), anchor, &short(at));
        }
        label_at(&mut svg, (LEFT - 12.0, y + 4.0), &measure.name);
        if measure.interval.is_some() {
            line(&mut svg, "whisker", (x(low), y), (x(high), y));
            for end in [low, high] {
                line(&mut svg, "whisker", (x(end), y - 5.0), (x(end), y + 5.0));
            }
        }
        let _ = write!(svg, r#"<circle class="dot" cx="{:.1}" cy="{y:.1}" r="4.5"/>"#, x(value));
    }
    svg + "</svg>"
}

/// Number of items by value, in twenty bars.
pub(super) fn distribution(measure: &Measure) -> String {
    const HEIGHT: f64 = 170.0;
    const BARS: usize = 20;
    let values = measure.rising();
    let (Some(first), Some(last)) = (values.first(), values.last()) else { return String::new() };
    let (least, most) = axis(*first, *last);
    let mut counts = [0_usize; BARS];
    for value in &values {
        let place = (value - least) / (most - least) * BARS as f64;
        let bar = (1..BARS).take_while(|bar| *bar as f64 <= place).count();
        counts[bar] += 1;
    }
    let highest = counts.iter().copied().max().unwrap_or(1).max(1);
    let (left, bottom) = (46.0, HEIGHT - 24.0);
    let wide = (WIDTH - left - 10.0) / BARS as f64;
    let mut svg = open(HEIGHT, &format!("Items by {}", measure.name));
    for (bar, count) in counts.iter().enumerate() {
        let tall = (bottom - 14.0) * *count as f64 / highest as f64;
        let _ = write!(
            svg,
            r#"<rect class="bar" x="{:.1}" y="{:.1}" width="{:.1}" height="{tall:.1}"><title>{count} items</title></rect>"#,
            left + wide * bar as f64 + 1.0,
            bottom - tall,
            wide - 2.0
        );
    }
    line(&mut svg, "axis", (left, bottom), (WIDTH - 10.0, bottom));
    label(&mut svg, (left, HEIGHT - 8.0), "start", &short(least));
    label(&mut svg, (WIDTH - 10.0, HEIGHT - 8.0), "end", &short(most));
    label(&mut svg, (left - 8.0, 18.0), "end", &highest.to_string());
    svg + "</svg>"
}

/// Accuracy against confidence; the diagonal is perfect calibration.
pub(super) fn reliability(report: &Report) -> String {
    const SIZE: f64 = 320.0;
    const EDGE: f64 = 44.0;
    let x = |at: f64| EDGE + at * (SIZE - EDGE - 12.0);
    let y = |at: f64| SIZE - EDGE - at * (SIZE - EDGE - 12.0);
    let mut svg = format!(
        r#"<svg class="square" viewBox="0 0 {SIZE} {SIZE}" role="img"><title>Reliability</title>"#
    );
    for bin in &report.reliability {
        let Some(accuracy) = bin.accuracy else { continue };
        let _ = write!(
            svg,
            r#"<rect class="bar" x="{:.1}" y="{:.1}" width="{:.1}" height="{:.1}"><title>{} items, mean confidence {:.3}, right {accuracy:.3}</title></rect>"#,
            x(bin.low) + 0.5,
            y(accuracy),
            x(bin.high) - x(bin.low) - 1.0,
            y(0.0) - y(accuracy),
            bin.count,
            bin.confidence
        );
        let (cx, cy) = (x(bin.confidence), y(accuracy));
        let _ = write!(svg, r#"<circle class="dot" cx="{cx:.1}" cy="{cy:.1}" r="3.5"/>"#);
    }
    line(&mut svg, "ideal", (x(0.0), y(0.0)), (x(1.0), y(1.0)));
    line(&mut svg, "axis", (x(0.0), y(0.0)), (x(1.0), y(0.0)));
    line(&mut svg, "axis", (x(0.0), y(0.0)), (x(0.0), y(1.0)));
    for at in [0.0, 0.5, 1.0] {
        label(&mut svg, (x(at), y(0.0) + 16.0), "middle", &short(at));
        label(&mut svg, (x(0.0) - 8.0, y(at) + 4.0), "end", &short(at));
    }
    label(&mut svg, (x(0.5), SIZE - 6.0), "middle", "stated confidence");
    label(&mut svg, (x(0.02), y(0.97)), "start", "share right");
    svg + "</svg>"
}

/// Ends of an axis that holds both values: 0 to 1 where they fit.
fn axis(low: f64, high: f64) -> (f64, f64) {
    if 0.0 <= low && high <= 1.0 {
        return (0.0, 1.0);
    }
    let room = ((high - low) * 0.25).max(high.abs().max(low.abs()) * 1e-3).max(1e-9);
    (low - room, high + room)
}

fn open(height: f64, title: &str) -> String {
    let title = super::html::escaped(title);
    format!(r#"<svg viewBox="0 0 {WIDTH} {height}" role="img"><title>{title}</title>"#)
}

fn line(svg: &mut String, class: &str, from: (f64, f64), to: (f64, f64)) {
    let ((x1, y1), (x2, y2)) = (from, to);
    // Writing to a string cannot fail.
    let _ = write!(
        svg,
        r#"<line class="{class}" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"/>"#
    );
}

fn label(svg: &mut String, at: (f64, f64), anchor: &str, text: &str) {
    let ((x, y), text) = (at, super::html::escaped(text));
    let _ = write!(
        svg,
        r#"<text class="tick" x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{text}</text>"#
    );
}

fn label_at(svg: &mut String, at: (f64, f64), text: &str) {
    let ((x, y), text) = (at, super::html::escaped(text));
    let _ = write!(svg, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="end">{text}</text>"#);
}

/// A number in few characters.
fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}
