//! Small tables of text: a row a line, the first of which names the columns.

use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::scores;

/// A file with named columns.
pub(super) struct Table {
    path: String,
    head: Vec<String>,
    /// Cells, with the line that they stand on.
    rows: Vec<(usize, Vec<String>)>,
}

impl Table {
    /// Reads a file whose columns stand between tabs or commas: tabs, if the first
    /// line has one. Empty lines are left out. Fails if a row has another number of
    /// cells than the first line.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let bytes = scores::read(path)?;
        let text = str::from_utf8(&bytes).with_context(|| format!("`{name}` is not UTF-8"))?;
        let mut lines = (1..).zip(text.trim_start_matches('\u{feff}').lines());
        let Some((_, first)) = lines.next() else { bail!("`{name}` is empty") };
        let separator = if first.contains('\t') { '\t' } else { ',' };
        let head = cells(first, separator);
        let mut rows = Vec::new();
        for (line, text) in lines.filter(|(_, text)| !text.trim().is_empty()) {
            let row = cells(text, separator);
            if row.len() != head.len() {
                let (found, needed) = (row.len(), head.len());
                bail!("`{name}`, line {line}: {found} cells, but the first line has {needed}");
            }
            rows.push((line, row));
        }
        if rows.is_empty() {
            bail!("`{name}` has no row under its first line, which names the columns");
        }
        Ok(Self { path: name, head, rows })
    }

    /// The names of the columns.
    pub(super) fn head(&self) -> &[String] {
        &self.head
    }

    /// Number of rows.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The number of the column of that name.
    pub(super) fn column(&self, name: &str) -> Result<usize> {
        let found = self.head.iter().position(|head| head.eq_ignore_ascii_case(name));
        found.with_context(|| {
            format!("`{}` has no column `{name}`; it has {}", self.path, self.head.join(", "))
        })
    }

    /// The cell of a row and a column, both from 0.
    pub(super) fn cell(&self, row: usize, column: usize) -> &str {
        &self.rows[row].1[column]
    }

    /// The cells of a column, from top to bottom.
    pub(super) fn cells(&self, column: usize) -> impl Iterator<Item = &str> {
        self.rows.iter().map(move |(_, row)| row[column].as_str())
    }

    /// The cells of a column as something that can be parsed; `what` says what they
    /// should be.
    pub(super) fn parsed<T: std::str::FromStr>(&self, column: usize, what: &str) -> Result<Vec<T>> {
        let parse = |(line, row): &(usize, Vec<String>)| {
            let cell = &row[column];
            cell.parse().ok().with_context(|| self.place(*line, &format!("`{cell}` is not {what}")))
        };
        self.rows.iter().map(parse).collect()
    }

    /// `message` with the place of the row with that number, from 0.
    pub(super) fn at(&self, row: usize, message: &str) -> String {
        self.place(self.rows[row].0, message)
    }

    fn place(&self, line: usize, message: &str) -> String {
        format!("`{}`, line {line}: {message}", self.path)
    }
}

/// The cells of a line. One in quotes may hold the separator, and two quotes for one.
fn cells(line: &str, separator: char) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut is_quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        let last = cells.len() - 1;
        match character {
            '"' if is_quoted && characters.peek() == Some(&'"') => {
                characters.next();
                cells[last].push('"');
            }
            '"' if is_quoted || cells[last].trim().is_empty() => is_quoted = !is_quoted,
            _ if character == separator && !is_quoted => cells.push(String::new()),
            _ => cells[last].push(character),
        }
    }
    cells.iter().map(|cell| cell.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_may_be_quoted() {
        assert_eq!(cells("a, \"b, \"\"c\"\"\",,d ", ','), ["a", "b, \"c\"", "", "d"]);
        assert_eq!(cells("a,b\tc", '\t'), ["a,b", "c"]);
    }
}
