//! Workbooks: XLSX, XLS, XLSB and ODS, row by row.

use std::io::Cursor;

use calamine::{DataRef, DataType, Reader, Sheets, Xlsx, open_workbook_auto_from_rs};

use crate::Limits;
use crate::archive::Zip;
use crate::document::{BlockKind, Draft};
use crate::error::Error;

/// The text of a workbook. The part of a block is `sheet!A2:C2`; the first row
/// of a sheet names the columns.
pub(crate) fn parse(bytes: &[u8], limits: &Limits) -> Result<Draft, Error> {
    if bytes.starts_with(b"PK") {
        // The reader of workbooks unpacks without limits.
        Zip::open(bytes)?.check(limits)?;
    }
    let damaged = || Error::Damaged { kind: "spreadsheet" };
    let book = open_workbook_auto_from_rs(Cursor::new(bytes));
    let mut draft = Draft::default();
    match book.map_err(|_| damaged())? {
        Sheets::Xlsx(mut book) => {
            for name in book.sheet_names() {
                read_xlsx(&mut book, &name, limits, &mut draft).ok_or_else(damaged)?;
            }
        }
        mut book => {
            for name in book.sheet_names() {
                let Ok(range) = book.worksheet_range(&name) else { continue };
                let (top, left) = range.start().unwrap_or_default();
                for (row, cells) in (top..).zip(range.rows()) {
                    let cells = (left..).zip(cells).filter(|(_, cell)| !cell.is_empty());
                    let cells: Vec<_> = cells.map(|(at, cell)| (at, text(cell))).collect();
                    add_row(&name, row, &cells, &mut draft);
                }
            }
        }
    }
    Ok(draft)
}

/// Reads cell by cell: a table with one cell at its far corner stays small.
fn read_xlsx(
    book: &mut Xlsx<Cursor<&[u8]>>,
    name: &str,
    limits: &Limits,
    draft: &mut Draft,
) -> Option<()> {
    // A sheet that holds only a chart has no cells.
    let Ok(mut reader) = book.worksheet_cells_reader(name) else { return Some(()) };
    let mut row = 0;
    let mut cells = Vec::new();
    while let Some(cell) = reader.next_cell().ok()? {
        let (at, column) = cell.get_position();
        if at != row {
            add_row(name, row, &std::mem::take(&mut cells), draft);
            row = at;
        }
        let value: &DataRef<'_> = cell.get_value();
        if !value.is_empty() {
            cells.push((column, text(value)));
        }
        if draft.text.len() as u64 > limits.text_bytes {
            break;
        }
    }
    add_row(name, row, &cells, draft);
    Some(())
}

fn add_row(sheet: &str, row: u32, cells: &[(u32, String)], draft: &mut Draft) {
    let (Some((first, _)), Some((last, _))) = (cells.first(), cells.last()) else { return };
    let part = format!("{sheet}!{}{2}:{}{2}", column_name(*first), column_name(*last), row + 1);
    let begins = |known: &str| known.rsplit_once('!').is_some_and(|(name, _)| name == sheet);
    let last_part = draft.outline.blocks.last().and_then(|block| block.part.as_deref());
    let is_first = !last_part.is_some_and(begins);
    let kind = if is_first { BlockKind::TableHeader } else { BlockKind::TableRow };
    let texts: Vec<&str> = cells.iter().map(|(_, text)| text.trim()).collect();
    draft.push(kind, &texts.join(" | "), None, Some(&part));
}

/// `A` for 0, `AA` for 26.
fn column_name(column: u32) -> String {
    let letter = char::from(b'A' + u8::try_from(column % 26).unwrap_or(0));
    match column / 26 {
        0 => letter.to_string(),
        rest => format!("{}{letter}", column_name(rest - 1)),
    }
}

fn text(cell: &impl DataType) -> String {
    if let Some(date) = cell.get_datetime()
        && date.is_datetime()
    {
        let (year, month, day, hour, minute, second, _) = date.to_ymd_hms_milli();
        let day = format!("{year:04}-{month:02}-{day:02}");
        return match (hour, minute, second) {
            (0, 0, 0) => day,
            _ => format!("{day} {hour:02}:{minute:02}:{second:02}"),
        };
    }
    if let Some(error) = cell.get_error() {
        return error.to_string();
    }
    if let Some(flag) = cell.get_bool() {
        return flag.to_string();
    }
    cell.as_string().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_named_like_in_a_workbook() {
        let names = [0, 25, 26, 701, 702].map(column_name);
        assert_eq!(names, ["A", "Z", "AA", "ZZ", "AAA"]);
    }
}
