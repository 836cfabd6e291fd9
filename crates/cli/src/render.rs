//! Answers on a terminal: claims as they come, then the numbered sources.

use std::io::{self, Write};

use plumb_answer::{Answer, Citation, Claim, Guarantee, Status};

/// Widest line that is pleasant to read.
const MAX_WIDTH: usize = 96;

/// Writes text word by word, breaking lines at a width.
pub struct Wrapped<W> {
    out: W,
    width: usize,
    column: usize,
}

impl<W: Write> Wrapped<W> {
    pub fn new(out: W, width: usize) -> Self {
        Self { out, width: width.clamp(20, MAX_WIDTH), column: 0 }
    }

    /// Appends `text`, separated by a space from what is on the line.
    pub fn words(&mut self, text: &str) -> io::Result<()> {
        for word in text.split_whitespace() {
            let length = word.chars().count();
            if self.column > 0 && self.column + 1 + length > self.width {
                writeln!(self.out)?;
                self.column = 0;
            }
            if self.column > 0 {
                write!(self.out, " ")?;
                self.column += 1;
            }
            write!(self.out, "{word}")?;
            self.column += length;
        }
        self.out.flush()
    }

    /// Ends the line, if one was begun.
    pub fn end_line(&mut self) -> io::Result<()> {
        if self.column > 0 {
            writeln!(self.out)?;
        }
        self.column = 0;
        Ok(())
    }
}

/// A claim with the numbers of its citations behind it.
pub fn marked(claim: &Claim) -> String {
    let marks: String = claim.citations.iter().map(|c| format!("[{}]", c.number)).collect();
    format!("{} {marks}", claim.text)
}

/// The sources of `answer`, each number once, and what was dropped.
pub fn sources(answer: &Answer, out: &mut dyn Write) -> io::Result<()> {
    let mut shown = 0;
    if answer.status == Status::Answered {
        writeln!(out)?;
    }
    for citation in answer.claims.iter().flat_map(|claim| &claim.citations) {
        if citation.number > shown {
            shown = citation.number;
            writeln!(out, "{}", source_line(citation))?;
        }
    }
    if !answer.dropped.is_empty() {
        let count = answer.dropped.len();
        let sentences = if count == 1 { "sentence" } else { "sentences" };
        writeln!(out, "({count} {sentences} of the model dropped: not supported by the sources)")?;
    }
    if let Some(guarantee) = &answer.guarantee {
        writeln!(out, "{}", promise(guarantee))?;
    }
    Ok(())
}

/// What a calibrated answer promises, and on what grounds.
fn promise(guarantee: &Guarantee) -> String {
    let Guarantee { max_error, confidence, calibration, questions, answered, errors } = guarantee;
    format!(
        "(of the questions answered, at most {} % are answered wrongly, with {} % confidence: \
         {calibration}, {errors} errors in {answered} answers to {questions} questions)",
        100.0 * max_error,
        100.0 * confidence,
    )
}

/// `[1] Dropout > How it works  /docs/dropout.md, bytes 120-250, page 3`.
fn source_line(citation: &Citation) -> String {
    let mut heading: Vec<&str> = vec![&citation.title];
    heading.extend(citation.heading_path.iter().map(String::as_str));
    heading.dedup();
    let place = citation.uri.strip_prefix("file://").unwrap_or(&citation.uri);
    let [start, end] = citation.byte_range;
    let page = citation.page.map(|page| format!(", page {page}")).unwrap_or_default();
    let part = citation.part.as_ref().map(|part| format!(", {part}")).unwrap_or_default();
    let number = citation.number;
    format!("[{number}] {}\n    {place}, bytes {start}-{end}{page}{part}", heading.join(" > "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words() {
        let mut text = Vec::new();
        let mut wrapped = Wrapped::new(&mut text, 20);
        wrapped.words("one two three four").unwrap();
        wrapped.words("five six").unwrap();
        wrapped.end_line().unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), "one two three four\nfive six\n");
    }

    #[test]
    fn a_word_longer_than_the_line_stands_alone() {
        let mut text = Vec::new();
        Wrapped::new(&mut text, 20).words("a abcdefghijklmnopqrstuvwxyz b").unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), "a\nabcdefghijklmnopqrstuvwxyz\nb");
    }
}
