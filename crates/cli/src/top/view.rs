//! The picture: numbers beside their history.

use std::collections::VecDeque;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Sparkline};

use super::Screen;
use super::figures::{Figures, Quantiles};

/// Draws everything.
pub fn draw(frame: &mut Frame<'_>, screen: &Screen) {
    let [title, rates, middle, bottom, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(7),
        Constraint::Length(7),
        Constraint::Min(4),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(Paragraph::new(headline(screen)), title);
    draw_rates(frame, rates, screen);
    draw_middle(frame, middle, &screen.figures);
    draw_bottom(frame, bottom, screen);
    frame.render_widget(Paragraph::new("q quit  p pause  ? help").dim(), keys);
    if screen.has_help {
        help(frame);
    }
}

fn headline(screen: &Screen) -> Line<'_> {
    let state = match (&screen.fault, screen.figures.ready) {
        (Some(fault), _) => Span::from(fault.clone()).fg(Color::Red),
        (None, true) => Span::from("ready").fg(Color::Green),
        (None, false) => Span::from("not ready").fg(Color::Yellow),
    };
    let mut line = vec![Span::from("plumb top  ").bold()];
    if screen.fault.is_none() {
        line.push(Span::from(format!("{}  ", screen.url)));
    }
    line.push(state);
    if screen.is_paused {
        line.push(Span::from("  paused").fg(Color::Yellow));
    }
    Line::from(line)
}

fn draw_rates(frame: &mut Frame<'_>, area: Rect, screen: &Screen) {
    let [left, right] = Layout::horizontal([Constraint::Fill(1); 2]).areas(area);
    let figures = &screen.figures;
    let requests = &figures.requests;
    let said = format!(
        "{:.1}/s  errors {:.1}/s  all {}",
        requests.per_second, requests.errors_per_second, requests.total
    );
    spark(frame, left, ("requests", &said), (&screen.history.requests, Color::Cyan));
    let tokens = &figures.tokens_per_second;
    let said = format!(
        "read {:.0}/s  written {:.0}/s  encoded {:.0}/s",
        tokens.prompt, tokens.generated, tokens.encoded
    );
    spark(frame, right, ("tokens", &said), (&screen.history.tokens, Color::Green));
}

/// A box with a line of text and the history below it.
fn spark(
    frame: &mut Frame<'_>,
    area: Rect,
    (title, said): (&str, &str),
    (history, colour): (&VecDeque<u64>, Color),
) {
    let block = Block::bordered().title(title.to_owned());
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let [text, graph] = Layout::vertical([Constraint::Length(1), Constraint::Min(1)]).areas(inner);
    frame.render_widget(Paragraph::new(said.to_owned()), text);
    // The newest at the right edge.
    let skipped = history.len().saturating_sub(usize::from(graph.width));
    let shown: Vec<u64> = history.iter().skip(skipped).copied().collect();
    frame.render_widget(Sparkline::default().data(&shown).style(Style::from(colour)), graph);
}

fn draw_middle(frame: &mut Frame<'_>, area: Rect, figures: &Figures) {
    let [left, right] = Layout::horizontal([Constraint::Fill(1); 2]).areas(area);
    let row = |name: &str, quantiles: &Quantiles| {
        let (p50, p95) = (time(quantiles.p50), time(quantiles.p95));
        Line::from(format!("{name:<16}{p50:>9}{p95:>9}"))
    };
    let latencies = vec![
        Line::from(format!("{:<16}{:>9}{:>9}", "", "p50", "p95")).dim(),
        row("whole request", &figures.latency_seconds),
        row("first token", &figures.first_token_seconds),
        row("between tokens", &figures.inter_token_seconds),
        row("retrieval", &figures.retrieval_seconds),
    ];
    let block = Block::bordered().title("latencies");
    frame.render_widget(Paragraph::new(latencies).block(block), left);
    let (queue, cache) = (&figures.queue, &figures.cache);
    let share = cache.hit_ratio.map_or("-".to_owned(), |ratio| format!("{:.0} %", ratio * 100.0));
    let rows = vec![
        Line::from(format!("running          {}", queue.running)),
        Line::from(format!("waiting          {}", queue.waiting)),
        Line::from(format!("work waiting     {}", queue.work_waiting)),
        Line::from(format!("cached tokens    {}", cache.tokens)),
        Line::from(format!("prompt from it   {share}")),
    ];
    let block = Block::bordered().title("queue and cache");
    frame.render_widget(Paragraph::new(rows).block(block), right);
}

fn draw_bottom(frame: &mut Frame<'_>, area: Rect, screen: &Screen) {
    let [memory, errors, keys] = Layout::horizontal([Constraint::Fill(1); 3]).areas(area);
    let figures = &screen.figures;
    let said = bytes(figures.memory_bytes);
    spark(frame, memory, ("memory", &said), (&screen.history.memory, Color::Magenta));
    let lines = figures.errors.iter().map(|(kind, count)| format!("{kind:<16}{count:>6}"));
    list(frame, errors, ("errors", "none"), &lines.collect::<Vec<_>>());
    let lines = figures.keys.iter().map(|used| format!("{:<12}{:>10}", used.key, used.tokens));
    list(frame, keys, ("tokens by key", "none yet"), &lines.collect::<Vec<_>>());
}

fn list(frame: &mut Frame<'_>, area: Rect, (title, none): (&str, &str), lines: &[String]) {
    let text = if lines.is_empty() { none.to_owned() } else { lines.join("\n") };
    let block = Block::bordered().title(title.to_owned());
    frame.render_widget(Paragraph::new(text).block(block), area);
}

fn help(frame: &mut Frame<'_>) {
    let text = "q, Esc   end\np        stop looking; the server goes on\n?, h     this text\n\n\
                Rates are of the time between two looks,\nquantiles of what ended in it, or ever\n\
                if nothing did; errors are since the start.";
    let [area] = Layout::vertical([Constraint::Length(9)])
        .flex(ratatui::layout::Flex::Center)
        .areas(frame.area());
    let [area] = Layout::horizontal([Constraint::Length(46)])
        .flex(ratatui::layout::Flex::Center)
        .areas(area);
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(text).block(Block::bordered().title("help")), area);
}

/// One sample as text.
pub fn text(figures: &Figures, url: &str) -> String {
    let pair =
        |quantiles: &Quantiles| format!("{:>9}{:>9}", time(quantiles.p50), time(quantiles.p95));
    let (requests, tokens) = (&figures.requests, &figures.tokens_per_second);
    let (queue, cache) = (&figures.queue, &figures.cache);
    let share = cache.hit_ratio.map_or("-".to_owned(), |ratio| format!("{:.0} %", ratio * 100.0));
    let errors: Vec<String> =
        figures.errors.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
    let keys: Vec<String> =
        figures.keys.iter().map(|used| format!("{} {}", used.key, used.tokens)).collect();
    let listed = |all: Vec<String>| if all.is_empty() { "none".to_owned() } else { all.join(", ") };
    [
        format!("{url}  {}", if figures.ready { "ready" } else { "not ready" }),
        format!(
            "requests        {:.1}/s, errors {:.1}/s, all {}",
            requests.per_second, requests.errors_per_second, requests.total
        ),
        format!(
            "tokens          read {:.0}/s, written {:.0}/s, encoded {:.0}/s",
            tokens.prompt, tokens.generated, tokens.encoded
        ),
        format!("                {:>9}{:>9}", "p50", "p95"),
        format!("whole request   {}", pair(&figures.latency_seconds)),
        format!("first token     {}", pair(&figures.first_token_seconds)),
        format!("between tokens  {}", pair(&figures.inter_token_seconds)),
        format!("retrieval       {}", pair(&figures.retrieval_seconds)),
        format!(
            "queue           {} running, {} waiting, {} of other work",
            queue.running, queue.waiting, queue.work_waiting
        ),
        format!("cache           {} tokens, {share} of prompts", cache.tokens),
        format!("memory          {}", bytes(figures.memory_bytes)),
        format!("errors          {}", listed(errors)),
        format!("tokens by key   {}", listed(keys)),
    ]
    .join("\n")
}

/// A time in the unit that suits it.
fn time(seconds: Option<f64>) -> String {
    match seconds {
        None => "-".to_owned(),
        Some(seconds) if seconds < 1.0 => format!("{:.1} ms", seconds * 1e3),
        Some(seconds) => format!("{seconds:.2} s"),
    }
}

fn bytes(bytes: u64) -> String {
    let mib = bytes as f64 / f64::from(1 << 20);
    if mib < 1024.0 { format!("{mib:.0} MiB") } else { format!("{:.2} GiB", mib / 1024.0) }
}
